#include "meta/server/node/zoo_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"

enum { MYID_SIZE = 32, PATH_SIZE = 512, SERVER_ID_MAX = 254 };

// SERVER LINES

// Up to one of `ends`, brackets around an IPv6 address left whole.
static size_t part_size(struct rt_bytes text, const char *ends) {
    size_t at = 0;
    bool bracket = text.size && text.data[0] == '[';
    for (; at < text.size; at++) {
        if (bracket) {
            bracket = text.data[at] != ']';
            continue;
        }
        if (strchr(ends, text.data[at])) break;
    }
    return at;
}

static bool port_parse(struct rt_bytes text, uint16_t *port) {
    unsigned value = 0;
    if (!text.size || text.size > 5) return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        value = value * 10 + (text.data[i] - (unsigned)'0');
    }
    *port = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

static bool host_copy(struct rt_bytes text, char host[RAFT_ADDRESS_SIZE]) {
    if (!text.size || text.size >= RAFT_ADDRESS_SIZE) return false;
    memcpy(host, text.data, text.size);
    host[text.size] = '\0';
    return true;
}

// Takes a part and the separator behind it.
static struct rt_bytes part_take(struct rt_bytes *text, const char *ends) {
    size_t size = part_size(*text, ends);
    struct rt_bytes part = RT_BYTES(text->data, size);
    *text = rt_bytes_skip(*text, size < text->size ? size + 1 : size);
    return part;
}

// Of what is behind the client address: ";" and a secure one, which is not ours.
static rt_err client_part_parse(struct rt_bytes text, struct meta_server_line *line,
                                struct rt_why *why) {
    struct rt_bytes client = part_take(&text, ";");
    size_t host = part_size(client, ":");
    if (host < client.size) {
        if (!host_copy(RT_BYTES(client.data, host), line->client_host))
            return rt_why_set(why, RT_EINVAL, "the client address is not understood");
        client = rt_bytes_skip(client, host + 1);
    }
    if (port_parse(client, &line->client_port)) return RT_OK;
    return rt_why_set(why, RT_EINVAL, "the client port is not a port");
}

rt_err meta_server_line_parse(struct rt_bytes text, struct meta_server_line *line,
                              struct rt_why *why) {
    *line = (struct meta_server_line){0};
    struct rt_bytes server = part_take(&text, ";");
    if (part_size(server, "|") < server.size)
        return rt_why_set(why, RT_EINVAL, "several addresses of one server are not supported");
    struct rt_bytes host = part_take(&server, ":"), peer = part_take(&server, ":");
    struct rt_bytes election = part_take(&server, ":"), role = part_take(&server, ":");
    if (!host_copy(host, line->host)) return rt_why_set(why, RT_EINVAL, "there is no host");
    if (!port_parse(peer, &line->peer_port))
        return rt_why_set(why, RT_EINVAL, "the peer port is not a port");
    if (!port_parse(election, &line->election_port))
        return rt_why_set(why, RT_EINVAL, "the election port is not a port");
    line->is_observer = rt_bytes_equal(role, RT_BYTES_LITERAL("observer"));
    line->has_role = role.size > 0;
    bool known =
        !role.size || line->is_observer || rt_bytes_equal(role, RT_BYTES_LITERAL("participant"));
    if (!known || server.size)
        return rt_why_set(why, RT_EINVAL, "the role is participant or observer");
    return text.size ? client_part_parse(text, line, why) : RT_OK;
}

struct lines {
    struct rt_config_extra extra;
    struct meta_zoo_config *config;
    bool is_dynamic;
};

static bool has_member(const struct meta_zoo_config *config, uint64_t id) {
    for (unsigned i = 0; i < config->member_count; i++) {
        if (config->members[i].id == id) return true;
    }
    return false;
}

// As /zookeeper/config and `conf` show it: with a role. False: it is too long.
static bool address_print(const char *value, const struct meta_server_line *line,
                          char address[RAFT_ADDRESS_SIZE]) {
    int server = (int)part_size(rt_bytes_of(value), ";|");
    int size = snprintf(address, RAFT_ADDRESS_SIZE, "%.*s%s%s", server, value,
                        line->has_role ? "" : ":participant", value + server);
    return size > 0 && size < RAFT_ADDRESS_SIZE;
}

static bool server_add(struct meta_zoo_config *config, const char *key, const char *value,
                       struct rt_why *why) {
    struct meta_server_line line;
    char *end;
    const char *digits = key + strlen("server.");
    unsigned long id = strtoul(digits, &end, 10);
    if (*digits < '0' || *digits > '9' || *end || id == 0 || id > SERVER_ID_MAX) {
        RT_IGNORE(rt_why_set(why, RT_EINVAL, "ids go from 1 to %d", SERVER_ID_MAX));
        return true;
    }
    if (has_member(config, id)) {
        RT_IGNORE(rt_why_set(why, RT_EINVAL, "this server has a line already"));
        return true;
    }
    if (meta_server_line_parse(rt_bytes_of(value), &line, why)) return true;
    struct meta_member member = {.id = id, .is_observer = line.is_observer};
    bool full = config->member_count == RAFT_MEMBERS_MAX;
    if (full || !address_print(value, &line, member.address)) {
        RT_IGNORE(rt_why_set(why, RT_ETOOBIG, "too many servers, or too long a line"));
        return true;
    }
    config->members[config->member_count++] = member;
    return true;
}

