// A walk through the extents of a ledger file, in the order in which they lie there. On a worker.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_WALK_H
#define GEMINGA_BOOKIE_SERVER_STORE_WALK_H

#include "bookie/server/store/index.h"
#include "bookie/server/store/ledger_file.h"

struct bookie_walk {
    struct rt_kv *kv;
    struct rt_file *file;
    uint64_t file_id, at, end;
    struct rt_buf stored;  // the extent, as it lies there
    uint8_t *plain;        // scratch
    size_t plain_size;
    struct bookie_extent_head head;
    uint64_t offset;
    bool is_live;  // the index names it
    uint64_t seen_bytes;
};

// `size` is what the index says of the file.
RT_CHECK
rt_err bookie_walk_open_now(struct bookie_walk *walk, struct rt_machine *machine, struct rt_kv *kv,
                            const char *path, uint64_t owner, uint64_t id, uint64_t size);
void bookie_walk_close_now(struct bookie_walk *walk);  // also when it was not opened
// RT_ENOTFOUND: the end. RT_ECORRUPT: damage at `offset`; the next call goes on behind it. The head
// is zero when it cannot be told what was there. RT_EIO.
RT_CHECK
rt_err bookie_walk_next_now(struct bookie_walk *walk);

#endif
