// What a simulated file holds: cached bytes, durable bytes, and which sectors differ.
#include <assert.h>
#include <string.h>

#include "runtime/sim/sim_disk.h"

enum { LEAF_BLOCKS = 512, ALL_SECTORS = (1 << SIM_BLOCK_SECTORS) - 1 };
static_assert(ALL_SECTORS <= UINT8_MAX, "a block's sectors fit in one byte of flags");

static uint8_t *zeroes_new(void) {
    return rt_alloc_zero(1, SIM_BLOCK);
}

static uint64_t blocks_for(uint64_t size) {
    return size / SIM_BLOCK + (size % SIM_BLOCK != 0);
}

static uint8_t sectors_touched(size_t from, size_t to) {
    assert(from < to && to <= SIM_BLOCK);
    unsigned first = (unsigned)(from / SIM_SECTOR), last = (unsigned)((to - 1) / SIM_SECTOR);
    return (uint8_t)((ALL_SECTORS >> (SIM_BLOCK_SECTORS - 1 - last)) & (ALL_SECTORS << first));
}

struct sim_block *sim_content_block(const struct sim_inode *inode, uint64_t number) {
    uint64_t leaf = number / LEAF_BLOCKS;
    if (leaf >= inode->leaf_count || !inode->leaves[leaf]) return NULL;
    return &inode->leaves[leaf][number % LEAF_BLOCKS];
}

static struct sim_block *block_make(struct sim_inode *inode, uint64_t number) {
    size_t leaf = (size_t)(number / LEAF_BLOCKS);
    if (leaf >= inode->leaf_count) {
        size_t count = leaf + 1 > 2 * inode->leaf_count ? leaf + 1 : 2 * inode->leaf_count;
        inode->leaves = rt_realloc(inode->leaves, count * sizeof(*inode->leaves));
        for (size_t i = inode->leaf_count; i < count; i++) inode->leaves[i] = NULL;
        inode->leaf_count = count;
    }
    if (!inode->leaves[leaf]) {
        inode->leaves[leaf] = rt_alloc_zero(LEAF_BLOCKS, sizeof(struct sim_block));
    }
    return &inode->leaves[leaf][number % LEAF_BLOCKS];
}

// SPACE

static void block_allocated(struct sim_inode *inode, struct sim_block *block) {
    if (block->allocated) return;
    block->allocated = true;
    inode->allocated_bytes += SIM_BLOCK;
    if (inode->uses) inode->disk->used_bytes += SIM_BLOCK;
}

static void block_given_back(struct sim_inode *inode, struct sim_block *block) {
    if (!block->allocated) return;
    block->allocated = false;
    inode->allocated_bytes -= SIM_BLOCK;
    if (inode->uses) inode->disk->used_bytes -= SIM_BLOCK;
}

static bool block_allocate(struct sim_inode *inode, struct sim_block *block) {
    const struct sim_disk *disk = inode->disk;
    if (block->allocated) return true;
    if (disk->used_bytes + SIM_BLOCK > disk->options.capacity_bytes) return false;
    block_allocated(inode, block);
    return true;
}

// CHANGING THE CACHED BYTES

// The block is about to change in these sectors: its durable bytes are kept apart from now on. With
// `keep` the cached bytes go on as they are, else the caller replaces them all.
static void block_dirty(struct sim_inode *inode, uint64_t number, struct sim_block *block,
                        uint8_t sectors, bool keep) {
    if (!block->stale) {
        if (inode->unsynced_count == inode->unsynced_capacity) {
            inode->unsynced_capacity = inode->unsynced_capacity * 2 + 16;
            inode->unsynced =
                rt_realloc(inode->unsynced, inode->unsynced_capacity * sizeof(*inode->unsynced));
        }
        inode->unsynced[inode->unsynced_count++] = number;
        assert(!block->durable);
        block->durable = block->cached;
        block->cached = NULL;
        if (keep && block->durable) {
            block->cached = memcpy(rt_alloc(SIM_BLOCK), block->durable, SIM_BLOCK);
        }
    }
    block->dirty |= sectors;
    block->stale |= sectors;
}

static void block_write(struct sim_inode *inode, uint64_t number, struct sim_block *block,
                        size_t at, struct rt_bytes bytes) {
    bool whole = bytes.size == SIM_BLOCK;
    block_dirty(inode, number, block, sectors_touched(at, at + bytes.size), !whole);
    if (!block->cached) block->cached = whole ? rt_alloc(SIM_BLOCK) : zeroes_new();
    memcpy(block->cached + at, bytes.data, bytes.size);
}

static size_t chunk_at(uint64_t offset, size_t left) {
    size_t room = (size_t)(SIM_BLOCK - offset % SIM_BLOCK);
    return left < room ? left : room;
}