// Every participant has one vote here: who set up another quorum has to know.
static bool line_take(struct rt_config_extra *extra, const char *key, const char *value,
                      struct rt_why *why) {
    struct lines *lines = rt_container_of(extra, struct lines, extra);
    bool groups = strncmp(key, "group.", 6) == 0, weighs = strncmp(key, "weight.", 7) == 0;
    if (strncmp(key, "server.", 7) == 0) return server_add(lines->config, key, value, why);
    if (groups || (weighs && strcmp(value, "1") != 0))
        RT_IGNORE(rt_why_set(why, RT_EINVAL,
                             "groups and weights are not supported, every participant has one "
                             "vote"));
    return groups || weighs || (lines->is_dynamic && strcmp(key, "version") == 0);
}

// WHO AM I

static rt_err report_say(struct rt_config_report *report, const char *text) {
    rt_buf_print(&report->text, "zoo.cfg: error: %s\n", text);
    report->errors++;
    return RT_EINVAL;
}

static rt_err myid_read(struct rt_machine *machine, struct meta_zoo_config *config,
                        struct rt_config_report *report) {
    char path[PATH_SIZE], text[MYID_SIZE] = "", problem[3 * PATH_SIZE];
    struct rt_file *file;
    struct rt_why why = {{0}};
    size_t size = 0;
    snprintf(path, sizeof(path), "%s/myid", config->values.data_dir);
    rt_err err = rt_file_open_now(machine, path, RT_FILE_READ, &file, &why);
    if (!err) {
        err = rt_file_read_now(file, 0, text, sizeof(text) - 1, &size);
        rt_file_close_now(file);
    }
    char *end = text;
    config->node_id = strtoul(text, &end, 10);
    bool sound = end != text && end[strspn(end, " \t\r\n")] == '\0' && config->node_id >= 1 &&
                 config->node_id <= SERVER_ID_MAX;
    if (!err && sound) return RT_OK;
    snprintf(problem, sizeof(problem), "%s: %s; it holds the number N of this server's server.N",
             path, err ? why.text : "is no number from 1 to 254");
    return report_say(report, problem);
}

static rt_err identify(struct rt_machine *machine, struct meta_zoo_config *config,
                       struct rt_config_report *report) {
    config->node_id = 1;
    if (config->values.my_id) {
        config->node_id = (uint64_t)config->values.my_id;
    } else if (config->member_count > 1 || config->values.join) {
        rt_err err = myid_read(machine, config, report);
        if (err) return err;
    } else if (config->member_count == 1) {
        config->node_id = config->members[0].id;
    }
    if (!config->member_count || has_member(config, config->node_id)) return RT_OK;
    char problem[128];
    snprintf(problem, sizeof(problem), "there is no server.%" PRIu64 " line for this server",
             config->node_id);
    return report_say(report, problem);
}

static const struct meta_member *own_member(const struct meta_zoo_config *config) {
    for (unsigned i = 0; i < config->member_count; i++) {
        if (config->members[i].id == config->node_id) return &config->members[i];
    }
    return NULL;
}

// A client port may stand in the own server line instead.
static void client_port_find(struct meta_zoo_config *config) {
    struct meta_server_line line;
    const struct meta_member *own = own_member(config);
    if (config->values.client_port >= 0 || !own) return;
    if (meta_server_line_parse(rt_bytes_of(own->address), &line, NULL) || !line.client_port) return;
    config->values.client_port = line.client_port;
    if (!line.client_host[0] || config->values.client_address[0]) return;
    rt_free(config->values.client_address);
    config->values.client_address = rt_strdup(line.client_host);
}

// TLS AND THE REST

static bool is_keystore(const char *path) {
    size_t size = strlen(path);
    return (size > 4 && strcmp(path + size - 4, ".jks") == 0) ||
           (size > 4 && strcmp(path + size - 4, ".p12") == 0);
}

