#include <stdio.h>

#include "cli/command.h"
#include "cli/version_generated.h"
#include "runtime/host.h"

const char *cli_version(void) {
    return GEMINGA_VERSION_GIT[0] ? GEMINGA_VERSION " (" GEMINGA_VERSION_GIT ")" : GEMINGA_VERSION;
}

static int run_version(const struct cli_call *call) {
    if (call->argc > 0) {
        fprintf(stderr, "geminga version: takes no arguments\n");
        return CLI_USAGE;
    }
    printf("geminga %s\n", cli_version());
    printf("nng %s, RocksDB %s, %s\n", rt_version_nng(), rt_version_rocksdb(),
           rt_version_compiler());
    return CLI_OK;
}

const struct cli_command cli_command_version = {
    .name = "version",
    .summary = "Show the version of this program and of its libraries.",
    .usage = "",
    .about = "",
    .run = run_version,
};
