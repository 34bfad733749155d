#include <rocksdb/c.h>
#include <string.h>

#include "runtime/real/kv_rocksdb.h"

// RocksDB tells its status in words: a kind, and for I/O errors what the system said. The first
// line that matches decides, so causes come before kinds. Nothing here may read as RT_ENOTFOUND:
// that is an answer about a key, and a table file that is gone is corruption.
static const struct {
    const char *prefix;
    const char *cause;
    rt_err err;
} errors[] = {
    {"IO error", "lock hold by current process", RT_ELOCKED},
    {"IO error: While lock file", "", RT_ELOCKED},
    {"", "No space left on device", RT_ENOSPACE},
    {"", "Disk quota exceeded", RT_ENOSPACE},
    {"", "Permission denied", RT_EACCESS},
    {"", "Read-only file system", RT_EREADONLY},
    {"", "Too many open files", RT_ENOFILES},
    {"", "Cannot allocate memory", RT_ENOMEMORY},
    {"IO error", "No such file or directory", RT_ECORRUPT},
    {"IO error", "", RT_EIO},
    {"Corruption", "", RT_ECORRUPT},
    {"Result incomplete", "", RT_EAGAIN},
    {"Operation failed. Try again", "", RT_EAGAIN},
    {"Invalid argument", "Directory exists", RT_EEXIST},
    {"Invalid argument", "", RT_EINVAL},
    {"Not implemented", "", RT_EUNSUPPORTED},
    {"Shutdown in progress", "", RT_ECLOSED},
    {"Operation timed out", "", RT_ETIMEDOUT},
    {"Operation aborted", "", RT_ECANCELED},
    {"Resource busy", "", RT_EBUSY},
};

static rt_err error_find(const char *text) {
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        bool is_kind = strncmp(text, errors[i].prefix, strlen(errors[i].prefix)) == 0;
        if (is_kind && strstr(text, errors[i].cause)) return errors[i].err;
    }
    return RT_EIO;
}

rt_err real_kv_err(char *text) {
    if (!text) return RT_OK;
    rt_err err = error_find(text);
    rocksdb_free(text);
    return err;
}

rt_err real_kv_why(struct rt_why *why, char *text, const char *verb, const char *path) {
    if (!text) return RT_OK;
    rt_err err = error_find(text);
    rt_why_set(why, err, "cannot %s store %s: %s%s", verb, path, text,
               err == RT_ELOCKED ? " (is another process, or another part of this one, using it?)"
                                 : "");
    rocksdb_free(text);
    return err;
}
