// The store under kills and power losses, at any moment of flushes and deletions, over many seeds:
// what the marks cover is there, what was deleted stays so, and nothing is there that was not put.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "bookie/server/store/compaction.h"
#include "bookie/server/store/store_internal.h"
#include "tests/unit/bookie_store/fixture.h"
#include "tests/unit/bookie_store/history.h"

enum { READS = 64, DELETES = 4, SEEDS = 300, LIVES = 5, BODY_MAX = 3000 };

struct life_read {
    struct bookie_read_op op;
    struct life *life;
    int ledger, entry;
    uint64_t mark;  // what had been put when it was asked
    bool is_busy;
};

struct life_delete {
    struct bookie_ledger_delete_op op;
    struct life *life;
    size_t index;
    bool is_busy;
};

struct life {
    struct fixture fixture;
    struct history history;
    struct rt_random random;
    struct bookie_ledger *ledgers[HISTORY_LEDGERS];
    struct life_read reads[READS];
    struct life_delete deletes[DELETES];
    struct bookie_flush_op flush;
    uint64_t flush_mark, flushed_mark;  // what a flush that has ended must cover
    bool is_flushing, is_compacting;
    struct bookie_compact_op compact;
    uint64_t seed;
    unsigned answers;
    // What a look found.
    int look_ledger, look_entry;
    uint64_t look_version;
};

static int64_t ledger_id(int ledger) {
    static const int64_t ids[HISTORY_LEDGERS] = {0, 1, 77, INT64_MAX - 1, INT64_MAX};
    return ids[ledger];
}

// The last ledger lives at the end of all ids; the third one holds every fifth entry.
static int64_t entry_id(int ledger, int entry) {
    if (ledger == HISTORY_LEDGERS - 1) return INT64_MAX - HISTORY_ENTRIES + 1 + entry;
    return ledger == 2 ? (int64_t)entry * 5 : entry;
}

static size_t body_make(int ledger, int entry, uint64_t version, uint8_t *body) {
    uint64_t words[3] = {version, (uint64_t)ledger, (uint64_t)entry};
    size_t filler = version % 61 == 0 ? BODY_MAX - sizeof(words) : version * 37 % 300;
    memcpy(body, words, sizeof(words));
    memset(body + sizeof(words), (int)(version & 0xff), filler);
    return sizeof(words) + filler;
}

// 0: not what it should be.
static uint64_t body_version(struct rt_bytes body, int ledger, int entry) {
    uint8_t expected[BODY_MAX];
    uint64_t version;
    if (body.size < sizeof(version)) return 0;
    memcpy(&version, body.data, sizeof(version));
    size_t size = body_make(ledger, entry, version, expected);
    return rt_bytes_equal(body, RT_BYTES(expected, size)) ? version : 0;
}

// LIVING

static void open_piece(struct fixture *fixture) {
    struct life *life = rt_container_of(fixture, struct life, fixture);
    struct rt_machine *machine = fixture_machine(fixture);
    fixture->options.events = &fixture->events;
    rt_err err = bookie_store_open_now(machine, rt_machine_loop(machine, 0), &fixture->options,
                                       &fixture->store, &fixture->why);
    cr_assert_eq(err, RT_OK, "seed %d: %s", (int)life->seed, fixture->why.text);
    // What is behind the mark is not there until it is put again.
    fixture->journal_end.offset = bookie_store_mark(fixture->store, 0).offset;
    for (int i = 0; i < HISTORY_LEDGERS; i++) {
        err = bookie_ledger_acquire_now(fixture->store, ledger_id(i), &life->ledgers[i], NULL);
        cr_assert_eq(err, RT_OK);
    }
    fixture_done(fixture, RT_OK);
}

static void put(struct life *life, int ledger, int entry) {
    uint8_t body[BODY_MAX];
    uint64_t version = life->history.version + 1;
    size_t size = body_make(ledger, entry, version, body);
    rt_err err = bookie_store_put(life->fixture.store, life->ledgers[ledger],
                                  entry_id(ledger, entry), -1, RT_BYTES(body, size));
    if (err == RT_EBUSY) return;
    cr_assert_eq(err, RT_OK);
    cr_assert_eq(history_put(&life->history, ledger, entry), version);
    life->fixture.journal_end.offset = life->history.sequence;
}

