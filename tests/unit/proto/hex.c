#include "tests/unit/proto/hex.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "runtime/mem.h"

static uint8_t digit_value(char digit) {
    const char *digits = "0123456789abcdef";
    const char *at = strchr(digits, digit);
    assert(at && digit);
    return (uint8_t)(at - digits);
}

void hex_append(struct rt_buf *buf, const char *hex) {
    while (*hex) {
        if (isspace((unsigned char)*hex)) {
            hex++;
            continue;
        }
        uint8_t byte = (uint8_t)(digit_value(hex[0]) << 4 | digit_value(hex[1]));
        rt_buf_append(buf, RT_BYTES(&byte, 1));
        hex += 2;
    }
}

struct rt_buf hex_bytes(const char *hex) {
    struct rt_buf buf = {0};
    hex_append(&buf, hex);
    return buf;
}

struct rt_bytes exact_copy(struct rt_bytes bytes) {
    uint8_t *copy = rt_alloc(bytes.size ? bytes.size : 1);
    if (bytes.size > 0) memcpy(copy, bytes.data, bytes.size);
    return RT_BYTES(copy, bytes.size);
}

bool bytes_are_hex(struct rt_bytes bytes, const char *hex) {
    struct rt_buf expected = hex_bytes(hex);
    bool same = rt_bytes_equal(bytes, rt_buf_bytes(&expected));
    rt_buf_fini(&expected);
    return same;
}
