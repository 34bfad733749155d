#include "runtime/process_metrics.h"

#include "runtime/real/machine.h"
#include "runtime/real/real.h"

enum { NS_AS_SECONDS = 9, FRESH_MS = 100 };

struct series {
    struct rt_metric_read metric;
    struct rt_process_metrics *owner;
    size_t offset;  // of the field of rt_process_stats
};

struct row {
    const char *name;
    const char *help;
    enum rt_metric_kind shown_as;
    unsigned decimals;
    size_t offset;
};

static const struct row rows[] = {
    {"process_cpu_seconds_total", "User and system CPU time.", RT_METRIC_COUNTER, NS_AS_SECONDS,
     offsetof(struct rt_process_stats, cpu_ns)},
    {"process_max_fds", "Most file descriptors that may be open.", RT_METRIC_GAUGE, 0,
     offsetof(struct rt_process_stats, open_files_max)},
    {"process_open_fds", "Open file descriptors.", RT_METRIC_GAUGE, 0,
     offsetof(struct rt_process_stats, open_files)},
    {"process_resident_memory_bytes", "Resident memory.", RT_METRIC_GAUGE, 0,
     offsetof(struct rt_process_stats, resident_bytes)},
    {"process_start_time_seconds", "Start of the process, seconds since 1970.", RT_METRIC_GAUGE,
     NS_AS_SECONDS, offsetof(struct rt_process_stats, start_ns)},
};
enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

struct rt_process_metrics {
    struct series series[ROW_COUNT];
    struct rt_process_stats stats;  // of the scrape going on; readers hold the registry's lock
    uint64_t stats_ns;
    struct rt_gauge build;
};

// All numbers of one scrape come from one look at /proc.
static int64_t series_read(struct rt_metric_read *metric) {
    struct series *series = rt_container_of(metric, struct series, metric);
    struct rt_process_metrics *owner = series->owner;
    uint64_t now = real_mono_ns();
    if (owner->stats_ns == 0 || now - owner->stats_ns > FRESH_MS * RT_NS_PER_MS) {
        owner->stats = rt_process_stats();
        owner->stats_ns = now;
    }
    const char *field = (const char *)&owner->stats + series->offset;
    uint64_t value = *(const uint64_t *)(const void *)field;
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

struct rt_process_metrics *rt_process_metrics_new(struct rt_metrics *metrics, const char *version) {
    struct rt_process_metrics *process = RT_NEW(struct rt_process_metrics);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        struct series *series = &process->series[i];
        series->owner = process;
        series->offset = rows[i].offset;
        series->metric.decimals = rows[i].decimals;
        rt_metric_read_register(&series->metric, metrics, rows[i].shown_as, series_read,
                                rows[i].name, rows[i].help, "");
    }
    struct rt_buf labels = {0};
    rt_metric_label(&labels, "version", rt_bytes_of(version));
    rt_gauge_register(&process->build, metrics, "geminga_build_info", "Which build this is.",
                      (const char *)labels.data);
    rt_gauge_set(&process->build, 1);
    rt_buf_fini(&labels);
    return process;
}

void rt_process_metrics_free(struct rt_process_metrics *process) {
    if (!process) return;
    for (size_t i = 0; i < ROW_COUNT; i++) rt_metric_unregister(&process->series[i].metric.metric);
    rt_metric_unregister(&process->build.metric);
    rt_free(process);
}
