#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "tests/lib/hand_machine.h"

static struct hand_machine hand;

// Timers of a model: what is armed, when and since when; what fired, in order.
enum { MODEL_TIMERS = 3000 };

struct model_timer {
    struct rt_timer timer;
    uint64_t deadline_ns, armed_as;  // the model's own idea
    bool is_armed;
};

static struct model_timer *model;
static uint64_t arm_count, fired_count;
static uint64_t last_deadline_ns, last_armed_as;

static void start(void) {
    hand_machine_init(&hand, 1);
    fired_count = 0;
    arm_count = 0;
}

static void finish(void) {
    hand_machine_fini(&hand);
}

static void model_fire(struct rt_timer *timer) {
    struct model_timer *t = rt_container_of(timer, struct model_timer, timer);
    cr_assert(t->is_armed, "fired though idle in the model");
    cr_assert_not(rt_timer_is_armed(timer), "off the heap when it fires");
    cr_assert_leq(t->deadline_ns, hand.now_ns);
    bool in_order = t->deadline_ns > last_deadline_ns ||
                    (t->deadline_ns == last_deadline_ns && t->armed_as > last_armed_as);
    cr_assert(in_order, "by deadline, then by the order of arming");
    last_deadline_ns = t->deadline_ns;
    last_armed_as = t->armed_as;
    t->is_armed = false;
    fired_count++;
}

static void model_arm(struct model_timer *t, uint64_t deadline_ns) {
    rt_timer_at(&t->timer, deadline_ns);
    t->deadline_ns = deadline_ns > hand.now_ns ? deadline_ns : hand.now_ns + 1;
    t->armed_as = ++arm_count;
    t->is_armed = true;
}

static uint64_t model_next(void) {
    uint64_t next_ns = UINT64_MAX;
    for (unsigned i = 0; i < MODEL_TIMERS; i++) {
        if (model[i].is_armed && model[i].deadline_ns < next_ns) next_ns = model[i].deadline_ns;
    }
    return next_ns;
}

static struct rt_random draw;

// Arms, moves and cancels at random; many deadlines are equal, some lie in the past.
static void model_churn(struct rt_task *task) {
    (void)task;
    for (unsigned i = 0; i < 400; i++) {
        struct model_timer *t = &model[rt_random_below(&draw, MODEL_TIMERS)];
        if (rt_random_chance(&draw, 250000)) {
            rt_timer_cancel(&t->timer);
            t->is_armed = false;
        } else {
            model_arm(t, hand.now_ns - 20 + rt_random_below(&draw, 300));
        }
        cr_assert_eq(rt_timer_is_armed(&t->timer), t->is_armed);
    }
}

static void model_clear(struct rt_task *task) {
    (void)task;
    for (unsigned i = 0; i < MODEL_TIMERS; i++) rt_timer_cancel(&model[i].timer);
}

Test(runtime_timer, any_mix_of_arming_moving_and_cancelling_fires_like_a_sorted_list) {
    start();
    rt_random_seed(&draw, 42);
    model = rt_alloc_zero(MODEL_TIMERS, sizeof(model[0]));
    for (unsigned i = 0; i < MODEL_TIMERS; i++) {
        rt_timer_init(&model[i].timer, hand_loop(&hand, 0), model_fire, "model");
    }
    struct rt_task task;
    for (unsigned turn = 0; turn < 300; turn++) {
        last_deadline_ns = last_armed_as = 0;
        hand_in_turn(&hand, model_churn, &task);
        cr_assert_eq(rt_loop_next_deadline(hand_loop(&hand, 0)), model_next());
        hand.now_ns += rt_random_below(&draw, 60);
    }
    cr_assert_gt(fired_count, 10000);
    hand_in_turn(&hand, model_clear, &task);
    finish();
    rt_free(model);
}

static struct rt_timer pair[2];
static char fired[16];

static void pair_fire(struct rt_timer *timer) {
    size_t used = strlen(fired);
    fired[used] = timer == &pair[0] ? '0' : '1';
    fired[used + 1] = 0;
}

static void pair_cancels(struct rt_timer *timer) {
    pair_fire(timer);
    rt_timer_cancel(&pair[1]);
}

static void pair_init(void (*first_fire)(struct rt_timer *)) {
    start();
    fired[0] = 0;
    rt_timer_init(&pair[0], hand_loop(&hand, 0), first_fire, "first");
    rt_timer_init(&pair[1], hand_loop(&hand, 0), pair_fire, "second");
}

