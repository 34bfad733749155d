// Bytes that are no requests, and frames at the limit.
#include <criterion/criterion.h>

#include "tests/unit/bookie_protocol/front.h"

enum { FRAME_MAX = 4096, LENGTH_SIZE = 4, ADD_HEAD = 24 };

static const char *const rubbish[] = {
    "00000000",                                     // nothing
    "00000004 02040000",                            // READ_LAC has no v2 form
    "00000004 02ff0000",                            // no such operation
    "00000010 02020000 0000000000000001 00000000",  // truncated
    "0000001c 02010000 0000000000000000 0000000000000000 0000000000000000",  // an add without ids
    "00000018 02070000 0000000000000001 0000000000000000 00000000",          // half a batch read
    "00000008 0a06 0803 1001 1807",              // v3, READ without its message
    "00000004 0a7f0803",                         // v3 that lies about a size
    "ffffffff 02010000",                         // four gigabytes
    "47455420 2f20 48545450 2f312e31 0d0a0d0a",  // GET / HTTP/1.1
};

Test(bookie_protocol_hostile, what_is_no_request_ends_its_connection_and_no_other) {
    const unsigned count = sizeof(rubbish) / sizeof(rubbish[0]);
    struct front *front = front_open(2);
    front_dial(front, 0);
    for (unsigned i = 0; i < count; i++) {
        front_dial(front, 1);
        front_send_hex(front, 1, rubbish[i]);
        bool is_v3_read = i == 6;  // an error of one request, if it can be answered
        if (is_v3_read && front->clients[1].is_open) front_hang_up(front, 1);
        cr_expect(!front->clients[1].is_open, "%s", rubbish[i]);
        front->clients[1].in_size = 0;
    }
    cr_expect_geq(bookie_server_stats(front->server).protocol_errors, count - 1);
    front_send_hex(front, 0, "00000014 02020000 0000000000000001 0000000000000000");
    front_expect_hex(front, 0, "00000018 02020000 00000001 0000000000000001 0000000000000000");
    front_close(front);
}

Test(bookie_protocol_hostile, requests_before_the_rubbish_are_carried_out) {
    struct front *front = front_open(1);
    struct rt_buf body = {0}, packets = {0};
    struct proto_bk_request add = front_add(PROTO_BK_V2, 1, 0, front_body(1, 0, 40, &body));
    front_encode(&add, &packets);
    rt_buf_append(&packets, RT_BYTES_LITERAL("\0\0\0\4\2\4\0\0"));
    front_dial(front, 0);
    front_send(front, 0, rt_buf_bytes(&packets));
    cr_expect(!front->clients[0].is_open);
    cr_expect_eq(front->journal.count, 2, "the key and the entry");
    rt_buf_fini(&body);
    rt_buf_fini(&packets);
    front_close(front);
}

static struct front *small_frames(void) {
    struct front *front = front_new(1);
    front->options.frame_size_max = front->core_options.frame_size_max = FRAME_MAX;
    front_start(front);
    front_dial(front, 0);
    return front;
}

Test(bookie_protocol_hostile, a_frame_of_the_limit_is_taken_and_comes_back) {
    struct front *front = small_frames();
    struct rt_buf body = {0};
    front_body(1, 0, FRAME_MAX - LENGTH_SIZE - ADD_HEAD, &body);
    struct proto_bk_request request = front_add(PROTO_BK_V2, 1, 0, rt_buf_bytes(&body));
    front_ask(front, 0, &request);
    front_expect(front, 0, PROTO_BK_V2, PROTO_BK_ADD, PROTO_BK_OK);
    request = front_read(PROTO_BK_V2, 1, 0);
    front_ask(front, 0, &request);
    cr_expect_eq(front->clients[0].in_size, FRAME_MAX);
    struct proto_bk_response response =
        front_expect(front, 0, PROTO_BK_V2, PROTO_BK_READ, PROTO_BK_OK);
    cr_expect(rt_bytes_equal(response.body, rt_buf_bytes(&body)));
    rt_buf_fini(&body);
    front_close(front);
}

Test(bookie_protocol_hostile, one_byte_more_ends_the_connection) {
    struct front *front = small_frames();
    struct rt_buf body = {0};
    front_body(1, 0, FRAME_MAX - LENGTH_SIZE - ADD_HEAD + 1, &body);
    const struct proto_bk_request request = front_add(PROTO_BK_V2, 1, 0, rt_buf_bytes(&body));
    front_ask(front, 0, &request);
    cr_expect(!front->clients[0].is_open);
    cr_expect_eq(front->journal.count, 0);
    rt_buf_fini(&body);
    front_close(front);
}

Test(bookie_protocol_hostile, an_answer_that_would_not_fit_the_clients_frame_is_an_error) {
    struct front *front = small_frames();
    struct rt_buf body = {0};
    front_body(1, 0, FRAME_MAX - LENGTH_SIZE - ADD_HEAD, &body);
    struct proto_bk_request request = front_add(PROTO_BK_V2, 1, 0, rt_buf_bytes(&body));
    front_ask(front, 0, &request);
    front_expect(front, 0, PROTO_BK_V2, PROTO_BK_ADD, PROTO_BK_OK);
    request = front_read(PROTO_BK_V3, 1, 0);
    front_ask(front, 0, &request);
    front_expect(front, 0, PROTO_BK_V3, PROTO_BK_READ, PROTO_BK_IO);
    request = front_read(PROTO_BK_V2, 1, 0);
    request.kind = PROTO_BK_BATCH_READ;
    request.size_max = FRAME_MAX;
    front_ask(front, 0, &request);
    front_expect(front, 0, PROTO_BK_V2, PROTO_BK_BATCH_READ, PROTO_BK_IO);
    rt_buf_fini(&body);
    front_close(front);
}
