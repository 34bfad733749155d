// Snapshots on both machines: taken while the store is open, streamed from one directory to
// another, verified, installed, found again, restored.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meta/server/log/exchange.h"
#include "meta/server/log/snapshots.h"
#include "runtime/file.h"
#include "tests/lib/harness.h"

enum { KEYS = 3000, PATH_SIZE = 160, CHUNK_SIZE = 10007, PEER = 2 };

static const struct rt_kv_column columns[] = {{.name = "default"}};

// A member: a store and its snapshots.
struct member {
    struct meta_snapshots_events events;
    struct meta_snapshots *snapshots;
    struct meta_snapshots_found found;
    struct snapshot_case *test;
    struct rt_kv *kv;
    char directory[PATH_SIZE + 32], store[PATH_SIZE + 32];
    struct rt_task closed;
};

struct snapshot_case {
    struct harness harness;
    struct rt_loop *loop;
    struct rt_machine *machine;
    struct member from, to;
    struct raft_config config;
    char root[PATH_SIZE];
    uint64_t transfer, offset, damage_at;  // damage_at: this byte of the stream is changed
    uint64_t next_damage, chunks_sent, chunks_answered;
    bool facts_unknown, was_refused, is_sent;
    void (*then)(struct snapshot_case *test);
    void (*received)(struct snapshot_case *test, bool failed);
};

static struct snapshot_case *case_of(struct harness *harness) {
    return rt_container_of(harness, struct snapshot_case, harness);
}

// STORES

static rt_err kv_open(struct rt_machine *machine, const char *path, struct rt_kv **kv,
                      struct rt_why *why) {
    const struct rt_kv_options options = {
        .columns = columns, .column_count = 1, .cache_bytes = 1 << 20, .create_if_missing = true};
    return rt_kv_open_now(machine, path, &options, kv, why);
}

static void kv_fill(struct rt_kv *kv, uint64_t applied) {
    struct rt_kv_batch *batch = rt_kv_batch_new(kv);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[32], value[64];
        snprintf(key, sizeof(key), "key %05u", i);
        snprintf(value, sizeof(value), "value %u of %u", i, (unsigned)applied);
        rt_kv_put(batch, 0, rt_bytes_of(key), rt_bytes_of(value));
    }
    char text[32];
    snprintf(text, sizeof(text), "%u", (unsigned)applied);
    rt_kv_put(batch, 0, RT_BYTES_LITERAL("applied"), rt_bytes_of(text));
    cr_assert_eq(rt_kv_write_now(kv, batch, RT_KV_DURABLE), RT_OK);
    rt_kv_batch_free(batch);
}

static uint64_t kv_applied(struct rt_kv *kv) {
    struct rt_buf value = {0};
    uint64_t applied = 0;
    if (!rt_kv_get_now(kv, NULL, 0, RT_BYTES_LITERAL("applied"), &value)) {
        rt_buf_append(&value, RT_BYTES("", 1));
        applied = strtoull((const char *)value.data, NULL, 10);
    }
    rt_buf_fini(&value);
    return applied;
}

static bool kv_is_filled(struct rt_kv *kv, uint64_t applied) {
    bool is_right = kv_applied(kv) == applied;
    struct rt_buf value = {0};
    for (unsigned i = 0; i < KEYS; i += 17) {
        char key[32], expected[64];
        snprintf(key, sizeof(key), "key %05u", i);
        snprintf(expected, sizeof(expected), "value %u of %u", i, (unsigned)applied);
        rt_err err = rt_kv_get_now(kv, NULL, 0, rt_bytes_of(key), &value);
        is_right = is_right && !err && rt_bytes_equal(rt_buf_bytes(&value), rt_bytes_of(expected));
    }
    rt_buf_fini(&value);
    return is_right;
}

// EVENTS

static struct member *member_of(struct meta_snapshots_events *events) {
    return rt_container_of(events, struct member, events);
}

