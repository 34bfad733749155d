#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "runtime/metrics.h"

static const char *rendered(struct rt_metrics *metrics, struct rt_buf *out) {
    rt_buf_clear(out);
    rt_metrics_render(metrics, out);
    rt_buf_append(out, RT_BYTES("", 1));
    return (const char *)out->data;
}

static int64_t read_fixed(struct rt_metric_read *self) {
    return self->decimals ? INT64_C(-1500000001) : INT64_MIN;
}

Test(runtime_metrics, families_are_sorted_and_headed_once) {
    struct rt_metrics *metrics = rt_metrics_new();
    struct rt_counter b1 = {.value = 0}, b2 = {.value = 0};
    struct rt_gauge a = {.value = 0};
    rt_counter_register(&b1, metrics, "b_total", "Second.", "x=\"1\"");
    rt_gauge_register(&a, metrics, "a", "First\\ \nline.", "");
    rt_counter_register(&b2, metrics, "b_total", "Second.", "x=\"2\"");
    rt_counter_add(&b1, UINT64_MAX);
    rt_gauge_set(&a, -5);
    struct rt_buf out = {0};
    cr_assert_str_eq(rendered(metrics, &out),
                     "# HELP a First\\\\ \\nline.\n# TYPE a gauge\na -5\n"
                     "# HELP b_total Second.\n# TYPE b_total counter\n"
                     "b_total{x=\"1\"} 18446744073709551615\n"
                     "b_total{x=\"2\"} 0\n");
    rt_metrics_free(metrics);
    rt_metric_unregister(&b1.metric);  // the registry went first
    rt_buf_fini(&out);
}

Test(runtime_metrics, computed_values_are_exact_with_and_without_decimals) {
    struct rt_metrics *metrics = rt_metrics_new();
    struct rt_metric_read plain = {.decimals = 0}, seconds = {.decimals = 9};
    rt_metric_read_register(&plain, metrics, RT_METRIC_GAUGE, read_fixed, "plain", "P.", "");
    rt_metric_read_register(&seconds, metrics, RT_METRIC_COUNTER, read_fixed, "s", "S.", "");
    struct rt_buf out = {0};
    const char *text = rendered(metrics, &out);
    cr_assert(strstr(text, "\nplain -9223372036854775808\n"), "%s", text);
    cr_assert(strstr(text, "# TYPE s counter\ns -1.500000001\n"), "%s", text);
    rt_metrics_free(metrics);
    rt_buf_fini(&out);
}

Test(runtime_metrics, labels_are_escaped_and_always_utf8) {
    struct rt_buf labels = {0};
    rt_metric_label(&labels, "topic", RT_BYTES_LITERAL("a\"b\\c\nd\xff\0\xc3\xa9"));
    rt_metric_label(&labels, "empty", RT_BYTES(NULL, 0));
    cr_assert_str_eq((char *)labels.data,
                     "topic=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\",empty=\"\"");
    rt_buf_fini(&labels);
}

Test(runtime_metrics, histograms_are_cumulative_and_agree_with_themselves) {
    static const double bounds[] = {0.005, 0.1, 1};
    static struct rt_histogram histogram;
    struct rt_metrics *metrics = rt_metrics_new();
    rt_histogram_register(&histogram, metrics, "h_seconds", "H.", "t=\"x\"", bounds, 3, 1e9);
    static const uint64_t values[] = {1, 5000000, 50000000, 100000000, 900000000, 3000000000};
    for (size_t i = 0; i < 6; i++) rt_histogram_record(&histogram, values[i]);
    struct rt_buf out = {0};
    cr_assert_str_eq(rendered(metrics, &out),
                     "# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
                     "h_seconds_bucket{t=\"x\",le=\"0.005\"} 2\n"
                     "h_seconds_bucket{t=\"x\",le=\"0.1\"} 4\n"
                     "h_seconds_bucket{t=\"x\",le=\"1\"} 5\n"
                     "h_seconds_bucket{t=\"x\",le=\"+Inf\"} 6\n"
                     "h_seconds_sum{t=\"x\"} 4.055000001\n"
                     "h_seconds_count{t=\"x\"} 6\n");
    rt_metrics_free(metrics);
    rt_buf_fini(&out);
}

Test(runtime_metrics, a_family_leaves_with_its_last_member) {
    struct rt_metrics *metrics = rt_metrics_new();
    struct rt_counter one = {.value = 0}, two = {.value = 0};
    rt_counter_register(&one, metrics, "c", "C.", "");
    rt_counter_register(&two, metrics, "c", "C.", "a=\"b\"");
    rt_metric_unregister(&one.metric);
    rt_metric_unregister(&one.metric);
    struct rt_buf out = {0};
    cr_assert_str_eq(rendered(metrics, &out), "# HELP c C.\n# TYPE c counter\nc{a=\"b\"} 0\n");
    rt_metric_unregister(&two.metric);
    cr_assert_str_empty(rendered(metrics, &out));
    rt_metrics_free(metrics);
    rt_buf_fini(&out);
}

