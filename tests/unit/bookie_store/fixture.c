#include "tests/unit/bookie_store/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/backend.h"
#include "runtime/real/real.h"

static struct bookie_mark journal_end(struct bookie_store_events *events, unsigned journal) {
    struct bookie_mark end = rt_container_of(events, struct fixture, events)->journal_end;
    return (struct bookie_mark){end.segment + journal, end.offset};
}

// RUNNING PIECES

static void on_task(struct rt_task *task) {
    struct fixture *fixture = rt_container_of(task, struct fixture, task);
    fixture->piece(fixture);
}

static void sim_piece(struct disk_world *world, void *argument) {
    struct fixture *fixture = argument;
    (void)world;
    fixture->piece(fixture);
}

void fixture_start(struct fixture *fixture, void (*piece)(struct fixture *fixture)) {
    fixture->piece = piece;
    fixture->is_done = false;
    fixture->err = RT_OK;
    if (fixture->is_real) {
        fixture->latch = rt_latch_new();
        rt_task_init(&fixture->task, on_task, "test.piece");
        rt_post(rt_machine_loop(fixture->machine, 0), &fixture->task);
    } else {
        disk_world_run(&fixture->world, sim_piece, fixture);
    }
}

void fixture_wait(struct fixture *fixture) {
    if (fixture->is_real) {
        rt_latch_wait(fixture->latch);
        rt_latch_free(fixture->latch);
        fixture->latch = NULL;
    } else {
        while (!fixture->is_done) cr_assert(rt_sim_step(fixture->world.sim), "nothing happens");
    }
}

void fixture_run(struct fixture *fixture, void (*piece)(struct fixture *fixture)) {
    fixture_start(fixture, piece);
    fixture_wait(fixture);
}

void fixture_done(struct fixture *fixture, rt_err err) {
    fixture->err = err;
    fixture->is_done = true;
    if (fixture->is_real) rt_latch_open(fixture->latch);
}

// LIFE

static void on_flushed(struct bookie_store_events *events, const struct bookie_mark *flushed,
                       unsigned count) {
    struct fixture *fixture = rt_container_of(events, struct fixture, events);
    fixture->flushed++;
    if (count > 0) fixture->flushed_mark = flushed[0];
}

static void on_drained(struct bookie_store_events *events) {
    rt_container_of(events, struct fixture, events)->drained++;
}

static void on_failed(struct bookie_store_events *events, rt_err err, const char *what) {
    struct fixture *fixture = rt_container_of(events, struct fixture, events);
    (void)what;
    fixture->failed++;
    fixture->failed_err = err;
}

static void init(struct fixture *fixture, const char *root) {
    snprintf(fixture->root, sizeof(fixture->root), "%s", root);
    for (unsigned i = 0; i < FIXTURE_DIRS; i++) {
        snprintf(fixture->dirs[i], sizeof(fixture->dirs[i]), "%s/ledgers%u", root, i);
        fixture->dir_list[i] = fixture->dirs[i];
    }
    snprintf(fixture->index, sizeof(fixture->index), "%s/index", root);
    fixture->events = (struct bookie_store_events){journal_end, on_flushed, on_drained, on_failed};
    fixture->options = (struct bookie_store_options){
        .ledger_dirs = fixture->dir_list,
        .ledger_dir_count = 1,
        .index_dir = fixture->index,
        .journal_count = 2,
        .write_cache_bytes = 4 << 20,
        .read_cache_bytes = 1 << 20,
        .index_cache_bytes = 1 << 20,
        .file_bytes_max = 1 << 20,
        .extent_bytes = 4 << 10,
        .compress = true,
    };
}

void fixture_init_sim(struct fixture *fixture, uint64_t seed) {
    memset(fixture, 0, sizeof(*fixture));
    disk_world_open(&fixture->world, seed);
    init(fixture, "data");
}

