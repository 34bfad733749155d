// Recovery over arbitrary segments: the input is a list of pages and of batches whose checksums are
// right but whose fields are the input's. Whatever is there is refused, or replayed; and what was
// replayed once is replayed again by the next start, with what was appended behind it.
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "bookie/server/journal/format.h"
#include "runtime/crc32c.h"
#include "runtime/sim/sim.h"
#include "tests/fuzz/fuzz.h"

enum { OWNER = 7, PAGES_MAX = 40, SEGMENTS = 3 };

struct fuzz {
    struct rt_sim_program program;
    struct bookie_journal_events events;
    struct bookie_journal_replay replay;
    struct bookie_journal_op op;
    struct bookie_journal *journal;
    struct rt_reader input;
    struct bookie_mark from;
    unsigned starts, count, expected;
    bool is_refused, is_appended;
};

// WHAT IS THERE

static struct journal_header header_of(struct rt_reader *r, uint64_t number) {
    uint8_t cut = rt_read_u8(r);
    return (struct journal_header){
        .owner = OWNER,
        .number = number,
        .salt = number * 31,
        .follows = {cut & 64 && number > 2 ? number - 2 : number - 1,
                    cut & 128 ? (uint64_t)(1 + cut % PAGES_MAX) * JOURNAL_PAGE : 0}};
}

static struct bookie_mark mark_read(struct rt_reader *r) {
    uint8_t segment = rt_read_u8(r), page = rt_read_u8(r);
    if (segment % (SEGMENTS + 1) == 0) return (struct bookie_mark){0, 0};
    return (struct bookie_mark){segment % (SEGMENTS + 1),
                                (uint64_t)(1 + page % PAGES_MAX) * JOURNAL_PAGE};
}

static size_t batch_write(struct rt_reader *r, const struct journal_header *segment,
                          uint64_t offset, uint8_t *out, size_t room) {
    uint8_t shape = rt_read_u8(r);
    uint32_t records = shape % 8, size = (uint32_t)(shape >> 3) * 150;
    size_t total = JOURNAL_BATCH_HEADER_SIZE + records * (JOURNAL_RECORD_HEADER_SIZE + size);
    if (total > room) return 0;
    struct rt_writer w = rt_writer_over(out + JOURNAL_BATCH_HEADER_SIZE, room);
    for (uint32_t i = 0; i < records; i++) {
        rt_write_be32(&w, size);
        for (uint32_t at = 0; at < size; at++) rt_write_u8(&w, (uint8_t)at);
    }
    struct journal_batch_header header = {
        .size = (uint32_t)total, .count = records, .at = {segment->number, offset}};
    bool is_usual = rt_read_u8(r) & 1;
    header.before = is_usual ? header.at : mark_read(r);
    header.durable = is_usual ? header.at : mark_read(r);
    header.body_crc =
        rt_crc32c(0, RT_BYTES(out + JOURNAL_BATCH_HEADER_SIZE, total - JOURNAL_BATCH_HEADER_SIZE));
    bookie_journal_batch_encode(&header, bookie_journal_seed(segment), out);
    return total;
}

static size_t segment_fill(struct rt_reader *r, const struct journal_header *segment,
                           uint8_t *out) {
    size_t at = JOURNAL_PAGE, limit = PAGES_MAX * JOURNAL_PAGE;
    bookie_journal_header_encode(segment, out);
    for (uint8_t op = rt_read_u8(r); op && at < limit; op = rt_read_u8(r)) {
        size_t size = 0;
        if (op & 1) size = batch_write(r, segment, at, out + at, limit - at);
        if (!(op & 1)) {
            struct rt_bytes raw = rt_read_bytes(r, op < rt_reader_left(r) ? op : 0);
            if (raw.size) memcpy(out + at, raw.data, raw.size);
        }
        if (op & 2) out[at + op] ^= 1;
        at += size ? (size_t)bookie_journal_page_up(size) : JOURNAL_PAGE;
    }
    return at < limit ? at : limit;
}