Test(runtime_timer, a_timer_cancelled_by_another_that_fired_first_does_not_fire) {
    pair_init(pair_cancels);
    rt_timer_at(&pair[0], hand.now_ns + 10);
    rt_timer_at(&pair[1], hand.now_ns + 10);
    hand.now_ns += 10;
    hand_turn(&hand, 0);
    cr_assert_str_eq(fired, "0");
    cr_assert_not(rt_timer_is_armed(&pair[1]));
    finish();
}

static void pair_rearms(struct rt_timer *timer) {
    pair_fire(timer);
    if (strlen(fired) < 4) rt_timer_at(timer, 0);
}

Test(runtime_timer, a_timer_armed_in_the_past_fires_in_the_next_turn_and_never_in_this_one) {
    pair_init(pair_rearms);
    rt_timer_at(&pair[0], 0);
    for (size_t turn = 1; turn <= 4; turn++) {
        hand.now_ns++;
        hand_turn(&hand, 0);
        cr_assert_eq(strlen(fired), turn);
    }
    finish();
}

Test(runtime_timer, a_turn_asks_for_another_when_a_timer_came_due_meanwhile) {
    pair_init(pair_fire);
    hand.step_ns = 10;  // the clock moves while the turn goes on
    rt_timer_after(&pair[0], 25);
    cr_assert(hand_turn(&hand, 0));
    cr_assert_str_eq(fired, "");
    hand_turn(&hand, 0);
    cr_assert_str_eq(fired, "0");
    finish();
}

static void pair_cancel(struct rt_task *task) {
    (void)task;
    rt_timer_cancel(&pair[0]);
    rt_timer_cancel(&pair[1]);
}

Test(runtime_timer, the_longest_delay_is_for_ever_and_does_not_wrap) {
    pair_init(pair_fire);
    rt_timer_after(&pair[0], UINT64_MAX);
    rt_timer_after(&pair[1], UINT64_MAX - 1);
    cr_assert_eq(rt_loop_next_deadline(hand_loop(&hand, 0)), UINT64_MAX);
    hand.now_ns *= 1000;
    hand_turn(&hand, 0);
    cr_assert_str_eq(fired, "");
    struct rt_task task;
    hand_in_turn(&hand, pair_cancel, &task);
    finish();
}

Test(runtime_timer, cancelling_an_idle_timer_is_harmless) {
    pair_init(pair_fire);
    rt_timer_cancel(&pair[0]);
    rt_timer_at(&pair[0], hand.now_ns + 1);
    rt_timer_cancel(&pair[0]);
    rt_timer_cancel(&pair[0]);
    hand.now_ns += 100;
    hand_turn(&hand, 0);
    cr_assert_str_eq(fired, "");
    finish();
}

static void count_fire(struct rt_timer *timer) {
    (void)timer;
    fired_count++;
}

enum { MANY = 1000000 };
static struct rt_timer *many;

static void many_arm(struct rt_task *task) {
    (void)task;
    for (unsigned i = 0; i < MANY; i++) {
        uint64_t delay_ns = 1 + i * UINT64_C(2654435761) % MANY;
        rt_timer_after(&many[i], delay_ns);
    }
    for (unsigned i = 0; i < MANY; i += 2) rt_timer_cancel(&many[i]);
}

Test(runtime_timer, of_a_million_timers_exactly_those_not_cancelled_fire) {
    start();
    many = rt_alloc(MANY * sizeof(many[0]));
    for (unsigned i = 0; i < MANY; i++) {
        rt_timer_init(&many[i], hand_loop(&hand, 0), count_fire, "many");
    }
    struct rt_task task;
    hand_in_turn(&hand, many_arm, &task);
    cr_assert_eq(rt_loop_stats(hand_loop(&hand, 0)).timers_armed, MANY / 2);
    hand.now_ns += MANY;
    hand_turn(&hand, 0);
    cr_assert_eq(fired_count, MANY / 2);
    finish();
    rt_free(many);
}

Test(runtime_timer, a_loop_that_ends_with_an_armed_timer_names_it, .signal = SIGABRT) {
    pair_init(pair_fire);
    rt_timer_at(&pair[0], hand.now_ns + 10);
    rt_loop_free(hand_loop(&hand, 0));
}
