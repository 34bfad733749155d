#include "runtime/log_format.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/loop.h"
#include "runtime/utf8.h"

enum { NAME_SIZE_MAX = 64, UNIT_SIZE_MAX = 8 };

// Output that stops at `limit`, behind which there is room for the end of the line. A character
// goes in whole or not at all, so the cut never splits an escape or a UTF-8 sequence.
struct line_out {
    char *data;
    size_t size, limit;
    bool json, cut;
};

static void out_unit(struct line_out *out, const char *unit, size_t size) {
    if (size > out->limit - out->size) out->cut = true;
    if (out->cut) return;
    memcpy(out->data + out->size, unit, size);
    out->size += size;
}

static void out_text(struct line_out *out, const char *text) {
    out_unit(out, text, strlen(text));
}

static const char *short_escape(uint32_t code, bool json) {
    if (code == '\n') return "\\n";
    if (code == '\r') return "\\r";
    if (code == '\t') return "\\t";
    if (json && code == '"') return "\\\"";
    if (json && code == '\\') return "\\\\";
    return NULL;
}

// C0, DEL, C1 (a terminal obeys them) and the two separators that some viewers break lines at.
static bool is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

static void out_character(struct line_out *out, struct rt_bytes character, uint32_t code) {
    const char *escape = short_escape(code, out->json);
    if (escape) {
        out_text(out, escape);
    } else if (!is_control(code)) {
        out_unit(out, (const char *)character.data, character.size);
    } else {
        char unit[UNIT_SIZE_MAX];
        bool two_digits = code < 0x80 && !out->json;
        snprintf(unit, sizeof(unit), two_digits ? "\\x%02x" : "\\u%04x", (unsigned)(code & 0xffff));
        out_text(out, unit);
    }
}

// JSON has no escape for a byte: there it becomes the replacement character.
static void out_bad_byte(struct line_out *out, uint8_t byte) {
    char unit[UNIT_SIZE_MAX] = "\\ufffd";
    if (!out->json) snprintf(unit, sizeof(unit), "\\x%02x", byte);
    out_text(out, unit);
}

static void out_escaped(struct line_out *out, struct rt_bytes text) {
    while (text.size > 0 && !out->cut) {
        uint32_t code = 0;
        size_t size = rt_utf8_decode(text, &code);
        if (size > 0) {
            out_character(out, RT_BYTES(text.data, size), code);
        } else {
            out_bad_byte(out, text.data[0]);
        }
        text = rt_bytes_skip(text, size > 0 ? size : 1);
    }
}

static void out_name(struct line_out *out, const char *name) {
    out_escaped(out, RT_BYTES(name, strnlen(name, NAME_SIZE_MAX)));
}

// Days since 1970 to a date: counted in 400-year eras that begin on 1 March, so that the leap day
// is the last of its year.
static void out_time(struct line_out *out, uint64_t wall_ns) {
    uint64_t ms = wall_ns / RT_NS_PER_MS;
    uint64_t s = ms / 1000;
    uint64_t day = s / 86400 + 719468;
    uint64_t era = day / 146097;
    uint64_t day_of_era = day % 146097;
    uint64_t year =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * day_of_year + 2) / 153;
    unsigned date = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    month = month < 10 ? month + 3 : month - 9;
    year += era * 400 + (month <= 2);
    char text[64];
    snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)year,
             (unsigned)month, date, (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60),
             (unsigned)(s % 60), (unsigned)(ms % 1000));
    out_text(out, text);
}

const char *rt_log_level_name(enum rt_log_level level) {
    switch (level) {
    case RT_LOG_DEBUG: return "DEBUG";
    case RT_LOG_INFO: return "INFO";
    case RT_LOG_WARN: return "WARN";
    case RT_LOG_ERROR: return "ERROR";
    }
    return "?";
}

static void format_text(struct line_out *out, const struct rt_log_line *line) {
    char level[16];
    snprintf(level, sizeof(level), " %-5s ", rt_log_level_name(line->level));
    out_time(out, line->wall_ns);
    out_text(out, level);
    if (line->node[0] != '\0') {
        out_text(out, "[");
        out_name(out, line->node);
        out_text(out, "] ");
    }
    out_name(out, line->component);
    out_text(out, ": ");
    out_escaped(out, line->message);
}

static void format_json(struct line_out *out, const struct rt_log_line *line) {
    out_text(out, "{\"ts\":\"");
    out_time(out, line->wall_ns);
    out_text(out, "\",\"level\":\"");
    out_text(out, rt_log_level_name(line->level));
    out_text(out, "\",\"node\":\"");
    out_name(out, line->node);
    out_text(out, "\",\"component\":\"");
    out_name(out, line->component);
    out_text(out, "\",\"msg\":\"");
    assert(!out->cut);
    out_escaped(out, line->message);
}

size_t rt_log_format_line(const struct rt_log_line *line, enum rt_log_format format,
                          char out[RT_LOG_LINE_MAX]) {
    static const char ellipsis[] = "...";
    const char *end = format == RT_LOG_JSON ? "\"}\n" : "\n";
    struct line_out o = {.data = out, .json = format == RT_LOG_JSON};
    o.limit = RT_LOG_LINE_MAX - strlen(end) - strlen(ellipsis);
    if (o.json) {
        format_json(&o, line);
    } else {
        format_text(&o, line);
    }
    size_t dots = o.cut ? strlen(ellipsis) : 0;
    memcpy(out + o.size, ellipsis, dots);
    memcpy(out + o.size + dots, end, strlen(end));
    return o.size + dots + strlen(end);
}
