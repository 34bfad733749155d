#include "runtime/metrics_format.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/utf8.h"

enum { NUMBER_SIZE = 40, DECIMALS_MAX = 18 };

static void append_text(struct rt_buf *out, const char *text) {
    rt_buf_append(out, RT_BYTES(text, strlen(text)));
}

static uint64_t power_of_ten(unsigned exponent) {
    uint64_t power = 1;
    for (unsigned i = 0; i < exponent; i++) power *= 10;
    return power;
}

// An integer with its decimal point moved: exact, unlike a double. 1500000000 and 9 give "1.5".
static void format_decimal(char number[NUMBER_SIZE], bool negative, uint64_t value,
                           unsigned decimals) {
    assert(decimals <= DECIMALS_MAX);
    uint64_t one = power_of_ten(decimals);
    int size = snprintf(number, NUMBER_SIZE, "%s%" PRIu64, negative ? "-" : "", value / one);
    if (value % one == 0) return;
    size += snprintf(number + size, NUMBER_SIZE - (size_t)size, ".%0*" PRIu64, (int)decimals,
                     value % one);
    while (number[size - 1] == '0') number[--size] = '\0';
}

// The shortest text that reads back as the same double.
static void format_double(char number[NUMBER_SIZE], double value) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(number, NUMBER_SIZE, "%.*g", digits, value);
        double back = strtod(number, NULL);
        if (!(back < value || back > value)) return;
    }
}

static void format_sample(struct rt_buf *out, const struct rt_metric *metric, const char *suffix,
                          const char *number) {
    append_text(out, metric->name);
    append_text(out, suffix);
    if (metric->labels[0] != '\0') {
        append_text(out, "{");
        append_text(out, metric->labels);
        append_text(out, "}");
    }
    append_text(out, " ");
    append_text(out, number);
    append_text(out, "\n");
}

static void format_unsigned(struct rt_buf *out, const struct rt_metric *metric, const char *suffix,
                            uint64_t value) {
    char number[NUMBER_SIZE];
    format_decimal(number, false, value, 0);
    format_sample(out, metric, suffix, number);
}

static void format_signed(struct rt_buf *out, const struct rt_metric *metric, int64_t value,
                          unsigned decimals) {
    char number[NUMBER_SIZE];
    uint64_t magnitude = value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value;
    format_decimal(number, value < 0, magnitude, decimals);
    format_sample(out, metric, "", number);
}

static void format_bucket(struct rt_buf *out, const struct rt_metric *metric, const char *bound,
                          uint64_t count) {
    const char *comma = metric->labels[0] != '\0' ? "," : "";
    append_text(out, metric->name);
    append_text(out, "_bucket{");
    append_text(out, metric->labels);
    append_text(out, comma);
    rt_buf_print(out, "le=\"%s\"} %" PRIu64 "\n", bound, count);
}

static void format_sum(struct rt_buf *out, const struct rt_histogram *histogram, uint64_t sum) {
    char number[NUMBER_SIZE];
    for (unsigned decimals = 0; decimals <= DECIMALS_MAX; decimals++) {
        double unit = (double)power_of_ten(decimals);
        if (unit < histogram->unit || unit > histogram->unit) continue;
        format_decimal(number, false, sum, decimals);
        format_sample(out, &histogram->metric, "_sum", number);
        return;
    }
    format_double(number, (double)sum / histogram->unit);
    format_sample(out, &histogram->metric, "_sum", number);
}

// Every value up to a bound is counted under it; a bucket that reaches beyond the bound counts
// whole, which is at most 6.25 % too far. The buckets are read once and the count is their sum, so
// the lines of one scrape agree whatever is recorded meanwhile.
static void format_histogram(struct rt_buf *out, struct rt_histogram *histogram) {
    uint64_t sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    uint64_t count = 0;
    unsigned index = 0;
    for (unsigned i = 0; i < histogram->bound_count; i++) {
        uint64_t bound = (uint64_t)(histogram->bounds[i] * histogram->unit + 0.5);
        while (index < RT_HISTOGRAM_BUCKETS && rt_histogram_bucket_low(index) <= bound) {
            count += atomic_load_explicit(&histogram->buckets[index++], memory_order_relaxed);
        }
        char number[NUMBER_SIZE];
        format_double(number, histogram->bounds[i]);
        format_bucket(out, &histogram->metric, number, count);
    }
    while (index < RT_HISTOGRAM_BUCKETS) {
        count += atomic_load_explicit(&histogram->buckets[index++], memory_order_relaxed);
    }
    format_bucket(out, &histogram->metric, "+Inf", count);
    format_sum(out, histogram, sum);
    format_unsigned(out, &histogram->metric, "_count", count);
}

void rt_metric_format(struct rt_buf *out, struct rt_metric *metric) {
    switch (metric->kind) {
    case RT_METRIC_COUNTER: {
        struct rt_counter *counter = rt_container_of(metric, struct rt_counter, metric);
        uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);
        format_unsigned(out, metric, "", value);
        break;
    }
    case RT_METRIC_GAUGE: {
        struct rt_gauge *gauge = rt_container_of(metric, struct rt_gauge, metric);
        int64_t value = atomic_load_explicit(&gauge->value, memory_order_relaxed);
        format_signed(out, metric, value, 0);
        break;
    }
    case RT_METRIC_READ: {
        struct rt_metric_read *read = rt_container_of(metric, struct rt_metric_read, metric);
        format_signed(out, metric, read->read(read), read->decimals);
        break;
    }
    case RT_METRIC_HISTOGRAM:
        format_histogram(out, rt_container_of(metric, struct rt_histogram, metric));
        break;
    }
}

static const char *type_name(enum rt_metric_kind shown_as) {
    switch (shown_as) {
    case RT_METRIC_COUNTER: return "counter";
    case RT_METRIC_GAUGE: return "gauge";
    case RT_METRIC_HISTOGRAM: return "histogram";
    case RT_METRIC_READ: break;
    }
    return "untyped";
}

void rt_metric_format_header(struct rt_buf *out, const char *name, const char *help,
                             enum rt_metric_kind shown_as) {
    rt_buf_print(out, "# HELP %s ", name);
    for (const char *c = help; *c != '\0'; c++) {
        if (*c == '\\' || *c == '\n') {
            append_text(out, *c == '\n' ? "\\n" : "\\\\");
        } else {
            rt_buf_append(out, RT_BYTES(c, 1));
        }
    }
    rt_buf_print(out, "\n# TYPE %s %s\n", name, type_name(shown_as));
}

static void append_label_character(struct rt_buf *labels, struct rt_bytes character) {
    if (character.size == 0 || character.data[0] == '\0') {
        append_text(labels, "\xef\xbf\xbd");  // U+FFFD
    } else if (character.data[0] == '"' || character.data[0] == '\\') {
        append_text(labels, "\\");
        rt_buf_append(labels, character);
    } else if (character.data[0] == '\n') {
        append_text(labels, "\\n");
    } else {
        rt_buf_append(labels, character);
    }
}

void rt_metric_label(struct rt_buf *labels, const char *name, struct rt_bytes value) {
    rt_buf_print(labels, "%s%s=\"", labels->size > 0 ? "," : "", name);
    while (value.size > 0) {
        size_t size = rt_utf8_decode(value, NULL);
        append_label_character(labels, RT_BYTES(value.data, size));
        value = rt_bytes_skip(value, size > 0 ? size : 1);
    }
    append_text(labels, "\"");
    rt_buf_reserve(labels, 1);
    labels->data[labels->size] = '\0';  // behind the end, for rt_*_register
}
