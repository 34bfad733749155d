// PATHS: a ledger's id in decimal digits, cut into names; the last one has an L before it.
//   ten digits, 2-4-4          /12/3456/L7890
//   nineteen, 3-4-4-4-4        /000/0000/0042/9496/L7297
// Writers use the short form below 2^31 - 1. Readers take any id in either form: some managers of
// BookKeeper write the long one only.
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/decimal.h"
#include "proto/ledger_metadata.h"

enum { SHORT_DIGITS = 10, LONG_DIGITS = 19, GROUP = 4 };

bool proto_ledger_id_is_long(int64_t ledger) {
    return ledger >= INT32_MAX;
}

void proto_ledger_path(int64_t ledger, char path[PROTO_LEDGER_PATH_SIZE]) {
    assert(ledger >= 0);
    int digits = proto_ledger_id_is_long(ledger) ? LONG_DIGITS : SHORT_DIGITS;
    char text[LONG_DIGITS + 1];
    snprintf(text, sizeof(text), "%0*" PRId64, digits, ledger);
    char *at = path;
    for (int i = 0; i < digits; i++) {
        bool starts = i == 0 || (digits - i) % GROUP == 0;
        if (starts) *at++ = '/';
        if (starts && digits - i == GROUP) *at++ = 'L';
        *at++ = text[i];
    }
    *at = '\0';
}

bool proto_ledger_path_parse(struct rt_bytes path, int64_t *ledger) {
    uint8_t digits[LONG_DIGITS];
    size_t count = 0;
    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] < '0' || path.data[i] > '9') continue;
        if (count == LONG_DIGITS) return false;
        digits[count++] = path.data[i];
    }
    if (count != SHORT_DIGITS && count != LONG_DIGITS) return false;
    // The one spelling that these digits have.
    char spelling[PROTO_LEDGER_PATH_SIZE];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        bool starts = i == 0 || (count - i) % GROUP == 0;
        if (starts) spelling[size++] = '/';
        if (starts && count - i == GROUP) spelling[size++] = 'L';
        spelling[size++] = (char)digits[i];
    }
    if (!rt_bytes_equal(path, RT_BYTES(spelling, size))) return false;
    return proto_decimal_read(RT_BYTES(digits, count), ledger);
}

static bool is_id_byte(uint8_t byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
           (byte >= ':' && byte <= '_') || byte == '.' || byte == '-';
}

bool proto_bookie_id_is_valid(struct rt_bytes id) {
    static const char reserved[] = "readonly";  // in any case
    bool is_reserved = id.size == sizeof(reserved) - 1;
    for (size_t i = 0; i < id.size; i++) {
        if (!is_id_byte(id.data[i])) return false;
        if (is_reserved && (id.data[i] | 0x20) != reserved[i]) is_reserved = false;
    }
    return id.size > 0 && !is_reserved;
}
