#include <criterion/criterion.h>

#include "runtime/mem.h"
#include "runtime/random.h"
#include "tests/unit/proto/bookkeeper_samples.h"

enum { ROUNDS = 3000, MEMORY = 300 };

struct source {
    struct rt_random random;
    uint8_t memory[MEMORY];
};

// Of any size in bits, so that varints of every size are met; and now and then below zero.
static int64_t number(struct source *source) {
    uint64_t value = rt_random_u64(&source->random);
    return (int64_t)(value >> rt_random_below(&source->random, 64));
}

static struct rt_bytes bytes(struct source *source) {
    size_t size = rt_random_below(&source->random, MEMORY);
    return RT_BYTES(source->memory + MEMORY - size, size);
}

static bool coin(struct source *source) {
    return rt_random_below(&source->random, 2) == 0;
}

static unsigned any_of(struct source *source, unsigned flags) {
    return (unsigned)rt_random_u64(&source->random) & flags;
}

static struct proto_bk_request v2_request(struct source *source) {
    static const enum proto_bk_kind kinds[] = {PROTO_BK_ADD, PROTO_BK_READ, PROTO_BK_BATCH_READ,
                                               PROTO_BK_AUTH};
    static const int32_t opcodes[] = {1, 2, 7, 3};
    size_t pick = rt_random_below(&source->random, 4);
    struct proto_bk_request request = {
        .form = PROTO_BK_V2, .version = 2, .kind = kinds[pick], .operation = opcodes[pick]};
    if (request.kind == PROTO_BK_AUTH) {
        request.plugin = bytes(source);
        request.auth_payload = bytes(source);
        return request;
    }
    request.flags = any_of(source, PROTO_BK_HIGH_PRIORITY | PROTO_BK_FENCE);
    if (request.kind == PROTO_BK_ADD) {
        request.flags &= ~(unsigned)PROTO_BK_FENCE;
        request.flags |= PROTO_BK_HAS_KEY | any_of(source, PROTO_BK_RECOVERY);
        size_t size = rt_random_between(&source->random, 16, MEMORY);
        request.body = RT_BYTES(source->memory, size);
        struct rt_reader r = rt_reader_over(request.body);
        request.ledger = (int64_t)rt_read_be64(&r);
        request.entry = (int64_t)rt_read_be64(&r);
    } else {
        request.ledger = number(source);
        request.entry = number(source);
    }
    if (request.kind == PROTO_BK_BATCH_READ) {
        request.request_id = (uint64_t)number(source);
        request.count_max = (int32_t)number(source);
        request.size_max = number(source);
    }
    if (request.flags & PROTO_BK_FENCE) request.flags |= PROTO_BK_HAS_KEY;
    if (request.flags & PROTO_BK_HAS_KEY) request.key = RT_BYTES(source->memory + 40, 20);
    return request;
}

static void v3_read_fill(struct source *source, struct proto_bk_request *request) {
    request->entry = number(source);
    request->flags |=
        any_of(source, PROTO_BK_HAS_KEY | PROTO_BK_HAS_PREVIOUS_LAC | PROTO_BK_HAS_TIMEOUT);
    request->flags |= coin(source) ? PROTO_BK_FENCE : any_of(source, PROTO_BK_PIGGYBACK);
    if (request->flags & PROTO_BK_HAS_KEY) request->key = bytes(source);
    if (request->flags & PROTO_BK_HAS_PREVIOUS_LAC) request->previous_lac = number(source);
    if (request->flags & PROTO_BK_HAS_TIMEOUT) request->timeout_ms = number(source);
}

