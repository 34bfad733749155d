#include "tests/unit/bookie_core/fake_store.h"

#include <assert.h>

// LEDGERS

static struct fake_ledger *fake_of(struct bookie_ledger *ledger) {
    return rt_container_of(ledger, struct fake_ledger, ledger);
}

static struct fake_ledger *ledger_find(struct bookie_store *store, int64_t id) {
    rt_list_each (node, &store->ledgers) {
        struct fake_ledger *fake = rt_container_of(node, struct fake_ledger, link);
        if (fake->ledger.id == id) return fake;
    }
    struct fake_ledger *fake = RT_NEW(struct fake_ledger);
    fake->ledger = (struct bookie_ledger){.id = id, .last_entry = -1, .lac = -1};
    rt_list_init(&fake->entries);
    rt_list_push_back(&store->ledgers, &fake->link);
    return fake;
}

static struct bookie_ledger *hold(struct bookie_store *store, struct fake_ledger *fake) {
    fake->is_in_memory = true;
    fake->ledger.holds++;
    store->holds_count++;
    return &fake->ledger;
}

struct bookie_ledger *bookie_ledger_try_acquire(struct bookie_store *store, int64_t id) {
    struct fake_ledger *fake = ledger_find(store, id);
    if (store->is_cold && !fake->is_in_memory) return NULL;
    return hold(store, fake);
}

rt_err bookie_ledger_acquire_now(struct bookie_store *store, int64_t id,
                                 struct bookie_ledger **ledger, struct rt_why *why) {
    if (store->load_err) return rt_why_set(why, store->load_err, "as the test wants it");
    *ledger = hold(store, ledger_find(store, id));
    return RT_OK;
}

void bookie_ledger_release(struct bookie_store *store, struct bookie_ledger *ledger) {
    assert(ledger->holds > 0);
    ledger->holds--;
    store->holds_count--;
    if (ledger->holds) return;
    assert(!ledger->user);  // it would be lost
    if (store->is_cold) fake_of(ledger)->is_in_memory = false;
}

void bookie_ledger_changed(struct bookie_store *store, struct bookie_ledger *ledger) {
    assert(ledger->holds > 0);
    store->changes++;
}

// WORKERS

static void loads_run(struct bookie_store *store, struct rt_list *loads) {
    while (!rt_list_is_empty(loads)) {
        struct bookie_ledger_op *op =
            rt_container_of(rt_list_pop_front(loads), struct bookie_ledger_op, link);
        store->loads_done++;
        if (store->load_err)
            op->done(op, store->load_err, NULL);
        else
            op->done(op, RT_OK, hold(store, ledger_find(store, op->id)));
    }
}

static rt_err entry_copy(struct bookie_store *store, struct bookie_ledger *ledger, int64_t id,
                         struct rt_slice *body) {
    rt_list_each (node, &fake_of(ledger)->entries) {
        struct fake_entry *entry = rt_container_of(node, struct fake_entry, link);
        if (entry->id != id) continue;
        *body = rt_slice_copy(rt_loop_slabs(store->loop), NULL, rt_buf_bytes(&entry->body));
        return RT_OK;
    }
    return RT_ENOTFOUND;
}

static void reads_run(struct bookie_store *store, struct rt_list *reads) {
    while (!rt_list_is_empty(reads)) {
        struct bookie_read_op *op =
            rt_container_of(rt_list_pop_front(reads), struct bookie_read_op, link);
        assert(op->ledger->holds > 0);
        store->reads_done++;
        op->found = op->entry;
        op->body = (struct rt_slice){0};
        rt_err err = store->read_err;
        if (!err) err = entry_copy(store, op->ledger, op->entry, &op->body);
        op->done(op, err);
    }
}

static void lists_run(struct bookie_store *store, struct rt_list *lists) {
    while (!rt_list_is_empty(lists)) {
        struct rt_list *node = rt_list_pop_front(lists);
        struct bookie_entries_op *op = *(struct bookie_entries_op **)(void *)(node + 1);
        rt_free(node);
        op->entries = (struct rt_buf){0};
        rt_list_each (entry, &fake_of(op->ledger)->entries)
            rt_buf_append(
                &op->entries,
                RT_BYTES(&rt_container_of(entry, struct fake_entry, link)->id, sizeof(int64_t)));
        op->done(op, store->read_err);
    }
}

static void task_run(struct rt_task *task) {
    struct bookie_store *store = rt_container_of(task, struct bookie_store, task);
    struct rt_list loads, reads, lists;
    store->task_queued = false;
    if (store->holds) return;
    rt_list_init(&loads);
    rt_list_init(&reads);
    rt_list_init(&lists);
    rt_list_splice(&loads, &store->loads);
    rt_list_splice(&reads, &store->reads);
    rt_list_splice(&lists, &store->lists);
    loads_run(store, &loads);
    reads_run(store, &reads);
    lists_run(store, &lists);
}

static void go_on(struct bookie_store *store) {
    if (store->task_queued || store->holds) return;
    store->task_queued = true;
    rt_defer(store->loop, &store->task);
}

