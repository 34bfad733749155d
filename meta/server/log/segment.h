// The format of a segment: one file of the log. Writer and reader of each piece stand together.
//
// A segment's identity (cluster, node, number, salt) is in its name and in its header, and it seeds
// every checksum behind: bytes of another log, of another file or of this file's former life do not
// verify. Numbers ascend and are never used again; the salt is entropy, so that nobody can make a
// client's data look like a record.
//
//   NAME    number (16 hex digits) '-' salt (16 hex digits) ".log"
//
// A file is its header page and batches behind it. A batch is what one write made durable; it
// begins at a page boundary and is padded with zeroes to the next, so a write never touches a page
// that holds something durable. The header page is written together with the first batch; until
// then the file is prepared space.
//
//   HEADER (big-endian)  OFFSET  SIZE  FIELD
//                             0     4  magic "GmLs"
//                             4     4  version, 1
//                             8     8  cluster
//                            16     8  node
//                            24     8  number
//                            32     8  salt
//                            40    16  base: index and term of the entry before the first
//                            56    16  claimed: index and term, or zeroes; the log was once
//                                      durable up to there, and is damaged while it is shorter
//                            72     8  chain of the entry at base
//                            80     4  kind
//                            84     4  CRC32C of bytes 0 to 83
//
//   BATCH                     0     4  magic "GmLb"
//                             4     4  CRC32C of bytes 8 to 47, seeded
//                             8     4  size, this header included, the padding not
//                            12     4  number of records, at least one
//                            16     8  index of the first record
//                            24    16  index and term of the last entry that was durable when the
//                                      batch was written
//                            40     8  chain of the entry before the first record
//
//   RECORD                    0     4  CRC32C of bytes 4 to 39, seeded
//                             4     4  CRC32C of the body
//                             8     4  body size, at most RECORD_BODY_MAX
//                            12     4  kind of the entry
//                            16    16  index and term
//                            32     8  chain of the entry before
//                            40     *  body
//
// The chain of an entry is its two checksums, so a record that verifies vouches for all before it.
//
// Valid: a record follows the one before it by index and chain, and its term does not fall. A
// reader stops at the first record that is not. Segments are read in the order of their numbers; a
// header also says what becomes of entries in segments with lower numbers:
//
//   CONTINUES  base is their last entry
//   CUTS       entries behind base are void
//   RESETS     all of them are void
//
// So nothing is ever overwritten: a cut is a new segment.
#ifndef GEMINGA_META_SERVER_LOG_SEGMENT_H
#define GEMINGA_META_SERVER_LOG_SEGMENT_H

#include "meta/raft/entry.h"

enum {
    META_SEGMENT_PAGE = 4096,
    META_SEGMENT_HEADER_SIZE = 88,
    META_BATCH_HEADER_SIZE = 48,
    META_RECORD_HEADER_SIZE = 40,
    META_RECORD_BODY_MAX = 32 << 20,
    META_SEGMENT_NAME_SIZE = 48
};

enum meta_segment_kind {
    META_SEGMENT_CONTINUES = 1,
    META_SEGMENT_CUTS = 2,
    META_SEGMENT_RESETS = 3
};

struct meta_segment_id {
    uint64_t cluster, node, number, salt;
};

struct meta_segment_header {
    struct meta_segment_id id;
    struct raft_position base, claimed;
    uint64_t chain;
    enum meta_segment_kind kind;
};

struct meta_batch_header {
    uint32_t size, count;
    uint64_t first;
    struct raft_position durable;
    uint64_t chain;
};

struct meta_record_header {
    uint32_t body_crc, body_size;
    enum raft_entry_kind kind;
    struct raft_position at;
    uint64_t chain_before;
    uint64_t chain;  // its own; of both checksums
};

void meta_segment_name(const struct meta_segment_id *id, char name[static META_SEGMENT_NAME_SIZE]);
bool meta_segment_name_parse(const char *name, uint64_t *number, uint64_t *salt);
uint32_t meta_segment_seed(const struct meta_segment_id *id);
uint64_t meta_segment_page_up(uint64_t offset);

void meta_segment_header_encode(const struct meta_segment_header *header, uint8_t *out);
RT_CHECK
rt_err meta_segment_header_decode(struct rt_bytes bytes, struct meta_segment_header *header);

void meta_batch_header_encode(const struct meta_batch_header *header, uint32_t seed, uint8_t *out);
RT_CHECK
rt_err meta_batch_header_decode(struct rt_bytes bytes, uint32_t seed,
                                struct meta_batch_header *header);

// Sets header->chain.
void meta_record_header_encode(struct meta_record_header *header, uint32_t seed, uint8_t *out);
RT_CHECK
rt_err meta_record_header_decode(struct rt_bytes bytes, uint32_t seed,
                                 struct meta_record_header *header);

#endif
