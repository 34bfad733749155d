// A loop's turn, and the posts that cross loops.
//
// The inbox is a stack that any thread pushes onto and the loop takes whole. Posts made in a turn
// to other loops of the machine gather in a chain for each target, newest first, just as they will
// lie in the target's inbox, so that each chain moves with a single atomic operation however long
// it is.
#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/backend.h"
#include "runtime/log.h"
#include "runtime/loop_internal.h"

#if defined(__x86_64__)
#    include <x86intrin.h>
#endif

enum {
    SLOW_LINES_MAX = 5,        // a second
    SLABS_FREE_MAX = 4 << 20,  // what a loop keeps of slabs it does not use at the moment
    LONG_TICKS = 100000        // 20 us to 4 ms, depending on the processor's counter
};

// Written by the loop's turns only, read by anyone.
struct counters {
    atomic_uint_fast64_t turns, tasks, timers_fired, flushes, posts_out, wakeups, adopted_turns;
    atomic_uint_fast64_t busy_ns, slow_callbacks, longest_ns, timers_armed;
    _Atomic(const char *) longest_name;
};

// Posts of this turn to one other loop.
struct outgoing {
    struct rt_task *newest, *oldest;
};

struct rt_loop {
    struct rt_machine *machine;
    void *driver;
    unsigned index;
    bool in_turn;
    uint64_t now_ns;
    struct rt_task *deferred_first, *deferred_last;
    struct rt_list flushes;
    struct timer_heap timers;
    struct outgoing *outgoing;  // by target index; NULL until the first post
    unsigned *targets;          // that have posts waiting, in the order of their first
    unsigned target_count;
    struct rt_slab_pool *slabs;
    struct rt_random random;
    uint64_t turn_tick, last_tick;
    bool may_block;                  // what runs now said so
    struct rt_log_limit slow_limit;  // on a machine without CPU to spare every callback is slow
    struct counters counters;
    _Alignas(64) _Atomic(struct rt_task *) inbox;  // newest first
};

static _Thread_local struct rt_loop *loop_current;
static _Thread_local struct rt_machine *machine_current;

static void count(atomic_uint_fast64_t *counter, uint64_t more) {
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + more, memory_order_relaxed);
}

static uint64_t clock_ns(const struct rt_loop *loop) {
    return loop->machine->backend->mono_ns(loop->machine);
}

// Before its first turn a loop belongs to whoever sets it up.
static void assert_on_loop(const struct rt_loop *loop) {
    assert(loop == loop_current || !atomic_load(&loop->counters.turns));
    (void)loop;
}

// SLOW CALLBACKS
//
// Reading the clock costs more than most callbacks, the processor's own counter half as much. So
// that is read after each callback, and the clock only when the counter says that one took long;
// the turn's own length by both is what converts one to the other.

static uint64_t read_tick(const struct rt_loop *loop) {
#if defined(__x86_64__)
    (void)loop;
    return __rdtsc();
#elif defined(__aarch64__)
    (void)loop;
    uint64_t tick;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(tick));
    return tick;
#else
    return clock_ns(loop);
#endif
}

static void callback_was_long(struct rt_loop *loop, const char *name, uint64_t ticks) {
    uint64_t turn_ticks = loop->last_tick - loop->turn_tick;
    uint64_t turn_ns = clock_ns(loop) - loop->now_ns;  // 0 in the simulator: nothing is slow there
    uint64_t took_ns = (uint64_t)((unsigned __int128)turn_ns * ticks / turn_ticks);
    struct counters *counters = &loop->counters;
    if (took_ns > atomic_load_explicit(&counters->longest_ns, memory_order_relaxed)) {
        atomic_store_explicit(&counters->longest_ns, took_ns, memory_order_relaxed);
        atomic_store_explicit(&counters->longest_name, name, memory_order_relaxed);
    }
    bool may_block = loop->may_block;
    loop->may_block = false;
    if (took_ns <= RT_SLOW_CALLBACK_NS) return;
    count(&counters->slow_callbacks, 1);
    if (!may_block && rt_log_allows(&loop->slow_limit, "loop")) {
        rt_log_warn("loop", "callback was slow name=%s loop=%u ms=%llu", name, loop->index,
                    (unsigned long long)(took_ns / RT_NS_PER_MS));
    }
    loop->last_tick = read_tick(loop);
}

