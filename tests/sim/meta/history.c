#include "tests/sim/meta/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void history_add(struct history *history, const struct history_op *op) {
    if (history->count == history->capacity) {
        history->capacity = history->capacity ? history->capacity * 2 : 256;
        history->ops = realloc(history->ops, history->capacity * sizeof(*history->ops));
        if (!history->ops) abort();
    }
    history->ops[history->count++] = *op;
}

void history_fini(struct history *history) {
    free(history->ops);
    *history = (struct history){0};
}

static bool is_write(const struct history_op *op) {
    return op->kind == HISTORY_CREATE || op->kind == HISTORY_SET || op->kind == HISTORY_DELETE ||
           op->kind == HISTORY_SEQUENCE;
}

static bool is_key_write(const struct history_op *op) {
    return is_write(op) && op->kind != HISTORY_SEQUENCE;
}

// SORTED VIEWS: arrays of pointers to operations.

struct view {
    const struct history_op **ops;
    size_t count;
};

typedef bool wanted_fn(const struct history_op *op);
typedef int order_fn(const void *a, const void *b);

static struct view view_make(const struct history *history, wanted_fn *wanted, order_fn *order) {
    struct view view = {.ops = calloc(history->count + 1, sizeof(*view.ops))};
    if (!view.ops) abort();
    for (size_t i = 0; i < history->count; i++) {
        if (wanted(&history->ops[i])) view.ops[view.count++] = &history->ops[i];
    }
    qsort(view.ops, view.count, sizeof(*view.ops), order);
    return view;
}

#define OP_OF(pointer) (*(const struct history_op *const *)(pointer))
#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static int by_zxid(const void *a, const void *b) {
    return ORDER(OP_OF(a)->zxid, OP_OF(b)->zxid);
}

static int by_begin(const void *a, const void *b) {
    return ORDER(OP_OF(a)->began_ns, OP_OF(b)->began_ns);
}

static int by_end(const void *a, const void *b) {
    return ORDER(OP_OF(a)->ended_ns, OP_OF(b)->ended_ns);
}

static int by_answer(const void *a, const void *b) {
    int order = ORDER(OP_OF(a)->client, OP_OF(b)->client);
    return order ? order : ORDER(OP_OF(a)->answer, OP_OF(b)->answer);
}

static int by_sequence(const void *a, const void *b) {
    return ORDER(OP_OF(a)->sequence, OP_OF(b)->sequence);
}

static int by_synced(const void *a, const void *b) {
    return ORDER(OP_OF(a)->synced_ns, OP_OF(b)->synced_ns);
}

static bool acked_write(const struct history_op *op) {
    return is_write(op) && op->result == HISTORY_OK;
}

static bool answered(const struct history_op *op) {
    return op->result != HISTORY_UNKNOWN;
}

static bool sequence_acked(const struct history_op *op) {
    return op->kind == HISTORY_SEQUENCE && op->result == HISTORY_OK;
}

static bool synced_read(const struct history_op *op) {
    return op->kind == HISTORY_READ && op->synced_ns && answered(op);
}

// SAYING IT

struct verdict {
    char *text;
    size_t size;
    bool broken;
};

static void op_print(const struct history_op *op, char *text, size_t size) {
    static const char *const kinds[] = {"create", "set", "delete", "read", "sequence", "sync"};
    static const char *const results[] = {"ok", "absent", "present", "refused", "unknown"};
    snprintf(text, size,
             "client %u %s key %u value %" PRIu64 " %s zxid %" PRId64 " mzxid %" PRId64
             " from %" PRIu64 " to %" PRIu64 " us",
             op->client, kinds[op->kind], op->key, op->value, results[op->result], op->zxid,
             op->mzxid, op->began_ns / 1000, op->ended_ns / 1000);
}

static void complain(struct verdict *verdict, const char *rule, const struct history_op *a,
                     const struct history_op *b) {
    char first[200] = "", second[200] = "";
    if (verdict->broken) return;
    verdict->broken = true;
    if (a) op_print(a, first, sizeof(first));
    if (b) op_print(b, second, sizeof(second));
    snprintf(verdict->text, verdict->size, "%s: [%s] [%s]", rule, first, second);
}

// RULES 1, 2 AND 5

static void check_write_order(const struct history *history, struct verdict *verdict) {
    struct view zxids = view_make(history, acked_write, by_zxid);
    for (size_t i = 1; i < zxids.count; i++) {
        bool same = zxids.ops[i]->zxid == zxids.ops[i - 1]->zxid;
        if (same) complain(verdict, "one zxid twice", zxids.ops[i - 1], zxids.ops[i]);
    }
    struct view begins = view_make(history, acked_write, by_begin);
    struct view ends = view_make(history, acked_write, by_end);
    const struct history_op *latest = NULL;
    size_t ended = 0;
    for (size_t i = 0; i < begins.count; i++) {
        for (; ended < ends.count && ends.ops[ended]->ended_ns < begins.ops[i]->began_ns; ended++) {
            if (!latest || ends.ops[ended]->zxid > latest->zxid) latest = ends.ops[ended];
        }
        bool back = latest && latest->zxid >= begins.ops[i]->zxid;
        if (back) complain(verdict, "a later write has the smaller zxid", latest, begins.ops[i]);
    }
    free(zxids.ops);
    free(begins.ops);
    free(ends.ops);
}

