// Random commands: two stores that flush at different moments, one of which also crashes and
// applies again what it lost, come to the same outcomes and the same state. The tree stays one.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/mem.h"
#include "runtime/random.h"
#include "tests/sim/disk_world.h"
#include "tests/unit/meta_tree/applier.h"

enum { ENTRIES = 1500, SESSIONS = 4, OPS_MAX = 5 };

struct script {
    struct rt_random random;
    struct rt_arena arena;
    struct rt_buf payload;
    struct rt_buf entries[ENTRIES + 1];  // by index, from 1
    uint64_t attachments[SESSIONS + 1];  // a guess, which is often right
    uint64_t index;
};

static uint64_t below(struct script *s, uint64_t bound) {
    return rt_random_below(&s->random, bound);
}

static const char *random_path(struct script *s) {
    static const char *const tops[] = {"/a",
                                       "/b",
                                       "/q",
                                       "/zookeeper/quota/q",
                                       "/zookeeper/quota/q/zookeeper_limits",
                                       "/zookeeper/quota/q/zookeeper_stats"};
    static const char *const leaves[] = {"", "", "/x", "/y", "/x/z", "/s-", "/", "/\x01"};
    size_t top = below(s, 10);
    const char *leaf = leaves[below(s, 8)];
    if (top < 4) return rt_arena_print(&s->arena, "/q%s", leaf);
    return rt_arena_print(&s->arena, "%s%s", tops[top - 4], top - 4 < 3 ? leaf : "");
}

static struct proto_zk_acls random_acl(struct script *s) {
    uint64_t draw = below(s, 12);
    if (draw == 0) return (struct proto_zk_acls){0};
    return draw == 1 ? applier_bob_acl : applier_open_acl;
}

static struct proto_zk_op random_create(struct script *s, const char *path) {
    static const int32_t opcodes[] = {PROTO_ZK_OP_CREATE, PROTO_ZK_OP_CREATE2,
                                      PROTO_ZK_OP_CREATE_CONTAINER, PROTO_ZK_OP_CREATE_TTL};
    struct proto_zk_op op = applier_op_create(opcodes[below(s, 4)], path, (int32_t)below(s, 7));
    size_t size = below(s, 20) ? below(s, 30) : 3000;
    op.create.data = RT_BYTES(rt_arena_zero(&s->arena, 1, size + 1), size);
    if (strstr(path, "_limits"))
        op.create.data = RT_BYTES_LITERAL("count=2,bytes=50=;byteHardLimit=90;countHardLimit=6");
    op.create.acl = random_acl(s);
    op.create.ttl_ms = (int64_t)below(s, 3);
    return op;
}

static struct proto_zk_op random_op(struct script *s, bool in_multi) {
    const char *path = random_path(s);
    int32_t version = below(s, 4) ? -1 : (int32_t)below(s, 3);
    switch (below(s, 8)) {
    case 0:
    case 1: return applier_op_versioned(PROTO_ZK_OP_DELETE, path, version);
    case 2: return applier_op_set(path, below(s, 2) ? "some data" : NULL, version);
    case 3: {
        if (in_multi) return applier_op_versioned(PROTO_ZK_OP_CHECK, path, version);
        struct proto_zk_op op = {.opcode = PROTO_ZK_OP_SET_ACL};
        op.set_acl.path = rt_bytes_of(path);
        op.set_acl.acl = random_acl(s);
        op.set_acl.version = version;
        return op;
    }
    default: return random_create(s, path);
    }
}

static void random_request(struct script *s, struct meta_command *command) {
    struct proto_zk_op ops[OPS_MAX];
    struct proto_zk_request request = {.xid = (int32_t)s->index};
    if (below(s, 4)) {
        request.op = random_op(s, false);
    } else {
        request.op.opcode = PROTO_ZK_OP_MULTI;
        request.op_count = below(s, OPS_MAX + 1);
        for (size_t i = 0; i < request.op_count; i++) ops[i] = random_op(s, true);
        request.ops = ops;
    }
    rt_buf_clear(&s->payload);
    struct rt_writer w = rt_writer_into(&s->payload);
    proto_zk_request_encode(&request, &w);
    if (!below(s, 40)) s->payload.data[below(s, s->payload.size)] ^= (uint8_t)(1 << below(s, 8));
    command->request.payload = rt_buf_bytes(&s->payload);
    if (below(s, 3)) command->request.ids = applier_bob;
}

