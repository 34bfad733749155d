// What clients of a metadata cluster did and were told, and whether a correct service could have
// answered so. Pure: no simulator in it.
//
// Replies carry zxids, so no search is needed (unlike a linearizability checker for black boxes):
// the writes that were acknowledged have one order, that of their zxids, and everything else is
// judged against it. Writes whose outcome is unknown may or may not be in it, at most once; each
// value written is unique, so a read tells which.
//
// RULES
//   1  acknowledged writes have different zxids
//   2  a write that began after another one had ended has the larger zxid (linearizable writes)
//   3  replies of one session never go back in zxid
//   4  a read with zxid z sees the last acknowledged write of that node up to z, or a later unknown
//   one 5  after a sync a read's zxid is not below any write that had ended when the sync began 6
//   a sequential name is given out once 7  no read sees a change before the event of a watch that
//   the same session had on it
#ifndef GEMINGA_TESTS_SIM_META_HISTORY_H
#define GEMINGA_TESTS_SIM_META_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum history_kind {
    HISTORY_CREATE,
    HISTORY_SET,
    HISTORY_DELETE,
    HISTORY_READ,      // present or absent
    HISTORY_SEQUENCE,  // create of a sequential ephemeral
    HISTORY_SYNC
};

enum history_result {
    HISTORY_OK,
    HISTORY_ABSENT,   // no node
    HISTORY_PRESENT,  // node exists already
    HISTORY_OTHER,    // refused for another reason: changed nothing
    HISTORY_UNKNOWN   // connection lost
};

struct history_op {
    enum history_kind kind;
    enum history_result result;
    unsigned client, key;
    uint64_t value;               // written, or seen by a read
    uint64_t began_ns, ended_ns;  // true time
    int64_t zxid;                 // of the reply
    int64_t mzxid;                // a read: of what it saw
    uint64_t sequence;            // HISTORY_SEQUENCE: the number in the name
    uint64_t synced_ns;  // a read behind a sync of the same client: when that sync began; 0
    uint64_t session;    // counts the sessions of this client
    uint64_t answer;     // position in the order in which this client got its answers
};

struct history {
    struct history_op *ops;
    size_t count, capacity;
};

void history_add(struct history *history, const struct history_op *op);
void history_fini(struct history *history);

// False: text says which rule and which operations.
bool history_check(const struct history *history, char *text, size_t text_size);

#endif
