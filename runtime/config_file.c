// The file as a source.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/config_internal.h"
#include "runtime/log.h"

enum { FILE_SIZE_MAX = 4 << 20, CHUNK_SIZE = 16 << 10, WHERE_SIZE = 512 };

static rt_err read_all(int fd, struct rt_buf *text) {
    ssize_t got = 1;
    while (got != 0 && text->size <= FILE_SIZE_MAX) {
        rt_buf_reserve(text, CHUNK_SIZE);
        got = read(fd, text->data + text->size, CHUNK_SIZE);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return rt_err_from_errno(errno);
        text->size += (size_t)got;
    }
    return text->size > FILE_SIZE_MAX ? RT_ETOOBIG : RT_OK;
}

static bool read_file(struct rt_config_loading *loading, const char *path, struct rt_buf *text) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int code = errno;
    if (fd < 0) {
        rt_config_say(loading->report, CONFIG_ERROR, path, "cannot be opened: %s",
                      strerrordesc_np(code));
        return false;
    }
    rt_err err = read_all(fd, text);
    code = errno;
    close(fd);
    if (err == RT_ETOOBIG) {
        rt_config_say(loading->report, CONFIG_ERROR, path, "larger than the limit of %d MiB",
                      FILE_SIZE_MAX >> 20);
    } else if (err) {
        rt_config_say(loading->report, CONFIG_ERROR, path, "cannot be read: %s",
                      strerrordesc_np(code));
    }
    return !err;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void unknown_key(struct rt_config_loading *loading, const char *key, const char *where) {
    const struct rt_option_table *table = loading->table;
    bool is_ignored =
        table->ignored_count > 0 &&
        bsearch(&key, table->ignored, table->ignored_count, sizeof(key), compare_names);
    if (is_ignored) {
        rt_log_debug("config", "key without effect here at=%s key=%s", where, key);
        return;
    }
    struct rt_why suggestion = {{0}};
    if (rt_config_has_room(loading->report)) {
        rt_config_suggest(table, key, false, &suggestion);
    }
    rt_config_say(loading->report, CONFIG_WARNING, where, "unknown key %.80s%s", key,
                  suggestion.text);
}

static bool extra_key(struct rt_config_loading *loading, const char *key, const char *value,
                      const char *where) {
    struct rt_config_extra *extra = loading->source->extra;
    struct rt_why why = {{0}};
    if (!extra || !extra->take(extra, key, value, &why)) return false;
    if (why.text[0]) rt_config_say(loading->report, CONFIG_ERROR, where, "%s: %s", key, why.text);
    return true;
}

static void known_key(struct rt_config_loading *loading, int index, const char *key,
                      const struct rt_properties *entry, const char *where) {
    struct rt_config_given *given = &loading->given[index];
    if (given->file_line) {
        rt_config_say(loading->report, CONFIG_ERROR, where, "%s is set already in line %u", key,
                      given->file_line);
        return;
    }
    given->file_line = entry->entry_line;
    rt_config_give(loading, index, key, (const char *)entry->value.data, where);
}

static void load_text(struct rt_config_loading *loading, const char *path, struct rt_bytes text) {
    struct rt_properties p;
    rt_properties_init(&p, text);
    rt_err err = RT_OK;
    while ((err = rt_properties_next(&p)) != RT_ENOTFOUND) {
        char where[WHERE_SIZE];
        snprintf(where, sizeof(where), "%s:%u", path, p.entry_line);
        if (err) {
            rt_config_say(loading->report, CONFIG_ERROR, where, "%s", p.error);
            continue;
        }
        const char *key = (const char *)p.key.data;
        int index = rt_config_find(loading->table, key);
        if (index == CONFIG_NONE) {
            if (!extra_key(loading, key, (const char *)p.value.data, where))
                unknown_key(loading, key, where);
        } else {
            known_key(loading, index, key, &p, where);
        }
    }
    rt_properties_fini(&p);
}

void rt_config_load_file(struct rt_config_loading *loading) {
    const char *path = loading->source->file;
    struct rt_buf text = {0};
    unsigned line = 0;
    const char *problem = NULL;
    if (read_file(loading, path, &text)) {
        rt_err err = rt_properties_check_text(rt_buf_bytes(&text), &line, &problem);
        if (err) {
            char where[WHERE_SIZE];
            snprintf(where, sizeof(where), "%s:%u", path, line);
            rt_config_say(loading->report, CONFIG_ERROR, where, "the line %s", problem);
        } else {
            load_text(loading, path, rt_buf_bytes(&text));
        }
    }
    rt_buf_fini(&text);
}
