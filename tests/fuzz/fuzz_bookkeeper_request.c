// Packets from BookKeeper's clients: whatever decodes in a version of ours, encodes to bytes that
// decode to the same.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bookkeeper.h"
#include "proto/ledger_entry.h"
#include "tests/fuzz/fuzz.h"

static bool pass(struct rt_bytes packet, struct rt_buf *out) {
    struct proto_bk_request request;
    if (proto_bk_request_decode(packet, &request)) return false;
    assert(request.kind < PROTO_BK_KINDS);
    assert(request.body.size + request.key.size <= packet.size);
    int32_t ours = request.form == PROTO_BK_V3 ? 3 : 2;
    if (request.version != ours || request.kind == PROTO_BK_UNKNOWN) return false;
    struct rt_writer w = rt_writer_into(out);
    size_t behind = 0;
    rt_err err = proto_bk_request_encode(&request, &w, &behind);
    assert(!err);
    if (behind > 0) rt_buf_append(out, request.body);
    struct proto_entry_ids ids;
    if (proto_entry_ids_read(request.body, &ids) == RT_OK) assert(ids.entry >= 0);
    return true;
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
    rt_buf_fini(&first);
    rt_buf_fini(&second);
    free(copy);
    return 0;
}
