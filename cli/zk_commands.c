#include "cli/zk_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/zk_print.h"

// SAYING WHAT WENT WRONG

static int failed(struct zk_shell *shell, const char *about) {
    const struct zk_answer *answer = &shell->answer;
    const char *text = zk_session_error(&shell->session, answer);
    const char *code =
        answer->zk_err ? proto_zk_err_name(answer->zk_err) : rt_err_name(answer->err);
    if (shell->json) {
        struct zk_json json;
        zk_json_begin(&json);
        zk_json_text(&json, "error", rt_bytes_of(code));
        zk_json_text(&json, "text", rt_bytes_of(text));
        zk_json_text(&json, "path", rt_bytes_of(about));
        zk_json_end(&json);
    } else {
        fprintf(stderr, "geminga zk: %s: %s (%s)\n", about, text, code);
    }
    return CLI_FAILED;
}

static int misused(const char *name, const char *fault, const char *usage) {
    fprintf(stderr, "geminga zk: %s: %s; usage: %s %s\n", name, fault, name, usage);
    return CLI_USAGE;
}

static int not_a_number(const char *text) {
    fprintf(stderr, "geminga zk: '%s' is not a number in range\n", text);
    return CLI_USAGE;
}

// CALLING

static bool call(struct zk_shell *shell, const struct proto_zk_request *request) {
    zk_session_call(&shell->session, request, NULL, &shell->answer);
    return shell->answer.err == RT_OK;
}

static bool call_path(struct zk_shell *shell, int32_t opcode, struct rt_bytes path) {
    struct proto_zk_request request = {.op = {.opcode = opcode, .path = path}};
    return call(shell, &request);
}

static struct rt_bytes path_of(const struct zk_shell *shell) {
    return rt_bytes_of(shell->arguments.items[0]);
}

// The value of -v, or any version.
static bool version_of(const struct zk_shell *shell, int32_t *version) {
    const char *text = zk_flag(&shell->arguments, 'v');
    int64_t number = -1;
    if (text && (!zk_number_parse(text, &number) || number < -1 || number > INT32_MAX))
        return false;
    *version = (int32_t)number;
    return true;
}

static void show_json(const struct zk_shell *shell, const char *name, struct rt_bytes value) {
    if (!shell->json) return;
    struct zk_json json;
    zk_json_begin(&json);
    zk_json_text(&json, name, value);
    zk_json_end(&json);
}

// People are told of failures only.
static int done_quietly(const struct zk_shell *shell, const char *name, struct rt_bytes value) {
    show_json(shell, name, value);
    return CLI_OK;
}

// READING

static void show_children(struct zk_shell *shell) {
    const struct proto_zk_body *body = &shell->answer.body;
    if (shell->json) {
        struct zk_json json;
        zk_json_begin(&json);
        zk_json_text(&json, "path", path_of(shell));
        zk_json_names(&json, "children", &body->names);
        if (zk_has_flag(&shell->arguments, 's')) zk_json_stat(&json, &body->stat);
        zk_json_end(&json);
        return;
    }
    for (size_t i = 0; i < body->names.count; i++) zk_print_line(body->names.items[i]);
    if (zk_has_flag(&shell->arguments, 's')) zk_print_stat(&body->stat);
}

// The paths of a subtree, parents first: a list of heap texts that grows while it is walked.
struct subtree {
    char **paths;
    size_t count, capacity;
};

static void subtree_add(struct subtree *tree, const char *parent, struct rt_bytes name) {
    if (tree->count == tree->capacity) {
        tree->capacity = tree->capacity ? tree->capacity * 2 : 64;
        tree->paths = rt_realloc(tree->paths, tree->capacity * sizeof(tree->paths[0]));
    }
    size_t parent_size = strcmp(parent, "/") == 0 ? 0 : strlen(parent);
    size_t size = parent_size + (name.size > 0 ? name.size + 1 : 0);
    char *path = rt_alloc(size + 2);
    memcpy(path, parent, parent_size);
    if (name.size > 0) {
        path[parent_size] = '/';
        memcpy(path + parent_size + 1, name.data, name.size);
    } else if (parent_size == 0) {
        path[size++] = '/';
    }
    path[size] = '\0';
    tree->paths[tree->count++] = path;
}

static void subtree_fini(struct subtree *tree) {
    for (size_t i = 0; i < tree->count; i++) rt_free(tree->paths[i]);
    rt_free(tree->paths);
}

