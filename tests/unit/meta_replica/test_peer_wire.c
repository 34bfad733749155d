// The frames between nodes: bytes as they are, every truncation, and lengths that lie.
#include <criterion/criterion.h>
#include <string.h>

#include "meta/server/replica/peer_wire.h"

static struct meta_peer_hello sample(void) {
    return (struct meta_peer_hello){.is_virgin = true,
                                    .is_answer = true,
                                    .cluster = 0x0102030405060708,
                                    .from = 3,
                                    .to = 4,
                                    .last = {9, 2},
                                    .address = "h:1:2"};
}

static struct rt_buf hello_bytes(const struct meta_peer_hello *hello) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    meta_peer_hello_encode(hello, &w);
    return buf;
}

Test(meta_replica_peer_wire, a_hello_has_these_bytes) {
    static const uint8_t golden[] = {1, 'G', 'M', 'P', '1', 3, 1, 2, 3,   4,   5,   6,   7,
                                     8, 0,   0,   0,   0,   0, 0, 0, 3,   0,   0,   0,   0,
                                     0, 0,   0,   4,   0,   0, 0, 0, 0,   0,   0,   9,   0,
                                     0, 0,   0,   0,   0,   0, 2, 5, 'h', ':', '1', ':', '2'};
    const struct meta_peer_hello hello = sample();
    struct rt_buf buf = hello_bytes(&hello);
    cr_assert(rt_bytes_equal(rt_buf_bytes(&buf), RT_BYTES(golden, sizeof(golden))));
    rt_buf_fini(&buf);
}

Test(meta_replica_peer_wire, a_hello_comes_back_as_it_was) {
    for (unsigned flags = 0; flags < 4; flags++) {
        struct meta_peer_hello hello = sample(), again;
        hello.is_virgin = flags & 1;
        hello.is_answer = (flags & 2) != 0;
        struct rt_buf buf = hello_bytes(&hello);
        cr_assert_eq(meta_peer_hello_decode(rt_buf_bytes(&buf), &again), RT_OK);
        cr_assert_eq(again.is_virgin, hello.is_virgin);
        cr_assert_eq(again.is_answer, hello.is_answer);
        cr_assert_eq(again.cluster, hello.cluster);
        cr_assert(again.from == 3 && again.to == 4);
        cr_assert(again.last.index == 9 && again.last.term == 2);
        cr_assert_str_eq(again.address, "h:1:2");
        rt_buf_fini(&buf);
    }
}

Test(meta_replica_peer_wire, a_hello_that_is_cut_or_longer_is_refused) {
    const struct meta_peer_hello hello = sample();
    struct meta_peer_hello again;
    struct rt_buf buf = hello_bytes(&hello);
    for (size_t size = 0; size < buf.size; size++)
        cr_assert_eq(meta_peer_hello_decode(RT_BYTES(buf.data, size), &again), RT_EPROTO);
    rt_buf_append(&buf, RT_BYTES_LITERAL("x"));
    cr_assert_eq(meta_peer_hello_decode(rt_buf_bytes(&buf), &again), RT_EPROTO);
    rt_buf_fini(&buf);
}

static void check_refused_with(size_t at, uint8_t byte) {
    const struct meta_peer_hello hello = sample();
    struct meta_peer_hello again;
    struct rt_buf buf = hello_bytes(&hello);
    buf.data[at] = byte;
    cr_assert_eq(meta_peer_hello_decode(rt_buf_bytes(&buf), &again), RT_EPROTO, "%zu", at);
    rt_buf_fini(&buf);
}

Test(meta_replica_peer_wire, hellos_of_other_versions_kinds_and_nobody_are_refused) {
    check_refused_with(0, META_PEER_RAFT);
    check_refused_with(1, 'g');
    check_refused_with(4, '2');  // version
    check_refused_with(21, 0);   // from nobody
    check_refused_with(46, 4);   // address size
    check_refused_with(46, 6);
    check_refused_with(46, 255);
    check_refused_with(48, 0);  // a NUL in the address
}

Test(meta_replica_peer_wire, an_address_that_does_not_fit_is_refused) {
    const struct meta_peer_hello hello = sample();
    struct meta_peer_hello again;
    struct rt_buf buf = hello_bytes(&hello);
    for (size_t i = strlen(hello.address); i < RAFT_ADDRESS_SIZE; i++)
        rt_buf_append(&buf, RT_BYTES_LITERAL("a"));
    buf.data[46] = RAFT_ADDRESS_SIZE;
    cr_assert_eq(meta_peer_hello_decode(rt_buf_bytes(&buf), &again), RT_EPROTO);
    buf.data[46] = RAFT_ADDRESS_SIZE - 1;
    cr_assert_eq(meta_peer_hello_decode(RT_BYTES(buf.data, buf.size - 1), &again), RT_OK);
    cr_assert_eq(strlen(again.address), RAFT_ADDRESS_SIZE - 1);
    rt_buf_fini(&buf);
}