static void on_taken(struct meta_snapshots_events *events, rt_err err, uint64_t applied) {
    struct snapshot_case *test = member_of(events)->test;
    if (test->facts_unknown) {
        HARNESS_CHECK(&test->harness, err != RT_OK);
    } else {
        HARNESS_CHECK(&test->harness, err == RT_OK);
        HARNESS_CHECK(&test->harness, applied == kv_applied(member_of(events)->kv));
    }
    test->then(test);
}

static bool on_facts(struct meta_snapshots_events *events, uint64_t applied,
                     struct raft_position *at, const struct raft_config **config) {
    struct snapshot_case *test = member_of(events)->test;
    *at = (struct raft_position){applied, 4};
    *config = &test->config;
    return !test->facts_unknown;
}

static struct raft_snapshot_effect effect_of(enum raft_snapshot_kind kind, uint64_t index) {
    return (struct raft_snapshot_effect){.kind = kind, .peer = PEER, .at = {index, 4}};
}

static void read_on(struct snapshot_case *test, uint64_t index) {
    struct raft_snapshot_effect effect = effect_of(RAFT_SNAPSHOT_READ, index);
    effect.offset = test->offset;
    effect.size_max = CHUNK_SIZE;
    meta_snapshots_carry_out(test->from.snapshots, &effect);
}

static void on_chunk_read(struct meta_snapshots_events *events, const struct raft_event *event) {
    struct snapshot_case *test = member_of(events)->test;
    HARNESS_CHECK(&test->harness, !event->chunk.failed && event->chunk.data.size > 0);
    if (event->chunk.failed) return;
    struct raft_snapshot_effect effect = effect_of(RAFT_SNAPSHOT_WRITE, event->chunk.at.index);
    effect.transfer = test->transfer;
    effect.offset = event->chunk.offset;
    effect.total = event->chunk.total;
    effect.config = &test->config;
    effect.payload = raft_payload_copy(event->chunk.data, &effect.data);
    uint64_t end = effect.offset + effect.data.size;
    bool damages = test->damage_at >= effect.offset && test->damage_at < end;
    uint8_t *bytes = (uint8_t *)(uintptr_t)effect.data.data;  // ours: just copied
    if (damages) bytes[test->damage_at - effect.offset] ^= 4;
    meta_snapshots_carry_out(test->to.snapshots, &effect);
    raft_payload_drop(effect.payload);
    test->offset = end;
    test->chunks_sent++;
    test->is_sent = end == event->chunk.total;
    if (end < event->chunk.total) read_on(test, event->chunk.at.index);
}

static void on_chunk_written(struct meta_snapshots_events *events, const struct raft_event *event) {
    struct snapshot_case *test = member_of(events)->test;
    test->was_refused = test->was_refused || event->chunk_written.failed;
    HARNESS_CHECK(&test->harness, event->chunk_written.transfer == test->transfer);
    test->received(test, event->chunk_written.failed);
}

static void on_installed(struct meta_snapshots_events *events, rt_err err, uint64_t index,
                         struct rt_why *why) {
    struct snapshot_case *test = member_of(events)->test;
    if (err) harness_fail(&test->harness, "%s", why->text);
    HARNESS_CHECK(&test->harness, index == 10);
    test->then(test);
}

static void on_store_close(struct meta_snapshots_events *events) {
    rt_kv_close_now(member_of(events)->kv);
    member_of(events)->kv = NULL;
}

static rt_err on_store_open(struct meta_snapshots_events *events, struct rt_why *why) {
    struct member *member = member_of(events);
    return kv_open(member->test->machine, member->store, &member->kv, why);
}

static rt_err on_store_peek(struct rt_machine *machine, const char *path, struct raft_position *at,
                            struct rt_why *why) {
    struct rt_kv *kv;
    rt_err err = kv_open(machine, path, &kv, why);
    if (err) return err;
    *at = (struct raft_position){kv_applied(kv), 4};
    rt_kv_close_now(kv);
    return RT_OK;
}

// MEMBERS

