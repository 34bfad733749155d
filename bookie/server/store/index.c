#include "bookie/server/store/index.h"

#include <assert.h>
#include <string.h>

enum { VERSION = 1, FLAG_FENCED = 1, FLAG_LIMBO = 2 };

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

// The extents' prefix is not the ledger: an iterator that was made for prefixes does not see beyond
// them, and finders look at neighbours.
static const struct rt_kv_column columns[BOOKIE_COLUMNS] = {
    [BOOKIE_COLUMN_DEFAULT] = {.name = "default", .write_buffer_bytes = 1 * MIB},
    [BOOKIE_COLUMN_LEDGERS] = {.name = "ledgers",
                               .write_buffer_bytes = 4 * MIB,
                               .block_bytes = 8 * KIB,
                               .compress = true},
    [BOOKIE_COLUMN_EXTENTS] = {.name = "extents",
                               .write_buffer_bytes = 8 * MIB,
                               .block_bytes = 8 * KIB,
                               .compress = true},
    [BOOKIE_COLUMN_FILES] = {.name = "files", .write_buffer_bytes = 1 * MIB},
};

rt_err bookie_index_open_now(struct rt_machine *machine, const char *path, size_t cache_bytes,
                             struct rt_kv **kv, struct rt_why *why) {
    const struct rt_kv_options options = {.columns = columns,
                                          .column_count = BOOKIE_COLUMNS,
                                          .cache_bytes = cache_bytes,
                                          .create_if_missing = true};
    return rt_kv_open_now(machine, path, &options, kv, why);
}

static rt_err reader_end(const struct rt_reader *r) {
    return rt_reader_done(r) ? RT_OK : RT_ECORRUPT;
}

// STATE

static struct rt_bytes state_key(void) {
    return RT_BYTES_LITERAL("state");
}

void bookie_index_put_state(struct rt_kv_batch *batch, const struct bookie_state *state) {
    uint8_t value[32 + 16 * BOOKIE_JOURNALS_MAX];
    struct rt_writer w = rt_writer_over(value, sizeof(value));
    rt_write_u8(&w, VERSION);
    rt_write_be64(&w, state->owner);
    rt_write_be64(&w, state->next_file);
    rt_write_be64(&w, state->generation);
    rt_write_u8(&w, (uint8_t)state->mark_count);
    for (unsigned i = 0; i < state->mark_count; i++) {
        rt_write_be64(&w, state->marks[i].segment);
        rt_write_be64(&w, state->marks[i].offset);
    }
    assert(!rt_writer_failed(&w));
    rt_kv_put(batch, BOOKIE_COLUMN_DEFAULT, state_key(), RT_BYTES(value, (size_t)(w.at - value)));
}

static rt_err state_read(struct rt_bytes value, struct bookie_state *state) {
    struct rt_reader r = rt_reader_over(value);
    *state = (struct bookie_state){0};
    if (rt_read_u8(&r) != VERSION) return RT_ECORRUPT;
    state->owner = rt_read_be64(&r);
    state->next_file = rt_read_be64(&r);
    state->generation = rt_read_be64(&r);
    state->mark_count = rt_read_u8(&r);
    if (state->mark_count > BOOKIE_JOURNALS_MAX) return RT_ECORRUPT;
    for (unsigned i = 0; i < state->mark_count; i++) {
        state->marks[i].segment = rt_read_be64(&r);
        state->marks[i].offset = rt_read_be64(&r);
    }
    return reader_end(&r);
}

rt_err bookie_index_state_now(struct rt_kv *kv, struct bookie_state *state) {
    struct rt_buf value = {0};
    *state = (struct bookie_state){0};
    rt_err err = rt_kv_get_now(kv, NULL, BOOKIE_COLUMN_DEFAULT, state_key(), &value);
    if (!err) err = state_read(rt_buf_bytes(&value), state);
    rt_buf_fini(&value);
    return err;
}

// LEDGERS

static uint64_t id_turned(int64_t id) {
    return (uint64_t)id ^ UINT64_C(1) << 63;
}

void bookie_ledger_key(int64_t id, uint8_t key[static BOOKIE_LEDGER_KEY]) {
    struct rt_writer w = rt_writer_over(key, BOOKIE_LEDGER_KEY);
    rt_write_be64(&w, id_turned(id));
}