void fixture_init_real(struct fixture *fixture) {
    memset(fixture, 0, sizeof(*fixture));
    fixture->is_real = true;
    char root[] = "/tmp/geminga-store-XXXXXX";
    cr_assert_not_null(mkdtemp(root));
    const struct rt_real_options options = {.loop_count = 1, .worker_count = 2};
    cr_assert_eq(rt_real_open(&options, &fixture->machine, NULL), RT_OK);
    rt_real_start(fixture->machine);
    init(fixture, root);
}

void fixture_fini(struct fixture *fixture) {
    if (fixture->store) fixture_close(fixture);
    if (!fixture->is_real) {
        disk_world_close(&fixture->world);
        return;
    }
    cr_assert_eq(rt_path_remove_tree_now(fixture->machine, fixture->root), RT_OK);
    rt_real_close(fixture->machine);
}

struct rt_machine *fixture_machine(struct fixture *fixture) {
    return fixture->is_real ? fixture->machine : fixture->world.machine;
}

static void open_piece(struct fixture *fixture) {
    struct rt_machine *machine = fixture_machine(fixture);
    fixture->options.events = &fixture->events;
    fixture->why = (struct rt_why){0};
    rt_err err = bookie_store_open_now(machine, rt_machine_loop(machine, 0), &fixture->options,
                                       &fixture->store, &fixture->why);
    fixture_done(fixture, err);
}

rt_err fixture_try_open(struct fixture *fixture) {
    cr_assert_null(fixture->store);
    fixture_run(fixture, open_piece);
    return fixture->err;
}

void fixture_open(struct fixture *fixture) {
    cr_assert_eq(fixture_try_open(fixture), RT_OK, "%s", fixture->why.text);
}

static void on_closed(struct rt_task *task) {
    struct fixture *fixture = rt_container_of(task, struct fixture, task);
    fixture_done(fixture, RT_OK);
}

static void close_piece(struct fixture *fixture) {
    rt_task_init(&fixture->task, on_closed, "test.closed");
    bookie_store_close(fixture->store, &fixture->task);
}

void fixture_close(struct fixture *fixture) {
    fixture_run(fixture, close_piece);
    fixture->store = NULL;
}

void fixture_crash(struct fixture *fixture, enum rt_sim_crash_kind kind) {
    disk_world_crash(&fixture->world, kind);
    fixture->store = NULL;
}

void fixture_reopen(struct fixture *fixture) {
    fixture_close(fixture);
    fixture_open(fixture);
}

// BODIES

static uint64_t mix(uint64_t value) {
    value *= UINT64_C(0x9e3779b97f4a7c15);
    return value ^ value >> 29;
}

static uint64_t seed_of(int64_t ledger, int64_t entry, int64_t version) {
    return mix(mix(mix((uint64_t)ledger) + (uint64_t)entry) + (uint64_t)version);
}

size_t fixture_body_size(int64_t ledger, int64_t entry, int64_t version) {
    uint64_t draw = seed_of(ledger, entry, version) >> 20;
    if (draw % 97 == 0) return 0;
    if (draw % 53 == 0) return 6000 + draw % 9000;
    return 24 + draw % 400;
}

// Half of it repeats, so that it can be compressed.
void fixture_body(int64_t ledger, int64_t entry, int64_t version, uint8_t *body, size_t size) {
    uint64_t state = seed_of(ledger, entry, version);
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) state = mix(state + 1);
        body[i] = (uint8_t)(i % 16 < 8 ? state >> (i % 8 * 8) : 'x');
    }
}

bool fixture_body_is(struct rt_bytes body, int64_t ledger, int64_t entry, int64_t version,
                     size_t size) {
    if (size == 0) size = fixture_body_size(ledger, entry, version);
    if (body.size != size) return false;
    uint8_t *expected = malloc(size + 1);
    fixture_body(ledger, entry, version, expected, size);
    bool is_it = size == 0 || memcmp(expected, body.data, size) == 0;
    free(expected);
    return is_it;
}

// PUTTING

rt_err fixture_put_now(struct fixture *fixture, struct bookie_ledger *ledger, int64_t entry,
                       int64_t version) {
    size_t size = fixture->body_size;
    if (size == 0) size = fixture_body_size(ledger->id, entry, version);
    uint8_t *body = malloc(size + 1);
    fixture_body(ledger->id, entry, version, body, size);
    rt_err err =
        bookie_store_put(fixture->store, ledger, entry, fixture->lac, RT_BYTES(body, size));
    free(body);
    return err;
}

