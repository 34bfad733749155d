#include "meta/server/tree/overlay.h"

#include <assert.h>
#include <string.h>

#include "meta/server/tree/state_digest.h"
#include "runtime/crc32c.h"
#include "runtime/mem.h"

enum { BUCKETS_MIN = 256, USED_LAST = 64 };

struct meta_payload *meta_payload_of(struct rt_bytes bytes, struct meta_payload *current) {
    if (bytes.size == 0) return NULL;
    if (current && bytes.data == current->bytes && bytes.size == current->size) {
        return meta_payload_hold(current);
    }
    struct meta_payload *payload = rt_alloc(sizeof(*payload) + bytes.size);
    payload->size = bytes.size;
    payload->holders = 1;
    payload->crc = rt_crc32c(0, bytes);
    memcpy(payload->bytes, bytes.data, bytes.size);
    return payload;
}

struct meta_payload *meta_payload_hold(struct meta_payload *payload) {
    if (payload) payload->holders++;
    return payload;
}

void meta_payload_drop(struct meta_payload *payload) {
    if (!payload) return;
    assert(payload->holders > 0);
    if (--payload->holders == 0) rt_free(payload);
}

void meta_overlay_init(struct meta_overlay *overlay, uint64_t seed, size_t clean_bytes_max) {
    *overlay = (struct meta_overlay){
        .seed = seed, .bucket_count = BUCKETS_MIN, .clean_bytes_max = clean_bytes_max};
    overlay->buckets = rt_alloc_zero(BUCKETS_MIN, sizeof(overlay->buckets[0]));
    rt_list_init(&overlay->clean);
    rt_list_init(&overlay->dirty);
}

static void entry_free(struct meta_node_entry *entry) {
    meta_payload_drop(entry->state.data);
    meta_payload_drop(entry->state.acl);
    rt_free(entry);
}

static void list_free(struct rt_list *list) {
    rt_list_each_safe (link, list) {
        entry_free(rt_container_of(link, struct meta_node_entry, link));
    }
}

void meta_overlay_fini(struct meta_overlay *overlay) {
    list_free(&overlay->clean);
    list_free(&overlay->dirty);
    rt_free(overlay->buckets);
    *overlay = (struct meta_overlay){0};
}

static size_t entry_bytes(const struct meta_node_entry *entry) {
    size_t bytes = sizeof(*entry) + entry->path_size;
    if (entry->state.data) bytes += sizeof(*entry->state.data) + entry->state.data->size;
    if (entry->state.acl) bytes += sizeof(*entry->state.acl) + entry->state.acl->size;
    return bytes;
}

static void entry_link(struct meta_overlay *overlay, struct meta_node_entry *entry) {
    if (entry->is_dirty) {
        overlay->dirty_bytes += entry_bytes(entry);
        rt_list_push_back(&overlay->dirty, &entry->link);
    } else {
        overlay->clean_bytes += entry_bytes(entry);
        overlay->clean_count++;
        rt_list_push_back(&overlay->clean, &entry->link);
    }
}

static void entry_unlink(struct meta_overlay *overlay, struct meta_node_entry *entry) {
    rt_list_remove(&entry->link);
    if (entry->is_dirty) {
        overlay->dirty_bytes -= entry_bytes(entry);
    } else {
        overlay->clean_bytes -= entry_bytes(entry);
        overlay->clean_count--;
    }
}

static struct meta_node_entry **bucket_of(const struct meta_overlay *overlay, uint64_t hash) {
    return &overlay->buckets[hash & (overlay->bucket_count - 1)];
}

struct meta_node_entry *meta_overlay_find(struct meta_overlay *overlay, struct rt_bytes path) {
    uint64_t hash = meta_hash_bytes(overlay->seed, path);
    struct meta_node_entry *entry = *bucket_of(overlay, hash);
    while (entry && !(entry->hash == hash && rt_bytes_equal(meta_entry_path(entry), path))) {
        entry = entry->next;
    }
    if (entry && !entry->is_dirty) {
        rt_list_remove(&entry->link);
        rt_list_push_back(&overlay->clean, &entry->link);
    }
    return entry;
}

static void buckets_double(struct meta_overlay *overlay) {
    struct meta_node_entry **old = overlay->buckets;
    size_t old_count = overlay->bucket_count;
    overlay->bucket_count = 2 * old_count;
    overlay->buckets = rt_alloc_zero(overlay->bucket_count, sizeof(old[0]));
    for (size_t i = 0; i < old_count; i++) {
        for (struct meta_node_entry *entry = old[i], *next; entry; entry = next) {
            struct meta_node_entry **bucket = bucket_of(overlay, entry->hash);
            next = entry->next;
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    rt_free(old);
}

struct meta_node_entry *meta_overlay_add(struct meta_overlay *overlay, struct rt_bytes path) {
    if (overlay->count == overlay->bucket_count) buckets_double(overlay);
    struct meta_node_entry *entry = rt_alloc(sizeof(*entry) + path.size);
    *entry = (struct meta_node_entry){.hash = meta_hash_bytes(overlay->seed, path),
                                      .path_digest = meta_path_digest(path),
                                      .path_size = path.size};
    if (path.size) memcpy(entry->path, path.data, path.size);
    struct meta_node_entry **bucket = bucket_of(overlay, entry->hash);
    entry->next = *bucket;
    *bucket = entry;
    overlay->count++;
    entry_link(overlay, entry);
    return entry;
}

void meta_overlay_state_set(struct meta_overlay *overlay, struct meta_node_entry *entry,
                            const struct meta_node_state *state) {
    size_t *bytes = entry->is_dirty ? &overlay->dirty_bytes : &overlay->clean_bytes;
    struct meta_node_state old = entry->state;
    *bytes -= entry_bytes(entry);
    entry->state = *state;
    *bytes += entry_bytes(entry);
    meta_payload_drop(old.data);
    meta_payload_drop(old.acl);
}

void meta_overlay_make_dirty(struct meta_overlay *overlay, struct meta_node_entry *entry) {
    if (entry->is_dirty) return;
    entry_unlink(overlay, entry);
    entry->is_dirty = true;
    entry_link(overlay, entry);
}

void meta_overlay_make_clean(struct meta_overlay *overlay, struct meta_node_entry *entry) {
    assert(entry->is_dirty);
    entry_unlink(overlay, entry);
    entry->is_dirty = false;
    entry_link(overlay, entry);
}

static void entry_drop(struct meta_overlay *overlay, struct meta_node_entry *entry) {
    struct meta_node_entry **at = bucket_of(overlay, entry->hash);
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    overlay->count--;
    entry_unlink(overlay, entry);
    entry_free(entry);
}

void meta_overlay_trim(struct meta_overlay *overlay) {
    while (overlay->clean_bytes > overlay->clean_bytes_max && overlay->clean_count > USED_LAST) {
        entry_drop(overlay, rt_container_of(overlay->clean.next, struct meta_node_entry, link));
    }
}
