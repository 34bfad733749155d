// One life after the other of a log, on both machines: groups, large entries, rolled and recycled
// segments, loads, cuts, resets, and what the next start finds.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/file.h"
#include "tests/lib/harness.h"
#include "tests/unit/meta_log/fixture.h"

enum { PATH_SIZE = 160, SMALL = 3000 };

struct log_case {
    struct harness harness;
    struct fixture fixture;
    struct rt_loop *loop;
    struct rt_machine *machine;
    struct rt_task closed;
    unsigned loads_asked;
    uint64_t version_awaited, hard_awaited;
    char root[PATH_SIZE], directory[PATH_SIZE + 8];
    void (*then)(struct log_case *test);
};

static void open_again(struct log_case *test, struct raft_position base,
                       struct raft_position last) {
    struct fixture *fixture = &test->fixture;
    rt_err err = fixture_open(fixture, test->machine, test->loop);
    if (err) harness_fail(&test->harness, "%s", fixture->why.text);
    HARNESS_CHECK(&test->harness, !fixture->is_garbled);
    HARNESS_CHECK(&test->harness, fixture->found.claimed_last.index == 0);
    HARNESS_CHECK(&test->harness, fixture->found.base.index >= base.index);
    struct raft_position found = fixture_last(fixture);
    if (found.index != last.index || found.term != last.term) {
        harness_fail(&test->harness, "the log ends with %llu of term %llu",
                     (unsigned long long)found.index, (unsigned long long)found.term);
    }
}

// Goes on when all that was asked for was told.
static void told(struct fixture *fixture) {
    struct log_case *test = rt_container_of(fixture, struct log_case, fixture);
    if (fixture->failed) harness_fail(&test->harness, "%s", fixture->failure);
    bool is_done = fixture->log_version >= test->version_awaited &&
                   fixture->hard_version >= test->hard_awaited &&
                   fixture->loads == test->loads_asked;
    if (!is_done || !test->then) return;
    void (*then)(struct log_case *) = test->then;
    test->then = NULL;
    then(test);
}

static void on_closed(struct rt_task *task) {
    struct log_case *test = rt_container_of(task, struct log_case, closed);
    void (*then)(struct log_case *) = test->then;
    test->then = NULL;
    then(test);
}

static void close_then(struct log_case *test, void (*then)(struct log_case *)) {
    test->then = then;
    rt_task_init(&test->closed, on_closed, "test.closed");
    meta_log_close(test->fixture.log, &test->closed);
}

static void await(struct log_case *test, uint64_t version, void (*then)(struct log_case *)) {
    test->version_awaited = version;
    test->hard_awaited = 0;
    test->then = then;
}

static void load(struct log_case *test, uint64_t first, uint64_t last, size_t bytes_max) {
    struct raft_load load = {.peer = 1, .first = first, .last = last, .bytes_max = bytes_max};
    test->loads_asked++;
    meta_log_load(test->fixture.log, &load);
}

// THE CASE, from its end to its beginning

static void ended(struct log_case *test) {
    if (test->root[0] == '/')
        HARNESS_CHECK(&test->harness, !rt_path_remove_tree_now(test->machine, test->root));
    harness_end(&test->harness);
}

static void after_reset(struct log_case *test) {
    struct raft_position base = {9000, 6};
    open_again(test, base, (struct raft_position){9003, 7});
    HARNESS_CHECK(&test->harness, test->fixture.found.base.term == 6);
    close_then(test, ended);
}

static void close_after_reset(struct log_case *test) {
    close_then(test, after_reset);
}

// Files of segments that are not needed any more: they wait to be written again.
static unsigned spares_count(struct log_case *test) {
    struct rt_dir_listing listing;
    unsigned count = 0;
    rt_err err = rt_dir_list_now(test->machine, test->directory, &listing, NULL);
    HARNESS_CHECK(&test->harness, err == RT_OK);
    if (err) return 0;
    for (size_t i = 0; i < listing.count; i++) {
        const char *ending = strrchr(listing.entries[i].name, '.');
        if (ending && strcmp(ending, ".spare") == 0) count++;
    }
    rt_dir_listing_fini(&listing);
    return count;
}

