// Ledger metadata as its serialised versions have it. Private to the codec.
//
// Every version begins with a line of its own, "BookieMetadataFormatVersion\t<version>\n". Then
//   3: a varint with the size of the message, the message; what is behind it is not looked at
//   2: the message in text form
//   1: lines of write quorum, ensemble size, length; of each segment its first entry and its
//      bookies; and unless it is open, the last entry (in recovery: -102) and "CLOSED". Fields are
//      parted by tabs.
#ifndef GEMINGA_PROTO_LEDGER_METADATA_FORM_H
#define GEMINGA_PROTO_LEDGER_METADATA_FORM_H

#include "proto/ledger_metadata.h"
#include "proto/protobuf.h"

struct metadata_segment {
    const struct rt_bytes *bookies;
    size_t bookie_count;
    int64_t first_entry;
};

struct metadata_form {
    int32_t write_quorum, ensemble_size;
    int64_t length;
    bool has_last_entry, has_digest, has_password, has_ack_quorum, has_ctime, has_token;
    int64_t last_entry;
    int32_t state;
    const struct metadata_segment *segments;
    size_t segment_count;
    int32_t digest;
    struct rt_bytes password;
    int32_t ack_quorum;
    int64_t ctime;
    const struct proto_ledger_custom *custom;
    size_t custom_count;
    int64_t token;
};

extern const struct proto_pb_message metadata_form_message;
// A pair of keys and values as messages have it: custom metadata, properties.
extern const struct proto_pb_message proto_pair_message;

// Version 1, behind the header's line.
rt_err metadata_v1_decode(struct rt_bytes text, struct rt_arena *arena, struct metadata_form *form,
                          struct rt_why *why);
void metadata_v1_encode(const struct metadata_form *form, struct rt_buf *out);

#endif
