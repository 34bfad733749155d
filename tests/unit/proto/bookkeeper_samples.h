// Packets of every kind in both forms, with the bytes they must have.
#ifndef GEMINGA_TESTS_UNIT_PROTO_BOOKKEEPER_SAMPLES_H
#define GEMINGA_TESTS_UNIT_PROTO_BOOKKEEPER_SAMPLES_H

#include "proto/bookkeeper.h"
#include "tests/unit/proto/hex.h"

struct bk_request_sample {
    struct proto_bk_request request;
    const char *hex;  // of the whole packet, the body of an add with it
};
struct bk_response_sample {
    struct proto_bk_response response;
    const char *hex;
};
extern const struct bk_request_sample bk_request_samples[];
extern const size_t bk_request_sample_count;
extern const struct bk_response_sample bk_response_samples[];
extern const size_t bk_response_sample_count;

// Whole packets, with what is sent behind.
struct rt_buf bk_request_bytes(const struct proto_bk_request *request);
struct rt_buf bk_response_bytes(const struct proto_bk_response *response);
bool bk_requests_equal(const struct proto_bk_request *a, const struct proto_bk_request *b);
bool bk_responses_equal(const struct proto_bk_response *a, const struct proto_bk_response *b);

#endif