size_t sim_content_write(struct sim_inode *inode, uint64_t offset, struct rt_bytes bytes) {
    assert(offset <= SIM_FILE_SIZE_MAX && bytes.size <= SIM_FILE_SIZE_MAX - offset);
    size_t done = 0;
    while (done < bytes.size) {
        uint64_t at = offset + done;
        size_t chunk = chunk_at(at, bytes.size - done);
        struct sim_block *block = block_make(inode, at / SIM_BLOCK);
        if (!block_allocate(inode, block)) break;
        block_write(inode, at / SIM_BLOCK, block, (size_t)(at % SIM_BLOCK),
                    RT_BYTES(bytes.data + done, chunk));
        done += chunk;
    }
    if (done && offset + done > inode->size) inode->size = offset + done;
    return done;
}

size_t sim_content_read(const struct sim_inode *inode, uint64_t offset, void *memory, size_t size) {
    if (offset >= inode->size) return 0;
    if (size > inode->size - offset) size = (size_t)(inode->size - offset);
    for (size_t done = 0; done < size;) {
        uint64_t at = offset + done;
        size_t chunk = chunk_at(at, size - done);
        const struct sim_block *block = sim_content_block(inode, at / SIM_BLOCK);
        uint8_t *to = (uint8_t *)memory + done;
        if (block && block->cached) {
            memcpy(to, block->cached + at % SIM_BLOCK, chunk);
        } else {
            memset(to, 0, chunk);
        }
        done += chunk;
    }
    return size;
}

// Zeroes from a place inside the block to its end.
static void block_cut(struct sim_inode *inode, uint64_t number, struct sim_block *block,
                      size_t at) {
    if (!block->cached && !block->stale) return;
    if (at == 0) {
        block_dirty(inode, number, block, ALL_SECTORS, false);
        rt_free(block->cached);
        block->cached = NULL;
        return;
    }
    block_dirty(inode, number, block, sectors_touched(at, SIM_BLOCK), true);
    if (block->cached) memset(block->cached + at, 0, SIM_BLOCK - at);
}

void sim_content_truncate(struct sim_inode *inode, uint64_t size) {
    assert(size <= SIM_FILE_SIZE_MAX);
    uint64_t end = blocks_for(inode->size);
    if (size < inode->size && size < inode->cut_size) inode->cut_size = size;
    inode->size = size;
    for (uint64_t number = size / SIM_BLOCK; number < end; number++) {
        struct sim_block *block = sim_content_block(inode, number);
        if (!block) continue;
        uint64_t start = number * SIM_BLOCK;
        block_cut(inode, number, block, start < size ? (size_t)(size - start) : 0);
        if (start >= size) block_given_back(inode, block);
    }
}

bool sim_content_allocate(struct sim_inode *inode, uint64_t size) {
    assert(size <= SIM_FILE_SIZE_MAX);
    if (size > inode->allocated_bytes &&
        size - inode->allocated_bytes > inode->disk->options.capacity_bytes)
        return false;  // hopeless: fails before it fills the disk block by block
    for (uint64_t number = inode->size / SIM_BLOCK; number < blocks_for(size); number++) {
        if (!block_allocate(inode, block_make(inode, number))) return false;
    }
    if (size > inode->size) inode->size = size;
    return true;
}

void sim_content_give_back(struct sim_inode *inode, uint64_t size) {
    assert(size >= inode->size);
    for (uint64_t number = blocks_for(inode->size); number < blocks_for(size); number++) {
        struct sim_block *block = sim_content_block(inode, number);
        if (block) block_given_back(inode, block);
    }
}

// MAKING DURABLE

static void block_clean(struct sim_block *block) {
    rt_free(block->durable);
    block->durable = NULL;
    block->dirty = block->stale = 0;
}

static void block_sync(struct sim_block *block) {
    if (block->dirty == block->stale) {
        block_clean(block);
        return;
    }
    if (!block->durable) block->durable = zeroes_new();
    for (unsigned i = 0; i < SIM_BLOCK_SECTORS; i++) {
        uint8_t *to = block->durable + i * SIM_SECTOR;
        if (!(block->dirty >> i & 1)) continue;
        if (block->cached) {
            memcpy(to, block->cached + i * SIM_SECTOR, SIM_SECTOR);
        } else {
            memset(to, 0, SIM_SECTOR);
        }
    }
    block->stale = (uint8_t)(block->stale & ~block->dirty);
    block->dirty = 0;
}

// The truncate reaches the disk: what was behind it is zeroes there.
static void durable_cut(struct sim_inode *inode) {
    uint64_t cut = inode->cut_size;
    inode->cut_size = UINT64_MAX;
    if (cut >= inode->durable_size) return;
    inode->durable_size = cut;
    for (size_t i = 0; i < inode->unsynced_count; i++) {
        uint64_t start = inode->unsynced[i] * SIM_BLOCK;
        struct sim_block *block = sim_content_block(inode, inode->unsynced[i]);
        if (!block->durable || start + SIM_BLOCK <= cut) continue;
        size_t from = cut > start ? (size_t)(cut - start) : 0;
        memset(block->durable + from, 0, SIM_BLOCK - from);
    }
}

