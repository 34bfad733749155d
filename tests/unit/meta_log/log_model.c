#include "tests/unit/meta_log/log_model.h"

#include <assert.h>
#include <string.h>

static struct raft_position state_last(const struct model_state *state) {
    if (state->count == 0) return state->base;
    return (struct raft_position){state->base.index + state->count, state->terms[state->count - 1]};
}

struct raft_position model_last(const struct model *model) {
    return state_last(&model->writes[model->count].after);
}

void model_write(struct model *model, struct fixture *fixture, struct rt_random *random) {
    assert(model->count < MODEL_WRITES_MAX);
    const struct model_state *before = &model->writes[model->count].after;
    struct model_write *write = &model->writes[++model->count];
    *write = (struct model_write){.cut = *before};
    struct raft_position last = state_last(before);
    uint64_t term = last.term ? last.term : 1, truncate_from = 0;
    uint64_t draw = rt_random_below(random, 20);
    bool resets = draw == 0;
    size_t count = (size_t)rt_random_below(random, draw == 5 ? 90 : 6);
    if (resets) {
        write->cuts = true;
        write->cut.base = (struct raft_position){last.index + rt_random_below(random, 5), ++term};
        write->cut.count = 0;
    } else if (draw < 4 && before->count > 0) {
        size_t keep = before->count - (size_t)rt_random_below(random, before->count + 1) % 20;
        if (before->base.index + keep < model->released)
            keep = (size_t)(model->released - before->base.index);
        if (keep < before->count) {
            write->cuts = true;
            truncate_from = before->base.index + keep + 1;
            write->cut.count = keep;
            term++;
        }
    }
    write->after = write->cut;
    if (write->after.count + count > MODEL_ENTRIES_MAX) count = 0;
    for (size_t i = 0; i < count; i++) write->after.terms[write->after.count++] = term;
    struct raft_position first = {state_last(&write->cut).index + 1, term};
    if (resets) {
        fixture_reset(fixture, model->count, write->cut.base, term, count);
    } else {
        fixture_write(fixture, model->count, truncate_from, first, count);
    }
}

// Up to `last`: entries of the state and of what was found are the same; the base may have moved
// up to what was released.
static bool is_same(const struct model *model, const struct model_state *state,
                    const struct fixture *fixture) {
    struct raft_position base = fixture->found.base;
    uint64_t state_end = state->base.index + state->count;
    if (base.index < state->base.index || base.index > state_end) return false;
    if (base.index > state->base.index && base.index > model->released) return false;
    if (base.index + fixture->count != state_end) return false;
    size_t skip = (size_t)(base.index - state->base.index);
    uint64_t base_term = skip ? state->terms[skip - 1] : state->base.term;
    if (base.term != base_term) return false;
    return fixture->count == 0 ||
           memcmp(fixture->terms, state->terms + skip, fixture->count * sizeof(uint64_t)) == 0;
}

static bool is_within(const struct model *model, const struct model_write *write,
                      const struct fixture *fixture) {
    struct model_state state = write->after;
    for (size_t count = write->cut.count; count < write->after.count; count++) {
        state.count = count;
        bool is_begun = write->cuts || count > write->cut.count;
        if (is_begun && is_same(model, &state, fixture)) return true;
    }
    return false;
}

bool model_allows(const struct model *model, const struct fixture *fixture, uint64_t written) {
    for (size_t version = written; version <= model->count; version++) {
        if (is_same(model, &model->writes[version].after, fixture)) return true;
        if (version < model->count && is_within(model, &model->writes[version + 1], fixture))
            return true;
    }
    return false;
}

void model_adopt(struct model *model, const struct fixture *fixture) {
    model->count = 0;
    struct model_state *state = &model->writes[0].after;
    state->base = fixture->found.base;
    state->count = fixture->count;
    memcpy(state->terms, fixture->terms, fixture->count * sizeof(uint64_t));
}
