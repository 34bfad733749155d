// A journal with everything it tells written down, and records whose bytes follow from their number
// and from the life of the process that appended them. All memory belongs to the test, so it
// survives the crash of a simulated node.
#ifndef GEMINGA_TESTS_UNIT_BOOKIE_JOURNAL_FIXTURE_H
#define GEMINGA_TESTS_UNIT_BOOKIE_JOURNAL_FIXTURE_H

#include "bookie/server/journal/journal.h"

enum { FIXTURE_RECORDS_MAX = 60000, FIXTURE_FORCES_MAX = 4000 };

enum fixture_kind { FIXTURE_PLAIN, FIXTURE_DEFERRED };

struct fixture;
struct fixture_op {
    struct bookie_journal_op op;
    struct fixture *fixture;
    uint64_t number;  // of the record; of a force: of the first behind it
};

struct fixture {
    struct bookie_journal_events events;
    struct bookie_journal_replay replay;
    struct bookie_journal_options options;
    struct bookie_journal *journal;
    struct rt_why why;
    size_t (*size_of)(uint64_t number);
    bool acks_lie;  // without syncs: only a force tells that records are durable

    // Records are numbered from 1.
    uint64_t next;      // to append
    uint64_t answered;  // all below were answered, well or not
    uint64_t acked;     // all below were acknowledged
    uint64_t durable;   // all below were acknowledged as durable
    uint64_t forces_asked, forces_answered;
    uint32_t life, lives[FIXTURE_RECORDS_MAX];
    uint8_t kinds[FIXTURE_RECORDS_MAX];
    struct fixture_op ops[FIXTURE_RECORDS_MAX];
    struct fixture_op forces[FIXTURE_FORCES_MAX];
    uint64_t order;  // of answers: a force between its neighbours

    // A checkpoint: what the bookie flushed.
    struct bookie_mark from;
    uint64_t covered;                  // all below are in it
    bool absent[FIXTURE_RECORDS_MAX];  // lost by a crash, but in a checkpoint

    // What replay gave.
    uint64_t first, count;
    struct bookie_mark at_first, at_last;
    rt_err replay_stop;  // of `each` at record `stop_at`
    uint64_t stop_at;

    const char *wrong;  // a promise that was broken
    unsigned failures, drains;
    rt_err failure;
    char failure_text[512];
    void (*told)(struct fixture *fixture);  // after each answer and event; may be NULL
};

struct fixture *fixture_new(const char *directory);  // on the test's heap
// Opens from the last checkpoint and replays; what replay gave is where numbers go on.
rt_err fixture_open(struct fixture *fixture, struct rt_machine *machine, struct rt_loop *loop);
rt_err fixture_append(struct fixture *fixture, enum fixture_kind kind);
void fixture_appends(struct fixture *fixture, unsigned count);  // plain; until RT_EBUSY
rt_err fixture_force(struct fixture *fixture);
// Everything appended so far is flushed by the bookie, durably.
void fixture_checkpoint(struct fixture *fixture);
// All records that were acknowledged came back, in order, and nothing else; NULL: so it is.
const char *fixture_check(const struct fixture *fixture, uint64_t acked);

#endif