rt_err bookie_ledger_key_read(struct rt_bytes key, int64_t *id) {
    struct rt_reader r = rt_reader_over(key);
    *id = (int64_t)(rt_read_be64(&r) ^ UINT64_C(1) << 63);
    return reader_end(&r);
}

void bookie_ledger_record_write(const struct bookie_ledger *ledger, int64_t last_entry,
                                struct rt_buf *out) {
    assert(ledger->exists && ledger->key_size <= BOOKIE_KEY_MAX);
    struct rt_writer w = rt_writer_into(out);
    rt_write_u8(&w, VERSION);
    rt_write_u8(&w,
                (uint8_t)((ledger->fenced ? FLAG_FENCED : 0) | (ledger->limbo ? FLAG_LIMBO : 0)));
    rt_write_u8(&w, ledger->key_size);
    rt_write_bytes(&w, RT_BYTES(ledger->key, ledger->key_size));
    rt_write_be64(&w, (uint64_t)last_entry);
    rt_write_be32(&w, ledger->span_max);
    rt_write_bytes(&w, rt_buf_bytes(&ledger->explicit_lac));
}

rt_err bookie_ledger_record_read(struct rt_bytes value, struct bookie_ledger *ledger) {
    struct rt_reader r = rt_reader_over(value);
    if (rt_read_u8(&r) != VERSION) return RT_ECORRUPT;
    uint8_t flags = rt_read_u8(&r);
    if (flags & ~(FLAG_FENCED | FLAG_LIMBO)) return RT_ECORRUPT;
    uint8_t key_size = rt_read_u8(&r);
    if (key_size > BOOKIE_KEY_MAX) return RT_ECORRUPT;
    struct rt_bytes key = rt_read_bytes(&r, key_size);
    int64_t last_entry = (int64_t)rt_read_be64(&r);
    uint32_t span_max = rt_read_be32(&r);
    struct rt_bytes explicit_lac = rt_read_rest(&r);
    if (rt_reader_failed(&r) || last_entry < -1 || span_max > BOOKIE_EXTENT_SPAN_MAX)
        return RT_ECORRUPT;
    ledger->exists = true;
    ledger->fenced = flags & FLAG_FENCED;
    ledger->limbo = flags & FLAG_LIMBO;
    ledger->key_size = key_size;
    if (key_size > 0) memcpy(ledger->key, key.data, key_size);
    ledger->last_entry = ledger->stored_last = last_entry;
    ledger->span_max = span_max;
    rt_buf_append(&ledger->explicit_lac, explicit_lac);
    return RT_OK;
}

// FILES

static struct rt_bytes file_key(uint64_t id, uint8_t key[static 8]) {
    struct rt_writer w = rt_writer_over(key, 8);
    rt_write_be64(&w, id);
    return RT_BYTES(key, 8);
}

void bookie_index_put_file(struct rt_kv_batch *batch, const struct bookie_file_record *file) {
    uint8_t key[8], value[21];
    struct rt_writer w = rt_writer_over(value, sizeof(value));
    rt_write_u8(&w, VERSION);
    rt_write_be32(&w, file->dir);
    rt_write_be64(&w, file->size);
    rt_write_be64(&w, file->live_bytes);
    assert(!rt_writer_failed(&w) && w.at == w.end);
    rt_kv_put(batch, BOOKIE_COLUMN_FILES, file_key(file->id, key), RT_BYTES(value, sizeof(value)));
}

void bookie_index_delete_file(struct rt_kv_batch *batch, uint64_t id) {
    uint8_t key[8];
    rt_kv_delete(batch, BOOKIE_COLUMN_FILES, file_key(id, key));
}

rt_err bookie_file_record_read(struct rt_bytes key, struct rt_bytes value,
                               struct bookie_file_record *file) {
    struct rt_reader k = rt_reader_over(key), r = rt_reader_over(value);
    file->id = rt_read_be64(&k);
    if (!rt_reader_done(&k) || rt_read_u8(&r) != VERSION) return RT_ECORRUPT;
    file->dir = rt_read_be32(&r);
    file->size = rt_read_be64(&r);
    file->live_bytes = rt_read_be64(&r);
    return reader_end(&r);
}

// EXTENTS

