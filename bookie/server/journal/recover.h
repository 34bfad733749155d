// What a start finds. Private to the three files of recovery.
#ifndef GEMINGA_BOOKIE_SERVER_JOURNAL_RECOVER_H
#define GEMINGA_BOOKIE_SERVER_JOURNAL_RECOVER_H

#include "bookie/server/journal/reader.h"

struct journal_found {
    struct journal_segment *segment;  // NULL once the journal has it
    bool is_valid;                    // its header
    bool is_linked;                   // belongs to the journal, from `from` on
};

struct journal_recovery {
    struct bookie_journal *journal;
    struct journal_found *items;  // by number
    size_t count;
    char **leftovers;  // paths: half made, or spares of another size
    size_t leftover_count;
    struct bookie_mark end;      // behind the last valid batch
    struct bookie_mark certain;  // was durable, as far as is known
    struct bookie_mark claimed;  // was durable, says the disk
    const struct journal_segment *claimant;
};

// recover_scan.c: which segments there are, and which of them are the journal.
RT_CHECK
rt_err bookie_journal_scan_now(struct journal_recovery *recovery, struct rt_why *why);
struct journal_found *bookie_journal_find(const struct journal_recovery *recovery, uint64_t number);
struct journal_found *bookie_journal_find_after(const struct journal_recovery *recovery,
                                                const struct journal_found *item);  // linked
void bookie_journal_recovery_fini(struct journal_recovery *recovery);
// recover.c: where it ends, and whether that can be.
RT_CHECK
rt_err bookie_journal_judge_now(struct journal_recovery *recovery, struct rt_why *why);

#endif
