// The subcommands of `geminga`: one table (main.c), one file each.
#ifndef GEMINGA_CLI_COMMAND_H
#define GEMINGA_CLI_COMMAND_H

#include "runtime/config.h"

// What main was given. arguments are those behind the subcommand.
struct cli_call {
    int argc;
    const char *const *argv;
    const char *const *environment;
};

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };  // exit statuses

struct cli_command {
    const char *name;
    const char *summary;                    // one line, for the list of commands
    const char *usage;                      // behind the name
    const char *about;                      // a paragraph for its help
    const struct rt_option_table *options;  // NULL: none
    int (*run)(const struct cli_call *call);
};

extern const struct cli_command cli_command_version;
extern const struct cli_command cli_command_standalone;
extern const struct cli_command cli_command_doctor;
extern const struct cli_command cli_command_meta;
extern const struct cli_command cli_command_bookie;
extern const struct cli_command cli_command_init;
extern const struct cli_command cli_command_zk;

const char *cli_version(void);  // "0.1.0 (git description)"

// Prints each line of a report on stderr behind "geminga COMMAND: ".
void cli_print_report(const char *command, const struct rt_config_report *report);

#endif
