#include "tests/unit/bookie_journal/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_SIZE = 12, RECORD_SIZE_MAX = 16 << 20 };

// RECORDS

static const uint8_t *pattern(void) {
    static uint8_t *bytes;
    if (!bytes) {
        bytes = malloc(RECORD_SIZE_MAX + 256);
        for (size_t i = 0; i < RECORD_SIZE_MAX + 256; i++) bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    return bytes;
}

// Mostly small, some of kilobytes, a few larger than a batch.
static size_t size_mixed(uint64_t number) {
    unsigned draw = (unsigned)(number * UINT64_C(0x9e3779b97f4a7c15) >> 40) % 1000;
    if (draw < 4) return 300000 + draw * 90001;
    if (draw < 60) return 3000 + draw * 301;
    return draw % 400;
}

static void ids_write(uint8_t *ids, uint64_t number, uint32_t life) {
    struct rt_writer w = rt_writer_over(ids, IDS_SIZE);
    rt_write_be64(&w, number);
    rt_write_be32(&w, life);
}

static struct rt_bytes body_of(const struct fixture *fixture, uint64_t number) {
    return RT_BYTES(pattern() + number % 200, fixture->size_of(number));
}

static bool record_is_right(const struct fixture *fixture, struct rt_bytes record,
                            uint64_t number) {
    uint8_t ids[IDS_SIZE];
    ids_write(ids, number, fixture->lives[number]);
    if (record.size < IDS_SIZE || memcmp(record.data, ids, IDS_SIZE) != 0) return false;
    return rt_bytes_equal(rt_bytes_skip(record, IDS_SIZE), body_of(fixture, number));
}

// ANSWERS

static void wrong(struct fixture *fixture, const char *what) {
    if (!fixture->wrong) fixture->wrong = what;
}

static void told(struct fixture *fixture) {
    if (fixture->told) fixture->told(fixture);
}

static void on_done(struct bookie_journal_op *op, rt_err err) {
    struct fixture_op *mine = rt_container_of(op, struct fixture_op, op);
    struct fixture *fixture = mine->fixture;
    uint64_t number = mine->number;
    if (number != fixture->answered) wrong(fixture, "an answer is out of order");
    fixture->answered = number + 1;
    if (!err && fixture->failures) wrong(fixture, "acknowledged after the failure");
    if (err && !fixture->failures) wrong(fixture, "an error without a failure");
    if (!err) fixture->acked = number + 1;
    bool is_durable = fixture->kinds[number] == FIXTURE_PLAIN && !fixture->acks_lie;
    if (!err && is_durable) fixture->durable = number + 1;
    told(fixture);
}

static void on_forced(struct bookie_journal_op *op, rt_err err) {
    struct fixture_op *mine = rt_container_of(op, struct fixture_op, op);
    struct fixture *fixture = mine->fixture;
    if (fixture->answered != mine->number) wrong(fixture, "a force is out of order");
    if (&fixture->forces[fixture->forces_answered] != mine) wrong(fixture, "forces out of order");
    fixture->forces_answered++;
    if (!err && fixture->durable < mine->number) fixture->durable = mine->number;
    if (!err && fixture->failures) wrong(fixture, "forced after the failure");
    told(fixture);
}

static void on_failed(struct bookie_journal_events *events, rt_err err, const char *what) {
    struct fixture *fixture = rt_container_of(events, struct fixture, events);
    fixture->failures++;
    fixture->failure = err;
    snprintf(fixture->failure_text, sizeof(fixture->failure_text), "%s", what);
    if (fixture->failures > 1) wrong(fixture, "failed twice");
    told(fixture);
}

static void on_drained(struct bookie_journal_events *events) {
    struct fixture *fixture = rt_container_of(events, struct fixture, events);
    fixture->drains++;
    told(fixture);
}

static rt_err on_record(struct bookie_journal_replay *replay, struct rt_bytes record,
                        struct bookie_mark at, struct rt_why *why) {
    struct fixture *fixture = rt_container_of(replay, struct fixture, replay);
    uint64_t number = fixture->first + fixture->count;
    struct rt_reader r = rt_reader_over(record);
    uint64_t told = rt_read_be64(&r);
    if (!fixture->count) {
        number = fixture->first = told;
        fixture->at_first = at;
    }
    while (number < told && number < FIXTURE_RECORDS_MAX && fixture->absent[number]) {
        number++;
        fixture->count++;
    }
    if (number == 0 || number >= FIXTURE_RECORDS_MAX) {
        wrong(fixture, "a record that was never appended");
        return RT_OK;
    }
    if (number == fixture->stop_at)
        return rt_why_set(why, fixture->replay_stop, "record %llu", (unsigned long long)number);
    if (!record_is_right(fixture, record, number)) wrong(fixture, "a record is garbled");
    if (fixture->count && bookie_mark_compare(at, fixture->at_last) <= 0)
        wrong(fixture, "marks do not rise");
    if (bookie_mark_compare(bookie_journal_end(fixture->journal), at) >= 0)
        wrong(fixture, "the end covers what is not replayed yet");
    fixture->at_last = at;
    fixture->count++;
    return RT_OK;
}

// CALLS

struct fixture *fixture_new(const char *directory) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *fixture = (struct fixture){
        .events = {on_failed, on_drained},
        .replay = {on_record},
        .size_of = size_mixed,
        .options = {.directory = directory, .owner = 77, .segment_bytes = 512 << 10, .sync = true},
        .next = 1,
        .covered = 1,
    };
    return fixture;
}

