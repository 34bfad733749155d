// `geminga init`: the metadata of a new cluster.
#include <stdio.h>
#include <string.h>

#include "bookie/server/node/bk_config.h"
#include "bookie/server/node/layout.h"
#include "cli/command.h"
#include "cli/zk_session.h"
#include "runtime/latch.h"

static const char command_name[] = "init";

struct init_config {
    char *metadata_uri;
    uint64_t timeout_ms;
    bool if_missing;
};

#define OPTION_AT(field) .offset = offsetof(struct init_config, field)

static const struct rt_option options[] = {
    {.name = "metadataServiceUri",
     .type = RT_OPTION_TEXT,
     OPTION_AT(metadata_uri),
     .fallback = "zk+hierarchical://localhost:2181/ledgers",
     .help = "Where the metadata is to be."},
    {.name = "timeout",
     .type = RT_OPTION_DURATION,
     OPTION_AT(timeout_ms),
     .fallback = "10000",
     .unit_ns = 1000000,
     .min = 1,
     .max = 3600000,
     .help = "How long to wait for an answer."},
    {.name = "ifMissing",
     .type = RT_OPTION_BOOL,
     OPTION_AT(if_missing),
     .fallback = "false",
     .help = "It is no error that there is a cluster already."},
};

static const struct rt_option_table table = {
    .name = "init", .options = options, .count = sizeof(options) / sizeof(options[0])};

struct making {
    struct bookie_layout layout;
    struct rt_machine *machine;
    struct rt_task start;
    struct rt_latch *made;
    rt_err err;
    struct rt_why why;
};

static void made(struct bookie_layout *layout, rt_err err, const char *why) {
    struct making *making = rt_container_of(layout, struct making, layout);
    making->err = err;
    snprintf(making->why.text, sizeof(making->why.text), "%s", why);
    rt_latch_open(making->made);
}

static void start(struct rt_task *task) {
    struct making *making = rt_container_of(task, struct making, start);
    bookie_layout_make(&making->layout, making->machine);
}

static rt_err layout_make(struct zk_session *session, const char *root, struct making *making) {
    making->layout = (struct bookie_layout){.client = session->client, .root = root, .done = made};
    making->machine = session->machine;
    making->made = rt_latch_new();
    rt_task_init(&making->start, start, "init");
    rt_post(session->loop, &making->start);
    rt_latch_wait(making->made);
    rt_latch_free(making->made);
    return making->err;
}

static int make(const struct init_config *config, const char *servers, const char *root) {
    struct rt_why why = {{0}};
    struct zk_session session;
    struct making making = {0};
    const struct zk_session_options with = {
        .servers = servers, .timeout_ms = config->timeout_ms, .auth = ""};
    rt_err err = zk_session_open(&session, &with, &why);
    if (err) {
        fprintf(stderr, "geminga init: %s\n", why.text);
        return CLI_FAILED;
    }
    err = layout_make(&session, root, &making);
    zk_session_close(&session);
    if (!err) printf("made %s at %s, instance %s\n", root, servers, making.layout.instance);
    if (err == RT_EEXIST && config->if_missing) return CLI_OK;
    if (err) fprintf(stderr, "geminga init: %s: %s\n", servers, making.why.text);
    return err ? CLI_FAILED : CLI_OK;
}

static int run_init(const struct cli_call *call) {
    struct init_config config = {0};
    struct rt_config_report report = {0};
    struct rt_why why = {{0}};
    char *servers = NULL, *root = NULL;
    const struct rt_config_source source = {
        .environment = call->environment, .argc = call->argc, .argv = call->argv};
    rt_err err = rt_config_load(&table, &config, &source, &report, NULL, NULL);
    cli_print_report(command_name, &report);
    rt_config_report_fini(&report);
    if (err) return CLI_USAGE;
    int status = CLI_USAGE;
    if (bookie_metadata_uri_parse(config.metadata_uri, &servers, &root, &why))
        fprintf(stderr, "geminga init: %s\n", why.text);
    else
        status = make(&config, servers, root);
    rt_free(servers);
    rt_free(root);
    rt_config_fini(&table, &config);
    return status;
}

const struct cli_command cli_command_init = {
    .name = command_name,
    .summary = "Make the metadata of a new cluster.",
    .usage = "[FLAGS]",
    .about =
        "Makes the root of the ledgers, available/, INSTANCEID and LAYOUT, as BookKeeper's\n"
        "tools do. Where there is a cluster already, nothing is changed.",
    .options = &table,
    .run = run_init,
};