static rt_err tls_fill(struct meta_zoo_config *config, struct rt_config_report *report) {
    const struct meta_zoo_values *values = &config->values;
    bool java = is_keystore(values->ssl_cert) || is_keystore(values->ssl_ca) ||
                is_keystore(values->ssl_quorum_cert) || is_keystore(values->ssl_quorum_ca);
    if (java)
        return report_say(report,
                          "key stores of Java are not read; give PEM files "
                          "(openssl pkcs12 -in STORE -nodes -out FILE.pem)");
    bool secure = values->secure_client_port >= 0;
    if (secure && !values->ssl_cert[0])
        return report_say(report, "secureClientPort needs ssl.keyStore.location");
    if (values->ssl_quorum && !values->ssl_quorum_cert[0])
        return report_say(report, "sslQuorum needs ssl.quorum.keyStore.location");
    config->client_tls = (struct rt_tls){
        .cert_file = values->ssl_cert,
        .key_file = values->ssl_key[0] ? values->ssl_key : values->ssl_cert,
        .ca_file = values->ssl_ca[0] ? values->ssl_ca : NULL,
        .verify_peer = values->ssl_ca[0] && strcmp(values->ssl_client_auth, "need") == 0};
    config->has_client_tls = secure;
    config->peer_tls = (struct rt_tls){
        .cert_file = values->ssl_quorum_cert,
        .key_file = values->ssl_quorum_key[0] ? values->ssl_quorum_key : values->ssl_quorum_cert,
        .ca_file = values->ssl_quorum_ca[0] ? values->ssl_quorum_ca : NULL,
        .verify_peer = values->ssl_quorum_ca[0] != '\0'};
    return RT_OK;
}

static void own_ports_print(const struct meta_zoo_config *config, struct rt_buf *text) {
    struct meta_server_line line;
    const struct meta_member *own = own_member(config);
    if (!own || meta_server_line_parse(rt_bytes_of(own->address), &line, NULL)) return;
    rt_buf_print(text, "electionPort=%u\nquorumPort=%u\npeerType=%d\n",
                 (unsigned)line.election_port, (unsigned)line.peer_port, line.is_observer);
}

static void effective_print(struct meta_zoo_config *config) {
    struct rt_buf text = {0};
    const struct meta_zoo_values *values = &config->values;
    int64_t min = values->session_timeout_min_ms, max = values->session_timeout_max_ms;
    rt_buf_print(&text, "clientPort=%" PRId64 "\nsecureClientPort=%" PRId64 "\ndataDir=%s\n",
                 values->client_port, values->secure_client_port, values->data_dir);
    rt_buf_print(&text, "dataLogDir=%s\ntickTime=%" PRId64 "\n", values->data_dir, values->tick_ms);
    rt_buf_print(&text,
                 "maxClientCnxns=%" PRId64 "\nminSessionTimeout=%" PRId64
                 "\nmaxSessionTimeout=%" PRId64 "\nclientPortListenBacklog=-1\nserverId=%" PRIu64
                 "\n",
                 values->connections_per_host_max, min > 0 ? min : 2 * values->tick_ms,
                 max > 0 ? max : 20 * values->tick_ms, config->member_count ? config->node_id : 0);
    if (config->member_count > 1) {
        rt_buf_print(&text, "initLimit=%" PRId64 "\nsyncLimit=%" PRId64 "\nelectionAlg=3\n",
                     values->init_limit, values->sync_limit);
        own_ports_print(config, &text);
    }
    rt_free(config->effective);
    config->effective = rt_alloc(text.size + 1);
    memcpy(config->effective, text.data, text.size);
    config->effective[text.size] = '\0';
    rt_buf_fini(&text);
}

// The server lines may stand in a file of their own, and then do nowhere else.
static rt_err dynamic_load(struct meta_zoo_config *config, struct rt_config_report *report) {
    static const struct rt_option_table nothing_else = {.name = "dynamicConfigFile"};
    const char *path = config->values.dynamic_config_file;
    struct lines lines = {{line_take}, config, true};
    const struct rt_config_source source = {.file = path, .extra = &lines.extra};
    char unused;
    if (!path[0]) return RT_OK;
    if (config->member_count)
        return report_say(report, "server lines have to be in the dynamicConfigFile");
    return rt_config_load(&nothing_else, &unused, &source, report, NULL, NULL);
}

static rt_err voters_check(const struct meta_zoo_config *config, struct rt_config_report *report) {
    unsigned voters = 0;
    for (unsigned i = 0; i < config->member_count; i++) voters += !config->members[i].is_observer;
    if (voters || !config->member_count) return RT_OK;
    return report_say(report, "all servers are observers; there has to be a participant");
}

rt_err meta_zoo_config_load(struct rt_machine *machine, const struct rt_config_source *source,
                            struct meta_zoo_config *config, struct rt_config_report *report) {
    struct lines lines = {{line_take}, config, false};
    struct rt_config_source with_lines = *source;
    *config = (struct meta_zoo_config){0};
    with_lines.extra = &lines.extra;
    rt_err err =
        rt_config_load(&meta_zoo_options, &config->values, &with_lines, report, NULL, NULL);
    if (!err) err = dynamic_load(config, report);
    if (!err) err = voters_check(config, report);
    if (!err) err = identify(machine, config, report);
    if (!err) client_port_find(config);
    if (!err) err = tls_fill(config, report);
    if (err) return RT_EINVAL;
    if (config->values.client_port < 0 && config->values.secure_client_port < 0)
        return report_say(report, "neither clientPort nor secureClientPort is set");
    effective_print(config);
    return RT_OK;
}

void meta_zoo_config_fini(struct meta_zoo_config *config) {
    rt_config_fini(&meta_zoo_options, &config->values);
    rt_free(config->effective);
    *config = (struct meta_zoo_config){0};
}
