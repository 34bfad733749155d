// zoo.cfg: every key that is taken, what is wrong said with file and line, who this node is.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "meta/server/node/zoo_config.h"
#include "runtime/mem.h"
#include "runtime/real/real.h"

enum { PATH_SIZE = 256, TEXT_SIZE = 8192 };

struct loaded {
    struct rt_machine *machine;
    char folder[64];
    struct meta_zoo_config config;
    struct rt_config_report report;
    const char *text;  // of the report
    rt_err err;
};

static void file_write(const struct loaded *l, const char *name, const char *text) {
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", l->folder, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static struct loaded start(void) {
    struct loaded l = {.folder = "/tmp/geminga-zoo-XXXXXX"};
    const struct rt_real_options options = {.loop_count = 1};
    cr_assert_not_null(mkdtemp(l.folder));
    cr_assert_eq(rt_real_open(&options, &l.machine, NULL), RT_OK);
    return l;
}

// dataDir is the folder unless the text has one.
static void load(struct loaded *l, const char *text) {
    char path[PATH_SIZE], whole[TEXT_SIZE];
    const char *const no_flags[] = {NULL};
    bool own = strstr(text, "dataDir=") != NULL;
    snprintf(whole, sizeof(whole), "%s%s%s%s", text, own ? "" : "\ndataDir=", own ? "" : l->folder,
             "\n");
    file_write(l, "zoo.cfg", whole);
    snprintf(path, sizeof(path), "%s/zoo.cfg", l->folder);
    const struct rt_config_source source = {.file = path, .argv = no_flags};
    l->err = meta_zoo_config_load(l->machine, &source, &l->config, &l->report);
    rt_buf_append(&l->report.text, RT_BYTES("", 1));
    l->text = (const char *)l->report.text.data;
}

static void remove_file(const struct loaded *l, const char *name) {
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", l->folder, name);
    remove(path);
}

static void end(struct loaded *l) {
    meta_zoo_config_fini(&l->config);
    rt_config_report_fini(&l->report);
    remove_file(l, "zoo.cfg");
    remove_file(l, "myid");
    remove_file(l, "zoo.cfg.dynamic");
    cr_assert_eq(rmdir(l->folder), 0);
    rt_real_close(l->machine);
}

static struct loaded loaded(const char *text) {
    struct loaded l = start();
    load(&l, text);
    return l;
}

static void check_fails(const char *text, const char *said) {
    struct loaded l = loaded(text);
    cr_assert_eq(l.err, RT_EINVAL, "%s", text);
    cr_assert_not_null(strstr(l.text, said), "%s: %s", text, l.text);
    cr_assert_geq(l.report.errors, 1);
    end(&l);
}

// KEYS

Test(meta_node_zoo_config, a_small_file_takes_zookeepers_defaults) {
    struct loaded l = loaded("clientPort=2181");
    const struct meta_zoo_values *v = &l.config.values;
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert_str_eq(l.text, "");
    cr_assert(v->client_port == 2181 && v->secure_client_port == -1);
    cr_assert(v->tick_ms == 3000 && v->init_limit == 10 && v->sync_limit == 5);
    cr_assert(v->session_timeout_min_ms == -1 && v->session_timeout_max_ms == -1);
    cr_assert(v->connections_per_host_max == 60 && v->connections_max == 0);
    cr_assert(v->outstanding_max == 1000 && v->frame_size_max == 1048575);
    cr_assert_str_eq(v->words, "srvr");
    cr_assert(v->force_sync && !v->skip_acl && !v->extended_types && !v->enforce_quota);
    cr_assert(!v->reconfig_enabled && v->standalone_enabled && !v->enforce_auth);
    cr_assert(v->admin_enabled && v->admin_port == 8080);
    cr_assert_str_eq(v->admin_address, "0.0.0.0");
    cr_assert(v->snap_count == 100000 && v->container_check_ms == 60000);
    cr_assert(v->container_reap_max == 10000 && v->container_never_used_ms == 300000);
    cr_assert(l.config.node_id == 1 && l.config.member_count == 0 && !l.config.has_client_tls);
    end(&l);
}

