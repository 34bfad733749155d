// Every operation over v3, and what is not an operation of ours.
#include <criterion/criterion.h>

#include "tests/unit/bookie_protocol/front.h"

enum { LAC_BODY = 20 };

static struct proto_bk_request v3(enum proto_bk_kind kind, int64_t ledger) {
    return (struct proto_bk_request){
        .form = PROTO_BK_V3, .kind = kind, .version = 3, .request_id = 7, .ledger = ledger};
}

static void ask(struct front *front, struct proto_bk_request request) {
    front_ask(front, 0, &request);
}

static struct proto_bk_response expect(struct front *front, enum proto_bk_kind kind,
                                       enum proto_bk_code code) {
    return front_expect(front, 0, PROTO_BK_V3, kind, code);
}

Test(bookie_protocol_forms, v3_adds_and_reads_and_v2_sees_the_same_entry) {
    struct front *front = front_open(1);
    struct rt_buf body = {0};
    front_dial(front, 0);
    ask(front, front_add(PROTO_BK_V3, 1, 5, front_body(1, 5, 50, &body)));
    struct proto_bk_response response = expect(front, PROTO_BK_ADD, PROTO_BK_OK);
    cr_expect(response.ledger == 1 && response.entry == 5 && response.request_id == 1005);
    ask(front, front_read(PROTO_BK_V3, 1, 5));
    response = expect(front, PROTO_BK_READ, PROTO_BK_OK);
    cr_expect(response.entry == 5 && response.has_max_lac && response.max_lac == 4);
    cr_expect(rt_bytes_equal(response.body, rt_buf_bytes(&body)));
    ask(front, front_read(PROTO_BK_V2, 1, -1));
    response = front_expect(front, 0, PROTO_BK_V2, PROTO_BK_READ, PROTO_BK_OK);
    cr_expect(response.entry == -1 && rt_bytes_equal(response.body, rt_buf_bytes(&body)));
    rt_buf_fini(&body);
    front_close(front);
}

Test(bookie_protocol_forms, lacs_force_and_lists) {
    struct front *front = front_open(1);
    struct rt_buf body = {0};
    uint8_t lac[LAC_BODY] = {0};
    struct proto_bk_request write = v3(PROTO_BK_WRITE_LAC, 1);
    lac[7] = 1;
    lac[15] = 9;
    write.flags = PROTO_BK_HAS_KEY;
    write.key = front_key();
    write.lac = 9;
    write.body = RT_BYTES(lac, sizeof(lac));
    front_dial(front, 0);
    ask(front, write);
    expect(front, PROTO_BK_WRITE_LAC, PROTO_BK_OK);
    ask(front, front_add(PROTO_BK_V2, 1, 0, front_body(1, 0, 30, &body)));
    front_expect(front, 0, PROTO_BK_V2, PROTO_BK_ADD, PROTO_BK_OK);
    ask(front, v3(PROTO_BK_READ_LAC, 1));
    struct proto_bk_response response = expect(front, PROTO_BK_READ_LAC, PROTO_BK_OK);
    cr_expect(response.has_lac_body && rt_bytes_equal(response.lac_body, write.body));
    cr_expect(response.has_last_entry && rt_bytes_equal(response.last_entry, rt_buf_bytes(&body)));
    ask(front, v3(PROTO_BK_FORCE_LEDGER, 1));
    expect(front, PROTO_BK_FORCE_LEDGER, PROTO_BK_OK);
    ask(front, v3(PROTO_BK_LIST_ENTRIES, 1));
    response = expect(front, PROTO_BK_LIST_ENTRIES, PROTO_BK_OK);
    rt_buf_clear(&body);
    cr_assert_eq(proto_bk_entry_list_decode(response.entries, &body), RT_OK);
    cr_expect_eq(body.size, sizeof(int64_t));
    rt_buf_fini(&body);
    front_close(front);
}

Test(bookie_protocol_forms, info_tells_what_was_asked_for) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    for (int64_t mask = 0; mask < 4; mask++) {
        struct proto_bk_request request = v3(PROTO_BK_BOOKIE_INFO, 0);
        request.info_mask = mask;
        ask(front, request);
        struct proto_bk_response response = expect(front, PROTO_BK_BOOKIE_INFO, PROTO_BK_OK);
        cr_expect_eq(response.has_total, (mask & 1) != 0);
        cr_expect_eq(response.has_free, (mask & 2) != 0);
        if (response.has_total) cr_expect_eq(response.total_bytes, 1000);
        if (response.has_free) cr_expect_eq(response.free_bytes, 300);
    }
    front_close(front);
}

