// LIST (big-endian): version(4, 0) group count(4) zeros(56), then for each group
//   first start(8) last start(8) sequence size(4) period(4, 0 if there is one sequence)
// Valid groups ascend, do not overlap, and hold whole periods that are not shorter than their
// sequences.
#include <assert.h>

#include "proto/bookkeeper.h"

enum { HEAD_SIZE = 64, GROUP_SIZE = 24 };

// WRITING

// The run of consecutive ids at the start.
static size_t run_size(const int64_t *entries, size_t count) {
    size_t size = 1;
    while (size < count && size < INT32_MAX && entries[size] == entries[size - 1] + 1) size++;
    return size;
}

static bool group_extend(struct proto_bk_entry_group *group, int64_t start, size_t size) {
    int64_t distance = start - group->last;
    if ((size_t)group->size != size || distance > INT32_MAX) return false;
    if (group->period != 0 && group->period != distance) return false;
    group->last = start;
    group->period = (int32_t)distance;
    return true;
}

static void group_write(const struct proto_bk_entry_group *group, struct rt_writer *w) {
    rt_write_be64(w, (uint64_t)group->first);
    rt_write_be64(w, (uint64_t)group->last);
    rt_write_be32(w, (uint32_t)group->size);
    rt_write_be32(w, (uint32_t)group->period);
}

void proto_bk_entry_list_encode(const int64_t *entries, size_t count, struct rt_buf *out) {
    struct rt_writer w = rt_writer_into(out);
    size_t start = out->size;
    for (size_t i = 0; i < HEAD_SIZE; i++) rt_write_u8(&w, 0);
    struct proto_bk_entry_group group = {0};
    uint32_t groups = 0;
    for (size_t at = 0, size; at < count; at += size) {
        size = run_size(entries + at, count - at);
        assert(entries[at] >= 0 && (at == 0 || entries[at] > entries[at - 1]));
        if (groups > 0 && group_extend(&group, entries[at], size)) continue;
        if (groups > 0) group_write(&group, &w);
        group = (struct proto_bk_entry_group){entries[at], entries[at], (int32_t)size, 0};
        groups++;
    }
    if (groups > 0) group_write(&group, &w);
    struct rt_writer head = rt_writer_over(out->data + start + 4, 4);
    rt_write_be32(&head, groups);
}

// READING

static bool group_is_valid(const struct proto_bk_entry_group *group, int64_t after) {
    if (group->first <= after || group->last < group->first || group->size < 1) return false;
    if (group->last > INT64_MAX - group->size) return false;
    if (group->period == 0) return group->first == group->last;
    if (group->period < group->size) return false;
    return (group->last - group->first) % group->period == 0;
}

rt_err proto_bk_entry_groups_decode(struct rt_bytes bytes, struct rt_buf *groups) {
    struct rt_reader r = rt_reader_over(bytes);
    uint32_t version = rt_read_be32(&r);
    uint32_t count = rt_read_be32(&r);
    (void)rt_read_bytes(&r, HEAD_SIZE - 8);
    if (rt_reader_failed(&r) || version != 0) return RT_EPROTO;
    if (rt_reader_left(&r) != (uint64_t)count * GROUP_SIZE) return RT_EPROTO;
    int64_t after = -1;  // the last entry so far
    for (uint32_t i = 0; i < count; i++) {
        struct proto_bk_entry_group group;
        group.first = (int64_t)rt_read_be64(&r);
        group.last = (int64_t)rt_read_be64(&r);
        group.size = (int32_t)rt_read_be32(&r);
        group.period = (int32_t)rt_read_be32(&r);
        if (!group_is_valid(&group, after)) return RT_EPROTO;
        after = group.last + group.size - 1;
        rt_buf_append(groups, RT_BYTES(&group, sizeof(group)));
    }
    return RT_OK;
}

static uint64_t group_entries(const struct proto_bk_entry_group *group) {
    uint64_t sequences = 1;
    if (group->period > 0) sequences += (uint64_t)((group->last - group->first) / group->period);
    uint64_t total;
    bool over = __builtin_mul_overflow(sequences, (uint64_t)group->size, &total);
    return over ? UINT64_MAX : total;
}

static void group_expand(const struct proto_bk_entry_group *group, struct rt_buf *entries) {
    for (int64_t start = group->first;; start += group->period) {
        for (int32_t i = 0; i < group->size; i++) {
            int64_t entry = start + i;
            rt_buf_append(entries, RT_BYTES(&entry, sizeof(entry)));
        }
        if (start == group->last) return;
    }
}

rt_err proto_bk_entry_list_decode(struct rt_bytes bytes, struct rt_buf *entries) {
    struct rt_buf buf = {0};
    rt_err err = proto_bk_entry_groups_decode(bytes, &buf);
    const struct proto_bk_entry_group *groups = (const void *)buf.data;
    size_t count = buf.size / sizeof(*groups);
    uint64_t total = 0;
    for (size_t i = 0; i < count && !err; i++) {
        uint64_t more = group_entries(&groups[i]);
        if (more > PROTO_BK_ENTRY_LIST_MAX - total) {
            err = RT_ETOOBIG;
        } else {
            total += more;
        }
    }
    for (size_t i = 0; i < count && !err; i++) group_expand(&groups[i], entries);
    rt_buf_fini(&buf);
    return err;
}