Test(meta_node_zoo_config, every_number_and_switch_is_taken) {
    struct loaded l = loaded(
        "clientPort=2182\nsecureClientPort=2282\nclientPortAddress=127.0.0.1\n"
        "secureClientPortAddress=::1\nssl.keyStore.location=/k.pem\n"
        "tickTime=2000\ninitLimit=11\nsyncLimit=6\nminSessionTimeout=5000\n"
        "maxSessionTimeout=50000\nmaxClientCnxns=7\nmaxCnxns=70\nglobalOutstandingLimit=500\n"
        "jute.maxbuffer=2097152\n4lw.commands.whitelist=*\nforceSync=no\nskipACL=yes\n"
        "extendedTypesEnabled=true\nenforceQuota=true\nreconfigEnabled=true\n"
        "standaloneEnabled=false\nenforce.auth.enabled=true\nenforce.auth.schemes=digest,ip\n"
        "admin.enableServer=false\nadmin.serverPort=8081\nadmin.serverAddress=127.0.0.1\n"
        "DigestAuthenticationProvider.superDigest=super:xyz\nsnapCount=2000\n"
        "znode.container.checkIntervalMs=1000\nznode.container.maxPerMinute=10\n"
        "znode.container.maxNeverUsedIntervalMs=7\ndataLogDir=/elsewhere\n"
        "geminga.cacheBytes=8M\ngeminga.nodeBytes=2M\ngeminga.electionMs=1500");
    const struct meta_zoo_values *v = &l.config.values;
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert(v->client_port == 2182 && v->secure_client_port == 2282);
    cr_assert_str_eq(v->client_address, "127.0.0.1");
    cr_assert_str_eq(v->secure_client_address, "::1");
    cr_assert(v->tick_ms == 2000 && v->init_limit == 11 && v->sync_limit == 6);
    cr_assert(v->session_timeout_min_ms == 5000 && v->session_timeout_max_ms == 50000);
    cr_assert(v->connections_per_host_max == 7 && v->connections_max == 70);
    cr_assert(v->outstanding_max == 500 && v->frame_size_max == 2 << 20);
    cr_assert_str_eq(v->words, "*");
    cr_assert(!v->force_sync && v->skip_acl && v->extended_types && v->enforce_quota);
    cr_assert(v->reconfig_enabled && !v->standalone_enabled && v->enforce_auth);
    cr_assert_str_eq(v->enforce_auth_schemes, "digest,ip");
    cr_assert(!v->admin_enabled && v->admin_port == 8081);
    cr_assert_str_eq(v->super_digest, "super:xyz");
    cr_assert(v->snap_count == 2000 && v->container_check_ms == 1000);
    cr_assert(v->container_reap_max == 10 && v->container_never_used_ms == 7);
    cr_assert(v->cache_bytes == 8 << 20 && v->node_bytes == 2 << 20 && v->election_ms == 1500);
    cr_assert_str_eq(v->data_log_dir, "/elsewhere");
    end(&l);
}

Test(meta_node_zoo_config, names_of_system_properties_mean_the_same) {
    struct loaded l = loaded(
        "clientPort=1\nzookeeper.4lw.commands.whitelist=ruok\nzookeeper.forceSync=no\n"
        "zookeeper.skipACL=yes\nzookeeper.extendedTypesEnabled=true\nzookeeper.enforceQuota=true\n"
        "zookeeper.enforce.auth.enabled=true\nzookeeper.enforce.auth.schemes=sasl\n"
        "zookeeper.admin.enableServer=false\njuteMaxbuffer=4096\n"
        "zookeeper.DigestAuthenticationProvider.superDigest=s:d");
    const struct meta_zoo_values *v = &l.config.values;
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert_str_eq(l.text, "");
    cr_assert_str_eq(v->words, "ruok");
    cr_assert_str_eq(v->super_digest, "s:d");
    cr_assert(!v->force_sync && v->skip_acl && v->extended_types && v->enforce_quota);
    cr_assert(v->enforce_auth && !v->admin_enabled && v->frame_size_max == 4096);
    end(&l);
}

