// What BookKeeper keeps in ZooKeeper, which others write too: whatever decodes, encodes to bytes
// that decode to the same.
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ledger_metadata.h"
#include "tests/fuzz/fuzz.h"

// Decodes, then encodes at the end of `out`; false if the bytes are malformed.
typedef bool pass(struct rt_bytes bytes, struct rt_arena *arena, struct rt_buf *out);

static bool metadata_pass(struct rt_bytes bytes, struct rt_arena *arena, struct rt_buf *out) {
    struct proto_ledger_metadata metadata;
    struct rt_why why = {""};
    if (proto_ledger_metadata_decode(bytes, arena, &metadata, &why)) {
        assert(why.text[0]);
        return false;
    }
    assert(proto_ledger_segment_of(&metadata, 0) == metadata.segments);
    proto_ledger_metadata_encode(&metadata, out);
    return true;
}

static bool info_pass(struct rt_bytes bytes, struct rt_arena *arena, struct rt_buf *out) {
    struct proto_bookie_info info;
    if (proto_bookie_info_decode(bytes, arena, &info)) return false;
    proto_bookie_info_encode(&info, out);
    return true;
}

static bool cookie_pass(struct rt_bytes bytes, struct rt_arena *arena, struct rt_buf *out) {
    struct proto_cookie cookie;
    struct rt_why why = {""};
    if (proto_cookie_decode(bytes, arena, &cookie, &why)) {
        assert(why.text[0]);
        return false;
    }
    assert(proto_cookie_equal(&cookie, &cookie));
    proto_cookie_encode(&cookie, out);
    return true;
}

static bool path_pass(struct rt_bytes bytes, struct rt_arena *arena, struct rt_buf *out) {
    (void)arena;
    int64_t ledger;
    if (!proto_ledger_path_parse(bytes, &ledger)) return false;
    char path[PROTO_LEDGER_PATH_SIZE];
    proto_ledger_path(ledger, path);
    rt_buf_append(out, rt_bytes_of(path));
    return true;
}

static void check(pass *run, struct rt_bytes bytes) {
    struct rt_arena arena = {0};
    struct rt_buf first = {0};
    struct rt_buf second = {0};
    if (run(bytes, &arena, &first)) {
        bool again = run(rt_buf_bytes(&first), &arena, &second);
        assert(again && rt_bytes_equal(rt_buf_bytes(&first), rt_buf_bytes(&second)));
    }
    rt_buf_fini(&first);
    rt_buf_fini(&second);
    rt_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);  // with nothing behind it
    if (!copy) abort();
    if (size) memcpy(copy, data, size);
    struct rt_bytes bytes = RT_BYTES(copy, size);
    check(metadata_pass, bytes);
    check(info_pass, bytes);
    check(cookie_pass, bytes);
    check(path_pass, bytes);
    struct rt_bytes factory;
    int version;
    if (proto_layout_decode(bytes, &factory, &version) == RT_OK) assert(version >= 0);
    (void)proto_bookie_id_is_valid(bytes);
    free(copy);
    return 0;
}
