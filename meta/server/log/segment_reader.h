// Reads the entries of one segment in order, verifying each; memory is a window and one record.
// Blocking: for start-up and workers.
#ifndef GEMINGA_META_SERVER_LOG_SEGMENT_READER_H
#define GEMINGA_META_SERVER_LOG_SEGMENT_READER_H

#include "meta/server/log/segment.h"
#include "runtime/file.h"

struct meta_segment_reader {
    struct rt_file *file;  // borrowed
    uint32_t seed;
    uint64_t at;     // of what is read next
    uint64_t limit;  // the file is not read behind it
    bool follows;    // last and chain are known: what comes must fit
    struct raft_position last;
    uint64_t chain;
    uint64_t batch_at, batch_end;       // the batch around `at`; end 0: none
    struct meta_batch_header batch;     // the latest that verified
    struct raft_position batch_before;  // last before it
    struct rt_buf window;
    uint64_t window_at;
};

// `from`: the page of a batch, or 0 for the first.
void meta_segment_reader_init(struct meta_segment_reader *reader, struct rt_file *file,
                              uint32_t seed, uint64_t from);
void meta_segment_reader_fini(struct meta_segment_reader *reader);
// Entries behind `last` have to follow it.
void meta_segment_reader_follow(struct meta_segment_reader *reader, struct raft_position last,
                                uint64_t chain);
// The entry's data is borrowed until the next call; it has no payload. RT_ENOTFOUND: no valid
// record comes next. Anything else: the disk failed.
RT_CHECK
rt_err meta_segment_reader_next(struct meta_segment_reader *reader, struct raft_entry *entry);
// The next batch header behind `at`, page by page, whatever precedes it. RT_ENOTFOUND: none.
RT_CHECK
rt_err meta_segment_reader_scan(struct meta_segment_reader *reader,
                                struct meta_batch_header *header);
bool meta_segment_reader_in_batch(const struct meta_segment_reader *reader);

#endif
