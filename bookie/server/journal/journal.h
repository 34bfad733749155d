// A journal: the log that makes adds durable before they are acknowledged.
//
// Records are opaque here. What is appended in one turn, and while a write is under way, leaves
// with the next write: one aligned write and sync of up to 256 KiB (JOURNAL_BATCH) around the page
// cache, so group commit needs no timer. Completions come in the order of the appends. A write that
// fails is final (BookKeeper sheet, trap 8): `failed` is called once, nothing is acknowledged any
// more.
//
// Segments are preallocated, filled with zeroes and used again once released; each use has a
// generation of its own, which seeds the checksum of every batch, so what an earlier use left
// behind is never taken for a record. A batch is the unit of verification. Since only one batch is
// under way at a time, exactly the last one may be torn: a batch that does not verify ends the
// journal if no later batch of the generation follows, in this segment or another; else the journal
// is damaged and is refused, with file and offset, and nothing is changed.
//
// Loop: the one it was opened on. The format is described in journal/format.h.
#ifndef GEMINGA_BOOKIE_SERVER_JOURNAL_JOURNAL_H
#define GEMINGA_BOOKIE_SERVER_JOURNAL_JOURNAL_H

#include "runtime/file.h"

struct bookie_journal;

enum { BOOKIE_JOURNAL_BATCH = 256 * 1024 };

// A place between records. Ordered; {0, 0} is before everything.
struct bookie_mark {
    uint64_t segment, offset;
};
int bookie_mark_compare(struct bookie_mark a, struct bookie_mark b);

struct bookie_journal_events {
    // Disk failed: the bookie has to stop.
    void (*failed)(struct bookie_journal_events *events, rt_err err, const char *what);
    // There is room again after RT_EBUSY.
    void (*drained)(struct bookie_journal_events *events);
};

struct bookie_journal_options {
    const char *directory;   // created if missing
    uint64_t owner;          // in every segment: those of another bookie or journal are refused
    size_t segment_bytes;    // [64 MiB]
    size_t queue_bytes_max;  // [64 MiB] appended and not durable: then RT_EBUSY
    unsigned spare_max;      // [4] released segments kept for reuse
    bool sync;               // journalSyncData; false: acknowledged once written
    bool planted_no_sync;    // tests only: acknowledges before the sync
    struct bookie_journal_events *events;
};

// Blocks: reads and verifies what is there, from `from` on; what may never have been synced is
// written again. RT_ECORRUPT: damage that is no torn tail, a missing segment, another owner's, or
// `from` is not in the journal. An error changes nothing that is valid.
RT_CHECK
rt_err bookie_journal_open_now(struct rt_machine *machine, struct rt_loop *loop,
                               const struct bookie_journal_options *options,
                               struct bookie_mark from, struct bookie_journal **journal,
                               struct rt_why *why);
// Every record at or behind `from`, in order; `at` is the place behind it. An error of `each` ends
// it. To be called before the first append, any number of times.
struct bookie_journal_replay {
    rt_err (*each)(struct bookie_journal_replay *replay, struct rt_bytes record,
                   struct bookie_mark at, struct rt_why *why);
};
RT_CHECK
rt_err bookie_journal_replay_now(struct bookie_journal *journal,
                                 struct bookie_journal_replay *replay, struct rt_why *why);

// Caller-owned; `done` once, on the loop, never before the append returned, in order.
struct bookie_journal_op {
    struct bookie_journal_op *next;  // private
    void (*done)(struct bookie_journal_op *op, rt_err err);
};
// Copies the parts as one record (up to 16 MiB). RT_EBUSY: the queue is full, nothing was taken
// (wait for `drained`). RT_EFAILED after a failure, RT_ECLOSED once it is being closed.
RT_CHECK
rt_err bookie_journal_append(struct bookie_journal *journal, struct bookie_journal_op *op,
                             const struct rt_bytes *parts, unsigned part_count);
// The same without waiting for the sync: done when it was written (deferred sync).
RT_CHECK
rt_err bookie_journal_append_deferred(struct bookie_journal *journal, struct bookie_journal_op *op,
                                      const struct rt_bytes *parts, unsigned part_count);
// Done when everything appended before is durable.
RT_CHECK
rt_err bookie_journal_force(struct bookie_journal *journal, struct bookie_journal_op *op);

// Behind everything that is durable: what a checkpoint that covers all that was appended so far may
// release, once the checkpoint itself is durable. What is still on its way is replayed once more,
// so a mark is never ahead of the journal, and one that is tells of a journal that was lost. While
// replay goes on: behind the last record that `each` has taken.
struct bookie_mark bookie_journal_end(const struct bookie_journal *journal);
// Segments that lie wholly before the mark are used again, or removed.
void bookie_journal_release(struct bookie_journal *journal, struct bookie_mark mark);

struct bookie_journal_stats {
    uint64_t appends, batches, bytes, queued_bytes, segments, spare_segments, bytes_since_release;
    uint64_t sync_ns_last, sync_ns_max;
};
struct bookie_journal_stats bookie_journal_stats(const struct bookie_journal *journal);

// Waits for what is under way, syncs, then `closed` runs and the journal is freed.
void bookie_journal_close(struct bookie_journal *journal, struct rt_task *closed);

#endif