static struct proto_bk_request v3_request(struct source *source) {
    static const enum proto_bk_kind kinds[] = {
        PROTO_BK_READ,      PROTO_BK_ADD,          PROTO_BK_AUTH,
        PROTO_BK_WRITE_LAC, PROTO_BK_READ_LAC,     PROTO_BK_BOOKIE_INFO,
        PROTO_BK_START_TLS, PROTO_BK_FORCE_LEDGER, PROTO_BK_LIST_ENTRIES};
    static const int32_t operations[] = {1, 2, 5, 6, 7, 8, 9, 10, 11};
    size_t pick = rt_random_below(&source->random, 9);
    struct proto_bk_request request = {.form = PROTO_BK_V3,
                                       .version = 3,
                                       .kind = kinds[pick],
                                       .operation = operations[pick],
                                       .request_id = (uint64_t)number(source),
                                       .flags = any_of(source, PROTO_BK_HIGH_PRIORITY)};
    if (request.kind == PROTO_BK_BOOKIE_INFO) request.info_mask = number(source);
    if (request.kind == PROTO_BK_AUTH) {
        request.plugin = bytes(source);
        request.auth_payload = bytes(source);
    }
    bool has_no_ledger = request.kind == PROTO_BK_AUTH || request.kind == PROTO_BK_BOOKIE_INFO ||
                         request.kind == PROTO_BK_START_TLS;
    if (!has_no_ledger) request.ledger = number(source);
    if (request.kind == PROTO_BK_READ) v3_read_fill(source, &request);
    if (request.kind == PROTO_BK_ADD || request.kind == PROTO_BK_WRITE_LAC) {
        request.flags |= PROTO_BK_HAS_KEY;
        request.key = bytes(source);
        request.body = bytes(source);
    }
    if (request.kind == PROTO_BK_WRITE_LAC) request.lac = number(source);
    if (request.kind == PROTO_BK_ADD) {
        request.entry = number(source);
        request.flags |= any_of(source, PROTO_BK_RECOVERY | PROTO_BK_DEFERRED_SYNC);
    }
    return request;
}

Test(proto_bookkeeper_random, requests_survive_the_wire) {
    struct source source;
    rt_random_seed(&source.random, 11);
    rt_random_fill(&source.random, source.memory, MEMORY);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct proto_bk_request request = coin(&source) ? v2_request(&source) : v3_request(&source);
        struct proto_bk_request out;
        struct rt_buf packet = bk_request_bytes(&request);
        cr_assert_eq(proto_bk_request_decode(rt_buf_bytes(&packet), &out), RT_OK, "%u", round);
        cr_assert(bk_requests_equal(&out, &request), "round %u, %s v%d", round,
                  proto_bk_kind_name(request.kind), request.form);
        rt_buf_fini(&packet);
    }
}

static enum proto_bk_code any_code(struct source *source, enum proto_bk_form form) {
    unsigned count = form == PROTO_BK_V2 ? PROTO_BK_UNKNOWN_LEDGER_STATE : PROTO_BK_CODES;
    return coin(source) ? PROTO_BK_OK : (enum proto_bk_code)rt_random_below(&source->random, count);
}

static struct proto_bk_response v2_response(struct source *source) {
    static const enum proto_bk_kind kinds[] = {PROTO_BK_ADD, PROTO_BK_READ, PROTO_BK_BATCH_READ};
    static const int32_t opcodes[] = {1, 2, 7};
    size_t pick = rt_random_below(&source->random, 3);
    struct proto_bk_response response = {.form = PROTO_BK_V2,
                                         .kind = kinds[pick],
                                         .operation = opcodes[pick],
                                         .code = any_code(source, PROTO_BK_V2),
                                         .ledger = number(source),
                                         .entry = number(source)};
    if (response.kind == PROTO_BK_BATCH_READ) response.request_id = (uint64_t)number(source);
    response.has_body = response.kind != PROTO_BK_ADD && response.code == PROTO_BK_OK;
    if (response.has_body && response.kind == PROTO_BK_READ) response.body = bytes(source);
    return response;
}

static void v3_texts_fill(struct source *source, struct proto_bk_response *response) {
    if (response->kind == PROTO_BK_READ_LAC) {
        response->has_lac_body = coin(source);
        if (response->has_lac_body) response->lac_body = bytes(source);
        response->has_last_entry = coin(source);
        if (response->has_last_entry) response->last_entry = bytes(source);
    }
    if (response->kind == PROTO_BK_LIST_ENTRIES && response->code == PROTO_BK_OK) {
        response->entries = bytes(source);
    }
    if (response->kind == PROTO_BK_AUTH && response->code == PROTO_BK_OK) {
        response->plugin = bytes(source);
        response->auth_payload = bytes(source);
    }
}