static void random_command(struct script *s, struct meta_command *command) {
    int64_t session = (int64_t)below(s, SESSIONS) + 1;
    *command = (struct meta_command){.kind = META_REQUEST,
                                     .flags = (unsigned)below(s, 8) & ~(unsigned)META_SKIP_ACL,
                                     .time_ms = (int64_t)(s->index + below(s, 10)),
                                     .origin = 1,
                                     .session = session,
                                     .attachment = s->attachments[session]};
    uint64_t draw = below(s, 30);
    if (draw == 0) command->kind = META_CLOSE_SESSION;
    if (draw >= 1 && draw <= 3) {
        command->kind = draw == 1 ? META_ATTACH_SESSION : META_OPEN_SESSION;
        s->attachments[session] = s->index;
    }
    if (draw == 4) {
        command->kind = META_REAP;
        command->reap.path = rt_bytes_of(random_path(s));
        command->reap.czxid = command->reap.mzxid = (int64_t)(s->index - below(s, s->index));
    }
    if (command->kind == META_REQUEST) random_request(s, command);
}

static void script_write(struct script *s, uint64_t seed) {
    rt_random_seed(&s->random, seed);
    for (s->index = 1; s->index <= ENTRIES; s->index++) {
        struct meta_command command;
        random_command(s, &command);
        struct rt_writer w = rt_writer_into(&s->entries[s->index]);
        meta_command_encode(&command, &w);
        struct rt_buf *entry = &s->entries[s->index];
        if (!below(s, 50)) entry->data[below(s, entry->size)] ^= (uint8_t)(1 << below(s, 8));
        rt_arena_clear(&s->arena);
    }
}

static void script_free(struct script *s) {
    for (size_t i = 0; i <= ENTRIES; i++) rt_buf_fini(&s->entries[i]);
    rt_buf_fini(&s->payload);
    rt_arena_fini(&s->arena);
    rt_free(s);
}

// What a client and watchers learn, as bytes.
static void outcome_write(const struct meta_outcome *o, struct rt_buf *buf) {
    rt_buf_clear(buf);
    rt_buf_print(buf, "%d %lld %d ", (int)o->verdict, (long long)o->zxid, (int)o->opcode);
    struct rt_writer w = rt_writer_into(buf);
    if (o->verdict == META_ANSWERED) proto_zk_reply_encode(&o->reply, o->opcode, &w);
    for (size_t i = 0; i < o->change_count; i++) {
        rt_buf_print(buf, " %d ", (int)o->changes[i].type);
        rt_buf_append(buf, o->changes[i].path);
        rt_buf_append(buf, o->changes[i].acl);
        rt_buf_append(buf, o->changes[i].parent_acl);
    }
}

struct copy {
    struct stage stage;
    struct rt_arena arena;
    struct rt_buf seen[ENTRIES + 1];
};

static void copy_apply(struct copy *copy, const struct script *s, uint64_t index) {
    struct meta_position at = {index, 1};
    struct meta_outcome outcome;
    rt_arena_clear(&copy->arena);
    meta_apply(copy->stage.store, at, rt_buf_bytes(&s->entries[index]), &copy->arena, &outcome);
    outcome_write(&outcome, &copy->seen[index]);
}

// Applies everything, again where a crash lost it.
static void copy_run(struct copy *copy, const struct script *s, uint64_t seed, bool crashes) {
    struct rt_random random;
    rt_random_seed(&random, seed);
    meta_apply_genesis(copy->stage.store);
    for (uint64_t index = 1; index <= ENTRIES; index++) {
        copy_apply(copy, s, index);
        if (!rt_random_below(&random, 20)) stage_flush(&copy->stage);
        if (!crashes || rt_random_below(&random, 100)) continue;
        stage_crash(&copy->stage);
        index = meta_store_totals(copy->stage.store).applied.index;
        if (!index) meta_apply_genesis(copy->stage.store);
    }
}

struct walk {
    struct meta_scan scan;
    struct copy *copy;
    struct rt_bytes *paths;
    size_t count, capacity;
};

static bool walk_each(struct meta_scan *scan, struct rt_bytes path) {
    struct walk *walk = rt_container_of(scan, struct walk, scan);
    if (walk->count == walk->capacity) {
        walk->capacity = 2 * walk->capacity + 16;
        walk->paths = rt_realloc(walk->paths, walk->capacity * sizeof(walk->paths[0]));
    }
    walk->paths[walk->count++] = rt_arena_copy(&walk->copy->arena, path);
    return true;
}

