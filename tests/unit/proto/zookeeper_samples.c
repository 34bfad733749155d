#include "tests/unit/proto/zookeeper_samples.h"

#define TEXT(text) \
    { (const uint8_t *)(text), sizeof(text) - 1 }
#define ABSENT \
    { NULL, 0 }
#define OF(list) \
    { .items = (list), .count = sizeof(list) / sizeof((list)[0]) }
#define HEADER(op) "00000007 " op " "

static const struct proto_zk_acl acl[] = {
    {PROTO_ZK_PERM_ALL, {TEXT("world"), TEXT("anyone")}},
    {-1, {TEXT("ip"), TEXT("")}},
};
#define ACL_HEX                                                                     \
    "00000002 0000001f 00000005 776f726c64 00000006 616e796f6e65 ffffffff 00000002" \
    "6970 00000000"

static const struct rt_bytes one[] = {TEXT("/a")};
static const struct rt_bytes two[] = {TEXT("b"), ABSENT};
#define ONE_HEX "00000001 00000002 2f61 "
#define TWO_HEX "00000002 00000001 62 ffffffff "

static const struct proto_zk_id ids[] = {{TEXT("ip"), TEXT("::1")}};

static const struct proto_zk_op writes[] = {
    {.opcode = PROTO_ZK_OP_CREATE, .create = {.path = TEXT("/a"), .acl = OF(acl)}},
    {.opcode = PROTO_ZK_OP_CREATE_TTL,
     .create = {.path = TEXT("/a"), .data = TEXT("x"), .flags = 5, .ttl_ms = 9}},
    {.opcode = PROTO_ZK_OP_DELETE, .versioned = {TEXT("/a"), -1}},
    {.opcode = PROTO_ZK_OP_SET_DATA, .set_data = {TEXT("/a"), TEXT(""), 1}},
    {.opcode = PROTO_ZK_OP_CHECK, .versioned = {TEXT("/a"), 2}},
};
static const struct proto_zk_op reads[] = {
    {.opcode = PROTO_ZK_OP_GET_DATA, .read = {TEXT("/a"), false}},
    {.opcode = PROTO_ZK_OP_GET_CHILDREN, .read = {TEXT("/a"), true}},
};
#define MULTI_END "ffffffff 01 ffffffff"

#define REQUEST(code) .xid = 7, .op.opcode = (code)