static void v3_numbers_fill(struct source *source, struct proto_bk_response *response) {
    if (response->kind == PROTO_BK_READ) {
        response->has_max_lac = coin(source);
        if (response->has_max_lac) response->max_lac = number(source);
        response->has_update_time = coin(source);
        if (response->has_update_time) response->update_time_ms = number(source);
        response->has_body = response->code == PROTO_BK_OK && coin(source);
        if (response->has_body) response->body = bytes(source);
    }
    if (response->kind == PROTO_BK_BOOKIE_INFO) {
        response->has_total = coin(source);
        if (response->has_total) response->total_bytes = number(source);
        response->has_free = coin(source);
        if (response->has_free) response->free_bytes = number(source);
    }
}

static struct proto_bk_response v3_response(struct source *source) {
    struct proto_bk_request like = v3_request(source);
    struct proto_bk_response response = {.form = PROTO_BK_V3,
                                         .kind = like.kind,
                                         .operation = like.operation,
                                         .request_id = like.request_id,
                                         .code = any_code(source, PROTO_BK_V3),
                                         .ledger = like.ledger};
    bool has_entry = like.kind == PROTO_BK_ADD || like.kind == PROTO_BK_READ;
    if (has_entry) response.entry = like.entry;
    v3_numbers_fill(source, &response);
    v3_texts_fill(source, &response);
    return response;
}

Test(proto_bookkeeper_random, responses_survive_the_wire) {
    struct source source;
    rt_random_seed(&source.random, 12);
    rt_random_fill(&source.random, source.memory, MEMORY);
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool v2 = coin(&source);
        struct proto_bk_response response = v2 ? v2_response(&source) : v3_response(&source);
        struct proto_bk_response out;
        struct rt_buf packet = bk_response_bytes(&response);
        cr_assert_eq(proto_bk_response_decode(rt_buf_bytes(&packet), &out), RT_OK, "%u", round);
        cr_assert(bk_responses_equal(&out, &response), "round %u, %s v%d", round,
                  proto_bk_kind_name(response.kind), response.form);
        rt_buf_fini(&packet);
    }
}

// THE LIST OF ENTRIES

static size_t random_ids(struct source *source, int64_t *ids, size_t most) {
    size_t count = 0;
    int64_t next = number(source) >> 1;
    if (next < 0) next = 0;
    while (count < most && next < INT64_MAX / 2) {
        size_t repeats = rt_random_between(&source->random, 1, 5);
        size_t run = rt_random_between(&source->random, 1, 4);
        int64_t gap = (int64_t)rt_random_between(&source->random, 1, coin(source) ? 3 : 1ull << 33);
        for (size_t i = 0; i < repeats && count + run <= most; i++, next += gap) {
            for (size_t j = 0; j < run; j++) ids[count++] = next++;
        }
        if (rt_random_below(&source->random, 10) == 0) break;
    }
    return count;
}

Test(proto_bookkeeper_random, lists_of_entries_survive_the_wire) {
    enum { MOST = 200 };
    struct source source;
    rt_random_seed(&source.random, 13);
    for (unsigned round = 0; round < 1000; round++) {
        int64_t ids[MOST];
        size_t count = random_ids(&source, ids, MOST);
        struct rt_buf list = {0};
        struct rt_buf out = {0};
        proto_bk_entry_list_encode(ids, count, &list);
        cr_assert_eq(proto_bk_entry_list_decode(rt_buf_bytes(&list), &out), RT_OK, "%u", round);
        cr_assert(rt_bytes_equal(rt_buf_bytes(&out), RT_BYTES(ids, count * sizeof(ids[0]))), "%u",
                  round);
        rt_buf_fini(&out);
        rt_buf_fini(&list);
    }
}
