#include "runtime/crc32.h"

#include "runtime/crc_rows.h"

// behind[k][byte]: the CRC of that byte followed by k zero bytes.
static const uint32_t behind[8][256] = {
    RT_CRC_ROW(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832, 0x1db71064, 0x3b6e20c8, 0x76dc4190,
               0xedb88320),
    RT_CRC_ROW(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08, 0x4ac21251, 0x958424a2, 0xf0794f05,
               0x3b83984b),
    RT_CRC_ROW(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8, 0x1c26a370, 0x384d46e0, 0x709a8dc0,
               0xe1351b80),
    RT_CRC_ROW(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef, 0x5019579f, 0xa032af3e, 0x9b14583d,
               0xed59b63b),
    RT_CRC_ROW(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1, 0x60e09782, 0xc1c12f04, 0x58f35849,
               0xb1e6b092),
    RT_CRC_ROW(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d, 0x03d6029b, 0x07ac0536, 0x0f580a6c,
               0x1eb014d8),
    RT_CRC_ROW(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67, 0x67de9cce, 0xcfbd399c, 0x440b7579,
               0x8816eaf2),
    RT_CRC_ROW(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5, 0x7cbb312b, 0xf9766256, 0x299dc2ed,
               0x533b85da),
};

static uint32_t load_le32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t rt_crc32(uint32_t crc, struct rt_bytes bytes) {
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    crc = ~crc;
    for (; left >= 8; left -= 8, at += 8) {
        uint32_t low = load_le32(at) ^ crc, high = load_le32(at + 4);
        crc = behind[7][low & 0xff] ^ behind[6][low >> 8 & 0xff] ^ behind[5][low >> 16 & 0xff] ^
              behind[4][low >> 24] ^ behind[3][high & 0xff] ^ behind[2][high >> 8 & 0xff] ^
              behind[1][high >> 16 & 0xff] ^ behind[0][high >> 24];
    }
    for (; left > 0; left--, at++) crc = crc >> 8 ^ behind[0][(crc ^ *at) & 0xff];
    return ~crc;
}
