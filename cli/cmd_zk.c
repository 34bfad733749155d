// `geminga zk`: the metadata tree from a terminal, one command, or line by line from stdin.
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/zk_commands.h"
#include "runtime/latch.h"
#include "runtime/real/real.h"

struct zk_config {
    char *server;
    uint64_t timeout_ms;
    char *auth;
    char *tls_ca_file, *tls_cert_file, *tls_key_file;
    bool json;
};

static const struct rt_option options[] = {
    {.name = "server",
     .type = RT_OPTION_TEXT,
     .offset = offsetof(struct zk_config, server),
     .fallback = "127.0.0.1:2181",
     .help = "host:port[,host:port..][/chroot]."},
    {.name = "timeout",
     .type = RT_OPTION_DURATION,
     .offset = offsetof(struct zk_config, timeout_ms),
     .fallback = "30s",
     .min = 100,
     .max = 3600 * 1000,
     .unit_ns = RT_NS_PER_MS,
     .help = "Of the session, and the longest wait for an answer."},
    {.name = "json",
     .type = RT_OPTION_BOOL,
     .offset = offsetof(struct zk_config, json),
     .fallback = "false",
     .help = "One JSON object for each result, error and event."},
    {.name = "auth",
     .type = RT_OPTION_TEXT,
     .offset = offsetof(struct zk_config, auth),
     .fallback = "",
     .help = "scheme:credential, as digest:user:password."},
    {.name = "tlsCaFile",
     .type = RT_OPTION_TEXT,
     .offset = offsetof(struct zk_config, tls_ca_file),
     .fallback = "",
     .help = "Speaks TLS to servers whose certificates this one signed."},
    {.name = "tlsCertFile",
     .type = RT_OPTION_TEXT,
     .offset = offsetof(struct zk_config, tls_cert_file),
     .fallback = "",
     .help = "The certificate to show to them, if they want one."},
    {.name = "tlsKeyFile",
     .type = RT_OPTION_TEXT,
     .offset = offsetof(struct zk_config, tls_key_file),
     .fallback = "",
     .help = "Its key."},
};
static const struct rt_option_table table = {
    .name = "zk", .options = options, .count = sizeof(options) / sizeof(options[0])};

// LINES

enum { LINE_SIZE_MAX = 2 << 20 };

// False: the end. A line that is longer than any request is dropped.
static bool line_read(struct rt_buf *line) {
    rt_buf_clear(line);
    int c = 0;
    while ((c = getc(stdin)) != EOF && c != '\n') {
        uint8_t byte = (uint8_t)c;
        if (line->size <= LINE_SIZE_MAX) rt_buf_append(line, RT_BYTES(&byte, 1));
    }
    if (c == EOF && line->size == 0) return false;
    if (line->size > LINE_SIZE_MAX) {
        fprintf(stderr, "geminga zk: a line is too long\n");
        rt_buf_clear(line);
    }
    rt_buf_append(line, RT_BYTES("", 1));
    return true;
}

static void print_commands(void) {
    struct rt_buf help = {0};
    zk_commands_help(&help);
    fwrite(help.data, 1, help.size, stdout);
    printf("  help\n  quit\n");
    fflush(stdout);
    rt_buf_fini(&help);
}

// False: that was the last one.
static bool line_run(struct zk_shell *shell, const char *line) {
    struct zk_words words;
    const char *fault = zk_words_split(line, &shell->arena, &words);
    int status = CLI_OK;
    bool quits = false;
    if (fault) {
        fprintf(stderr, "geminga zk: %s\n", fault);
        status = CLI_USAGE;
    } else if (words.count > 0 && strcmp(words.items[0], "help") == 0) {
        print_commands();
    } else if (words.count > 0) {
        quits = strcmp(words.items[0], "quit") == 0 || strcmp(words.items[0], "exit") == 0;
        if (!quits) status = zk_command_run(shell, &words);
    }
    if (status != CLI_OK) shell->failed = true;
    rt_arena_clear(&shell->arena);
    return !quits && !shell->session.timed_out && !shell->session.expired &&
           !shell->session.auth_failed;
}

static int lines_run(struct zk_shell *shell) {
    struct rt_buf line = {0};
    while (line_read(&line) && line_run(shell, (const char *)line.data)) continue;
    rt_buf_fini(&line);
    return shell->failed ? CLI_FAILED : CLI_OK;
}

// ONE COMMAND

