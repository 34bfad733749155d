#include <inttypes.h>
#include <string.h>

#include "proto/decimal.h"
#include "proto/ledger_metadata_form.h"

enum { LAST_ENTRY_IN_RECOVERY = -102 };

static bool int32_read(struct rt_bytes text, int32_t *value) {
    int64_t wide = 0;
    if (!proto_decimal_read(text, &wide) || wide < INT32_MIN || wide > INT32_MAX) return false;
    *value = (int32_t)wide;
    return true;
}

static size_t line_count(struct rt_bytes text) {
    size_t count = 0;
    while (text.size > 0) {
        (void)proto_text_take(&text, '\n');
        count++;
    }
    return count;
}

static bool segment_read(struct rt_bytes line, struct rt_arena *arena,
                         struct metadata_segment *segment) {
    struct rt_bytes first = proto_text_take(&line, '\t');
    struct rt_bytes ahead = line;
    size_t count = 0;
    for (; ahead.size > 0; count++) (void)proto_text_take(&ahead, '\t');
    struct rt_bytes *bookies = rt_arena_zero(arena, count, sizeof(*bookies));
    for (size_t i = 0; i < count; i++) bookies[i] = proto_text_take(&line, '\t');
    segment->bookies = bookies;
    segment->bookie_count = count;
    return proto_decimal_read(first, &segment->first_entry);
}

// False where the line is one of a segment.
static bool end_read(struct rt_bytes line, struct metadata_form *form) {
    struct rt_bytes last = proto_text_take(&line, '\t');
    struct rt_bytes word = proto_text_take(&line, '\t');
    if (!rt_bytes_equal(word, RT_BYTES_LITERAL("CLOSED"))) return false;
    if (!proto_decimal_read(last, &form->last_entry)) return false;
    form->has_last_entry = true;
    bool recovers = form->last_entry == LAST_ENTRY_IN_RECOVERY;
    form->state = recovers ? PROTO_LEDGER_IN_RECOVERY : PROTO_LEDGER_CLOSED;
    return true;
}

rt_err metadata_v1_decode(struct rt_bytes text, struct rt_arena *arena, struct metadata_form *form,
                          struct rt_why *why) {
    memset(form, 0, sizeof(*form));
    form->state = PROTO_LEDGER_OPEN;
    bool head = int32_read(proto_text_take(&text, '\n'), &form->write_quorum) &&
                int32_read(proto_text_take(&text, '\n'), &form->ensemble_size) &&
                proto_decimal_read(proto_text_take(&text, '\n'), &form->length);
    if (!head) return rt_why_set(why, RT_EPROTO, "the first three lines are not numbers");
    struct metadata_segment *segments =
        rt_arena_zero(arena, line_count(text), sizeof(struct metadata_segment));
    form->segments = segments;
    while (text.size > 0) {
        struct rt_bytes line = proto_text_take(&text, '\n');
        if (end_read(line, form)) break;
        if (!segment_read(line, arena, &segments[form->segment_count++])) {
            return rt_why_set(why, RT_EPROTO, "line %zu has no first entry",
                              form->segment_count + 3);
        }
    }
    return RT_OK;
}

void metadata_v1_encode(const struct metadata_form *form, struct rt_buf *out) {
    rt_buf_print(out, "%" PRId32 "\n%" PRId32 "\n%" PRId64 "\n", form->write_quorum,
                 form->ensemble_size, form->length);
    for (size_t i = 0; i < form->segment_count; i++) {
        const struct metadata_segment *segment = &form->segments[i];
        rt_buf_print(out, "%" PRId64, segment->first_entry);
        for (size_t j = 0; j < segment->bookie_count; j++) {
            rt_buf_append(out, RT_BYTES_LITERAL("\t"));
            rt_buf_append(out, segment->bookies[j]);
        }
        rt_buf_append(out, RT_BYTES_LITERAL("\n"));
    }
    if (form->state == PROTO_LEDGER_OPEN) return;
    bool recovers = form->state == PROTO_LEDGER_IN_RECOVERY;
    rt_buf_print(out, "%" PRId64 "\tCLOSED", recovers ? LAST_ENTRY_IN_RECOVERY : form->last_entry);
}
