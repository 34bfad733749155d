// Replay: what was answered is there again after a crash at any point.
#include <criterion/criterion.h>
#include <string.h>

#include "bookie/server/core/records.h"
#include "tests/unit/bookie_core/stage.h"

enum { LEDGERS = 4, ENTRIES = 512, STEPS = 400 };

// A second life: a new store and core, which see the durable records only.
struct life {
    struct bookie_store store;
    struct bookie_core *core;
    struct rt_task closed;
    rt_err err;
    struct rt_why why;
};

static void closed_run(struct rt_task *task) {
    rt_free(rt_container_of(task, struct life, closed));
}

static struct life *life_begin(struct stage *stage) {
    struct life *life = RT_NEW(struct life);
    struct bookie_core_options options = stage->options;
    fake_store_open(&life->store, stage->loop);
    options.store = &life->store;
    options.events = NULL;
    life->core = bookie_core_new(stage->machine, stage->loop, &options);
    return life;
}

static void life_end(struct life *life) {
    fake_store_close(&life->store);
    rt_task_init(&life->closed, closed_run, "test closed");
    bookie_core_close(life->core, &life->closed);
}

static void life_replay_one(struct life *life, unsigned journal, const struct rt_buf *bytes) {
    if (life->err) return;
    life->err = bookie_core_replay_now(life->core, journal, rt_buf_bytes(bytes), &life->why);
}

static struct life *life_replay(struct stage *stage) {
    struct life *life = life_begin(stage);
    for (unsigned j = 0; j < STAGE_JOURNALS; j++) {
        for (unsigned i = 0; i < stage->journals[j].count; i++) {
            const struct fake_record *record = &stage->journals[j].records[i];
            if (record->is_durable && !record->is_force) life_replay_one(life, j, &record->bytes);
        }
    }
    return life;
}

// ONE BY ONE

static void replays_act(struct stage *stage) {
    struct life *life = life_replay(stage);
    cr_expect_eq(life->err, RT_OK, "%s", life->why.text);
    const struct bookie_ledger *one = fake_store_ledger(&life->store, 1);
    const struct bookie_ledger *two = fake_store_ledger(&life->store, 2);
    cr_expect(one->exists && !one->fenced && one->key_size == STAGE_KEY && one->key[0] == 'k');
    cr_expect(fake_store_entry(&life->store, 1, 0) && one->last_entry == 0);
    cr_expect_eq(one->explicit_lac.size, 20);
    cr_expect(two->exists && two->fenced && two->key_size == STAGE_KEY && two->key[0] == 'k');
    life_end(life);
}

Test(bookie_core_replay, entries_keys_fences_and_explicit_lacs_come_back) {
    struct stage *stage = stage_open();
    stage_add(stage, 1, 1, 0, 0);
    stage_write_lac(stage, 2, 1, 0);
    stage_fence(stage, 3, 2, -1);
    stage_act(stage, replays_act);
    stage_close(stage);
}

static void replay_kind(struct life *life, enum bookie_record_kind kind, int64_t ledger,
                        const char *body) {
    struct rt_buf record = {0};
    uint8_t head[BOOKIE_RECORD_HEAD];
    bookie_record_head(kind, ledger, strlen(body), head);
    rt_buf_append(&record, RT_BYTES(head, body[0] == '-' ? 16 : sizeof(head)));
    if (body[0] != '-') rt_buf_append(&record, rt_bytes_of(body));
    life_replay_one(life, 0, &record);
    rt_buf_fini(&record);
}

static void replay_entry(struct life *life, int64_t ledger, int64_t entry) {
    struct rt_buf body = {0};
    stage_body(ledger, entry, entry - 1, &body);
    life_replay_one(life, 0, &body);
    rt_buf_fini(&body);
}