static struct rt_bytes extent_key(int64_t ledger, int64_t first, uint64_t generation,
                                  uint8_t key[static BOOKIE_EXTENT_KEY]) {
    struct rt_writer w = rt_writer_over(key, BOOKIE_EXTENT_KEY);
    rt_write_be64(&w, id_turned(ledger));
    rt_write_be64(&w, (uint64_t)first);
    rt_write_be64(&w, generation);
    return RT_BYTES(key, BOOKIE_EXTENT_KEY);
}

void bookie_index_put_extent(struct rt_kv_batch *batch, const struct bookie_location *location) {
    uint8_t key[BOOKIE_EXTENT_KEY], value[64];
    struct rt_writer w = rt_writer_over(value, sizeof(value));
    rt_write_u8(&w, VERSION);
    rt_write_varint(&w, (uint64_t)(location->last - location->first));
    rt_write_varint(&w, location->count);
    rt_write_varint(&w, location->file);
    rt_write_varint(&w, location->offset);
    rt_write_varint(&w, location->plain_size);
    rt_write_varint(&w, location->stored_size);
    assert(!rt_writer_failed(&w));
    rt_kv_put(batch, BOOKIE_COLUMN_EXTENTS,
              extent_key(location->ledger, location->first, location->generation, key),
              RT_BYTES(value, (size_t)(w.at - value)));
}

void bookie_index_delete_extent(struct rt_kv_batch *batch, const struct bookie_location *location) {
    uint8_t key[BOOKIE_EXTENT_KEY];
    rt_kv_delete(batch, BOOKIE_COLUMN_EXTENTS,
                 extent_key(location->ledger, location->first, location->generation, key));
}

// The end of the range of the greatest id is no key of ours: a byte longer than all of them.
void bookie_index_delete_ledger(struct rt_kv_batch *batch, int64_t id) {
    uint8_t first[BOOKIE_LEDGER_KEY], end[BOOKIE_EXTENT_KEY + 1];
    bookie_ledger_key(id, first);
    rt_kv_delete(batch, BOOKIE_COLUMN_LEDGERS, RT_BYTES(first, sizeof(first)));
    memcpy(end, first, sizeof(first));
    memset(end + sizeof(first), 0xff, sizeof(end) - sizeof(first));
    rt_kv_delete_range(batch, BOOKIE_COLUMN_EXTENTS, RT_BYTES(first, sizeof(first)),
                       RT_BYTES(end, sizeof(end)));
}

static bool location_is_sound(const struct bookie_location *location, uint64_t span) {
    if (location->first < 0 || span > (uint64_t)(INT64_MAX - location->first)) return false;
    if (location->count == 0 || location->count > span + 1) return false;
    return location->plain_size <= BOOKIE_EXTENT_PLAIN_MAX &&
           location->stored_size <= location->plain_size && location->offset <= (UINT64_C(1) << 62);
}

static uint32_t read_varint32(struct rt_reader *r) {
    uint64_t value = rt_read_varint(r);
    if (value > UINT32_MAX) rt_reader_fail(r);
    return (uint32_t)value;
}

rt_err bookie_location_read(struct rt_bytes key, struct rt_bytes value,
                            struct bookie_location *location) {
    struct rt_reader k = rt_reader_over(key), r = rt_reader_over(value);
    location->ledger = (int64_t)(rt_read_be64(&k) ^ UINT64_C(1) << 63);
    location->first = (int64_t)rt_read_be64(&k);
    location->generation = rt_read_be64(&k);
    if (!rt_reader_done(&k) || rt_read_u8(&r) != VERSION) return RT_ECORRUPT;
    uint32_t span = read_varint32(&r);
    location->count = read_varint32(&r);
    location->file = rt_read_varint(&r);
    location->offset = rt_read_varint(&r);
    location->plain_size = read_varint32(&r);
    location->stored_size = read_varint32(&r);
    if (!rt_reader_done(&r) || !location_is_sound(location, span)) return RT_ECORRUPT;
    location->last = location->first + span;
    return RT_OK;
}

rt_err bookie_index_extent_now(struct rt_kv *kv, int64_t ledger, int64_t first, uint64_t generation,
                               struct bookie_location *location) {
    uint8_t memory[BOOKIE_EXTENT_KEY];
    struct rt_bytes key = extent_key(ledger, first, generation, memory);
    struct rt_buf value = {0};
    rt_err err = rt_kv_get_now(kv, NULL, BOOKIE_COLUMN_EXTENTS, key, &value);
    if (!err) err = bookie_location_read(key, rt_buf_bytes(&value), location);
    rt_buf_fini(&value);
    return err;
}

