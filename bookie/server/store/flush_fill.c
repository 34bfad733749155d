// Encoding the frozen half, on a worker: ledgers ascending, entries ascending, extents as large as
// they may be.
#include <assert.h>

#include "bookie/server/store/store_internal.h"
#include "runtime/mem.h"

void bookie_flush_fill_begin(struct bookie_flush *flush, struct bookie_cache_half *half) {
    struct bookie_filling *filling = &flush->filling;
    filling->half = half;
    filling->ledger = 0;
    filling->in_ledger = filling->has_extent = false;
    filling->file_is_full = filling->has_ended = false;
    filling->next = NULL;
    rt_buf_clear(&flush->locations);
    bookie_appender_forget(&flush->appender);
}

static void item_add(struct bookie_filling *filling, const struct bookie_cached_entry *entry) {
    if (filling->item_count == filling->item_capacity) {
        filling->item_capacity = filling->item_capacity ? filling->item_capacity * 2 : 64;
        filling->items =
            rt_realloc(filling->items, filling->item_capacity * sizeof(*filling->items));
    }
    filling->items[filling->item_count++] = (struct bookie_extent_item){
        .entry = entry->entry, .body = bookie_cache_body(filling->half, entry)};
}

// Whether one more entry belongs into the extent of which the items are there.
static bool item_fits(const struct bookie_filling *filling, size_t body_bytes,
                      const struct bookie_cached_entry *entry, size_t extent_bytes) {
    if (filling->item_count == 0) return true;
    int64_t span = entry->entry - filling->items[0].entry;
    if (span > BOOKIE_EXTENT_SPAN_MAX) return false;
    bool has_gaps = (uint64_t)span != filling->item_count;
    return bookie_extent_size(filling->item_count + 1, body_bytes + entry->size, has_gaps) <=
           extent_bytes;
}

static void items_gather(struct bookie_flush *flush) {
    struct bookie_filling *filling = &flush->filling;
    size_t extent_bytes = flush->store->extent_bytes, body_bytes = 0;
    filling->item_count = 0;
    while (filling->next && item_fits(filling, body_bytes, filling->next, extent_bytes)) {
        item_add(filling, filling->next);
        body_bytes += filling->next->size;
        filling->next = bookie_cache_next(&filling->cursor);
    }
}

// False: no ledger has entries left.
static bool ledger_enter(struct bookie_filling *filling) {
    while (!filling->next) {
        if (filling->in_ledger) filling->ledger++;
        filling->in_ledger = filling->ledger < filling->half->ledger_count;
        if (!filling->in_ledger) return false;
        struct bookie_cached_ledger *ledger = filling->half->ledgers[filling->ledger];
        ledger->span_max = 0;
        filling->cursor = (struct bookie_cache_cursor){.ledger = ledger};
        filling->next = bookie_cache_next(&filling->cursor);
    }
    return true;
}

static void extent_make(struct bookie_flush *flush) {
    struct bookie_filling *filling = &flush->filling;
    struct bookie_cached_ledger *ledger = filling->half->ledgers[filling->ledger];
    items_gather(flush);
    struct rt_buf *out = &flush->appender.extent;
    rt_buf_clear(out);
    flush->appender.taken = 0;
    bookie_extent_encode(ledger->id, flush->generation, filling->items, filling->item_count,
                         flush->store->compress, &filling->scratch, out);
    int64_t first = filling->items[0].entry;
    int64_t last = filling->items[filling->item_count - 1].entry;
    if ((uint32_t)(last - first) > ledger->span_max) ledger->span_max = (uint32_t)(last - first);
    struct bookie_extent_head head;
    rt_err err = bookie_extent_head_decode(rt_buf_bytes(out), &head);
    assert(!err);
    filling->placed = (struct bookie_location){.ledger = ledger->id,
                                               .first = first,
                                               .last = last,
                                               .generation = flush->generation,
                                               .count = head.count,
                                               .plain_size = head.plain_size,
                                               .stored_size = head.stored_size};
    filling->has_extent = true;
}

// False: the file is full, and not only of this one extent.
static bool extent_place(struct bookie_flush *flush) {
    struct bookie_filling *filling = &flush->filling;
    uint64_t offset = bookie_appender_offset(&flush->appender);
    uint64_t end = offset + flush->appender.extent.size;
    if (end > flush->store->file_bytes_max && offset > BOOKIE_FILE_HEADER) return false;
    filling->placed.file = flush->appender.id;
    filling->placed.offset = offset;
    rt_buf_append(&flush->locations, RT_BYTES(&filling->placed, sizeof(filling->placed)));
    filling->has_extent = false;
    return true;
}

void bookie_flush_fill(struct bookie_flush *flush) {
    struct bookie_filling *filling = &flush->filling;
    filling->file_is_full = false;
    for (;;) {
        if (!filling->has_extent && bookie_appender_take(&flush->appender)) return;
        if (!filling->has_extent) {
            filling->has_ended = !ledger_enter(filling);
            if (filling->has_ended) break;
            extent_make(flush);
        }
        filling->file_is_full = !extent_place(flush);
        if (filling->file_is_full) break;
    }
    bookie_appender_pad(&flush->appender);
}
