#include "bookie/server/store/ledger_file.h"

#include <stdio.h>
#include <string.h>

#include "runtime/crc32c.h"
#include "runtime/mem.h"

enum { MAGIC = 0x476d4c66, VERSION = 1, FIELDS_SIZE = 40, CRC_FROM = 8, HEX_DIGITS = 16 };

static const char ending[] = ".gel";

// NAMES

void bookie_file_name(uint64_t id, char name[static BOOKIE_FILE_NAME_SIZE]) {
    snprintf(name, BOOKIE_FILE_NAME_SIZE, "%016llx%s", (unsigned long long)id, ending);
}

bool bookie_file_name_parse(const char *name, uint64_t *id) {
    if (strlen(name) != HEX_DIGITS + strlen(ending)) return false;
    if (strcmp(name + HEX_DIGITS, ending) != 0) return false;
    *id = 0;
    for (unsigned i = 0; i < HEX_DIGITS; i++) {
        char c = name[i];
        bool is_digit = c >= '0' && c <= '9', is_letter = c >= 'a' && c <= 'f';
        if (!is_digit && !is_letter) return false;
        *id = *id << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    return true;
}

char *bookie_file_path(const char *directory, uint64_t id) {
    char name[BOOKIE_FILE_NAME_SIZE];
    bookie_file_name(id, name);
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s", directory, name);
    rt_buf_append(&path, RT_BYTES("", 1));
    return (char *)path.data;
}

// HEADERS

void bookie_file_header_encode(uint64_t owner, uint64_t id,
                               uint8_t page[static BOOKIE_FILE_HEADER]) {
    memset(page, 0, BOOKIE_FILE_HEADER);
    struct rt_writer w = rt_writer_over(page, FIELDS_SIZE);
    rt_write_be32(&w, MAGIC);
    rt_write_be32(&w, 0);
    rt_write_be32(&w, VERSION);
    rt_write_be32(&w, 0);
    rt_write_be64(&w, owner);
    rt_write_be64(&w, id);
    rt_write_be64(&w, 0);
    assert(!rt_writer_failed(&w) && w.at == w.end);
    uint32_t crc = rt_crc32c(0, RT_BYTES(page + CRC_FROM, FIELDS_SIZE - CRC_FROM));
    w = rt_writer_over(page + 4, sizeof(crc));
    rt_write_be32(&w, crc);
}

rt_err bookie_file_header_decode(struct rt_bytes page, uint64_t *owner, uint64_t *id) {
    if (page.size < FIELDS_SIZE) return RT_ECORRUPT;
    struct rt_reader r = rt_reader_over(RT_BYTES(page.data, FIELDS_SIZE));
    if (rt_read_be32(&r) != MAGIC) rt_reader_fail(&r);
    if (rt_read_be32(&r) != rt_crc32c(0, RT_BYTES(page.data + CRC_FROM, FIELDS_SIZE - CRC_FROM)))
        rt_reader_fail(&r);
    if (rt_read_be32(&r) != VERSION) rt_reader_fail(&r);
    (void)rt_read_be32(&r);
    *owner = rt_read_be64(&r);
    *id = rt_read_be64(&r);
    return rt_reader_failed(&r) ? RT_ECORRUPT : RT_OK;
}

rt_err bookie_file_open_read_now(struct rt_machine *machine, const char *path, uint64_t owner,
                                 uint64_t id, struct rt_file **file) {
    uint8_t fields[FIELDS_SIZE];
    size_t size = 0;
    uint64_t owner_found = 0, id_found = 0;
    rt_err err = rt_file_open_now(machine, path, RT_FILE_READ, file, NULL);
    if (err) return err;
    err = rt_file_read_now(*file, 0, fields, sizeof(fields), &size);
    if (!err) err = bookie_file_header_decode(RT_BYTES(fields, size), &owner_found, &id_found);
    if (!err && (owner_found != owner || id_found != id)) err = RT_ECORRUPT;
    if (!err) return RT_OK;
    rt_file_close_now(*file);
    *file = NULL;
    return err;
}

// APPENDING

void bookie_appender_init(struct bookie_appender *appender) {
    *appender = (struct bookie_appender){.chunk = rt_alloc_aligned(RT_FILE_ALIGN, BOOKIE_CHUNK)};
}

void bookie_appender_fini(struct bookie_appender *appender) {
    assert(!appender->file);
    rt_free(appender->chunk);
    rt_buf_fini(&appender->extent);
}

rt_err bookie_appender_create_now(struct bookie_appender *appender, struct rt_machine *machine,
                                  const char *directory, uint64_t owner, uint64_t id) {
    assert(!appender->file && appender->used == 0);
    char *path = bookie_file_path(directory, id);
    rt_err err = rt_file_open_now(machine, path, RT_FILE_WRITE | RT_FILE_CREATE | RT_FILE_DIRECT,
                                  &appender->file, NULL);
    rt_free(path);
    if (err) {
        appender->file = NULL;
        return err;
    }
    appender->id = id;
    appender->written = 0;
    bookie_file_header_encode(owner, id, appender->chunk);
    appender->used = BOOKIE_FILE_HEADER;
    return RT_OK;
}

rt_err bookie_appender_resume_now(struct bookie_appender *appender, struct rt_machine *machine,
                                  const char *directory, uint64_t id, uint64_t size) {
    assert(!appender->file && appender->used == 0 && size % RT_FILE_ALIGN == 0);
    char *path = bookie_file_path(directory, id);
    rt_err err =
        rt_file_open_now(machine, path, RT_FILE_WRITE | RT_FILE_DIRECT, &appender->file, NULL);
    rt_free(path);
    if (err) {
        appender->file = NULL;
        return err;
    }
    appender->id = id;
    appender->written = size;
    return RT_OK;
}

uint64_t bookie_appender_offset(const struct bookie_appender *appender) {
    return appender->written + appender->used;
}

bool bookie_appender_take(struct bookie_appender *appender) {
    size_t left = appender->extent.size - appender->taken;
    size_t room = BOOKIE_CHUNK - appender->used;
    size_t step = left < room ? left : room;
    if (step > 0) {
        memcpy(appender->chunk + appender->used, appender->extent.data + appender->taken, step);
    }
    appender->used += step;
    appender->taken += step;
    return appender->used == BOOKIE_CHUNK;
}

void bookie_appender_pad(struct bookie_appender *appender) {
    size_t padding = (RT_FILE_ALIGN - appender->used % RT_FILE_ALIGN) % RT_FILE_ALIGN;
    memset(appender->chunk + appender->used, 0, padding);
    appender->used += padding;
}

void bookie_appender_wrote(struct bookie_appender *appender) {
    appender->written += appender->used;
    appender->used = 0;
}

void bookie_appender_forget(struct bookie_appender *appender) {
    appender->used = appender->taken = 0;
    rt_buf_clear(&appender->extent);
}
