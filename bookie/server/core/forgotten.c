#include "bookie/server/core/forgotten.h"

#include <assert.h>
#include <string.h>

#include "runtime/loop.h"
#include "runtime/mem.h"

enum { CAPACITY_MIN = 64, DAY_S = 24 * 60 * 60 };

static uint64_t day_of(uint64_t now_ns) {
    return now_ns / (DAY_S * RT_NS_PER_S);
}

static size_t slot_of(const struct bookie_forgotten_day *day, int64_t ledger) {
    uint64_t hash = (uint64_t)ledger * UINT64_C(0x9e3779b97f4a7c15);
    size_t at = (size_t)(hash >> 32) & (day->capacity - 1);
    while (day->slots[at] != ledger && day->slots[at] >= 0) at = (at + 1) & (day->capacity - 1);
    return at;
}

static void day_fini(struct bookie_forgotten *forgotten, struct bookie_forgotten_day *day) {
    forgotten->count -= day->count;
    rt_free(day->slots);
    *day = (struct bookie_forgotten_day){0};
}

// Their day is more than a week ago, also for what was added at its end.
static void old_drop(struct bookie_forgotten *forgotten, uint64_t today) {
    for (unsigned i = 0; i < BOOKIE_FORGOTTEN_DAYS; i++) {
        struct bookie_forgotten_day *day = &forgotten->days[i];
        if (day->count && today - day->day >= BOOKIE_FORGOTTEN_DAYS) day_fini(forgotten, day);
    }
}

static void day_grow(struct bookie_forgotten_day *day) {
    struct bookie_forgotten_day old = *day;
    day->capacity = old.capacity ? 2 * old.capacity : CAPACITY_MIN;
    day->slots = rt_alloc(day->capacity * sizeof(*day->slots));
    memset(day->slots, 0xff, day->capacity * sizeof(*day->slots));
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.slots[i] >= 0) day->slots[slot_of(day, old.slots[i])] = old.slots[i];
    }
    rt_free(old.slots);
}

void bookie_forgotten_fini(struct bookie_forgotten *forgotten) {
    for (unsigned i = 0; i < BOOKIE_FORGOTTEN_DAYS; i++) day_fini(forgotten, &forgotten->days[i]);
    assert(forgotten->count == 0);
}

void bookie_forgotten_add(struct bookie_forgotten *forgotten, int64_t ledger, uint64_t now_ns) {
    uint64_t today = day_of(now_ns);
    struct bookie_forgotten_day *day = &forgotten->days[today % BOOKIE_FORGOTTEN_DAYS];
    assert(ledger >= 0);
    old_drop(forgotten, today);
    day->day = today;
    if (4 * (day->count + 1) > 3 * day->capacity) day_grow(day);
    int64_t *slot = &day->slots[slot_of(day, ledger)];
    if (*slot == ledger) return;
    *slot = ledger;
    day->count++;
    forgotten->count++;
}

bool bookie_forgotten_has(struct bookie_forgotten *forgotten, int64_t ledger, uint64_t now_ns) {
    if (forgotten->count == 0) return false;
    old_drop(forgotten, day_of(now_ns));
    for (unsigned i = 0; i < BOOKIE_FORGOTTEN_DAYS; i++) {
        const struct bookie_forgotten_day *day = &forgotten->days[i];
        if (day->count && day->slots[slot_of(day, ledger)] == ledger) return true;
    }
    return false;
}
