// All sessions, in ascending order of the id as an unsigned number: small sorted blocks in a sorted
// list of blocks, so that a million sessions cost neither a long shift nor a rebalancing.
#ifndef GEMINGA_META_SERVER_TREE_SESSION_TABLE_H
#define GEMINGA_META_SERVER_TREE_SESSION_TABLE_H

#include "meta/server/tree/store.h"

enum { META_SESSION_BLOCK = 256 };

struct meta_session_entry {
    struct meta_session session;
    bool is_dirty;  // differs from what is at rest, and its id is among those to write
};

struct meta_session_slot {
    uint64_t id;
    struct meta_session_entry *entry;  // owned
};

struct meta_session_block {
    size_t count;  // never 0
    struct meta_session_slot slots[META_SESSION_BLOCK];
};

// Zero-initialised is empty.
struct meta_session_table {
    struct meta_session_block **blocks;
    size_t block_count, block_capacity;
    size_t count;
};

void meta_session_table_fini(struct meta_session_table *table);  // leaves it empty
struct meta_session_entry *meta_session_table_find(const struct meta_session_table *table,
                                                   uint64_t id);
// The first one behind `after`; NULL: none.
struct meta_session_entry *meta_session_table_next(const struct meta_session_table *table,
                                                   uint64_t after);
struct meta_session_entry *meta_session_table_add(struct meta_session_table *table,
                                                  uint64_t id);                 // it is not there
void meta_session_table_remove(struct meta_session_table *table, uint64_t id);  // it is there

// AT REST: version (u8, 1), timeout ms (u32), attachment (u64), created ms (u64), password (16).
void meta_session_encode(const struct meta_session *session, struct rt_writer *w);
RT_CHECK
rt_err meta_session_decode(struct rt_bytes key, struct rt_bytes value,
                           struct meta_session *session);

#endif