static void put_acquired(struct bookie_ledger_op *op, rt_err err, struct bookie_ledger *ledger) {
    struct fixture *fixture = rt_container_of(op, struct fixture, acquire);
    fixture->ledger = ledger;
    if (!err) {
        err = fixture_put_now(fixture, ledger, fixture->entry, fixture->version);
        bookie_ledger_release(fixture->store, ledger);
    }
    fixture_done(fixture, err);
}

static void put_piece(struct fixture *fixture) {
    fixture->acquire.done = put_acquired;
    bookie_ledger_acquire(fixture->store, &fixture->acquire, fixture->ledger_id);
}

rt_err fixture_put(struct fixture *fixture, int64_t ledger, int64_t entry, int64_t version) {
    fixture->ledger_id = ledger;
    fixture->entry = entry;
    fixture->version = version;
    fixture->lac = entry - 1;
    do {
        fixture_run(fixture, put_piece);
    } while (fixture->err == RT_EBUSY);
    return fixture->err;
}

void fixture_put_range(struct fixture *fixture, int64_t ledger, int64_t first, int64_t last) {
    for (int64_t entry = first;; entry++) {
        cr_assert_eq(fixture_put(fixture, ledger, entry, 0), RT_OK);
        if (entry == last) return;
    }
}

// FLUSHING

static void flush_done(struct bookie_flush_op *op, rt_err err) {
    fixture_done(rt_container_of(op, struct fixture, flush), err);
}

static void flush_piece(struct fixture *fixture) {
    fixture->flush.done = flush_done;
    bookie_store_flush(fixture->store, &fixture->flush);
}

rt_err fixture_flush(struct fixture *fixture) {
    fixture_run(fixture, flush_piece);
    return fixture->err;
}

// READING

static void read_done(struct bookie_read_op *op, rt_err err) {
    struct fixture *fixture = rt_container_of(op, struct fixture, read);
    fixture->found = op->found;
    fixture->body_is_right =
        !err && fixture_body_is(rt_slice_bytes(op->body), fixture->ledger_id, op->found,
                                fixture->version, fixture->body_size);
    rt_slice_drop(&op->body);
    bookie_ledger_release(fixture->store, fixture->ledger);
    fixture_done(fixture, err);
}

static void read_acquired(struct bookie_ledger_op *op, rt_err err, struct bookie_ledger *ledger) {
    struct fixture *fixture = rt_container_of(op, struct fixture, acquire);
    fixture->ledger = ledger;
    if (err) {
        fixture_done(fixture, err);
        return;
    }
    fixture->read = (struct bookie_read_op){
        .ledger = ledger, .entry = fixture->entry, .ahead = fixture->ahead, .done = read_done};
    bookie_store_read(fixture->store, &fixture->read);
}

static void read_piece(struct fixture *fixture) {
    fixture->acquire.done = read_acquired;
    bookie_ledger_acquire(fixture->store, &fixture->acquire, fixture->ledger_id);
}

rt_err fixture_read(struct fixture *fixture, int64_t ledger, int64_t entry, int64_t version) {
    fixture->ledger_id = ledger;
    fixture->entry = entry;
    fixture->version = version;
    fixture_run(fixture, read_piece);
    return fixture->err;
}

void fixture_expect(struct fixture *fixture, int64_t ledger, int64_t first, int64_t last,
                    int64_t version) {
    for (int64_t entry = first;; entry++) {
        cr_assert_eq(fixture_read(fixture, ledger, entry, version), RT_OK, "entry %lld: %s",
                     (long long)entry, rt_err_name(fixture->err));
        cr_assert(fixture->body_is_right, "entry %lld", (long long)entry);
        if (entry == last) return;
    }
}

// LEDGERS AND LISTS

