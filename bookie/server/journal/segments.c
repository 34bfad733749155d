// The files: made under a working name, renamed when they are durable, put away as spares.
#include <stdio.h>
#include <string.h>

#include "bookie/server/journal/journal_internal.h"
#include "runtime/log.h"

// IN MEMORY

char *bookie_journal_path(const struct bookie_journal *journal, const char *name) {
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s", journal->directory, name);
    rt_buf_append(&path, RT_BYTES("", 1));
    return (char *)path.data;
}

static char *path_of(const struct bookie_journal *journal, enum journal_name kind,
                     uint64_t number) {
    char name[JOURNAL_NAME_SIZE];
    bookie_journal_name(kind, number, name);
    return bookie_journal_path(journal, name);
}

struct journal_segment *bookie_journal_segment_new(const struct bookie_journal *journal,
                                                   const struct journal_header *header) {
    struct journal_segment *segment = RT_NEW(struct journal_segment);
    segment->header = *header;
    segment->seed = bookie_journal_seed(header);
    segment->path = path_of(journal, JOURNAL_NAME_SEGMENT, header->number);
    segment->size = segment->end = JOURNAL_PAGE;
    rt_list_init(&segment->link);
    return segment;
}

void bookie_journal_segment_free(struct journal_segment *segment) {
    assert(!segment->file);
    rt_free(segment->path);
    rt_free(segment);
}

struct journal_segment *bookie_journal_segment_at(struct rt_list *link) {
    return rt_container_of(link, struct journal_segment, link);
}

struct journal_segment *bookie_journal_segment_next(struct bookie_journal *journal,
                                                    struct bookie_mark follows) {
    struct journal_header header = {
        .owner = journal->owner, .number = ++journal->number_last, .follows = follows};
    rt_machine_entropy(journal->machine, &header.salt, sizeof(header.salt));
    return bookie_journal_segment_new(journal, &header);
}

// MAKING

static rt_err header_write_now(struct journal_segment *segment) {
    uint8_t *page = rt_alloc_aligned(JOURNAL_PAGE, JOURNAL_PAGE);
    memset(page, 0, JOURNAL_PAGE);
    bookie_journal_header_encode(&segment->header, page);
    rt_err err = rt_file_write_now(segment->file, 0, RT_BYTES(page, JOURNAL_PAGE));
    rt_free(page);
    return err;
}

static void file_drop_now(struct bookie_journal *journal, struct journal_segment *segment,
                          const char *path) {
    rt_file_close_now(segment->file);
    segment->file = NULL;
    // Left behind it would do no harm: the next start removes what is only half made.
    RT_IGNORE(rt_path_remove_now(journal->machine, path));
}

rt_err bookie_journal_segment_make_now(struct bookie_journal *journal,
                                       struct journal_segment *segment, char **spare,
                                       struct rt_why *why) {
    char *path = path_of(journal, JOURNAL_NAME_NEW, segment->header.number);
    unsigned flags =
        RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_EXISTING | RT_FILE_DIRECT | RT_FILE_OWN_THREAD;
    rt_err err = RT_OK;
    if (*spare) {
        err = rt_path_rename_now(journal->machine, *spare, path);
        if (err) rt_why_set(why, err, "cannot rename %s: %s", *spare, rt_err_text(err));
        rt_free(*spare);
        *spare = NULL;
    }
    if (!err) err = rt_file_open_now(journal->machine, path, flags, &segment->file, why);
    if (err) goto free_path;
    err = rt_file_allocate_now(segment->file, segment->size);
    if (!err) err = header_write_now(segment);
    if (err) {
        file_drop_now(journal, segment, path);
        rt_why_set(why, err, "cannot allocate %s: %s", path, rt_err_text(err));
    }
free_path:
    rt_free(path);
    return err;
}

// In this order: the name says that the header is there.
rt_err bookie_journal_segment_commit_now(struct bookie_journal *journal,
                                         struct journal_segment *segment, struct rt_why *why) {
    char *path = path_of(journal, JOURNAL_NAME_NEW, segment->header.number);
    const char *at = path;
    rt_err err = rt_file_sync_now(segment->file);
    if (!err) err = rt_path_rename_now(journal->machine, path, segment->path);
    if (!err) at = segment->path;
    if (!err) err = rt_dir_sync_now(journal->machine, journal->directory);
    if (err) {
        rt_why_set(why, err, "cannot make %s durable: %s", segment->path, rt_err_text(err));
        file_drop_now(journal, segment, at);
    }
    rt_free(path);
    return err;
}

// PUTTING AWAY

char *bookie_journal_segment_put_away_now(struct bookie_journal *journal,
                                          const struct journal_segment *segment) {
    char *spare = NULL;
    rt_err err;
    if (segment->is_kept) {
        spare = path_of(journal, JOURNAL_NAME_SPARE, segment->header.number);
        err = rt_path_rename_now(journal->machine, segment->path, spare);
    } else {
        err = rt_path_remove_now(journal->machine, segment->path);
    }
    if (!err) return spare;
    if (err != RT_ENOTFOUND) {
        rt_log_warn("journal", "old segment could not be put away path=%s err=%s", segment->path,
                    rt_err_name(err));
    }
    rt_free(spare);
    return NULL;
}
