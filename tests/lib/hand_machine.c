#include "tests/lib/hand_machine.h"

#include <assert.h>
#include <string.h>

static struct hand_machine *hand_of(const struct rt_machine *machine) {
    return (struct hand_machine *)(uintptr_t)machine->backend->name;
}

static uint64_t hand_mono_ns(const struct rt_machine *machine) {
    struct hand_machine *hand = hand_of(machine);
    hand->now_ns += hand->step_ns;
    return hand->now_ns;
}

static void hand_notify(struct rt_loop *loop) {
    hand_of(rt_loop_machine(loop))->notified[rt_loop_index(loop)]++;
}

static void hand_log_line(struct rt_log_sink *sink, enum rt_log_level level, const char *text) {
    (void)level;
    struct hand_machine *hand = rt_container_of(sink, struct hand_machine, sink);
    size_t used = strlen(hand->log);
    size_t count = strnlen(text, HAND_LOG_SIZE - 1 - used);
    memcpy(hand->log + used, text, count);
    hand->log[used + count] = 0;
}

void hand_machine_init(struct hand_machine *hand, unsigned loop_count) {
    assert(loop_count <= HAND_LOOPS_MAX);
    memset(hand, 0, sizeof(*hand));
    hand->now_ns = RT_NS_PER_S;
    hand->sink.line = hand_log_line;
    hand->backend.name = (const char *)hand;  // how the calls below find the way back
    hand->backend.mono_ns = hand_mono_ns;
    hand->backend.wall_ns = hand_mono_ns;
    hand->backend.notify = hand_notify;
    hand->machine.backend = &hand->backend;
    hand->machine.name = "";
    hand->machine.log = rt_log_to_sink(&hand->sink, RT_LOG_DEBUG);
    rt_budget_init(&hand->machine.budget, "memory", SIZE_MAX);
    hand->machine.loop_count = loop_count;
    hand->machine.loops = rt_alloc_zero(loop_count, sizeof(hand->machine.loops[0]));
    for (unsigned i = 0; i < loop_count; i++) {
        hand->machine.loops[i] = rt_loop_new(&hand->machine, i, i);
    }
}

void hand_machine_fini(struct hand_machine *hand) {
    hand_settle(hand);
    for (unsigned i = 0; i < hand->machine.loop_count; i++) rt_loop_free(hand->machine.loops[i]);
    rt_free(hand->machine.loops);
    rt_log_close(hand->machine.log);
}

struct rt_loop *hand_loop(const struct hand_machine *hand, unsigned index) {
    return rt_machine_loop(&hand->machine, index);
}

bool hand_turn(struct hand_machine *hand, unsigned index) {
    return rt_loop_turn(hand_loop(hand, index), false);
}

void hand_settle(struct hand_machine *hand) {
    bool more = true;
    while (more) {
        more = false;
        for (unsigned i = 0; i < hand->machine.loop_count; i++) {
            struct rt_loop *loop = hand_loop(hand, i);
            while (rt_loop_has_work(loop)) {
                rt_loop_turn(loop, false);
                more = true;
            }
            while (rt_loop_turn(loop, false)) more = true;
        }
    }
}

void hand_in_turn(struct hand_machine *hand, void (*body)(struct rt_task *), struct rt_task *task) {
    rt_task_init(task, body, "in turn");
    rt_post(hand_loop(hand, 0), task);
    hand_turn(hand, 0);
}
