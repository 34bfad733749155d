#include "runtime/machine_metrics.h"

#include <assert.h>
#include <stdio.h>

#include "runtime/metrics.h"

enum { NS_AS_SECONDS = 9 };

// One number of one loop, or of the machine where loop is NULL.
struct series {
    struct rt_metric_read metric;
    const struct row *row;
    struct rt_machine *machine;
    struct rt_loop *loop;
};

struct row {
    const char *name;
    const char *help;
    enum rt_metric_kind shown_as;
    unsigned decimals;
    uint64_t (*read)(const struct series *series);
};

struct rt_machine_metrics {
    size_t count;
    struct series series[];
};

#define LOOP_FIELD(field)                                       \
    static uint64_t read_##field(const struct series *series) { \
        return rt_loop_stats(series->loop).field;               \
    }
LOOP_FIELD(turns)
LOOP_FIELD(tasks)
LOOP_FIELD(timers_fired)
LOOP_FIELD(flushes)
LOOP_FIELD(posts_out)
LOOP_FIELD(wakeups)
LOOP_FIELD(adopted_turns)
LOOP_FIELD(busy_ns)
LOOP_FIELD(slow_callbacks)
LOOP_FIELD(longest_ns)
LOOP_FIELD(timers_armed)

#define SLAB_FIELD(field)                                             \
    static uint64_t read_slab_##field(const struct series *series) {  \
        return rt_slab_pool_stats(rt_loop_slabs(series->loop)).field; \
    }
SLAB_FIELD(in_use_bytes)
SLAB_FIELD(free_bytes)
SLAB_FIELD(taken)
SLAB_FIELD(recycled)
SLAB_FIELD(foreign_returns)

static const struct row loop_rows[] = {
    {"geminga_loop_turns_total", "Turns of the loop.", RT_METRIC_COUNTER, 0, read_turns},
    {"geminga_loop_tasks_total", "Tasks run.", RT_METRIC_COUNTER, 0, read_tasks},
    {"geminga_loop_timers_fired_total", "Timers fired.", RT_METRIC_COUNTER, 0, read_timers_fired},
    {"geminga_loop_flushes_total", "Flushes run.", RT_METRIC_COUNTER, 0, read_flushes},
    {"geminga_loop_posts_total", "Tasks posted to other loops.", RT_METRIC_COUNTER, 0,
     read_posts_out},
    {"geminga_loop_wakeups_total", "Times the loop's thread was woken.", RT_METRIC_COUNTER, 0,
     read_wakeups},
    {"geminga_loop_adopted_turns_total", "Turns run by the thread that brought the work.",
     RT_METRIC_COUNTER, 0, read_adopted_turns},
    {"geminga_loop_busy_seconds_total", "Time inside turns.", RT_METRIC_COUNTER, NS_AS_SECONDS,
     read_busy_ns},
    {"geminga_loop_slow_callbacks_total", "Callbacks over 10 ms; each is in the log by name.",
     RT_METRIC_COUNTER, 0, read_slow_callbacks},
    {"geminga_loop_longest_callback_seconds", "The longest callback since the start.",
     RT_METRIC_GAUGE, NS_AS_SECONDS, read_longest_ns},
    {"geminga_loop_timers_armed", "Timers that wait.", RT_METRIC_GAUGE, 0, read_timers_armed},
    {"geminga_slab_in_use_bytes", "Slab memory that somebody refers to.", RT_METRIC_GAUGE, 0,
     read_slab_in_use_bytes},
    {"geminga_slab_free_bytes", "Slab memory kept for reuse.", RT_METRIC_GAUGE, 0,
     read_slab_free_bytes},
    {"geminga_slab_taken_total", "Slabs taken.", RT_METRIC_COUNTER, 0, read_slab_taken},
    {"geminga_slab_recycled_total", "Slabs taken that had been used before.", RT_METRIC_COUNTER, 0,
     read_slab_recycled},
    {"geminga_slab_foreign_returns_total", "Slabs dropped on another thread than their pool's.",
     RT_METRIC_COUNTER, 0, read_slab_foreign_returns},
};

static uint64_t read_budget_limit(const struct series *series) {
    return series->machine->budget.limit_bytes;
}

static uint64_t read_budget_used(const struct series *series) {
    return rt_budget_used(&series->machine->budget);
}

static uint64_t read_budget_peak(const struct series *series) {
    return atomic_load_explicit(&series->machine->budget.peak_bytes, memory_order_relaxed);
}

static const struct row machine_rows[] = {
    {"geminga_memory_budget_limit_bytes", "Limit of the memory for payloads.", RT_METRIC_GAUGE, 0,
     read_budget_limit},
    {"geminga_memory_budget_used_bytes", "Memory for payloads in use.", RT_METRIC_GAUGE, 0,
     read_budget_used},
    {"geminga_memory_budget_peak_bytes", "Most memory for payloads ever in use.", RT_METRIC_GAUGE,
     0, read_budget_peak},
};

static int64_t series_read(struct rt_metric_read *metric) {
    const struct series *series = rt_container_of(metric, struct series, metric);
    uint64_t value = series->row->read(series);
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void series_add(struct rt_machine_metrics *metrics, struct rt_machine *machine,
                       struct rt_loop *loop, const struct row *row) {
    struct series *series = &metrics->series[metrics->count++];
    series->row = row;
    series->machine = machine;
    series->loop = loop;
    series->metric.decimals = row->decimals;
    struct rt_buf labels = {0};
    char index[16] = "";
    if (loop) snprintf(index, sizeof(index), "%u", rt_loop_index(loop));
    if (loop) rt_metric_label(&labels, "loop", rt_bytes_of(index));
    rt_metric_read_register(&series->metric, machine->metrics, row->shown_as, series_read,
                            row->name, row->help, loop ? (const char *)labels.data : "");
    rt_buf_fini(&labels);
}

struct rt_machine_metrics *rt_machine_metrics_new(struct rt_machine *machine) {
    size_t loop_row_count = sizeof(loop_rows) / sizeof(loop_rows[0]);
    size_t machine_row_count = sizeof(machine_rows) / sizeof(machine_rows[0]);
    size_t count = loop_row_count * machine->loop_count + machine_row_count;
    assert(machine->metrics);
    struct rt_machine_metrics *metrics =
        rt_alloc_zero(1, sizeof(*metrics) + count * sizeof(metrics->series[0]));
    for (unsigned i = 0; i < machine->loop_count; i++) {
        for (size_t row = 0; row < loop_row_count; row++) {
            series_add(metrics, machine, machine->loops[i], &loop_rows[row]);
        }
    }
    for (size_t row = 0; row < machine_row_count; row++) {
        series_add(metrics, machine, NULL, &machine_rows[row]);
    }
    assert(metrics->count == count);
    return metrics;
}

void rt_machine_metrics_free(struct rt_machine_metrics *metrics) {
    if (!metrics) return;
    for (size_t i = 0; i < metrics->count; i++) {
        rt_metric_unregister(&metrics->series[i].metric.metric);
    }
    rt_free(metrics);
}
