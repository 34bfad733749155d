// CRC-32 (polynomial 0x04C11DB7 reflected, as zlib, gzip and BookKeeper's CRC32 digest use it). By
// tables, eight bytes a step: what writes much has CRC32C.
#ifndef GEMINGA_RUNTIME_CRC32_H
#define GEMINGA_RUNTIME_CRC32_H

#include "runtime/bytes.h"

// Continues `crc` over more bytes; start with 0. rt_crc32(0, "123456789") is 0xCBF43926.
uint32_t rt_crc32(uint32_t crc, struct rt_bytes bytes);

#endif