static void member_open_snapshots(struct member *member) {
    struct rt_why why = {0};
    const struct meta_snapshots_options options = {.directory = member->directory,
                                                   .store_path = member->store,
                                                   .cluster = 9,
                                                   .events = &member->events};
    rt_err err = meta_snapshots_open_now(member->test->machine, member->test->loop, &options,
                                         &member->snapshots, &member->found, &why);
    if (err) harness_fail(&member->test->harness, "%s", why.text);
}

static void member_open(struct snapshot_case *test, struct member *member, const char *name) {
    snprintf(member->directory, sizeof(member->directory), "%s/%s/snapshots", test->root, name);
    snprintf(member->store, sizeof(member->store), "%s/%s/store", test->root, name);
    member->test = test;
    member->events = (struct meta_snapshots_events){on_taken,         on_facts,     on_chunk_read,
                                                    on_chunk_written, on_installed, on_store_close,
                                                    on_store_open,    on_store_peek};
    struct rt_why why = {0};
    member_open_snapshots(member);
    if (kv_open(test->machine, member->store, &member->kv, &why))
        harness_fail(&test->harness, "%s", why.text);
}

static void send(struct snapshot_case *test, uint64_t index,
                 void (*received)(struct snapshot_case *, bool)) {
    test->received = received;
    test->transfer++;
    test->offset = 0;
    test->was_refused = test->is_sent = false;
    test->chunks_sent = test->chunks_answered = 0;
    struct raft_snapshot_effect open = effect_of(RAFT_SNAPSHOT_OPEN, index);
    meta_snapshots_carry_out(test->from.snapshots, &open);
    read_on(test, index);
}

// THE CASE, from its end to its beginning

static void all_closed(struct rt_task *task) {
    struct member *member = rt_container_of(task, struct member, closed);
    struct snapshot_case *test = member->test;
    rt_kv_close_now(test->from.kv);
    rt_kv_close_now(test->to.kv);
    if (test->root[0] == '/')
        HARNESS_CHECK(&test->harness, !rt_path_remove_tree_now(test->machine, test->root));
    harness_end(&test->harness);
}

static void from_closed(struct rt_task *task) {
    struct member *member = rt_container_of(task, struct member, closed);
    struct snapshot_case *test = member->test;
    rt_task_init(&test->to.closed, all_closed, "test.closed");
    meta_snapshots_close(test->to.snapshots, &test->to.closed);
}

static void restore(struct member *member) {
    struct harness *harness = &member->test->harness;
    struct rt_why why = {0};
    rt_err err = meta_snapshots_restore_now(member->snapshots, &why);
    if (err) harness_fail(harness, "%s", why.text);
    HARNESS_CHECK(harness, !kv_open(member->test->machine, member->store, &member->kv, &why));
    HARNESS_CHECK(harness, kv_is_filled(member->kv, 10));
}

// The store is lost; the snapshot brings it back, and again when the new one was changed.
static void to_closed(struct rt_task *task) {
    struct member *to = rt_container_of(task, struct member, closed);
    struct snapshot_case *test = to->test;
    rt_kv_close_now(to->kv);
    HARNESS_CHECK(&test->harness, !rt_path_remove_tree_now(test->machine, to->store));
    member_open_snapshots(to);
    HARNESS_CHECK(&test->harness, to->found.at.index == 10 && to->found.at.term == 4);
    HARNESS_CHECK(&test->harness, to->found.config.count == 1);
    restore(to);
    kv_fill(to->kv, 77);
    rt_kv_close_now(to->kv);
    restore(to);
    rt_task_init(&test->from.closed, from_closed, "test.closed");
    meta_snapshots_close(test->from.snapshots, &test->from.closed);
}

static void close_to(struct snapshot_case *test) {
    rt_task_init(&test->to.closed, to_closed, "test.closed");
    meta_snapshots_close(test->to.snapshots, &test->to.closed);
}

// A snapshot that is not the newest any more goes when nobody reads it.
static void second_taken(struct snapshot_case *test) {
    HARNESS_CHECK(&test->harness, meta_snapshots_stats(test->from.snapshots).last.index == 10);
    close_to(test);
}

