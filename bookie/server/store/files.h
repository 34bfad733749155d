// The table of ledger files: what the index knows of each, and a bounded number of open handles to
// read through. Files that compaction emptied go once nobody reads from them.
#ifndef GEMINGA_BOOKIE_SERVER_STORE_FILES_H
#define GEMINGA_BOOKIE_SERVER_STORE_FILES_H

#include "bookie/server/store/index.h"
#include "bookie/server/store/ledger_file.h"

enum { BOOKIE_HANDLES_MAX = 128 };

struct bookie_file {
    struct bookie_file_record record;
    struct rt_file *handle;  // NULL: not open
    unsigned uses;           // reads under way
    bool is_removed;         // of the index; the file goes when uses is 0
    bool is_seen;            // in a directory, when the store was opened
    bool is_damaged;         // seen by compaction: it is kept
    struct rt_list list;     // with a handle: longest unused first; removed: to be deleted
};

struct bookie_files {
    struct bookie_file **items;  // by id
    size_t count, capacity;
    struct rt_list handles;
    unsigned handle_count;
    uint64_t removals;  // so far
};

void bookie_files_init(struct bookie_files *files);
void bookie_files_fini(struct bookie_files *files);  // closes handles: blocks
struct bookie_file *bookie_files_find(const struct bookie_files *files, uint64_t id);
struct bookie_file *bookie_files_add(struct bookie_files *files,
                                     const struct bookie_file_record *record);
// Takes it out of the table; the caller owns it.
void bookie_files_take(struct bookie_files *files, struct bookie_file *file);
void bookie_file_free(struct bookie_file *file);  // has no handle

// A handle that a worker opened becomes the file's, unless it has one. What is returned (NULL:
// nothing) is one too many and the caller's to close.
RT_CHECK
struct rt_file *bookie_files_give_handle(struct bookie_files *files, struct bookie_file *file,
                                         struct rt_file *handle);
void bookie_files_touch(struct bookie_files *files, struct bookie_file *file);

#endif
