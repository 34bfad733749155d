#include "bookie/server/node/cookies.h"

#include <stdio.h>
#include <string.h>

#include "runtime/file.h"

enum { PATH_SIZE = 1024, COOKIE_MAX = 64 * 1024 };

// THE FILES

static void version_path(char path[PATH_SIZE], const char *directory, const char *suffix) {
    snprintf(path, PATH_SIZE, "%.900s/current/VERSION%s", directory, suffix);
}

static rt_err file_load_now(struct rt_machine *machine, const char *path, struct rt_arena *arena,
                            struct rt_bytes *text, struct rt_why *why) {
    struct rt_file *file;
    uint64_t size = 0;
    size_t got = 0;
    rt_err err = rt_file_open_now(machine, path, RT_FILE_READ, &file, why);
    if (err) return err;
    err = rt_file_size_now(file, &size);
    uint8_t *memory = NULL;
    if (!err && size > COOKIE_MAX) err = RT_ETOOBIG;
    if (!err) {
        memory = rt_arena_alloc(arena, (size_t)size + 1);
        err = rt_file_read_now(file, 0, memory, (size_t)size, &got);
    }
    rt_file_close_now(file);
    *text = RT_BYTES(memory, got);
    return err ? rt_why_set(why, err, "%s: %s", path, rt_err_text(err)) : RT_OK;
}

// A new name first, so that a crash leaves the old cookie or the new one.
static rt_err file_store_now(struct rt_machine *machine, const char *directory,
                             struct rt_bytes text, struct rt_why *why) {
    char path[PATH_SIZE], fresh[PATH_SIZE], current[PATH_SIZE];
    struct rt_file *file = NULL;
    snprintf(current, sizeof(current), "%.900s/current", directory);
    version_path(path, directory, "");
    version_path(fresh, directory, ".new");
    rt_err err = rt_dir_create_now(machine, current, why);
    if (!err)
        err = rt_file_open_now(machine, fresh, RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING,
                               &file, why);
    if (err) return err;
    err = rt_file_truncate_now(file, 0);
    if (!err) err = rt_file_write_now(file, 0, text);
    if (!err) err = rt_file_sync_now(file);
    rt_file_close_now(file);
    if (!err) err = rt_path_rename_now(machine, fresh, path);
    if (!err) err = rt_dir_sync_now(machine, current);
    return err ? rt_why_set(why, err, "%s: %s", path, rt_err_text(err)) : RT_OK;
}

// LOOKING

static bool is_housekeeping(const char *name) {
    return strcmp(name, "LOCK") == 0 || strcmp(name, "lost+found") == 0 ||
           strcmp(name, "VERSION.new") == 0;
}

static rt_err emptiness_look_now(struct rt_machine *machine, const char *path, bool *is_empty,
                                 struct rt_why *why) {
    struct rt_dir_listing listing;
    rt_err err = rt_dir_list_now(machine, path, &listing, why);
    if (err) return err;
    *is_empty = true;
    for (size_t i = 0; i < listing.count; i++) {
        if (!is_housekeeping(listing.entries[i].name)) *is_empty = false;
    }
    rt_dir_listing_fini(&listing);
    return RT_OK;
}

static rt_err dir_look_now(struct rt_machine *machine, struct bookie_cookie_dir *dir,
                           struct rt_arena *arena, struct rt_why *why) {
    char path[PATH_SIZE];
    struct rt_bytes text;
    snprintf(path, sizeof(path), "%.900s/current", dir->path);
    rt_err err = rt_dir_create_now(machine, path, why);
    if (!err) err = emptiness_look_now(machine, path, &dir->is_empty, why);
    version_path(path, dir->path, "");
    if (!err) err = rt_path_exists_now(machine, path, &dir->has_cookie);
    if (err || !dir->has_cookie) return err;
    err = file_load_now(machine, path, arena, &text, why);
    if (!err) err = proto_cookie_decode(text, arena, &dir->cookie, why);
    return err ? rt_why_prefix(why, err, "%s", path) : RT_OK;
}

static void dir_add(struct bookie_cookies *cookies, const char *path) {
    for (unsigned i = 0; i < cookies->count; i++) {
        if (strcmp(cookies->dirs[i].path, path) == 0) return;
    }
    cookies->dirs[cookies->count++].path = path;
}

