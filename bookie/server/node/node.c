#include "bookie/server/node/node.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bookie/server/node/node_internal.h"
#include "runtime/log.h"

enum { ADDRESS_SIZE = 320, ID_SIZE = 512 };

// THE STATE OF THE WHOLE

bool bookie_node_is_read_only(const struct bookie_node *node) {
    return node->forced_read_only || (node->disks && bookie_disks_read_only(node->disks));
}

static void read_only_apply(struct bookie_node *node) {
    bool read_only = bookie_node_is_read_only(node);
    struct rt_disk_space space = bookie_disks_space(node->disks);
    bool room = space.free_bytes >= node->options.config->values.usable_for_recovery;
    if (node->core) bookie_core_set_read_only(node->core, read_only, room);
    if (node->registrar) bookie_registrar_set_read_only(node->registrar, read_only);
}

void bookie_node_force_read_only(struct bookie_node *node, bool read_only) {
    node->forced_read_only = read_only || node->options.config->values.force_read_only;
    read_only_apply(node);
}

void bookie_node_fail(struct bookie_node *node, rt_err err, const char *what) {
    if (node->has_failed || node->closed) return;
    node->has_failed = true;
    rt_log_error("bookie", "stops reason=\"%s: %s\"", what, rt_err_text(err));
    node->options.failed(node, err, what);
}

static void disks_looked(struct bookie_disks_events *events, bool read_only) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, disks_events);
    unsigned count;
    const struct bookie_disk *disks = bookie_disks_all(node->disks, &count);
    for (unsigned i = 0; i < count && node->store; i++)
        bookie_store_dir_set_full(node->store, i, disks[i].is_full);
    if (read_only && !node->options.config->values.read_only_enabled)
        return bookie_node_fail(node, RT_ENOSPACE, "the disks are full");
    read_only_apply(node);
}

static void disks_failed(struct bookie_disks_events *events, rt_err err, const char *what) {
    bookie_node_fail(rt_container_of(events, struct bookie_node, disks_events), err, what);
}

static void space_tell(struct bookie_server_events *events, uint64_t *total_bytes,
                       uint64_t *free_bytes) {
    const struct bookie_node *node = rt_container_of(events, struct bookie_node, server_events);
    struct rt_disk_space space = bookie_disks_space(node->disks);
    *total_bytes = space.total_bytes;
    *free_bytes = space.free_bytes;
}

// SERVING

static void registered(struct bookie_registrar_events *events, bool read_only) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, registrar_events);
    (void)read_only;
    if (node->served) return;
    node->served = true;
    if (node->options.serving) node->options.serving(node);
}

static void registration_lost(struct bookie_registrar_events *events) {
    (void)events;  // clients find it by the connections they have; it comes back by itself
}

static void registration_failed(struct bookie_registrar_events *events, rt_err err,
                                const char *what) {
    bookie_node_fail(rt_container_of(events, struct bookie_node, registrar_events), err, what);
}

static void address_print(char address[ADDRESS_SIZE], const char *host, int64_t port) {
    bool is_v6 = strchr(host, ':') && host[0] != '[';
    snprintf(address, ADDRESS_SIZE, "tcp://%s%.250s%s:%d", is_v6 ? "[" : "",
             host[0] ? host : "0.0.0.0", is_v6 ? "]" : "", (int)port);
}

static rt_err server_open(struct bookie_node *node, struct rt_why *why) {
    const struct bookie_values *values = &node->options.config->values;
    char address[ADDRESS_SIZE];
    address_print(address, values->listening_interface, values->port);
    node->server_events.space = space_tell;
    const struct bookie_server_options options = {.listen = address,
                                                  .frame_size_max = (size_t)values->frame_size_max,
                                                  .events = &node->server_events};
    node->server = bookie_server_new(node->machine, node->loop, &options, node->core);
    rt_err err = bookie_server_listen(node->server, why);
    return err ? rt_why_prefix(why, err, "bookiePort") : RT_OK;
}

// Where clients reach it: the endpoint that resolvers look for is the one with protocol bookie-rpc.
static void info_make(const struct bookie_node *node, struct rt_buf *out) {
    const struct proto_bookie_endpoint endpoints[] = {
        {.id = RT_BYTES_LITERAL("bookie"),
         .host = rt_bytes_of(node->host),
         .protocol = RT_BYTES_LITERAL("bookie-rpc"),
         .port = bookie_server_port(node->server)},
        {.id = RT_BYTES_LITERAL("httpserver"),
         .host = rt_bytes_of(node->host),
         .protocol = RT_BYTES_LITERAL("http"),
         .port = node->http ? rt_http_server_port(node->http) : 0}};
    const struct proto_bookie_info info = {.endpoints = endpoints,
                                           .endpoint_count = node->http ? 2 : 1};
    proto_bookie_info_encode(&info, out);
}

