#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/watch/watches.h"
#include "runtime/random.h"

enum { WATCHERS = 3, LOG_SIZE = 1024 };

// Events are kept as "0:NodeCreated /a ": the number of the watcher, and what it heard.
struct desk {
    struct meta_watches *watches;
    struct meta_watcher watchers[WATCHERS];
    struct meta_watch_sink sink;
    char log[LOG_SIZE], acl[8];
};

static void deliver(struct meta_watch_sink *sink, struct meta_watcher *watcher,
                    enum proto_zk_event_type type, struct rt_bytes path, struct rt_bytes acl) {
    struct desk *desk = rt_container_of(sink, struct desk, sink);
    size_t used = strlen(desk->log);
    snprintf(desk->log + used, LOG_SIZE - used, "%d:%s %.*s ", (int)(watcher - desk->watchers),
             proto_zk_event_name(type) + strlen("Node"), (int)path.size, (const char *)path.data);
    snprintf(desk->acl, sizeof(desk->acl), "%.*s", (int)acl.size, (const char *)acl.data);
}

static void desk_open(struct desk *desk) {
    *desk = (struct desk){.watches = meta_watches_new(), .sink.deliver = deliver};
    for (unsigned i = 0; i < WATCHERS; i++) meta_watcher_init(&desk->watchers[i]);
}

static void desk_close(struct desk *desk) {
    for (unsigned i = 0; i < WATCHERS; i++) meta_watches_drop(desk->watches, &desk->watchers[i]);
    struct meta_watch_totals totals = meta_watches_totals(desk->watches);
    cr_assert_eq(totals.watchers + totals.paths + totals.watches + totals.bytes, 0);
    meta_watches_free(desk->watches);
}

static void add(struct desk *desk, unsigned watcher, const char *path, unsigned kinds) {
    meta_watches_add(desk->watches, &desk->watchers[watcher], rt_bytes_of(path), kinds);
}

static bool has(struct desk *desk, unsigned watcher, const char *path, unsigned kinds) {
    return meta_watches_has(desk->watches, &desk->watchers[watcher], rt_bytes_of(path), kinds);
}

static void change(struct desk *desk, enum proto_zk_event_type type, const char *path,
                   const char *expected) {
    const struct meta_change change = {.type = type,
                                       .path = rt_bytes_of(path),
                                       .acl = RT_BYTES_LITERAL("own"),
                                       .parent_acl = RT_BYTES_LITERAL("parent")};
    desk->log[0] = '\0';
    meta_watches_fire(desk->watches, &change, &desk->sink);
    cr_expect_str_eq(desk->log, expected, "%s of %s told: %s, expected: %s",
                     proto_zk_event_name(type), path, desk->log, expected);
}

#define CREATED PROTO_ZK_EVENT_NODE_CREATED
#define DELETED PROTO_ZK_EVENT_NODE_DELETED
#define CHANGED PROTO_ZK_EVENT_NODE_DATA_CHANGED

Test(meta_watch_watches, standard_ones_fire_once_for_what_they_are_about) {
    struct desk desk;
    desk_open(&desk);
    add(&desk, 0, "/a", META_WATCH_DATA);
    add(&desk, 1, "/a", META_WATCH_CHILD);
    change(&desk, CHANGED, "/b", "");
    change(&desk, CHANGED, "/a", "0:DataChanged /a ");
    change(&desk, CHANGED, "/a", "");
    change(&desk, CREATED, "/a/x", "1:ChildrenChanged /a ");
    change(&desk, DELETED, "/a/x", "");
    add(&desk, 0, "/a", META_WATCH_DATA);
    add(&desk, 1, "/a", META_WATCH_CHILD);
    change(&desk, DELETED, "/a", "0:Deleted /a 1:Deleted /a ");
    change(&desk, CREATED, "/a", "");
    desk_close(&desk);
}

Test(meta_watch_watches, lasting_ones_stay) {
    struct desk desk;
    desk_open(&desk);
    add(&desk, 0, "/a", META_WATCH_PERSISTENT);
    add(&desk, 1, "/a", META_WATCH_RECURSIVE);
    for (int i = 0; i < 2; i++) {
        change(&desk, CREATED, "/a", "0:Created /a 1:Created /a ");
        change(&desk, CREATED, "/a/b", "1:Created /a/b 0:ChildrenChanged /a ");
        change(&desk, CHANGED, "/a/b", "1:DataChanged /a/b ");
        change(&desk, CREATED, "/a/b/c", "1:Created /a/b/c ");
        change(&desk, DELETED, "/a", "0:Deleted /a 1:Deleted /a ");
        change(&desk, CREATED, "/ab", "");
    }
    desk_close(&desk);
}

