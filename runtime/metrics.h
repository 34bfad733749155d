// Metrics: counters, gauges and latency histograms, and the registry that renders them in the
// Prometheus text format (0.0.4).
//
// A metric is embedded in what it measures and registered under a name and label set; updating is
// wait-free and allowed from any thread; registering, unregistering and rendering take the
// registry's lock and belong to start-up, tear-down and scrapes.
#ifndef GEMINGA_RUNTIME_METRICS_H
#define GEMINGA_RUNTIME_METRICS_H

#include <stdatomic.h>

#include "runtime/bytes.h"
#include "runtime/list.h"

struct rt_metrics;

struct rt_metrics *rt_metrics_new(void);
void rt_metrics_free(struct rt_metrics *metrics);

enum rt_metric_kind { RT_METRIC_COUNTER, RT_METRIC_GAUGE, RT_METRIC_HISTOGRAM, RT_METRIC_READ };

// The registered part of every metric. name and help are static; labels is copied, already in
// exposition form without braces (`topic="a",cluster="b"`, see rt_metric_label) or "".
struct rt_metric {
    struct rt_list link;
    struct rt_metrics *metrics;
    enum rt_metric_kind kind;
    const char *name, *help;
    char *labels;
};

struct rt_counter {
    struct rt_metric metric;
    atomic_uint_fast64_t value;
};
struct rt_gauge {
    struct rt_metric metric;
    atomic_int_fast64_t value;
};
// A value that is computed when somebody looks (from any thread: read atomics or constants only).
struct rt_metric_read {
    struct rt_metric metric;
    enum rt_metric_kind shown_as;  // counter or gauge
    unsigned decimals;             // digits behind the point: 9 shows nanoseconds as seconds
    int64_t (*read)(struct rt_metric_read *self);
};

void rt_counter_register(struct rt_counter *counter, struct rt_metrics *metrics, const char *name,
                         const char *help, const char *labels);
void rt_gauge_register(struct rt_gauge *gauge, struct rt_metrics *metrics, const char *name,
                       const char *help, const char *labels);
void rt_metric_read_register(struct rt_metric_read *metric, struct rt_metrics *metrics,
                             enum rt_metric_kind shown_as, int64_t (*read)(struct rt_metric_read *),
                             const char *name, const char *help, const char *labels);
void rt_metric_unregister(struct rt_metric *metric);  // harmless when not registered

static inline void rt_counter_add(struct rt_counter *counter, uint64_t count) {
    atomic_fetch_add_explicit(&counter->value, count, memory_order_relaxed);
}
static inline void rt_gauge_add(struct rt_gauge *gauge, int64_t delta) {
    atomic_fetch_add_explicit(&gauge->value, delta, memory_order_relaxed);
}
static inline void rt_gauge_set(struct rt_gauge *gauge, int64_t value) {
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

// HISTOGRAMS: log-linear buckets, 16 per power of two, so any quantile is within 6.25 % from 1 ns
// to 2^40 ns (18 minutes); more counts as that. About 5 KiB each. Values are nanoseconds (or
// bytes).
enum {
    RT_HISTOGRAM_SUB_BITS = 4,
    RT_HISTOGRAM_POWERS = 40,
    RT_HISTOGRAM_BUCKETS = (RT_HISTOGRAM_POWERS - RT_HISTOGRAM_SUB_BITS + 1)
                           << RT_HISTOGRAM_SUB_BITS
};

struct rt_histogram {
    struct rt_metric metric;
    const double *bounds;  // `le` values in the exposed unit, ascending; static
    unsigned bound_count;
    double unit;  // one exposed unit in recorded units: 1e9 for seconds from ns, 1e6 for ms
    atomic_uint_fast64_t buckets[RT_HISTOGRAM_BUCKETS];
    atomic_uint_fast64_t count, sum, max;
};

// Exposed as a Prometheus histogram with `bounds` (le values in the exposed unit) and +Inf.
void rt_histogram_register(struct rt_histogram *histogram, struct rt_metrics *metrics,
                           const char *name, const char *help, const char *labels,
                           const double *bounds, unsigned bound_count, double unit);
void rt_histogram_record(struct rt_histogram *histogram, uint64_t value);
uint64_t rt_histogram_quantile(const struct rt_histogram *histogram, double quantile);  // 0..1
uint64_t rt_histogram_bucket_low(unsigned index);  // the smallest value that buckets[index] counts
uint64_t rt_histogram_mean(const struct rt_histogram *histogram);
void rt_histogram_reset(struct rt_histogram *histogram);
void rt_histogram_merge(struct rt_histogram *into, const struct rt_histogram *from);

// Appends `name="escaped value"`, after a comma where labels is not empty, and a NUL behind the
// end, so that labels.data can be registered. Bytes that are not UTF-8 become U+FFFD.
void rt_metric_label(struct rt_buf *labels, const char *name, struct rt_bytes value);

// Appends the whole registry: families sorted by name, HELP and TYPE once each.
void rt_metrics_render(struct rt_metrics *metrics, struct rt_buf *out);

// The same in pieces, so that a scrape of a million series holds neither the lock nor the loop for
// long. Metrics may come and go between pieces; those that are there all the time appear once.
struct rt_metrics_scrape;
struct rt_metrics_scrape *rt_metrics_scrape_new(struct rt_metrics *metrics);
// Appends whole lines until out holds `size` bytes or a little more; false when that was all.
bool rt_metrics_scrape_next(struct rt_metrics_scrape *scrape, struct rt_buf *out, size_t size);
void rt_metrics_scrape_free(struct rt_metrics_scrape *scrape);  // before the registry, at any time

#endif