static void files_write(struct fuzz *fuzz, struct rt_machine *machine) {
    struct rt_reader *r = &fuzz->input;
    uint8_t *bytes = rt_alloc_zero(PAGES_MAX + 1, JOURNAL_PAGE);
    rt_err err = rt_dir_create_now(machine, "data/journal", NULL);
    assert(!err);
    for (uint64_t number = 1; number <= SEGMENTS; number++) {
        if (number > 1 && rt_read_u8(r) % 4 == 0) continue;
        struct journal_header header = header_of(r, number);
        memset(bytes, 0, (PAGES_MAX + 1) * JOURNAL_PAGE);
        size_t size = segment_fill(r, &header, bytes);
        char name[JOURNAL_NAME_SIZE], path[64];
        bookie_journal_name(JOURNAL_NAME_SEGMENT, number, name);
        snprintf(path, sizeof(path), "data/journal/%s", name);
        struct rt_file *file;
        err = rt_file_open_now(machine, path, RT_FILE_WRITE | RT_FILE_CREATE, &file, NULL);
        assert(!err);
        err = rt_file_write_now(file, 0, RT_BYTES(bytes, size));
        if (!err) err = rt_file_sync_now(file);
        assert(!err);
        rt_file_close_now(file);
    }
    err = rt_dir_sync_now(machine, "data/journal");
    assert(!err);
    rt_free(bytes);
}

// THE STARTS

static rt_err on_record(struct bookie_journal_replay *replay, struct rt_bytes record,
                        struct bookie_mark at, struct rt_why *why) {
    struct fuzz *fuzz = rt_container_of(replay, struct fuzz, replay);
    (void)why;
    assert(record.size <= JOURNAL_RECORD_MAX);
    assert(bookie_mark_compare(at, fuzz->from) > 0);
    fuzz->count++;
    return RT_OK;
}

static void on_failed(struct bookie_journal_events *events, rt_err err, const char *what) {
    (void)events;
    (void)err;
    rt_panic("%s", what);
}

static void on_drained(struct bookie_journal_events *events) {
    (void)events;
}

static void on_done(struct bookie_journal_op *op, rt_err err) {
    assert(!err);
    rt_container_of(op, struct fuzz, op)->is_appended = true;
}

static void on_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct fuzz *fuzz = rt_container_of(program, struct fuzz, program);
    if (fuzz->starts++ == 0) files_write(fuzz, machine);
    struct bookie_journal_options options = {.directory = "data/journal",
                                             .owner = OWNER,
                                             .segment_bytes = 64 << 10,
                                             .sync = true,
                                             .events = &fuzz->events};
    struct rt_why why = {{0}};
    rt_err err = bookie_journal_open_now(machine, rt_machine_loop(machine, 0), &options, fuzz->from,
                                         &fuzz->journal, &why);
    if (err) {
        if (fuzz->starts > 1) rt_panic("%s", why.text);
        assert(err == RT_ECORRUPT && why.text[0]);
        fuzz->is_refused = true;
        return;
    }
    fuzz->count = 0;
    err = bookie_journal_replay_now(fuzz->journal, &fuzz->replay, &why);
    assert(!err);
    if (fuzz->starts > 1) assert(fuzz->count == fuzz->expected);
    fuzz->op = (struct bookie_journal_op){.done = on_done};
    struct rt_bytes record = RT_BYTES_LITERAL("record");
    err = bookie_journal_append(fuzz->journal, &fuzz->op, &record, 1);
    assert(!err);
    fuzz->expected = fuzz->count + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz fuzz = {.program = {.boot = on_boot},
                        .events = {on_failed, on_drained},
                        .replay = {on_record},
                        .input = rt_reader_over(RT_BYTES(data, size))};
    fuzz.from = mark_read(&fuzz.input);
    fuzz.from.offset += fuzz.from.segment ? rt_read_u8(&fuzz.input) & 127u : 0;
    struct rt_sim *sim = rt_sim_new(&(struct rt_sim_options){.seed = 1});
    struct rt_sim_node *node = rt_sim_node_add(sim, "node", 1, &fuzz.program);
    for (unsigned i = 0; i < 3 && !fuzz.is_refused; i++) {
        fuzz.is_appended = false;
        rt_sim_start(node);
        rt_sim_run_for(sim, 100 * RT_NS_PER_MS);
        assert(fuzz.is_refused || fuzz.is_appended);
        rt_sim_crash(node, RT_SIM_POWER_LOSS);
    }
    rt_sim_free(sim);
    return 0;
}
