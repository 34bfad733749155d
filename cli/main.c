#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "runtime/mem.h"

static int run_help(const struct cli_call *call);

static const struct cli_command command_help = {
    .name = "help",
    .summary = "Show the help of a command.",
    .usage = "[COMMAND]",
    .about = "Without a command: the list of commands.",
    .run = run_help,
};

static const struct cli_command *const commands[] = {
    &cli_command_standalone, &cli_command_meta,   &cli_command_bookie,  &cli_command_init,
    &cli_command_zk,         &cli_command_doctor, &cli_command_version, &command_help,
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const struct cli_command *command_find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    }
    return NULL;
}

static void print_commands(FILE *out) {
    fprintf(out, "Geminga %s\n\nusage: geminga COMMAND [ARGUMENTS]\n\ncommands:\n", cli_version());
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-12s  %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(out, "\n'geminga COMMAND --help' shows a command's arguments.\n");
}

static void print_command_help(const struct cli_command *command) {
    printf("usage: geminga %s %s\n\n%s\n%s\n", command->name, command->usage, command->summary,
           command->about);
    if (!command->options) return;
    struct rt_buf help = {0};
    rt_config_print_help(command->options, &help);
    printf("\nflags, as --name VALUE or --name=VALUE (also as GEMINGA_NAME in the environment):\n");
    fwrite(help.data, 1, help.size, stdout);
    rt_buf_fini(&help);
}

static int unknown_command(const char *name) {
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i]->name;
    const char *nearest = rt_nearest_name(name, names, COMMAND_COUNT);
    if (nearest) {
        fprintf(stderr, "geminga: there is no command '%s'; did you mean '%s'?\n", name, nearest);
    } else {
        fprintf(stderr, "geminga: there is no command '%s'; 'geminga help' lists them\n", name);
    }
    return CLI_USAGE;
}

static int run_help(const struct cli_call *call) {
    if (call->argc == 0) {
        print_commands(stdout);
        return CLI_OK;
    }
    const struct cli_command *command = command_find(call->argv[0]);
    if (!command) return unknown_command(call->argv[0]);
    print_command_help(command);
    return CLI_OK;
}

static bool asks_for_help(const struct cli_call *call) {
    for (int i = 0; i < call->argc && strcmp(call->argv[i], "--") != 0; i++) {
        if (strcmp(call->argv[i], "--help") == 0 || strcmp(call->argv[i], "-h") == 0) return true;
    }
    return false;
}

void cli_print_report(const char *command, const struct rt_config_report *report) {
    const char *text = (const char *)report->text.data;
    size_t left = report->text.size;
    while (left > 0) {
        const char *end = memchr(text, '\n', left);
        size_t size = end ? (size_t)(end - text) + 1 : left;
        fprintf(stderr, "geminga %s: %.*s", command, (int)size, text);
        text += size;
        left -= size;
    }
}

int main(int argc, char **argv, char **environment) {
    const char *name = argc > 1 ? argv[1] : "";
    if (argc < 2) {
        print_commands(stderr);
        return CLI_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    struct cli_call call = {.argc = argc - 2,
                            .argv = (const char *const *)argv + 2,
                            .environment = (const char *const *)environment};
    const struct cli_command *command = command_find(name);
    if (!command) return unknown_command(name);
    if (asks_for_help(&call)) {
        print_command_help(command);
        return CLI_OK;
    }
    return command->run(&call);
}