Test(meta_node_zoo_config, keys_without_effect_here_are_taken_in_silence) {
    struct loaded l = loaded(
        "clientPort=1\nautopurge.purgeInterval=1\nautopurge.snapRetainCount=3\nelectionAlg=3\n"
        "peerType=participant\nleaderServes=yes\npreAllocSize=65536\n"
        "metricsProvider.className=org.apache.zookeeper.metrics.prometheus"
        ".PrometheusMetricsProvider\n"
        "metricsProvider.httpPort=7000\nquorumListenOnAllIPs=true\nsyncEnabled=true");
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert_eq(l.report.warnings, 0, "%s", l.text);
    end(&l);
}

Test(meta_node_zoo_config, an_unknown_key_is_warned_about_with_the_nearest_name) {
    struct loaded l = loaded("clientPort=1\ntickTme=2000");
    cr_assert_eq(l.err, RT_OK);
    cr_assert_eq(l.report.warnings, 1);
    cr_assert_not_null(strstr(l.text, "zoo.cfg:2: warning: "), "%s", l.text);
    cr_assert_not_null(strstr(l.text, "tickTme"), "%s", l.text);
    cr_assert_not_null(strstr(l.text, "did you mean tickTime"), "%s", l.text);
    end(&l);
}

Test(meta_node_zoo_config, bad_values_are_errors_with_file_line_and_key) {
    check_fails("clientPort=http", "zoo.cfg:1: error: clientPort");
    check_fails("clientPort=65536", "zoo.cfg:1: error: clientPort");
    check_fails("clientPort=1\ntickTime=0", "zoo.cfg:2: error: tickTime");
    check_fails("clientPort=1\ntickTime=-5", "zoo.cfg:2: error: tickTime");
    check_fails("clientPort=1\nmaxClientCnxns=many", "zoo.cfg:2: error: maxClientCnxns");
    check_fails("clientPort=1\njute.maxbuffer=12", "zoo.cfg:2: error: jute.maxbuffer");
    check_fails("clientPort=1\njute.maxbuffer=1G", "zoo.cfg:2: error: jute.maxbuffer");
    check_fails("clientPort=1\nforceSync=maybe", "zoo.cfg:2: error: forceSync");
    check_fails("clientPort=1\nsnapCount=1", "zoo.cfg:2: error: snapCount");
    check_fails("clientPort=1\nadmin.serverPort=70000", "zoo.cfg:2: error: admin.serverPort");
    check_fails("clientPort=1\nclientPort=2", "zoo.cfg:2: error: clientPort is set already");
}

Test(meta_node_zoo_config, all_that_is_wrong_is_said_at_once) {
    struct loaded l = loaded("clientPort=x\ntickTime=y\nserver.1=z");
    cr_assert_eq(l.err, RT_EINVAL);
    cr_assert_eq(l.report.errors, 3, "%s", l.text);
    end(&l);
}

Test(meta_node_zoo_config, a_client_port_there_has_to_be) {
    check_fails("tickTime=2000", "neither clientPort nor secureClientPort is set");
}

// SERVERS

#define THREE "server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888:observer;2183\n"

Test(meta_node_zoo_config, servers_are_members_and_myid_says_which) {
    struct loaded l = start();
    file_write(&l, "myid", "2\n");
    load(&l, "clientPort=2181\n" THREE);
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert(l.config.node_id == 2 && l.config.member_count == 3);
    cr_assert_str_eq(l.config.members[0].address, "a:2888:3888:participant");
    cr_assert(l.config.members[2].id == 3 && l.config.members[2].is_observer);
    cr_assert(!l.config.members[1].is_observer);
    end(&l);
}

Test(meta_node_zoo_config, the_client_port_may_stand_in_the_own_line) {
    struct loaded l = start();
    file_write(&l, "myid", "1");
    load(&l, "server.1=a:2888:3888;[::1]:2185\nserver.2=b:2888:3888;2186");
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert_eq(l.config.values.client_port, 2185);
    cr_assert_str_eq(l.config.values.client_address, "[::1]");
    end(&l);
}

