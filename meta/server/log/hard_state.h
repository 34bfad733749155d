// The hard state on disk: term, vote, commit, and how far the log was durable.
//
// Two slots are written in turn, each with one write and sync. A slot is two pages with the same
// content: losing both copies means that its last write was torn, so the other slot holds; one
// rotten page loses nothing.
//
//   FILE  slot 0 at 0 and again at 4096, slot 1 at 8192 and again at 12288
//
//   SLOT (big-endian)  OFFSET  SIZE  FIELD
//                           0     4  magic "GmHs"
//                           4     4  version, 1
//                           8     8  cluster
//                          16     8  node
//                          24     8  sequence: the higher one holds
//                          32     8  term
//                          40     8  vote
//                          48     8  commit
//                          56     8  number of the segment of which the next is said
//                          64    16  index and term of the last entry known durable there
//                          80     4  CRC32C of bytes 0 to 79
//
// Until the first slot was written the file is called hard_state.new. Term 0 says that nothing was
// ever acknowledged.
#ifndef GEMINGA_META_SERVER_LOG_HARD_STATE_H
#define GEMINGA_META_SERVER_LOG_HARD_STATE_H

#include "meta/raft/raft.h"
#include "runtime/file.h"

enum { META_HARD_SLOT_SIZE = 8192 };

struct meta_hard_slot {
    uint64_t cluster, node, sequence;
    uint64_t term, vote, commit;
    uint64_t segment;
    struct raft_position durable;
};

void meta_hard_slot_encode(const struct meta_hard_slot *slot, uint8_t *out);  // a whole slot
RT_CHECK
rt_err meta_hard_slot_decode(struct rt_bytes page, struct meta_hard_slot *slot);

// RT_ENOTFOUND: there is no file. RT_ECORRUPT: no slot of it is valid, or it is another node's.
RT_CHECK
rt_err meta_hard_state_open_now(struct rt_machine *machine, const char *directory,
                                struct meta_hard_slot *slot, struct rt_file **file,
                                struct rt_why *why);
RT_CHECK
rt_err meta_hard_state_create_now(struct rt_machine *machine, const char *directory,
                                  const struct meta_hard_slot *slot, struct rt_file **file,
                                  struct rt_why *why);
uint64_t meta_hard_slot_offset(const struct meta_hard_slot *slot);
RT_CHECK
rt_err meta_hard_state_write_now(struct rt_file *file, const struct meta_hard_slot *slot,
                                 bool sync);

#endif
