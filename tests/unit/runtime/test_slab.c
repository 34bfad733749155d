#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "tests/lib/hand_machine.h"

Test(runtime_slab, a_slab_has_room_for_what_was_asked_and_is_charged_whole) {
    static const size_t sizes[] = {0, 1, 1024, 1025, 4096, 65536, 65537, 262144, 262145, 5 << 20};
    struct rt_slab_pool *pool = rt_slab_pool_new(1 << 20);
    struct rt_budget budget;
    rt_budget_init(&budget, "test", 1 << 20);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rt_slab *slab = rt_slab_get(pool, sizes[i], &budget);
        cr_assert_geq(slab->capacity, sizes[i]);
        memset(slab->data, 1, slab->capacity);
        cr_assert_eq(rt_budget_used(&budget), rt_slab_charge_size(sizes[i]));
        cr_assert_gt(rt_slab_charge_size(sizes[i]), slab->capacity, "the header counts too");
        cr_assert_eq(rt_slab_pool_stats(pool).in_use_bytes, rt_slab_charge_size(sizes[i]));
        rt_slab_drop(slab);
        cr_assert_eq(rt_budget_used(&budget), 0);
    }
    rt_slab_pool_free(pool);
}

Test(runtime_slab, a_slice_keeps_its_slab_and_the_last_one_gives_it_back) {
    struct rt_slab_pool *pool = rt_slab_pool_new(1 << 20);
    struct rt_budget budget;
    rt_budget_init(&budget, "test", 1 << 20);
    struct rt_slab *slab = rt_slab_get(pool, 1000, &budget);
    memcpy(slab->data, "0123456789", 10);
    struct rt_slice whole = rt_slice_of_slab(slab, 0, 10);
    rt_slab_drop(slab);
    struct rt_slice part = rt_slice_sub(whole, 3, 4);
    struct rt_slice again = rt_slice_hold(part);
    rt_slice_drop(&whole);
    cr_assert_null(whole.slab);
    cr_assert(rt_bytes_equal(rt_slice_bytes(part), RT_BYTES_LITERAL("3456")));
    rt_slice_drop(&part);
    cr_assert_gt(rt_budget_used(&budget), 0);
    cr_assert(rt_bytes_equal(rt_slice_bytes(again), RT_BYTES_LITERAL("3456")));
    rt_slice_drop(&again);
    rt_slice_drop(&again);  // dropping an empty slice is harmless
    cr_assert_eq(rt_budget_used(&budget), 0);
    cr_assert_geq(budget.peak_bytes, 1000);
    rt_slab_pool_free(pool);
}

Test(runtime_slab, static_and_empty_slices_need_no_slab) {
    struct rt_slab_pool *pool = rt_slab_pool_new(0);
    struct rt_slice text = rt_slice_static(RT_BYTES_LITERAL("static"));
    struct rt_slice sub = rt_slice_sub(text, 2, 4);
    cr_assert(rt_bytes_equal(rt_slice_bytes(sub), RT_BYTES_LITERAL("atic")));
    struct rt_slice none = rt_slice_copy(pool, NULL, RT_BYTES(NULL, 0));
    cr_assert_null(none.slab);
    struct rt_slice none_sub = rt_slice_sub(none, 0, 0);
    cr_assert_eq(none_sub.size, 0);
    rt_slice_drop(&text);
    rt_slice_drop(&sub);
    rt_slice_drop(&none);
    rt_slab_pool_free(pool);
}

Test(runtime_slab, a_copy_does_not_pin_the_slab_it_came_from) {
    struct rt_slab_pool *pool = rt_slab_pool_new(0);
    struct rt_budget large, small;
    rt_budget_init(&large, "large", 1 << 20);
    rt_budget_init(&small, "small", 1 << 20);
    struct rt_slab *slab = rt_slab_get(pool, RT_SLAB_256K, &large);
    memcpy(slab->data, "keep", 4);
    struct rt_slice copy = rt_slice_copy(pool, &small, RT_BYTES(slab->data, 4));
    rt_slab_drop(slab);
    cr_assert_eq(rt_budget_used(&large), 0);
    cr_assert_eq(rt_budget_used(&small), rt_slab_charge_size(4));
    cr_assert(rt_bytes_equal(rt_slice_bytes(copy), RT_BYTES_LITERAL("keep")));
    rt_slice_drop(&copy);
    rt_slab_pool_free(pool);
}

Test(runtime_slab, a_pool_that_is_freed_lives_until_its_last_slab_is_back) {
    struct rt_slab_pool *pool = rt_slab_pool_new(1 << 20);
    struct rt_slab *first = rt_slab_get(pool, 100, NULL), *last = rt_slab_get(pool, 100000, NULL);
    rt_slab_drop(rt_slab_get(pool, 100, NULL));
    rt_slab_pool_free(pool);
    rt_slab_drop(first);
    memset(last->data, 1, last->capacity);
    rt_slab_drop(last);  // the sanitizer sees it if this came too late, or never
}

