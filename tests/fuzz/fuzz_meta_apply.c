// Committed entries of any bytes: each yields an outcome, none a crash, and the state machine goes
// on. The input is a list of entries, each behind its size (u16); the first byte of an entry says
// whether the rest is the payload of a request of the open session, or a command as it is.
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "meta/server/tree/apply.h"
#include "runtime/file.h"
#include "runtime/mem.h"
#include "runtime/real/real.h"
#include "tests/fuzz/fuzz.h"

enum { ENTRIES_MAX = 32, SESSION = 7 };

struct world {
    struct rt_machine *machine;
    struct meta_store *store;
    struct rt_arena arena;
    struct rt_buf entry;
    uint64_t index;
};

static void apply(struct world *world, struct rt_bytes bytes, enum meta_verdict *verdict) {
    struct meta_position at = {++world->index, 1};
    struct meta_outcome outcome;
    rt_arena_clear(&world->arena);
    meta_apply(world->store, at, bytes, &world->arena, &outcome);
    assert(meta_store_totals(world->store).applied.index == world->index);
    *verdict = outcome.verdict;
    if (outcome.verdict != META_ANSWERED) return;
    struct rt_buf reply = {0};
    struct rt_writer w = rt_writer_into(&reply);
    proto_zk_reply_encode(&outcome.reply, outcome.opcode, &w);
    assert(reply.size >= PROTO_ZK_REPLY_HEADER_SIZE);
    rt_buf_fini(&reply);
}

static void apply_command(struct world *world, const struct meta_command *command) {
    enum meta_verdict verdict;
    rt_buf_clear(&world->entry);
    struct rt_writer w = rt_writer_into(&world->entry);
    meta_command_encode(command, &w);
    apply(world, rt_buf_bytes(&world->entry), &verdict);
}

static void apply_input(struct world *world, struct rt_bytes bytes) {
    enum meta_verdict verdict;
    const struct meta_session *session = meta_store_session(world->store, SESSION);
    if (!bytes.size || bytes.data[0] & 0x80 || !session) {
        apply(world, rt_bytes_skip(bytes, 1), &verdict);
        return;
    }
    const struct meta_command command = {.kind = META_REQUEST,
                                         .flags = bytes.data[0] & 7u,
                                         .origin = 1,
                                         .session = SESSION,
                                         .attachment = session->attachment,
                                         .request.payload = rt_bytes_skip(bytes, 1)};
    apply_command(world, &command);
}

static void world_fill(struct world *world, struct rt_bytes input) {
    struct rt_reader r = rt_reader_over(input);
    meta_apply_genesis(world->store);
    apply_command(world, &(struct meta_command){.kind = META_OPEN_SESSION, .session = SESSION});
    for (unsigned n = 0; n < ENTRIES_MAX && rt_reader_left(&r) > 2; n++) {
        size_t size = rt_read_be16(&r);
        if (size > rt_reader_left(&r)) size = rt_reader_left(&r);
        apply_input(world, rt_read_bytes(&r, size));
    }
    apply_command(world, &(struct meta_command){.kind = META_CLOSE_SESSION, .session = SESSION});
    assert(meta_store_totals(world->store).ephemerals == 0 ||
           meta_store_session_count(world->store) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char root[] = "/tmp/geminga-fuzz-XXXXXX";
    if (!mkdtemp(root)) abort();
    struct world world = {0};
    const struct rt_real_options options = {.loop_count = 1, .worker_count = 1};
    if (rt_real_open(&options, &world.machine, NULL)) abort();
    const struct meta_store_options store = {.path = root, .node_bytes = 1};
    if (meta_store_open_now(world.machine, &store, &world.store, NULL)) abort();
    world_fill(&world, RT_BYTES(data, size));
    assert(meta_store_failure(world.store) == RT_OK);
    meta_store_close_now(world.store);
    if (rt_path_remove_tree_now(world.machine, root)) abort();
    rt_real_close(world.machine);
    rt_arena_fini(&world.arena);
    rt_buf_fini(&world.entry);
    return 0;
}