static inline void callback_ended(struct rt_loop *loop, const char *name) {
    uint64_t tick = read_tick(loop);
    uint64_t ticks = tick - loop->last_tick;
    loop->last_tick = tick;
    if (ticks > LONG_TICKS) callback_was_long(loop, name ? name : "?", ticks);
}

// POSTS

static bool push_chain(struct rt_loop *loop, struct rt_task *newest, struct rt_task *oldest) {
    struct rt_task *top = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        oldest->next = top;
    } while (!atomic_compare_exchange_weak(&loop->inbox, &top, newest));
    return top == NULL;
}

bool rt_loop_push(struct rt_loop *loop, struct rt_task *task) {
    return push_chain(loop, task, task);
}

static void gather_post(struct rt_loop *from, const struct rt_loop *to, struct rt_task *task) {
    if (!from->outgoing) {
        unsigned loop_count = from->machine->loop_count;
        from->outgoing = rt_alloc_zero(loop_count, sizeof(from->outgoing[0]));
        from->targets = rt_alloc_zero(loop_count, sizeof(from->targets[0]));
    }
    struct outgoing *out = &from->outgoing[to->index];
    task->next = out->newest;
    out->newest = task;
    if (!out->oldest) {
        out->oldest = task;
        from->targets[from->target_count++] = to->index;
    }
    count(&from->counters.posts_out, 1);
}

void rt_post(struct rt_loop *to, struct rt_task *task) {
    struct rt_loop *from = loop_current;
    if (from == to) {
        rt_defer(to, task);
    } else if (from && from->machine == to->machine) {
        gather_post(from, to, task);
    } else if (rt_loop_push(to, task)) {
        to->machine->backend->notify(to);
    }
}

void rt_defer(struct rt_loop *loop, struct rt_task *task) {
    assert_on_loop(loop);
    task->next = NULL;
    if (loop->deferred_last) {
        loop->deferred_last->next = task;
    } else {
        loop->deferred_first = task;
    }
    loop->deferred_last = task;
}

static void send_posts(struct rt_loop *loop) {
    for (unsigned i = 0; i < loop->target_count; i++) {
        struct rt_loop *to = loop->machine->loops[loop->targets[i]];
        struct outgoing out = loop->outgoing[to->index];
        loop->outgoing[to->index] = (struct outgoing){0};
        if (push_chain(to, out.newest, out.oldest)) loop->machine->backend->notify(to);
    }
    loop->target_count = 0;
}

// TURNS

static struct rt_task *reversed(struct rt_task *newest) {
    struct rt_task *first = NULL;
    while (newest) {
        struct rt_task *next = newest->next;
        newest->next = first;
        first = newest;
        newest = next;
    }
    return first;
}

static uint64_t run_list(struct rt_loop *loop, struct rt_task *task) {
    uint64_t ran = 0;
    for (; task; ran++) {
        struct rt_task *next = task->next;
        const char *name = task->name;  // the task may be gone when it has run
        task->next = NULL;
        task->run(task);
        callback_ended(loop, name);
        task = next;
    }
    return ran;
}

// Exactly the tasks that wait now: what they post or defer is for the next turn.
static void run_tasks(struct rt_loop *loop) {
    struct rt_task *deferred = loop->deferred_first;
    loop->deferred_first = loop->deferred_last = NULL;
    struct rt_task *arrived = NULL;
    if (rt_loop_has_work(loop)) arrived = reversed(atomic_exchange(&loop->inbox, NULL));
    uint64_t ran = run_list(loop, deferred);
    ran += run_list(loop, arrived);
    count(&loop->counters.tasks, ran);
}