struct interrupt {
    struct rt_signals signals;
    struct rt_latch *stopped;
};

static void on_stop(struct rt_signals *signals, int signal_number) {
    (void)signal_number;  // all of them end the watch
    rt_latch_open(rt_container_of(signals, struct interrupt, signals)->stopped);
}

// A watch that was asked for alone goes on until somebody interrupts it.
static void wait_for_interrupt(struct zk_shell *shell) {
    struct interrupt interrupt = {.signals = {.on_stop = on_stop}, .stopped = rt_latch_new()};
    rt_signals_start(&interrupt.signals, shell->session.loop);
    rt_latch_wait(interrupt.stopped);
    rt_signals_stop(&interrupt.signals);
    rt_latch_free(interrupt.stopped);
}

static int command_run(struct zk_shell *shell, const char *const *arguments, int count) {
    struct zk_words words = {.count = 0};
    if (count > ZK_WORDS_MAX) {
        fprintf(stderr, "geminga zk: too many arguments\n");
        return CLI_USAGE;
    }
    for (int i = 0; i < count; i++) words.items[words.count++] = arguments[i];
    int status = zk_command_run(shell, &words);
    if (shell->watched) wait_for_interrupt(shell);
    return status;
}

// ARGUMENTS

// Our flags stand in front of the command, whose own flags are not in the table.
static int flags_end(const struct cli_call *call) {
    int at = 0;
    while (at < call->argc && strncmp(call->argv[at], "--", 2) == 0) {
        if (call->argv[at][2] == '\0') return at + 1;
        bool is_alone = strchr(call->argv[at], '=') || strcmp(call->argv[at], "--json") == 0;
        at += is_alone ? 1 : 2;
    }
    return at < call->argc ? at : call->argc;
}

static int run_in_session(const struct zk_config *config, const struct cli_call *call, int at) {
    struct rt_tls tls = {.ca_file = config->tls_ca_file,
                         .cert_file = config->tls_cert_file[0] ? config->tls_cert_file : NULL,
                         .key_file = config->tls_key_file[0] ? config->tls_key_file : NULL,
                         .verify_peer = true};
    struct zk_session_options session = {.servers = config->server,
                                         .timeout_ms = config->timeout_ms,
                                         .auth = config->auth,
                                         .tls = config->tls_ca_file[0] ? &tls : NULL};
    struct zk_shell shell = {.json = config->json};
    struct rt_why why = {{0}};
    bool is_watch = at < call->argc && strcmp(call->argv[at], "watch") == 0;
    if (is_watch) rt_signals_block();
    rt_err err = zk_session_open(&shell.session, &session, &why);
    if (err) {
        fprintf(stderr, "geminga zk: %s\n", why.text);
        return CLI_USAGE;
    }
    int status =
        at < call->argc ? command_run(&shell, call->argv + at, call->argc - at) : lines_run(&shell);
    zk_session_close(&shell.session);
    zk_answer_fini(&shell.answer);
    rt_arena_fini(&shell.arena);
    return status;
}

static int run_zk(const struct cli_call *call) {
    struct zk_config config;
    struct rt_config_report report = {.errors = 0};
    int at = flags_end(call);
    struct rt_config_source source = {
        .environment = call->environment, .argc = at, .argv = call->argv};
    rt_err err = rt_config_load(&table, &config, &source, &report, NULL, NULL);
    cli_print_report("zk", &report);
    rt_config_report_fini(&report);
    int status = err ? CLI_USAGE : run_in_session(&config, call, at);
    rt_config_fini(&table, &config);
    return status;
}

const struct cli_command cli_command_zk = {
    .name = "zk",
    .summary = "Look at and change the metadata of a ZooKeeper-compatible service.",
    .usage = "[FLAGS] [COMMAND ...]",
    .about =
        "Without a command, commands are read from stdin, one a line. They are:\n"
        "  ls [-s] [-R] PATH, get [-s] PATH, stat PATH, set [-s] [-v VERSION] PATH DATA,\n"
        "  create [-s] [-e | -c | -t TTL_MS] PATH [DATA [ACL]], rm [-v VERSION] PATH,\n"
        "  deleteall PATH, getAcl [-s] PATH, setAcl [-s] [-v VERSION] PATH ACL, sync PATH,\n"
        "  watch [-R] PATH (prints events until interrupted), whoami.",
    .options = &table,
    .run = run_zk,
};
