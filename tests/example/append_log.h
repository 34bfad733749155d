// The worked example's log: numbered records in one file, an index of their places in a key-value
// store, group commit, and replay that tolerates exactly a torn tail.
//
// Loop: everything is called on the loop given at opening, which also runs the callbacks;
// append_log_read_now and append_log_copy_now block and run on workers.
#ifndef GEMINGA_TESTS_EXAMPLE_APPEND_LOG_H
#define GEMINGA_TESTS_EXAMPLE_APPEND_LOG_H

#include "runtime/bytes.h"
#include "runtime/file.h"
#include "runtime/kv.h"
#include "runtime/work.h"

// RECORD (big-endian)  OFFSET  SIZE  FIELD
//                          0     4   body size, 0..APPEND_BODY_MAX
//                          4     4   CRC32C of byte 8 to the end of the body
//                          8     8   entry id, counting from 1 without gaps
//                         16     *   body
// Replay stops at the first invalid record: nothing behind it was acknowledged.
enum { APPEND_RECORD_HEADER = 16, APPEND_BODY_MAX = 1 << 20, APPEND_COPY_MAX = 1 << 16 };

struct append_record {
    uint64_t id;
    struct rt_bytes body;
};

// Decodes the record at the reader; RT_ECORRUPT for anything invalid, and the reader then failed.
RT_CHECK rt_err append_record_decode(struct rt_reader *r, struct append_record *record);

struct append_log {
    struct rt_loop *loop;
    struct rt_file *file;
    struct rt_kv *kv;
    uint64_t last_id;     // given out
    uint64_t durable_id;  // synced and indexed
    uint64_t end_offset;  // of the last record given out
    uint64_t written_id;  // last of the batch that is being written
    struct rt_buf gathering, writing;
    struct rt_bytes writing_bytes;
    struct rt_kv_batch *gathering_index, *writing_index;
    struct rt_file_op file_op;
    struct rt_kv_op kv_op;
    struct rt_flush flush;
    struct rt_work work;  // rewinding, closing
    uint64_t rewind_to;
    bool busy, rewinding, closing;
    rt_err failed;
    bool ack_before_sync;  // the planted bug: tests prove that the simulator finds it
    void (*on_durable)(struct append_log *log, rt_err err);
    void (*on_rewound)(struct append_log *log, rt_err err);
    void (*on_closed)(struct append_log *log);
};

// Opens or creates the log in `directory`, replays what the index does not cover yet. Blocks.
RT_CHECK rt_err append_log_open_now(struct append_log *log, struct rt_loop *loop,
                                    const char *directory, struct rt_why *why);

// Numbers the record and queues it; on_durable runs when durable_id has grown. Returns the id.
uint64_t append_log_append(struct append_log *log, struct rt_bytes body);

// Drops all records after `id`, when nothing is being written any more; then on_rewound.
void append_log_rewind(struct append_log *log, uint64_t id);

// Waits for what is in flight, closes file and store, then on_closed.
void append_log_close(struct append_log *log);

// The verified body of one durable entry.
RT_CHECK rt_err append_log_read_now(struct append_log *log, uint64_t id, struct rt_buf *body);
// Whole raw records from `first` on, at least one, at most about APPEND_COPY_MAX bytes, none above
// `last`.
RT_CHECK rt_err append_log_copy_now(struct append_log *log, uint64_t first, uint64_t last,
                                    struct rt_buf *records, uint64_t *copied_to);

#endif
