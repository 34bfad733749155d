// A bookie's core on the real store and the real journals, crashed at any point: what was answered
// is there after each start. Entries byte for byte, fences, keys, explicit LACs.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "bookie/server/core/core.h"
#include "runtime/sim/sim.h"

enum {
    JOURNALS = 2,
    LEDGERS = 6,
    ENTRIES = 600,
    CALLS = 48,
    LIVES = 14,
    KEY = 20,
    BODY_HEAD = 24,
    BODY_MAX = 3000,
    TICK_US = 100,
    REBORN_MS = 60000
};

struct world;

struct slot {
    struct bookie_call call;
    struct world *world;
    bool is_used, was_fenced_before, is_check;
    uint8_t packet[BODY_MAX + KEY];
};

// Outside the node: what it has promised.
struct promises {
    bool is_added[LEDGERS][ENTRIES];
    bool is_fenced[LEDGERS];
    int64_t explicit_lac[LEDGERS];
};

struct world {
    struct rt_sim_program program;
    struct rt_sim *sim;
    struct rt_sim_node *node;
    struct promises promises;
    uint64_t adds, fences, checks, lives;
    // Of the process.
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_store *store;
    struct bookie_journal *journals[JOURNALS];
    struct bookie_core *core;
    struct bookie_store_events store_events;
    struct bookie_journal_events journal_events;
    struct rt_timer tick;
    struct slot slots[CALLS];
    int64_t next[LEDGERS];  // writers go on where they were, mostly
    size_t check_at;        // of LEDGERS * ENTRIES: what is read before the workload goes on
    bool plants_no_sync;
};

static struct world world;

// WHAT IS WRITTEN

static const uint8_t *key_of(int64_t ledger) {
    static uint8_t key[KEY];
    memset(key, 'a' + (int)ledger, sizeof(key));
    return key;
}

static size_t body_make(int64_t ledger, int64_t entry, uint8_t *body) {
    uint64_t hash = (uint64_t)(ledger * 7919 + entry) * UINT64_C(0x9e3779b97f4a7c15);
    size_t size = BODY_HEAD + (hash >> 40) % (BODY_MAX - BODY_HEAD);
    struct rt_writer w = rt_writer_over(body, size);
    rt_write_be64(&w, (uint64_t)ledger);
    rt_write_be64(&w, (uint64_t)entry);
    rt_write_be64(&w, (uint64_t)(entry - 1));
    for (size_t i = BODY_HEAD; i < size; i++) body[i] = (uint8_t)(hash >> (i % 7 * 8));
    return size;
}

// ANSWERS

static void check_answer(struct slot *slot) {
    const struct bookie_call *call = &slot->call;
    uint8_t body[BODY_MAX];
    size_t size = body_make(call->request.ledger, call->request.entry, body);
    if (call->response.code != PROTO_BK_OK) {
        rt_sim_fail(world.sim, "entry %lld of ledger %lld was acknowledged, and now %s",
                    (long long)call->request.entry, (long long)call->request.ledger,
                    proto_bk_code_name(call->response.code));
        return;
    }
    if (!rt_bytes_equal(rt_slice_bytes(call->bodies[0]), RT_BYTES(body, size)))
        rt_sim_fail(world.sim, "entry %lld of ledger %lld has changed",
                    (long long)call->request.entry, (long long)call->request.ledger);
    world.checks++;
}

static void add_answer(const struct slot *slot) {
    const struct proto_bk_request *request = &slot->call.request;
    if (slot->call.response.code != PROTO_BK_OK) return;
    if (slot->was_fenced_before && !(request->flags & PROTO_BK_RECOVERY))
        rt_sim_fail(world.sim, "an add behind a fence, ledger %lld", (long long)request->ledger);
    if (request->flags & PROTO_BK_DEFERRED_SYNC) return;
    world.promises.is_added[request->ledger][request->entry] = true;
    world.adds++;
}

