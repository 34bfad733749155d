// Addresses in ACLs: textual IPv4 and IPv6, with or without the number of leading bits that count.
#include <string.h>

#include "meta/server/tree/acl.h"

struct address {
    uint8_t bytes[16];
    unsigned size;  // 4 or 16
};

static unsigned digit_of(uint8_t c) {
    if (c >= '0' && c <= '9') return c - (unsigned)'0';
    if (c >= 'a' && c <= 'f') return c - (unsigned)'a' + 10;
    if (c >= 'A' && c <= 'F') return c - (unsigned)'A' + 10;
    return UINT8_MAX;
}

static bool parse_number(struct rt_bytes text, unsigned base, unsigned max, unsigned *value) {
    if (text.size == 0 || text.size > 4) return false;
    *value = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = digit_of(text.data[i]);
        if (digit >= base) return false;
        *value = *value * base + digit;
    }
    return *value <= max;
}

static size_t find(struct rt_bytes text, char wanted) {
    size_t at = 0;
    while (at < text.size && text.data[at] != (uint8_t)wanted) at++;
    return at;
}

static bool parse_v4(struct rt_bytes text, uint8_t *bytes) {
    for (unsigned i = 0; i < 4; i++) {
        size_t end = find(text, '.');
        unsigned value;
        bool last = i == 3;
        if (last != (end == text.size)) return false;
        if (!parse_number(RT_BYTES(text.data, end), 10, 255, &value)) return false;
        bytes[i] = (uint8_t)value;
        text = rt_bytes_skip(text, end + 1);
    }
    return true;
}

// The groups on one side of "::". False: malformed. *count: bytes written.
static bool parse_groups(struct rt_bytes text, uint8_t bytes[16], unsigned *count) {
    *count = 0;
    while (text.size) {
        size_t end = find(text, ':');
        struct rt_bytes group = RT_BYTES(text.data, end);
        bool dotted = find(group, '.') < group.size;
        unsigned value = 0;
        if (dotted && end == text.size && *count <= 12) {
            if (!parse_v4(group, bytes + *count)) return false;
            *count += 4;
            return true;
        }
        if (*count > 14 || !parse_number(group, 16, 0xffff, &value)) return false;
        bytes[(*count)++] = (uint8_t)(value >> 8);
        bytes[(*count)++] = (uint8_t)value;
        if (end + 1 == text.size) return false;  // ends with a colon
        text = rt_bytes_skip(text, end + 1);
    }
    return true;
}

static bool parse_v6(struct rt_bytes text, uint8_t bytes[16]) {
    uint8_t front[16], back[16];
    unsigned front_count, back_count;
    size_t gap = 0;
    while (gap + 1 < text.size && (text.data[gap] != ':' || text.data[gap + 1] != ':')) gap++;
    bool has_gap = gap + 1 < text.size;
    struct rt_bytes head = RT_BYTES(text.data, has_gap ? gap : text.size);
    struct rt_bytes tail = has_gap ? rt_bytes_skip(text, gap + 2) : (struct rt_bytes){0};
    if (!parse_groups(head, front, &front_count) || !parse_groups(tail, back, &back_count))
        return false;
    unsigned count = front_count + back_count;
    if (has_gap ? count > 14 : count != 16) return false;
    memset(bytes, 0, 16);
    memcpy(bytes, front, front_count);
    memcpy(bytes + 16 - back_count, back, back_count);
    return true;
}

static bool parse_address(struct rt_bytes text, struct address *address) {
    bool is_v6 = find(text, ':') < text.size;
    address->size = is_v6 ? 16 : 4;
    return is_v6 ? parse_v6(text, address->bytes) : parse_v4(text, address->bytes);
}

static bool parse_pattern(struct rt_bytes pattern, struct address *address, unsigned *bits) {
    size_t slash = find(pattern, '/');
    if (!parse_address(RT_BYTES(pattern.data, slash), address)) return false;
    *bits = address->size * 8;
    if (slash == pattern.size) return true;
    return parse_number(rt_bytes_skip(pattern, slash + 1), 10, address->size * 8, bits);
}

bool meta_ip_is_valid(struct rt_bytes pattern) {
    struct address address;
    unsigned bits;
    return parse_pattern(pattern, &address, &bits);
}

bool meta_ip_matches(struct rt_bytes pattern, struct rt_bytes address) {
    struct address wanted, have;
    unsigned bits;
    if (!parse_pattern(pattern, &wanted, &bits) || !parse_address(address, &have)) return false;
    if (wanted.size != have.size) return false;
    for (unsigned i = 0; i < bits; i++) {
        unsigned mask = 0x80u >> i % 8;
        if ((wanted.bytes[i / 8] ^ have.bytes[i / 8]) & mask) return false;
    }
    return true;
}