void bookie_ledger_acquire(struct bookie_store *store, struct bookie_ledger_op *op, int64_t id) {
    op->id = id;
    rt_list_push_back(&store->loads, &op->link);
    go_on(store);
}

void bookie_store_read(struct bookie_store *store, struct bookie_read_op *op) {
    rt_list_push_back(&store->reads, &op->link);
    go_on(store);
}

void bookie_store_read_cancel(struct bookie_store *store, struct bookie_read_op *op) {
    assert(rt_list_is_linked(&op->link) && store->loop);
    rt_list_remove(&op->link);
}

// The op has no link: its node is the fake's.
void bookie_store_entries(struct bookie_store *store, struct bookie_entries_op *op) {
    struct rt_list *node = rt_alloc(sizeof(*node) + sizeof(op));
    *(struct bookie_entries_op **)(void *)(node + 1) = op;
    rt_list_push_back(&store->lists, node);
    go_on(store);
}

// ENTRIES

static struct fake_entry *entry_make(struct fake_ledger *fake, int64_t id) {
    struct rt_list *at = fake->entries.next;
    for (; at != &fake->entries; at = at->next) {
        struct fake_entry *known = rt_container_of(at, struct fake_entry, link);
        if (known->id == id) return known;
        if (known->id > id) break;
    }
    struct fake_entry *entry = RT_NEW(struct fake_entry);
    entry->id = id;
    rt_list_insert_before(at, &entry->link);
    return entry;
}

rt_err bookie_store_put(struct bookie_store *store, struct bookie_ledger *ledger, int64_t entry,
                        int64_t lac, struct rt_bytes body) {
    assert(ledger->holds > 0 && entry >= 0);
    if (store->put_err) return store->put_err;
    if (store->room == 0) return RT_EBUSY;
    store->room--;
    struct fake_entry *fake = entry_make(fake_of(ledger), entry);
    rt_buf_clear(&fake->body);
    rt_buf_append(&fake->body, body);
    ledger->exists = true;
    if (entry > ledger->last_entry) ledger->last_entry = entry;
    if (lac > ledger->lac) ledger->lac = lac;
    return RT_OK;
}

rt_err bookie_store_try_read(struct bookie_store *store, struct bookie_ledger *ledger,
                             int64_t entry, struct rt_slice *body) {
    assert(ledger->holds > 0 && entry >= 0);
    if (store->is_slow) return RT_EAGAIN;
    return entry_copy(store, ledger, entry, body);
}

rt_err bookie_store_flush_now(struct bookie_store *store, struct rt_why *why) {
    if (store->put_err) return rt_why_set(why, store->put_err, "as the test wants it");
    store->flushes++;
    store->room = store->room_after_flush;
    return RT_OK;
}

// WHAT TESTS DO

void fake_store_open(struct bookie_store *store, struct rt_loop *loop) {
    *store = (struct bookie_store){.loop = loop, .room = UINT32_MAX};
    store->room_after_flush = UINT32_MAX;
    rt_list_init(&store->ledgers);
    rt_list_init(&store->loads);
    rt_list_init(&store->reads);
    rt_list_init(&store->lists);
    rt_task_init(&store->task, task_run, "fake.store");
}

static void entries_drop(struct fake_ledger *fake) {
    while (!rt_list_is_empty(&fake->entries)) {
        struct fake_entry *entry =
            rt_container_of(rt_list_pop_front(&fake->entries), struct fake_entry, link);
        rt_buf_fini(&entry->body);
        rt_free(entry);
    }
}

void fake_store_close(struct bookie_store *store) {
    assert(store->holds_count == 0);
    while (!rt_list_is_empty(&store->ledgers)) {
        struct fake_ledger *fake =
            rt_container_of(rt_list_pop_front(&store->ledgers), struct fake_ledger, link);
        assert(!fake->ledger.user);
        entries_drop(fake);
        rt_buf_fini(&fake->ledger.explicit_lac);
        rt_free(fake);
    }
}

void fake_store_release(struct bookie_store *store) {
    store->holds = false;
    go_on(store);
}

struct bookie_ledger *fake_store_ledger(struct bookie_store *store, int64_t id) {
    return &ledger_find(store, id)->ledger;
}

struct fake_entry *fake_store_entry(struct bookie_store *store, int64_t ledger, int64_t id) {
    rt_list_each (node, &ledger_find(store, ledger)->entries) {
        struct fake_entry *entry = rt_container_of(node, struct fake_entry, link);
        if (entry->id == id) return entry;
    }
    return NULL;
}

void fake_store_delete(struct bookie_store *store, int64_t id) {
    struct fake_ledger *fake = ledger_find(store, id);
    struct bookie_ledger *ledger = &fake->ledger;
    entries_drop(fake);
    rt_buf_clear(&ledger->explicit_lac);
    ledger->exists = ledger->fenced = ledger->limbo = false;
    ledger->key_size = 0;
    ledger->last_entry = ledger->lac = -1;
}
