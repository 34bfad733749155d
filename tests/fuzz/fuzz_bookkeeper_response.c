// Packets from BookKeeper's servers, and what clients find in them: entries, lists of entries.
// Whatever decodes, encodes to bytes that decode to the same.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bookkeeper.h"
#include "proto/ledger_entry.h"
#include "tests/fuzz/fuzz.h"

enum { EXPAND_MAX = 10000 };

static bool pass(struct rt_bytes packet, struct rt_buf *out) {
    struct proto_bk_response response;
    if (proto_bk_response_decode(packet, &response)) return false;
    assert(response.code < PROTO_BK_CODES && response.body.size <= packet.size);
    // A body beside an error is not ours to send.
    if (response.code != PROTO_BK_OK) response.has_body = false;
    if (!response.has_body) response.body = RT_BYTES(NULL, 0);
    struct rt_writer w = rt_writer_into(out);
    proto_bk_response_encode(&response, response.body.size, &w);
    rt_buf_append(out, response.body);
    return true;
}

static void check_entry(struct rt_bytes bytes) {
    for (int digest = PROTO_DIGEST_CRC32; digest <= PROTO_DIGEST_DUMMY; digest++) {
        struct proto_ledger_keys keys;
        struct proto_entry entry;
        int64_t lac;
        proto_ledger_keys_make(&keys, (enum proto_digest)digest, RT_BYTES(NULL, 0));
        if (!proto_entry_open(&keys, bytes, 1, -1, &entry)) assert(entry.ledger == 1);
        if (!proto_explicit_lac_open(&keys, bytes, 1, &lac)) assert(bytes.size >= 16);
    }
}

// Fewer than a list may have, so that a run stays short.
static bool is_small(const struct rt_buf *groups) {
    const struct proto_bk_entry_group *group = (const void *)groups->data;
    uint64_t total = 0;
    for (size_t i = 0; i < groups->size / sizeof(*group); i++) {
        uint64_t span = (uint64_t)(group[i].last - group[i].first);
        uint64_t sequences = group[i].period ? span / (uint64_t)group[i].period + 1 : 1;
        if (sequences > EXPAND_MAX || group[i].size > EXPAND_MAX) return false;
        total += sequences * (uint64_t)group[i].size;
    }
    return total <= EXPAND_MAX;
}

static void check_list(struct rt_bytes bytes) {
    struct rt_buf groups = {0}, entries = {0}, list = {0}, again = {0};
    rt_err err = proto_bk_entry_groups_decode(bytes, &groups);
    if (!err && is_small(&groups)) {
        err = proto_bk_entry_list_decode(bytes, &entries);
        assert(!err);
        size_t count = entries.size / sizeof(int64_t);
        proto_bk_entry_list_encode((const void *)entries.data, count, &list);
        err = proto_bk_entry_list_decode(rt_buf_bytes(&list), &again);
        assert(!err && rt_bytes_equal(rt_buf_bytes(&entries), rt_buf_bytes(&again)));
    }
    rt_buf_fini(&groups);
    rt_buf_fini(&entries);
    rt_buf_fini(&list);
    rt_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);  // with nothing behind it
    if (!copy) abort();
    if (size) memcpy(copy, data, size);
    struct rt_buf first = {0};
    struct rt_buf second = {0};
    if (pass(RT_BYTES(copy, size), &first)) {
        bool again = pass(rt_buf_bytes(&first), &second);
        assert(again && rt_bytes_equal(rt_buf_bytes(&first), rt_buf_bytes(&second)));
    }
    check_entry(RT_BYTES(copy, size));
    check_list(RT_BYTES(copy, size));
    rt_buf_fini(&first);
    rt_buf_fini(&second);
    free(copy);
    return 0;
}
