#include "cli/standalone_options.h"

#include <assert.h>

#include "runtime/log.h"

#define OPTION_AT(field) .offset = offsetof(struct standalone_config, field)
#define MIB (INT64_C(1) << 20)

// In the order of enum rt_log_level and of enum rt_log_format.
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"text", "json", NULL};
static_assert(RT_LOG_DEBUG == 0 && RT_LOG_ERROR == 3, "levels are in the order of the enum");
static_assert(RT_LOG_TEXT == 0 && RT_LOG_JSON == 1, "formats are in the order of the enum");

static const struct rt_option options[] = {
    {.name = "dataDir",
     .type = RT_OPTION_TEXT,
     OPTION_AT(data_dir),
     .fallback = "data",
     .help = "Directory of all that is kept; made when missing, used by one process at a time."},
    {.name = "webServicePort",
     .type = RT_OPTION_INT,
     OPTION_AT(http_port),
     .fallback = "8080",
     .max = 65535,
     .also = "httpPort",
     .help = "Port of HTTP: metrics and health. 0 takes a free one."},
    {.name = "metaPort",
     .type = RT_OPTION_INT,
     OPTION_AT(meta_port),
     .fallback = "2181",
     .max = 65535,
     .help = "Port of ZooKeeper clients. 0 takes a free one."},
    {.name = "bookiePort",
     .type = RT_OPTION_INT,
     OPTION_AT(bookie_port),
     .fallback = "3181",
     .max = 65535,
     .help = "Port of BookKeeper clients. 0 takes a free one."},
    {.name = "brokerPort",
     .type = RT_OPTION_INT,
     OPTION_AT(broker_port),
     .fallback = "6650",
     .max = 65535,
     .help = "Port of Pulsar clients; not served yet."},
    {.name = "bindAddress",
     .type = RT_OPTION_TEXT,
     OPTION_AT(bind_address),
     .fallback = "0.0.0.0",
     .help = "Address to listen on."},
    {.name = "config",
     .type = RT_OPTION_TEXT,
     OPTION_AT(file),
     .fallback = "",
     .help = "File of keys and values; environment and flags come before it."},
    {.name = "loops",
     .type = RT_OPTION_INT,
     OPTION_AT(loops),
     .fallback = "0",
     .max = 256,
     .help = "Event loops, each with a thread. 0 means one per core."},
    {.name = "memory",
     .type = RT_OPTION_SIZE,
     OPTION_AT(memory_bytes),
     .fallback = "256M",
     .min = 16 * MIB,
     .max = MIB << 20,
     .help = "Limit of the memory for what is received and not yet sent or stored."},
    {.name = "logLevel",
     .type = RT_OPTION_CHOICE,
     OPTION_AT(log_level),
     .fallback = "info",
     .choices = levels,
     .reloadable = true,
     .help = "The least severe lines that are logged; SIGHUP reads it again."},
    {.name = "logFormat",
     .type = RT_OPTION_CHOICE,
     OPTION_AT(log_format),
     .fallback = "text",
     .choices = formats,
     .help = "How log lines look."},
    {.name = "logFile",
     .type = RT_OPTION_TEXT,
     OPTION_AT(log_file),
     .fallback = "",
     .help = "File the log is appended to, opened anew on SIGHUP; stderr without one."},
};

const struct rt_option_table standalone_options = {
    .name = "standalone", .options = options, .count = sizeof(options) / sizeof(options[0])};