Test(bookie_protocol_forms, auth_tls_unknown_operations_and_other_versions) {
    struct front *front = front_open(1);
    struct proto_bk_request request = v3(PROTO_BK_AUTH, 0);
    request.plugin = RT_BYTES_LITERAL("some plugin");
    front_dial(front, 0);
    ask(front, request);
    struct proto_bk_response response = expect(front, PROTO_BK_AUTH, PROTO_BK_OK);
    cr_expect(rt_bytes_equal(response.plugin, RT_BYTES_LITERAL("AuthDisabledPlugin")));
    cr_expect_eq(response.auth_payload.size, 0);
    ask(front, v3(PROTO_BK_START_TLS, 0));
    expect(front, PROTO_BK_START_TLS, PROTO_BK_BAD_REQUEST);
    front_send_hex(front, 0, "00000008 0a06 0803 1003 1807");  // RANGE_READ_ENTRY
    front_expect_hex(front, 0, "0000000b 0a06 0803 1003 1807 10 9403");
    front_send_hex(front, 0, "0000000f 0a06 0802 1001 1807 a206 04 0801 1000");  // version two
    expect(front, PROTO_BK_READ, PROTO_BK_BAD_VERSION);
    front_close(front);
}

static void limbo_act(struct front *front) {
    struct bookie_ledger *ledger = fake_store_ledger(&front->store, 1);
    ledger->exists = ledger->limbo = ledger->fenced = true;
}

Test(bookie_protocol_forms, an_unknown_ledger_state_is_never_told_to_v2) {
    struct front *front = front_open(1);
    front_act(front, limbo_act);
    front_dial(front, 0);
    front_send_hex(front, 0, "00000014 02020000 0000000000000001 0000000000000000");
    front_expect_hex(front, 0, "00000018 02020000 00000065 0000000000000001 0000000000000000");
    ask(front, front_read(PROTO_BK_V3, 1, 0));
    expect(front, PROTO_BK_READ, PROTO_BK_UNKNOWN_LEDGER_STATE);
    front_close(front);
}

Test(bookie_protocol_forms, a_long_poll_is_answered_over_the_wire) {
    struct front *front = front_open(2);
    struct rt_buf body = {0};
    struct proto_bk_request poll = front_read(PROTO_BK_V3, 1, -1);
    poll.flags = PROTO_BK_PIGGYBACK | PROTO_BK_HAS_PREVIOUS_LAC | PROTO_BK_HAS_TIMEOUT;
    poll.previous_lac = 0;
    poll.timeout_ms = 5000;
    front_dial(front, 0);
    front_dial(front, 1);
    ask(front, front_add(PROTO_BK_V2, 1, 0, front_body(1, 0, 30, &body)));
    ask(front, front_add(PROTO_BK_V2, 1, 1, front_body(1, 1, 30, &body)));
    front_expect(front, 0, PROTO_BK_V2, PROTO_BK_ADD, PROTO_BK_OK);
    front_expect(front, 0, PROTO_BK_V2, PROTO_BK_ADD, PROTO_BK_OK);
    front_ask(front, 1, &poll);
    front_expect_silence(front, 1);
    ask(front, front_add(PROTO_BK_V2, 1, 2, front_body(1, 2, 30, &body)));
    struct proto_bk_response response =
        front_expect(front, 1, PROTO_BK_V3, PROTO_BK_READ, PROTO_BK_OK);
    cr_expect(response.entry == 1 && response.max_lac == 1 && response.has_update_time);
    cr_expect_eq(response.body.size, 30);
    front_ask(front, 1, &poll);
    front_expect(front, 1, PROTO_BK_V3, PROTO_BK_READ, PROTO_BK_OK);
    poll.previous_lac = 7;
    front_ask(front, 1, &poll);
    front_hang_up(front, 1);  // and it is not answered to nobody
    cr_expect_eq(bookie_core_stats(front->core).long_polls, 0);
    rt_buf_fini(&body);
    front_close(front);
}
