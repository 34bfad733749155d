// Logs with chained hashes, and the bytes of snapshots.
#include <assert.h>
#include <string.h>

#include "runtime/crc32c.h"
#include "runtime/mem.h"
#include "tests/unit/raft/cluster.h"

static uint64_t mix(uint64_t a, uint64_t b) {
    uint64_t z = (a ^ b * UINT64_C(0x9e3779b97f4a7c15)) + UINT64_C(0x7f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t chain_next(uint64_t chain, const struct raft_entry *entry) {
    uint64_t what = (uint64_t)entry->kind << 32 | rt_crc32c(0, entry->data);
    return mix(mix(mix(chain, entry->at.index), entry->at.term), what);
}

uint64_t cells_last(const struct cells *cells) {
    return cells->base.index + cells->count;
}

const struct cell *cells_at(const struct cells *cells, uint64_t index) {
    if (index <= cells->base.index || index > cells_last(cells)) return NULL;
    return &cells->items[index - cells->base.index - 1];
}

bool cells_chain(const struct cells *cells, uint64_t index, uint64_t *chain) {
    const struct cell *cell = cells_at(cells, index);
    if (!cell && index != cells->base.index) return false;
    *chain = cell ? cell->chain : cells->base_chain;
    return true;
}

void cells_append(struct cells *cells, const struct raft_entry *entry) {
    assert(entry->at.index == cells_last(cells) + 1);
    uint64_t before = 0;
    bool known = cells_chain(cells, cells_last(cells), &before);
    assert(known);
    if (cells->count == cells->capacity) {
        cells->capacity = cells->capacity ? cells->capacity * 2 : 64;
        cells->items = rt_realloc(cells->items, cells->capacity * sizeof(*cells->items));
    }
    cells->items[cells->count++] = (struct cell){*entry, chain_next(before, entry)};
    raft_payload_hold(entry->payload);
}

void cells_truncate(struct cells *cells, uint64_t from) {
    while (cells->count && cells_last(cells) >= from) {
        raft_payload_drop(cells->items[--cells->count].entry.payload);
    }
}

void cells_drop_to(struct cells *cells, uint64_t index) {
    if (index <= cells->base.index) return;
    if (index > cells_last(cells)) return;
    size_t gone = (size_t)(index - cells->base.index);
    cells->base_chain = cells->items[gone - 1].chain;
    cells->base = cells->items[gone - 1].entry.at;
    for (size_t i = 0; i < gone; i++) raft_payload_drop(cells->items[i].entry.payload);
    memmove(cells->items, cells->items + gone, (cells->count - gone) * sizeof(*cells->items));
    cells->count -= gone;
}

void cells_clear(struct cells *cells, struct raft_position base, uint64_t chain) {
    cells_truncate(cells, 0);
    cells->base = base;
    cells->base_chain = chain;
}

void cells_fini(struct cells *cells) {
    cells_truncate(cells, 0);
    rt_free(cells->items);
    *cells = (struct cells){0};
}

// The first entry_count entries of a write: all of them, unless a crash cut it short.
void cells_write(struct cells *cells, const struct raft_log_write *write, uint64_t base_chain,
                 size_t entry_count) {
    if (write->reset) cells_clear(cells, write->base, base_chain);
    if (write->truncate_from) cells_truncate(cells, write->truncate_from);
    for (size_t i = 0; i < entry_count; i++) {
        if (write->entries[i].at.index <= cells->base.index) continue;
        cells_append(cells, &write->entries[i]);
    }
}

// SNAPSHOT  index, term, chain (24 bytes), filler that differs by sender, CRC32C of all before.
// The filler makes a mixture of two senders' chunks visible.
void snapshot_bytes(uint64_t sender, struct raft_position at, uint64_t chain, struct rt_buf *out) {
    struct rt_writer w = rt_writer_into(out);
    rt_write_be64(&w, at.index);
    rt_write_be64(&w, at.term);
    rt_write_be64(&w, chain);
    uint64_t filler = mix(chain, sender);
    for (uint64_t i = 0; i < 4 + chain % 24; i++) rt_write_be64(&w, mix(filler, i));
    rt_write_be32(&w, rt_crc32c(0, rt_buf_bytes(out)));
}

bool snapshot_parse(struct rt_bytes bytes, struct raft_position *at, uint64_t *chain) {
    if (bytes.size < 28) return false;
    struct rt_reader tail = rt_reader_over(rt_bytes_skip(bytes, bytes.size - 4));
    if (rt_read_be32(&tail) != rt_crc32c(0, RT_BYTES(bytes.data, bytes.size - 4))) return false;
    struct rt_reader r = rt_reader_over(bytes);
    at->index = rt_read_be64(&r);
    at->term = rt_read_be64(&r);
    *chain = rt_read_be64(&r);
    return true;
}