static void facts_refused(struct snapshot_case *test) {
    test->facts_unknown = false;
    test->then = second_taken;
    HARNESS_CHECK(&test->harness, meta_snapshots_take(test->from.snapshots, test->from.kv));
    HARNESS_CHECK(&test->harness, !meta_snapshots_take(test->from.snapshots, test->from.kv));
}

static void was_installed(struct snapshot_case *test) {
    HARNESS_CHECK(&test->harness, kv_is_filled(test->to.kv, 10));
    HARNESS_CHECK(&test->harness, kv_is_filled(test->from.kv, 10));
    struct raft_snapshot_effect close = effect_of(RAFT_SNAPSHOT_CLOSE, 10);
    meta_snapshots_carry_out(test->from.snapshots, &close);
    test->facts_unknown = true;
    test->then = facts_refused;
    HARNESS_CHECK(&test->harness, meta_snapshots_take(test->from.snapshots, test->from.kv));
}

static uint64_t stream_bytes(const struct snapshot_case *test) {
    return meta_snapshots_stats(test->from.snapshots).last_bytes;
}

static void whole_received(struct snapshot_case *test, bool failed) {
    HARNESS_CHECK(&test->harness, !failed);
    if (++test->chunks_answered < test->chunks_sent || !test->is_sent) return;
    test->then = was_installed;
    struct raft_snapshot_effect effect = effect_of(RAFT_SNAPSHOT_INSTALL, 10);
    meta_snapshots_carry_out(test->to.snapshots, &effect);
}

static void damaged_received(struct snapshot_case *test, bool failed) {
    (void)failed;
    test->chunks_answered++;
    bool is_over = test->chunks_answered == test->chunks_sent && test->is_sent;
    if (!is_over) return;
    HARNESS_CHECK(&test->harness, test->was_refused);
    test->damage_at = test->next_damage;
    if (test->damage_at >= stream_bytes(test)) test->damage_at = UINT64_MAX;
    test->next_damage += stream_bytes(test) / 9 + 1;
    send(test, 10, test->damage_at == UINT64_MAX ? whole_received : damaged_received);
}

static void first_taken(struct snapshot_case *test) {
    test->damage_at = 2;
    test->next_damage = 40;
    send(test, 10, damaged_received);
}

static void start(struct harness *harness, struct rt_loop *loop) {
    struct snapshot_case *test = case_of(harness);
    test->loop = loop;
    test->machine = rt_loop_machine(loop);
    if (!test->root[0]) snprintf(test->root, sizeof(test->root), "data");
    cr_assert_eq(raft_config_put(&test->config, 1, RAFT_VOTER, "here"), RT_OK);
    test->config.index = 3;
    member_open(test, &test->from, "from");
    member_open(test, &test->to, "to");
    HARNESS_CHECK(harness, test->from.found.at.index == 0);
    kv_fill(test->from.kv, 10);
    kv_fill(test->to.kv, 5);
    test->then = first_taken;
    HARNESS_CHECK(harness, meta_snapshots_take(test->from.snapshots, test->from.kv));
}

Test(meta_log_snapshots, are_taken_streamed_verified_and_installed_on_the_real_machine) {
    struct snapshot_case *test = calloc(1, sizeof(*test));
    snprintf(test->root, sizeof(test->root), "/tmp/geminga-snapshots-XXXXXX");
    cr_assert_not_null(mkdtemp(test->root));
    test->harness.sides[0].start = start;
    cr_assert(harness_run_real(&test->harness), "%s", test->harness.failure);
    free(test);
}

Test(meta_log_snapshots, are_taken_streamed_verified_and_installed_in_the_simulator) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct snapshot_case *test = calloc(1, sizeof(*test));
        test->harness.seed = seed;
        test->harness.sides[0].start = start;
        cr_assert(harness_run_sim(&test->harness), "%s", test->harness.failure);
        free(test);
    }
}
