#include <criterion/criterion.h>

#include "runtime/metrics.h"
#include "runtime/random.h"

static struct rt_histogram histogram;
static struct rt_histogram other;

Test(runtime_histogram, every_value_lies_in_the_bucket_that_its_bounds_say) {
    static const uint64_t values[] = {
        0, 1, 15, 16, 17, 31, 32, 33, 1000, 1023, 1024, 999999999, (UINT64_C(1) << 40) - 1};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        rt_histogram_reset(&histogram);
        rt_histogram_record(&histogram, values[i]);
        unsigned index = 0;
        while (atomic_load(&histogram.buckets[index]) == 0) index++;
        cr_assert(rt_histogram_bucket_low(index) <= values[i], "value %zu", i);
        cr_assert(rt_histogram_bucket_low(index + 1) > values[i], "value %zu", i);
    }
}

Test(runtime_histogram, buckets_meet_without_gap_up_to_the_last) {
    for (unsigned i = 0; i < RT_HISTOGRAM_BUCKETS; i++) {
        uint64_t low = rt_histogram_bucket_low(i);
        uint64_t high = rt_histogram_bucket_low(i + 1);
        cr_assert(low < high);
        cr_assert(high - low == 1 || (high - low) * 16 <= low);
    }
    cr_assert_eq(rt_histogram_bucket_low(RT_HISTOGRAM_BUCKETS), UINT64_C(1) << 40);
}

Test(runtime_histogram, quantiles_are_within_a_sixteenth_above_the_truth) {
    enum { COUNT = 100000 };
    for (uint64_t i = 1; i <= COUNT; i++) rt_histogram_record(&histogram, i * 1000);
    static const double quantiles[] = {0.001, 0.25, 0.5, 0.9, 0.99, 0.999};
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        double truth = quantiles[i] * COUNT * 1000;
        double shown = (double)rt_histogram_quantile(&histogram, quantiles[i]);
        cr_assert(shown >= truth && shown <= truth * 1.0625, "%f for %f", shown, truth);
    }
    cr_assert_eq(rt_histogram_quantile(&histogram, 1.0), COUNT * 1000);
    cr_assert_eq(rt_histogram_mean(&histogram), UINT64_C(50000500));
}

Test(runtime_histogram, an_empty_one_answers_zero) {
    cr_assert_eq(rt_histogram_quantile(&histogram, 0.5), 0);
    cr_assert_eq(rt_histogram_mean(&histogram), 0);
}

Test(runtime_histogram, what_is_beyond_the_range_counts_as_its_end) {
    rt_histogram_record(&histogram, UINT64_MAX);
    cr_assert_eq(rt_histogram_quantile(&histogram, 0.5), UINT64_C(1) << 40);
    cr_assert_eq(rt_histogram_mean(&histogram), UINT64_C(1) << 40);
}

Test(runtime_histogram, merging_equals_recording_both) {
    static struct rt_histogram both;
    struct rt_random random;
    rt_random_seed(&random, 7);
    for (int i = 0; i < 1000; i++) {
        uint64_t value = rt_random_below(&random, 1 << 20);
        rt_histogram_record(i % 2 ? &histogram : &other, value);
        rt_histogram_record(&both, value);
    }
    rt_histogram_merge(&histogram, &other);
    for (unsigned i = 0; i < RT_HISTOGRAM_BUCKETS; i++) {
        cr_assert_eq(atomic_load(&histogram.buckets[i]), atomic_load(&both.buckets[i]));
    }
    cr_assert_eq(rt_histogram_mean(&histogram), rt_histogram_mean(&both));
    cr_assert_eq(rt_histogram_quantile(&histogram, 1), rt_histogram_quantile(&both, 1));
}

Test(runtime_histogram, reset_forgets_all) {
    rt_histogram_record(&histogram, 5);
    rt_histogram_reset(&histogram);
    cr_assert_eq(rt_histogram_quantile(&histogram, 1), 0);
    cr_assert_eq(atomic_load(&histogram.count), 0);
}
