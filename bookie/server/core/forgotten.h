// Ledgers that were fenced and then deleted: for a week no add without RECOVERY is taken for them,
// since their old writer may still live (BookKeeper sheet 3.7, row 10). In memory only.
//
// One set of ids for each of the last eight days; a day's set goes as a whole. About 11 bytes an
// id.
#ifndef GEMINGA_BOOKIE_SERVER_CORE_FORGOTTEN_H
#define GEMINGA_BOOKIE_SERVER_CORE_FORGOTTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BOOKIE_FORGOTTEN_DAYS = 8 };

struct bookie_forgotten {
    size_t count;
    struct bookie_forgotten_day {
        uint64_t day;
        int64_t *slots;  // open addressing, a power of two; -1: free
        size_t count, capacity;
    } days[BOOKIE_FORGOTTEN_DAYS];
};

void bookie_forgotten_fini(struct bookie_forgotten *forgotten);
void bookie_forgotten_add(struct bookie_forgotten *forgotten, int64_t ledger, uint64_t now_ns);
bool bookie_forgotten_has(struct bookie_forgotten *forgotten, int64_t ledger, uint64_t now_ns);

#endif
