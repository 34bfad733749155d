#include "proto/ledger_metadata.h"

#include <assert.h>
#include <inttypes.h>

#include "proto/decimal.h"
#include "proto/ledger_metadata_form.h"
#include "proto/protobuf_text.h"
#include "runtime/mem.h"

// THE MESSAGE, in the order of its numbers, as BookKeeper writes it.

static const struct proto_pb_field pair_fields[] = {
    PROTO_PB_ALWAYS(struct proto_ledger_custom, key, 1, "key", STRING),
    PROTO_PB_ALWAYS(struct proto_ledger_custom, value, 2, "value", BYTES),
};
const struct proto_pb_message proto_pair_message =
    PROTO_PB_MESSAGE_OF(struct proto_ledger_custom, pair_fields);

static const struct proto_pb_field segment_fields[] = {
    PROTO_PB_LIST(struct metadata_segment, bookies, bookie_count, 1, "ensembleMember", STRING),
    PROTO_PB_MUST(struct metadata_segment, first_entry, 2, "firstEntryId", INT64),
};
static const struct proto_pb_message segment_message =
    PROTO_PB_MESSAGE_OF(struct metadata_segment, segment_fields);

static const struct proto_pb_name states[] = {{"OPEN", PROTO_LEDGER_OPEN},
                                              {"IN_RECOVERY", PROTO_LEDGER_IN_RECOVERY},
                                              {"CLOSED", PROTO_LEDGER_CLOSED},
                                              {NULL, 0}};
static const struct proto_pb_name digests[] = {{"CRC32", PROTO_DIGEST_CRC32},
                                               {"HMAC", PROTO_DIGEST_MAC},
                                               {"CRC32C", PROTO_DIGEST_CRC32C},
                                               {"DUMMY", PROTO_DIGEST_DUMMY},
                                               {NULL, 0}};

#define FORM struct metadata_form
static const struct proto_pb_field form_fields[] = {
    PROTO_PB_MUST(FORM, write_quorum, 1, "quorumSize", INT32),
    PROTO_PB_MUST(FORM, ensemble_size, 2, "ensembleSize", INT32),
    PROTO_PB_MUST(FORM, length, 3, "length", INT64),
    PROTO_PB_MAY(FORM, last_entry, 4, "lastEntryId", INT64),
    PROTO_PB_MUST(FORM, state, 5, "state", ENUM, .names = states),
    PROTO_PB_LIST(FORM, segments, segment_count, 6, "segment", MESSAGE,
                  .message = &segment_message),
    PROTO_PB_MAY(FORM, digest, 7, "digestType", ENUM, .names = digests),
    PROTO_PB_MAY(FORM, password, 8, "password", BYTES),
    PROTO_PB_MAY(FORM, ack_quorum, 9, "ackQuorumSize", INT32),
    PROTO_PB_MAY(FORM, ctime, 10, "ctime", INT64),
    PROTO_PB_LIST(FORM, custom, custom_count, 11, "customMetadata", MESSAGE,
                  .message = &proto_pair_message),
    PROTO_PB_MAY(FORM, token, 12, "cToken", INT64),
};
const struct proto_pb_message metadata_form_message = PROTO_PB_MESSAGE_OF(FORM, form_fields);

// READING

#define HEADER "BookieMetadataFormatVersion\t"
enum { VERSION_DIGITS_MAX = 10 };

static rt_err header_read(struct rt_bytes *bytes, int *version, struct rt_why *why) {
    struct rt_bytes prefix = RT_BYTES_LITERAL(HEADER);
    if (!rt_bytes_starts_with(*bytes, prefix)) {
        return rt_why_set(why, RT_EPROTO, "the header of ledger metadata is missing");
    }
    *bytes = rt_bytes_skip(*bytes, prefix.size);
    size_t before = bytes->size;
    struct rt_bytes digits = proto_text_take(bytes, '\n');
    int64_t value = 0;
    bool ended = digits.size < before && digits.size <= VERSION_DIGITS_MAX;
    if (!ended || !proto_decimal_read(digits, &value)) {
        return rt_why_set(why, RT_EPROTO, "the header of ledger metadata has no version");
    }
    if (value < 1 || value > 3) {
        return rt_why_set(why, RT_EPROTO, "ledger metadata of version %" PRId64 " is not known",
                          value);
    }
    *version = (int)value;
    return RT_OK;
}

