// Reads the batches of one segment, a window of the file at a time. Blocks.
#ifndef GEMINGA_BOOKIE_SERVER_JOURNAL_READER_H
#define GEMINGA_BOOKIE_SERVER_JOURNAL_READER_H

#include "bookie/server/journal/journal_internal.h"

struct journal_reader {
    const struct journal_segment *segment;
    struct rt_file *file;
    uint8_t *window;  // aligned
    size_t capacity, size;
    uint64_t base;  // of the window
    struct journal_batch_header batch;
    uint8_t *bytes;  // of the batch, in the window: valid until the next call
};

RT_CHECK
rt_err bookie_journal_reader_open_now(struct journal_reader *reader,
                                      const struct bookie_journal *journal,
                                      const struct journal_segment *segment, struct rt_why *why);
void bookie_journal_reader_close_now(struct journal_reader *reader);
// What stands at a page boundary. RT_ENOTFOUND: nothing that verifies; other errors are the
// disk's. `header` looks at the header only, `batch` has the whole batch in `bytes`.
RT_CHECK
rt_err bookie_journal_reader_header_now(struct journal_reader *reader, uint64_t offset);
RT_CHECK
rt_err bookie_journal_reader_batch_now(struct journal_reader *reader, uint64_t offset);
// The batch that begins at `from` or holds it. RT_ENOTFOUND: neither that nor the end of one is
// there. Batches before it need not verify: what rots there does no harm.
RT_CHECK
rt_err bookie_journal_reader_seek_now(struct journal_reader *reader, uint64_t from,
                                      uint64_t *offset);
// Whether a record of the batch read last, at `offset`, begins or ends there.
bool bookie_journal_reader_is_between(const struct journal_reader *reader, uint64_t offset,
                                      uint64_t place);

#endif
