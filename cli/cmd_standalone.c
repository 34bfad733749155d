// The process around a standalone node: configuration, log, machine, signals.
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/standalone.h"
#include "cli/standalone_options.h"
#include "runtime/host.h"
#include "runtime/latch.h"
#include "runtime/log.h"
#include "runtime/machine_metrics.h"
#include "runtime/process_metrics.h"
#include "runtime/real/real.h"
#include "runtime/work.h"

static const char command_name[] = "standalone";

// SIGHUP reads the file again on a worker, and what may change takes effect on the loop.
struct reload {
    struct rt_work work;
    struct standalone_config fresh;
    struct rt_config_report report;
    rt_err err;
    bool running, again;
};

struct process {
    const struct cli_call *call;
    struct standalone_config config;
    struct rt_config_report report;
    struct rt_log *log;
    struct rt_machine *machine;
    struct rt_machine_metrics *machine_metrics;
    struct rt_process_metrics *process_metrics;
    struct standalone node;
    struct rt_task announce;
    struct rt_signals signals;
    struct reload reload;
    int stop_signal;
    bool node_closed, has_failed;
    struct rt_task fail;
    struct rt_latch *stopped;
};

// CONFIGURATION

static rt_err config_load(const struct cli_call *call, const char *file,
                          struct standalone_config *config, struct rt_config_report *report) {
    struct rt_config_source source = {
        .file = file, .environment = call->environment, .argc = call->argc, .argv = call->argv};
    return rt_config_load(&standalone_options, config, &source, report, NULL, NULL);
}

// Flags and environment say which file there is, so they are read once before it and once with it.
// Returns an exit status.
static int config_open(struct process *p) {
    rt_err err = config_load(p->call, NULL, &p->config, &p->report);
    bool has_file = !err && p->config.file[0] != '\0';
    if (err || !has_file) return err ? CLI_USAGE : CLI_OK;
    char *file = rt_strdup(p->config.file);
    rt_config_fini(&standalone_options, &p->config);
    rt_config_report_fini(&p->report);
    err = config_load(p->call, file, &p->config, &p->report);
    rt_free(file);
    return err ? CLI_FAILED : CLI_OK;
}

static void log_report(const struct rt_config_report *report, bool refused) {
    const char *text = (const char *)report->text.data;
    size_t left = report->text.size;
    while (left > 0) {
        const char *end = memchr(text, '\n', left);
        size_t size = end ? (size_t)(end - text) : left;
        enum rt_log_level level = refused ? RT_LOG_ERROR : RT_LOG_WARN;
        if (memmem(text, size, ": note: ", 8)) level = RT_LOG_INFO;
        rt_log_write(level, "config", "%.*s", (int)size, text);
        text += size + (end ? 1 : 0);
        left -= size + (end ? 1 : 0);
    }
}

// STOPPING: no new work, wait for what is in flight, then main frees.

static void maybe_stopped(struct process *p) {
    if (p->node_closed && !p->reload.running) rt_latch_open(p->stopped);
}

static void node_closed(struct standalone *node) {
    struct process *p = rt_container_of(node, struct process, node);
    p->node_closed = true;
    rt_log_info(command_name, "stopped signal=%d uptime_ms=%" PRIu64, p->stop_signal,
                standalone_uptime_ns(node) / RT_NS_PER_MS);
    maybe_stopped(p);
}

static void on_stop(struct rt_signals *signals, int signal_number) {
    struct process *p = rt_container_of(signals, struct process, signals);
    if (p->stop_signal) return;
    p->stop_signal = signal_number;
    if (!p->node.closed) standalone_close(&p->node, node_closed);
}

// RELOADING

static void reload_start(struct process *p);

static void reload_run(struct rt_work *work) {
    struct reload *reload = rt_container_of(work, struct reload, work);
    struct process *p = rt_container_of(reload, struct process, reload);
    rt_log_reopen(p->log);
    const char *file = p->config.file[0] != '\0' ? p->config.file : NULL;
    reload->err = config_load(p->call, file, &reload->fresh, &reload->report);
}

static void reload_done(struct rt_work *work) {
    struct reload *reload = rt_container_of(work, struct reload, work);
    struct process *p = rt_container_of(reload, struct process, reload);
    if (!reload->err) {
        rt_config_reload(&standalone_options, &p->config, &reload->fresh, &reload->report);
        rt_log_set_level(p->log, (enum rt_log_level)p->config.log_level);
    }
    log_report(&reload->report, reload->err);
    rt_log_info(command_name, "%s",
                reload->err ? "log reopened, configuration refused and left as it was"
                            : "log reopened, configuration read again");
    rt_config_report_fini(&reload->report);
    rt_config_fini(&standalone_options, &reload->fresh);
    reload->running = false;
    if (reload->again && !p->stop_signal) reload_start(p);
    if (p->stop_signal) maybe_stopped(p);
}

static void reload_start(struct process *p) {
    p->reload.running = true;
    p->reload.again = false;
    rt_work_submit(&p->reload.work, p->node.loop, reload_run, reload_done, "config reload");
}

static void on_reload(struct rt_signals *signals) {
    struct process *p = rt_container_of(signals, struct process, signals);
    if (p->stop_signal) return;
    p->reload.again = p->reload.running;
    if (!p->reload.running) reload_start(p);
}