static void deleted_act(struct stage *stage) {
    struct life *life = life_begin(stage);
    replay_entry(life, 1, 0);
    replay_kind(life, BOOKIE_RECORD_FENCE, 1, "-");  // as BookKeeper writes it: without a key
    replay_kind(life, BOOKIE_RECORD_EXPLICIT_LAC, 1, "0123456701234567");
    cr_expect(!fake_store_ledger(&life->store, 1)->exists);
    replay_kind(life, BOOKIE_RECORD_KEY, 1, "key");
    replay_entry(life, 1, 1);
    replay_kind(life, BOOKIE_RECORD_FENCE, 1, "-");
    cr_expect(fake_store_ledger(&life->store, 1)->fenced);
    cr_expect(!fake_store_entry(&life->store, 1, 0) && fake_store_entry(&life->store, 1, 1));
    replay_kind(life, BOOKIE_RECORD_EXPLICIT_LAC, 1, "0123456701234568");
    replay_kind(life, BOOKIE_RECORD_KEY, 1, "other");
    cr_expect_arr_eq(fake_store_ledger(&life->store, 1)->key, "key", 3);
    cr_expect_eq(life->err, RT_OK, "%s", life->why.text);
    life_end(life);
}

Test(bookie_core_replay, records_of_a_deleted_ledger_are_skipped_until_a_key_is_seen) {
    struct stage *stage = stage_open();
    stage_act(stage, deleted_act);
    stage_close(stage);
}

static void full_act(struct stage *stage) {
    struct life *life = life_begin(stage);
    life->store.room = 1;
    life->store.room_after_flush = 2;
    replay_kind(life, BOOKIE_RECORD_KEY, 1, "key");
    for (int i = 0; i < 6; i++) replay_entry(life, 1, i);
    cr_expect_eq(life->err, RT_OK, "%s", life->why.text);
    cr_expect_eq(life->store.flushes, 3);
    cr_expect_not_null(fake_store_entry(&life->store, 1, 5));
    life->store.room_after_flush = 0;
    replay_entry(life, 1, 6);
    replay_entry(life, 1, 7);
    cr_expect_eq(life->err, RT_EBUSY, "a cache that stays full ends it");
    life_end(life);
}

Test(bookie_core_replay, a_full_cache_is_flushed) {
    struct stage *stage = stage_open();
    stage_act(stage, full_act);
    stage_close(stage);
}

static void failing_act(struct stage *stage) {
    struct life *life = life_begin(stage);
    struct rt_buf rubbish = {0};
    rt_buf_append(&rubbish, RT_BYTES_LITERAL("rubbish"));
    life_replay_one(life, 3, &rubbish);
    rt_buf_fini(&rubbish);
    cr_expect_eq(life->err, RT_ECORRUPT);
    cr_expect_str_eq(life->why.text, "journal 3 holds a record of 7 bytes that no bookie wrote");
    life->err = RT_OK;
    life->store.load_err = RT_EIO;
    replay_entry(life, 1, 0);
    cr_expect_eq(life->err, RT_EIO);
    cr_expect_str_eq(life->why.text, "ledger 1: as the test wants it");
    life->err = life->store.load_err = RT_OK;
    replay_kind(life, BOOKIE_RECORD_KEY, 1, "key");
    life->store.put_err = RT_ENOSPACE;
    replay_entry(life, 1, 0);
    cr_expect_eq(life->err, RT_ENOSPACE);
    cr_expect_str_eq(life->why.text, "entry 0 of ledger 1: no space left on device");
    life_end(life);
}

Test(bookie_core_replay, an_error_says_where_and_why) {
    struct stage *stage = stage_open();
    stage_act(stage, failing_act);
    stage_close(stage);
}

// CRASHES ANYWHERE

struct promises {
    bool is_added[LEDGERS][ENTRIES];
    bool is_fenced[LEDGERS];
    int64_t explicit_lac[LEDGERS];
    bool came_late[STAGE_CALLS];  // asked after its ledger's fence was answered
    unsigned kept;
};

static struct promises promises;

static void promises_check(struct stage *stage) {
    struct life *life = life_replay(stage);
    cr_assert_eq(life->err, RT_OK, "%s", life->why.text);
    for (int64_t id = 0; id < LEDGERS; id++) {
        const struct bookie_ledger *ledger = fake_store_ledger(&life->store, id);
        cr_assert(ledger->fenced || !promises.is_fenced[id], "ledger %lld", (long long)id);
        cr_assert(!ledger->exists || ledger->key[0] == 'k');
        for (int64_t i = 0; i < ENTRIES; i++) {
            if (!promises.is_added[id][i]) continue;
            cr_assert_not_null(fake_store_entry(&life->store, id, i), "%lld/%lld lost",
                               (long long)id, (long long)i);
            promises.kept++;
        }
        if (promises.explicit_lac[id] < 0) continue;
        struct rt_reader r =
            rt_reader_over(rt_bytes_skip(rt_buf_bytes(&ledger->explicit_lac), sizeof(uint64_t)));
        cr_assert_geq((int64_t)rt_read_be64(&r), promises.explicit_lac[id]);
    }
    life_end(life);
}

