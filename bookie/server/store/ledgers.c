// The table of ledgers. A record is in one list at the most: dirty, of the flush that is under way,
// or clean and held by nobody.
#include <assert.h>
#include <string.h>

#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

enum { BUCKETS_MIN = 256 };

struct ledger_load {
    struct rt_list link;
    struct bookie_store *store;
    int64_t id;
    struct rt_list ops;  // struct bookie_ledger_op
    struct rt_kv_op get;
    uint8_t key[BOOKIE_LEDGER_KEY];
    struct rt_buf value;
};

// THE TABLE

static struct bookie_ledger **bucket_of(const struct bookie_ledgers *table, int64_t id) {
    uint64_t mixed = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    return &table->buckets[(size_t)(mixed >> 32) & (table->bucket_count - 1)];
}

struct bookie_ledger *bookie_ledgers_find(const struct bookie_store *store, int64_t id) {
    struct bookie_ledger *ledger = *bucket_of(&store->ledgers, id);
    while (ledger && ledger->id != id) ledger = ledger->hash_next;
    return ledger;
}

static void buckets_resize(struct bookie_ledgers *table, size_t count) {
    struct bookie_ledger **old = table->buckets;
    size_t old_count = table->bucket_count;
    table->buckets = rt_alloc_zero(count, sizeof(struct bookie_ledger *));
    table->bucket_count = count;
    for (size_t i = 0; i < old_count; i++) {
        for (struct bookie_ledger *ledger = old[i], *next; ledger; ledger = next) {
            next = ledger->hash_next;
            struct bookie_ledger **bucket = bucket_of(table, ledger->id);
            ledger->hash_next = *bucket;
            *bucket = ledger;
        }
    }
    rt_free(old);
}

static struct bookie_ledger *ledger_add(struct bookie_store *store, int64_t id) {
    struct bookie_ledgers *table = &store->ledgers;
    if (table->count >= table->bucket_count) buckets_resize(table, table->bucket_count * 2);
    struct bookie_ledger *ledger = RT_NEW(struct bookie_ledger);
    ledger->id = id;
    ledger->last_entry = ledger->stored_last = ledger->lac = -1;
    rt_list_init(&ledger->list);
    struct bookie_ledger **bucket = bucket_of(table, id);
    ledger->hash_next = *bucket;
    *bucket = ledger;
    table->count++;
    return ledger;
}

static void ledger_remove(struct bookie_store *store, struct bookie_ledger *ledger) {
    assert(ledger->holds == 0 && !ledger->dirty && !ledger->reads);
    struct bookie_ledgers *table = &store->ledgers;
    struct bookie_ledger **link = bucket_of(table, ledger->id);
    while (*link != ledger) link = &(*link)->hash_next;
    *link = ledger->hash_next;
    table->count--;
    rt_list_remove(&ledger->list);
    rt_buf_fini(&ledger->explicit_lac);
    rt_free(ledger);
}

// CLEAN ones. What the core still uses stays.

static void clean_trim(struct bookie_store *store) {
    struct bookie_ledgers *table = &store->ledgers;
    while (table->clean_count > BOOKIE_CLEAN_LEDGERS_MAX) {
        table->clean_count--;
        ledger_remove(store, rt_container_of(table->clean.next, struct bookie_ledger, list));
    }
}

static void maybe_clean(struct bookie_store *store, struct bookie_ledger *ledger) {
    if (ledger->holds > 0 || ledger->dirty || ledger->user) return;
    assert(!rt_list_is_linked(&ledger->list));
    rt_list_push_back(&store->ledgers.clean, &ledger->list);
    store->ledgers.clean_count++;
    clean_trim(store);
}

static void ledger_hold(struct bookie_store *store, struct bookie_ledger *ledger) {
    if (ledger->holds++ == 0 && !ledger->dirty && rt_list_is_linked(&ledger->list)) {
        rt_list_remove(&ledger->list);
        store->ledgers.clean_count--;
    }
}

void bookie_ledger_release(struct bookie_store *store, struct bookie_ledger *ledger) {
    assert(ledger->holds > 0);
    if (--ledger->holds == 0) maybe_clean(store, ledger);
}