static void after_release(struct log_case *test) {
    struct raft_position released = {100, 0};
    HARNESS_CHECK(&test->harness, spares_count(test) > 1);
    open_again(test, released, (struct raft_position){SMALL + 10, 5});
    HARNESS_CHECK(&test->harness, test->fixture.found.hard_state.term == 5);
    HARNESS_CHECK(&test->harness, test->fixture.found.hard_state.vote == 2);
    fixture_reset(&test->fixture, 1, (struct raft_position){9000, 6}, 7, 3);
    await(test, 1, close_after_reset);
}

static void released(struct log_case *test) {
    HARNESS_CHECK(&test->harness, test->fixture.empty_loads == 1);  // of what is gone
    close_then(test, after_release);
}

static void release(struct log_case *test) {
    struct meta_log_stats before = meta_log_stats(test->fixture.log);
    meta_log_release(test->fixture.log, SMALL);
    struct meta_log_stats after = meta_log_stats(test->fixture.log);
    HARNESS_CHECK(&test->harness, after.segments < before.segments);
    fixture_write(&test->fixture, 4, 0, (struct raft_position){SMALL + 2, 5}, 9);
    await(test, 4, released);
    load(test, SMALL + 1, SMALL + 1, 1);
    load(test, 5, 9, 100);
}

static void cut(struct log_case *test) {
    HARNESS_CHECK(&test->harness, test->fixture.empty_loads == 0);
    // The same numbers twice: the entries of term 3 are void.
    fixture_write(&test->fixture, 2, SMALL - 10, (struct raft_position){SMALL - 10, 4}, 20);
    fixture_write(&test->fixture, 3, SMALL - 5, (struct raft_position){SMALL - 5, 5}, 7);
    const struct raft_hard_state hard = {.version = 1, .term = 5, .vote = 2, .commit = 9};
    meta_log_write_hard_state(test->fixture.log, &hard);
    await(test, 3, release);
    test->hard_awaited = 1;
}

static void load_everywhere(struct log_case *test) {
    for (uint64_t first = 1; first <= SMALL; first += 131) load(test, first, SMALL, 50000);
    load(test, 60, 61, 1);  // one above the limit comes all the same
    test->then = cut;
}

static void after_first(struct log_case *test) {
    open_again(test, (struct raft_position){0}, (struct raft_position){SMALL - 500, 2});
    fixture_write(&test->fixture, 1, 0, (struct raft_position){SMALL - 499, 3}, 500);
    await(test, 1, load_everywhere);
}

static void close_first(struct log_case *test) {
    close_then(test, after_first);
}

static void start(struct harness *harness, struct rt_loop *loop) {
    struct log_case *test = rt_container_of(harness, struct log_case, harness);
    struct fixture *fixture = &test->fixture;
    test->loop = loop;
    test->machine = rt_loop_machine(loop);
    snprintf(test->directory, sizeof(test->directory), "%s/log", test->root);
    fixture_init(fixture, test->directory);
    fixture->told = told;
    open_again(test, (struct raft_position){0}, (struct raft_position){0});
    HARNESS_CHECK(harness, fixture->found.is_new);
    const struct raft_hard_state hard = {.term = 1, .commit = 1};
    struct raft_entry first = fixture_entry((struct raft_position){1, 1});
    HARNESS_CHECK(harness, !meta_log_found_now(fixture->log, &first, &hard, &fixture->why));
    for (uint64_t i = 2; i <= 40; i++)
        fixture_write(fixture, i - 1, 0, (struct raft_position){i, 1}, 1);
    fixture_write(fixture, 40, 0, (struct raft_position){41, 2}, SMALL - 540);
    await(test, 40, close_first);
}

Test(meta_log, keeps_what_it_was_given_on_the_real_machine) {
    struct log_case *test = calloc(1, sizeof(*test));
    snprintf(test->root, sizeof(test->root), "/tmp/geminga-log-XXXXXX");
    cr_assert_not_null(mkdtemp(test->root));
    test->harness.sides[0].start = start;
    cr_assert(harness_run_real(&test->harness), "%s", test->harness.failure);
    free(test);
}

Test(meta_log, keeps_what_it_was_given_in_the_simulator) {
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct log_case *test = calloc(1, sizeof(*test));
        snprintf(test->root, sizeof(test->root), "data");
        test->harness.seed = seed;
        test->harness.sides[0].start = start;
        cr_assert(harness_run_sim(&test->harness), "%s", test->harness.failure);
        free(test);
    }
}
