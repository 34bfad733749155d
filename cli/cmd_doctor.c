#include <stdarg.h>
#include <stdio.h>

#include "cli/command.h"
#include "cli/doctor.h"
#include "runtime/crc32c.h"
#include "runtime/host.h"
#include "runtime/real/real.h"

struct doctor_config {
    char *data_dir;
    char *url;
};

static const struct rt_option options[] = {
    {.name = "dataDir",
     .type = RT_OPTION_TEXT,
     .offset = offsetof(struct doctor_config, data_dir),
     .fallback = "data",
     .help = "Directory whose disk is tried; its parent while it does not exist."},
    {.name = "url",
     .type = RT_OPTION_TEXT,
     .offset = offsetof(struct doctor_config, url),
     .fallback = "",
     .help = "http://host:port of a running node, to show how its loops do."},
};
static const struct rt_option_table table = {
    .name = "doctor", .options = options, .count = sizeof(options) / sizeof(options[0])};

void doctor_fact(const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("  %-18s ", name);
    vfprintf(stdout, format, args);
    printf("\n");
    va_end(args);
}

void doctor_warn(struct doctor *doctor, const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("  warning: ");
    vfprintf(stdout, format, args);
    printf("\n");
    va_end(args);
    doctor->warnings++;
}

static void show_program(void) {
    printf("program\n");
    doctor_fact("version", "%s", cli_version());
    doctor_fact("libraries", "nng %s, RocksDB %s", rt_version_nng(), rt_version_rocksdb());
    doctor_fact("compiler", "%s", rt_version_compiler());
    doctor_fact("CRC32C", "%s", rt_crc32c_implementation());
}

static int examine(const struct doctor_config *config) {
    struct doctor doctor = {.warnings = 0};
    struct rt_real_options machine = {.loop_count = 1, .worker_count = 1};
    struct rt_why why = {{0}};
    rt_err err = rt_real_open(&machine, &doctor.machine, &why);
    if (err) {
        fprintf(stderr, "geminga doctor: %s\n", why.text);
        return CLI_FAILED;
    }
    rt_real_start(doctor.machine);
    show_program();
    doctor_host(&doctor);
    doctor_disk(&doctor, config->data_dir);
    if (config->url[0] != '\0') doctor_server(&doctor, config->url);
    rt_real_close(doctor.machine);
    printf("%u %s\n", doctor.warnings, doctor.warnings == 1 ? "warning" : "warnings");
    return CLI_OK;
}

static int run_doctor(const struct cli_call *call) {
    struct doctor_config config;
    struct rt_config_report report = {.errors = 0};
    struct rt_config_source source = {
        .environment = call->environment, .argc = call->argc, .argv = call->argv};
    rt_err err = rt_config_load(&table, &config, &source, &report, NULL, NULL);
    cli_print_report("doctor", &report);
    rt_config_report_fini(&report);
    int status = err ? CLI_USAGE : examine(&config);
    rt_config_fini(&table, &config);
    return status;
}

const struct cli_command cli_command_doctor = {
    .name = "doctor",
    .summary = "Look at this computer, its disk and a running node, and say what is amiss.",
    .usage = "[FLAGS]",
    .about = "Writes 7 MB into a file of the data directory and removes it again.",
    .options = &table,
    .run = run_doctor,
};
