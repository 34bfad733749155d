#include "runtime/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "runtime/metrics_format.h"

// All metrics of one name, in the order in which they were registered. Cursors of scrapes stand in
// the list too; they are the ones whose `metrics` is NULL.
struct family {
    const char *name, *help;
    enum rt_metric_kind shown_as;
    struct rt_list members;
    size_t count;  // without cursors
};

// Families are kept sorted by name. An empty one leaves, but not while a scrape may point to it.
struct rt_metrics {
    pthread_mutex_t lock;
    struct family **families;
    size_t family_count, family_capacity;
    unsigned scrapes;
};

struct rt_metrics_scrape {
    struct rt_metrics *metrics;
    struct family **families;  // as they were when it began
    size_t family_count, at;
    struct rt_metric cursor;  // in the list of families[at], behind what was shown
    bool header_shown;
};

struct rt_metrics *rt_metrics_new(void) {
    struct rt_metrics *metrics = RT_NEW(struct rt_metrics);
    pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

static void metric_forget(struct rt_metric *metric) {
    rt_list_remove(&metric->link);
    metric->metrics = NULL;
    rt_free(metric->labels);
    metric->labels = NULL;
}

// What is still registered is unregistered, so that owners may come later.
void rt_metrics_free(struct rt_metrics *metrics) {
    if (!metrics) return;
    assert(metrics->scrapes == 0);
    for (size_t i = 0; i < metrics->family_count; i++) {
        struct family *family = metrics->families[i];
        rt_list_each_safe (node, &family->members) {
            metric_forget(rt_container_of(node, struct rt_metric, link));
        }
        rt_free(family);
    }
    rt_free(metrics->families);
    pthread_mutex_destroy(&metrics->lock);
    rt_free(metrics);
}

// The place of the first family whose name is not before `name`.
static size_t family_place(const struct rt_metrics *metrics, const char *name) {
    size_t low = 0;
    size_t high = metrics->family_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(metrics->families[middle]->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct family *family_at(const struct rt_metrics *metrics, size_t place, const char *name) {
    if (place == metrics->family_count) return NULL;
    struct family *family = metrics->families[place];
    return strcmp(family->name, name) == 0 ? family : NULL;
}

static struct family *family_insert(struct rt_metrics *metrics, size_t place) {
    if (metrics->family_count == metrics->family_capacity) {
        metrics->family_capacity = metrics->family_capacity ? metrics->family_capacity * 2 : 64;
        metrics->families =
            rt_realloc(metrics->families, metrics->family_capacity * sizeof(struct family *));
    }
    struct family **at = metrics->families + place;
    memmove(at + 1, at, (metrics->family_count - place) * sizeof(struct family *));
    metrics->family_count++;
    *at = RT_NEW(struct family);
    rt_list_init(&(*at)->members);
    return *at;
}

static void family_remove(struct rt_metrics *metrics, size_t place) {
    struct family **at = metrics->families + place;
    assert((*at)->count == 0 && rt_list_is_empty(&(*at)->members));
    rt_free(*at);
    metrics->family_count--;
    memmove(at, at + 1, (metrics->family_count - place) * sizeof(struct family *));
}

static bool name_is_valid(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";
    return strspn(name, letters) > 0 && name[strspn(name, all)] == '\0';
}

// The metric's kind is set; the others of its name are shown in the same way.
static void metric_register(struct rt_metric *metric, struct rt_metrics *metrics,
                            enum rt_metric_kind shown_as, const char *labels) {
    assert(name_is_valid(metric->name));
    assert(shown_as != RT_METRIC_READ);
    metric->labels = rt_strdup(labels ? labels : "");
    metric->metrics = metrics;
    pthread_mutex_lock(&metrics->lock);
    size_t place = family_place(metrics, metric->name);
    struct family *family = family_at(metrics, place, metric->name);
    if (!family) family = family_insert(metrics, place);
    assert(family->count == 0 || family->shown_as == shown_as);
    family->name = metric->name;
    family->help = metric->help;
    family->shown_as = shown_as;
    family->count++;
    rt_list_push_back(&family->members, &metric->link);
    pthread_mutex_unlock(&metrics->lock);
}

void rt_metric_unregister(struct rt_metric *metric) {
    struct rt_metrics *metrics = metric->metrics;
    if (!metrics) return;
    pthread_mutex_lock(&metrics->lock);
    size_t place = family_place(metrics, metric->name);
    struct family *family = family_at(metrics, place, metric->name);
    assert(family && family->count > 0);
    family->count--;
    metric_forget(metric);
    if (family->count == 0 && metrics->scrapes == 0) family_remove(metrics, place);
    pthread_mutex_unlock(&metrics->lock);
}

void rt_counter_register(struct rt_counter *counter, struct rt_metrics *metrics, const char *name,
                         const char *help, const char *labels) {
    counter->metric = (struct rt_metric){.kind = RT_METRIC_COUNTER, .name = name, .help = help};
    metric_register(&counter->metric, metrics, RT_METRIC_COUNTER, labels);
}

void rt_gauge_register(struct rt_gauge *gauge, struct rt_metrics *metrics, const char *name,
                       const char *help, const char *labels) {
    gauge->metric = (struct rt_metric){.kind = RT_METRIC_GAUGE, .name = name, .help = help};
    metric_register(&gauge->metric, metrics, RT_METRIC_GAUGE, labels);
}

void rt_metric_read_register(struct rt_metric_read *metric, struct rt_metrics *metrics,
                             enum rt_metric_kind shown_as, int64_t (*read)(struct rt_metric_read *),
                             const char *name, const char *help, const char *labels) {
    assert(shown_as == RT_METRIC_COUNTER || shown_as == RT_METRIC_GAUGE);
    metric->metric = (struct rt_metric){.kind = RT_METRIC_READ, .name = name, .help = help};
    metric->shown_as = shown_as;
    metric->read = read;
    metric_register(&metric->metric, metrics, shown_as, labels);
}

void rt_histogram_register(struct rt_histogram *histogram, struct rt_metrics *metrics,
                           const char *name, const char *help, const char *labels,
                           const double *bounds, unsigned bound_count, double unit) {
    assert(unit > 0.0);
    for (unsigned i = 0; i < bound_count; i++) {
        assert(bounds[i] >= 0.0 && (i == 0 || bounds[i] > bounds[i - 1]));
    }
    histogram->metric = (struct rt_metric){.kind = RT_METRIC_HISTOGRAM, .name = name, .help = help};
    histogram->bounds = bounds;
    histogram->bound_count = bound_count;
    histogram->unit = unit;
    metric_register(&histogram->metric, metrics, RT_METRIC_HISTOGRAM, labels);
}

struct rt_metrics_scrape *rt_metrics_scrape_new(struct rt_metrics *metrics) {
    struct rt_metrics_scrape *scrape = RT_NEW(struct rt_metrics_scrape);
    scrape->metrics = metrics;
    rt_list_init(&scrape->cursor.link);
    pthread_mutex_lock(&metrics->lock);
    metrics->scrapes++;
    scrape->family_count = metrics->family_count;
    scrape->families = rt_alloc_zero(metrics->family_count + 1, sizeof(struct family *));
    if (metrics->family_count > 0) {
        memcpy(scrape->families, metrics->families,
               metrics->family_count * sizeof(struct family *));
    }
    pthread_mutex_unlock(&metrics->lock);
    return scrape;
}

void rt_metrics_scrape_free(struct rt_metrics_scrape *scrape) {
    if (!scrape) return;
    struct rt_metrics *metrics = scrape->metrics;
    pthread_mutex_lock(&metrics->lock);
    rt_list_remove(&scrape->cursor.link);
    metrics->scrapes--;
    if (metrics->scrapes == 0) {
        for (size_t i = metrics->family_count; i > 0; i--) {
            if (metrics->families[i - 1]->count == 0) family_remove(metrics, i - 1);
        }
    }
    pthread_mutex_unlock(&metrics->lock);
    rt_free(scrape->families);
    rt_free(scrape);
}

// The next metric behind the cursor, or NULL. Cursors of other scrapes are passed over.
static struct rt_metric *metric_after(const struct family *family, struct rt_list *node) {
    for (node = node->next; node != &family->members; node = node->next) {
        struct rt_metric *metric = rt_container_of(node, struct rt_metric, link);
        if (metric->metrics) return metric;
    }
    return NULL;
}

static void scrape_step(struct rt_metrics_scrape *scrape, struct rt_buf *out) {
    struct family *family = scrape->families[scrape->at];
    struct rt_list *cursor = &scrape->cursor.link;
    if (!rt_list_is_linked(cursor)) rt_list_push_front(&family->members, cursor);
    struct rt_metric *metric = metric_after(family, cursor);
    rt_list_remove(cursor);
    if (!metric) {
        scrape->at++;
        scrape->header_shown = false;
        return;
    }
    rt_list_insert_before(metric->link.next, cursor);
    if (!scrape->header_shown) {
        rt_metric_format_header(out, family->name, family->help, family->shown_as);
    }
    scrape->header_shown = true;
    rt_metric_format(out, metric);
}

bool rt_metrics_scrape_next(struct rt_metrics_scrape *scrape, struct rt_buf *out, size_t size) {
    pthread_mutex_lock(&scrape->metrics->lock);
    while (scrape->at < scrape->family_count && out->size < size) scrape_step(scrape, out);
    pthread_mutex_unlock(&scrape->metrics->lock);
    return scrape->at < scrape->family_count;
}

void rt_metrics_render(struct rt_metrics *metrics, struct rt_buf *out) {
    struct rt_metrics_scrape *scrape = rt_metrics_scrape_new(metrics);
    bool more = true;
    while (more) more = rt_metrics_scrape_next(scrape, out, out->size + (64 << 10));
    rt_metrics_scrape_free(scrape);
}
