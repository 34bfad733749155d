#include "bookie/server/node/disks.h"

#include <stdio.h>

#include "runtime/log.h"

enum { THOUSAND = 1000 };

// PURE

unsigned bookie_disk_used(struct rt_disk_space space) {
    if (!space.total_bytes || space.free_bytes > space.total_bytes) return 0;
    uint64_t used = space.total_bytes - space.free_bytes;
    // Divided first where the product would not fit.
    if (space.total_bytes > UINT64_MAX / THOUSAND)
        return (unsigned)(used / (space.total_bytes / THOUSAND));
    return (unsigned)(used * THOUSAND / space.total_bytes);
}

bool bookie_disks_judge(struct bookie_disk *disks, unsigned count,
                        const struct bookie_disk_limits *limits) {
    unsigned full = 0;
    for (unsigned i = 0; i < count; i++) {
        struct bookie_disk *disk = &disks[i];
        disk->used = bookie_disk_used(disk->space);
        disk->is_warned = disk->used > limits->warn;
        disk->is_full = disk->used > (disk->is_full ? limits->low : limits->full);
        full += disk->is_full;
    }
    return limits->any ? full > 0 : full == count;
}

// LOOKING

struct bookie_disks {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_disks_events *events;
    struct bookie_disk_limits limits;
    struct bookie_disk disks[BOOKIE_DIRS_MAX];
    struct rt_disk_space fresh[BOOKIE_DIRS_MAX];  // the worker's
    rt_err errs[BOOKIE_DIRS_MAX];
    unsigned count;
    uint64_t every_ns;
    struct rt_timer timer;
    struct rt_work work;
    bool looking, again, read_only;
    struct rt_task *closed;
};

static void look_run(struct rt_work *work) {
    struct bookie_disks *disks = rt_container_of(work, struct bookie_disks, work);
    for (unsigned i = 0; i < disks->count; i++)
        disks->errs[i] = rt_dir_space_now(disks->machine, disks->disks[i].path, &disks->fresh[i]);
}

static void warn(const struct bookie_disk *disk, bool was_warned, bool was_full) {
    if (disk->is_full != was_full)
        rt_log_warn("bookie", "disk %s path=%s used=%u.%u%%", disk->is_full ? "full" : "has room",
                    disk->path, disk->used / 10, disk->used % 10);
    else if (disk->is_warned && !was_warned)
        rt_log_warn("bookie", "disk nearly full path=%s used=%u.%u%%", disk->path, disk->used / 10,
                    disk->used % 10);
}

static void take(struct bookie_disks *disks) {
    bool warned[BOOKIE_DIRS_MAX], full[BOOKIE_DIRS_MAX];
    for (unsigned i = 0; i < disks->count; i++) {
        struct bookie_disk *disk = &disks->disks[i];
        warned[i] = disk->is_warned;
        full[i] = disk->is_full;
        disk->err = disks->errs[i];
        if (!disk->err) disk->space = disks->fresh[i];
    }
    disks->read_only = bookie_disks_judge(disks->disks, disks->count, &disks->limits);
    for (unsigned i = 0; i < disks->count; i++) warn(&disks->disks[i], warned[i], full[i]);
}

static void failures_tell(struct bookie_disks *disks) {
    char what[512];
    for (unsigned i = 0; i < disks->count; i++) {
        if (!disks->disks[i].err) continue;
        snprintf(what, sizeof(what), "ledger directory %.400s", disks->disks[i].path);
        disks->events->failed(disks->events, disks->disks[i].err, what);
        return;
    }
}

static void look_done(struct rt_work *work) {
    struct bookie_disks *disks = rt_container_of(work, struct bookie_disks, work);
    disks->looking = false;
    if (disks->closed) {
        rt_defer(disks->loop, disks->closed);
        rt_free(disks);
        return;
    }
    take(disks);
    rt_timer_after(&disks->timer, disks->again ? 1 : disks->every_ns);
    disks->again = false;
    disks->events->looked(disks->events, disks->read_only);
    failures_tell(disks);
}

static void look(struct rt_timer *timer) {
    struct bookie_disks *disks = rt_container_of(timer, struct bookie_disks, timer);
    disks->looking = true;
    rt_work_submit(&disks->work, disks->loop, look_run, look_done, "bookie.disks");
}

rt_err bookie_disks_open_now(struct rt_machine *machine, struct rt_loop *loop,
                             const struct bookie_config *config, struct bookie_disks_events *events,
                             struct bookie_disks **disks, struct rt_why *why) {
    struct bookie_disks *self = RT_NEW(struct bookie_disks);
    self->machine = machine;
    self->loop = loop;
    self->events = events;
    self->limits = (struct bookie_disk_limits){.full = config->disk_full,
                                               .warn = config->disk_warn,
                                               .low = config->disk_low,
                                               .any = config->values.read_only_on_any};
    self->count = config->ledger_dir_count;
    self->every_ns = config->values.disk_check_ms * RT_NS_PER_MS;
    for (unsigned i = 0; i < self->count; i++) self->disks[i].path = config->ledger_dirs[i];
    rt_timer_init(&self->timer, loop, look, "bookie.disks");
    look_run(&self->work);
    take(self);
    for (unsigned i = 0; i < self->count; i++) {
        rt_err err = self->disks[i].err;
        if (!err) continue;
        RT_IGNORE(rt_why_set(why, err, "%s: %s", self->disks[i].path, rt_err_text(err)));
        rt_free(self);
        return err;
    }
    rt_timer_after(&self->timer, self->every_ns);
    *disks = self;
    return RT_OK;
}

const struct bookie_disk *bookie_disks_all(const struct bookie_disks *disks, unsigned *count) {
    *count = disks->count;
    return disks->disks;
}

bool bookie_disks_read_only(const struct bookie_disks *disks) {
    return disks->read_only;
}

// Two directories with the same figures are taken for one file system: what counts twice would
// promise room that is not there.
struct rt_disk_space bookie_disks_space(const struct bookie_disks *disks) {
    struct rt_disk_space sum = {0};
    for (unsigned i = 0; i < disks->count; i++) {
        const struct rt_disk_space *space = &disks->disks[i].space;
        bool seen = false;
        for (unsigned j = 0; j < i; j++)
            seen |= disks->disks[j].space.total_bytes == space->total_bytes &&
                    disks->disks[j].space.free_bytes == space->free_bytes;
        if (seen) continue;
        sum.total_bytes += space->total_bytes;
        sum.free_bytes += space->free_bytes;
    }
    return sum;
}

void bookie_disks_look(struct bookie_disks *disks) {
    if (disks->looking)
        disks->again = true;
    else
        rt_timer_after(&disks->timer, 0);
}

void bookie_disks_close(struct bookie_disks *disks, struct rt_task *closed) {
    rt_timer_cancel(&disks->timer);
    disks->closed = closed;
    if (disks->looking) return;
    rt_defer(disks->loop, closed);
    rt_free(disks);
}