const struct request_sample request_samples[] = {
    {{.xid = PROTO_ZK_XID_PING, .op.opcode = PROTO_ZK_OP_PING}, "fffffffe 0000000b"},
    {{REQUEST(PROTO_ZK_OP_CREATE),
      .op.create = {.path = TEXT("/a"), .data = TEXT("xy"), .acl = OF(acl), .flags = 3}},
     HEADER("00000001") "00000002 2f61 00000002 7879" ACL_HEX "00000003"},
    {{REQUEST(PROTO_ZK_OP_CREATE2), .op.create = {.path = ABSENT, .acl.is_null = true}},
     HEADER("0000000f") "ffffffff ffffffff ffffffff 00000000"},
    {{REQUEST(PROTO_ZK_OP_CREATE_CONTAINER),
      .op.create = {.path = TEXT(""), .data = TEXT(""), .flags = 4}},
     HEADER("00000013") "00000000 00000000 00000000 00000004"},
    {{REQUEST(PROTO_ZK_OP_CREATE_TTL),
      .op.create = {.path = TEXT("/a"), .acl = OF(acl), .flags = 6, .ttl_ms = 1LL << 39}},
     HEADER("00000015") "00000002 2f61 ffffffff" ACL_HEX "00000006 0000008000000000"},
    {{REQUEST(PROTO_ZK_OP_DELETE), .op.versioned = {TEXT("/a"), -1}},
     HEADER("00000002") "00000002 2f61 ffffffff"},
    {{REQUEST(PROTO_ZK_OP_EXISTS), .op.read = {TEXT("/a"), true}},
     HEADER("00000003") "00000002 2f61 01"},
    {{REQUEST(PROTO_ZK_OP_GET_DATA), .op.read = {TEXT("/a"), false}},
     HEADER("00000004") "00000002 2f61 00"},
    {{REQUEST(PROTO_ZK_OP_SET_DATA), .op.set_data = {TEXT("/a"), TEXT("xy"), 5}},
     HEADER("00000005") "00000002 2f61 00000002 7879 00000005"},
    {{REQUEST(PROTO_ZK_OP_GET_ACL), .op.path = TEXT("/a")}, HEADER("00000006") "00000002 2f61"},
    {{REQUEST(PROTO_ZK_OP_SET_ACL), .op.set_acl = {TEXT("/a"), OF(acl), 5}},
     HEADER("00000007") "00000002 2f61" ACL_HEX "00000005"},
    {{REQUEST(PROTO_ZK_OP_GET_CHILDREN), .op.read = {TEXT("/a"), true}},
     HEADER("00000008") "00000002 2f61 01"},
    {{REQUEST(PROTO_ZK_OP_SYNC), .op.path = TEXT("/a")}, HEADER("00000009") "00000002 2f61"},
    {{REQUEST(PROTO_ZK_OP_GET_CHILDREN2), .op.read = {TEXT("/a"), true}},
     HEADER("0000000c") "00000002 2f61 01"},
    {{REQUEST(PROTO_ZK_OP_RECONFIG),
      .op.reconfig = {TEXT("j"), ABSENT, TEXT("m"), .config_id = -1}},
     HEADER("00000010") "00000001 6a ffffffff 00000001 6d ffffffffffffffff"},
    {{REQUEST(PROTO_ZK_OP_CHECK_WATCHES), .op.watch = {TEXT("/a"), PROTO_ZK_WATCH_DATA}},
     HEADER("00000011") "00000002 2f61 00000002"},
    {{REQUEST(PROTO_ZK_OP_REMOVE_WATCHES), .op.watch = {TEXT("/a"), PROTO_ZK_WATCH_ANY}},
     HEADER("00000012") "00000002 2f61 00000003"},
    {{.xid = PROTO_ZK_XID_AUTH,
      .op = {.opcode = PROTO_ZK_OP_AUTH, .auth = {0, TEXT("digest"), TEXT("u:p")}}},
     "fffffffc 00000064 00000000 00000006 646967657374 00000003 753a70"},
    {{.xid = PROTO_ZK_XID_SET_WATCHES,
      .op = {.opcode = PROTO_ZK_OP_SET_WATCHES,
             .set_watches = {.relative_zxid = 9, .data = OF(one), .child = OF(two)}}},
     "fffffff8 00000065 0000000000000009" ONE_HEX "00000000" TWO_HEX},
    {{REQUEST(PROTO_ZK_OP_SET_WATCHES2), .op.set_watches = {.relative_zxid = 9,
                                                            .exist = OF(one),
                                                            .child.is_null = true,
                                                            .persistent = OF(two),
                                                            .persistent_recursive = OF(one)}},
     HEADER("00000069") "0000000000000009 00000000" ONE_HEX "ffffffff" TWO_HEX ONE_HEX},
    {{REQUEST(PROTO_ZK_OP_SASL), .op.token = TEXT("t")}, HEADER("00000066") "00000001 74"},
    {{REQUEST(PROTO_ZK_OP_GET_EPHEMERALS), .op.path = ABSENT}, HEADER("00000067") "ffffffff"},
    {{REQUEST(PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER), .op.path = TEXT("/")},
     HEADER("00000068") "00000001 2f"},
    {{REQUEST(PROTO_ZK_OP_ADD_WATCH), .op.watch = {TEXT("/"), PROTO_ZK_ADD_PERSISTENT_RECURSIVE}},
     HEADER("0000006a") "00000001 2f 00000001"},
    {{REQUEST(PROTO_ZK_OP_WHO_AM_I)}, HEADER("0000006b")},
    {{REQUEST(PROTO_ZK_OP_CLOSE_SESSION)}, HEADER("fffffff5")},
    {{REQUEST(PROTO_ZK_OP_MULTI)}, HEADER("0000000e") MULTI_END},
    {{REQUEST(PROTO_ZK_OP_MULTI), .ops = writes, .op_count = 5},
     HEADER("0000000e")  //
     "00000001 00 ffffffff 00000002 2f61 ffffffff" ACL_HEX "00000000"
     "00000015 00 ffffffff 00000002 2f61 00000001 78 00000000 00000005 0000000000000009"
     "00000002 00 ffffffff 00000002 2f61 ffffffff"
     "00000005 00 ffffffff 00000002 2f61 00000000 00000001"
     "0000000d 00 ffffffff 00000002 2f61 00000002" MULTI_END},
    {{REQUEST(PROTO_ZK_OP_MULTI_READ), .ops = reads, .op_count = 2},
     HEADER("00000016")  //
     "00000004 00 ffffffff 00000002 2f61 00"
     "00000008 00 ffffffff 00000002 2f61 01" MULTI_END},
};
const size_t request_sample_count = sizeof(request_samples) / sizeof(request_samples[0]);