static rt_err register_start(struct bookie_node *node, struct rt_why *why) {
    const struct bookie_config *config = node->options.config;
    struct rt_buf info = {0};
    info_make(node, &info);
    node->registrar_events = (struct bookie_registrar_events){
        .registered = registered, .lost = registration_lost, .failed = registration_failed};
    const struct bookie_registrar_options options = {.servers = config->servers,
                                                     .root = config->root,
                                                     .bookie_id = node->id,
                                                     .session_timeout_ms =
                                                         config->values.zk_timeout_ms,
                                                     .info = rt_buf_bytes(&info),
                                                     .read_only = bookie_node_is_read_only(node),
                                                     .events = &node->registrar_events};
    rt_err err = bookie_registrar_open(node->loop, &options, &node->registrar, why);
    rt_buf_fini(&info);
    return err;
}

// Like BookKeeper's, a bookie whose HTTP port is taken does not start.
static rt_err http_open(struct bookie_node *node, struct rt_why *why) {
    const struct bookie_values *values = &node->options.config->values;
    char address[ADDRESS_SIZE];
    if (!values->http_enabled) return RT_OK;
    address_print(address, values->http_address, values->http_port);
    const struct rt_http_options options = {.owner = &node->http_owner};
    rt_err err = rt_http_server_open(node->loop, address, bookie_admin_routes,
                                     bookie_admin_route_count, &options, &node->http, why);
    return err ? rt_why_prefix(why, err, "httpServerPort") : RT_OK;
}

void bookie_node_storage_opened(struct bookie_node *node) {
    struct rt_why why = {{0}};
    if (node->closed) return;
    rt_err err = server_open(node, &why);
    if (!err) err = register_start(node, &why);
    if (err) return bookie_node_fail(node, err, why.text);
    node->phase = BOOKIE_RUNNING;
    node->metrics = bookie_metrics_new(node);
    read_only_apply(node);
}

static void enrolled(struct bookie_enroll_events *events, rt_err err, const char *why) {
    struct bookie_node *node = rt_container_of(events, struct bookie_node, enroll_events);
    node->enroll = NULL;
    if (node->closed) {
        rt_defer(node->loop, &node->part_closed);
        return;
    }
    if (err) return bookie_node_fail(node, err, why);
    node->phase = BOOKIE_OPENING;
    bookie_node_storage_open(node);
}

static void start_run(struct rt_task *task) {
    struct bookie_node *node = rt_container_of(task, struct bookie_node, start);
    struct rt_why why = {{0}};
    if (node->closed) return;
    rt_err err = bookie_enroll_start(node->machine, node->loop, node->options.config,
                                     &node->cookies, &node->enroll_events, &node->enroll, &why);
    if (err) bookie_node_fail(node, err, why.text);
}

// OPENING

static bool is_loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0;
}

static rt_err identify(struct bookie_node *node, struct rt_why *why) {
    const struct bookie_values *values = &node->options.config->values;
    const char *host = values->advertised_address;
    char id[ID_SIZE];
    if (!host[0]) host = values->listening_interface;
    if (!host[0] || strcmp(host, "0.0.0.0") == 0) host = node->options.host;
    node->host = rt_strdup(host);
    if (!values->allow_loopback && is_loopback(host))
        return rt_why_set(why, RT_EADDRESS,
                          "'%s' cannot be reached from elsewhere: set advertisedAddress, or "
                          "allowLoopback for a bookie that only this computer uses",
                          host);
    if (!values->bookie_id[0] && values->port == 0)
        return rt_why_set(why, RT_EINVAL,
                          "bookiePort 0 needs a bookieId: ledgers name bookies by it");
    snprintf(id, sizeof(id), "%.400s:%d", host, (int)values->port);
    node->id = rt_strdup(values->bookie_id[0] ? values->bookie_id : id);
    if (proto_bookie_id_is_valid(rt_bytes_of(node->id))) return RT_OK;
    return rt_why_set(why, RT_EINVAL,
                      "'%.200s' is no bookieId: letters, digits, . - _ and :", node->id);
}

static rt_err directories_lock(struct bookie_node *node, struct rt_why *why) {
    const struct bookie_config *config = node->options.config;
    rt_err err = bookie_cookies_open_now(node->machine, config, node->id, &node->cookies, why);
    for (unsigned i = 0; i < node->cookies.count && !err; i++) {
        const char *path = node->cookies.dirs[i].path;
        err = rt_dir_lock_now(node->machine, path, &node->locks[node->lock_count], why);
        if (!err) node->lock_count++;
        if (err) err = rt_why_prefix(why, err, "%s", path);
    }
    return err;
}