static void answer(struct slot *slot) {
    const struct bookie_call *call = &slot->call;
    const struct proto_bk_request *request = &call->request;
    enum proto_bk_code code = call->response.code;
    if (slot->is_check) {
        check_answer(slot);
    } else if (request->kind == PROTO_BK_ADD) {
        add_answer(slot);
    } else if (request->kind == PROTO_BK_WRITE_LAC && code == PROTO_BK_OK) {
        int64_t *known = &world.promises.explicit_lac[request->ledger];
        if (request->lac > *known) *known = request->lac;
    } else if (request->kind == PROTO_BK_READ && (request->flags & PROTO_BK_FENCE)) {
        if (code != PROTO_BK_OK && code != PROTO_BK_NO_ENTRY)
            rt_sim_fail(world.sim, "a fence was answered %s", proto_bk_code_name(code));
        world.promises.is_fenced[request->ledger] = true;
        world.fences++;
    }
    bookie_call_fini(&slot->call);
    slot->is_used = false;
}

static void call_done(struct bookie_call *call) {
    answer(rt_container_of(call, struct slot, call));
}

// CALLS

static struct slot *slot_free(void) {
    for (unsigned i = 0; i < CALLS; i++) {
        if (!world.slots[i].is_used) return &world.slots[i];
    }
    return NULL;
}

static void ask(struct slot *slot, const struct proto_bk_request *request) {
    slot->is_used = true;
    slot->was_fenced_before = world.promises.is_fenced[request->ledger];
    slot->call.request = *request;
    slot->call.request.form = PROTO_BK_V2;
    slot->call.frame = rt_slice_static(RT_BYTES(slot->packet, sizeof(slot->packet)));
    slot->call.done = call_done;
    slot->call.since_ns = rt_loop_now(world.loop);
    if (bookie_core_call(world.core, &slot->call)) answer(slot);
}

static void ask_check(struct slot *slot, int64_t ledger, int64_t entry) {
    slot->is_check = true;
    ask(slot, &(struct proto_bk_request){.kind = PROTO_BK_READ, .ledger = ledger, .entry = entry});
}

static void ask_random(struct slot *slot) {
    struct rt_random *random = rt_sim_random(world.sim);
    struct proto_bk_request request = {.flags = PROTO_BK_HAS_KEY,
                                       .ledger = (int64_t)rt_random_below(random, LEDGERS)};
    uint8_t *body = slot->packet + KEY;
    request.entry = world.next[request.ledger]++ % ENTRIES;
    if (rt_random_below(random, 8) == 0) request.entry = (int64_t)rt_random_below(random, ENTRIES);
    memcpy(slot->packet, key_of(request.ledger), KEY);
    request.key = RT_BYTES(slot->packet, KEY);
    request.kind = PROTO_BK_ADD;
    slot->is_check = false;
    unsigned what = (unsigned)rt_random_below(random, 300);
    if (what == 0 && request.ledger % 2) {
        request.kind = PROTO_BK_READ;
        request.flags |= PROTO_BK_FENCE;
        request.entry = -1;
    } else if (what < 6) {
        struct rt_writer w = rt_writer_over(body, 16);
        request.kind = PROTO_BK_WRITE_LAC;
        request.lac = request.entry;
        rt_write_be64(&w, (uint64_t)request.ledger);
        rt_write_be64(&w, (uint64_t)request.lac);
        request.body = RT_BYTES(body, 16);
    } else {
        request.body = RT_BYTES(body, body_make(request.ledger, request.entry, body));
        if (what < 60) request.flags |= PROTO_BK_RECOVERY;
        if (what >= 290) request.flags |= PROTO_BK_DEFERRED_SYNC;
    }
    ask(slot, &request);
}

// Everything that was promised is read before anything new is written.
static bool check_next(struct slot *slot) {
    for (; world.check_at < LEDGERS * ENTRIES; world.check_at++) {
        int64_t ledger = (int64_t)(world.check_at / ENTRIES);
        int64_t entry = (int64_t)(world.check_at % ENTRIES);
        if (!world.promises.is_added[ledger][entry]) continue;
        world.check_at++;
        ask_check(slot, ledger, entry);
        return true;
    }
    return false;
}

static void tick(struct rt_timer *timer) {
    struct slot *slot;
    unsigned count = (unsigned)rt_random_below(rt_sim_random(world.sim), CALLS);
    while (count-- && (slot = slot_free())) {
        if (!check_next(slot)) ask_random(slot);
    }
    rt_timer_after(timer, TICK_US * RT_NS_PER_US);
}