// Timers armed meanwhile have deadlines after now (rt_timer_at), so this ends.
static void run_timers(struct rt_loop *loop) {
    uint64_t fired = 0;
    for (;; fired++) {
        struct rt_timer *timer = timer_heap_pop_due(&loop->timers, loop->now_ns);
        if (!timer) break;
        const char *name = timer->name;
        timer->fire(timer);
        callback_ended(loop, name);
    }
    count(&loop->counters.timers_fired, fired);
    atomic_store_explicit(&loop->counters.timers_armed, loop->timers.count, memory_order_relaxed);
}

static void run_flushes(struct rt_loop *loop) {
    struct rt_list asked;  // a flush that is forgotten meanwhile unlinks itself from here
    rt_list_init(&asked);
    rt_list_splice(&asked, &loop->flushes);
    uint64_t ran = 0;
    for (struct rt_list *node; (node = rt_list_pop_front(&asked)); ran++) {
        struct rt_flush *flush = rt_container_of(node, struct rt_flush, link);
        const char *name = flush->name;
        flush->queued = false;
        flush->run(flush);
        callback_ended(loop, name);
    }
    count(&loop->counters.flushes, ran);
}

static bool has_more(const struct rt_loop *loop, uint64_t now_ns) {
    return loop->deferred_first || !rt_list_is_empty(&loop->flushes) || rt_loop_has_work(loop) ||
           timer_heap_deadline(&loop->timers) <= now_ns;
}

bool rt_loop_turn(struct rt_loop *loop, bool adopted) {
    assert(!loop->in_turn && !loop_current);
    struct rt_machine *machine_before = machine_current;
    struct rt_slab_pool *slabs_before = rt_slab_pool_enter(loop->slabs);
    loop_current = loop;
    machine_current = loop->machine;
    loop->in_turn = true;
    loop->now_ns = clock_ns(loop);
    loop->turn_tick = loop->last_tick = read_tick(loop);
    count(&loop->counters.turns, 1);
    if (adopted) count(&loop->counters.adopted_turns, 1);

    run_tasks(loop);
    run_timers(loop);
    run_flushes(loop);
    send_posts(loop);

    uint64_t end_ns = clock_ns(loop);
    count(&loop->counters.busy_ns, end_ns - loop->now_ns);
    bool more = has_more(loop, end_ns);
    loop->in_turn = false;
    loop_current = NULL;
    machine_current = machine_before;
    rt_slab_pool_enter(slabs_before);
    return more;
}

// FLUSHES

void rt_flush_init(struct rt_flush *flush, void (*run)(struct rt_flush *), const char *name) {
    *flush = (struct rt_flush){.run = run, .name = name};
    rt_list_init(&flush->link);
}

void rt_flush_later(struct rt_loop *loop, struct rt_flush *flush) {
    assert_on_loop(loop);
    if (flush->queued) return;
    flush->queued = true;
    rt_list_push_back(&loop->flushes, &flush->link);
}

void rt_flush_forget(struct rt_loop *loop, struct rt_flush *flush) {
    assert_on_loop(loop);
    if (!flush->queued) return;
    flush->queued = false;
    rt_list_remove(&flush->link);
}

// LIFE

struct rt_loop *rt_loop_new(struct rt_machine *machine, unsigned index, uint64_t seed) {
    struct rt_loop *loop = rt_alloc_aligned(_Alignof(struct rt_loop), sizeof(*loop));
    memset(loop, 0, sizeof(*loop));
    loop->machine = machine;
    loop->index = index;
    loop->slow_limit.burst = SLOW_LINES_MAX;
    loop->slabs = rt_slab_pool_new(SLABS_FREE_MAX);
    rt_list_init(&loop->flushes);
    rt_random_seed(&loop->random, seed);
    return loop;
}

