// Lives of a journal, one after the other, on both machines: groups, large records, rolls, reuse,
// deferred records and forces, and what the next start finds.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/harness.h"
#include "tests/unit/bookie_journal/fixture.h"

enum { PATH_SIZE = 160, FIRST = 3000 };

struct life {
    struct harness harness;
    struct fixture *fixture;
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct rt_task closed;
    char root[PATH_SIZE], directory[PATH_SIZE + 8];
    uint64_t target;  // records to append in this life
    unsigned step;
    bool is_closing;
};

static struct life *current;  // the fixture does not know who has it

static void next_step(struct life *life);

static void ended(struct life *life) {
    if (life->root[0] == '/')
        HARNESS_CHECK(&life->harness, !rt_path_remove_tree_now(life->machine, life->root));
    harness_end(&life->harness);
}

static void open_again(struct life *life) {
    struct fixture *fixture = life->fixture;
    uint64_t acked = fixture->acked;
    rt_err err = fixture_open(fixture, life->machine, life->loop);
    if (err) harness_fail(&life->harness, "%s", fixture->why.text);
    const char *wrong = fixture_check(fixture, acked);
    if (wrong) harness_fail(&life->harness, "step %u: %s", life->step, wrong);
    if (!err && fixture->next != acked && acked)
        harness_fail(&life->harness, "step %u: ends with %llu", life->step,
                     (unsigned long long)fixture->next);
}

static void on_closed(struct rt_task *task) {
    struct life *life = rt_container_of(task, struct life, closed);
    HARNESS_CHECK(&life->harness, life->fixture->answered == life->fixture->next);
    HARNESS_CHECK(&life->harness, life->fixture->failures == 0);
    life->is_closing = false;
    life->step++;
    next_step(life);
}

static void append_some(struct life *life) {
    struct fixture *fixture = life->fixture;
    for (unsigned i = 0; i < 7 && fixture->next < life->target; i++) {
        bool is_deferred = life->step == 2 && fixture->next % 3 == 0;
        rt_err err = fixture_append(fixture, is_deferred ? FIXTURE_DEFERRED : FIXTURE_PLAIN);
        if (err == RT_EBUSY) return;
        HARNESS_CHECK(&life->harness, err == RT_OK);
        if (life->step == 2 && fixture->next % 50 == 0)
            HARNESS_CHECK(&life->harness, fixture_force(fixture) == RT_OK);
        if (fixture->next % 400 == 0 && life->step != 1) fixture_checkpoint(fixture);
    }
}

// Appends from the answers, and closes with many of them outstanding.
static void told(struct fixture *fixture) {
    struct life *life = current;
    if (fixture->failures || fixture->wrong) {
        harness_fail(&life->harness, "%s", fixture->wrong ? fixture->wrong : fixture->failure_text);
        return;
    }
    if (life->is_closing) return;
    append_some(life);
    if (fixture->next < life->target) return;
    life->is_closing = true;
    rt_task_init(&life->closed, on_closed, "test.closed");
    bookie_journal_close(fixture->journal, &life->closed);
}

static void on_last_closed(struct rt_task *task) {
    ended(rt_container_of(task, struct life, closed));
}

static void finish(struct life *life) {
    struct bookie_journal_stats stats = bookie_journal_stats(life->fixture->journal);
    HARNESS_CHECK(&life->harness, stats.segments < 20);
    // On the real machine the loop tells that opening blocked it.
    HARNESS_CHECK(&life->harness, life->root[0] == '/' || !harness_log_lines(&life->harness));
    rt_task_init(&life->closed, on_last_closed, "test.closed");
    bookie_journal_close(life->fixture->journal, &life->closed);
}

static void next_step(struct life *life) {
    static const unsigned targets[] = {FIRST, FIRST + 2000, FIRST + 4000, FIRST + 4001};
    open_again(life);
    if (life->step == sizeof(targets) / sizeof(targets[0])) {
        finish(life);
        return;
    }
    life->target = targets[life->step];
    append_some(life);
}

static void start(struct harness *harness, struct rt_loop *loop) {
    struct life *life = rt_container_of(harness, struct life, harness);
    current = life;
    life->loop = loop;
    life->machine = rt_loop_machine(loop);
    snprintf(life->directory, sizeof(life->directory), "%s/journal", life->root);
    life->fixture = fixture_new(life->directory);
    life->fixture->told = told;
    next_step(life);
}

static void run(bool is_real, uint64_t seed) {
    struct life *life = calloc(1, sizeof(*life));
    snprintf(life->root, sizeof(life->root), is_real ? "/tmp/geminga-journal-XXXXXX" : "data");
    if (is_real) cr_assert_not_null(mkdtemp(life->root));
    life->harness.seed = seed;
    life->harness.sides[0].start = start;
    bool is_good = is_real ? harness_run_real(&life->harness) : harness_run_sim(&life->harness);
    cr_assert(is_good, "seed %d: %s", (int)seed, life->harness.failure);
    free(life->fixture);
    free(life);
}

Test(bookie_journal, keeps_what_it_was_given_on_the_real_machine) {
    run(true, 1);
}

Test(bookie_journal, keeps_what_it_was_given_in_the_simulator) {
    for (uint64_t seed = 1; seed <= 10; seed++) run(false, seed);
}