// THE BOOKIE

static struct bookie_mark journal_end(struct bookie_store_events *events, unsigned journal) {
    (void)events;
    return bookie_journal_end(world.journals[journal]);
}

static void flushed(struct bookie_store_events *events, const struct bookie_mark *marks,
                    unsigned count) {
    (void)events;
    for (unsigned i = 0; i < count; i++) bookie_journal_release(world.journals[i], marks[i]);
}

static void store_drained(struct bookie_store_events *events) {
    (void)events;
    if (world.core) bookie_core_on_drained(world.core);
}

static void store_failed(struct bookie_store_events *events, rt_err err, const char *what) {
    (void)events;
    rt_sim_fail(world.sim, "the store failed: %s: %s", what, rt_err_name(err));
}

static void journal_drained(struct bookie_journal_events *events) {
    (void)events;
    bookie_core_on_drained(world.core);
}

static void journal_failed(struct bookie_journal_events *events, rt_err err, const char *what) {
    (void)events;
    rt_sim_fail(world.sim, "a journal failed: %s: %s", what, rt_err_name(err));
}

static rt_err store_open(struct rt_why *why) {
    static const char *const dirs[] = {"ledgers-0", "ledgers-1"};
    const struct bookie_store_options options = {.ledger_dirs = dirs,
                                                 .ledger_dir_count = 2,
                                                 .index_dir = "index",
                                                 .journal_count = JOURNALS,
                                                 .write_cache_bytes = 256 << 10,
                                                 .read_cache_bytes = 256 << 10,
                                                 .index_cache_bytes = 1 << 20,
                                                 .file_bytes_max = 1 << 20,
                                                 .extent_bytes = 8 << 10,
                                                 .compress = true,
                                                 .flush_ms = 20,
                                                 .events = &world.store_events};
    world.store_events =
        (struct bookie_store_events){journal_end, flushed, store_drained, store_failed};
    return bookie_store_open_now(world.machine, world.loop, &options, &world.store, why);
}

static rt_err journal_open(unsigned index, struct rt_why *why) {
    char directory[32];
    const struct bookie_journal_options options = {.directory = directory,
                                                   .owner = 40 + index,
                                                   .segment_bytes = 1 << 20,
                                                   .queue_bytes_max = 64 << 10,
                                                   .spare_max = 2,
                                                   .sync = true,
                                                   .planted_no_sync = world.plants_no_sync,
                                                   .events = &world.journal_events};
    snprintf(directory, sizeof(directory), "journal-%u", index);
    world.journal_events = (struct bookie_journal_events){journal_failed, journal_drained};
    return bookie_journal_open_now(world.machine, world.loop, &options,
                                   bookie_store_mark(world.store, index), &world.journals[index],
                                   why);
}

struct replay {
    struct bookie_journal_replay replay;
    unsigned journal;
};

static rt_err replay_each(struct bookie_journal_replay *base, struct rt_bytes record,
                          struct bookie_mark at, struct rt_why *why) {
    (void)at;
    struct replay *replay = rt_container_of(base, struct replay, replay);
    return bookie_core_replay_now(world.core, replay->journal, record, why);
}

static rt_err bookie_open(struct rt_why *why) {
    rt_err err = store_open(why);
    for (unsigned i = 0; !err && i < JOURNALS; i++) err = journal_open(i, why);
    if (err) return err;
    const struct bookie_core_options options = {.store = world.store,
                                                .journals = world.journals,
                                                .journal_count = JOURNALS,
                                                .journal_writes = true};
    world.core = bookie_core_new(world.machine, world.loop, &options);
    for (unsigned i = 0; !err && i < JOURNALS; i++) {
        struct replay replay = {.replay.each = replay_each, .journal = i};
        err = bookie_journal_replay_now(world.journals[i], &replay.replay, why);
    }
    return err;
}

