// The format of a journal's segments: writer and reader of each piece.
//
// A segment is one use of a file. Files are used again, so that their space is allocated once; each
// use has a number, which no other ever had, and a salt, and both seed the checksum of every batch.
// What an earlier use left behind therefore never verifies, and no client can make its data look
// like a batch.
//
//   NAME    number (16 hex digits) ".journal"; ".spare": waits for its next use; ".new": is made
//
// A file gets its header page, durable, under another name, and is renamed then: a segment whose
// header does not verify is damaged. Behind the header page stand the batches. Each begins at a
// page boundary and is padded with zeroes to the next, so a write never touches a page that holds
// something durable. A batch never crosses segments.
//
//   HEADER (big-endian)  OFFSET  SIZE  FIELD
//                             0     4  magic "GmJs"
//                             4     4  version, 1
//                             8     8  owner
//                            16     8  number
//                            24     8  salt
//                            32     8  number of the segment it follows; 0: the first of all
//                            40     8  where that one ends: batches from there on are void; 0: not
//                                      known when this was written, its last batch tells
//                            48     4  CRC32C of bytes 0 to 47
//
//   BATCH                     0     4  magic "GmJb"
//                             4     4  CRC32C of bytes 8 to 71, seeded
//                             8     4  CRC32C of bytes 72 to the end
//                            12     4  size, this header included, the padding not
//                            16     4  number of records; none in the last of a journal that was
//                                      closed
//                            20     4  zero
//                            24     8  number of the segment
//                            32     8  offset of the batch in it
//                            40    16  end of the batch before: segment, offset
//                            56    16  what was durable when this batch was written: segment,
//                                      offset
//                            72     *  records
//
//   RECORD                    0     4  size, at most 16 MiB
//                             4     *  bytes
//
// Valid: a batch whose checksums hold and which follows the one before it. A reader stops at the
// first that is not. It then looks at every page behind for headers of batches of the same use:
// what one of them says was durable must lie before the end that was found, or the journal is
// damaged. With a sync for each batch this means: the last batch may be torn, no other.
#ifndef GEMINGA_BOOKIE_SERVER_JOURNAL_FORMAT_H
#define GEMINGA_BOOKIE_SERVER_JOURNAL_FORMAT_H

#include "bookie/server/journal/journal.h"

enum {
    JOURNAL_PAGE = RT_FILE_ALIGN,
    JOURNAL_SEGMENT_HEADER_SIZE = 52,
    JOURNAL_BATCH_HEADER_SIZE = 72,
    JOURNAL_RECORD_HEADER_SIZE = 4,
    JOURNAL_RECORD_MAX = 16 << 20,
    JOURNAL_BATCH_MAX = JOURNAL_BATCH_HEADER_SIZE + JOURNAL_RECORD_HEADER_SIZE + JOURNAL_RECORD_MAX,
    JOURNAL_NAME_SIZE = 32
};

enum journal_name {
    JOURNAL_NAME_OTHER,
    JOURNAL_NAME_SEGMENT,
    JOURNAL_NAME_SPARE,
    JOURNAL_NAME_NEW
};

struct journal_header {
    uint64_t owner, number, salt;
    struct bookie_mark follows;
};

struct journal_batch_header {
    uint32_t body_crc, size, count;
    struct bookie_mark at, before, durable;
};

void bookie_journal_name(enum journal_name kind, uint64_t number,
                         char name[static JOURNAL_NAME_SIZE]);
enum journal_name bookie_journal_name_parse(const char *name, uint64_t *number);
uint32_t bookie_journal_seed(const struct journal_header *header);
uint64_t bookie_journal_page_up(uint64_t offset);

void bookie_journal_header_encode(const struct journal_header *header, uint8_t *out);
RT_CHECK
rt_err bookie_journal_header_decode(struct rt_bytes bytes, struct journal_header *header);

void bookie_journal_batch_encode(const struct journal_batch_header *header, uint32_t seed,
                                 uint8_t *out);
// `at`: where the bytes were read; a header of another place is none.
RT_CHECK
rt_err bookie_journal_batch_decode(struct rt_bytes bytes, uint32_t seed, struct bookie_mark at,
                                   struct journal_batch_header *header);
// Of the whole batch, whose header was decoded: checksum and sizes of the records.
RT_CHECK
rt_err bookie_journal_batch_check(struct rt_bytes batch, const struct journal_batch_header *header);

#endif
