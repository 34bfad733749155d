// `geminga meta`: a metadata server from a ZooKeeper configuration, and the operator's verbs.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/http_fetch.h"
#include "meta/server/node/node.h"
#include "runtime/host.h"
#include "runtime/latch.h"
#include "runtime/log.h"
#include "runtime/machine_metrics.h"
#include "runtime/process_metrics.h"
#include "runtime/real/real.h"

static const char command_name[] = "meta";

enum { TARGET_SIZE = 512, FLAGS_MAX = 256 };

// SERVING

struct process {
    struct rt_config_report report;
    struct meta_zoo_config config;
    struct rt_log *log;
    struct rt_machine *machine;
    struct meta_node *node;
    struct rt_http_owner owner;
    struct rt_signals signals;
    struct rt_task closed, said;
    struct rt_latch *stopped;
    bool closing, has_failed;
};

static void node_closed(struct rt_task *task) {
    struct process *p = rt_container_of(task, struct process, closed);
    rt_log_info("meta", "stopped");
    rt_latch_open(p->stopped);
}

static void stop(struct process *p) {
    if (p->closing) return;
    p->closing = true;
    rt_task_init(&p->closed, node_closed, "meta.closed");
    meta_node_close(p->node, &p->closed);
}

static void on_stop(struct rt_signals *signals, int number) {
    struct process *p = rt_container_of(signals, struct process, signals);
    rt_log_info("meta", "stopping signal=%d", number);
    stop(p);
}

static void on_reload(struct rt_signals *signals) {
    rt_log_reopen(rt_container_of(signals, struct process, signals)->log);
}

static void stop_run(struct rt_task *task) {
    stop(rt_container_of(task, struct process, said));
}

// The log says what; the process ends, so that whoever supervises it knows.
static void on_failed(struct meta_node *node, rt_err err, const char *what) {
    struct process *p = rt_container_of(meta_node_owner(node), struct process, owner);
    fprintf(stderr, "geminga meta: %s: %s\n", what, rt_err_text(err));
    p->has_failed = true;
    rt_task_init(&p->said, stop_run, "meta.stop");
    rt_defer(p->machine->loops[0], &p->said);
}

// stdout may be closed or a full disk: whoever does not read the line does not miss it.
static void on_serving(struct meta_node *node) {
    struct process *p = rt_container_of(meta_node_owner(node), struct process, owner);
    printf("geminga meta is ready client=%u secure=%u admin=%u id=%" PRIu64
           " data=%s pid=%d start_ms=%" PRIu64 "\n",
           meta_node_client_port(node), meta_node_secure_port(node), meta_node_admin_port(node),
           p->config.node_id, p->config.values.data_dir, rt_process_id(), rt_process_age_ms());
    fflush(stdout);
    rt_process_code_release();
}

static void serve(struct process *p) {
    p->stopped = rt_latch_new();
    p->signals = (struct rt_signals){.on_stop = on_stop, .on_reload = on_reload};
    rt_real_start(p->machine);
    rt_signals_start(&p->signals, p->machine->loops[0]);
    rt_latch_wait(p->stopped);
    rt_signals_stop(&p->signals);
    rt_latch_free(p->stopped);
}

static rt_err node_run(struct process *p, struct rt_why *why) {
    const struct meta_node_options options = {.config = &p->config,
                                              .version = cli_version(),
                                              .failed = on_failed,
                                              .serving = on_serving,
                                              .owner = &p->owner};
    struct rt_machine_metrics *machine = rt_machine_metrics_new(p->machine);
    struct rt_process_metrics *process = rt_process_metrics_new(p->machine->metrics, cli_version());
    rt_err err = meta_node_open_now(p->machine, &options, &p->node, why);
    if (!err) serve(p);
    rt_process_metrics_free(process);
    rt_machine_metrics_free(machine);
    return err;
}

static void report_log(const struct rt_config_report *report) {
    const char *text = (const char *)report->text.data;
    for (size_t left = report->text.size; left > 0;) {
        const char *end = memchr(text, '\n', left);
        size_t size = end ? (size_t)(end - text) : left;
        rt_log_warn("config", "%.*s", (int)size, text);
        size += end ? 1 : 0;
        text += size;
        left -= size;
    }
}

// Exits at once where opening failed half way: the system takes back what was opened.
static int serve_with(const char *file, int argc, const char *const *argv) {
    struct process *p = RT_NEW(struct process);
    struct rt_why why = {{0}};
    const struct rt_config_source source = {.file = file, .argc = argc, .argv = argv};
    const struct rt_log_options log = {.level = RT_LOG_INFO};
    const struct rt_real_options machine = {.loop_count = 1};
    rt_signals_block();
    p->owner.name = "meta";
    rt_err err = rt_log_open(&log, &p->log, &why);
    struct rt_real_options with_log = machine;
    with_log.log = p->log;
    if (!err) err = rt_real_open(&with_log, &p->machine, &why);
    if (err) {
        fprintf(stderr, "geminga meta: %s\n", why.text);
        return CLI_FAILED;
    }
    err = meta_zoo_config_load(p->machine, &source, &p->config, &p->report);
    if (err) {
        cli_print_report(command_name, &p->report);
        return CLI_USAGE;
    }
    report_log(&p->report);
    err = node_run(p, &why);
    if (err) {
        fprintf(stderr, "geminga meta: %s\n", why.text);
        return CLI_FAILED;
    }
    int status = p->has_failed ? CLI_FAILED : CLI_OK;
    rt_real_close(p->machine);
    meta_zoo_config_fini(&p->config);
    rt_config_report_fini(&p->report);
    rt_log_close(p->log);
    rt_free(p);
    return status;
}

