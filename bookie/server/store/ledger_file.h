// Ledger files: where extents lie, one behind the other.
//
//   OFFSET  SIZE  FIELD (big-endian)
//        0     4  magic "GmLf"
//        4     4  CRC32C of bytes 8 to 39
//        8     4  version, 1
//       12     4  0
//       16     8  owner: of which store
//       24     8  id
//       32     8  0
//       40     *  zeroes up to 4096
//     4096     *  extents; behind the last one of each flush zeroes up to the next 4096
//
// How much of a file counts, the index says: what lies behind is left from a flush that did not
// end, and is cut off when the store is opened. Files are written around the page cache in whole
// pages, by one handle, and read through it by others. A name is DIRECTORY/current/ID.gel, ID in 16
// hex digits, and ids are unique over all directories.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_LEDGER_FILE_H
#define GEMINGA_BOOKIE_SERVER_STORE_LEDGER_FILE_H

#include <assert.h>

#include "runtime/file.h"

enum {
    BOOKIE_FILE_HEADER = 4096,
    BOOKIE_FILE_NAME_SIZE = 16 + sizeof(".gel"),
    BOOKIE_CHUNK = 1 << 20  // is written at once
};
static_assert(BOOKIE_FILE_HEADER % RT_FILE_ALIGN == 0 && BOOKIE_CHUNK % RT_FILE_ALIGN == 0,
              "files are written in whole pages");

void bookie_file_name(uint64_t id, char name[static BOOKIE_FILE_NAME_SIZE]);
bool bookie_file_name_parse(const char *name, uint64_t *id);
char *bookie_file_path(const char *directory, uint64_t id);  // the caller's to free

void bookie_file_header_encode(uint64_t owner, uint64_t id,
                               uint8_t page[static BOOKIE_FILE_HEADER]);
RT_CHECK
rt_err bookie_file_header_decode(struct rt_bytes page, uint64_t *owner, uint64_t *id);
// RT_ECORRUPT: no ledger file, torn, or not the one it should be.
RT_CHECK
rt_err bookie_file_open_read_now(struct rt_machine *machine, const char *path, uint64_t owner,
                                 uint64_t id, struct rt_file **file);

// An appender gathers extents into pages. It never writes itself: when it says so, its owner writes
// `chunk` to `file` at `written`, and tells it.
struct bookie_appender {
    struct rt_file *file;  // NULL: none is open
    uint64_t id;
    uint64_t written;  // of the file, always whole pages
    uint8_t *chunk;
    size_t used;           // of the chunk
    struct rt_buf extent;  // of which `taken` bytes are in the chunk already
    size_t taken;
};
void bookie_appender_init(struct bookie_appender *appender);
void bookie_appender_fini(struct bookie_appender *appender);  // the file is closed before
// RT_EEXIST, RT_ENOSPACE, RT_EIO.
RT_CHECK
rt_err bookie_appender_create_now(struct bookie_appender *appender, struct rt_machine *machine,
                                  const char *directory, uint64_t owner, uint64_t id);
// Goes on behind `size` bytes of a file.
RT_CHECK
rt_err bookie_appender_resume_now(struct bookie_appender *appender, struct rt_machine *machine,
                                  const char *directory, uint64_t id, uint64_t size);
uint64_t bookie_appender_offset(const struct bookie_appender *appender);  // of the next extent
// Takes of the extent what fits. True: the chunk is full and must be written.
bool bookie_appender_take(struct bookie_appender *appender);
void bookie_appender_pad(struct bookie_appender *appender);  // fills the last page
void bookie_appender_wrote(struct bookie_appender *appender);
void bookie_appender_forget(struct bookie_appender *appender);  // what it gathered

#endif