static void ledger_check(int64_t id) {
    struct bookie_ledger *ledger;
    struct rt_why why = {{0}};
    const struct promises *promises = &world.promises;
    rt_err err = bookie_ledger_acquire_now(world.store, id, &ledger, &why);
    if (err) {
        rt_sim_fail(world.sim, "ledger %lld: %s", (long long)id, why.text);
        return;
    }
    if (promises->is_fenced[id] && !ledger->fenced)
        rt_sim_fail(world.sim, "the fence of ledger %lld is lost", (long long)id);
    if (ledger->exists && (ledger->key_size != KEY || memcmp(ledger->key, key_of(id), KEY) != 0))
        rt_sim_fail(world.sim, "the key of ledger %lld is lost", (long long)id);
    struct rt_reader r = rt_reader_over(rt_bytes_skip(rt_buf_bytes(&ledger->explicit_lac), 8));
    int64_t lac = (int64_t)rt_read_be64(&r);
    if (promises->explicit_lac[id] >= 0 && lac < promises->explicit_lac[id])
        rt_sim_fail(world.sim, "the explicit LAC of ledger %lld is lost", (long long)id);
    bookie_ledger_release(world.store, ledger);
}

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct rt_why why = {{0}};
    (void)program;
    world.machine = machine;
    world.loop = rt_machine_loop(machine, 0);
    rt_err err = bookie_open(&why);
    if (err) {
        rt_sim_fail(world.sim, "the bookie does not start: %s: %s", why.text, rt_err_name(err));
        return;
    }
    for (int64_t id = 0; id < LEDGERS; id++) ledger_check(id);
    world.check_at = 0;
    rt_timer_init(&world.tick, world.loop, tick, "test tick");
    rt_timer_after(&world.tick, 0);
}

static void crashed(struct rt_sim_program *program) {
    (void)program;
    world.core = NULL;
    world.store = NULL;
    memset(world.slots, 0, sizeof(world.slots));
}

// LIVES

static bool is_checked(struct rt_sim_condition *condition) {
    (void)condition;
    return world.check_at == LEDGERS * ENTRIES;
}

static void life(void) {
    struct rt_random *random = rt_sim_random(world.sim);
    struct rt_sim_condition checked = {is_checked};
    rt_sim_start(world.node);
    // Now and then it crashes in the middle of its start.
    if (rt_random_below(random, 4) > 0) {
        bool is_done = rt_sim_run_until(world.sim, &checked, REBORN_MS * RT_NS_PER_MS);
        cr_assert(is_done || rt_sim_failed(world.sim), "the start never ends");
    }
    rt_sim_run_for(world.sim, rt_random_below(random, 60 * RT_NS_PER_MS));
    rt_sim_crash(world.node, rt_random_below(random, 3) ? RT_SIM_POWER_LOSS : RT_SIM_KILL);
    world.lives++;
}

static void world_run(uint64_t seed, bool plants_no_sync) {
    memset(&world, 0, sizeof(world));
    for (unsigned i = 0; i < LEDGERS; i++) world.promises.explicit_lac[i] = -1;
    world.plants_no_sync = plants_no_sync;
    world.program = (struct rt_sim_program){boot, crashed};
    world.sim = rt_sim_new(&(struct rt_sim_options){.seed = seed});
    world.node = rt_sim_node_add(world.sim, "a", 1, &world.program);
    for (unsigned i = 0; i < LIVES && !rt_sim_failed(world.sim); i++) life();
}

Test(bookie_core_crash, what_was_answered_survives_crashes_at_any_point, .timeout = 600) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
        world_run(seed, false);
        cr_assert(!rt_sim_failed(world.sim), "seed %llu: %s", (unsigned long long)seed,
                  rt_sim_failure(world.sim));
        cr_assert(world.adds > 500 && world.checks > 500 && world.fences > 0,
                  "it does something: %llu adds, %llu checks, %llu fences",
                  (unsigned long long)world.adds, (unsigned long long)world.checks,
                  (unsigned long long)world.fences);
        rt_sim_free(world.sim);
    }
}

Test(bookie_core_crash, a_journal_that_answers_before_the_sync_is_found_out, .timeout = 600) {
    bool is_found = false;
    for (uint64_t seed = 1; seed <= 10 && !is_found; seed++) {
        world_run(seed, true);
        is_found = rt_sim_failed(world.sim);
        rt_sim_free(world.sim);
    }
    cr_assert(is_found);
}