// --config FILE or --config=FILE, or the first argument that is no flag; the rest are keys.
static int run_serve(const struct cli_call *call) {
    const char *file = NULL, *flags[FLAGS_MAX];
    int count = 0;
    for (int i = 0; i < call->argc; i++) {
        const char *argument = call->argv[i];
        if (strcmp(argument, "--config") == 0 && i + 1 < call->argc) {
            file = call->argv[++i];
        } else if (strncmp(argument, "--config=", 9) == 0) {
            file = argument + 9;
        } else if (argument[0] != '-' && !file && (i == 0 || call->argv[i - 1][0] != '-')) {
            file = argument;
        } else if (count < FLAGS_MAX) {
            flags[count++] = argument;
        }
    }
    return serve_with(file, count, flags);
}

// THE OPERATOR'S VERBS

static const struct verb {
    const char *name, *method, *target;
    const char *arguments[2];  // names of the query, in the order of the arguments
} verbs[] = {
    {"status", "GET", "/meta/status", {NULL, NULL}},
    {"members", "GET", "/meta/members", {NULL, NULL}},
    {"dump", "GET", "/commands/dump", {NULL, NULL}},
    {"add", "POST", "/meta/add", {"id", "address"}},
    {"remove", "POST", "/meta/remove", {"id", NULL}},
    {"transfer", "POST", "/meta/transfer", {"to", NULL}},
    {"snapshot", "POST", "/meta/snapshot", {NULL, NULL}},
};
enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static const struct verb *verb_find(const char *name) {
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    }
    return NULL;
}

// What a server line is made of needs no escape but ';' and the like.
static void query_append(struct rt_buf *target, const char *name, const char *value) {
    rt_buf_print(target, "%c%s=", memchr(target->data, '?', target->size) ? '&' : '?', name);
    for (; *value; value++) {
        bool plain = (*value >= '0' && *value <= '9') || (*value >= 'a' && *value <= 'z') ||
                     (*value >= 'A' && *value <= 'Z') || *value == '.' || *value == '-';
        rt_buf_print(target, plain ? "%c" : "%%%02X", (unsigned char)*value);
    }
}

static int answer_print(const struct rt_buf *answer) {
    const char *text = (const char *)answer->data, *body = strstr(text, "\r\n\r\n");
    bool good = strncmp(text, "HTTP/1.", 7) == 0 && strncmp(text + 8, " 200", 4) == 0;
    fprintf(good ? stdout : stderr, "%s%s", good ? "" : "geminga meta: ", body ? body + 4 : text);
    if (!good) fprintf(stderr, "\n");
    return good ? CLI_OK : CLI_FAILED;
}

static int ask(const char *admin, const char *method, const struct rt_buf *target) {
    char address[HTTP_ADDRESS_SIZE];
    struct rt_real_options options = {.loop_count = 1, .worker_count = 1};
    struct rt_machine *machine;
    struct rt_why why = {{0}};
    struct rt_buf answer = {0};
    snprintf(address, sizeof(address), "tcp://%s", admin);
    if (rt_real_open(&options, &machine, &why)) {
        fprintf(stderr, "geminga meta: %s\n", why.text);
        return CLI_FAILED;
    }
    rt_real_start(machine);
    rt_err err = http_fetch(machine, address, method, (const char *)target->data, &answer);
    int status = CLI_FAILED;
    if (answer.size)
        status = answer_print(&answer);
    else
        fprintf(stderr, "geminga meta: %s: %s\n", admin,
                err ? rt_err_text(err) : "it closed the connection");
    rt_real_close(machine);
    rt_buf_fini(&answer);
    return status;
}

static int run_verb(const struct verb *verb, const struct cli_call *call) {
    const char *admin = "127.0.0.1:8080";
    struct rt_buf target = {0};
    unsigned given = 0;
    rt_buf_print(&target, "%s", verb->target);
    for (int i = 1; i < call->argc; i++) {
        const char *argument = call->argv[i];
        if (strcmp(argument, "--admin") == 0 && i + 1 < call->argc) {
            admin = call->argv[++i];
        } else if (strncmp(argument, "--admin=", 8) == 0) {
            admin = argument + 8;
        } else if (given < 2 && verb->arguments[given]) {
            query_append(&target, verb->arguments[given++], argument);
        } else {
            fprintf(stderr, "geminga meta %s: '%s' is not expected\n", verb->name, argument);
            rt_buf_fini(&target);
            return CLI_USAGE;
        }
    }
    rt_buf_append(&target, RT_BYTES("", 1));
    int status = ask(admin, verb->method, &target);
    rt_buf_fini(&target);
    return status;
}

static int run_meta(const struct cli_call *call) {
    const struct verb *verb = call->argc ? verb_find(call->argv[0]) : NULL;
    return verb ? run_verb(verb, call) : run_serve(call);
}

const struct cli_command cli_command_meta = {
    .name = command_name,
    .summary = "Serve metadata to ZooKeeper clients, or look after a cluster.",
    .usage = "[--config] ZOO.CFG [FLAGS] | VERB [ARGUMENTS] [--admin HOST:PORT]",
    .about =
        "With a ZooKeeper configuration it serves; keys of the file are flags too. One line on "
        "stdout\n"
        "says so once clients are served. The verbs ask a running server (admin.serverPort):\n"
        "  status               role, term and positions\n"
        "  members              who belongs to the cluster\n"
        "  dump                 sessions and their nodes\n"
        "  add ID ADDRESS       a member, host:peerPort:electionPort[:observer][;clientPort]\n"
        "  remove ID            a member\n"
        "  transfer [ID]        leadership\n"
        "  snapshot             take one now",
    .options = &meta_zoo_options,
    .run = run_meta,
};