static struct hand_machine hand;

enum { TAKEN = 40 };
static struct rt_slab *taken[TAKEN];

static void take_run(struct rt_task *task) {
    (void)task;
    struct rt_loop *loop = rt_loop_current();
    for (unsigned i = 0; i < TAKEN; i++) taken[i] = rt_slab_get(rt_loop_slabs(loop), 4000, NULL);
}

static void drop_run(struct rt_task *task) {
    (void)task;
    for (unsigned i = 0; i < TAKEN; i++) rt_slab_drop(taken[i]);
}

Test(runtime_slab, the_loop_that_owns_a_pool_takes_its_slabs_again) {
    hand_machine_init(&hand, 1);
    struct rt_task task;
    for (unsigned round = 0; round < 10; round++) {
        hand_in_turn(&hand, take_run, &task);
        hand_in_turn(&hand, drop_run, &task);
    }
    struct rt_slab_stats stats = rt_slab_pool_stats(rt_loop_slabs(hand_loop(&hand, 0)));
    cr_assert_eq(stats.taken, 10 * TAKEN);
    cr_assert_eq(stats.recycled, 9 * TAKEN);
    cr_assert_eq(stats.foreign_returns, 0);
    cr_assert_eq(stats.in_use_bytes, 0);
    cr_assert_eq(stats.free_bytes, TAKEN * rt_slab_charge_size(4000));
    hand_machine_fini(&hand);
}

Test(runtime_slab, slabs_dropped_elsewhere_come_back_to_their_pool) {
    hand_machine_init(&hand, 2);
    struct rt_task task;
    for (unsigned round = 0; round < 10; round++) {
        hand_in_turn(&hand, take_run, &task);
        rt_task_init(&task, drop_run, "drop");
        rt_post(hand_loop(&hand, 1), &task);
        hand_turn(&hand, 1);
    }
    struct rt_slab_stats stats = rt_slab_pool_stats(rt_loop_slabs(hand_loop(&hand, 0)));
    cr_assert_eq(stats.recycled, 9 * TAKEN);
    cr_assert_eq(stats.foreign_returns, 10 * TAKEN);
    cr_assert_eq(rt_slab_pool_stats(rt_loop_slabs(hand_loop(&hand, 1))).taken, 0);
    hand_machine_fini(&hand);
}

Test(runtime_slab, an_idle_pool_keeps_no_more_than_it_may) {
    enum { FREE_MAX = 20000, COUNT = 50 };
    struct rt_slab_pool *pool = rt_slab_pool_new(FREE_MAX);
    struct rt_slab *slabs[COUNT];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COUNT; i++) slabs[i] = rt_slab_get(pool, 1000, NULL);
        for (unsigned i = 0; i < COUNT; i++) rt_slab_drop(slabs[i]);
        cr_assert_leq(rt_slab_pool_stats(pool).free_bytes, FREE_MAX);
    }
    rt_slab_pool_free(pool);
}

// One thread takes, writes and hands on; others check and drop at the same time.
enum { EXCHANGE_SLOTS = 64, EXCHANGES = 30000, DROPPERS = 3 };

struct exchange {
    _Atomic(struct rt_slab *) slots[EXCHANGE_SLOTS];
    atomic_bool ended;
    atomic_uint wrong;
};

static void exchange_check_and_drop(struct exchange *x, struct rt_slab *slab) {
    for (size_t i = 1; i < 100; i++) {
        if (slab->data[i] != slab->data[0]) atomic_fetch_add(&x->wrong, 1);
    }
    rt_slab_drop(slab);
}

static void *exchange_drop(void *argument) {
    struct exchange *x = argument;
    for (unsigned i = 0; !atomic_load(&x->ended); i++) {
        struct rt_slab *slab = atomic_exchange(&x->slots[i % EXCHANGE_SLOTS], NULL);
        if (slab) exchange_check_and_drop(x, slab);
    }
    return NULL;
}

Test(runtime_slab, slabs_cross_threads_without_being_given_out_twice) {
    static struct exchange x;
    struct rt_slab_pool *pool = rt_slab_pool_new(1 << 20);
    struct rt_budget budget;
    rt_budget_init(&budget, "test", 1 << 20);
    pthread_t threads[DROPPERS];
    for (unsigned i = 0; i < DROPPERS; i++) pthread_create(&threads[i], NULL, exchange_drop, &x);
    for (unsigned i = 0; i < EXCHANGES; i++) {
        struct rt_slab *slab = rt_slab_get(pool, i % 3 ? 1000 : 5000, &budget);
        memset(slab->data, (int)(i % 251), 100);
        struct rt_slab *old = atomic_exchange(&x.slots[i % EXCHANGE_SLOTS], slab);
        if (old) exchange_check_and_drop(&x, old);
    }
    rt_slab_pool_free(pool);
    atomic_store(&x.ended, true);
    for (unsigned i = 0; i < DROPPERS; i++) pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < EXCHANGE_SLOTS; i++) {
        if (x.slots[i]) exchange_check_and_drop(&x, x.slots[i]);
    }
    cr_assert_eq(atomic_load(&x.wrong), 0);
    cr_assert_eq(rt_budget_used(&budget), 0);
}

