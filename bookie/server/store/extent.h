// An extent: ascending entries of one ledger under one checksum, the unit of index, read, cache and
// verification.
//
// Layout, big-endian:
//
//   OFFSET  SIZE  FIELD
//        0     4  magic "GmEx"
//        4     4  CRC32C of byte 8 to the end
//        8     1  version, 1
//        9     1  flags: 1 ids have gaps, 2 the payload is LZ4
//       10     2  0
//       12     4  count of entries, at least 1
//       16     8  ledger
//       24     8  first entry
//       32     8  last entry
//       40     8  generation: the flush that wrote it first; of two extents with the same entry the
//                 later one counts
//       48     4  size of the payload, plain
//       52     4  size of the payload as it lies here
//       56     *  payload: ids less the first one (4 each; only with gaps), ends of the bodies (4
//                 each, from the first body on), bodies
//
// Valid: the checksum fits, the sizes fit each other, the ids ascend, the ends do not descend. A
// reader refuses the whole extent otherwise. Pure code: no port.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_EXTENT_H
#define GEMINGA_BOOKIE_SERVER_STORE_EXTENT_H

#include "runtime/bytes.h"

enum {
    BOOKIE_EXTENT_HEADER = 56,
    BOOKIE_EXTENT_PLAIN_MAX = 64 << 20,
    BOOKIE_EXTENT_SPAN_MAX = 16383,  // last less first: bounds how far a lookup goes back
    BOOKIE_BODY_MAX = 32 << 20
};

struct bookie_extent_head {
    int64_t ledger, first, last;
    uint64_t generation;
    uint32_t count, plain_size, stored_size;
    bool has_gaps, is_compressed;
};

struct bookie_extent_item {
    int64_t entry;
    struct rt_bytes body;
};

// What `count` entries with bodies of body_bytes in all take, uncompressed, with the header.
size_t bookie_extent_size(size_t count, size_t body_bytes, bool has_gaps);

// Appends an extent to `out`. The items ascend strictly. Scratch is overwritten.
void bookie_extent_encode(int64_t ledger, uint64_t generation,
                          const struct bookie_extent_item *items, size_t count, bool compress,
                          struct rt_buf *scratch, struct rt_buf *out);

// Of the first BOOKIE_EXTENT_HEADER bytes, without the checksum. RT_ECORRUPT.
RT_CHECK
rt_err bookie_extent_head_decode(struct rt_bytes bytes, struct bookie_extent_head *head);

struct bookie_extent {
    struct bookie_extent_head head;
    struct rt_bytes plain;  // borrowed
};
// `stored` is header and payload, exactly. A compressed payload is unpacked into `memory` of
// head.plain_size bytes, which is then borrowed; a plain one is borrowed as it is. RT_ECORRUPT.
RT_CHECK
rt_err bookie_extent_open(struct rt_bytes stored, void *memory, struct bookie_extent *extent);

int64_t bookie_extent_entry(const struct bookie_extent *extent, size_t index);
struct rt_bytes bookie_extent_body(const struct bookie_extent *extent, size_t index);
bool bookie_extent_find(const struct bookie_extent *extent, int64_t entry, struct rt_bytes *body);

#endif