// False: the answer says why. What disappears meanwhile is no failure, but for the top.
static bool subtree_read(struct zk_shell *shell, const char *top, struct subtree *tree) {
    *tree = (struct subtree){.count = 0};
    subtree_add(tree, top, (struct rt_bytes){0});
    for (size_t at = 0; at < tree->count; at++) {
        bool ok = call_path(shell, PROTO_ZK_OP_GET_CHILDREN2, rt_bytes_of(tree->paths[at]));
        if (!ok && at > 0 && shell->answer.zk_err == PROTO_ZK_ERR_NONODE) continue;
        if (!ok) return false;
        const struct proto_zk_strings *names = &shell->answer.body.names;
        for (size_t i = 0; i < names->count; i++)
            subtree_add(tree, tree->paths[at], names->items[i]);
    }
    return true;
}

static int list_subtree(struct zk_shell *shell) {
    const char *top = shell->arguments.items[0];
    struct subtree tree;
    bool ok = subtree_read(shell, top, &tree);
    for (size_t i = 0; ok && i < tree.count; i++) {
        if (shell->json)
            show_json(shell, "path", rt_bytes_of(tree.paths[i]));
        else
            zk_print_line(rt_bytes_of(tree.paths[i]));
    }
    subtree_fini(&tree);
    return ok ? CLI_OK : failed(shell, top);
}

static int run_ls(struct zk_shell *shell) {
    if (zk_has_flag(&shell->arguments, 'R')) return list_subtree(shell);
    if (!call_path(shell, PROTO_ZK_OP_GET_CHILDREN2, path_of(shell)))
        return failed(shell, shell->arguments.items[0]);
    show_children(shell);
    return CLI_OK;
}

static void show_data(struct zk_shell *shell, bool data, bool stat) {
    const struct proto_zk_body *body = &shell->answer.body;
    if (shell->json) {
        struct zk_json json;
        zk_json_begin(&json);
        zk_json_text(&json, "path", path_of(shell));
        if (data) zk_json_data(&json, "data", body->data);
        if (stat) zk_json_stat(&json, &body->stat);
        zk_json_end(&json);
        return;
    }
    if (data) zk_print_line(body->data);
    if (stat) zk_print_stat(&body->stat);
}

static int run_get(struct zk_shell *shell) {
    if (!call_path(shell, PROTO_ZK_OP_GET_DATA, path_of(shell)))
        return failed(shell, shell->arguments.items[0]);
    show_data(shell, true, zk_has_flag(&shell->arguments, 's'));
    return CLI_OK;
}

static int run_stat(struct zk_shell *shell) {
    if (!call_path(shell, PROTO_ZK_OP_EXISTS, path_of(shell)))
        return failed(shell, shell->arguments.items[0]);
    show_data(shell, false, true);
    return CLI_OK;
}

static int run_get_acl(struct zk_shell *shell) {
    if (!call_path(shell, PROTO_ZK_OP_GET_ACL, path_of(shell)))
        return failed(shell, shell->arguments.items[0]);
    const struct proto_zk_body *body = &shell->answer.body;
    bool stat = zk_has_flag(&shell->arguments, 's');
    if (shell->json) {
        struct zk_json json;
        zk_json_begin(&json);
        zk_json_text(&json, "path", path_of(shell));
        zk_json_acl(&json, &body->acl);
        if (stat) zk_json_stat(&json, &body->stat);
        zk_json_end(&json);
        return CLI_OK;
    }
    zk_print_acl(&body->acl);
    if (stat) zk_print_stat(&body->stat);
    return CLI_OK;
}

static int run_sync(struct zk_shell *shell) {
    if (!call_path(shell, PROTO_ZK_OP_SYNC, path_of(shell)))
        return failed(shell, shell->arguments.items[0]);
    return done_quietly(shell, "synced", path_of(shell));
}

static int run_whoami(struct zk_shell *shell) {
    if (!call_path(shell, PROTO_ZK_OP_WHO_AM_I, (struct rt_bytes){0}))
        return failed(shell, "whoami");
    const struct proto_zk_ids *ids = &shell->answer.body.ids;
    for (size_t i = 0; i < ids->count; i++) {
        const struct proto_zk_id *id = &ids->items[i];
        if (shell->json) {
            struct zk_json json;
            zk_json_begin(&json);
            zk_json_text(&json, "scheme", id->scheme);
            zk_json_text(&json, "id", id->id);
            zk_json_end(&json);
        } else {
            printf("%.*s: %.*s\n", (int)id->scheme.size, (const char *)id->scheme.data,
                   (int)id->id.size, (const char *)id->id.data);
        }
    }
    return CLI_OK;
}

// CHANGING

