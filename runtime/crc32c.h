// CRC32C (Castagnoli, polynomial 0x1EDC6F41 reflected, as iSCSI, Pulsar and BookKeeper use it).
// Uses the processor's instruction where it has one (x86-64 SSE4.2, arm64 CRC), else tables.
#ifndef GEMINGA_RUNTIME_CRC32C_H
#define GEMINGA_RUNTIME_CRC32C_H

#include "runtime/bytes.h"

// Continues `crc` over more bytes; start with 0. rt_crc32c(0, "123456789") is 0xE3069283.
uint32_t rt_crc32c(uint32_t crc, struct rt_bytes bytes);
uint32_t rt_crc32c_portable(uint32_t crc, struct rt_bytes bytes);  // the table version, for tests
const char *rt_crc32c_implementation(void);                        // "sse4.2", "arm-crc", "table"

#endif
