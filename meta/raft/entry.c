#include "meta/raft/entry.h"

#include <assert.h>
#include <string.h>

#include "runtime/mem.h"

void raft_payload_init(struct raft_payload *payload, void (*release)(struct raft_payload *)) {
    payload->refs = 1;
    payload->release = release;
}

void raft_payload_hold(struct raft_payload *payload) {
    if (!payload) return;
    assert(payload->refs > 0 && payload->refs < UINT32_MAX);
    payload->refs++;
}

void raft_payload_drop(struct raft_payload *payload) {
    if (!payload) return;
    assert(payload->refs > 0);
    if (--payload->refs == 0) payload->release(payload);
}

struct copied_payload {
    struct raft_payload payload;
    uint8_t data[];
};

static void copied_release(struct raft_payload *payload) {
    rt_free(rt_container_of(payload, struct copied_payload, payload));
}

struct raft_payload *raft_payload_copy(struct rt_bytes bytes, struct rt_bytes *copy) {
    struct copied_payload *copied = rt_alloc(sizeof(*copied) + bytes.size);
    raft_payload_init(&copied->payload, copied_release);
    if (bytes.size) memcpy(copied->data, bytes.data, bytes.size);
    *copy = RT_BYTES(copied->data, bytes.size);
    return &copied->payload;
}

bool raft_position_equal(struct raft_position a, struct raft_position b) {
    return a.index == b.index && a.term == b.term;
}

bool raft_position_covers(struct raft_position a, struct raft_position b) {
    if (a.term != b.term) return a.term > b.term;
    return a.index >= b.index;
}