static int run_set(struct zk_shell *shell) {
    int32_t version = -1;
    if (!version_of(shell, &version)) return not_a_number(zk_flag(&shell->arguments, 'v'));
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_SET_DATA,
               .set_data = {.path = path_of(shell),
                            .data = rt_bytes_of(shell->arguments.items[1]),
                            .version = version}}};
    if (!call(shell, &request)) return failed(shell, shell->arguments.items[0]);
    if (shell->json || zk_has_flag(&shell->arguments, 's')) show_data(shell, false, true);
    return CLI_OK;
}

// False: the flags do not go together.
static bool create_mode(const struct zk_arguments *arguments, struct proto_zk_op *op) {
    bool ephemeral = zk_has_flag(arguments, 'e'), sequential = zk_has_flag(arguments, 's');
    bool container = zk_has_flag(arguments, 'c'), ttl = zk_has_flag(arguments, 't');
    if ((int)ephemeral + (int)container + (int)ttl > 1 || (container && sequential)) return false;
    op->opcode = PROTO_ZK_OP_CREATE2;
    op->create.flags = (ephemeral ? PROTO_ZK_MODE_EPHEMERAL : 0) |
                       (sequential ? PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL : 0);
    if (container) {
        op->opcode = PROTO_ZK_OP_CREATE_CONTAINER;
        op->create.flags = PROTO_ZK_MODE_CONTAINER;
    }
    if (ttl) {
        op->opcode = PROTO_ZK_OP_CREATE_TTL;
        op->create.flags = sequential ? PROTO_ZK_MODE_PERSISTENT_SEQUENTIAL_WITH_TTL
                                      : PROTO_ZK_MODE_PERSISTENT_WITH_TTL;
    }
    return true;
}

static int run_create(struct zk_shell *shell) {
    const struct zk_arguments *arguments = &shell->arguments;
    struct proto_zk_request request = {.op = {.create = {.path = path_of(shell)}}};
    if (!create_mode(arguments, &request.op)) {
        fprintf(stderr, "geminga zk: of -e, -c and -t a node has one, and -c goes without -s\n");
        return CLI_USAGE;
    }
    const char *ttl = zk_flag(arguments, 't');
    if (ttl && !zk_number_parse(ttl, &request.op.create.ttl_ms)) return not_a_number(ttl);
    request.op.create.data = rt_bytes_of(arguments->count > 1 ? arguments->items[1] : "");
    const char *acl = arguments->count > 2 ? arguments->items[2] : "world:anyone:cdrwa";
    if (!zk_acl_parse(rt_bytes_of(acl), &shell->arena, &request.op.create.acl)) {
        fprintf(stderr, "geminga zk: ACL '%s' is not scheme:id:cdrwa[,..]\n", acl);
        return CLI_USAGE;
    }
    if (!call(shell, &request)) return failed(shell, arguments->items[0]);
    struct rt_bytes path = shell->answer.body.path;
    if (shell->json) return done_quietly(shell, "created", path);
    zk_print_line(path);
    return CLI_OK;
}

static int run_rm(struct zk_shell *shell) {
    int32_t version = -1;
    if (!version_of(shell, &version)) return not_a_number(zk_flag(&shell->arguments, 'v'));
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_DELETE,
               .versioned = {.path = path_of(shell), .version = version}}};
    if (!call(shell, &request)) return failed(shell, shell->arguments.items[0]);
    return done_quietly(shell, "deleted", path_of(shell));
}

// Children behind their parents, so from the back. False: the answer says why, *at where.
static bool subtree_delete(struct zk_shell *shell, const struct subtree *tree, size_t *at) {
    *at = tree->count;
    while (*at > 0) {
        --*at;
        struct proto_zk_request request = {
            .op = {.opcode = PROTO_ZK_OP_DELETE,
                   .versioned = {.path = rt_bytes_of(tree->paths[*at]), .version = -1}}};
        if (!call(shell, &request) && shell->answer.zk_err != PROTO_ZK_ERR_NONODE) return false;
    }
    return true;
}

static int run_deleteall(struct zk_shell *shell) {
    const char *top = shell->arguments.items[0];
    struct subtree tree;
    if (!subtree_read(shell, top, &tree)) {
        subtree_fini(&tree);
        return failed(shell, top);
    }
    size_t at = 0;
    bool ok = subtree_delete(shell, &tree, &at);
    int status =
        ok ? done_quietly(shell, "deleted", rt_bytes_of(top)) : failed(shell, tree.paths[at]);
    subtree_fini(&tree);
    return status;
}

