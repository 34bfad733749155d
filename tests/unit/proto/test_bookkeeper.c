#include <criterion/criterion.h>
#include <string.h>

#include "runtime/mem.h"
#include "tests/unit/proto/bookkeeper_samples.h"

Test(proto_bookkeeper, requests_have_the_bytes_of_bookkeeper) {
    for (size_t i = 0; i < bk_request_sample_count; i++) {
        const struct bk_request_sample *sample = &bk_request_samples[i];
        struct rt_buf bytes = bk_request_bytes(&sample->request);
        cr_expect(bytes_are_hex(rt_buf_bytes(&bytes), sample->hex), "sample %zu", i);
        rt_buf_fini(&bytes);
    }
}

Test(proto_bookkeeper, requests_are_read_as_they_were_meant) {
    for (size_t i = 0; i < bk_request_sample_count; i++) {
        const struct bk_request_sample *sample = &bk_request_samples[i];
        struct rt_buf bytes = hex_bytes(sample->hex);
        struct proto_bk_request request;
        cr_expect_eq(proto_bk_request_decode(rt_buf_bytes(&bytes), &request), RT_OK, "%zu", i);
        cr_expect(bk_requests_equal(&request, &sample->request), "sample %zu", i);
        rt_buf_fini(&bytes);
    }
}

Test(proto_bookkeeper, responses_have_the_bytes_of_bookkeeper) {
    for (size_t i = 0; i < bk_response_sample_count; i++) {
        const struct bk_response_sample *sample = &bk_response_samples[i];
        struct rt_buf bytes = bk_response_bytes(&sample->response);
        cr_expect(bytes_are_hex(rt_buf_bytes(&bytes), sample->hex), "sample %zu", i);
        rt_buf_fini(&bytes);
    }
}

Test(proto_bookkeeper, responses_are_read_as_they_were_meant) {
    for (size_t i = 0; i < bk_response_sample_count; i++) {
        const struct bk_response_sample *sample = &bk_response_samples[i];
        struct rt_buf bytes = hex_bytes(sample->hex);
        struct proto_bk_response response;
        cr_expect_eq(proto_bk_response_decode(rt_buf_bytes(&bytes), &response), RT_OK, "%zu", i);
        cr_expect(bk_responses_equal(&response, &sample->response), "sample %zu", i);
        rt_buf_fini(&bytes);
    }
}

Test(proto_bookkeeper, codes_have_the_numbers_of_bookkeeper) {
    static const int32_t v2[] = {0, 1, 2, 100, 101, 102, 103, 104, 105, 106, 101};
    static const int32_t v3[] = {0, 402, 403, 404, 501, 502, 503, 504, 505, 506, 507};
    for (unsigned code = 0; code < PROTO_BK_CODES; code++) {
        cr_expect_eq(proto_bk_code_v2((enum proto_bk_code)code), v2[code]);
        cr_expect_eq(proto_bk_code_v3((enum proto_bk_code)code), v3[code]);
        cr_expect_eq(proto_bk_code_of(v3[code]), code);
        if (code != PROTO_BK_UNKNOWN_LEDGER_STATE) cr_expect_eq(proto_bk_code_of(v2[code]), code);
        cr_expect_not_null(proto_bk_code_name((enum proto_bk_code)code));
    }
    cr_expect_eq(proto_bk_code_of(107), PROTO_BK_UNKNOWN_LEDGER_STATE);
    cr_expect_eq(proto_bk_code_of(-1), PROTO_BK_IO);
    cr_expect_eq(proto_bk_code_of(108), PROTO_BK_IO);
    cr_expect_str_eq(proto_bk_code_name(PROTO_BK_NO_LEDGER), "ENOLEDGER");
    cr_expect_str_eq(proto_bk_kind_name(PROTO_BK_ADD), "ADD_ENTRY");
}
