// RECORDS (big-endian)
//   entry         ledger(8) entry(8) LAC(8) ... as the client made it
//   key           ledger(8) -0x1000(8) size(4) key
//   fence         ledger(8) -0x2000(8) [size(4) key]   ours always has the key; BookKeeper's never
//   explicit LAC  ledger(8) -0x8000(8) size(4) bytes
// The journal has verified them, so one that does not fit was never written by us.
#include "bookie/server/core/records.h"

#include <assert.h>

enum { KEY_ID = -0x1000, FENCE_ID = -0x2000, EXPLICIT_LAC_ID = -0x8000 };

static enum bookie_record_kind kind_of(int64_t entry) {
    switch (entry) {
    case KEY_ID: return BOOKIE_RECORD_KEY;
    case FENCE_ID: return BOOKIE_RECORD_FENCE;
    case EXPLICIT_LAC_ID: return BOOKIE_RECORD_EXPLICIT_LAC;
    default: return entry < 0 ? BOOKIE_RECORD_OTHER : BOOKIE_RECORD_ENTRY;
    }
}

static int64_t id_of(enum bookie_record_kind kind) {
    switch (kind) {
    case BOOKIE_RECORD_KEY: return KEY_ID;
    case BOOKIE_RECORD_FENCE: return FENCE_ID;
    case BOOKIE_RECORD_EXPLICIT_LAC: return EXPLICIT_LAC_ID;
    case BOOKIE_RECORD_ENTRY:
    case BOOKIE_RECORD_OTHER: break;
    }
    rt_panic("record kind %d has no head", (int)kind);
}

static void body_read(struct rt_reader *r, struct bookie_record *record) {
    if (record->kind == BOOKIE_RECORD_FENCE && rt_reader_left(r) == 0) return;
    record->body = rt_read_bytes(r, rt_read_be32(r));
    record->has_body = true;
    if (!rt_reader_done(r)) rt_reader_fail(r);
}

rt_err bookie_record_read(struct rt_bytes bytes, struct bookie_record *record) {
    struct rt_reader r = rt_reader_over(bytes);
    *record = (struct bookie_record){.ledger = (int64_t)rt_read_be64(&r)};
    record->entry = (int64_t)rt_read_be64(&r);
    record->kind = kind_of(record->entry);
    if (record->kind == BOOKIE_RECORD_ENTRY) {
        record->lac = (int64_t)rt_read_be64(&r);
        record->body = bytes;
        record->has_body = true;
    } else if (record->kind != BOOKIE_RECORD_OTHER) {
        body_read(&r, record);
    }
    return rt_reader_failed(&r) || record->ledger < 0 ? RT_ECORRUPT : RT_OK;
}

void bookie_record_head(enum bookie_record_kind kind, int64_t ledger, size_t body_size,
                        uint8_t head[BOOKIE_RECORD_HEAD]) {
    struct rt_writer w = rt_writer_over(head, BOOKIE_RECORD_HEAD);
    assert(body_size <= UINT32_MAX);
    rt_write_be64(&w, (uint64_t)ledger);
    rt_write_be64(&w, (uint64_t)id_of(kind));
    rt_write_be32(&w, (uint32_t)body_size);
    assert(!rt_writer_failed(&w));
}
