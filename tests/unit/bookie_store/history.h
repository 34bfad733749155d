// What a store must hold: everything that was done to a few ledgers, in order, and what of it may
// be seen, now or after a crash.
#ifndef GEMINGA_TESTS_UNIT_BOOKIE_STORE_HISTORY_H
#define GEMINGA_TESTS_UNIT_BOOKIE_STORE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_LEDGERS = 5, HISTORY_ENTRIES = 240, HISTORY_PUTS = 40000, HISTORY_DELETES = 400 };

#define HISTORY_NOW (UINT64_MAX - 1)

// Sequence numbers are of the one journal that all goes through.
struct history_put {
    int ledger, entry;
    uint64_t sequence, version;
};
struct history_delete {
    int ledger;
    uint64_t start, end;  // end UINT64_MAX: it has not ended
};
struct history {
    uint64_t sequence, version;
    struct history_put puts[HISTORY_PUTS];
    size_t put_count;
    struct history_delete deletes[HISTORY_DELETES];
    size_t delete_count;
    uint64_t fences[HISTORY_LEDGERS];  // sequence, 0: not fenced
};

uint64_t history_put(struct history *history, int ledger, int entry);  // returns its version
void history_fence(struct history *history, int ledger);
size_t history_delete_start(struct history *history, int ledger);
void history_delete_end(struct history *history, size_t index);
// Version 0: the entry is not there. Everything up to `mark` must be; what is behind it may be. A
// deletion surely hides what is older only if it had ended at `since`, when the question was asked.
bool history_allows(const struct history *history, int ledger, int entry, uint64_t version,
                    uint64_t mark, uint64_t since);
bool history_allows_fence(const struct history *history, int ledger, bool fenced, uint64_t mark);
// What must be seen of an entry that nobody deletes: its latest version, 0: none.
uint64_t history_latest(const struct history *history, int ledger, int entry);
// From here on, what was found is all there was.
void history_forget(struct history *history);
void history_found(struct history *history, int ledger, int entry, uint64_t version);

#endif