struct bookie_ledger *bookie_ledger_try_acquire(struct bookie_store *store, int64_t id) {
    struct bookie_ledger *ledger = bookie_ledgers_find(store, id);
    if (ledger) ledger_hold(store, ledger);
    return ledger;
}

// DIRTY ones

void bookie_ledger_changed(struct bookie_store *store, struct bookie_ledger *ledger) {
    struct bookie_ledgers *table = &store->ledgers;
    assert(ledger->holds > 0);
    if (ledger->dirty) {
        if (ledger->round != table->round) ledger->dirty_again = true;
        return;
    }
    ledger->dirty = true;
    ledger->round = table->round;
    rt_list_push_back(&table->dirty, &ledger->list);
    if (++table->dirty_count == BOOKIE_DIRTY_LEDGERS_MAX && !store->is_booting)
        bookie_flush_soon(store);
}

void bookie_ledgers_turn(struct bookie_store *store) {
    struct bookie_ledgers *table = &store->ledgers;
    assert(rt_list_is_empty(&table->flushing));
    rt_list_splice(&table->flushing, &table->dirty);
    table->dirty_count = 0;
    table->round ^= 1;
}

void bookie_ledger_flushed(struct bookie_store *store, struct bookie_ledger *ledger) {
    struct bookie_ledgers *table = &store->ledgers;
    assert(ledger->dirty && ledger->round != table->round);
    rt_list_remove(&ledger->list);
    if (ledger->dirty_again) {
        ledger->dirty_again = false;
        ledger->round = table->round;
        rt_list_push_back(&table->dirty, &ledger->list);
        table->dirty_count++;
        return;
    }
    ledger->dirty = false;
    maybe_clean(store, ledger);
}

// LOADING

static void ready_run(struct rt_task *task) {
    struct bookie_ledgers *table = rt_container_of(task, struct bookie_ledgers, ready_task);
    struct bookie_store *store = rt_container_of(table, struct bookie_store, ledgers);
    struct rt_list ready;
    rt_list_init(&ready);
    rt_list_splice(&ready, &table->ready);
    for (struct rt_list *link; (link = rt_list_pop_front(&ready));) {
        struct bookie_ledger_op *op = rt_container_of(link, struct bookie_ledger_op, link);
        op->done(op, RT_OK, bookie_ledgers_find(store, op->id));
    }
    bookie_store_maybe_close(store);
}

static void op_ready(struct bookie_store *store, struct bookie_ledger_op *op,
                     struct bookie_ledger *ledger) {
    ledger_hold(store, ledger);
    if (rt_list_is_empty(&store->ledgers.ready)) rt_defer(store->loop, &store->ledgers.ready_task);
    rt_list_push_back(&store->ledgers.ready, &op->link);
}

// RT_ENOTFOUND is a ledger too: one that does not exist.
static rt_err ledger_install(struct bookie_store *store, int64_t id, rt_err err,
                             const struct rt_buf *value, struct bookie_ledger **ledger) {
    if (err && err != RT_ENOTFOUND) return err;
    struct bookie_ledger *added = ledger_add(store, id);
    if (!err && bookie_ledger_record_read(rt_buf_bytes(value), added)) {
        ledger_remove(store, added);
        return RT_ECORRUPT;
    }
    *ledger = added;
    return RT_OK;
}

static void load_answer(struct ledger_load *load, rt_err err) {
    struct bookie_store *store = load->store;
    struct bookie_ledger *ledger = NULL;
    err = ledger_install(store, load->id, err, &load->value, &ledger);
    if (err) {
        rt_log_error("store", "ledger record not read ledger=%lld err=%s", (long long)load->id,
                     rt_err_name(err));
    }
    rt_list_remove(&load->link);
    rt_list_each (link, &load->ops) {
        if (ledger) ledger_hold(store, ledger);
    }
    for (struct rt_list *link; (link = rt_list_pop_front(&load->ops));) {
        struct bookie_ledger_op *op = rt_container_of(link, struct bookie_ledger_op, link);
        op->done(op, err, ledger);
    }
    rt_buf_fini(&load->value);
    rt_free(load);
    bookie_store_maybe_close(store);
}

static void load_got(struct rt_kv_op *get, rt_err err) {
    load_answer(rt_container_of(get, struct ledger_load, get), err);
}

