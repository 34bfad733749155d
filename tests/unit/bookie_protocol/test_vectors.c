// The sheet's test vectors (1.12), byte for byte, and both forms on one connection.
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/bookie_protocol/front.h"

#define KEY "850bf1071c5e3d8c24235676f8816ae0cbe2f14f"
#define ENTRY                                                                           \
    "0000000000000001 0000000000000000 ffffffffffffffff 0000000000000005 e3a5f74d 6865" \
    "6c6c6f"
#define ADD "00000041 02010000 " KEY ENTRY
#define ADDED "00000018 02010000 00000000 0000000000000001 0000000000000000"
#define FENCE "00000028 02020001 0000000000000001 ffffffffffffffff " KEY
#define BATCH                                                                        \
    "00000028 02070000 0000000000000001 0000000000000000 0000000000000009 0000000a " \
    "0000000000502800"

Test(bookie_protocol_vectors, v2_add_and_read) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    front_send_hex(front, 0, ADD);
    front_expect_hex(front, 0, ADDED);
    front_send_hex(front, 0, "00000014 02020000 0000000000000001 0000000000000000");
    front_expect_hex(front, 0,
                     "00000041 02020000 00000000 0000000000000001 0000000000000000" ENTRY);
    front_close(front);
}

Test(bookie_protocol_vectors, v2_reads_of_the_last_entry_echo_minus_one) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    front_send_hex(front, 0, FENCE);
    front_expect_hex(front, 0, "00000018 02020000 00000002 0000000000000001 ffffffffffffffff");
    front_send_hex(front, 0, ADD);
    front_expect_hex(front, 0, "00000018 02010000 00000068 0000000000000001 0000000000000000");
    front_send_hex(front, 0, "00000041 02010006 " KEY ENTRY);
    front_expect_hex(front, 0, ADDED);
    front_send_hex(front, 0, FENCE);
    front_expect_hex(front, 0,
                     "00000041 02020000 00000000 0000000000000001 ffffffffffffffff" ENTRY);
    front_close(front);
}

Test(bookie_protocol_vectors, v2_batch_read) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    front_send_hex(front, 0, ADD);
    front_expect_hex(front, 0, ADDED);
    front_send_hex(front, 0, BATCH);
    front_expect_hex(front, 0,
                     "0000004d 02070000 00000000 0000000000000001 0000000000000000 "
                     "0000000000000009 00000029" ENTRY);
    front_send_hex(front, 0,
                   "00000028 02070000 0000000000000002 0000000000000000 0000000000000009 "
                   "0000000a 0000000000502800");
    front_expect_hex(front, 0,
                     "00000020 02070000 00000001 0000000000000002 0000000000000000 "
                     "0000000000000009");
    front_close(front);
}

Test(bookie_protocol_vectors, v3_read_of_a_missing_entry_on_a_connection_that_speaks_v2) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    front_send_hex(front, 0, FENCE);
    front_expect_hex(front, 0, "00000018 02020000 00000002 0000000000000001 ffffffffffffffff");
    front_send_hex(front, 0, "0000000f 0a06 0803 1001 1807 a206 04 0801 1000");
    front_expect_hex(front, 0, "00000015 0a06 0803 1001 1807 10 9303 a206 07 08 9303 1001 1800");
    front_send_hex(front, 0, "00000014 02020000 0000000000000001 0000000000000000");
    front_expect_hex(front, 0, "00000018 02020000 00000002 0000000000000001 0000000000000000");
    front_close(front);
}

Test(bookie_protocol_vectors, v2_auth_is_answered_by_the_plugin_that_is_none) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    front_send_hex(front, 0, "0000000a 02030000 0a01 78 1201 79");  // plugin "x", payload "y"
    front_expect_hex(front, 0, "0000001a 02030000 0a12 4175746844697361626c6564506c7567696e 1200");
    front_close(front);
}

Test(bookie_protocol_vectors, a_later_v2_is_a_bad_version_and_goes_on) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    front_send_hex(front, 0, "00000041 03010000 " KEY ENTRY);
    struct proto_bk_response response =
        front_expect(front, 0, PROTO_BK_V2, PROTO_BK_ADD, PROTO_BK_BAD_VERSION);
    (void)response;
    front_send_hex(front, 0, "00000014 09020000 0000000000000001 0000000000000000");
    front_expect(front, 0, PROTO_BK_V2, PROTO_BK_READ, PROTO_BK_BAD_VERSION);
    front_send_hex(front, 0, ADD);
    front_expect_hex(front, 0, ADDED);
    front_close(front);
}

Test(bookie_protocol_vectors, every_split_of_the_bytes_means_the_same) {
    struct front *front = front_open(1);
    front_dial(front, 0);
    for (unsigned piece = 1; piece < 20; piece++) {
        char hex[] = ADD;
        size_t size = 0;
        for (const char *at = hex; *at; at++) {
            if (*at != ' ') hex[size++] = *at;
        }
        for (size_t at = 0; at < size; at += 2 * (size_t)piece) {
            char part[64] = {0};
            size_t left = size - at < 2 * (size_t)piece ? size - at : 2 * (size_t)piece;
            memcpy(part, hex + at, left);
            front_send_hex(front, 0, part);
        }
        front_expect_hex(front, 0, ADDED);
    }
    front_close(front);
}
