#include "meta/server/tree/session_table.h"

#include <assert.h>
#include <string.h>

#include "runtime/mem.h"

enum { SESSION_VERSION = 1 };

// The block whose range covers the id: the last one that starts at or below it, else the first.
static size_t block_of(const struct meta_session_table *table, uint64_t id) {
    size_t low = 0, high = table->block_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (table->blocks[middle]->slots[0].id <= id) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// The first slot at or behind the id.
static size_t slot_of(const struct meta_session_block *block, uint64_t id) {
    size_t low = 0, high = block->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (block->slots[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void meta_session_table_fini(struct meta_session_table *table) {
    for (size_t i = 0; i < table->block_count; i++) {
        struct meta_session_block *block = table->blocks[i];
        for (size_t j = 0; j < block->count; j++) rt_free(block->slots[j].entry);
        rt_free(block);
    }
    rt_free(table->blocks);
    *table = (struct meta_session_table){0};
}

struct meta_session_entry *meta_session_table_find(const struct meta_session_table *table,
                                                   uint64_t id) {
    if (table->count == 0) return NULL;
    const struct meta_session_block *block = table->blocks[block_of(table, id)];
    size_t at = slot_of(block, id);
    return at < block->count && block->slots[at].id == id ? block->slots[at].entry : NULL;
}

struct meta_session_entry *meta_session_table_next(const struct meta_session_table *table,
                                                   uint64_t after) {
    if (table->count == 0 || after == UINT64_MAX) return NULL;
    size_t index = block_of(table, after);
    size_t at = slot_of(table->blocks[index], after + 1);
    if (at < table->blocks[index]->count) return table->blocks[index]->slots[at].entry;
    return index + 1 < table->block_count ? table->blocks[index + 1]->slots[0].entry : NULL;
}

static struct meta_session_block *block_insert(struct meta_session_table *table, size_t at) {
    if (table->block_count == table->block_capacity) {
        table->block_capacity = table->block_capacity ? 2 * table->block_capacity : 4;
        table->blocks = rt_realloc(table->blocks, table->block_capacity * sizeof(table->blocks[0]));
    }
    struct meta_session_block **to = &table->blocks[at];
    memmove(to + 1, to, (table->block_count - at) * sizeof(*to));
    *to = rt_alloc(sizeof(**to));
    (*to)->count = 0;
    table->block_count++;
    return *to;
}

// New ids mostly come at the end, so a full last block stays full and a new one begins.
static void block_split(struct meta_session_table *table, size_t index) {
    struct meta_session_block *from = table->blocks[index];
    bool is_last = index + 1 == table->block_count;
    size_t keep = is_last ? META_SESSION_BLOCK - 1 : META_SESSION_BLOCK / 2;
    struct meta_session_block *to = block_insert(table, index + 1);
    to->count = from->count - keep;
    memcpy(to->slots, from->slots + keep, to->count * sizeof(to->slots[0]));
    from->count = keep;
}

struct meta_session_entry *meta_session_table_add(struct meta_session_table *table, uint64_t id) {
    assert(!meta_session_table_find(table, id));
    if (table->block_count == 0) block_insert(table, 0);
    size_t index = block_of(table, id);
    if (table->blocks[index]->count == META_SESSION_BLOCK) {
        block_split(table, index);
        index = block_of(table, id);
    }
    struct meta_session_block *block = table->blocks[index];
    size_t at = slot_of(block, id);
    struct meta_session_slot *slot = &block->slots[at];
    memmove(slot + 1, slot, (block->count - at) * sizeof(*slot));
    *slot = (struct meta_session_slot){.id = id, .entry = RT_NEW(struct meta_session_entry)};
    block->count++;
    table->count++;
    return slot->entry;
}

void meta_session_table_remove(struct meta_session_table *table, uint64_t id) {
    assert(table->count > 0);
    size_t index = block_of(table, id);
    struct meta_session_block *block = table->blocks[index];
    size_t at = slot_of(block, id);
    assert(at < block->count && block->slots[at].id == id);
    struct meta_session_slot *slot = &block->slots[at];
    rt_free(slot->entry);
    memmove(slot, slot + 1, (block->count - at - 1) * sizeof(*slot));
    table->count--;
    if (--block->count > 0) return;
    rt_free(block);
    struct meta_session_block **hole = &table->blocks[index];
    memmove(hole, hole + 1, (table->block_count - index - 1) * sizeof(*hole));
    table->block_count--;
}

void meta_session_encode(const struct meta_session *session, struct rt_writer *w) {
    rt_write_u8(w, SESSION_VERSION);
    rt_write_be32(w, (uint32_t)session->timeout_ms);
    rt_write_be64(w, session->attachment);
    rt_write_be64(w, (uint64_t)session->created_ms);
    rt_write_bytes(w, RT_BYTES(session->password, sizeof(session->password)));
}

rt_err meta_session_decode(struct rt_bytes key, struct rt_bytes value,
                           struct meta_session *session) {
    struct rt_reader r = rt_reader_over(key);
    *session = (struct meta_session){.id = (int64_t)rt_read_be64(&r)};
    if (!rt_reader_done(&r)) return RT_ECORRUPT;
    r = rt_reader_over(value);
    if (rt_read_u8(&r) != SESSION_VERSION) return RT_ECORRUPT;
    session->timeout_ms = (int32_t)rt_read_be32(&r);
    session->attachment = rt_read_be64(&r);
    session->created_ms = (int64_t)rt_read_be64(&r);
    struct rt_bytes password = rt_read_bytes(&r, sizeof(session->password));
    if (!rt_reader_done(&r)) return RT_ECORRUPT;
    memcpy(session->password, password.data, sizeof(session->password));
    return RT_OK;
}