static rt_err message_read(struct rt_bytes bytes, struct rt_arena *arena,
                           struct metadata_form *form, struct rt_why *why) {
    struct rt_reader r = rt_reader_over(bytes);
    uint64_t size = rt_read_varint(&r);
    if (rt_reader_failed(&r) || size > rt_reader_left(&r)) {
        return rt_why_set(why, RT_EPROTO, "ledger metadata is truncated");
    }
    bytes = rt_read_bytes(&r, (size_t)size);
    rt_err err = proto_pb_decode(&metadata_form_message, bytes, arena, form);
    return err ? rt_why_set(why, err, "the message of ledger metadata is malformed") : RT_OK;
}

static rt_err form_read(int version, struct rt_bytes bytes, struct rt_arena *arena,
                        struct metadata_form *form, struct rt_why *why) {
    if (version == 3) return message_read(bytes, arena, form, why);
    if (version == 1) return metadata_v1_decode(bytes, arena, form, why);
    return proto_pb_text_decode(&metadata_form_message, bytes, arena, form, why);
}

static rt_err quorums_check(const struct metadata_form *form, struct rt_why *why) {
    int32_t ack = form->has_ack_quorum ? form->ack_quorum : form->write_quorum;
    bool ordered = form->ensemble_size >= form->write_quorum && form->write_quorum >= ack;
    if (ordered && ack >= 1) return RT_OK;
    return rt_why_set(why, RT_EPROTO,
                      "ensemble %" PRId32 ", write quorum %" PRId32 " and ack quorum %" PRId32
                      " contradict each other",
                      form->ensemble_size, form->write_quorum, ack);
}

static rt_err bookies_check(const struct metadata_segment *segment, int32_t ensemble_size,
                            struct rt_why *why) {
    if (segment->bookie_count != (size_t)ensemble_size) {
        return rt_why_set(why, RT_EPROTO, "segment %" PRId64 " has %zu bookies instead of %" PRId32,
                          segment->first_entry, segment->bookie_count, ensemble_size);
    }
    for (size_t i = 0; i < segment->bookie_count; i++) {
        struct rt_bytes id = segment->bookies[i];
        if (proto_bookie_id_is_valid(id)) continue;
        return rt_why_set(why, RT_EPROTO, "segment %" PRId64 " has an invalid bookie id",
                          segment->first_entry);
    }
    return RT_OK;
}

static rt_err segments_check(const struct metadata_form *form, struct rt_why *why) {
    if (form->segment_count == 0) return rt_why_set(why, RT_EPROTO, "there is no segment");
    int64_t after = -1;
    for (size_t i = 0; i < form->segment_count; i++) {
        const struct metadata_segment *segment = &form->segments[i];
        bool in_order = i == 0 ? segment->first_entry == 0 : segment->first_entry > after;
        if (!in_order) {
            return rt_why_set(why, RT_EPROTO, "segment %" PRId64 " is out of order",
                              segment->first_entry);
        }
        after = segment->first_entry;
        rt_err err = bookies_check(segment, form->ensemble_size, why);
        if (err) return err;
    }
    return RT_OK;
}

static rt_err form_check(const struct metadata_form *form, struct rt_why *why) {
    rt_err err = quorums_check(form, why);
    if (!err) err = segments_check(form, why);
    if (err) return err;
    if (form->has_password != form->has_digest) {
        return rt_why_set(why, RT_EPROTO,
                          "password and digest go together, or a digest is unknown");
    }
    if (form->state != PROTO_LEDGER_CLOSED) return RT_OK;
    if (form->has_last_entry && form->last_entry >= -1 && form->length >= 0) return RT_OK;
    return rt_why_set(why, RT_EPROTO, "closed without a last entry and a length");
}

static const struct proto_ledger_segment *segments_of(const struct metadata_form *form,
                                                      struct rt_arena *arena) {
    struct proto_ledger_segment *segments =
        rt_arena_zero(arena, form->segment_count, sizeof(*segments));
    for (size_t i = 0; i < form->segment_count; i++) {
        segments[i].first_entry = form->segments[i].first_entry;
        segments[i].bookies = form->segments[i].bookies;
    }
    return segments;
}