static const struct proto_zk_result done[] = {
    {.opcode = PROTO_ZK_OP_CREATE, .body.path = TEXT("/a")},
    {.opcode = PROTO_ZK_OP_CREATE2, .body = {.path = TEXT("/a"), .stat = STAT_SAMPLE}},
    {.opcode = PROTO_ZK_OP_DELETE},
    {.opcode = PROTO_ZK_OP_SET_DATA, .body.stat = STAT_SAMPLE},
    {.opcode = PROTO_ZK_OP_CHECK},
};
static const struct proto_zk_result failed[] = {
    {.opcode = PROTO_ZK_RESULT_ERROR},
    {.opcode = PROTO_ZK_RESULT_ERROR, .err = PROTO_ZK_ERR_NONODE},
    {.opcode = PROTO_ZK_RESULT_ERROR, .err = PROTO_ZK_ERR_RUNTIMEINCONSISTENCY},
};
static const struct proto_zk_result read_results[] = {
    {.opcode = PROTO_ZK_OP_GET_DATA, .body = {.data = TEXT("x"), .stat = STAT_SAMPLE}},
    {.opcode = PROTO_ZK_RESULT_ERROR, .err = PROTO_ZK_ERR_NOAUTH},
    {.opcode = PROTO_ZK_OP_GET_CHILDREN, .body.names = OF(two)},
};

#define REPLY .header = {.xid = 7, .zxid = 0x123456789}
#define REPLY_HEX "00000007 0000000123456789 00000000 "