static struct rt_bytes joined(struct rt_arena *arena, const char *const *items, unsigned count,
                              const char *separator, bool counted) {
    struct rt_buf text = {0};
    if (counted) rt_buf_print(&text, "%u%s", count, separator);
    for (unsigned i = 0; i < count; i++) rt_buf_print(&text, "%s%s", i ? separator : "", items[i]);
    struct rt_bytes copy = rt_arena_copy(arena, rt_buf_bytes(&text));
    rt_buf_fini(&text);
    return copy;
}

static void own_make(struct bookie_cookies *cookies, const struct bookie_config *config,
                     const char *bookie_id) {
    struct rt_arena *arena = &cookies->arena;
    cookies->own.bookie = rt_arena_copy(arena, rt_bytes_of(bookie_id));
    cookies->own.journal_dirs =
        joined(arena, config->journal_dirs, config->journal_count, ",", false);
    cookies->own.ledger_dirs =
        joined(arena, config->ledger_dirs, config->ledger_dir_count, "\t", true);
    cookies->own.has_index_dirs = config->index_dir != config->ledger_dirs[0];
    if (cookies->own.has_index_dirs)
        cookies->own.index_dirs = joined(arena, &config->index_dir, 1, "\t", true);
}

rt_err bookie_cookies_open_now(struct rt_machine *machine, const struct bookie_config *config,
                               const char *bookie_id, struct bookie_cookies *cookies,
                               struct rt_why *why) {
    rt_err err = RT_OK;
    *cookies = (struct bookie_cookies){0};
    own_make(cookies, config, bookie_id);
    for (unsigned i = 0; i < config->journal_count; i++) dir_add(cookies, config->journal_dirs[i]);
    for (unsigned i = 0; i < config->ledger_dir_count; i++)
        dir_add(cookies, config->ledger_dirs[i]);
    dir_add(cookies, config->index_dir);
    for (unsigned i = 0; i < cookies->count && !err; i++)
        err = dir_look_now(machine, &cookies->dirs[i], &cookies->arena, why);
    return err;
}

void bookie_cookies_fini(struct bookie_cookies *cookies) {
    rt_arena_fini(&cookies->arena);
    *cookies = (struct bookie_cookies){0};
}

// JUDGING

static rt_err differ(struct rt_why *why, const char *where, const char *what, struct rt_bytes there,
                     struct rt_bytes here) {
    return rt_why_set(why, RT_EINVAL, "%s: %s is '%.*s' there and '%.*s' here", where, what,
                      (int)there.size, (const char *)there.data, (int)here.size,
                      (const char *)here.data);
}

static rt_err compare(const struct proto_cookie *there, const struct proto_cookie *here,
                      bool may_grow, const char *where, struct rt_why *why) {
    if (!rt_bytes_equal(there->bookie, here->bookie))
        return differ(why, where, "the bookie", there->bookie, here->bookie);
    bool has_other = there->has_instance && here->has_instance &&
                     !rt_bytes_equal(there->instance, here->instance);
    if (has_other || there->has_instance != here->has_instance)
        return differ(why, where, "the cluster (instanceId)", there->instance, here->instance);
    if (!rt_bytes_equal(there->journal_dirs, here->journal_dirs))
        return differ(why, where, "journalDirectories", there->journal_dirs, here->journal_dirs);
    if (!may_grow && !rt_bytes_equal(there->ledger_dirs, here->ledger_dirs))
        return differ(why, where, "ledgerDirectories", there->ledger_dirs, here->ledger_dirs);
    bool same_index =
        there->has_index_dirs == here->has_index_dirs &&
        (!here->has_index_dirs || rt_bytes_equal(there->index_dirs, here->index_dirs));
    if (!same_index)
        return differ(why, where, "indexDirectories", there->index_dirs, here->index_dirs);
    return RT_OK;
}

// Each directory of `few` is one of `many`: "count\tdir\tdir".
static bool is_part_of(struct rt_bytes few, struct rt_bytes many) {
    const uint8_t *at = memchr(few.data, '\t', few.size), *end = few.data + few.size;
    while (at) {
        const uint8_t *name = at + 1, *next = memchr(name, '\t', (size_t)(end - name));
        size_t size = (size_t)((next ? next : end) - name);
        const uint8_t *in = memchr(many.data, '\t', many.size), *many_end = many.data + many.size;
        bool found = false;
        while (in && !found) {
            const uint8_t *other = in + 1,
                          *in_next = memchr(other, '\t', (size_t)(many_end - other));
            size_t other_size = (size_t)((in_next ? in_next : many_end) - other);
            found = other_size == size && memcmp(other, name, size) == 0;
            in = in_next;
        }
        if (!found) return false;
        at = next;
    }
    return true;
}