static void parts_free(struct bookie_node *node) {
    while (node->lock_count) rt_dir_unlock(node->locks[--node->lock_count]);
    bookie_cookies_fini(&node->cookies);
    rt_free(node->id);
    rt_free(node->host);
    rt_free(node);
}

static void part_closed(struct rt_task *task);

rt_err bookie_node_open_now(struct rt_machine *machine, const struct bookie_node_options *options,
                            struct bookie_node **node, struct rt_why *why) {
    struct bookie_node *self = RT_NEW(struct bookie_node);
    self->machine = machine;
    self->loop = rt_machine_loop(machine, 0);
    self->options = *options;
    self->http_owner.name = "bookie";
    self->opened_ns = rt_loop_clock(self->loop);
    self->forced_read_only = options->config->values.force_read_only;
    self->enroll_events.done = enrolled;
    self->disks_events =
        (struct bookie_disks_events){.looked = disks_looked, .failed = disks_failed};
    rt_task_init(&self->part_closed, part_closed, "bookie.close");
    rt_err err = identify(self, why);
    if (!err) err = directories_lock(self, why);
    if (!err)
        err = bookie_disks_open_now(machine, self->loop, options->config, &self->disks_events,
                                    &self->disks, why);
    if (!err) err = http_open(self, why);
    *node = err ? NULL : self;
    if (err) return err;  // what was opened is given back by the end of the process
    rt_task_init(&self->start, start_run, "bookie.start");
    rt_post(self->loop, &self->start);
    return RT_OK;
}

// FACTS

struct rt_http_owner *bookie_node_owner(const struct bookie_node *node) {
    return node->options.owner;
}

const char *bookie_node_id(const struct bookie_node *node) {
    return node->id;
}

uint16_t bookie_node_port(const struct bookie_node *node) {
    return node->server ? bookie_server_port(node->server) : 0;
}

uint16_t bookie_node_http_port(const struct bookie_node *node) {
    return node->http ? rt_http_server_port(node->http) : 0;
}

// CLOSING: each part is taken from the node, closed, and waited for; the next one follows.

static void http_closed(struct rt_http_closing *closing) {
    struct bookie_node *node = rt_container_of(closing, struct bookie_node, http_closing);
    rt_defer(node->loop, &node->part_closed);
}

static bool journal_close(struct bookie_node *node) {
    for (unsigned i = 0; i < node->journal_count; i++) {
        struct bookie_journal *journal = node->journals[i];
        node->journals[i] = NULL;
        if (!journal) continue;
        bookie_journal_close(journal, &node->part_closed);
        return true;
    }
    return false;
}

#define TAKE(field) \
    node->field;    \
    node->field = NULL

static bool front_close(struct bookie_node *node) {
    if (node->registrar) {
        struct bookie_registrar *registrar = TAKE(registrar);
        bookie_registrar_close(registrar, &node->part_closed);
    } else if (node->server) {
        struct bookie_server *server = TAKE(server);
        bookie_server_close(server, &node->part_closed);
    } else if (node->http) {
        struct rt_http_server *http = TAKE(http);
        node->http_closing.closed = http_closed;
        rt_http_server_close(http, &node->http_closing);
    } else if (node->disks) {
        struct bookie_disks *disks = TAKE(disks);
        bookie_disks_close(disks, &node->part_closed);
    } else {
        return false;
    }
    return true;
}

// The store's flush needs the journals' marks, so they go last.
static bool back_close(struct bookie_node *node) {
    if (node->core) {
        struct bookie_core *core = TAKE(core);
        bookie_core_close(core, &node->part_closed);
    } else if (node->store) {
        struct bookie_store *store = TAKE(store);
        bookie_store_close(store, &node->part_closed);
    } else {
        return journal_close(node);
    }
    return true;
}

static void part_closed(struct rt_task *task) {
    struct bookie_node *node = rt_container_of(task, struct bookie_node, part_closed);
    if (node->enroll) return;  // enrolled() comes here again
    if (front_close(node) || back_close(node)) return;
    rt_defer(node->loop, node->closed);
    parts_free(node);
}

void bookie_node_close(struct bookie_node *node, struct rt_task *closed) {
    assert(!node->closed);
    node->closed = closed;
    node->phase = BOOKIE_CLOSING;
    bookie_metrics_free(node->metrics);
    node->metrics = NULL;
    if (node->enroll)
        bookie_enroll_stop(node->enroll);
    else
        rt_defer(node->loop, &node->part_closed);
}