static void promise(struct stage *stage, struct stage_call *own) {
    const struct proto_bk_request *request = &own->call.request;
    enum proto_bk_code code = own->call.response.code;
    bool is_fence = request->kind == PROTO_BK_READ && (request->flags & PROTO_BK_FENCE);
    if (request->kind == PROTO_BK_ADD && code == PROTO_BK_OK) {
        bool may_pass = request->flags & PROTO_BK_RECOVERY;
        cr_assert(may_pass || !promises.came_late[own->number], "an add behind a fence");
        promises.is_added[request->ledger][request->entry] = true;
    }
    if (is_fence && (code == PROTO_BK_OK || code == PROTO_BK_NO_ENTRY))
        promises.is_fenced[request->ledger] = true;
    if (request->kind == PROTO_BK_WRITE_LAC && code == PROTO_BK_OK &&
        request->lac > promises.explicit_lac[request->ledger])
        promises.explicit_lac[request->ledger] = request->lac;
    promises_check(stage);
    stage->log_size = 0;
    stage->log[0] = '\0';
}

static unsigned free_call(const struct stage *stage) {
    unsigned number = 0;
    while (number < STAGE_CALLS && stage->calls[number].is_used) number++;
    cr_assert_lt(number, STAGE_CALLS);
    return number;
}

static void weather_change(struct stage *stage) {
    struct rt_random *random = rt_sim_random(stage->sim);
    struct bookie_journal *journal = &stage->journals[rt_random_below(random, STAGE_JOURNALS)];
    switch (rt_random_below(random, 6)) {
    case 0: journal->holds = true; break;
    case 1: journal->room = (unsigned)rt_random_below(random, 3); break;
    case 2: stage->store.room = (unsigned)rt_random_below(random, 3); break;
    default:
        journal->room = stage->store.room = UINT32_MAX;
        stage_journals_release(stage);
        stage_drained(stage);
        break;
    }
}

static void step(struct stage *stage) {
    struct rt_random *random = rt_sim_random(stage->sim);
    int64_t ledger = (int64_t)rt_random_below(random, LEDGERS);
    int64_t entry = (int64_t)rt_random_below(random, ENTRIES);
    unsigned number = free_call(stage);
    promises.came_late[number] = promises.is_fenced[ledger];
    switch (rt_random_below(random, 20)) {
    case 0: stage_fence(stage, number, ledger, -1); break;
    case 1: stage_fence(stage, number, ledger, entry); break;
    case 2: stage_write_lac(stage, number, ledger, entry); break;
    case 3: stage_simple(stage, number, PROTO_BK_FORCE_LEDGER, ledger); break;
    case 4: stage_add(stage, number, ledger, entry, PROTO_BK_RECOVERY); break;
    case 5:
    case 6:
    case 7: weather_change(stage); break;
    default: stage_add(stage, number, ledger, entry, 0); break;
    }
}

static void random_run(uint64_t seed) {
    struct stage *stage = stage_new();
    memset(&promises, 0, sizeof(promises));
    for (unsigned i = 0; i < LEDGERS; i++) promises.explicit_lac[i] = -1;
    for (uint64_t i = 0; i < seed; i++) rt_random_below(rt_sim_random(stage->sim), 2);
    stage->answered = promise;
    stage_start(stage);
    for (unsigned i = 0; i < STEPS && stage->answers < STEPS / 2; i++) step(stage);
    for (unsigned i = 0; i < STAGE_JOURNALS; i++) stage->journals[i].room = UINT32_MAX;
    stage->store.room = UINT32_MAX;
    stage_journals_release(stage);
    stage_drained(stage);
    cr_assert_gt(promises.kept, 100, "the test tests something");
    stage_close(stage);
}

Test(bookie_core_replay, what_was_answered_survives_a_crash_at_any_answer) {
    for (uint64_t seed = 0; seed < 12; seed++) random_run(seed);
}