Test(meta_watch_watches, one_watcher_hears_of_one_event_once) {
    struct desk desk;
    desk_open(&desk);
    add(&desk, 0, "/a/b", META_WATCH_DATA | META_WATCH_CHILD);
    add(&desk, 0, "/a/b", META_WATCH_PERSISTENT);
    add(&desk, 0, "/a/b", META_WATCH_RECURSIVE);
    add(&desk, 0, "/a", META_WATCH_RECURSIVE);
    add(&desk, 0, "/", META_WATCH_RECURSIVE);
    change(&desk, DELETED, "/a/b", "0:Deleted /a/b ");
    cr_assert_not(has(&desk, 0, "/a/b", META_WATCH_DATA | META_WATCH_CHILD));
    cr_assert(has(&desk, 0, "/a/b", META_WATCH_PERSISTENT));
    add(&desk, 0, "/a", META_WATCH_CHILD);
    change(&desk, CREATED, "/a/b", "0:Created /a/b 0:ChildrenChanged /a ");
    desk_close(&desk);
}

Test(meta_watch_watches, root_is_the_parent_of_the_first_level) {
    struct desk desk;
    desk_open(&desk);
    add(&desk, 0, "/", META_WATCH_CHILD);
    add(&desk, 1, "/", META_WATCH_RECURSIVE);
    add(&desk, 2, "/", META_WATCH_DATA);
    change(&desk, CREATED, "/a", "1:Created /a 0:ChildrenChanged / ");
    change(&desk, CHANGED, "/", "1:DataChanged / 2:DataChanged / ");
    desk_close(&desk);
}

Test(meta_watch_watches, event_carries_the_acl_of_the_node_it_names) {
    struct desk desk;
    desk_open(&desk);
    add(&desk, 0, "/a/b", META_WATCH_DATA);
    change(&desk, DELETED, "/a/b", "0:Deleted /a/b ");
    cr_assert_str_eq(desk.acl, "own");
    add(&desk, 0, "/a", META_WATCH_CHILD);
    change(&desk, DELETED, "/a/b", "0:ChildrenChanged /a ");
    cr_assert_str_eq(desk.acl, "parent");
    desk_close(&desk);
}

Test(meta_watch_watches, removing_takes_the_kinds_that_are_named) {
    struct desk desk;
    desk_open(&desk);
    const struct rt_bytes path = RT_BYTES_LITERAL("/a");
    add(&desk, 0, "/a", META_WATCH_DATA | META_WATCH_CHILD);
    cr_assert(meta_watches_remove(desk.watches, &desk.watchers[0], path, META_WATCH_DATA));
    cr_assert_not(meta_watches_remove(desk.watches, &desk.watchers[0], path, META_WATCH_DATA));
    cr_assert_not(meta_watches_remove(desk.watches, &desk.watchers[1], path, META_WATCH_CHILD));
    cr_assert(has(&desk, 0, "/a", META_WATCH_CHILD));
    change(&desk, CHANGED, "/a", "");
    desk_close(&desk);
}

Test(meta_watch_watches, totals_count_watchers_paths_and_watches) {
    struct desk desk;
    desk_open(&desk);
    add(&desk, 0, "/a", META_WATCH_DATA);
    add(&desk, 0, "/a", META_WATCH_CHILD);
    add(&desk, 0, "/bb", META_WATCH_DATA);
    add(&desk, 1, "/a", META_WATCH_DATA);
    struct meta_watch_totals totals = meta_watches_totals(desk.watches);
    cr_assert_eq(totals.watchers, 2);
    cr_assert_eq(totals.paths, 2);
    cr_assert_eq(totals.watches, 3);
    cr_assert_eq(totals.bytes, 7);
    cr_assert_eq(desk.watchers[0].count, 2);
    desk_close(&desk);
}

// MODEL: an array of what each watcher holds on each of a few paths.

