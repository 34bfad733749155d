#include "meta/server/log/log_internal.h"

static void block_release(struct raft_payload *payload) {
    struct meta_log_block *block = rt_container_of(payload, struct meta_log_block, payload);
    rt_buf_fini(&block->bytes);
    rt_free(block->entries);
    rt_free(block);
}

struct meta_log_block *meta_log_block_new(void) {
    struct meta_log_block *block = RT_NEW(struct meta_log_block);
    raft_payload_init(&block->payload, block_release);
    return block;
}

void meta_log_block_add(struct meta_log_block *block, const struct raft_entry *entry) {
    if (block->count == block->capacity) {
        block->capacity = block->capacity ? 2 * block->capacity : 64;
        block->entries = rt_realloc(block->entries, block->capacity * sizeof(*block->entries));
    }
    struct raft_entry *kept = &block->entries[block->count++];
    *kept = *entry;
    kept->payload = &block->payload;
    rt_buf_append(&block->bytes, entry->data);
}

// The bytes have stopped moving: now each entry can point to its own.
void meta_log_block_place(struct meta_log_block *block) {
    size_t at = 0;
    for (size_t i = 0; i < block->count; i++) {
        struct raft_entry *entry = &block->entries[i];
        entry->data.data = entry->data.size ? block->bytes.data + at : NULL;
        at += entry->data.size;
    }
}
