// Sessions: opened, attached, asking, closed.
#include <criterion/criterion.h>

#include "tests/unit/meta_tree/applier.h"

#define PASSWORD "0123456789abcdef"

static const struct meta_session *session(struct applier *a, int64_t id) {
    return meta_store_session(a->stage->store, id);
}

APPLIER_TEST(meta_tree_apply_session, opening_puts_it_into_the_state) {
    cr_assert_eq(applier_open_session(a, 8)->verdict, META_SESSION_OPENED);
    cr_assert_not_null(session(a, 8));
    cr_expect_eq(session(a, 8)->attachment, a->index);
    cr_expect_eq(session(a, 8)->timeout_ms, 4000);
    cr_expect_eq(session(a, 8)->created_ms, 1000);
    cr_expect(a->outcome.session == 8 && a->outcome.origin == 1 && a->outcome.ticket == 5);
}

APPLIER_TEST(meta_tree_apply_session, an_id_in_use_is_refused_and_keeps_its_owner) {
    uint64_t attachment = session(a, APPLIER_SESSION)->attachment;
    cr_expect_eq(applier_open_session(a, APPLIER_SESSION)->verdict, META_SESSION_REFUSED);
    cr_expect_eq(applier_open_session(a, 0)->verdict, META_SESSION_REFUSED);
    cr_expect_eq(session(a, APPLIER_SESSION)->attachment, attachment);
}

APPLIER_TEST(meta_tree_apply_session, attaching_asks_for_the_password_and_renews_the_timeout) {
    cr_expect_eq(applier_attach(a, 99, PASSWORD)->verdict, META_SESSION_REFUSED);
    cr_expect_eq(applier_attach(a, APPLIER_SESSION, "0123456789abcdeX")->verdict,
                 META_SESSION_REFUSED);
    cr_expect_eq(session(a, APPLIER_SESSION)->attachment, a->attachment);
    cr_expect_eq(applier_attach(a, APPLIER_SESSION, PASSWORD)->verdict, META_SESSION_OPENED);
    cr_expect_eq(session(a, APPLIER_SESSION)->attachment, a->index);
    cr_expect_eq(session(a, APPLIER_SESSION)->timeout_ms, 9000);
}

APPLIER_TEST(meta_tree_apply_session, requests_over_an_older_attachment_do_nothing) {
    applier_attach(a, APPLIER_SESSION, PASSWORD);
    uint64_t newer = a->index;
    cr_expect_eq(applier_create(a, "/late", 0), PROTO_ZK_ERR_SESSIONMOVED);
    cr_expect_eq(a->outcome.verdict, META_SESSION_MOVED);
    cr_expect(a->outcome.origin == 1 && a->outcome.ticket == 9);
    cr_expect_null(applier_find(a, "/late"));
    struct proto_zk_op op = applier_op_create(PROTO_ZK_OP_CREATE, "/late", 0);
    cr_expect_eq(applier_multi(a, &op, 1), PROTO_ZK_ERR_SESSIONMOVED);
    a->attachment = newer;
    cr_expect_eq(applier_create(a, "/now", 0), PROTO_ZK_ERR_OK);
}

APPLIER_TEST(meta_tree_apply_session, closing_deletes_its_ephemerals_and_no_others) {
    applier_create(a, "/p", 0);
    applier_create(a, "/p/b", PROTO_ZK_MODE_EPHEMERAL);
    applier_create(a, "/p/a", PROTO_ZK_MODE_EPHEMERAL);
    applier_create(a, "/keep", 0);
    uint64_t mine = a->attachment;
    applier_open_session(a, 8);
    a->session = 8;
    a->attachment = a->index;
    applier_create(a, "/p/other", PROTO_ZK_MODE_EPHEMERAL);
    cr_assert_eq(applier_close_session(a, APPLIER_SESSION, mine, 1)->verdict, META_SESSION_CLOSED);
    cr_expect_eq(a->outcome.reply.header.err, PROTO_ZK_ERR_OK);
    cr_expect_eq(a->outcome.opcode, PROTO_ZK_OP_CLOSE_SESSION);
    cr_expect_str_eq(applier_changes(a), "-/p/a -/p/b");
    cr_expect_eq(applier_find(a, "/p")->children, 1);
    cr_expect_eq(applier_find(a, "/p")->pzxid, (int64_t)a->index);
    cr_expect_null(session(a, APPLIER_SESSION));
    cr_expect_not_null(applier_find(a, "/keep"));
}