void rt_loop_free(struct rt_loop *loop) {
    if (!loop) return;
    assert(!loop->in_turn && !loop->deferred_first && !rt_loop_has_work(loop));
    assert(rt_list_is_empty(&loop->flushes));
    const struct rt_timer *timer = timer_heap_first(&loop->timers);
    if (timer) rt_panic("loop %u ends while timer '%s' is armed", loop->index, timer->name);
    timer_heap_fini(&loop->timers);
    rt_slab_pool_free(loop->slabs);
    rt_free(loop->outgoing);
    rt_free(loop->targets);
    rt_free(loop);
}

bool rt_loop_has_work(const struct rt_loop *loop) {
    return atomic_load(&loop->inbox) != NULL;
}

uint64_t rt_loop_next_deadline(const struct rt_loop *loop) {
    return timer_heap_deadline(&loop->timers);
}

struct timer_heap *rt_loop_timers(struct rt_loop *loop) {
    assert_on_loop(loop);
    return &loop->timers;
}

void *rt_loop_driver(const struct rt_loop *loop) {
    return loop->driver;
}

void rt_loop_set_driver(struct rt_loop *loop, void *driver) {
    loop->driver = driver;
}

void rt_loop_count_wakeup(struct rt_loop *loop) {
    atomic_fetch_add_explicit(&loop->counters.wakeups, 1, memory_order_relaxed);
}

// QUESTIONS

uint64_t rt_loop_now(const struct rt_loop *loop) {
    return loop->in_turn ? loop->now_ns : clock_ns(loop);
}

uint64_t rt_loop_clock(const struct rt_loop *loop) {
    return clock_ns(loop);
}

struct rt_machine *rt_loop_machine(const struct rt_loop *loop) {
    return loop->machine;
}

unsigned rt_loop_index(const struct rt_loop *loop) {
    return loop->index;
}

struct rt_random *rt_loop_random(struct rt_loop *loop) {
    return &loop->random;
}

struct rt_slab_pool *rt_loop_slabs(struct rt_loop *loop) {
    return loop->slabs;
}

bool rt_loop_is_current(const struct rt_loop *loop) {
    return loop == loop_current;
}

struct rt_loop *rt_loop_current(void) {
    return loop_current;
}

void rt_machine_enter(struct rt_machine *machine) {
    assert(!machine_current);
    machine_current = machine;
}

void rt_machine_leave(void) {
    machine_current = NULL;
}

struct rt_machine *rt_machine_current(void) {
    return machine_current;
}

void rt_loop_may_block(struct rt_loop *loop) {
    loop->may_block = true;
}

struct rt_loop_stats rt_loop_stats(const struct rt_loop *loop) {
    const struct counters *c = &loop->counters;
    return (struct rt_loop_stats){
        .turns = atomic_load_explicit(&c->turns, memory_order_relaxed),
        .tasks = atomic_load_explicit(&c->tasks, memory_order_relaxed),
        .timers_fired = atomic_load_explicit(&c->timers_fired, memory_order_relaxed),
        .flushes = atomic_load_explicit(&c->flushes, memory_order_relaxed),
        .posts_out = atomic_load_explicit(&c->posts_out, memory_order_relaxed),
        .wakeups = atomic_load_explicit(&c->wakeups, memory_order_relaxed),
        .adopted_turns = atomic_load_explicit(&c->adopted_turns, memory_order_relaxed),
        .busy_ns = atomic_load_explicit(&c->busy_ns, memory_order_relaxed),
        .slow_callbacks = atomic_load_explicit(&c->slow_callbacks, memory_order_relaxed),
        .longest_ns = atomic_load_explicit(&c->longest_ns, memory_order_relaxed),
        .longest_name = atomic_load_explicit(&c->longest_name, memory_order_relaxed),
        .timers_armed = atomic_load_explicit(&c->timers_armed, memory_order_relaxed),
    };
}