static void check_syncs(const struct history *history, struct verdict *verdict) {
    struct view reads = view_make(history, synced_read, by_synced);
    struct view ends = view_make(history, acked_write, by_end);
    const struct history_op *latest = NULL;
    size_t ended = 0;
    for (size_t i = 0; i < reads.count; i++) {
        for (; ended < ends.count && ends.ops[ended]->ended_ns < reads.ops[i]->synced_ns; ended++) {
            if (!latest || ends.ops[ended]->zxid > latest->zxid) latest = ends.ops[ended];
        }
        bool stale = latest && latest->zxid > reads.ops[i]->zxid;
        if (stale) complain(verdict, "a read behind a sync is stale", latest, reads.ops[i]);
    }
    free(reads.ops);
    free(ends.ops);
}

// RULES 3 AND 6

static void check_sessions(const struct history *history, struct verdict *verdict) {
    struct view answers = view_make(history, answered, by_answer);
    for (size_t i = 1; i < answers.count; i++) {
        const struct history_op *a = answers.ops[i - 1], *b = answers.ops[i];
        bool same = a->client == b->client && a->session == b->session;
        if (same && b->zxid < a->zxid) complain(verdict, "a session went back in time", a, b);
    }
    free(answers.ops);
}

static void check_sequences(const struct history *history, struct verdict *verdict) {
    struct view names = view_make(history, sequence_acked, by_sequence);
    for (size_t i = 1; i < names.count; i++) {
        const struct history_op *a = names.ops[i - 1], *b = names.ops[i];
        if (a->sequence == b->sequence) complain(verdict, "one sequence number twice", a, b);
    }
    free(names.ops);
}

// RULE 4

// The last acknowledged write of the key up to zxid z, by bisection of the sorted view.
static const struct history_op *last_write(const struct view *writes, unsigned key, int64_t z) {
    size_t low = 0, high = writes->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (writes->ops[middle]->zxid <= z)
            low = middle + 1;
        else
            high = middle;
    }
    while (low > 0) {
        const struct history_op *op = writes->ops[--low];
        if (op->key == key && is_key_write(op)) return op;
    }
    return NULL;
}

// Whether a write of unknown outcome, begun before the answer, may have left the key so.
static bool unknown_may_have(const struct history *history, const struct history_op *answer,
                             bool present) {
    for (size_t i = 0; i < history->count; i++) {
        const struct history_op *op = &history->ops[i];
        bool fits = op->result == HISTORY_UNKNOWN && op->key == answer->key && is_key_write(op) &&
                    op->began_ns <= answer->ended_ns;
        if (!fits) continue;
        if (present ? op->kind == HISTORY_CREATE : op->kind == HISTORY_DELETE) return true;
    }
    return false;
}

static const struct history_op *writer_of(const struct history *history,
                                          const struct history_op *read) {
    for (size_t i = 0; i < history->count; i++) {
        const struct history_op *op = &history->ops[i];
        bool writes = op->kind == HISTORY_CREATE || op->kind == HISTORY_SET;
        if (writes && op->value == read->value && op->key == read->key) return op;
    }
    return NULL;
}

static void check_seen(const struct history *history, const struct view *writes,
                       const struct history_op *read, struct verdict *verdict) {
    const struct history_op *writer = writer_of(history, read);
    const struct history_op *last = last_write(writes, read->key, read->zxid);
    if (!writer) {
        complain(verdict, "a read saw what nobody wrote", read, NULL);
    } else if (writer->result != HISTORY_OK && writer->result != HISTORY_UNKNOWN) {
        complain(verdict, "a read saw a write that was refused", writer, read);
    } else if (writer->began_ns > read->ended_ns) {
        complain(verdict, "a read saw the future", writer, read);
    } else if (writer->result == HISTORY_OK && writer->zxid != read->mzxid) {
        complain(verdict, "a read has another mzxid than the write", writer, read);
    } else if (last && last->zxid > read->mzxid) {
        complain(verdict, "a read missed an acknowledged write", last, read);
    }
}

static void check_presence(const struct history *history, const struct view *writes,
                           const struct history_op *answer, struct verdict *verdict) {
    const struct history_op *last = last_write(writes, answer->key, answer->zxid);
    bool is_present = last && last->kind != HISTORY_DELETE;
    bool said_present = answer->result == HISTORY_PRESENT;
    if (is_present == said_present) return;
    if (unknown_may_have(history, answer, said_present)) return;
    complain(verdict, said_present ? "present without a create" : "absent without a delete", last,
             answer);
}

static void check_answers(const struct history *history, struct verdict *verdict) {
    struct view writes = view_make(history, acked_write, by_zxid);
    for (size_t i = 0; i < history->count && !verdict->broken; i++) {
        const struct history_op *op = &history->ops[i];
        if (op->kind == HISTORY_SEQUENCE || op->kind == HISTORY_SYNC) continue;
        if (op->kind == HISTORY_READ && op->result == HISTORY_OK) {
            check_seen(history, &writes, op, verdict);
        } else if (op->result == HISTORY_ABSENT || op->result == HISTORY_PRESENT) {
            check_presence(history, &writes, op, verdict);
        }
    }
    free(writes.ops);
}

bool history_check(const struct history *history, char *text, size_t text_size) {
    struct verdict verdict = {.text = text, .size = text_size};
    if (text_size) text[0] = '\0';
    check_write_order(history, &verdict);
    check_syncs(history, &verdict);
    check_sessions(history, &verdict);
    check_sequences(history, &verdict);
    check_answers(history, &verdict);
    return !verdict.broken;
}
