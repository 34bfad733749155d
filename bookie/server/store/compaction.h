// Giving back space, and looking for rot: for the garbage collector and the scrubber.
//
// Deleting a ledger makes bytes of ledger files dead. Compaction copies the live extents of one
// file, as they lie there, behind those of earlier compactions, syncs them, and writes one durable
// index batch that names their new places and forgets the file; the file goes once nobody reads
// from it. Extents keep their generation. A file with nothing live is forgotten without a copy. A
// file in which anything is damaged is kept: RT_ECORRUPT.
//
// Loop: the store's. One compaction and one verification at a time; both stop when the store is
// closed (RT_ECLOSED), and RT_ENOSPACE leaves everything as it was.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_COMPACTION_H
#define GEMINGA_BOOKIE_SERVER_STORE_COMPACTION_H

#include "bookie/server/store/store.h"

// Files of which at most so much is live, emptiest first, without those that are written to or
// known to be damaged. Returns how many were written to `files`.
unsigned bookie_store_compactable(const struct bookie_store *store, unsigned live_percent_max,
                                  uint64_t *files, unsigned count_max);

struct bookie_compact_op {
    uint64_t bytes_per_s;  // read and written together; 0: no limit
    void (*done)(struct bookie_compact_op *op, rt_err err);
    uint64_t file;
    uint64_t copied_extents, copied_bytes, freed_bytes;  // once done
};
// RT_ENOTFOUND: no such file, or it is written to.
void bookie_store_compact(struct bookie_store *store, struct bookie_compact_op *op, uint64_t file);

// Reads and checks every extent of a file.
struct bookie_damage {
    int64_t ledger, first, last;  // ledger -1: what was there cannot be told
    uint64_t offset;
};
struct bookie_verify_op {
    uint64_t bytes_per_s;
    void (*done)(struct bookie_verify_op *op, rt_err err);
    uint64_t file;
    uint64_t extents, bytes;
    struct rt_buf damaged;  // of struct bookie_damage, at most a thousand; the caller's to free
};
void bookie_store_verify_file(struct bookie_store *store, struct bookie_verify_op *op,
                              uint64_t file);

#endif