// BUDGETS

Test(runtime_slab, a_budget_refuses_what_would_go_over_and_counts_what_must) {
    struct rt_budget budget;
    rt_budget_init(&budget, "test", 100);
    cr_assert(rt_budget_try_charge(&budget, 100));
    cr_assert_not(rt_budget_try_charge(&budget, 1));
    rt_budget_charge(&budget, 50);
    cr_assert_not(rt_budget_try_charge(&budget, 0), "it is over");
    rt_budget_release(&budget, 50);
    cr_assert(rt_budget_try_charge(&budget, 0));
    cr_assert_not(rt_budget_try_charge(&budget, SIZE_MAX));
    rt_budget_release(&budget, 100);
    cr_assert_eq(rt_budget_used(&budget), 0);
    cr_assert_eq(budget.peak_bytes, 150);
}

static unsigned woken;

static void wake_run(struct rt_task *task) {
    (void)task;
    woken++;
}

static void start(struct rt_budget *budget, unsigned loop_count) {
    hand_machine_init(&hand, loop_count);
    rt_budget_init(budget, "test", 100);
    woken = 0;
}

Test(runtime_slab, the_release_that_makes_room_wakes_every_waiter_once) {
    struct rt_budget budget;
    start(&budget, HAND_LOOPS_MAX);
    struct rt_task wakes[HAND_LOOPS_MAX];
    rt_budget_charge(&budget, 100);
    for (unsigned i = 0; i < HAND_LOOPS_MAX; i++) {
        rt_task_init(&wakes[i], wake_run, "wake");
        rt_budget_wait(&budget, hand_loop(&hand, i), &wakes[i]);
    }
    rt_budget_release(&budget, 24);
    hand_settle(&hand);
    cr_assert_eq(woken, 0, "76 of 100 are still used");
    rt_budget_release(&budget, 1);
    hand_settle(&hand);
    cr_assert_eq(woken, HAND_LOOPS_MAX);
    rt_budget_release(&budget, 75);
    hand_settle(&hand);
    cr_assert_eq(woken, HAND_LOOPS_MAX);
    hand_machine_fini(&hand);
}

Test(runtime_slab, who_waits_while_there_is_room_is_woken_at_once) {
    struct rt_budget budget;
    start(&budget, 1);
    struct rt_task wake;
    rt_task_init(&wake, wake_run, "wake");
    rt_budget_charge(&budget, 75);
    rt_budget_wait(&budget, hand_loop(&hand, 0), &wake);
    cr_assert_eq(woken, 0, "never inside the call");
    hand_settle(&hand);
    cr_assert_eq(woken, 1);
    hand_machine_fini(&hand);
}

Test(runtime_slab, who_forgets_is_not_woken_unless_the_task_was_on_its_way) {
    struct rt_budget budget;
    start(&budget, 1);
    struct rt_loop *loop = hand_loop(&hand, 0);
    struct rt_task wakes[3];
    rt_budget_charge(&budget, 100);
    for (unsigned i = 0; i < 3; i++) {
        rt_task_init(&wakes[i], wake_run, "wake");
        cr_assert_not(rt_budget_forget(&budget, loop, &wakes[i]), "it never waited");
        rt_budget_wait(&budget, loop, &wakes[i]);
    }
    cr_assert(rt_budget_forget(&budget, loop, &wakes[1]));
    cr_assert_not(rt_budget_forget(&budget, loop, &wakes[1]));
    rt_budget_release(&budget, 100);
    cr_assert_not(rt_budget_forget(&budget, loop, &wakes[0]), "posted");
    cr_assert_not(rt_budget_forget(&budget, loop, &wakes[2]), "posted");
    hand_settle(&hand);
    cr_assert_eq(woken, 2);
    cr_assert_not(rt_budget_forget(&budget, loop, &wakes[0]), "it ran");
    hand_machine_fini(&hand);
}

Test(runtime_slab, a_task_may_wait_again_after_it_was_woken) {
    struct rt_budget budget;
    start(&budget, 1);
    struct rt_task wake;
    rt_task_init(&wake, wake_run, "wake");
    for (unsigned round = 1; round <= 3; round++) {
        rt_budget_charge(&budget, 100);
        rt_budget_wait(&budget, hand_loop(&hand, 0), &wake);
        rt_budget_release(&budget, 100);
        hand_settle(&hand);
        cr_assert_eq(woken, round);
    }
    hand_machine_fini(&hand);
}