static int run_set_acl(struct zk_shell *shell) {
    const char *text = shell->arguments.items[1];
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_SET_ACL, .set_acl = {.path = path_of(shell)}}};
    if (!version_of(shell, &request.op.set_acl.version))
        return not_a_number(zk_flag(&shell->arguments, 'v'));
    if (!zk_acl_parse(rt_bytes_of(text), &shell->arena, &request.op.set_acl.acl)) {
        fprintf(stderr, "geminga zk: ACL '%s' is not scheme:id:cdrwa[,..]\n", text);
        return CLI_USAGE;
    }
    if (!call(shell, &request)) return failed(shell, shell->arguments.items[0]);
    if (shell->json || zk_has_flag(&shell->arguments, 's')) show_data(shell, false, true);
    return CLI_OK;
}

// WATCHING

// On the loop, while main's thread waits or prints whole lines of its own.
static void watch_fired(struct meta_client_watch *watch, const struct proto_zk_event *event) {
    const struct zk_shell *shell = rt_container_of(watch, struct zk_shell, watch);
    if (event->type == PROTO_ZK_EVENT_NONE) return;
    if (shell->json) {
        struct zk_json json;
        zk_json_begin(&json);
        zk_json_text(&json, "event", rt_bytes_of(proto_zk_event_name(event->type)));
        zk_json_text(&json, "path", event->path);
        zk_json_end(&json);
    } else {
        printf("%s %.*s\n", proto_zk_event_name(event->type), (int)event->path.size,
               (const char *)event->path.data);
    }
    fflush(stdout);
}

static int run_watch(struct zk_shell *shell) {
    bool recursive = zk_has_flag(&shell->arguments, 'R');
    struct proto_zk_request request = {
        .op = {.opcode = PROTO_ZK_OP_ADD_WATCH,
               .watch = {.path = path_of(shell),
                         .type = recursive ? PROTO_ZK_ADD_PERSISTENT_RECURSIVE
                                           : PROTO_ZK_ADD_PERSISTENT}}};
    shell->watch.fired = watch_fired;
    zk_session_call(&shell->session, &request, &shell->watch, &shell->answer);
    if (shell->answer.err) return failed(shell, shell->arguments.items[0]);
    shell->watched = true;
    return CLI_OK;
}

// THE TABLE

struct command {
    const char *name;
    const char *flags;
    const char *usage;
    unsigned arguments_min, arguments_max;
    int (*run)(struct zk_shell *shell);
};

static const struct command commands[] = {
    {"ls", "sR", "[-s] [-R] PATH", 1, 1, run_ls},
    {"get", "s", "[-s] PATH", 1, 1, run_get},
    {"stat", "", "PATH", 1, 1, run_stat},
    {"set", "sv:", "[-s] [-v VERSION] PATH DATA", 2, 2, run_set},
    {"create", "sect:", "[-s] [-e | -c | -t TTL_MS] PATH [DATA [ACL]]", 1, 3, run_create},
    {"rm", "v:", "[-v VERSION] PATH", 1, 1, run_rm},
    {"delete", "v:", "[-v VERSION] PATH", 1, 1, run_rm},
    {"deleteall", "", "PATH", 1, 1, run_deleteall},
    {"getAcl", "s", "[-s] PATH", 1, 1, run_get_acl},
    {"setAcl", "sv:", "[-s] [-v VERSION] PATH ACL", 2, 2, run_set_acl},
    {"sync", "", "PATH", 1, 1, run_sync},
    {"watch", "R", "[-R] PATH", 1, 1, run_watch},
    {"whoami", "", "", 0, 0, run_whoami},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static const struct command *command_find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    }
    return NULL;
}

static int unknown_command(const char *name) {
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
    const char *nearest = rt_nearest_name(name, names, COMMAND_COUNT);
    fprintf(stderr, "geminga zk: there is no command '%s'%s%s%s\n", name,
            nearest ? "; did you mean '" : "; 'help' lists them", nearest ? nearest : "",
            nearest ? "'?" : "");
    return CLI_USAGE;
}

int zk_command_run(struct zk_shell *shell, const struct zk_words *words) {
    const struct command *command = command_find(words->items[0]);
    if (!command) return unknown_command(words->items[0]);
    const char *fault = zk_arguments_parse(words, command->flags, &shell->arena, &shell->arguments);
    unsigned count = shell->arguments.count;
    if (!fault && count < command->arguments_min) fault = "an argument is missing";
    if (!fault && count > command->arguments_max) fault = "too many arguments";
    int status = fault ? misused(command->name, fault, command->usage) : command->run(shell);
    fflush(stdout);
    return status;
}

void zk_commands_help(struct rt_buf *out) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        rt_buf_print(out, "  %s %s\n", commands[i].name, commands[i].usage);
}