rt_err fixture_open(struct fixture *fixture, struct rt_machine *machine, struct rt_loop *loop) {
    fixture->options.events = &fixture->events;
    fixture->first = fixture->covered;
    fixture->count = 0;
    fixture->failures = 0;
    fixture->forces_asked = fixture->forces_answered = 0;
    fixture->journal = NULL;
    rt_err err = bookie_journal_open_now(machine, loop, &fixture->options, fixture->from,
                                         &fixture->journal, &fixture->why);
    if (!err) err = bookie_journal_replay_now(fixture->journal, &fixture->replay, &fixture->why);
    if (err) return err;
    fixture->next = fixture->first + fixture->count;
    while (fixture->next < fixture->covered) fixture->absent[fixture->next++] = true;
    fixture->answered = fixture->acked = fixture->durable = fixture->next;
    fixture->life++;
    return RT_OK;
}

rt_err fixture_append(struct fixture *fixture, enum fixture_kind kind) {
    uint64_t number = fixture->next;
    struct fixture_op *op = &fixture->ops[number];
    *op = (struct fixture_op){.op = {.done = on_done}, .fixture = fixture, .number = number};
    uint8_t ids[IDS_SIZE];
    ids_write(ids, number, fixture->life);
    struct rt_bytes body = body_of(fixture, number);
    struct rt_bytes parts[] = {RT_BYTES(ids, IDS_SIZE), RT_BYTES(body.data, body.size / 2),
                               rt_bytes_skip(body, body.size / 2)};
    rt_err err = kind == FIXTURE_PLAIN
                     ? bookie_journal_append(fixture->journal, &op->op, parts, 3)
                     : bookie_journal_append_deferred(fixture->journal, &op->op, parts, 3);
    if (err) return err;
    fixture->lives[number] = fixture->life;
    fixture->kinds[number] = (uint8_t)kind;
    fixture->next++;
    if (fixture->answered > number) wrong(fixture, "done before the append returned");
    return RT_OK;
}

void fixture_appends(struct fixture *fixture, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (fixture_append(fixture, FIXTURE_PLAIN)) return;
    }
}

rt_err fixture_force(struct fixture *fixture) {
    struct fixture_op *op = &fixture->forces[fixture->forces_asked];
    *op =
        (struct fixture_op){.op = {.done = on_forced}, .fixture = fixture, .number = fixture->next};
    rt_err err = bookie_journal_force(fixture->journal, &op->op);
    if (!err) fixture->forces_asked++;
    return err;
}

void fixture_checkpoint(struct fixture *fixture) {
    fixture->from = bookie_journal_end(fixture->journal);
    fixture->covered = fixture->next;
    bookie_journal_release(fixture->journal, fixture->from);
}

const char *fixture_check(const struct fixture *fixture, uint64_t acked) {
    if (fixture->wrong) return fixture->wrong;
    uint64_t end = fixture->first + fixture->count;
    if (fixture->count && fixture->first > fixture->covered) return "records before are missing";
    if (end < acked && acked > fixture->covered) return "acknowledged records are missing";
    return NULL;
}
