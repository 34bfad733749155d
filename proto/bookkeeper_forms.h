// The two forms of BookKeeper's packets, each in a file of its own. Private to the codec.
#ifndef GEMINGA_PROTO_BOOKKEEPER_FORMS_H
#define GEMINGA_PROTO_BOOKKEEPER_FORMS_H

#include "proto/bookkeeper.h"

// How the kinds are numbered; 0 where a form does not have them.
int32_t proto_bk_opcode(enum proto_bk_kind kind);
int32_t proto_bk_operation(enum proto_bk_kind kind);
enum proto_bk_kind proto_bk_kind_of_opcode(int32_t opcode);  // UNKNOWN where there is none
enum proto_bk_kind proto_bk_kind_of_operation(int32_t operation);

// As those of bookkeeper.h. Decoders get a cleared struct.
rt_err proto_bk_v2_request_decode(struct rt_bytes packet, struct proto_bk_request *request);
rt_err proto_bk_v3_request_decode(struct rt_bytes packet, struct proto_bk_request *request);
rt_err proto_bk_v2_request_encode(const struct proto_bk_request *request, struct rt_writer *w);
rt_err proto_bk_v3_request_encode(const struct proto_bk_request *request, struct rt_writer *w);
rt_err proto_bk_v2_response_decode(struct rt_bytes packet, struct proto_bk_response *response);
rt_err proto_bk_v3_response_decode(struct rt_bytes packet, struct proto_bk_response *response);
void proto_bk_v2_response_encode(const struct proto_bk_response *response, struct rt_writer *w);
void proto_bk_v3_response_encode(const struct proto_bk_response *response, size_t body_size,
                                 struct rt_writer *w);

// AuthMessage, which v2 has too.
rt_err proto_bk_auth_decode(struct rt_bytes bytes, struct rt_bytes *plugin,
                            struct rt_bytes *payload);
void proto_bk_auth_encode(struct rt_bytes plugin, struct rt_bytes payload, struct rt_writer *w);

#endif
