// Installing: the copy is made on a worker while the old store is still there; only the exchange
// blocks the loop.
#include "meta/server/log/snapshots_internal.h"
#include "runtime/log.h"

rt_err meta_snapshots_restore_now(struct meta_snapshots *snapshots, struct rt_why *why) {
    struct rt_machine *machine = snapshots->machine;
    if (snapshots->current.index == 0) return rt_why_set(why, RT_ENOTFOUND, "there is no snapshot");
    char *path = meta_snapshot_path(snapshots, snapshots->current);
    rt_err err = meta_exchange_prepare_now(machine, path, snapshots->store_path, why);
    if (!err) err = meta_exchange_swap_now(machine, snapshots->store_path, why);
    if (!err) {
        err = meta_exchange_finish_now(machine, snapshots->store_path);
        if (err) rt_why_set(why, err, "cannot remove the old store: %s", rt_err_text(err));
    }
    if (!err) rt_log_info("snapshots", "store was restored from=%s", path);
    rt_free(path);
    return err;
}

static void prepare_run(struct rt_work *work) {
    struct meta_installing *job = rt_container_of(work, struct meta_installing, work);
    struct meta_snapshots *snapshots = rt_container_of(job, struct meta_snapshots, installing);
    job->err =
        meta_exchange_prepare_now(snapshots->machine, job->path, snapshots->store_path, &job->why);
}

static rt_err exchange(struct meta_snapshots *snapshots, struct rt_why *why) {
    snapshots->events->store_close(snapshots->events);
    rt_err err = meta_exchange_swap_now(snapshots->machine, snapshots->store_path, why);
    return err ? err : snapshots->events->store_open(snapshots->events, why);
}

// While closing the copy is left: the next start finishes it.
static void prepare_done(struct rt_work *work) {
    struct meta_installing *job = rt_container_of(work, struct meta_installing, work);
    struct meta_snapshots *snapshots = rt_container_of(job, struct meta_snapshots, installing);
    job->is_busy = false;
    if (snapshots->is_closing) {
        meta_snapshots_maybe_close(snapshots);
        return;
    }
    rt_err err = job->err ? job->err : exchange(snapshots, &job->why);
    if (!err) {
        snapshots->stats.installed++;
        snapshots->away.exchange_waits = true;
        rt_log_info("snapshots", "snapshot was installed index=%llu term=%llu",
                    (unsigned long long)job->at.index, (unsigned long long)job->at.term);
    }
    struct raft_position at = job->at;
    snapshots->events->installed(snapshots->events, err, at.index, &job->why);
    if (!err) meta_snapshots_advance(snapshots, at);
}

// Not while the store is being copied, nor while what the last exchange left is being removed.
void meta_install_start(struct meta_snapshots *snapshots) {
    struct meta_installing *job = &snapshots->installing;
    if (!job->is_wanted || job->is_busy || snapshots->taking.is_busy || snapshots->away.is_busy)
        return;
    job->is_wanted = false;
    job->is_busy = true;
    rt_work_submit(&job->work, snapshots->loop, prepare_run, prepare_done, "snapshots.install");
}

void meta_install(struct meta_snapshots *snapshots, const struct raft_snapshot_effect *effect) {
    struct meta_installing *job = &snapshots->installing;
    assert(!job->is_wanted && !job->is_busy);
    job->at = effect->at;
    job->why.text[0] = '\0';
    rt_free(job->path);
    job->path = meta_snapshot_path(snapshots, effect->at);
    job->is_wanted = true;
    meta_install_start(snapshots);
}