// FINDING

void bookie_finder_init(struct bookie_finder *finder, struct rt_kv *kv,
                        const struct rt_kv_snapshot *snapshot, int64_t ledger, uint32_t span_max) {
    *finder = (struct bookie_finder){.iter = rt_kv_iter_new(kv, snapshot, BOOKIE_COLUMN_EXTENTS),
                                     .ledger = ledger,
                                     .span_max = span_max};
}

void bookie_finder_fini(struct bookie_finder *finder) {
    rt_kv_iter_free(finder->iter);
    finder->iter = NULL;
}

// Of another ledger: RT_ENOTFOUND.
static rt_err finder_read(const struct bookie_finder *finder, struct bookie_location *location) {
    if (!rt_kv_iter_valid(finder->iter)) {
        rt_err err = rt_kv_iter_err(finder->iter);
        return err ? err : RT_ENOTFOUND;
    }
    rt_err err = bookie_location_read(rt_kv_iter_key(finder->iter), rt_kv_iter_value(finder->iter),
                                      location);
    if (err) return err;
    return location->ledger == finder->ledger ? RT_OK : RT_ENOTFOUND;
}

// Goes back from the last extent that begins at or before `from`, as far as one may reach `to`.
static rt_err finder_back(struct bookie_finder *finder, int64_t from, int64_t to, bool begins,
                          struct bookie_location *location) {
    uint8_t key[BOOKIE_EXTENT_KEY];
    if (begins) {
        rt_kv_iter_seek_for_prev(finder->iter, extent_key(finder->ledger, from, UINT64_MAX, key));
    } else {
        rt_kv_iter_prev(finder->iter);
    }
    rt_err err = finder_read(finder, location);
    if (err) return err;
    bool may_reach = location->first >= to || to - location->first <= (int64_t)finder->span_max;
    return may_reach ? RT_OK : RT_ENOTFOUND;
}

rt_err bookie_finder_find(struct bookie_finder *finder, int64_t entry, uint64_t before,
                          struct bookie_location *found) {
    struct bookie_location at;
    bool has_found = false;
    rt_err err = finder_back(finder, entry, entry, true, &at);
    for (; !err; err = finder_back(finder, entry, entry, false, &at)) {
        if (at.last < entry || at.generation >= before) continue;
        if (has_found && found->generation > at.generation) continue;
        *found = at;
        has_found = true;
    }
    if (err != RT_ENOTFOUND) return err;
    return has_found ? RT_OK : RT_ENOTFOUND;
}

rt_err bookie_finder_next(struct bookie_finder *finder, const struct bookie_location *location,
                          struct bookie_location *next) {
    uint8_t key[BOOKIE_EXTENT_KEY];
    rt_kv_iter_seek(finder->iter,
                    extent_key(finder->ledger, location->first, location->generation, key));
    rt_err err = finder_read(finder, next);
    if (err) return err;
    bool is_same = next->first == location->first && next->generation == location->generation;
    if (!is_same) return RT_OK;
    rt_kv_iter_next(finder->iter);
    return finder_read(finder, next);
}

rt_err bookie_finder_is_covered(struct bookie_finder *finder,
                                const struct bookie_location *location, bool *is_covered) {
    struct bookie_location at;
    *is_covered = false;
    rt_err err = finder_back(finder, location->last, location->first, true, &at);
    for (; !err; err = finder_back(finder, location->last, location->first, false, &at)) {
        if (at.last < location->first || at.generation <= location->generation) continue;
        *is_covered = true;
        return RT_OK;
    }
    return err == RT_ENOTFOUND ? RT_OK : err;
}

rt_err bookie_finder_each(struct bookie_finder *finder, bool *has_begun,
                          struct bookie_location *location) {
    uint8_t key[BOOKIE_EXTENT_KEY];
    if (*has_begun) {
        rt_kv_iter_next(finder->iter);
    } else {
        rt_kv_iter_seek(finder->iter, extent_key(finder->ledger, 0, 0, key));
    }
    *has_begun = true;
    return finder_read(finder, location);
}