static void put_some(struct life *life) {
    int ledger = (int)rt_random_below(&life->random, HISTORY_LEDGERS);
    int entry = (int)rt_random_below(&life->random, HISTORY_ENTRIES);
    int count = (int)rt_random_below(&life->random, 60);
    bool is_scattered = rt_random_chance(&life->random, 200000);
    for (int i = 0; i < count && entry < HISTORY_ENTRIES; i++) {
        put(life, ledger, entry);
        entry = is_scattered ? (int)rt_random_below(&life->random, HISTORY_ENTRIES) : entry + 1;
    }
}

static void fence(struct life *life) {
    int ledger = (int)rt_random_below(&life->random, HISTORY_LEDGERS);
    struct bookie_ledger *held = life->ledgers[ledger];
    held->exists = held->fenced = true;
    history_fence(&life->history, ledger);
    life->fixture.journal_end.offset = life->history.sequence;
    bookie_ledger_changed(life->fixture.store, held);
}

static void flushed(struct bookie_flush_op *op, rt_err err) {
    struct life *life = rt_container_of(op, struct life, flush);
    cr_assert_eq(err, RT_OK);
    life->is_flushing = false;
    life->flushed_mark = life->flush_mark;
    cr_assert_geq(bookie_store_mark(life->fixture.store, 0).offset, life->flush_mark);
    life->answers++;
}

static void flush(struct life *life) {
    if (life->is_flushing) return;
    life->is_flushing = true;
    life->flush_mark = life->fixture.journal_end.offset;
    life->flush.done = flushed;
    bookie_store_flush(life->fixture.store, &life->flush);
}

static void deleted(struct bookie_ledger_delete_op *op, rt_err err) {
    struct life_delete *d = rt_container_of(op, struct life_delete, op);
    cr_assert_eq(err, RT_OK);
    history_delete_end(&d->life->history, d->index);
    d->is_busy = false;
    d->life->answers++;
}

static void delete_one(struct life *life) {
    struct life_delete *d = &life->deletes[rt_random_below(&life->random, DELETES)];
    if (d->is_busy) return;
    int ledger = (int)rt_random_below(&life->random, HISTORY_LEDGERS);
    d->life = life;
    d->is_busy = true;
    d->op.done = deleted;
    d->index = history_delete_start(&life->history, ledger);
    bookie_ledger_delete(life->fixture.store, &d->op, ledger_id(ledger));
}

static void read_done(struct bookie_read_op *op, rt_err err) {
    struct life_read *read = rt_container_of(op, struct life_read, op);
    struct life *life = read->life;
    uint64_t version = 0;
    if (!err) {
        version = body_version(rt_slice_bytes(op->body), read->ledger, read->entry);
        cr_assert_neq(version, 0, "seed %d: wrong bytes", (int)life->seed);
    } else {
        cr_assert_eq(err, RT_ENOTFOUND, "seed %d: %s", (int)life->seed, rt_err_name(err));
    }
    rt_slice_drop(&op->body);
    cr_assert(
        history_allows(&life->history, read->ledger, read->entry, version, read->mark, read->mark),
        "seed %d: ledger %d entry %d version %llu", (int)life->seed, read->ledger, read->entry,
        (unsigned long long)version);
    read->is_busy = false;
    life->answers++;
}

static void reads(struct life *life) {
    int ledger = (int)rt_random_below(&life->random, HISTORY_LEDGERS);
    int entry = (int)rt_random_below(&life->random, HISTORY_ENTRIES);
    for (unsigned i = 0; i < READS && entry < HISTORY_ENTRIES; i++, entry++) {
        struct life_read *read = &life->reads[i];
        if (read->is_busy) continue;
        *read = (struct life_read){.life = life,
                                   .ledger = ledger,
                                   .entry = entry,
                                   .mark = life->history.sequence,
                                   .is_busy = true};
        read->op = (struct bookie_read_op){.ledger = life->ledgers[ledger],
                                           .entry = entry_id(ledger, entry),
                                           .ahead = i % 3 ? 1 : 50,
                                           .done = read_done};
        bookie_store_read(life->fixture.store, &read->op);
        if (rt_random_chance(&life->random, 50000)) {
            bookie_store_read_cancel(life->fixture.store, &read->op);
            read->is_busy = false;
        }
        if (rt_random_chance(&life->random, 100000)) return;
    }
}

