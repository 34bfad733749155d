// What goes wrong with a simulated disk: operations that fail, and what a crash leaves behind.
// All draws come from the node's disk stream.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/sim/sim_disk.h"

static struct rt_random *draws(const struct sim_inode *inode) {
    return &inode->disk->node->disk_random;
}

static bool fault(struct sim_disk *disk, uint32_t per_million, const char *what, uint64_t id) {
    if (!per_million || !rt_random_chance(&disk->node->disk_random, per_million)) return false;
    sim_trace_text(disk->node->sim, SIM_FILE_FAULT, disk->node, what, id);
    return true;
}

// OPERATIONS

static uint64_t parts_size(const struct rt_bytes *parts, unsigned part_count) {
    uint64_t size = 0;
    for (unsigned i = 0; i < part_count; i++) size += parts[i].size;
    return size;
}

static bool parts_fit(uint64_t offset, uint64_t size) {
    return offset <= SIM_FILE_SIZE_MAX && size <= SIM_FILE_SIZE_MAX - offset;
}

// The first `size` bytes of the parts; false when the disk was full before that.
static bool parts_write(struct sim_inode *inode, uint64_t offset, const struct rt_bytes *parts,
                        uint64_t size) {
    for (; size > 0; parts++) {
        size_t wanted = parts->size < size ? parts->size : (size_t)size;
        if (sim_content_write(inode, offset, RT_BYTES(parts->data, wanted)) < wanted) return false;
        offset += wanted;
        size -= wanted;
    }
    return true;
}

rt_err sim_disk_write(struct sim_inode *inode, uint64_t offset, const struct rt_bytes *parts,
                      unsigned part_count) {
    struct sim_disk *disk = inode->disk;
    uint64_t size = parts_size(parts, part_count);
    if (!parts_fit(offset, size)) return RT_ETOOBIG;
    if (fault(disk, disk->options.write_fail_per_million, "write", inode->id)) {
        parts_write(inode, offset, parts, rt_random_below(draws(inode), size + 1));
        return RT_EIO;
    }
    return parts_write(inode, offset, parts, size) ? RT_OK : RT_ENOSPACE;
}

rt_err sim_disk_read(struct sim_inode *inode, uint64_t offset, void *memory, size_t size,
                     size_t *done_size) {
    struct sim_disk *disk = inode->disk;
    *done_size = 0;
    if (fault(disk, disk->options.read_fail_per_million, "read", inode->id)) return RT_EIO;
    *done_size = sim_content_read(inode, offset, memory, size);
    return RT_OK;
}

rt_err sim_disk_read_blocks(struct sim_disk *disk) {
    return fault(disk, disk->options.read_fail_per_million, "read", 0) ? RT_EIO : RT_OK;
}

rt_err sim_disk_sync(struct sim_inode *inode) {
    struct sim_disk *disk = inode->disk;
    if (fault(disk, disk->options.sync_fail_per_million, "sync", inode->id)) {
        sim_content_sync_failed(inode);
        return RT_EIO;
    }
    sim_content_sync(inode);
    return RT_OK;
}

// What did not fit is given back, as the file is expected to be as it was.
rt_err sim_disk_allocate(struct sim_inode *inode, uint64_t size) {
    struct sim_disk *disk = inode->disk;
    if (size > SIM_FILE_SIZE_MAX) return RT_ETOOBIG;
    if (size <= inode->size) return RT_OK;
    if (fault(disk, disk->options.write_fail_per_million, "allocate", inode->id)) return RT_EIO;
    if (!sim_content_allocate(inode, size)) {
        sim_content_give_back(inode, size);
        return RT_ENOSPACE;
    }
    return sim_disk_sync(inode);
}

rt_err sim_disk_truncate(struct sim_inode *inode, uint64_t size) {
    struct sim_disk *disk = inode->disk;
    if (size > SIM_FILE_SIZE_MAX) return RT_ETOOBIG;
    if (fault(disk, disk->options.write_fail_per_million, "truncate", inode->id)) return RT_EIO;
    sim_content_truncate(inode, size);
    return RT_OK;
}

rt_err sim_disk_change_names(struct sim_disk *disk) {
    return fault(disk, disk->options.write_fail_per_million, "names", 0) ? RT_EIO : RT_OK;
}

rt_err sim_disk_sync_names(struct sim_inode *dir) {
    struct sim_disk *disk = dir->disk;
    if (fault(disk, disk->options.sync_fail_per_million, "sync of names", dir->id)) return RT_EIO;
    sim_dir_sync(dir);
    return RT_OK;
}

// POWER LOSS

struct loss {
    uint64_t kept, lost, torn;  // sectors
};

// Some of the new bytes, in front or behind, or garbage in their place. Bytes that were not written
// since the last sync keep their value: drives write a sector so that its other bytes stay as they
// are, and append-only logs everywhere rely on it.
static void sector_tear(struct rt_random *random, uint8_t *to, const uint8_t *from) {
    size_t at = (size_t)rt_random_between(random, 1, SIM_SECTOR - 1);
    uint8_t garbage[SIM_SECTOR];
    switch (rt_random_below(random, 3)) {
    case 0: memcpy(to, from, at); break;
    case 1: memcpy(to + at, from + at, SIM_SECTOR - at); break;
    case 2:
        rt_random_fill(random, garbage, sizeof(garbage));
        for (size_t i = 0; i < SIM_SECTOR; i++) {
            if (to[i] != from[i]) to[i] = garbage[i];
        }
        break;
    }
}

