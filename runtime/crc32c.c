#include "runtime/crc32c.h"

#include <assert.h>
#include <string.h>

#include "runtime/crc_rows.h"

#if defined(__x86_64__)
#    include <nmmintrin.h>
#    define HAVE_CRC_INSTRUCTION 1
#    define CRC_TARGET __attribute__((target("sse4.2")))
#elif defined(__aarch64__) && defined(__linux__)
#    include <asm/hwcap.h>
#    include <sys/auxv.h>
#    define HAVE_CRC_INSTRUCTION 1
#    define CRC_TARGET
#else
#    define HAVE_CRC_INSTRUCTION 0
#endif

// behind[k][byte]: the CRC of that byte followed by k zero bytes.
static const uint32_t behind[8][256] = {
    RT_CRC_ROW(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
               0x82f63b78),
    RT_CRC_ROW(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
               0xfbc3faf9),
    RT_CRC_ROW(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
               0x8b277743),
    RT_CRC_ROW(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
               0x52a0c93f),
    RT_CRC_ROW(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae,
               0x6ea2d55c),
    RT_CRC_ROW(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb,
               0x1c08b7d6),
    RT_CRC_ROW(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a,
               0xf56e0ef4),
    RT_CRC_ROW(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32,
               0x34019664),
};

static uint64_t load_le64(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

uint32_t rt_crc32c_portable(uint32_t crc, struct rt_bytes bytes) {
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    crc = ~crc;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word = load_le64(at) ^ crc;
        crc = 0;
        for (unsigned i = 0; i < 8; i++) crc ^= behind[7 - i][word >> 8 * i & 0xff];
    }
    for (; left > 0; left--, at++) crc = crc >> 8 ^ behind[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if HAVE_CRC_INSTRUCTION

// The instruction takes three cycles but starts one each cycle, so long inputs are done as three
// lanes; lane_shift moves a lane's CRC over the LANE_SIZE bytes of the lane behind it.
enum { LANE_SIZE = 256 };
static_assert(LANE_SIZE % 8 == 0, "lanes are read by words");

static const uint32_t lane_shift[4][256] = {
    RT_CRC_ROW(0xdcb17aa4, 0xbc8e83b9, 0x7cf17183, 0xf9e2e306, 0xf629b0fd, 0xe9bf170b, 0xd69258e7,
               0xa8c8c73f),
    RT_CRC_ROW(0x547df88f, 0xa8fbf11e, 0x541b94cd, 0xa837299a, 0x558225c5, 0xab044b8a, 0x53e4e1e5,
               0xa7c9c3ca),
    RT_CRC_ROW(0x4a7ff165, 0x94ffe2ca, 0x2c13b365, 0x582766ca, 0xb04ecd94, 0x6571edd9, 0xcae3dbb2,
               0x902bc195),
    RT_CRC_ROW(0x25bbf5db, 0x4b77ebb6, 0x96efd76c, 0x2833d829, 0x5067b052, 0xa0cf60a4, 0x4472b7b9,
               0x88e56f72),
};

static uint64_t shift_lane(uint64_t crc) {
    return lane_shift[0][crc & 0xff] ^ lane_shift[1][crc >> 8 & 0xff] ^
           lane_shift[2][crc >> 16 & 0xff] ^ lane_shift[3][crc >> 24 & 0xff];
}

#    if defined(__x86_64__)
static bool have_instruction(void) {
    return __builtin_cpu_supports("sse4.2");
}
CRC_TARGET static inline uint64_t add_word(uint64_t crc, uint64_t word) {
    return _mm_crc32_u64(crc, word);
}
CRC_TARGET static inline uint64_t add_byte(uint64_t crc, uint8_t byte) {
    return _mm_crc32_u8((uint32_t)crc, byte);
}
#    else
static bool have_instruction(void) {
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
// Assembly, because the two compilers disagree on how a function asks for the extension.
static inline uint64_t add_word(uint64_t crc, uint64_t word) {
    uint32_t sum = (uint32_t)crc;
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(sum) : "r"(word));
    return sum;
}
static inline uint64_t add_byte(uint64_t crc, uint8_t byte) {
    uint32_t sum = (uint32_t)crc;
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(sum) : "r"((uint32_t)byte));
    return sum;
}
#    endif

CRC_TARGET static uint64_t add_lanes(uint64_t crc, const uint8_t *at) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < LANE_SIZE; i += 8) {
        crc = add_word(crc, load_le64(at + i));
        second = add_word(second, load_le64(at + LANE_SIZE + i));
        third = add_word(third, load_le64(at + 2 * LANE_SIZE + i));
    }
    return shift_lane(shift_lane(crc) ^ second) ^ third;
}

CRC_TARGET static uint32_t crc32c_instruction(uint32_t start, struct rt_bytes bytes) {
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    uint64_t crc = ~start;
    for (; left >= 3 * LANE_SIZE; left -= 3 * LANE_SIZE, at += 3 * LANE_SIZE) {
        crc = add_lanes(crc, at);
    }
    for (; left >= 8; left -= 8, at += 8) crc = add_word(crc, load_le64(at));
    for (; left > 0; left--, at++) crc = add_byte(crc, *at);
    return ~(uint32_t)crc;
}

uint32_t rt_crc32c(uint32_t crc, struct rt_bytes bytes) {
    return have_instruction() ? crc32c_instruction(crc, bytes) : rt_crc32c_portable(crc, bytes);
}

const char *rt_crc32c_implementation(void) {
#    if defined(__x86_64__)
    return have_instruction() ? "sse4.2" : "table";
#    else
    return have_instruction() ? "arm-crc" : "table";
#    endif
}

#else

uint32_t rt_crc32c(uint32_t crc, struct rt_bytes bytes) {
    return rt_crc32c_portable(crc, bytes);
}

const char *rt_crc32c_implementation(void) {
    return "table";
}

#endif
