// `geminga bookie`: a storage node from a BookKeeper configuration.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bookie/server/node/node.h"
#include "cli/command.h"
#include "runtime/host.h"
#include "runtime/latch.h"
#include "runtime/log.h"
#include "runtime/machine_metrics.h"
#include "runtime/process_metrics.h"
#include "runtime/real/real.h"

static const char command_name[] = "bookie";

enum { FLAGS_MAX = 256 };

struct process {
    struct rt_config_report report;
    struct bookie_config config;
    char host[RT_HOST_TEXT_SIZE];
    struct rt_log *log;
    struct rt_machine *machine;
    struct bookie_node *node;
    struct rt_http_owner owner;
    struct rt_signals signals;
    struct rt_task closed, said;
    struct rt_latch *stopped;
    bool closing, has_failed;
};

static void node_closed(struct rt_task *task) {
    struct process *p = rt_container_of(task, struct process, closed);
    rt_log_info("bookie", "stopped");
    rt_latch_open(p->stopped);
}

static void stop(struct process *p) {
    if (p->closing) return;
    p->closing = true;
    rt_task_init(&p->closed, node_closed, "bookie.closed");
    bookie_node_close(p->node, &p->closed);
}

static void on_stop(struct rt_signals *signals, int number) {
    struct process *p = rt_container_of(signals, struct process, signals);
    rt_log_info("bookie", "stopping signal=%d", number);
    stop(p);
}

static void on_reload(struct rt_signals *signals) {
    rt_log_reopen(rt_container_of(signals, struct process, signals)->log);
}

static void stop_run(struct rt_task *task) {
    stop(rt_container_of(task, struct process, said));
}

// The log says what; the process ends, so that whoever supervises it knows.
static void on_failed(struct bookie_node *node, rt_err err, const char *what) {
    struct process *p = rt_container_of(bookie_node_owner(node), struct process, owner);
    fprintf(stderr, "geminga bookie: %s: %s\n", what, rt_err_text(err));
    p->has_failed = true;
    rt_task_init(&p->said, stop_run, "bookie.stop");
    rt_defer(p->machine->loops[0], &p->said);
}

// stdout may be closed or a full disk: whoever does not read the line does not miss it.
static void on_serving(struct bookie_node *node) {
    struct process *p = rt_container_of(bookie_node_owner(node), struct process, owner);
    printf("geminga bookie is ready port=%u http=%u id=%s data=%s pid=%d start_ms=%" PRIu64 "\n",
           bookie_node_port(node), bookie_node_http_port(node), bookie_node_id(node),
           p->config.ledger_dirs[0], rt_process_id(), rt_process_age_ms());
    fflush(stdout);
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
    const struct bookie_node_options options = {.config = &p->config,
                                                .version = cli_version(),
                                                .host = p->host,
                                                .failed = on_failed,
                                                .serving = on_serving,
                                                .owner = &p->owner};
    struct rt_machine_metrics *machine = rt_machine_metrics_new(p->machine);
    struct rt_process_metrics *process = rt_process_metrics_new(p->machine->metrics, cli_version());
    rt_err err = bookie_node_open_now(p->machine, &options, &p->node, why);
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

static rt_err machine_open(struct process *p, struct rt_why *why) {
    const struct rt_log_options log = {.level = RT_LOG_INFO};
    struct rt_real_options machine = {.loop_count = 1};
    rt_err err = rt_log_open(&log, &p->log, why);
    machine.log = p->log;
    return err ? err : rt_real_open(&machine, &p->machine, why);
}

// Exits at once where opening failed half way: the system takes back what was opened.
static int serve_with(const struct rt_config_source *source) {
    struct process *p = RT_NEW(struct process);
    struct rt_why why = {{0}};
    rt_signals_block();
    p->owner.name = command_name;
    rt_host_address(p->host);
    if (bookie_config_load(source, &p->config, &p->report)) {
        cli_print_report(command_name, &p->report);
        return CLI_USAGE;
    }
    rt_err err = machine_open(p, &why);
    if (!err) {
        report_log(&p->report);
        err = node_run(p, &why);
    }
    if (err) {
        fprintf(stderr, "geminga bookie: %s\n", why.text);
        return CLI_FAILED;
    }
    int status = p->has_failed ? CLI_FAILED : CLI_OK;
    rt_real_close(p->machine);
    bookie_config_fini(&p->config);
    rt_config_report_fini(&p->report);
    rt_log_close(p->log);
    rt_free(p);
    return status;
}

// --config FILE or --config=FILE, or the first argument that is no flag; the rest are keys.
static int run_bookie(const struct cli_call *call) {
    const char *flags[FLAGS_MAX];
    struct rt_config_source source = {.environment = call->environment, .argv = flags};
    for (int i = 0; i < call->argc; i++) {
        const char *argument = call->argv[i];
        if (strcmp(argument, "--config") == 0 && i + 1 < call->argc) {
            source.file = call->argv[++i];
        } else if (strncmp(argument, "--config=", 9) == 0) {
            source.file = argument + 9;
        } else if (argument[0] != '-' && !source.file && (i == 0 || call->argv[i - 1][0] != '-')) {
            source.file = argument;
        } else if (source.argc < FLAGS_MAX) {
            flags[source.argc++] = argument;
        }
    }
    return serve_with(&source);
}

const struct cli_command cli_command_bookie = {
    .name = command_name,
    .summary = "Store entries for BookKeeper clients.",
    .usage = "[--config] BOOKKEEPER.CONF [FLAGS]",
    .about =
        "Serves from a BookKeeper configuration; keys of the file are flags too. One line on\n"
        "stdout says so once the bookie is registered. The metadata of a new cluster is made by\n"
        "'geminga init'.",
    .options = &bookie_options,
    .run = run_bookie,
};