static struct ledger_load *load_find(struct bookie_store *store, int64_t id) {
    rt_list_each (link, &store->ledgers.loads) {
        struct ledger_load *load = rt_container_of(link, struct ledger_load, link);
        if (load->id == id) return load;
    }
    return NULL;
}

static void load_start(struct bookie_store *store, struct bookie_ledger_op *op, int64_t id) {
    struct ledger_load *load = RT_NEW(struct ledger_load);
    load->store = store;
    load->id = id;
    rt_list_init(&load->ops);
    rt_list_push_back(&load->ops, &op->link);
    rt_list_push_back(&store->ledgers.loads, &load->link);
    bookie_ledger_key(id, load->key);
    rt_kv_get(&load->get, store->loop, store->kv, BOOKIE_COLUMN_LEDGERS,
              RT_BYTES(load->key, sizeof(load->key)), &load->value, load_got);
}

// Memory often knows: a record in a block that is cached, or that there is none.
static bool try_install(struct bookie_store *store, int64_t id, struct bookie_ledger **ledger) {
    uint8_t key[BOOKIE_LEDGER_KEY];
    struct rt_buf value = {0};
    bookie_ledger_key(id, key);
    rt_err err =
        rt_kv_try_get(store->kv, BOOKIE_COLUMN_LEDGERS, RT_BYTES(key, sizeof(key)), &value);
    bool has_it = err == RT_OK || err == RT_ENOTFOUND;
    if (has_it) has_it = ledger_install(store, id, err, &value, ledger) == RT_OK;
    rt_buf_fini(&value);
    return has_it;
}

void bookie_ledger_acquire(struct bookie_store *store, struct bookie_ledger_op *op, int64_t id) {
    assert(rt_loop_is_current(store->loop));
    op->id = id;
    rt_list_init(&op->link);
    struct bookie_ledger *ledger = bookie_ledgers_find(store, id);
    struct ledger_load *load = ledger ? NULL : load_find(store, id);
    if (load) {
        rt_list_push_back(&load->ops, &op->link);
    } else if (ledger || try_install(store, id, &ledger)) {
        op_ready(store, op, ledger);
    } else {
        load_start(store, op, id);
    }
}

rt_err bookie_ledger_acquire_now(struct bookie_store *store, int64_t id,
                                 struct bookie_ledger **ledger, struct rt_why *why) {
    *ledger = bookie_ledger_try_acquire(store, id);
    if (*ledger) return RT_OK;
    uint8_t key[BOOKIE_LEDGER_KEY];
    struct rt_buf value = {0};
    bookie_ledger_key(id, key);
    rt_err err =
        rt_kv_get_now(store->kv, NULL, BOOKIE_COLUMN_LEDGERS, RT_BYTES(key, sizeof(key)), &value);
    err = ledger_install(store, id, err, &value, ledger);
    rt_buf_fini(&value);
    if (err)
        return rt_why_set(why, err, "record of ledger %lld: %s", (long long)id, rt_err_text(err));
    ledger_hold(store, *ledger);
    return RT_OK;
}

bool bookie_ledgers_are_loading(const struct bookie_store *store) {
    return !rt_list_is_empty(&store->ledgers.loads) || !rt_list_is_empty(&store->ledgers.ready);
}

// LIFE

void bookie_ledgers_init(struct bookie_store *store) {
    struct bookie_ledgers *table = &store->ledgers;
    *table = (struct bookie_ledgers){0};
    buckets_resize(table, BUCKETS_MIN);
    rt_list_init(&table->clean);
    rt_list_init(&table->dirty);
    rt_list_init(&table->flushing);
    rt_list_init(&table->loads);
    rt_list_init(&table->ready);
    rt_task_init(&table->ready_task, ready_run, "store.ledgers");
}

void bookie_ledgers_fini(struct bookie_store *store) {
    struct bookie_ledgers *table = &store->ledgers;
    for (size_t i = 0; i < table->bucket_count; i++) {
        for (struct bookie_ledger *ledger = table->buckets[i], *next; ledger; ledger = next) {
            next = ledger->hash_next;
            rt_buf_fini(&ledger->explicit_lac);
            rt_free(ledger);
        }
    }
    rt_free(table->buckets);
    table->buckets = NULL;
}