static uint8_t *sector_durable(struct sim_block *block, unsigned sector) {
    if (!block->durable) block->durable = rt_alloc_zero(1, SIM_BLOCK);
    return block->durable + sector * SIM_SECTOR;
}

static const uint8_t *sector_cached(const struct sim_block *block, unsigned sector) {
    static const uint8_t zeroes[SIM_SECTOR];
    return block->cached ? block->cached + sector * SIM_SECTOR : zeroes;
}

static void sector_keep(struct sim_block *block, unsigned sector) {
    memcpy(sector_durable(block, sector), sector_cached(block, sector), SIM_SECTOR);
}

static void sector_draw(struct sim_inode *inode, struct sim_block *block, unsigned sector,
                        struct loss *loss) {
    const struct rt_sim_disk *options = &inode->disk->options;
    uint64_t draw = rt_random_below(draws(inode), 1000000);
    if (draw < options->lost_per_million) {
        loss->lost++;
    } else if (draw - options->lost_per_million < options->torn_per_million) {
        sector_tear(draws(inode), sector_durable(block, sector), sector_cached(block, sector));
        loss->torn++;
    } else {
        sector_keep(block, sector);
        loss->kept++;
    }
}

// Sectors at or behind `limit` stay as they are on the disk, and so do those that a failed sync
// forgot.
static void block_draw(struct sim_inode *inode, uint64_t number, uint64_t limit,
                       struct loss *loss) {
    struct sim_block *block = sim_content_block(inode, number);
    for (unsigned i = 0; i < SIM_BLOCK_SECTORS; i++) {
        bool at_stake = block->dirty >> i & 1;
        if (at_stake && number * SIM_BLOCK + i * SIM_SECTOR < limit) {
            sector_draw(inode, block, i, loss);
        }
    }
}

static int number_compare(const void *a, const void *b) {
    const uint64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

// Growth reaches the disk whole, not at all, or up to somewhere between, as it was written piece by
// piece.
static uint64_t growth_draw(struct sim_inode *inode) {
    const struct rt_sim_disk *options = &inode->disk->options;
    assert(inode->size >= inode->durable_size);
    uint64_t growth = inode->size - inode->durable_size;
    uint64_t draw = growth ? rt_random_below(draws(inode), 1000000) : 0;
    if (!growth || draw < options->lost_per_million) return inode->durable_size;
    if (draw - options->lost_per_million >= options->torn_per_million) return inode->size;
    return inode->durable_size + rt_random_below(draws(inode), growth + 1);
}

void sim_content_power_loss(struct sim_inode *inode) {
    bool cut = inode->cut_size < inode->durable_size;
    bool changed = inode->unsynced_count || inode->size != inode->durable_size || cut;
    if (!changed) return;
    bool cut_lost = cut && rt_random_chance(draws(inode), inode->disk->options.lost_per_million);
    uint64_t limit = cut_lost ? inode->cut_size : UINT64_MAX;
    sim_content_cut_decided(inode, !cut_lost);
    if (inode->unsynced_count) {
        qsort(inode->unsynced, inode->unsynced_count, sizeof(*inode->unsynced), number_compare);
    }
    struct loss loss = {0};
    for (size_t i = 0; i < inode->unsynced_count; i++) {
        block_draw(inode, inode->unsynced[i], limit, &loss);
    }
    sim_content_settle(inode, cut_lost ? inode->durable_size : growth_draw(inode));
    sim_trace(inode->disk->node->sim, SIM_DISK_LOSS, inode->disk->node, inode->id,
              loss.lost << 32 | loss.torn, inode->size);
}

// IN FLIGHT

// A kill stops a write between two pages or inside one. Before a power loss the write is as one
// that was not synced: its sectors are drawn with all others.
void sim_disk_interrupt_write(struct sim_inode *inode, uint64_t offset,
                              const struct rt_bytes *parts, unsigned part_count, bool whole) {
    uint64_t size = parts_size(parts, part_count);
    if (!parts_fit(offset, size)) return;
    if (!whole) size = rt_random_below(draws(inode), size + 1);
    parts_write(inode, offset, parts, size);
}

// Some of the dirty sectors have arrived; they count as dirty still, and the size as not durable.
void sim_disk_interrupt_sync(struct sim_inode *inode) {
    for (size_t i = 0; i < inode->unsynced_count; i++) {
        uint64_t number = inode->unsynced[i];
        struct sim_block *block = sim_content_block(inode, number);
        uint64_t arrived = rt_random_below(draws(inode), UINT64_C(1) << SIM_BLOCK_SECTORS);
        for (unsigned sector = 0; sector < SIM_BLOCK_SECTORS; sector++) {
            bool behind_cut = number * SIM_BLOCK + sector * SIM_SECTOR >= inode->cut_size;
            if ((arrived & block->dirty) >> sector & 1 && !behind_cut) sector_keep(block, sector);
        }
    }
}