static void check_myid(const char *myid, const char *said) {
    struct loaded l = start();
    if (myid) file_write(&l, "myid", myid);
    load(&l, "clientPort=2181\n" THREE);
    cr_assert_eq(l.err, RT_EINVAL);
    cr_assert_not_null(strstr(l.text, said), "%s", l.text);
    end(&l);
}

Test(meta_node_zoo_config, a_myid_that_is_missing_wrong_or_nobodys_is_an_error) {
    check_myid(NULL, "/myid");
    check_myid(NULL, "it holds the number N of this server's server.N");
    check_myid("", "is no number from 1 to 254");
    check_myid("two", "is no number from 1 to 254");
    check_myid("2x", "is no number from 1 to 254");
    check_myid("0", "is no number from 1 to 254");
    check_myid("255", "is no number from 1 to 254");
    check_myid("-1", "is no number from 1 to 254");
    check_myid("4", "there is no server.4 line for this server");
}

Test(meta_node_zoo_config, an_id_in_the_file_stands_in_for_myid) {
    struct loaded l = loaded("clientPort=2181\ngeminga.myid=3\n" THREE);
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert_eq(l.config.node_id, 3);
    end(&l);
}

Test(meta_node_zoo_config, one_server_line_is_a_cluster_of_one_without_myid) {
    struct loaded l = loaded("clientPort=2181\nserver.5=a:2888:3888");
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert(l.config.node_id == 5 && l.config.member_count == 1);
    end(&l);
}

Test(meta_node_zoo_config, bad_server_lines_are_errors) {
    check_fails("clientPort=1\nserver.1=a", "server.1: the peer port is not a port");
    check_fails("clientPort=1\nserver.0=a:1:2", "server.0: ids go from 1 to 254");
    check_fails("clientPort=1\nserver.255=a:1:2", "server.255: ids go from 1 to 254");
    check_fails("clientPort=1\nserver.=a:1:2", "ids go from 1 to 254");
    check_fails("clientPort=1\nserver.x=a:1:2", "ids go from 1 to 254");
    check_fails("clientPort=1\nserver.+1=a:1:2", "ids go from 1 to 254");
    check_fails("clientPort=1\nserver.1=a:1:2\nserver.1=b:1:2",
                "zoo.cfg:3: error: server.1: this server has a line already");
    check_fails("clientPort=1\ngeminga.myid=1\nserver.1=a:1:2:observer\nserver.2=b:1:2:observer",
                "all servers are observers; there has to be a participant");
}

Test(meta_node_zoo_config, more_servers_than_a_cluster_can_have_are_an_error) {
    struct rt_buf text = {0};
    rt_buf_print(&text, "clientPort=1\ngeminga.myid=1\n");
    for (unsigned i = 1; i <= RAFT_MEMBERS_MAX + 1; i++)
        rt_buf_print(&text, "server.%u=host%u:2888:3888\n", i, i);
    rt_buf_append(&text, RT_BYTES("", 1));
    check_fails((const char *)text.data, "server.33: too many servers");
    rt_buf_fini(&text);
}

Test(meta_node_zoo_config, another_quorum_than_that_of_one_vote_each_is_refused) {
    check_fails("clientPort=1\ngroup.1=1:2:3", "group.1: groups and weights are not supported");
    check_fails("clientPort=1\nweight.1=2", "weight.1: groups and weights are not supported");
    struct loaded l = loaded("clientPort=1\nweight.1=1\nweight.2=1");
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    end(&l);
}

// THE DYNAMIC FILE

static void load_dynamic(struct loaded *l, const char *dynamic, const char *text) {
    char whole[TEXT_SIZE];
    if (dynamic) file_write(l, "zoo.cfg.dynamic", dynamic);
    snprintf(whole, sizeof(whole), "dynamicConfigFile=%s/zoo.cfg.dynamic\ngeminga.myid=2\n%s",
             l->folder, text);
    load(l, whole);
}

