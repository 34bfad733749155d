// Which snapshots there are, and taking them.
#include "meta/server/log/snapshots_internal.h"

#include <stdio.h>
#include <string.h>

#include "runtime/log.h"

enum { HEX_DIGITS = 16, NAME_SIZE = 2 * HEX_DIGITS + 2 };

// NAMES

static void name_of(struct raft_position at, char name[static NAME_SIZE]) {
    snprintf(name, NAME_SIZE, "%016llx-%016llx", (unsigned long long)at.index,
             (unsigned long long)at.term);
}

static bool hex_parse(const char *text, uint64_t *value) {
    *value = 0;
    for (unsigned i = 0; i < HEX_DIGITS; i++) {
        char c = text[i];
        bool is_digit = c >= '0' && c <= '9', is_letter = c >= 'a' && c <= 'f';
        if (!is_digit && !is_letter) return false;
        *value = *value << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static bool name_parse(const char *name, struct raft_position *at) {
    if (strlen(name) != NAME_SIZE - 1 || name[HEX_DIGITS] != '-') return false;
    return hex_parse(name, &at->index) && hex_parse(name + HEX_DIGITS + 1, &at->term);
}

char *meta_snapshot_path(const struct meta_snapshots *snapshots, struct raft_position at) {
    char name[NAME_SIZE];
    name_of(at, name);
    return meta_path(snapshots->directory, name);
}

// ITEMS

static struct meta_snapshot *item_at(struct rt_list *link) {
    return rt_container_of(link, struct meta_snapshot, link);
}

struct meta_snapshot *meta_snapshot_find(struct meta_snapshots *snapshots,
                                         struct raft_position at) {
    rt_list_each (link, &snapshots->items) {
        if (raft_position_equal(item_at(link)->at, at)) return item_at(link);
    }
    return NULL;
}

void meta_snapshot_add(struct meta_snapshots *snapshots, struct raft_position at) {
    if (meta_snapshot_find(snapshots, at)) return;
    struct meta_snapshot *item = RT_NEW(struct meta_snapshot);
    item->at = at;
    struct rt_list *before = &snapshots->items;
    rt_list_each (link, &snapshots->items) {
        if (item_at(link)->at.index > at.index && before == &snapshots->items) before = link;
    }
    rt_list_insert_before(before, &item->link);
}

void meta_snapshots_advance(struct meta_snapshots *snapshots, struct raft_position at) {
    if (at.index > snapshots->current.index) snapshots->current = at;
    snapshots->stats.last = snapshots->current;
    meta_snapshots_put_away(snapshots);
}

// PUTTING AWAY: snapshots that a newer one replaced, and the store that one replaced.

static void away_run(struct rt_work *work) {
    struct meta_putting_away *away = rt_container_of(work, struct meta_putting_away, work);
    struct meta_snapshots *snapshots = rt_container_of(away, struct meta_snapshots, away);
    rt_err err = RT_OK;
    if (away->ends_exchange)
        err = meta_exchange_finish_now(snapshots->machine, snapshots->store_path);
    rt_list_each (link, &away->removed) {
        const char *path = rt_container_of(link, struct meta_removed, link)->path;
        if (!err) err = rt_path_remove_tree_now(snapshots->machine, path);
    }
    // The next start removes what is left.
    if (err) rt_log_warn("snapshots", "old files could not be removed err=%s", rt_err_name(err));
}

static void removed_free(struct rt_list *list) {
    while (!rt_list_is_empty(list)) {
        struct rt_list *link = rt_list_pop_front(list);
        struct meta_removed *removed = rt_container_of(link, struct meta_removed, link);
        rt_free(removed->path);
        rt_free(removed);
    }
}

static void away_done(struct rt_work *work) {
    struct meta_putting_away *away = rt_container_of(work, struct meta_putting_away, work);
    struct meta_snapshots *snapshots = rt_container_of(away, struct meta_snapshots, away);
    removed_free(&away->removed);
    away->is_busy = false;
    meta_snapshots_put_away(snapshots);
    meta_install_start(snapshots);
    meta_snapshots_maybe_close(snapshots);
}

void meta_snapshots_put_away(struct meta_snapshots *snapshots) {
    struct meta_putting_away *away = &snapshots->away;
    rt_list_each_safe (link, &snapshots->items) {
        struct meta_snapshot *item = item_at(link);
        if (item->at.index >= snapshots->current.index || item->readers) continue;
        struct meta_removed *removed = RT_NEW(struct meta_removed);
        removed->path = meta_snapshot_path(snapshots, item->at);
        rt_list_push_back(&away->waiting, &removed->link);
        rt_list_remove(link);
        rt_free(item);
    }
    if (away->is_busy || snapshots->is_ended) return;
    if (rt_list_is_empty(&away->waiting) && !away->exchange_waits) return;
    rt_list_splice(&away->removed, &away->waiting);
    away->ends_exchange = away->exchange_waits;
    away->exchange_waits = false;
    away->is_busy = true;
    rt_work_submit(&away->work, snapshots->loop, away_run, away_done, "snapshots.remove");
}

// OPENING

static rt_err one_found(struct meta_snapshots *snapshots, struct raft_position at,
                        struct meta_snapshots_found *found, struct rt_why *why) {
    struct meta_manifest manifest;
    char *path = meta_snapshot_path(snapshots, at);
    rt_err err = meta_manifest_read_now(snapshots->machine, path, NULL, &manifest);
    bool is_foreign = !err && manifest.cluster != snapshots->cluster;
    if (is_foreign) {
        err = rt_why_set(why, RT_ECORRUPT, "%s belongs to cluster %llx", path,
                         (unsigned long long)manifest.cluster);
    } else {
        if (!err && !raft_position_equal(manifest.at, at)) err = RT_ECORRUPT;
        if (!err) err = meta_manifest_check_now(snapshots->machine, path, &manifest);
        if (err)
            rt_log_error("snapshots", "snapshot is not whole path=%s err=%s", path,
                         rt_err_name(err));
    }
    if (!err) {
        found->at = at;
        found->config = manifest.config;
        snapshots->stats.last_bytes = meta_manifest_bytes(&manifest);
    }
    meta_manifest_fini(&manifest);
    rt_free(path);
    return is_foreign ? err : RT_OK;
}

// The newest whole one counts; older ones were being removed.
static rt_err all_found(struct meta_snapshots *snapshots, struct meta_snapshots_found *found,
                        struct rt_why *why) {
    struct rt_dir_listing listing;
    rt_err err = rt_dir_list_now(snapshots->machine, snapshots->directory, &listing, why);
    if (err) return err;
    for (size_t i = listing.count; !err && i-- > 0;) {
        struct raft_position at;
        if (!name_parse(listing.entries[i].name, &at)) continue;
        if (found->at.index == 0) {
            err = one_found(snapshots, at, found, why);
        } else {
            char *path = meta_snapshot_path(snapshots, at);
            err = rt_path_remove_tree_now(snapshots->machine, path);
            if (err) rt_why_set(why, err, "cannot remove %s", path);
            rt_free(path);
        }
    }
    rt_dir_listing_fini(&listing);
    return err;
}

static struct meta_snapshots *snapshots_new(struct rt_machine *machine, struct rt_loop *loop,
                                            const struct meta_snapshots_options *options) {
    struct meta_snapshots *snapshots = RT_NEW(struct meta_snapshots);
    snapshots->machine = machine;
    snapshots->loop = loop;
    snapshots->directory = rt_strdup(options->directory);
    snapshots->store_path = rt_strdup(options->store_path);
    snapshots->building = meta_path(options->directory, "building");
    snapshots->incoming = meta_path(options->directory, "incoming");
    snapshots->cluster = options->cluster;
    snapshots->events = options->events;
    rt_list_init(&snapshots->items);
    rt_list_init(&snapshots->senders);
    rt_list_init(&snapshots->receiving.chunks);
    rt_list_init(&snapshots->away.removed);
    rt_list_init(&snapshots->away.waiting);
    return snapshots;
}

static void snapshots_free(struct meta_snapshots *snapshots) {
    while (!rt_list_is_empty(&snapshots->items))
        rt_free(item_at(rt_list_pop_front(&snapshots->items)));
    removed_free(&snapshots->away.removed);
    removed_free(&snapshots->away.waiting);
    rt_free(snapshots->installing.path);
    rt_free(snapshots->directory);
    rt_free(snapshots->store_path);
    rt_free(snapshots->building);
    rt_free(snapshots->incoming);
    rt_free(snapshots);
}

static rt_err open_now(struct meta_snapshots *snapshots, struct meta_snapshots_found *found,
                       struct rt_why *why) {
    struct rt_machine *machine = snapshots->machine;
    rt_err err = rt_dir_create_now(machine, snapshots->directory, why);
    if (err) return err;
    err = rt_path_remove_tree_now(machine, snapshots->building);
    if (!err) err = rt_path_remove_tree_now(machine, snapshots->incoming);
    if (err) return rt_why_set(why, err, "cannot remove what is half made");
    err = meta_exchange_recover_now(machine, snapshots->store_path, why);
    return err ? err : all_found(snapshots, found, why);
}

rt_err meta_snapshots_open_now(struct rt_machine *machine, struct rt_loop *loop,
                               const struct meta_snapshots_options *options,
                               struct meta_snapshots **out, struct meta_snapshots_found *found,
                               struct rt_why *why) {
    struct meta_snapshots *snapshots = snapshots_new(machine, loop, options);
    *found = (struct meta_snapshots_found){0};
    rt_err err = open_now(snapshots, found, why);
    if (err) {
        snapshots_free(snapshots);
        return rt_why_prefix(why, err, "opening the snapshots in %s", options->directory);
    }
    if (found->at.index) {
        meta_snapshot_add(snapshots, found->at);
        snapshots->current = snapshots->stats.last = found->at;
    }
    *out = snapshots;
    return RT_OK;
}

// TAKING

rt_err meta_snapshot_publish_now(struct meta_snapshots *snapshots, const char *from,
                                 const struct meta_manifest *manifest, struct rt_why *why) {
    struct rt_machine *machine = snapshots->machine;
    struct rt_buf bytes = {0};
    char *path = meta_snapshot_path(snapshots, manifest->at);
    char *name = meta_path(from, META_MANIFEST_NAME);
    bool exists = false;
    meta_manifest_encode(manifest, &bytes);
    rt_err err = meta_file_write_now(machine, name, rt_buf_bytes(&bytes));
    if (!err) err = rt_dir_sync_now(machine, from);
    if (!err) err = rt_path_exists_now(machine, path, &exists);
    if (!err)
        err = exists ? rt_path_remove_tree_now(machine, from)
                     : rt_path_rename_now(machine, from, path);
    if (!err) err = rt_dir_sync_now(machine, snapshots->directory);
    if (err) rt_why_set(why, err, "cannot make %s: %s", path, rt_err_text(err));
    rt_buf_fini(&bytes);
    rt_free(path);
    rt_free(name);
    return err;
}

static struct meta_snapshots *taking_owner(struct meta_taking *taking) {
    return rt_container_of(taking, struct meta_snapshots, taking);
}

static void building_remove_now(struct meta_snapshots *snapshots) {
    // The next one fails if this does, and says so.
    RT_IGNORE(rt_path_remove_tree_now(snapshots->machine, snapshots->building));
}

static void checkpoint_run(struct rt_work *work) {
    struct meta_taking *taking = rt_container_of(work, struct meta_taking, work);
    struct meta_snapshots *snapshots = taking_owner(taking);
    building_remove_now(snapshots);
    taking->err = rt_kv_checkpoint_now(taking->kv, snapshots->building);
    if (taking->err) {
        rt_why_set(&taking->why, taking->err, "checkpoint in %s: %s", snapshots->building,
                   rt_err_text(taking->err));
    } else {
        taking->err = snapshots->events->store_peek(snapshots->machine, snapshots->building,
                                                    &taking->at, &taking->why);
    }
    if (taking->err) building_remove_now(snapshots);
}

static void publish_run(struct rt_work *work) {
    struct meta_taking *taking = rt_container_of(work, struct meta_taking, work);
    struct meta_snapshots *snapshots = taking_owner(taking);
    struct meta_manifest manifest = {
        .cluster = snapshots->cluster, .at = taking->at, .config = taking->config};
    taking->err = meta_manifest_make_now(snapshots->machine, snapshots->building, &manifest);
    if (taking->err) {
        rt_why_set(&taking->why, taking->err, "reading the checkpoint in %s: %s",
                   snapshots->building, rt_err_text(taking->err));
    } else {
        taking->err =
            meta_snapshot_publish_now(snapshots, snapshots->building, &manifest, &taking->why);
    }
    taking->bytes = meta_manifest_bytes(&manifest);
    if (taking->err) building_remove_now(snapshots);
    meta_manifest_fini(&manifest);
}

static void give_up_run(struct rt_work *work) {
    building_remove_now(taking_owner(rt_container_of(work, struct meta_taking, work)));
}

static void taking_ended(struct rt_work *work) {
    struct meta_taking *taking = rt_container_of(work, struct meta_taking, work);
    struct meta_snapshots *snapshots = taking_owner(taking);
    taking->is_busy = false;
    if (taking->err) {
        rt_log_warn("snapshots", "snapshot was not taken why=%s", taking->why.text);
    } else {
        snapshots->stats.taken++;
        snapshots->stats.last_bytes = taking->bytes;
        meta_snapshot_add(snapshots, taking->at);
        rt_log_info("snapshots", "snapshot was taken index=%llu term=%llu bytes=%llu",
                    (unsigned long long)taking->at.index, (unsigned long long)taking->at.term,
                    (unsigned long long)taking->bytes);
    }
    struct raft_position at = taking->at;
    rt_err err = taking->err;
    if (!snapshots->is_closing) snapshots->events->taken(snapshots->events, err, at.index);
    if (!err) meta_snapshots_advance(snapshots, at);
    meta_install_start(snapshots);
    meta_snapshots_maybe_close(snapshots);
}

static void checkpoint_done(struct rt_work *work) {
    struct meta_taking *taking = rt_container_of(work, struct meta_taking, work);
    struct meta_snapshots *snapshots = taking_owner(taking);
    struct raft_position at = {0};
    const struct raft_config *config = NULL;
    if (taking->err) {
        taking_ended(work);
        return;
    }
    bool is_known = !snapshots->is_closing && taking->at.index > 0 &&
                    snapshots->events->facts(snapshots->events, taking->at.index, &at, &config);
    if (!is_known) {
        taking->err = rt_why_set(&taking->why, RT_ECANCELED, "entry %llu is no longer known",
                                 (unsigned long long)taking->at.index);
        rt_work_submit(work, snapshots->loop, give_up_run, taking_ended, "snapshots.give_up");
        return;
    }
    taking->at = at;
    taking->config = *config;
    rt_work_submit(work, snapshots->loop, publish_run, taking_ended, "snapshots.publish");
}

bool meta_snapshots_take(struct meta_snapshots *snapshots, struct rt_kv *kv) {
    struct meta_taking *taking = &snapshots->taking;
    bool installs = snapshots->installing.is_wanted || snapshots->installing.is_busy;
    if (taking->is_busy || installs || snapshots->is_closing) return false;
    *taking = (struct meta_taking){.is_busy = true, .kv = kv};
    rt_work_submit(&taking->work, snapshots->loop, checkpoint_run, checkpoint_done,
                   "snapshots.checkpoint");
    return true;
}

// EFFECTS

void meta_snapshots_carry_out(struct meta_snapshots *snapshots,
                              const struct raft_snapshot_effect *effect) {
    if (snapshots->is_closing) return;
    switch (effect->kind) {
    case RAFT_SNAPSHOT_OPEN: meta_sender_open(snapshots, effect); break;
    case RAFT_SNAPSHOT_READ: meta_sender_read(snapshots, effect); break;
    case RAFT_SNAPSHOT_CLOSE: meta_sender_close(snapshots, effect->peer); break;
    case RAFT_SNAPSHOT_WRITE: meta_receive(snapshots, effect); break;
    case RAFT_SNAPSHOT_INSTALL: meta_install(snapshots, effect); break;
    }
}

struct meta_snapshots_stats meta_snapshots_stats(const struct meta_snapshots *snapshots) {
    return snapshots->stats;
}

// CLOSING

static void close_run(struct rt_work *work) {
    meta_receiving_end_now(rt_container_of(work, struct meta_snapshots, close_work));
}

static void close_done(struct rt_work *work) {
    struct meta_snapshots *snapshots = rt_container_of(work, struct meta_snapshots, close_work);
    struct rt_loop *loop = snapshots->loop;
    struct rt_task *closed = snapshots->closed;
    snapshots_free(snapshots);
    rt_post(loop, closed);
}

void meta_snapshots_maybe_close(struct meta_snapshots *snapshots) {
    if (!snapshots->is_closing || snapshots->is_ended) return;
    bool is_busy = snapshots->taking.is_busy || snapshots->installing.is_busy ||
                   snapshots->receiving.is_busy || snapshots->away.is_busy || snapshots->reads;
    if (is_busy) return;
    snapshots->is_ended = true;
    rt_work_submit(&snapshots->close_work, snapshots->loop, close_run, close_done,
                   "snapshots.close");
}

void meta_snapshots_close(struct meta_snapshots *snapshots, struct rt_task *closed) {
    assert(!snapshots->is_closing);
    snapshots->is_closing = true;
    snapshots->closed = closed;
    snapshots->installing.is_wanted = false;
    meta_senders_close(snapshots);
    meta_receiving_drop(snapshots);
    meta_snapshots_maybe_close(snapshots);
}
