#include <assert.h>

#include "runtime/metrics.h"

// BUCKETS. Values below 16 have a bucket each. Above, a power of two [2^p, 2^(p+1)) is cut into 16
// equal buckets: index = (p - 3) * 16 + the four bits behind the leading one.
enum { SUB_COUNT = 1 << RT_HISTOGRAM_SUB_BITS };
static const uint64_t value_max = UINT64_C(1) << RT_HISTOGRAM_POWERS;

static unsigned bucket_index(uint64_t value) {
    if (value < SUB_COUNT) return (unsigned)value;
    if (value >= value_max) return RT_HISTOGRAM_BUCKETS - 1;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    unsigned shift = power - RT_HISTOGRAM_SUB_BITS;
    unsigned sub = (unsigned)(value >> shift) & (SUB_COUNT - 1);
    return (shift + 1) * SUB_COUNT + sub;
}

uint64_t rt_histogram_bucket_low(unsigned index) {
    assert(index <= RT_HISTOGRAM_BUCKETS);
    if (index < SUB_COUNT) return index;
    unsigned shift = index / SUB_COUNT - 1;
    return (uint64_t)(SUB_COUNT + index % SUB_COUNT) << shift;
}

static void raise_max(struct rt_histogram *histogram, uint64_t value) {
    uint_fast64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    while (value > max) {
        if (atomic_compare_exchange_weak_explicit(&histogram->max, &max, value,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return;
        }
    }
}

void rt_histogram_record(struct rt_histogram *histogram, uint64_t value) {
    if (value > value_max) value = value_max;
    atomic_fetch_add_explicit(&histogram->buckets[bucket_index(value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
    raise_max(histogram, value);
}

static uint64_t bucket_count(const struct rt_histogram *histogram, unsigned index) {
    return atomic_load_explicit(&histogram->buckets[index], memory_order_relaxed);
}

// The largest value that the bucket of the wanted rank can hold: never less than the true quantile,
// and at most 6.25 % more.
uint64_t rt_histogram_quantile(const struct rt_histogram *histogram, double quantile) {
    assert(quantile >= 0.0 && quantile <= 1.0);
    uint64_t count = 0;
    for (unsigned i = 0; i < RT_HISTOGRAM_BUCKETS; i++) count += bucket_count(histogram, i);
    if (count == 0) return 0;
    double wanted = quantile * (double)count;
    uint64_t rank = (uint64_t)wanted;
    if ((double)rank < wanted || rank == 0) rank++;
    if (rank > count) rank = count;
    uint64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    uint64_t seen = 0;
    for (unsigned i = 0; i < RT_HISTOGRAM_BUCKETS - 1; i++) {
        seen += bucket_count(histogram, i);
        if (seen < rank) continue;
        uint64_t high = rt_histogram_bucket_low(i + 1) - 1;
        return high < max ? high : max;
    }
    return max;
}

uint64_t rt_histogram_mean(const struct rt_histogram *histogram) {
    uint64_t count = atomic_load_explicit(&histogram->count, memory_order_relaxed);
    uint64_t sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    return count ? sum / count : 0;
}

void rt_histogram_reset(struct rt_histogram *histogram) {
    for (unsigned i = 0; i < RT_HISTOGRAM_BUCKETS; i++) {
        atomic_store_explicit(&histogram->buckets[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&histogram->count, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->sum, 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->max, 0, memory_order_relaxed);
}

void rt_histogram_merge(struct rt_histogram *into, const struct rt_histogram *from) {
    uint64_t count = 0;
    for (unsigned i = 0; i < RT_HISTOGRAM_BUCKETS; i++) {
        uint64_t more = bucket_count(from, i);
        if (more == 0) continue;
        atomic_fetch_add_explicit(&into->buckets[i], more, memory_order_relaxed);
        count += more;
    }
    atomic_fetch_add_explicit(&into->count, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&into->sum, atomic_load_explicit(&from->sum, memory_order_relaxed),
                              memory_order_relaxed);
    raise_max(into, atomic_load_explicit(&from->max, memory_order_relaxed));
}
