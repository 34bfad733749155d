// The segments in memory: which there are, which one is written, which may go.
#include <string.h>

#include "meta/server/log/log_internal.h"

enum { MARK_DISTANCE = 32 << 10 };  // a load reads at most so much in vain

struct meta_log_segment *meta_log_segment_at(struct rt_list *link) {
    return rt_container_of(link, struct meta_log_segment, link);
}

struct meta_log_segment *meta_log_segment_new(struct meta_log *log, uint64_t number,
                                              uint64_t salt) {
    struct meta_log_segment *segment = RT_NEW(struct meta_log_segment);
    struct meta_segment_id *id = &segment->header.id;
    *id = (struct meta_segment_id){log->cluster, log->node, number, salt};
    segment->seed = meta_segment_seed(id);
    char name[META_SEGMENT_NAME_SIZE];
    meta_segment_name(id, name);
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s", log->directory, name);
    rt_buf_append(&path, RT_BYTES("", 1));
    segment->path = (char *)path.data;
    segment->encoded_end = META_SEGMENT_PAGE;
    rt_list_init(&segment->link);
    if (number > log->number_last) log->number_last = number;
    return segment;
}

void meta_log_segment_free(struct meta_log_segment *segment) {
    assert(!segment->file);
    rt_free(segment->marks);
    rt_free(segment->path);
    rt_free(segment);
}

// MARKS

void meta_log_segment_mark(struct meta_log_segment *segment, uint64_t index, uint64_t offset) {
    size_t count = segment->mark_count;
    if (count && offset - segment->marks[count - 1].offset < MARK_DISTANCE) return;
    if (count == segment->mark_capacity) {
        segment->mark_capacity = count ? 2 * count : 8;
        segment->marks =
            rt_realloc(segment->marks, segment->mark_capacity * sizeof(*segment->marks));
    }
    segment->marks[segment->mark_count++] = (struct meta_log_mark){index, offset};
}

uint64_t meta_log_segment_mark_before(const struct meta_log_segment *segment, uint64_t index) {
    size_t low = 0, high = segment->mark_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (segment->marks[middle].index <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low ? segment->marks[low - 1].offset : META_SEGMENT_PAGE;
}

// THE TAIL

static struct meta_log_segment *prepared_add(struct meta_log *log) {
    uint64_t salt;
    rt_machine_entropy(log->machine, &salt, sizeof(salt));
    struct meta_log_segment *segment = meta_log_segment_new(log, log->number_last + 1, salt);
    segment->size = log->segment_bytes;
    rt_list_push_back(&log->prepared, &segment->link);
    return segment;
}

void meta_log_segment_next(struct meta_log *log, enum meta_segment_kind kind,
                           struct raft_position base) {
    if (rt_list_is_empty(&log->prepared)) prepared_add(log);
    struct meta_log_segment *segment = meta_log_segment_at(rt_list_pop_front(&log->prepared));
    bool follows = kind == META_SEGMENT_CONTINUES;
    struct meta_segment_header *header = &segment->header;
    header->kind = kind;
    header->base = base;
    header->chain = follows ? log->chain : header->id.salt;
    if (!raft_position_covers(base, log->claimed)) header->claimed = log->claimed;
    segment->last = base.index;
    rt_list_push_back(&log->segments, &segment->link);
    log->tail = segment;
    log->last = base;
    log->chain = header->chain;
    meta_log_batch_begin(log, segment, true);
    if (rt_list_is_empty(&log->prepared)) prepared_add(log);
}

// WHAT MAY GO

static void retire(struct meta_log *log, struct meta_log_segment *segment) {
    rt_list_remove(&segment->link);
    rt_list_push_back(&log->retired, &segment->link);
}

static void cut_back(struct meta_log *log, struct meta_log_segment *from) {
    uint64_t last = from->header.kind == META_SEGMENT_RESETS ? 0 : from->header.base.index;
    rt_list_each_safe (link, &log->segments) {
        struct meta_log_segment *segment = meta_log_segment_at(link);
        if (segment == from) return;
        if (segment->last > last) segment->last = last;
        if (segment->last <= segment->header.base.index) retire(log, segment);
    }
}

void meta_log_segment_begun(struct meta_log *log, struct meta_log_segment *segment) {
    if (segment->header.kind == META_SEGMENT_RESETS) log->base = segment->header.base;
    cut_back(log, segment);
    meta_log_segments_release(log);
}

// From the front only, and never the one that is written: the base of the oldest that stays is
// where the log begins.
void meta_log_segments_release(struct meta_log *log) {
    rt_list_each_safe (link, &log->segments) {
        struct meta_log_segment *segment = meta_log_segment_at(link);
        bool is_over = segment->header.id.number < log->written->header.id.number;
        if (!is_over || segment->last > log->released) break;
        retire(log, segment);
    }
    if (rt_list_is_empty(&log->segments)) return;
    log->base = meta_log_segment_at(log->segments.next)->header.base;
    meta_log_term_release(log, log->base.index);
}