void sim_content_sync(struct sim_inode *inode) {
    durable_cut(inode);
    size_t kept = 0;
    for (size_t i = 0; i < inode->unsynced_count; i++) {
        struct sim_block *block = sim_content_block(inode, inode->unsynced[i]);
        block_sync(block);
        if (block->stale) inode->unsynced[kept++] = inode->unsynced[i];
    }
    inode->unsynced_count = kept;
    inode->durable_size = inode->size;
}

void sim_content_sync_failed(struct sim_inode *inode) {
    for (size_t i = 0; i < inode->unsynced_count; i++) {
        sim_content_block(inode, inode->unsynced[i])->dirty = 0;
    }
}

uint64_t sim_content_dirty_bytes(const struct sim_inode *inode) {
    uint64_t sectors = 0;
    for (size_t i = 0; i < inode->unsynced_count; i++) {
        uint8_t dirty = sim_content_block(inode, inode->unsynced[i])->dirty;
        sectors += (uint64_t)__builtin_popcount(dirty);
    }
    return sectors * SIM_SECTOR;
}

void sim_content_read_durable(const struct sim_inode *inode, struct rt_buf *content) {
    static const uint8_t zeroes[SIM_BLOCK];
    for (uint64_t at = 0; at < inode->durable_size; at += SIM_BLOCK) {
        uint64_t left = inode->durable_size - at;
        size_t size = left < SIM_BLOCK ? (size_t)left : SIM_BLOCK;
        const struct sim_block *block = sim_content_block(inode, at / SIM_BLOCK);
        const uint8_t *from = !block ? NULL : block->stale ? block->durable : block->cached;
        rt_buf_append(content, RT_BYTES(from ? from : zeroes, size));
    }
}

void sim_content_flip(struct sim_inode *inode, uint64_t offset, unsigned bit) {
    struct sim_block *block = block_make(inode, offset / SIM_BLOCK);
    size_t at = (size_t)(offset % SIM_BLOCK);
    if (!block->cached) block->cached = zeroes_new();
    if (block->stale && !block->durable) block->durable = zeroes_new();
    if (block->stale) block->durable[at] ^= (uint8_t)(1u << bit);
    if (!(block->stale >> at / SIM_SECTOR & 1)) block->cached[at] ^= (uint8_t)(1u << bit);
}

// AFTER A POWER LOSS

void sim_content_cut_decided(struct sim_inode *inode, bool kept) {
    if (kept) durable_cut(inode);
    inode->cut_size = UINT64_MAX;
}

static void block_settle(struct sim_inode *inode, struct sim_block *block) {
    rt_free(block->cached);
    block->cached = block->durable;
    block->durable = NULL;
    block->dirty = block->stale = 0;
    if (block->cached) block_allocated(inode, block);
}

static void block_empty(struct sim_inode *inode, struct sim_block *block) {
    assert(!block->stale);
    rt_free(block->cached);
    block->cached = NULL;
    block_given_back(inode, block);
}

void sim_content_settle(struct sim_inode *inode, uint64_t size) {
    for (size_t i = 0; i < inode->unsynced_count; i++) {
        struct sim_block *block = sim_content_block(inode, inode->unsynced[i]);
        block_settle(inode, block);
        if (inode->unsynced[i] >= blocks_for(size)) block_empty(inode, block);
    }
    inode->unsynced_count = 0;
    uint64_t end =
        blocks_for(inode->size > inode->durable_size ? inode->size : inode->durable_size);
    inode->size = inode->durable_size = size;
    for (uint64_t number = blocks_for(size); number < end; number++) {
        struct sim_block *block = sim_content_block(inode, number);
        if (block) block_empty(inode, block);
    }
    struct sim_block *last = size % SIM_BLOCK ? sim_content_block(inode, size / SIM_BLOCK) : NULL;
    if (last && last->cached) {
        memset(last->cached + size % SIM_BLOCK, 0, (size_t)(SIM_BLOCK - size % SIM_BLOCK));
    }
}

void sim_content_free(struct sim_inode *inode) {
    for (size_t leaf = 0; leaf < inode->leaf_count; leaf++) {
        if (!inode->leaves[leaf]) continue;
        for (size_t i = 0; i < LEAF_BLOCKS; i++) {
            rt_free(inode->leaves[leaf][i].cached);
            rt_free(inode->leaves[leaf][i].durable);
        }
        rt_free(inode->leaves[leaf]);
    }
    rt_free(inode->leaves);
    rt_free(inode->unsynced);
}
