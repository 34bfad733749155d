// The journal's records: entries, and BookKeeper's meta records with their negative entry ids.
#ifndef GEMINGA_BOOKIE_SERVER_CORE_RECORDS_H
#define GEMINGA_BOOKIE_SERVER_CORE_RECORDS_H

#include <stdint.h>

#include "runtime/bytes.h"

enum { BOOKIE_RECORD_HEAD = 20 };

enum bookie_record_kind {
    BOOKIE_RECORD_ENTRY,
    BOOKIE_RECORD_KEY,
    BOOKIE_RECORD_FENCE,
    BOOKIE_RECORD_EXPLICIT_LAC,
    BOOKIE_RECORD_OTHER  // a meta record that we do not know: skipped by replay, as BookKeeper does
};

struct bookie_record {
    enum bookie_record_kind kind;
    int64_t ledger;
    int64_t entry, lac;    // of an entry
    struct rt_bytes body;  // entry: the whole record; else what stands behind the size
    bool has_body;         // a fence without one is BookKeeper's own: it names no key
};

// RT_ECORRUPT: too short, a negative ledger, or a size that is not what follows. Borrows.
RT_CHECK
rt_err bookie_record_read(struct rt_bytes bytes, struct bookie_record *record);
// What stands before a body of that size. Not for entries, which are records as they are.
void bookie_record_head(enum bookie_record_kind kind, int64_t ledger, size_t body_size,
                        uint8_t head[BOOKIE_RECORD_HEAD]);

#endif
