// Tables of CRC-32s, in an eighth of the numbers. Private to crc32.c and crc32c.c.
//
// A CRC is linear: advancing it over zeroes is a matrix of bits, so each table row is the XOR of
// the eight entries whose index has a single bit set. Only those are written down, the rest is
// expanded by the compiler; the tests check them against the definition, bit by bit.
#ifndef GEMINGA_RUNTIME_CRC_ROWS_H
#define GEMINGA_RUNTIME_CRC_ROWS_H

#include <stdint.h>

#define RT_CRC_PICK(i, bit, value) ((i) >> (bit)&1 ? UINT32_C(value) : 0)
#define RT_CRC_ENTRY(i, a, b, c, d, e, f, g, h)                                                  \
    (RT_CRC_PICK(i, 0, a) ^ RT_CRC_PICK(i, 1, b) ^ RT_CRC_PICK(i, 2, c) ^ RT_CRC_PICK(i, 3, d) ^ \
     RT_CRC_PICK(i, 4, e) ^ RT_CRC_PICK(i, 5, f) ^ RT_CRC_PICK(i, 6, g) ^ RT_CRC_PICK(i, 7, h))
#define RT_CRC_ENTRIES_4(i, ...)                                      \
    RT_CRC_ENTRY(i, __VA_ARGS__), RT_CRC_ENTRY((i) + 1, __VA_ARGS__), \
        RT_CRC_ENTRY((i) + 2, __VA_ARGS__), RT_CRC_ENTRY((i) + 3, __VA_ARGS__)
#define RT_CRC_ENTRIES_16(i, ...)                                             \
    RT_CRC_ENTRIES_4(i, __VA_ARGS__), RT_CRC_ENTRIES_4((i) + 4, __VA_ARGS__), \
        RT_CRC_ENTRIES_4((i) + 8, __VA_ARGS__), RT_CRC_ENTRIES_4((i) + 12, __VA_ARGS__)
#define RT_CRC_ENTRIES_64(i, ...)                                                \
    RT_CRC_ENTRIES_16(i, __VA_ARGS__), RT_CRC_ENTRIES_16((i) + 16, __VA_ARGS__), \
        RT_CRC_ENTRIES_16((i) + 32, __VA_ARGS__), RT_CRC_ENTRIES_16((i) + 48, __VA_ARGS__)
#define RT_CRC_ROW(...)                                                              \
    {                                                                                \
        RT_CRC_ENTRIES_64(0, __VA_ARGS__), RT_CRC_ENTRIES_64(64, __VA_ARGS__),       \
            RT_CRC_ENTRIES_64(128, __VA_ARGS__), RT_CRC_ENTRIES_64(192, __VA_ARGS__) \
    }

#endif
