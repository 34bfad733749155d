// Znodes in memory, and paths known not to be one, by path.
//
// An entry is clean (as the key-value store has it; the least recently used ones are dropped above
// a budget) or dirty (it stays until a flush has written it). What a node points to is counted, so
// that undo keeps former states without copying them.
//
// Iteration goes along the lists, never along the buckets, whose order depends on a random seed.
#ifndef GEMINGA_META_SERVER_TREE_OVERLAY_H
#define GEMINGA_META_SERVER_TREE_OVERLAY_H

#include "meta/server/tree/store.h"
#include "runtime/list.h"

struct meta_payload {
    size_t size;
    unsigned holders;
    uint32_t crc;
    uint8_t bytes[];
};

// NULL for no bytes. Of `bytes` that are those of `current` another hold on it.
struct meta_payload *meta_payload_of(struct rt_bytes bytes, struct meta_payload *current);
struct meta_payload *meta_payload_hold(struct meta_payload *payload);  // NULL is fine
void meta_payload_drop(struct meta_payload *payload);                  // NULL is fine

// What undo takes back.
struct meta_node_state {
    bool exists;
    uint64_t digest;         // its part of the store's; 0 if it does not exist
    struct meta_znode node;  // points into the payloads
    struct meta_payload *data, *acl;
};

struct meta_node_entry {
    struct rt_list link;  // of the clean or of the dirty ones
    struct meta_node_entry *next;
    uint64_t hash, path_digest;
    uint64_t marked_in;  // the mark whose undo log has it already
    struct meta_node_state state;
    struct {  // what the key-value store has of it
        bool exists, has_far_data, is_reapable, is_ephemeral;
        int64_t owner;
    } at_rest;
    bool is_dirty, data_changed;
    size_t path_size;
    uint8_t path[];
};

struct meta_overlay {
    uint64_t seed;
    struct meta_node_entry **buckets;
    size_t bucket_count, count;
    struct rt_list clean, dirty;  // clean: least recently used first; dirty: first changed first
    size_t clean_count, clean_bytes, dirty_bytes, clean_bytes_max;
};

void meta_overlay_init(struct meta_overlay *overlay, uint64_t seed, size_t clean_bytes_max);
void meta_overlay_fini(struct meta_overlay *overlay);

// NULL: nothing known. A found one counts as used.
struct meta_node_entry *meta_overlay_find(struct meta_overlay *overlay, struct rt_bytes path);
// A clean one, of no node.
struct meta_node_entry *meta_overlay_add(struct meta_overlay *overlay, struct rt_bytes path);
void meta_overlay_state_set(struct meta_overlay *overlay, struct meta_node_entry *entry,
                            const struct meta_node_state *state);  // takes the payloads
void meta_overlay_make_dirty(struct meta_overlay *overlay, struct meta_node_entry *entry);
void meta_overlay_make_clean(struct meta_overlay *overlay, struct meta_node_entry *entry);
// Drops clean entries over the budget, but never those used last: what find answered stays.
void meta_overlay_trim(struct meta_overlay *overlay);

static inline struct rt_bytes meta_entry_path(const struct meta_node_entry *entry) {
    return RT_BYTES(entry->path, entry->path_size);
}

#endif
