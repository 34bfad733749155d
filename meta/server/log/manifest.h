// What a snapshot consists of, and the files that hold it.
//
//   MANIFEST (big-endian)  4  magic "GmSn"
//                          4  version, 1
//                          8  cluster
//                         16  index and term of the last entry in it
//                          4  size of the configuration, then the configuration (config.h)
//                          4  number of files, then for each, by ascending name:
//                                2  size of the name, then the name
//                                8  size of the file
//                                4  CRC32C of the file
//                          4  CRC32C of all before
//
// A manifest from outside is refused as a whole when a byte of it is not as above: names are plain
// names of files, each once, and sizes add up to less than 2^62.
#ifndef GEMINGA_META_SERVER_LOG_MANIFEST_H
#define GEMINGA_META_SERVER_LOG_MANIFEST_H

#include "meta/raft/raft.h"
#include "runtime/file.h"

#define META_MANIFEST_NAME "MANIFEST"

enum {
    META_MANIFEST_SIZE_MAX = 16 << 20,
    META_MANIFEST_FILES_MAX = 100000,
    META_MANIFEST_NAME_MAX = 200
};

struct meta_manifest_file {
    char *name;
    uint64_t size;
    uint32_t crc;
};

struct meta_manifest {
    uint64_t cluster;
    struct raft_position at;
    struct raft_config config;
    struct meta_manifest_file *files;
    size_t count;
};

void meta_manifest_fini(struct meta_manifest *manifest);
void meta_manifest_add(struct meta_manifest *manifest, struct rt_bytes name, uint64_t size,
                       uint32_t crc);
uint64_t meta_manifest_bytes(const struct meta_manifest *manifest);  // of all files
void meta_manifest_encode(const struct meta_manifest *manifest, struct rt_buf *buf);
// Fini is needed whatever the answer is.
RT_CHECK
rt_err meta_manifest_decode(struct rt_bytes bytes, struct meta_manifest *manifest);

// BLOCKING

char *meta_path(const char *directory, const char *name);  // freed by the caller
RT_CHECK
rt_err meta_file_read_now(struct rt_machine *machine, const char *path, size_t size_max,
                          struct rt_buf *content);
RT_CHECK
rt_err meta_file_write_now(struct rt_machine *machine, const char *path, struct rt_bytes content);
// The manifest of a snapshot's directory; `raw`, if not NULL, gets its bytes.
RT_CHECK
rt_err meta_manifest_read_now(struct rt_machine *machine, const char *directory, struct rt_buf *raw,
                              struct meta_manifest *manifest);
// That the files are there with their sizes.
RT_CHECK
rt_err meta_manifest_check_now(struct rt_machine *machine, const char *directory,
                               const struct meta_manifest *manifest);
// Lists, reads and syncs the files of a checkpoint, and removes what belongs to a process only.
RT_CHECK
rt_err meta_manifest_make_now(struct rt_machine *machine, const char *directory,
                              struct meta_manifest *manifest);

#endif
