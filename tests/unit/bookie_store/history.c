#include "tests/unit/bookie_store/history.h"

#include <assert.h>

uint64_t history_put(struct history *history, int ledger, int entry) {
    assert(history->put_count < HISTORY_PUTS);
    history->puts[history->put_count++] =
        (struct history_put){ledger, entry, ++history->sequence, ++history->version};
    return history->version;
}

void history_fence(struct history *history, int ledger) {
    history->fences[ledger] = ++history->sequence;
}

size_t history_delete_start(struct history *history, int ledger) {
    assert(history->delete_count < HISTORY_DELETES);
    history->deletes[history->delete_count] =
        (struct history_delete){ledger, ++history->sequence, UINT64_MAX};
    return history->delete_count++;
}

void history_delete_end(struct history *history, size_t index) {
    history->deletes[index].end = ++history->sequence;
}

// Whether a deletion that began behind it had ended.
static bool is_surely_gone(const struct history *history, int ledger, uint64_t sequence,
                           uint64_t since) {
    for (size_t i = 0; i < history->delete_count; i++) {
        const struct history_delete *d = &history->deletes[i];
        if (d->ledger == ledger && d->start > sequence && d->end <= since) return true;
    }
    return false;
}

// Whether a deletion ended behind it, or may end yet.
static bool is_maybe_gone(const struct history *history, int ledger, uint64_t sequence) {
    for (size_t i = 0; i < history->delete_count; i++) {
        const struct history_delete *d = &history->deletes[i];
        if (d->ledger == ledger && d->end > sequence) return true;
    }
    return false;
}

static const struct history_put *latest_until(const struct history *history, int ledger, int entry,
                                              uint64_t mark) {
    for (size_t i = history->put_count; i-- > 0;) {
        const struct history_put *put = &history->puts[i];
        if (put->ledger == ledger && put->entry == entry && put->sequence <= mark) return put;
    }
    return NULL;
}

bool history_allows(const struct history *history, int ledger, int entry, uint64_t version,
                    uint64_t mark, uint64_t since) {
    const struct history_put *must = latest_until(history, ledger, entry, mark);
    if (version == 0) return !must || is_maybe_gone(history, ledger, must->sequence);
    for (size_t i = 0; i < history->put_count; i++) {
        const struct history_put *put = &history->puts[i];
        if (put->version != version) continue;
        if (put->ledger != ledger || put->entry != entry) return false;
        if (is_surely_gone(history, ledger, put->sequence, since)) return false;
        return put == must || put->sequence > mark;
    }
    return false;
}

bool history_allows_fence(const struct history *history, int ledger, bool fenced, uint64_t mark) {
    uint64_t sequence = history->fences[ledger];
    if (fenced) return sequence > 0 && !is_surely_gone(history, ledger, sequence, HISTORY_NOW);
    return sequence == 0 || sequence > mark || is_maybe_gone(history, ledger, sequence);
}

uint64_t history_latest(const struct history *history, int ledger, int entry) {
    const struct history_put *put = latest_until(history, ledger, entry, UINT64_MAX);
    return put ? put->version : 0;
}

void history_forget(struct history *history) {
    history->put_count = history->delete_count = 0;
    for (int i = 0; i < HISTORY_LEDGERS; i++) history->fences[i] = 0;
}

void history_found(struct history *history, int ledger, int entry, uint64_t version) {
    assert(history->put_count < HISTORY_PUTS);
    history->puts[history->put_count++] =
        (struct history_put){ledger, entry, history->sequence, version};
}
