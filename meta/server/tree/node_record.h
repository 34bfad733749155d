// How a znode lies in the key-value store: its key and its record.
//
// KEY     depth (u16, big-endian), path. "/" has depth 0; 65535 stands for all that are deeper.
// RECORD (big-endian)
//   OFFSET  SIZE  FIELD
//        0     1  version, 1
//        1     1  kind: 0 persistent, 1 ephemeral, 2 container, 3 with time to live
//        2     1  flags: 1 has data, 2 the data is in the column of its own
//        3    40  czxid, mzxid, pzxid, ctime ms, mtime ms
//       43    16  version, aversion, creates, children
//       59     8  ephemeral: session; with time to live: that, in ms; else 0
//       67     4  CRC32C of the data
//       71     4  size of the ACL
//       75     4  size of the data
//       79     *  ACL, then the data unless it is elsewhere
// Valid: as above, nothing behind it, no data without the flag. An invalid record is a corrupt
// store.
#ifndef GEMINGA_META_SERVER_TREE_NODE_RECORD_H
#define GEMINGA_META_SERVER_TREE_NODE_RECORD_H

#include "meta/server/tree/store.h"

enum { META_DEPTH_MAX = UINT16_MAX, META_NODE_KEY_PATH = 2 };

struct meta_node_record {
    struct meta_znode node;  // borrows; data without bytes when it is elsewhere
    bool data_is_elsewhere;
    size_t data_size;
    uint32_t data_crc;
};

unsigned meta_path_depth(struct rt_bytes path);
// Replaces what the buffer held. `path` may be any bytes.
void meta_node_key(struct rt_buf *key, struct rt_bytes path);

void meta_node_record_encode(const struct meta_node_record *record, struct rt_writer *w);
RT_CHECK
rt_err meta_node_record_decode(struct rt_bytes bytes, struct meta_node_record *record);

#endif
