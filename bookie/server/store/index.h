// The index: what is where, in the key-value store.
//
//   COLUMN     KEY                                   VALUE (big-endian; each begins with version 1)
//   default    "state"                               owner, next file, generation, marks
//   ledgers    ledger                                flags, key, last entry, span, explicit LAC
//   extents    ledger, first entry, generation       last entry, count, file, offset, sizes
//   files      file                                  directory, size, live bytes
//
// Ledgers are written with their highest bit turned over, so that keys order as ids do. Two extents
// of a ledger may overlap (recovery writes old ids again, adds come out of order): the generation,
// which grows with every flush, says which is newer, and keeps keys apart that begin with the same
// entry. No extent of a ledger spans more than its record's span_max, so a lookup of an entry goes
// back so far and no further.
//
// Functions that end in _now may touch the disk: workers and start-up.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_INDEX_H
#define GEMINGA_BOOKIE_SERVER_STORE_INDEX_H

#include "bookie/server/store/extent.h"
#include "bookie/server/store/store.h"
#include "runtime/kv.h"

enum bookie_column {
    BOOKIE_COLUMN_DEFAULT,
    BOOKIE_COLUMN_LEDGERS,
    BOOKIE_COLUMN_EXTENTS,
    BOOKIE_COLUMN_FILES,
    BOOKIE_COLUMNS
};

enum { BOOKIE_LEDGER_KEY = 8, BOOKIE_EXTENT_KEY = 24 };

struct bookie_state {
    uint64_t owner;       // drawn when the store was made; in every ledger file
    uint64_t next_file;   // ids from here on were never committed
    uint64_t generation;  // of the last flush
    struct bookie_mark marks[BOOKIE_JOURNALS_MAX];
    unsigned mark_count;
};

// Of an extent.
struct bookie_location {
    int64_t ledger, first, last;
    uint64_t generation;
    uint32_t count;
    uint32_t plain_size, stored_size;  // stored: without the header
    uint64_t file, offset;
};

struct bookie_file_record {
    uint64_t id, size, live_bytes;
    uint32_t dir;  // where it was when it was written
};

RT_CHECK
rt_err bookie_index_open_now(struct rt_machine *machine, const char *path, size_t cache_bytes,
                             struct rt_kv **kv, struct rt_why *why);
// RT_ENOTFOUND: the store is new.
RT_CHECK
rt_err bookie_index_state_now(struct rt_kv *kv, struct bookie_state *state);
void bookie_index_put_state(struct rt_kv_batch *batch, const struct bookie_state *state);

// LEDGERS
void bookie_ledger_key(int64_t id, uint8_t key[static BOOKIE_LEDGER_KEY]);
RT_CHECK
rt_err bookie_ledger_key_read(struct rt_bytes key, int64_t *id);
// With the last entry that will be on disk.
void bookie_ledger_record_write(const struct bookie_ledger *ledger, int64_t last_entry,
                                struct rt_buf *out);
// Into a fresh ledger, of which the id is set.
RT_CHECK
rt_err bookie_ledger_record_read(struct rt_bytes value, struct bookie_ledger *ledger);

// FILES
void bookie_index_put_file(struct rt_kv_batch *batch, const struct bookie_file_record *file);
void bookie_index_delete_file(struct rt_kv_batch *batch, uint64_t id);
RT_CHECK
rt_err bookie_file_record_read(struct rt_bytes key, struct rt_bytes value,
                               struct bookie_file_record *file);

// EXTENTS
void bookie_index_put_extent(struct rt_kv_batch *batch, const struct bookie_location *location);
void bookie_index_delete_extent(struct rt_kv_batch *batch, const struct bookie_location *location);
void bookie_index_delete_ledger(struct rt_kv_batch *batch, int64_t id);  // and all its extents
RT_CHECK
rt_err bookie_location_read(struct rt_bytes key, struct rt_bytes value,
                            struct bookie_location *location);

RT_CHECK
rt_err bookie_index_extent_now(struct rt_kv *kv, int64_t ledger, int64_t first, uint64_t generation,
                               struct bookie_location *location);

// Looks for extents of one ledger, through one view of the store.
struct bookie_finder {
    struct rt_kv_iter *iter;
    int64_t ledger;
    uint32_t span_max;
};
// snapshot: NULL for the store as it is now.
void bookie_finder_init(struct bookie_finder *finder, struct rt_kv *kv,
                        const struct rt_kv_snapshot *snapshot, int64_t ledger, uint32_t span_max);
void bookie_finder_fini(struct bookie_finder *finder);
// The newest extent, older than generation `before`, whose range holds the entry (whether it has
// the entry only the extent knows, where there are gaps). RT_ENOTFOUND, RT_ECORRUPT, RT_EIO.
RT_CHECK
rt_err bookie_finder_find(struct bookie_finder *finder, int64_t entry, uint64_t before,
                          struct bookie_location *found);
// The extent behind `location`, in the order of their first entries. RT_ENOTFOUND: none.
RT_CHECK
rt_err bookie_finder_next(struct bookie_finder *finder, const struct bookie_location *location,
                          struct bookie_location *next);
// Whether a newer extent overlaps the range of this one, so that it must not be trusted alone.
RT_CHECK
rt_err bookie_finder_is_covered(struct bookie_finder *finder,
                                const struct bookie_location *location, bool *is_covered);
// All extents of a ledger in order; the first call begins. RT_ENOTFOUND: no more.
RT_CHECK
rt_err bookie_finder_each(struct bookie_finder *finder, bool *has_begun,
                          struct bookie_location *location);

#endif