Test(meta_replica_peer_wire, touched_sessions_come_back_up_to_the_most) {
    static int64_t sessions[META_PEER_TOUCHES_MAX], again[META_PEER_TOUCHES_MAX];
    static const size_t counts[] = {0, 1, 2, META_PEER_TOUCHES_MAX};
    for (size_t i = 0; i < META_PEER_TOUCHES_MAX; i++) sessions[i] = (int64_t)(i * 77) - 5;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct rt_buf buf = {0};
        struct rt_writer w = rt_writer_into(&buf);
        size_t count;
        meta_peer_touch_encode(sessions, counts[i], &w);
        cr_assert_eq(meta_peer_touch_decode(rt_buf_bytes(&buf), again, &count), RT_OK);
        cr_assert_eq(count, counts[i]);
        if (count) cr_assert_eq(memcmp(sessions, again, count * sizeof(again[0])), 0);
        for (size_t size = 0; size < buf.size && size < 64; size++)
            cr_assert_eq(meta_peer_touch_decode(RT_BYTES(buf.data, size), again, &count),
                         RT_EPROTO);
        rt_buf_fini(&buf);
    }
}

Test(meta_replica_peer_wire, touched_sessions_beyond_the_most_are_refused_before_they_are_read) {
    int64_t none[1] = {42};
    size_t count;
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    rt_write_u8(&w, META_PEER_TOUCH);
    rt_write_be16(&w, META_PEER_TOUCHES_MAX + 1);
    for (size_t i = 0; i < META_PEER_TOUCHES_MAX + 1; i++) rt_write_be64(&w, 1);
    cr_assert_eq(meta_peer_touch_decode(rt_buf_bytes(&buf), none, &count), RT_EPROTO);
    cr_assert_eq(none[0], 42);
    rt_buf_fini(&buf);
}

Test(meta_replica_peer_wire, forwards_and_refusals_come_back_as_they_were) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    struct rt_bytes command;
    uint64_t term, ticket = 7;
    bool is_one;
    meta_peer_forward_encode(12, RT_BYTES_LITERAL("abc"), &w);
    cr_assert_eq(meta_peer_forward_decode(rt_buf_bytes(&buf), &term, &command), RT_OK);
    cr_assert_eq(term, 12);
    cr_assert(rt_bytes_equal(command, RT_BYTES_LITERAL("abc")));
    for (size_t size = 0; size < 9; size++)
        cr_assert_eq(meta_peer_forward_decode(RT_BYTES(buf.data, size), &term, &command),
                     RT_EPROTO);
    rt_buf_clear(&buf);
    w = rt_writer_into(&buf);
    meta_peer_refused_encode(&ticket, &w);
    cr_assert_eq(meta_peer_refused_decode(rt_buf_bytes(&buf), &is_one, &ticket), RT_OK);
    cr_assert(is_one && ticket == 7);
    for (size_t size = 2; size < 9; size++)
        cr_assert_eq(meta_peer_refused_decode(RT_BYTES(buf.data, size), &is_one, &ticket),
                     RT_EPROTO);
    cr_assert_eq(meta_peer_refused_decode(RT_BYTES(buf.data, 1), &is_one, &ticket), RT_OK);
    cr_assert_not(is_one);
    rt_buf_fini(&buf);
}

static void check_url(const char *address, bool any, const char *expected) {
    char url[64] = "";
    bool found = meta_peer_url(address, "tcp", any, url, sizeof(url));
    if (!expected)
        cr_assert_not(found, "%s", address);
    else
        cr_assert_str_eq(url, expected, "%s", url);
}

Test(meta_replica_peer_wire, the_peer_port_of_a_server_line_as_an_address) {
    check_url("m1:2888:3888:participant;m1:2181", false, "tcp://m1:2888");
    check_url("m1:2888:3888", true, "tcp://0.0.0.0:2888");
    check_url("[2001:db8::1]:2888:3888", false, "tcp://[2001:db8::1]:2888");
    check_url("[::1]:2888:3888", true, "tcp://[::]:2888");
    check_url("m1:2888", false, "tcp://m1:2888");
    check_url("", false, NULL);
    check_url("m1", false, NULL);
    check_url(":2888", false, NULL);
    check_url("m1:", false, NULL);
    check_url("m1:x", false, NULL);
    check_url("m1:123456", false, NULL);
    check_url("[::1", false, NULL);
    check_url("[::1]2888", false, NULL);
    check_url("a.host.whose.name.is.so.long.that.it.does.not.fit.into.sixty.four:2888", false,
              NULL);
}