const struct reply_sample reply_samples[] = {
    {PROTO_ZK_OP_PING,
     {.header = {.xid = PROTO_ZK_XID_PING, .zxid = 5}},
     "fffffffe 0000000000000005 00000000"},
    {PROTO_ZK_OP_GET_DATA,
     {.header = {.xid = 7, .zxid = 5, .err = PROTO_ZK_ERR_NONODE}},
     "00000007 0000000000000005 ffffff9b"},
    {PROTO_ZK_OP_CREATE, {REPLY, .body.path = TEXT("/a")}, REPLY_HEX "00000002 2f61"},
    {PROTO_ZK_OP_CREATE2,
     {REPLY, .body = {.path = TEXT("/a"), .stat = STAT_SAMPLE}},
     REPLY_HEX "00000002 2f61" STAT_HEX},
    {PROTO_ZK_OP_CREATE_CONTAINER,
     {REPLY, .body = {.path = TEXT("/a"), .stat = STAT_SAMPLE}},
     REPLY_HEX "00000002 2f61" STAT_HEX},
    {PROTO_ZK_OP_CREATE_TTL,
     {REPLY, .body = {.path = TEXT("/a"), .stat = STAT_SAMPLE}},
     REPLY_HEX "00000002 2f61" STAT_HEX},
    {PROTO_ZK_OP_DELETE, {REPLY}, REPLY_HEX},
    {PROTO_ZK_OP_EXISTS, {REPLY, .body.stat = STAT_SAMPLE}, REPLY_HEX STAT_HEX},
    {PROTO_ZK_OP_GET_DATA,
     {REPLY, .body = {.data = TEXT(""), .stat = STAT_SAMPLE}},
     REPLY_HEX "00000000" STAT_HEX},
    {PROTO_ZK_OP_GET_DATA,
     {REPLY, .body = {.data = ABSENT, .stat = STAT_SAMPLE}},
     REPLY_HEX "ffffffff" STAT_HEX},
    {PROTO_ZK_OP_RECONFIG,
     {REPLY, .body = {.data = TEXT("c"), .stat = STAT_SAMPLE}},
     REPLY_HEX "00000001 63" STAT_HEX},
    {PROTO_ZK_OP_SET_DATA, {REPLY, .body.stat = STAT_SAMPLE}, REPLY_HEX STAT_HEX},
    {PROTO_ZK_OP_GET_ACL,
     {REPLY, .body = {.acl = OF(acl), .stat = STAT_SAMPLE}},
     REPLY_HEX ACL_HEX STAT_HEX},
    {PROTO_ZK_OP_SET_ACL, {REPLY, .body.stat = STAT_SAMPLE}, REPLY_HEX STAT_HEX},
    {PROTO_ZK_OP_GET_CHILDREN, {REPLY, .body.names = OF(two)}, REPLY_HEX TWO_HEX},
    {PROTO_ZK_OP_GET_CHILDREN, {REPLY}, REPLY_HEX "00000000"},
    {PROTO_ZK_OP_GET_CHILDREN2,
     {REPLY, .body = {.names = OF(one), .stat = STAT_SAMPLE}},
     REPLY_HEX ONE_HEX STAT_HEX},
    {PROTO_ZK_OP_SYNC, {REPLY, .body.path = TEXT("/a")}, REPLY_HEX "00000002 2f61"},
    {PROTO_ZK_OP_CHECK_WATCHES, {REPLY}, REPLY_HEX},
    {PROTO_ZK_OP_REMOVE_WATCHES, {REPLY}, REPLY_HEX},
    {PROTO_ZK_OP_AUTH, {.header.xid = PROTO_ZK_XID_AUTH}, "fffffffc 0000000000000000 00000000"},
    {PROTO_ZK_OP_SET_WATCHES, {REPLY}, REPLY_HEX},
    {PROTO_ZK_OP_SET_WATCHES2, {REPLY}, REPLY_HEX},
    {PROTO_ZK_OP_SASL, {REPLY}, REPLY_HEX "ffffffff"},
    {PROTO_ZK_OP_GET_EPHEMERALS, {REPLY, .body.names = OF(one)}, REPLY_HEX ONE_HEX},
    {PROTO_ZK_OP_GET_ALL_CHILDREN_NUMBER, {REPLY, .body.number = 9}, REPLY_HEX "00000009"},
    {PROTO_ZK_OP_ADD_WATCH, {REPLY}, REPLY_HEX "00000000"},
    {PROTO_ZK_OP_WHO_AM_I,
     {REPLY, .body.ids = OF(ids)},
     REPLY_HEX "00000001 00000002 6970 00000003 3a3a31"},
    {PROTO_ZK_OP_CLOSE_SESSION, {REPLY}, REPLY_HEX},
    {PROTO_ZK_OP_MULTI, {REPLY}, REPLY_HEX MULTI_END},
    {PROTO_ZK_OP_MULTI,
     {REPLY, .results = done, .result_count = 5},
     REPLY_HEX "00000001 00 00000000 00000002 2f61"
               "0000000f 00 00000000 00000002 2f61" STAT_HEX "00000002 00 00000000"
               "00000005 00 00000000" STAT_HEX "0000000d 00 00000000" MULTI_END},
    {PROTO_ZK_OP_MULTI,
     {REPLY, .results = failed, .result_count = 3},
     REPLY_HEX "ffffffff 00 00000000 00000000  ffffffff 00 ffffff9b ffffff9b"
               "ffffffff 00 fffffffe fffffffe" MULTI_END},
    {PROTO_ZK_OP_MULTI_READ,
     {REPLY, .results = read_results, .result_count = 3},
     REPLY_HEX "00000004 00 00000000 00000001 78" STAT_HEX "ffffffff 00 ffffff9a ffffff9a"
               "00000008 00 00000000" TWO_HEX MULTI_END},
};
const size_t reply_sample_count = sizeof(reply_samples) / sizeof(reply_samples[0]);

struct rt_buf request_bytes(const struct proto_zk_request *request) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_zk_request_encode(request, &w);
    return buf;
}

struct rt_buf reply_bytes(const struct proto_zk_reply *reply, int32_t opcode) {
    struct rt_buf buf = {0};
    struct rt_writer w = rt_writer_into(&buf);
    proto_zk_reply_encode(reply, opcode, &w);
    return buf;
}