APPLIER_TEST(meta_tree_apply_session, closing_reaches_ephemerals_of_before_a_flush_and_after) {
    applier_create(a, "/before", PROTO_ZK_MODE_EPHEMERAL);
    applier_create(a, "/deleted", PROTO_ZK_MODE_EPHEMERAL);
    stage_flush(a->stage);
    applier_delete(a, "/deleted");
    applier_create(a, "/after", PROTO_ZK_MODE_EPHEMERAL);
    applier_close_session(a, APPLIER_SESSION, 0, 0);
    cr_expect_str_eq(applier_changes(a), "-/after -/before");
}

APPLIER_TEST(meta_tree_apply_session, closing_over_an_older_attachment_is_not_closing) {
    uint64_t older = a->attachment;
    applier_attach(a, APPLIER_SESSION, PASSWORD);
    cr_expect_eq(applier_close_session(a, APPLIER_SESSION, older, 1)->verdict, META_SESSION_MOVED);
    cr_expect_eq(applier_close_session(a, APPLIER_SESSION, older, 0)->verdict, META_IGNORED);
    cr_expect_not_null(session(a, APPLIER_SESSION));
    cr_expect_eq(applier_close_session(a, APPLIER_SESSION, 0, 0)->verdict, META_SESSION_CLOSED);
}

APPLIER_TEST(meta_tree_apply_session, closing_what_is_gone_tells_the_client_only) {
    cr_expect_eq(applier_close_session(a, 99, 0, 0)->verdict, META_IGNORED);
    cr_expect_eq(applier_close_session(a, 99, 4, 1)->verdict, META_ANSWERED);
    cr_expect_eq(a->outcome.reply.header.err, PROTO_ZK_ERR_SESSIONEXPIRED);
}

APPLIER_TEST(meta_tree_apply_session, ephemerals_belong_to_the_session_and_not_to_the_attachment) {
    applier_create(a, "/e", PROTO_ZK_MODE_EPHEMERAL);
    cr_expect_eq(a->outcome.reply.body.stat.ephemeral_owner, APPLIER_SESSION);
    applier_attach(a, APPLIER_SESSION, PASSWORD);
    cr_expect_not_null(applier_find(a, "/e"));
    a->attachment = a->index;
    cr_expect_eq(applier_create(a, "/e/child", 0), PROTO_ZK_ERR_NOCHILDRENFOREPHEMERALS);
}

APPLIER_TEST(meta_tree_apply_session, an_internal_request_needs_no_session_but_has_no_ephemerals) {
    struct proto_zk_request request = {.xid = 1,
                                       .op = applier_op_create(PROTO_ZK_OP_CREATE, "/internal", 0)};
    for (unsigned n = 0; n < 2; n++) {
        struct rt_buf payload = {0};
        struct rt_writer w = rt_writer_into(&payload);
        proto_zk_request_encode(&request, &w);
        const struct meta_command command = {.kind = META_REQUEST,
                                             .request.payload = rt_buf_bytes(&payload)};
        int32_t err = applier_entry(a, &command)->reply.header.err;
        cr_expect_eq(err, n ? PROTO_ZK_ERR_BADARGUMENTS : PROTO_ZK_ERR_OK);
        request.op = applier_op_create(PROTO_ZK_OP_CREATE, "/e", PROTO_ZK_MODE_EPHEMERAL);
        rt_buf_fini(&payload);
    }
    cr_expect_not_null(applier_find(a, "/internal"));
}