static void metadata_take(const struct metadata_form *form, struct rt_arena *arena,
                          struct proto_ledger_metadata *metadata) {
    bool closed = form->state == PROTO_LEDGER_CLOSED;
    int32_t ack = form->has_ack_quorum ? form->ack_quorum : form->write_quorum;
    metadata->ensemble_size = (uint32_t)form->ensemble_size;
    metadata->write_quorum = (uint32_t)form->write_quorum;
    metadata->ack_quorum = (uint32_t)ack;
    metadata->state = (enum proto_ledger_state)form->state;
    metadata->length = closed ? form->length : 0;
    metadata->last_entry = closed ? form->last_entry : -1;
    metadata->segments = segments_of(form, arena);
    metadata->segment_count = form->segment_count;
    metadata->has_password = form->has_password;
    metadata->digest = (enum proto_digest)form->digest;
    metadata->password = form->password;
    metadata->has_ctime = form->has_ctime;
    metadata->ctime_ms = form->ctime;
    metadata->has_token = form->has_token;
    metadata->token = form->token;
    metadata->custom = form->custom;
    metadata->custom_count = form->custom_count;
}

rt_err proto_ledger_metadata_decode(struct rt_bytes bytes, struct rt_arena *arena,
                                    struct proto_ledger_metadata *metadata, struct rt_why *why) {
    struct metadata_form form;
    *metadata = (struct proto_ledger_metadata){0};
    rt_err err = header_read(&bytes, &metadata->version, why);
    if (!err) err = form_read(metadata->version, bytes, arena, &form, why);
    if (!err) err = form_check(&form, why);
    if (err) return err;
    metadata_take(&form, arena, metadata);
    return RT_OK;
}

const struct proto_ledger_segment *proto_ledger_segment_of(
    const struct proto_ledger_metadata *metadata, int64_t entry) {
    assert(entry >= 0 && metadata->segment_count > 0 && metadata->segments[0].first_entry == 0);
    size_t low = 0, high = metadata->segment_count;  // the answer is in [low, high)
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (metadata->segments[middle].first_entry <= entry) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &metadata->segments[low];
}

// WRITING

// The segments are for rt_free.
static struct metadata_form form_of(const struct proto_ledger_metadata *metadata,
                                    struct metadata_segment **segments) {
    bool closed = metadata->state == PROTO_LEDGER_CLOSED;
    *segments = rt_alloc_zero(metadata->segment_count, sizeof(**segments));
    for (size_t i = 0; i < metadata->segment_count; i++) {
        (*segments)[i] =
            (struct metadata_segment){.bookies = metadata->segments[i].bookies,
                                      .bookie_count = metadata->ensemble_size,
                                      .first_entry = metadata->segments[i].first_entry};
    }
    return (struct metadata_form){.write_quorum = (int32_t)metadata->write_quorum,
                                  .ensemble_size = (int32_t)metadata->ensemble_size,
                                  .length = closed ? metadata->length : 0,
                                  .has_last_entry = true,
                                  .last_entry = closed ? metadata->last_entry : -1,
                                  .state = (int32_t)metadata->state,
                                  .segments = *segments,
                                  .segment_count = metadata->segment_count,
                                  .has_digest = metadata->has_password,
                                  .digest = (int32_t)metadata->digest,
                                  .has_password = metadata->has_password,
                                  .password = metadata->password,
                                  .has_ack_quorum = true,
                                  .ack_quorum = (int32_t)metadata->ack_quorum,
                                  .has_ctime = metadata->has_ctime,
                                  .ctime = metadata->ctime_ms,
                                  .custom = metadata->custom,
                                  .custom_count = metadata->custom_count,
                                  .has_token = metadata->has_token && metadata->version == 3,
                                  .token = metadata->token};
}

void proto_ledger_metadata_encode(const struct proto_ledger_metadata *metadata,
                                  struct rt_buf *out) {
    assert(metadata->version >= 1 && metadata->version <= 3);
    assert(metadata->version > 1 || metadata->ack_quorum == metadata->write_quorum);
    struct metadata_segment *segments;
    struct metadata_form form = form_of(metadata, &segments);
    struct rt_writer w = rt_writer_into(out);
    rt_buf_print(out, HEADER "%d\n", metadata->version);
    if (metadata->version == 3) {
        rt_write_varint(&w, proto_pb_size(&metadata_form_message, &form));
        proto_pb_encode(&metadata_form_message, &form, &w);
    } else if (metadata->version == 2) {
        proto_pb_text_encode(&metadata_form_message, &form, out);
    } else {
        metadata_v1_encode(&form, out);
    }
    rt_free(segments);
}