static rt_err new_check(const struct bookie_cookies *cookies, struct rt_why *why) {
    for (unsigned i = 0; i < cookies->count; i++) {
        if (!cookies->dirs[i].is_empty)
            return rt_why_set(why, RT_EINVAL,
                              "%s: has files and no cookie (current/VERSION), and neither has the "
                              "metadata: these are not the disks of a new bookie",
                              cookies->dirs[i].path);
    }
    return RT_OK;
}

// A directory without a cookie may be a new one, where that is allowed.
static rt_err dir_judge(const struct bookie_cookie_dir *dir, const struct proto_cookie *own,
                        bool may_grow, struct bookie_cookie_verdict *verdict, struct rt_why *why) {
    if (dir->has_cookie) return compare(&dir->cookie, own, may_grow, dir->path, why);
    verdict->stamps_dirs = true;
    if (may_grow && dir->is_empty) return RT_OK;
    return rt_why_set(
        why, RT_EINVAL,
        "%s: its cookie (current/VERSION) is missing, while other directories or the "
        "metadata have one: is the disk mounted? A disk that was lost is given up with "
        "'geminga bookie cookie delete'%s",
        dir->path, dir->is_empty ? "; a new directory needs allowStorageExpansion" : "");
}

static rt_err known_judge(struct bookie_cookies *cookies, const struct proto_cookie *remote,
                          bool may_grow, struct bookie_cookie_verdict *verdict,
                          struct rt_why *why) {
    const struct proto_cookie *own = &cookies->own;
    if (!remote)
        return rt_why_set(why, RT_EINVAL,
                          "%s: has a cookie, but the metadata has none for bookie '%.*s': is this "
                          "the right cluster? 'geminga bookie cookie create' makes it anew",
                          cookies->dirs[0].path, (int)own->bookie.size,
                          (const char *)own->bookie.data);
    rt_err err = compare(remote, own, may_grow, "the cookie in the metadata", why);
    for (unsigned i = 0; i < cookies->count && !err; i++)
        err = dir_judge(&cookies->dirs[i], own, may_grow, verdict, why);
    if (err || rt_bytes_equal(remote->ledger_dirs, own->ledger_dirs)) return err;
    if (!is_part_of(remote->ledger_dirs, own->ledger_dirs))
        return differ(why, "the cookie in the metadata", "ledgerDirectories", remote->ledger_dirs,
                      own->ledger_dirs);
    verdict->stamps_dirs = verdict->stamps_remote = verdict->rewrites_all = true;
    return RT_OK;
}

rt_err bookie_cookies_judge(struct bookie_cookies *cookies, const struct proto_cookie *remote,
                            struct rt_bytes instance, bool allow_expansion,
                            struct bookie_cookie_verdict *verdict, struct rt_why *why) {
    bool any = false;
    *verdict = (struct bookie_cookie_verdict){0};
    cookies->own.instance = rt_arena_copy(&cookies->arena, instance);
    cookies->own.has_instance = instance.size > 0;
    for (unsigned i = 0; i < cookies->count; i++) any |= cookies->dirs[i].has_cookie;
    if (any || remote) return known_judge(cookies, remote, allow_expansion, verdict, why);
    verdict->stamps_dirs = verdict->stamps_remote = true;
    return new_check(cookies, why);
}

rt_err bookie_cookies_stamp_now(struct rt_machine *machine, struct bookie_cookies *cookies,
                                const struct bookie_cookie_verdict *verdict, struct rt_why *why) {
    struct rt_buf text = {0};
    rt_err err = RT_OK;
    proto_cookie_encode(&cookies->own, &text);
    for (unsigned i = 0; i < cookies->count && !err; i++) {
        if (cookies->dirs[i].has_cookie && !verdict->rewrites_all) continue;
        err = file_store_now(machine, cookies->dirs[i].path, rt_buf_bytes(&text), why);
    }
    rt_buf_fini(&text);
    return err;
}
