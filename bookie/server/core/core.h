// What a bookie does with a request: keys, fencing, adds, reads, LACs. Sections 1.7, 1.8, 3.7
// and 5.8 of the BookKeeper sheet; no sockets here.
//
// THE PROMISES
//   - An add is answered OK only when its journal record is durable (but for deferred sync), and it
//     is readable before that.
//   - After a fence was answered no add without RECOVERY is ever accepted for the ledger, over
//     crashes too: the fence record carries the master key, also of a ledger that was not known,
//     and is durable before the answer, whatever the answer is.
//   - NO_ENTRY and NO_LEDGER are said only when that is known; everything else that goes wrong with
//     a read is IO (or UNKNOWN_LEDGER_STATE in limbo).
//   - A ledger that was fenced and then deleted stays fenced for a week.
//   - Fenced check, put and journal append of an add happen in one piece, so a fence stands before
//     or behind it, and answers of adds to one ledger come in the order of the adds (but refusals,
//     which may come earlier).
//
// JOURNAL RECORDS: entries as they are (ids in front, BookKeeper sheet 5.2), and meta records with
// a negative entry id: core/records.h. Ledger L belongs to journal L mod count.
//
// Loop: the bookie's.
#ifndef GEMINGA_BOOKIE_SERVER_CORE_CORE_H
#define GEMINGA_BOOKIE_SERVER_CORE_CORE_H

#include "bookie/server/store/store.h"
#include "proto/bookkeeper.h"

struct bookie_core;

struct bookie_core_events {
    // Adds are parked because journal or cache are full: do not read requests until `relieved`.
    // What was given meanwhile is parked too.
    void (*congested)(struct bookie_core_events *events);
    void (*relieved)(struct bookie_core_events *events);
};

struct bookie_core_options {
    struct bookie_store *store;
    struct bookie_journal *const *journals;  // borrowed array of journal_count; NULLs until opened
    unsigned journal_count;
    bool journal_writes;  // journalWriteData; false: adds are answered when they are in the cache
    int64_t batch_read_bytes_max;    // maxBatchReadSize [5 MiB]
    size_t frame_size_max;           // nettyMaxFrameSizeBytes [PROTO_BK_FRAME_MAX]
    unsigned adds_in_progress_max;   // maxAddsInProgressLimit; 0: no limit
    unsigned reads_in_progress_max;  // maxReadsInProgressLimit; 0: no limit
    size_t parked_bytes_max;         // [64 MiB] then TOO_MANY_REQUESTS
    struct bookie_core_events *events;
};

struct bookie_core *bookie_core_new(struct rt_machine *machine, struct rt_loop *loop,
                                    const struct bookie_core_options *options);
// At start-up, for each record of each journal in order, before any call. Records of ledgers that
// the index does not know and for which no key was seen are skipped (the ledger was deleted).
// Blocks: flushes the store when its cache is full.
RT_CHECK
rt_err bookie_core_replay_now(struct bookie_core *core, unsigned journal, struct rt_bytes record,
                              struct rt_why *why);
// Calls under way are answered first.
void bookie_core_close(struct bookie_core *core, struct rt_task *closed);

// CALLS: caller-owned, one for each request; zero-initialised before the first use.
struct bookie_call {
    struct rt_list link;  // private, as are all members below `response`
    // Decoded. What it borrows from lies in `frame`: the packet, borrowed too. The core takes a
    // reference of its own when it needs it for longer than bookie_core_call lasts.
    struct proto_bk_request request;
    struct rt_slice frame;
    void (*done)(struct bookie_call *call);
    uint64_t since_ns;  // when it came, for latencies
    struct proto_bk_response response;
    struct rt_slice *bodies;  // what follows response's head: entries of a read or batch read, each
    unsigned body_count;      // to be sent (of a batch read behind its size) until the call's fini

    unsigned state;     // of core/core_internal.h
    unsigned prefixes;  // records to be appended before its own
    bool is_starting, is_abandoned, is_counted, holds_frame;
    struct bookie_core *core;
    struct bookie_ledger *ledger;
    struct bookie_journal_op journal;
    void (*entry_read)(struct bookie_call *call, rt_err err);
    struct bookie_read_op read;
    struct bookie_entries_op entries;
    struct rt_list poll_link;
    struct rt_timer timer;
    struct rt_slice body_one;
    struct rt_slice *body_array;
    unsigned body_capacity;
    size_t body_bytes;
    struct rt_buf scratch;  // of the response's other fields
};

// True: answered at once, `done` is not called. False: `done` later, exactly once.
// AUTH, BOOKIE_INFO and START_TLS are the server's and not accepted here.
bool bookie_core_call(struct bookie_core *core, struct bookie_call *call);
// The client is gone: what can be stopped is (long polls, reads); done still comes.
void bookie_core_abandon(struct bookie_core *core, struct bookie_call *call);
// Drops what the response holds; the call may be used again.
void bookie_call_fini(struct bookie_call *call);

// STATE

// To be called from the events of the journals and of the store: there is room again, a journal has
// failed (no write is answered OK from then on).
void bookie_core_on_drained(struct bookie_core *core);
void bookie_core_on_failed(struct bookie_core *core);
// Read-only: adds, and writes of LACs, are refused; recovery adds of high priority are not while
// there is room for them.
void bookie_core_set_read_only(struct bookie_core *core, bool read_only, bool room_for_recovery);
// A ledger is about to be deleted by GC: remembers a fence, also one that comes while it is
// deleted.
void bookie_core_forget_ledger(struct bookie_core *core, int64_t ledger, bool was_fenced);
// Ledger state changed outside (limbo, integrity check): wakes long polls.
void bookie_core_poke(struct bookie_core *core, int64_t ledger);

struct bookie_core_stats {
    struct bookie_core_kind_stats {
        uint64_t calls, failures, ns_sum, ns_max;
    } kinds[PROTO_BK_KINDS];
    uint64_t adds_in_progress, reads_in_progress, parked, parked_bytes, long_polls, fences,
        add_bytes, read_bytes, rejected;
};
struct bookie_core_stats bookie_core_stats(const struct bookie_core *core);

#endif