static const char *const paths[] = {"/", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/ab"};
enum { PATHS = sizeof(paths) / sizeof(paths[0]), KINDS = 16 };

struct model {
    unsigned kinds[WATCHERS][PATHS];
};

static bool is_above(const char *above, const char *path) {
    size_t size = strlen(above);
    if (strcmp(above, path) == 0) return true;
    if (size == 1) return true;
    return strncmp(above, path, size) == 0 && path[size] == '/';
}

static unsigned heard_by(const struct desk *desk, unsigned watcher) {
    char prefix[4];
    unsigned count = 0;
    snprintf(prefix, sizeof(prefix), "%u:", watcher);
    for (const char *at = strstr(desk->log, prefix); at; at = strstr(at + 1, prefix)) count++;
    return count;
}

static void model_fire(struct model *model, struct desk *desk, size_t changed,
                       enum proto_zk_event_type type) {
    const struct meta_change change = {.type = type, .path = rt_bytes_of(paths[changed])};
    unsigned standard = META_WATCH_DATA | (type == DELETED ? (unsigned)META_WATCH_CHILD : 0);
    desk->log[0] = '\0';
    meta_watches_fire(desk->watches, &change, &desk->sink);
    for (unsigned w = 0; w < WATCHERS; w++) {
        unsigned *kinds = model->kinds[w];
        unsigned expected = 0;
        for (size_t p = 0; p < PATHS; p++)
            expected |= is_above(paths[p], paths[changed]) && (kinds[p] & META_WATCH_RECURSIVE);
        expected |= (kinds[changed] & (standard | META_WATCH_PERSISTENT)) != 0;
        kinds[changed] &= ~standard;
        for (size_t p = 0; p < PATHS && type != CHANGED; p++) {
            struct rt_bytes path = rt_bytes_of(paths[changed]);
            bool is_parent = p != changed && is_above(paths[p], paths[changed]) &&
                             !memchr(path.data + strlen(paths[p]) + (p != 0), '/',
                                     path.size - strlen(paths[p]) - (p != 0));
            if (!is_parent) continue;
            expected += (kinds[p] & (META_WATCH_CHILD | META_WATCH_PERSISTENT)) != 0;
            kinds[p] &= ~(unsigned)META_WATCH_CHILD;
        }
        cr_assert_eq(heard_by(desk, w), expected, "watcher %u of %s at %s: %s", w,
                     proto_zk_event_name(type), paths[changed], desk->log);
    }
}

static void model_compare(const struct model *model, struct desk *desk) {
    size_t watches = 0;
    for (unsigned w = 0; w < WATCHERS; w++) {
        for (size_t p = 0; p < PATHS; p++) {
            watches += model->kinds[w][p] != 0;
            for (unsigned kind = 1; kind < KINDS; kind <<= 1)
                cr_assert_eq(has(desk, w, paths[p], kind), (model->kinds[w][p] & kind) != 0);
        }
    }
    cr_assert_eq(meta_watches_totals(desk->watches).watches, watches);
}

Test(meta_watch_watches, agree_with_a_model_over_random_changes) {
    static const enum proto_zk_event_type types[] = {CREATED, DELETED, CHANGED};
    struct rt_random random;
    struct model model = {{{0}}};
    struct desk desk;
    desk_open(&desk);
    rt_random_seed(&random, 11);
    for (int i = 0; i < 20000; i++) {
        unsigned w = (unsigned)rt_random_below(&random, WATCHERS);
        size_t p = rt_random_below(&random, PATHS);
        unsigned kinds = 1 + (unsigned)rt_random_below(&random, KINDS - 1);
        switch (rt_random_below(&random, 8)) {
        case 0:
        case 1:
        case 2:
            add(&desk, w, paths[p], kinds);
            model.kinds[w][p] |= kinds;
            break;
        case 3:
            cr_assert_eq(
                meta_watches_remove(desk.watches, &desk.watchers[w], rt_bytes_of(paths[p]), kinds),
                (model.kinds[w][p] & kinds) != 0);
            model.kinds[w][p] &= ~kinds;
            break;
        case 4:
            if (i % 10) break;
            meta_watches_drop(desk.watches, &desk.watchers[w]);
            memset(model.kinds[w], 0, sizeof(model.kinds[w]));
            break;
        default:
            if (p == 0) break;  // nothing creates or deletes the root
            model_fire(&model, &desk, p, types[rt_random_below(&random, 3)]);
        }
        model_compare(&model, &desk);
    }
    desk_close(&desk);
}