Test(runtime_metrics, a_scrape_in_pieces_survives_coming_and_going) {
    enum { COUNT = 300 };
    static struct rt_counter counters[COUNT];
    struct rt_metrics *metrics = rt_metrics_new();
    for (int i = 0; i < COUNT; i++) {
        char labels[32];
        snprintf(labels, sizeof(labels), "i=\"%d\"", i);
        rt_counter_register(&counters[i], metrics, i % 2 ? "odd" : "even", "N.", labels);
    }
    struct rt_metrics_scrape *first = rt_metrics_scrape_new(metrics);
    struct rt_metrics_scrape *second = rt_metrics_scrape_new(metrics);
    struct rt_buf out = {0}, other = {0};
    for (int i = 0; i < 50; i++) cr_assert(rt_metrics_scrape_next(first, &out, out.size + 1));
    cr_assert(rt_metrics_scrape_next(second, &other, 1));
    for (int i = 0; i < COUNT; i += 2) rt_metric_unregister(&counters[i].metric);
    while (rt_metrics_scrape_next(first, &out, out.size + 100)) continue;
    rt_buf_append(&out, RT_BYTES("", 1));
    const char *text = (const char *)out.data;
    cr_assert(strstr(text, "even{i=\"98\"}") && !strstr(text, "even{i=\"100\"}"));
    for (int i = 1; i < COUNT; i += 2) {
        char sample[32];
        snprintf(sample, sizeof(sample), "odd{i=\"%d\"} 0\n", i);
        const char *at = strstr(text, sample);
        cr_assert(at && !strstr(at + 1, sample), "%s", sample);
    }
    rt_metrics_scrape_free(first);
    rt_metrics_scrape_free(second);
    cr_assert_null(strstr(rendered(metrics, &out), "even"));
    rt_metrics_free(metrics);
    rt_buf_fini(&out);
    rt_buf_fini(&other);
}

Test(runtime_metrics, a_hundred_thousand_topics_come_and_go_without_quadratic_cost) {
    enum { TOPICS = 100000, EACH = 20 };
    struct rt_metrics *metrics = rt_metrics_new();
    struct rt_counter *counters = rt_alloc_zero((size_t)TOPICS * EACH, sizeof(*counters));
    char names[EACH][32];
    for (int i = 0; i < EACH; i++) snprintf(names[i], sizeof(names[i]), "pulsar_metric_%d", i);
    for (int t = 0; t < TOPICS; t++) {
        char labels[64];
        snprintf(labels, sizeof(labels), "topic=\"persistent://public/default/t-%d\"", t);
        for (int i = 0; i < EACH; i++) {
            rt_counter_register(&counters[t * EACH + i], metrics, names[i], "M.", labels);
        }
    }
    struct rt_buf out = {0};
    struct rt_metrics_scrape *scrape = rt_metrics_scrape_new(metrics);
    size_t lines = 0;
    for (bool more = true; more; rt_buf_clear(&out)) {
        more = rt_metrics_scrape_next(scrape, &out, 64 << 10);
        for (size_t i = 0; i < out.size; i++) lines += out.data[i] == '\n';
    }
    rt_metrics_scrape_free(scrape);
    cr_assert_eq(lines, (size_t)TOPICS * EACH + 2 * EACH);
    for (int i = 0; i < TOPICS * EACH; i++) rt_metric_unregister(&counters[i].metric);
    cr_assert_str_empty(rendered(metrics, &out));
    rt_metrics_free(metrics);
    rt_free(counters);
    rt_buf_fini(&out);
}

struct churn {
    struct rt_metrics *metrics;
    struct rt_counter counter;
    struct rt_histogram *shared;
};

static void *churn(void *argument) {
    struct churn *c = argument;
    for (int i = 0; i < 2000; i++) {
        rt_counter_register(&c->counter, c->metrics, "churn", "C.", "");
        rt_counter_add(&c->counter, 1);
        rt_histogram_record(c->shared, (uint64_t)i);
        rt_metric_unregister(&c->counter.metric);
    }
    return NULL;
}

Test(runtime_metrics, threads_register_record_and_scrape_at_once) {
    static struct rt_histogram shared;
    static const double bounds[] = {10, 1000};
    static struct churn churns[3];
    pthread_t threads[3];
    struct rt_buf out = {0};
    struct rt_metrics *metrics = rt_metrics_new();
    rt_histogram_register(&shared, metrics, "shared", "S.", "", bounds, 2, 1);
    for (int i = 0; i < 3; i++) {
        churns[i] = (struct churn){.metrics = metrics, .shared = &shared};
        pthread_create(&threads[i], NULL, churn, &churns[i]);
    }
    for (int i = 0; i < 100; i++) rendered(metrics, &out);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    const char *text = rendered(metrics, &out);
    cr_assert(strstr(text, "shared_bucket{le=\"10\"} 33\n"), "%s", text);
    cr_assert(strstr(text, "shared_count 6000\n"));
    rt_metrics_free(metrics);
    rt_buf_fini(&out);
}
