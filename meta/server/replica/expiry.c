#include "meta/server/replica/expiry.h"
#include "runtime/hash.h"
#include "runtime/mem.h"

enum {
    BUCKETS = 1024
};  // ticks; what is later is filed under the last one and moves on from there

struct entry {
    UT_hash_handle hh;
    struct rt_list link;  // of its bucket
    int64_t session;
    uint64_t timeout_ns, deadline_ns;
};

struct meta_expiry {
    uint64_t tick_ns;
    uint64_t tick;  // all buckets before have been run
    struct entry *entries;
    struct rt_list buckets[BUCKETS];
};

struct meta_expiry *meta_expiry_new(uint64_t tick_ns) {
    struct meta_expiry *expiry = RT_NEW(struct meta_expiry);
    expiry->tick_ns = tick_ns;
    for (size_t i = 0; i < BUCKETS; i++) rt_list_init(&expiry->buckets[i]);
    return expiry;
}

static void entry_free(struct meta_expiry *expiry, struct entry *entry) {
    HASH_DEL(expiry->entries, entry);
    rt_list_remove(&entry->link);
    rt_free(entry);
}

void meta_expiry_clear(struct meta_expiry *expiry) {
    struct entry *entry, *next;
    HASH_ITER (hh, expiry->entries, entry, next) {
        entry_free(expiry, entry);
    }
    expiry->tick = 0;
}

void meta_expiry_free(struct meta_expiry *expiry) {
    meta_expiry_clear(expiry);
    rt_free(expiry);
}

size_t meta_expiry_count(const struct meta_expiry *expiry) {
    return HASH_COUNT(expiry->entries);
}

static struct entry *entry_find(const struct meta_expiry *expiry, int64_t session) {
    struct entry *entry;
    HASH_FIND(hh, expiry->entries, &session, sizeof(session), entry);
    return entry;
}

// The first tick that is not before the deadline.
static void file(struct meta_expiry *expiry, struct entry *entry) {
    uint64_t tick = (entry->deadline_ns + expiry->tick_ns - 1) / expiry->tick_ns;
    if (tick < expiry->tick) tick = expiry->tick;
    if (tick >= expiry->tick + BUCKETS) tick = expiry->tick + BUCKETS - 1;
    rt_list_remove(&entry->link);
    rt_list_push_back(&expiry->buckets[tick % BUCKETS], &entry->link);
}

void meta_expiry_add(struct meta_expiry *expiry, int64_t session, uint64_t timeout_ns,
                     uint64_t now_ns) {
    struct entry *entry = entry_find(expiry, session);
    if (!entry) {
        if (!expiry->entries) expiry->tick = now_ns / expiry->tick_ns;
        entry = RT_NEW(struct entry);
        entry->session = session;
        rt_list_init(&entry->link);
        HASH_ADD(hh, expiry->entries, session, sizeof(entry->session), entry);
    }
    entry->timeout_ns = timeout_ns;
    entry->deadline_ns = now_ns + timeout_ns;
    file(expiry, entry);
}

void meta_expiry_touch(struct meta_expiry *expiry, int64_t session, uint64_t now_ns) {
    struct entry *entry = entry_find(expiry, session);
    if (entry && now_ns + entry->timeout_ns > entry->deadline_ns)
        entry->deadline_ns = now_ns + entry->timeout_ns;
}

void meta_expiry_remove(struct meta_expiry *expiry, int64_t session) {
    struct entry *entry = entry_find(expiry, session);
    if (entry) entry_free(expiry, entry);
}

static void bucket_run(struct meta_expiry *expiry, struct rt_list *bucket, uint64_t now_ns,
                       struct meta_expiry_due *due) {
    struct rt_list filed;
    rt_list_init(&filed);
    rt_list_splice(&filed, bucket);
    while (!rt_list_is_empty(&filed)) {
        struct entry *entry = rt_container_of(filed.next, struct entry, link);
        bool is_due = entry->deadline_ns <= now_ns;
        if (is_due) entry->deadline_ns = now_ns + entry->timeout_ns;
        file(expiry, entry);
        if (is_due) due->due(due, entry->session);  // may remove it
    }
}

void meta_expiry_run(struct meta_expiry *expiry, uint64_t now_ns, struct meta_expiry_due *due) {
    uint64_t now = now_ns / expiry->tick_ns;
    if (!expiry->entries) return;
    // After a long pause each bucket needs to be seen once only.
    if (now > expiry->tick + BUCKETS) expiry->tick = now - BUCKETS;
    while (expiry->tick <= now) {
        struct rt_list *bucket = &expiry->buckets[expiry->tick % BUCKETS];
        expiry->tick++;
        bucket_run(expiry, bucket, now_ns, due);
    }
}