static void compacted(struct bookie_compact_op *op, rt_err err) {
    struct life *life = rt_container_of(op, struct life, compact);
    cr_assert_eq(err, RT_OK, "seed %d: %s", (int)life->seed, rt_err_name(err));
    life->is_compacting = false;
    life->answers++;
}

static void compact(struct life *life) {
    uint64_t files[8];
    if (life->is_compacting) return;
    unsigned count = bookie_store_compactable(life->fixture.store, 95, files, 8);
    if (count == 0) return;
    life->is_compacting = true;
    life->compact = (struct bookie_compact_op){.done = compacted};
    bookie_store_compact(life->fixture.store, &life->compact,
                         files[rt_random_below(&life->random, count)]);
}

static void act_piece(struct fixture *fixture) {
    struct life *life = rt_container_of(fixture, struct life, fixture);
    uint64_t draw = rt_random_below(&life->random, 100);
    if (draw < 10) {
        compact(life);
    } else if (draw < 55) {
        put_some(life);
    } else if (draw < 75) {
        reads(life);
    } else if (draw < 90) {
        flush(life);
    } else if (draw < 95) {
        delete_one(life);
    } else {
        fence(life);
    }
    fixture_done(fixture, RT_OK);
}

static void live(struct life *life) {
    unsigned acts = 1 + (unsigned)rt_random_below(&life->random, 50);
    for (unsigned i = 0; i < acts; i++) {
        fixture_run(&life->fixture, act_piece);
        unsigned steps = (unsigned)rt_random_below(&life->random, 25);
        for (unsigned step = 0; step < steps; step++) rt_sim_step(life->fixture.world.sim);
    }
    cr_assert_eq(life->fixture.failed, 0);
}

// LOOKING BACK

static void looked(struct bookie_read_op *op, rt_err err) {
    struct fixture *fixture = rt_container_of(op, struct fixture, read);
    struct life *life = rt_container_of(fixture, struct life, fixture);
    life->look_version = 0;
    if (!err) {
        life->look_version =
            body_version(rt_slice_bytes(op->body), life->look_ledger, life->look_entry);
        cr_assert_neq(life->look_version, 0, "seed %d: wrong bytes", (int)life->seed);
    } else {
        cr_assert_eq(err, RT_ENOTFOUND, "seed %d: %s", (int)life->seed, rt_err_name(err));
    }
    rt_slice_drop(&op->body);
    fixture_done(fixture, RT_OK);
}

static void look_piece(struct fixture *fixture) {
    struct life *life = rt_container_of(fixture, struct life, fixture);
    fixture->read = (struct bookie_read_op){.ledger = life->ledgers[life->look_ledger],
                                            .entry = entry_id(life->look_ledger, life->look_entry),
                                            .done = looked};
    bookie_store_read(fixture->store, &fixture->read);
}

static void ledger_look(struct life *life, int ledger, uint64_t mark) {
    const struct bookie_ledger *held = life->ledgers[ledger];
    int64_t last = -1;
    cr_assert(history_allows_fence(&life->history, ledger, held->fenced, mark),
              "seed %d: ledger %d fenced %d", (int)life->seed, ledger, held->fenced);
    uint64_t found[HISTORY_ENTRIES];
    for (int entry = 0; entry < HISTORY_ENTRIES; entry++) {
        life->look_ledger = ledger;
        life->look_entry = entry;
        fixture_run(&life->fixture, look_piece);
        found[entry] = life->look_version;
        cr_assert(history_allows(&life->history, ledger, entry, found[entry], mark, HISTORY_NOW),
                  "seed %d: ledger %d entry %d version %llu mark %llu", (int)life->seed, ledger,
                  entry, (unsigned long long)found[entry], (unsigned long long)mark);
        if (found[entry]) last = entry_id(ledger, entry);
    }
    cr_assert_eq(held->last_entry, last, "seed %d: ledger %d", (int)life->seed, ledger);
    memcpy(life->fixture.ids, found, sizeof(found));
}