// Every node is a child of its parent, which counts it; ephemerals have living sessions.
static void check_tree(struct copy *copy) {
    struct walk walk = {.scan = {walk_each}, .copy = copy};
    struct meta_view view;
    cr_assert_eq(meta_store_view_now(copy->stage.store, &view), RT_OK);
    walk_each(&walk.scan, RT_BYTES_LITERAL("/"));
    for (size_t i = 0; i < walk.count; i++) {
        const struct meta_znode *node = meta_store_find_now(copy->stage.store, walk.paths[i]);
        cr_assert_not_null(node);
        int32_t children = node->children;
        if (node->kind == META_EPHEMERAL) {
            cr_assert_eq(children, 0);
            cr_assert_not_null(meta_store_session(copy->stage.store, node->owner));
        }
        size_t before = walk.count;
        cr_assert_eq(meta_view_children_now(&view, walk.paths[i], &walk.scan), RT_OK);
        cr_assert_eq(walk.count - before, (size_t)children, "%.*s", (int)walk.paths[i].size,
                     (const char *)walk.paths[i].data);
    }
    cr_assert_eq(walk.count, meta_store_totals(copy->stage.store).nodes);
    rt_free(walk.paths);
}

static void copy_open(struct copy *copy, const struct stage *stage, const char *path) {
    *copy = (struct copy){
        .stage = {.machine = stage->machine, .path = path, .node_bytes = stage->node_bytes}};
    stage_open(&copy->stage);
}

static void copy_free(struct copy *copy) {
    stage_close(&copy->stage);
    rt_arena_fini(&copy->arena);
    for (size_t i = 0; i <= ENTRIES; i++) rt_buf_fini(&copy->seen[i]);
    rt_free(copy);
}

static void same_outcomes_and_state(struct stage *stage) {
    char path[96];
    snprintf(path, sizeof(path), "%s2", stage->path);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct script *s = RT_NEW(struct script);
        struct copy *calm = RT_NEW(struct copy), *wild = RT_NEW(struct copy);
        char names[2][112];
        snprintf(names[0], sizeof(names[0]), "%s.%d", stage->path, (int)seed);
        snprintf(names[1], sizeof(names[1]), "%s.%d", path, (int)seed);
        script_write(s, seed);
        copy_open(calm, stage, names[0]);
        stage->node_bytes = 1;  // so that nearly everything comes from the disk
        copy_open(wild, stage, names[1]);
        copy_run(calm, s, 1, false);
        copy_run(wild, s, seed + 50, true);
        for (size_t i = 1; i <= ENTRIES; i++)
            cr_assert(rt_bytes_equal(rt_buf_bytes(&calm->seen[i]), rt_buf_bytes(&wild->seen[i])),
                      "seed %d: entry %zu", (int)seed, i);
        struct meta_store_totals a = meta_store_totals(calm->stage.store);
        struct meta_store_totals b = meta_store_totals(wild->stage.store);
        cr_assert(a.digest == b.digest && a.nodes == b.nodes && a.time_ms == b.time_ms);
        cr_assert(a.ephemerals == b.ephemerals && a.data_bytes == b.data_bytes);
        cr_assert_gt(a.nodes, 6, "the script does something");
        check_tree(calm);
        check_tree(wild);
        copy_free(calm);
        copy_free(wild);
        script_free(s);
    }
}

Test(meta_tree_apply_random, two_copies_agree_whatever_is_flushed_when) {
    stage_run_real(same_outcomes_and_state);
}

Test(meta_tree_apply_random_sim, two_copies_agree_whatever_is_flushed_when) {
    stage_run_sim(same_outcomes_and_state);
}

// The disk fails for good at some entry: what comes then is applied to nothing, and known to fail.
struct failing {
    struct script *script;
    uint64_t seed;
    unsigned failed;  // how many of the runs came upon it
};

static void apply_on_failing_disk(struct disk_world *disk, void *argument) {
    struct failing *failing = argument;
    const struct stage stage = {.machine = disk->machine, .node_bytes = 1};
    struct copy *copy = RT_NEW(struct copy);
    copy_open(copy, &stage, "store");
    meta_apply_genesis(copy->stage.store);
    uint64_t from = 100 + 150 * failing->seed;
    struct rt_sim_disk works = rt_sim_disk_get(disk->node), fails = works;
    fails.read_fail_per_million = fails.write_fail_per_million = 1000000;
    for (uint64_t index = 1; index <= ENTRIES; index++) {
        if (index == from) {
            stage_flush(&copy->stage);
            rt_sim_disk_set(disk->node, &fails);
        }
        copy_apply(copy, failing->script, index);
    }
    failing->failed += meta_store_failure(copy->stage.store) != RT_OK;
    rt_sim_disk_set(disk->node, &works);
    copy_free(copy);
}

Test(meta_tree_apply_random_sim, a_failing_disk_crashes_nothing_and_is_remembered) {
    struct failing failing = {.script = RT_NEW(struct script)};
    script_write(failing.script, 9);
    for (failing.seed = 0; failing.seed < 8; failing.seed++) {
        struct disk_world world;
        disk_world_open(&world, failing.seed + 1);
        disk_world_run(&world, apply_on_failing_disk, &failing);
        disk_world_close(&world);
    }
    cr_assert_eq(failing.failed, 8);
    script_free(failing.script);
}