// RUNNING

static void announce_run(struct rt_task *task) {
    struct process *p = rt_container_of(task, struct process, announce);
    log_report(&p->report, false);
    rt_log_info(command_name,
                "started version=%s data=%s meta=%s http=%s loops=%u memory_bytes=%" PRIu64,
                cli_version(), p->config.data_dir, p->node.meta_address, p->node.http_url,
                p->machine->loop_count, p->config.memory_bytes);
}

// stdout may be closed or a full disk: whoever does not read the line does not miss it.
static void on_serving(struct standalone *node) {
    const struct process *p = rt_container_of(node, struct process, node);
    printf("geminga standalone is ready meta=%s bookie=%s http=%s data=%s pid=%d start_ms=%" PRIu64
           "\n",
           p->node.meta_address, p->node.bookie_address, p->node.http_url, p->config.data_dir,
           rt_process_id(), rt_process_age_ms());
    fflush(stdout);
    rt_process_code_release();
}

static void fail_run(struct rt_task *task) {
    struct process *p = rt_container_of(task, struct process, fail);
    if (!p->node.closed) standalone_close(&p->node, node_closed);
}

// A disk that failed, for instance: the process ends, so that whoever supervises it knows.
static void on_failed(struct standalone *node, rt_err err, const char *what) {
    struct process *p = rt_container_of(node, struct process, node);
    fprintf(stderr, "geminga standalone: %s: %s\n", what, rt_err_text(err));
    p->has_failed = true;
    rt_task_init(&p->fail, fail_run, "standalone fail");
    rt_defer(p->node.loop, &p->fail);
}

static void serve(struct process *p) {
    p->stopped = rt_latch_new();
    p->signals = (struct rt_signals){.on_stop = on_stop, .on_reload = on_reload};
    rt_real_start(p->machine);
    rt_task_init(&p->announce, announce_run, "standalone announce");
    rt_real_call(p->node.loop, &p->announce);
    rt_signals_start(&p->signals, p->node.loop);
    rt_latch_wait(p->stopped);
    rt_signals_stop(&p->signals);
    rt_latch_free(p->stopped);
}

// OPENING: a ladder over log, machine and node.

static rt_err node_open(struct process *p, struct rt_why *why) {
    struct standalone_options options = {.data_dir = p->config.data_dir,
                                         .bind_address = p->config.bind_address,
                                         .http_port = (uint16_t)p->config.http_port,
                                         .meta_port = (uint16_t)p->config.meta_port,
                                         .bookie_port = (uint16_t)p->config.bookie_port,
                                         .version = cli_version(),
                                         .serving = on_serving,
                                         .failed = on_failed};
    return standalone_open_now(&p->node, p->machine, &options, why);
}

static rt_err machine_run(struct process *p, struct rt_why *why) {
    struct rt_real_options options = {.loop_count = (unsigned)p->config.loops,
                                      .memory_bytes = p->config.memory_bytes,
                                      .log = p->log};
    rt_err err = rt_real_open(&options, &p->machine, why);
    if (err) return rt_why_prefix(why, err, "machine");
    p->machine_metrics = rt_machine_metrics_new(p->machine);
    p->process_metrics = rt_process_metrics_new(p->machine->metrics, cli_version());
    err = node_open(p, why);
    if (!err) serve(p);
    rt_process_metrics_free(p->process_metrics);
    rt_machine_metrics_free(p->machine_metrics);
    rt_real_close(p->machine);
    return err;
}

static rt_err log_and_machine_run(struct process *p, struct rt_why *why) {
    struct rt_log_options options = {.level = (enum rt_log_level)p->config.log_level,
                                     .format = (enum rt_log_format)p->config.log_format,
                                     .path =
                                         p->config.log_file[0] != '\0' ? p->config.log_file : NULL};
    rt_err err = rt_log_open(&options, &p->log, why);
    if (err) {
        struct rt_why what = *why;
        return rt_why_set(why, err, "%.400s; choose another --log-file", what.text);
    }
    err = machine_run(p, why);
    rt_log_close(p->log);
    return err;
}

static int run_standalone(const struct cli_call *call) {
    rt_signals_block();
    struct process *p = RT_NEW(struct process);
    p->call = call;
    int status = config_open(p);
    if (status != CLI_OK) {
        cli_print_report(command_name, &p->report);
    } else {
        struct rt_why why = {{0}};
        rt_err err = log_and_machine_run(p, &why);
        if (err) fprintf(stderr, "geminga standalone: %s\n", why.text);
        if (err || p->has_failed) status = CLI_FAILED;
    }
    rt_config_report_fini(&p->report);
    rt_config_fini(&standalone_options, &p->config);
    rt_free(p);
    return status;
}

const struct cli_command cli_command_standalone = {
    .name = command_name,
    .summary = "Run everything in one process.",
    .usage = "[FLAGS]",
    .about =
        "When it serves, one line on stdout says so and where. The log is on stderr.\n"
        "SIGTERM and SIGINT stop it, SIGHUP reopens the log and reads the file again.",
    .options = &standalone_options,
    .run = run_standalone,
};