static void ledger_adopt(struct life *life, int ledger, const uint64_t *found) {
    for (int entry = 0; entry < HISTORY_ENTRIES; entry++) {
        if (found[entry]) history_found(&life->history, ledger, entry, found[entry]);
    }
    if (life->ledgers[ledger]->fenced) life->history.fences[ledger] = life->history.sequence;
}

// What the table of files says is live is what the index names.
static void live_piece(struct fixture *fixture) {
    struct bookie_store *store = fixture->store;
    struct rt_kv_iter *iter = rt_kv_iter_new(store->kv, NULL, BOOKIE_COLUMN_EXTENTS);
    uint64_t named = 0, live = 0;
    for (rt_kv_iter_first(iter); rt_kv_iter_valid(iter); rt_kv_iter_next(iter)) {
        struct bookie_location location;
        cr_assert_eq(bookie_location_read(rt_kv_iter_key(iter), rt_kv_iter_value(iter), &location),
                     RT_OK);
        cr_assert_not_null(bookie_files_find(&store->files, location.file));
        named += BOOKIE_EXTENT_HEADER + location.stored_size;
    }
    rt_kv_iter_free(iter);
    for (size_t i = 0; i < store->files.count; i++)
        live += store->files.items[i]->record.live_bytes;
    cr_assert_eq(named, live);
    fixture_done(fixture, RT_OK);
}

static void look_back(struct life *life, uint64_t at_least) {
    uint64_t found[HISTORY_LEDGERS][HISTORY_ENTRIES];
    uint64_t mark = bookie_store_mark(life->fixture.store, 0).offset;
    cr_assert_geq(mark, at_least, "seed %d: the marks went back", (int)life->seed);
    for (int i = 0; i < HISTORY_LEDGERS; i++) {
        ledger_look(life, i, mark);
        memcpy(found[i], life->fixture.ids, sizeof(found[i]));
    }
    history_forget(&life->history);
    life->history.sequence = mark;
    for (int i = 0; i < HISTORY_LEDGERS; i++) ledger_adopt(life, i, found[i]);
    life->history.sequence = mark + 1;
    life->fixture.journal_end.offset = mark + 1;
}

static void lives(uint64_t seed) {
    struct life *life = calloc(1, sizeof(*life));
    life->seed = seed;
    rt_random_seed(&life->random, seed);
    fixture_init_sim(&life->fixture, seed);
    life->fixture.options.ledger_dir_count = 1 + seed % 2;
    life->fixture.options.write_cache_bytes = seed % 3 ? 160 << 10 : 1 << 20;
    life->fixture.options.read_cache_bytes = 64 << 10;
    life->fixture.options.file_bytes_max = 40 << 10;
    life->fixture.options.extent_bytes = 1 << 10;
    life->fixture.options.compress = seed % 4 != 0;
    life->fixture.options.flush_ms = seed % 5 ? 0 : 3;
    // Workers that are slow now and then: reads last longer than flushes.
    if (seed % 2) rt_sim_cpu(life->fixture.world.node, 0, 2000, 1000, 8 * RT_NS_PER_MS);
    fixture_run(&life->fixture, open_piece);
    for (unsigned i = 0; i < LIVES; i++) {
        live(life);
        uint64_t at_least = life->flushed_mark;
        bool kills = rt_random_below(&life->random, 3) == 0;
        fixture_crash(&life->fixture, kills ? RT_SIM_KILL : RT_SIM_POWER_LOSS);
        life->is_flushing = life->is_compacting = false;
        memset(life->reads, 0, sizeof(life->reads));
        memset(life->deletes, 0, sizeof(life->deletes));
        fixture_run(&life->fixture, open_piece);
        if (life->fixture.options.flush_ms == 0) fixture_run(&life->fixture, live_piece);
        look_back(life, at_least);
    }
    for (int i = 0; i < HISTORY_LEDGERS; i++) {
        fixture_release(&life->fixture, life->ledgers[i]);
    }
    fixture_fini(&life->fixture);
    free(life);
}

Test(bookie_store_crash, what_the_marks_cover_survives_and_what_was_deleted_does_not,
     .timeout = 300) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) lives(seed);
}
