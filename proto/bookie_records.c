#include <inttypes.h>
#include <string.h>

#include "proto/decimal.h"
#include "proto/ledger_metadata_form.h"
#include "proto/protobuf_text.h"

// BOOKIE SERVICE INFO

#define ENDPOINT struct proto_bookie_endpoint
static const struct proto_pb_field endpoint_fields[] = {
    PROTO_PB_MUST(ENDPOINT, id, 1, "id", STRING),
    PROTO_PB_MUST(ENDPOINT, port, 2, "port", INT32),
    PROTO_PB_MUST(ENDPOINT, host, 3, "host", STRING),
    PROTO_PB_MUST(ENDPOINT, protocol, 4, "protocol", STRING),
    PROTO_PB_LIST(ENDPOINT, auth, auth_count, 5, "auth", STRING),
    PROTO_PB_LIST(ENDPOINT, extensions, extension_count, 6, "extensions", STRING),
};
static const struct proto_pb_message endpoint_message =
    PROTO_PB_MESSAGE_OF(ENDPOINT, endpoint_fields);

#define INFO struct proto_bookie_info
static const struct proto_pb_field info_fields[] = {
    PROTO_PB_LIST(INFO, endpoints, endpoint_count, 6, "endpoints", MESSAGE,
                  .message = &endpoint_message),
    PROTO_PB_LIST(INFO, properties, property_count, 7, "properties", MESSAGE,
                  .message = &proto_pair_message),
};
static const struct proto_pb_message info_message = PROTO_PB_MESSAGE_OF(INFO, info_fields);

rt_err proto_bookie_info_decode(struct rt_bytes bytes, struct rt_arena *arena,
                                struct proto_bookie_info *info) {
    return proto_pb_decode(&info_message, bytes, arena, info);
}

void proto_bookie_info_encode(const struct proto_bookie_info *info, struct rt_buf *out) {
    struct rt_writer w = rt_writer_into(out);
    proto_pb_encode(&info_message, info, &w);
}

// COOKIE: a line with the layout's version, then the message in text form.

enum { COOKIE_LAYOUT = 5, COOKIE_LAYOUT_MIN = 4 };

#define COOKIE struct proto_cookie
static const struct proto_pb_field cookie_fields[] = {
    PROTO_PB_MUST(COOKIE, bookie, 1, "bookieHost", STRING),
    PROTO_PB_MUST(COOKIE, journal_dirs, 2, "journalDir", STRING),
    PROTO_PB_MUST(COOKIE, ledger_dirs, 3, "ledgerDirs", STRING),
    PROTO_PB_MAY(COOKIE, instance, 4, "instanceId", STRING),
    PROTO_PB_MAY(COOKIE, index_dirs, 5, "indexDirs", STRING),
};
static const struct proto_pb_message cookie_message = PROTO_PB_MESSAGE_OF(COOKIE, cookie_fields);

rt_err proto_cookie_decode(struct rt_bytes text, struct rt_arena *arena,
                           struct proto_cookie *cookie, struct rt_why *why) {
    int64_t layout = 0;
    if (!proto_decimal_read(proto_text_take(&text, '\n'), &layout)) {
        return rt_why_set(why, RT_EPROTO, "the cookie's first line is no version");
    }
    if (layout < COOKIE_LAYOUT_MIN || layout > COOKIE_LAYOUT) {
        return rt_why_set(why, RT_EPROTO, "a cookie of layout %" PRId64 " is not known", layout);
    }
    rt_err err = proto_pb_text_decode(&cookie_message, text, arena, cookie, why);
    return err ? rt_why_prefix(why, err, "behind the cookie's version") : RT_OK;
}

void proto_cookie_encode(const struct proto_cookie *cookie, struct rt_buf *out) {
    rt_buf_print(out, "%d\n", COOKIE_LAYOUT);
    proto_pb_text_encode(&cookie_message, cookie, out);
}

bool proto_cookie_equal(const struct proto_cookie *a, const struct proto_cookie *b) {
    return rt_bytes_equal(a->bookie, b->bookie) &&
           rt_bytes_equal(a->journal_dirs, b->journal_dirs) &&
           rt_bytes_equal(a->ledger_dirs, b->ledger_dirs) && a->has_instance == b->has_instance &&
           a->has_index_dirs == b->has_index_dirs &&
           (!a->has_instance || rt_bytes_equal(a->instance, b->instance)) &&
           (!a->has_index_dirs || rt_bytes_equal(a->index_dirs, b->index_dirs));
}

// LAYOUT: a line with the version of the format, then the manager's factory and version.

#define LAYOUT_FORMAT "2"
#define LAYOUT_FACTORY "org.apache.bookkeeper.meta.HierarchicalLedgerManagerFactory"

rt_err proto_layout_decode(struct rt_bytes text, struct rt_bytes *factory, int *version) {
    struct rt_bytes format = proto_text_take(&text, '\n');
    if (!rt_bytes_equal(format, RT_BYTES_LITERAL(LAYOUT_FORMAT))) return RT_EPROTO;
    *factory = proto_text_take(&text, ':');
    int64_t value = 0;
    bool valid = factory->size > 0 && proto_decimal_read(text, &value);
    if (!valid || value < 0 || value > INT32_MAX) return RT_EPROTO;
    *version = (int)value;
    return RT_OK;
}

void proto_layout_encode(struct rt_buf *out) {
    rt_buf_append(out, RT_BYTES_LITERAL(LAYOUT_FORMAT "\n" LAYOUT_FACTORY ":1"));
}
