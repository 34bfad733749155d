#include "tests/unit/meta_log/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *pattern(void) {
    static uint8_t bytes[FIXTURE_BODY_MAX + 256];
    if (bytes[1] == 0) {
        for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    return bytes;
}

size_t fixture_body_size(struct raft_position at) {
    uint64_t mixed = at.index * UINT64_C(0x9e3779b97f4a7c15) + at.term * 77;
    unsigned draw = (unsigned)(mixed >> 40) % 1000;
    if (draw == 0 || at.index == 60) return FIXTURE_BODY_MAX - 100;
    if (draw < 12) return 16000 + draw * 1500;
    return draw % 300;
}

struct raft_entry fixture_entry(struct raft_position at) {
    bool is_noop = at.index % 50 == 7;
    struct raft_entry entry = {.at = at, .kind = is_noop ? RAFT_NOOP : RAFT_DATA};
    size_t skip = (size_t)((at.index * 7 + at.term) % 200);
    if (!is_noop) entry.data = RT_BYTES(pattern() + skip, fixture_body_size(at));
    return entry;
}

static bool entry_is_right(const struct raft_entry *entry) {
    struct raft_entry expected = fixture_entry(entry->at);
    return entry->kind == expected.kind && rt_bytes_equal(entry->data, expected.data);
}

static void told(struct fixture *fixture) {
    if (fixture->told) fixture->told(fixture);
}

static void on_hard(struct meta_log_events *events, uint64_t version) {
    struct fixture *fixture = rt_container_of(events, struct fixture, events);
    if (version <= fixture->hard_version) fixture->is_garbled = true;
    fixture->hard_version = version;
    told(fixture);
}

static void on_log(struct meta_log_events *events, uint64_t version) {
    struct fixture *fixture = rt_container_of(events, struct fixture, events);
    if (version <= fixture->log_version) fixture->is_garbled = true;
    fixture->log_version = version;
    told(fixture);
}

static void on_loaded(struct meta_log_events *events, const struct raft_load *load,
                      const struct raft_entry *entries, size_t count) {
    struct fixture *fixture = rt_container_of(events, struct fixture, events);
    fixture->loaded_first = load->first;
    fixture->loaded_count = count;
    fixture->loads++;
    if (count == 0) fixture->empty_loads++;
    for (size_t i = 0; i < count; i++) {
        bool fits = entries[i].at.index == load->first + i && entry_is_right(&entries[i]);
        if (!fits || entries[i].at.index > load->last) fixture->is_garbled = true;
        raft_payload_hold(entries[i].payload);
        raft_payload_drop(entries[i].payload);
    }
    told(fixture);
}

static void on_failed(struct meta_log_events *events, rt_err err, const char *what) {
    struct fixture *fixture = rt_container_of(events, struct fixture, events);
    if (fixture->failed) fixture->is_garbled = true;
    fixture->failed = true;
    snprintf(fixture->failure, sizeof(fixture->failure), "%s: %s", what, rt_err_name(err));
    told(fixture);
}

static rt_err on_replayed(struct meta_log_replay *replay, const struct raft_entry *entries,
                          size_t count, struct rt_why *why) {
    struct fixture *fixture = rt_container_of(replay, struct fixture, replay);
    (void)why;
    for (size_t i = 0; i < count; i++) {
        if (entries[i].at.index != fixture->found.base.index + fixture->count + 1)
            fixture->is_garbled = true;
        if (!entry_is_right(&entries[i])) fixture->is_garbled = true;
        fixture->terms[fixture->count++] = entries[i].at.term;
    }
    return RT_OK;
}

void fixture_init(struct fixture *fixture, const char *directory) {
    *fixture = (struct fixture){
        .events = {on_hard, on_log, on_loaded, on_failed},
        .replay = {on_replayed},
        .options = {.directory = directory,
                    .cluster = 7,
                    .node = 3,
                    .segment_bytes = 64 << 10,
                    .sync = true},
    };
}

rt_err fixture_open(struct fixture *fixture, struct rt_machine *machine, struct rt_loop *loop) {
    fixture->options.events = &fixture->events;
    fixture->count = 0;
    fixture->log_version = fixture->hard_version = 0;
    fixture->failed = false;
    fixture->log = NULL;
    rt_err err = meta_log_open_now(machine, loop, &fixture->options, &fixture->log, &fixture->found,
                                   &fixture->why);
    return err ? err : meta_log_replay_now(fixture->log, &fixture->replay, &fixture->why);
}

struct raft_position fixture_last(const struct fixture *fixture) {
    if (fixture->count == 0) return fixture->found.base;
    return (struct raft_position){fixture->found.base.index + fixture->count,
                                  fixture->terms[fixture->count - 1]};
}

static void write_entries(struct fixture *fixture, struct raft_log_write *write,
                          struct raft_position first, size_t count) {
    struct raft_entry *entries = calloc(count + 1, sizeof(*entries));
    for (size_t i = 0; i < count; i++)
        entries[i] = fixture_entry((struct raft_position){first.index + i, first.term});
    write->entries = entries;
    write->entry_count = count;
    meta_log_write(fixture->log, write);
    free(entries);
}

void fixture_write(struct fixture *fixture, uint64_t version, uint64_t truncate_from,
                   struct raft_position first, size_t count) {
    struct raft_log_write write = {.version = version, .truncate_from = truncate_from};
    write_entries(fixture, &write, first, count);
}

void fixture_reset(struct fixture *fixture, uint64_t version, struct raft_position base,
                   uint64_t term, size_t count) {
    struct raft_log_write write = {.version = version, .reset = true, .base = base};
    write_entries(fixture, &write, (struct raft_position){base.index + 1, term}, count);
}
