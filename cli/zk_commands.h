// The commands of `geminga zk`: one table, which also yields their help.
#ifndef GEMINGA_CLI_ZK_COMMANDS_H
#define GEMINGA_CLI_ZK_COMMANDS_H

#include "cli/zk_session.h"
#include "cli/zk_words.h"

struct zk_shell {
    struct zk_session session;
    struct zk_answer answer;  // of the last call
    struct rt_arena arena;    // of this command
    struct zk_arguments arguments;
    bool json;
    bool failed;  // some command did
    bool watched;
    struct meta_client_watch watch;
};

// An exit status; says on stderr (or as JSON on stdout) what went wrong.
int zk_command_run(struct zk_shell *shell, const struct zk_words *words);
void zk_commands_help(struct rt_buf *out);

#endif