static void acquired(struct bookie_ledger_op *op, rt_err err, struct bookie_ledger *ledger) {
    struct fixture *fixture = rt_container_of(op, struct fixture, acquire);
    fixture->ledger = ledger;
    fixture_done(fixture, err);
}

static void acquire_piece(struct fixture *fixture) {
    fixture->acquire.done = acquired;
    bookie_ledger_acquire(fixture->store, &fixture->acquire, fixture->ledger_id);
}

struct bookie_ledger *fixture_acquire(struct fixture *fixture, int64_t ledger) {
    fixture->ledger_id = ledger;
    fixture_run(fixture, acquire_piece);
    return fixture->err ? NULL : fixture->ledger;
}

static void release_piece(struct fixture *fixture) {
    bookie_ledger_release(fixture->store, fixture->ledger);
    fixture_done(fixture, RT_OK);
}

void fixture_release(struct fixture *fixture, struct bookie_ledger *ledger) {
    fixture->ledger = ledger;
    fixture_run(fixture, release_piece);
}

static void deleted(struct bookie_ledger_delete_op *op, rt_err err) {
    fixture_done(rt_container_of(op, struct fixture, delete_op), err);
}

static void delete_piece(struct fixture *fixture) {
    fixture->delete_op.done = deleted;
    bookie_ledger_delete(fixture->store, &fixture->delete_op, fixture->ledger_id);
}

rt_err fixture_delete(struct fixture *fixture, int64_t ledger) {
    fixture->ledger_id = ledger;
    fixture_run(fixture, delete_piece);
    return fixture->err;
}

static void ids_keep(struct fixture *fixture, struct rt_buf *ids) {
    fixture->id_count = ids->size / sizeof(int64_t);
    cr_assert_leq(fixture->id_count, sizeof(fixture->ids) / sizeof(fixture->ids[0]));
    if (ids->size > 0) memcpy(fixture->ids, ids->data, ids->size);
    rt_buf_fini(ids);
}

static void entries_done(struct bookie_entries_op *op, rt_err err) {
    struct fixture *fixture = rt_container_of(op, struct fixture, entries_op);
    ids_keep(fixture, &op->entries);
    bookie_ledger_release(fixture->store, fixture->ledger);
    fixture_done(fixture, err);
}

static void entries_acquired(struct bookie_ledger_op *op, rt_err err,
                             struct bookie_ledger *ledger) {
    struct fixture *fixture = rt_container_of(op, struct fixture, acquire);
    cr_assert_eq(err, RT_OK);
    fixture->ledger = ledger;
    fixture->entries_op = (struct bookie_entries_op){.ledger = ledger, .done = entries_done};
    bookie_store_entries(fixture->store, &fixture->entries_op);
}

static void entries_piece(struct fixture *fixture) {
    fixture->acquire.done = entries_acquired;
    bookie_ledger_acquire(fixture->store, &fixture->acquire, fixture->ledger_id);
}

rt_err fixture_entries(struct fixture *fixture, int64_t ledger) {
    fixture->ledger_id = ledger;
    fixture_run(fixture, entries_piece);
    return fixture->err;
}

static void listed(struct bookie_ledger_list_op *op, rt_err err) {
    struct fixture *fixture = rt_container_of(op, struct fixture, list);
    ids_keep(fixture, &op->ids);
    fixture_done(fixture, err);
}

static void list_piece(struct fixture *fixture) {
    bookie_ledger_list(fixture->store, &fixture->list);
}

rt_err fixture_list(struct fixture *fixture, int64_t from, size_t count_max) {
    fixture->list =
        (struct bookie_ledger_list_op){.from = from, .count_max = count_max, .done = listed};
    fixture_run(fixture, list_piece);
    return fixture->err;
}

static void stats_piece(struct fixture *fixture) {
    *(struct bookie_store_stats *)fixture->user = bookie_store_stats(fixture->store);
    fixture_done(fixture, RT_OK);
}

struct bookie_store_stats fixture_stats(struct fixture *fixture) {
    struct bookie_store_stats stats;
    fixture->user = &stats;
    fixture_run(fixture, stats_piece);
    return stats;
}