Test(meta_node_zoo_config, server_lines_may_stand_in_the_dynamic_file) {
    struct loaded l = start();
    load_dynamic(&l, THREE "version=100000000\n", "clientPort=2181\n");
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert_str_eq(l.text, "");
    cr_assert(l.config.member_count == 3 && l.config.node_id == 2);
    end(&l);
}

Test(meta_node_zoo_config, a_dynamic_file_that_is_missing_or_wrong_is_an_error) {
    struct loaded missing = start();
    load_dynamic(&missing, NULL, "clientPort=2181\n");
    cr_assert_eq(missing.err, RT_EINVAL);
    cr_assert_not_null(strstr(missing.text, "zoo.cfg.dynamic"), "%s", missing.text);
    end(&missing);
    struct loaded wrong = start();
    load_dynamic(&wrong, "server.2=b\n", "clientPort=2181\n");
    cr_assert_eq(wrong.err, RT_EINVAL);
    cr_assert_not_null(strstr(wrong.text, "zoo.cfg.dynamic:1: error: server.2: "), "%s",
                       wrong.text);
    end(&wrong);
}

Test(meta_node_zoo_config, servers_in_both_files_are_an_error) {
    struct loaded l = start();
    load_dynamic(&l, THREE, "clientPort=2181\nserver.2=b:2888:3888\n");
    cr_assert_eq(l.err, RT_EINVAL);
    cr_assert_not_null(strstr(l.text, "server lines have to be in the dynamicConfigFile"), "%s",
                       l.text);
    end(&l);
}

// TLS, AND WHAT conf PRINTS

Test(meta_node_zoo_config, tls_takes_pem_files_and_says_so_of_others) {
    check_fails("secureClientPort=2281", "secureClientPort needs ssl.keyStore.location");
    check_fails("clientPort=1\nsslQuorum=true", "sslQuorum needs ssl.quorum.keyStore.location");
    check_fails("secureClientPort=1\nssl.keyStore.location=/a/b.jks", "key stores of Java");
    check_fails("clientPort=1\nssl.trustStore.location=/a/b.p12", "openssl pkcs12");
    struct loaded l = loaded(
        "secureClientPort=2281\nssl.keyStore.location=/k.pem\n"
        "ssl.trustStore.location=/ca.pem\nsslQuorum=true\n"
        "ssl.quorum.keyStore.location=/q.pem\nssl.quorum.key.location=/qk.pem");
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    cr_assert(l.config.has_client_tls && l.config.client_tls.verify_peer);
    cr_assert_str_eq(l.config.client_tls.key_file, "/k.pem");
    cr_assert_str_eq(l.config.client_tls.ca_file, "/ca.pem");
    cr_assert_str_eq(l.config.peer_tls.cert_file, "/q.pem");
    cr_assert_str_eq(l.config.peer_tls.key_file, "/qk.pem");
    cr_assert_null(l.config.peer_tls.ca_file);
    end(&l);
    l = loaded(
        "secureClientPort=2281\nssl.keyStore.location=/k.pem\n"
        "ssl.trustStore.location=/ca.pem\nssl.clientAuth=none");
    cr_assert_not(l.config.client_tls.verify_peer);
    end(&l);
}

Test(meta_node_zoo_config, the_effective_configuration_is_what_conf_prints) {
    struct loaded l = start();
    file_write(&l, "myid", "1");
    load(&l, "clientPort=2181\ntickTime=2000\n" THREE);
    cr_assert_eq(l.err, RT_OK, "%s", l.text);
    const char *const lines[] = {
        "clientPort=2181\n",   "secureClientPort=-1\n",    "tickTime=2000\n",
        "maxClientCnxns=60\n", "minSessionTimeout=4000\n", "maxSessionTimeout=40000\n",
        "serverId=1\n",        "initLimit=10\n",           "syncLimit=5\n",
        "electionPort=3888\n", "quorumPort=2888\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        cr_assert_not_null(strstr(l.config.effective, lines[i]), "%s in %s", lines[i],
                           l.config.effective);
    end(&l);
}
