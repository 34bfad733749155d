#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/backend.h"
#include "runtime/bytes.h"
#include "runtime/log.h"
#include "runtime/log_format.h"

// A machine that has a log and a clock and nothing else.
static uint64_t wall_ns(const struct rt_machine *machine) {
    (void)machine;
    return UINT64_C(1795230485123) * 1000000;
}

static const struct rt_backend backend = {.name = "test", .wall_ns = wall_ns};

struct fixture {
    struct rt_machine machine;
    struct rt_log_sink sink;
    char directory[64], path[96];
    struct rt_buf lines;
    unsigned count;
};

static void keep_line(struct rt_log_sink *sink, enum rt_log_level level, const char *text) {
    struct fixture *f = rt_container_of(sink, struct fixture, sink);
    (void)level;
    f->count++;
    rt_buf_print(&f->lines, "%s\n", text);
}

static void fixture_open(struct fixture *f, struct rt_log *log) {
    f->machine.backend = &backend;
    f->machine.name = "";
    f->machine.log = log;
    rt_machine_enter(&f->machine);
}

static void sink_open(struct fixture *f, enum rt_log_level level) {
    *f = (struct fixture){.sink = {keep_line}};
    fixture_open(f, rt_log_to_sink(&f->sink, level));
}

static void file_open(struct fixture *f, enum rt_log_format format) {
    *f = (struct fixture){.count = 0};
    snprintf(f->directory, sizeof(f->directory), "/tmp/geminga_log_XXXXXX");
    cr_assert_not_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/a.log", f->directory);
    struct rt_log_options options = {.level = RT_LOG_DEBUG, .format = format, .path = f->path};
    struct rt_log *log = NULL;
    cr_assert_eq(rt_log_open(&options, &log, NULL), RT_OK);
    fixture_open(f, log);
}

static void fixture_close(struct fixture *f) {
    rt_machine_leave();
    rt_log_close(f->machine.log);
    rt_buf_fini(&f->lines);
    if (f->path[0]) unlink(f->path);
    if (f->directory[0]) rmdir(f->directory);
}

static const char *sunk(struct fixture *f) {
    rt_buf_append(&f->lines, RT_BYTES("", 1));
    f->lines.size--;
    return (const char *)f->lines.data;
}

static const char *file_text(struct fixture *f, const char *path) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file);
    rt_buf_clear(&f->lines);
    rt_buf_reserve(&f->lines, 1 << 20);
    f->lines.size = fread(f->lines.data, 1, 1 << 20, file);
    fclose(file);
    return sunk(f);
}

Test(runtime_log, a_line_is_time_level_component_and_message) {
    struct fixture f;
    sink_open(&f, RT_LOG_INFO);
    rt_log_info("journal", "segment rolled file=%06d.log", 7);
    cr_assert_str_eq(sunk(&f),
                     "2026-11-21T03:08:05.123Z INFO  journal: segment rolled file=000007.log\n");
    fixture_close(&f);
}

Test(runtime_log, the_name_of_a_node_is_shown) {
    struct fixture f;
    sink_open(&f, RT_LOG_INFO);
    f.machine.name = "bookie-2";
    rt_log_warn("journal", "x");
    cr_assert(strstr(sunk(&f), " WARN  [bookie-2] journal: x\n"));
    fixture_close(&f);
}

Test(runtime_log, lines_below_the_level_are_not_written) {
    struct fixture f;
    sink_open(&f, RT_LOG_WARN);
    rt_log_debug("c", "a");
    rt_log_info("c", "b");
    rt_log_warn("c", "c");
    rt_log_set_level(f.machine.log, RT_LOG_DEBUG);
    rt_log_debug("c", "d");
    cr_assert_eq(f.count, 2);
    cr_assert_eq(rt_log_level(f.machine.log), RT_LOG_DEBUG);
    fixture_close(&f);
}

Test(runtime_log, control_characters_cannot_forge_a_line_or_drive_a_terminal) {
    struct fixture f;
    sink_open(&f, RT_LOG_INFO);
    rt_log_info("c", "%s", "a\nb\rc\td\033[2J\x7f\xc2\x85\xe2\x80\xa8\xff\xc3\xa9");
    cr_assert(strstr(sunk(&f), ": a\\nb\\rc\\td\\x1b[2J\\x7f\\u0085\\u2028\\xff\xc3\xa9\n"), "%s",
              sunk(&f));
    fixture_close(&f);
}

static size_t format(char out[RT_LOG_LINE_MAX], enum rt_log_format as, struct rt_bytes message) {
    struct rt_log_line line = {
        .level = RT_LOG_ERROR, .wall_ns = 0, .node = "n\"1", .component = "c", .message = message};
    return rt_log_format_line(&line, as, out);
}

Test(runtime_log, json_is_valid_for_any_byte) {
    char out[RT_LOG_LINE_MAX];
    uint8_t all[256];
    for (unsigned i = 0; i < 256; i++) all[i] = (uint8_t)i;
    size_t size = format(out, RT_LOG_JSON, RT_BYTES(all, sizeof(all)));
    const char *start =
        "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"level\":\"ERROR\",\"node\":\"n\\\"1\","
        "\"component\":\"c\",\"msg\":\"\\u0000\\u0001";
    cr_assert(strncmp(out, start, strlen(start)) == 0, "%.*s", (int)size, out);
    cr_assert(strncmp(out + size - 9, "\\ufffd\"}\n", 9) == 0 || out[size - 5] == '.');
    for (size_t i = 0; i + 1 < size; i++) cr_assert((unsigned char)out[i] >= 0x20);
}

Test(runtime_log, a_line_that_is_cut_is_still_whole_json_and_whole_utf8) {
    static char long_text[4096];
    for (size_t i = 0; i + 2 < sizeof(long_text); i += 3) memcpy(long_text + i, "\xe2\x82\xac", 3);
    for (size_t shift = 0; shift < 3; shift++) {
        char out[RT_LOG_LINE_MAX];
        struct rt_bytes message = RT_BYTES(long_text + 3, 3000 + shift * 3);
        memset(long_text, 'a', 3);
        size_t size = format(out, RT_LOG_JSON, RT_BYTES(message.data - shift, message.size));
        cr_assert(size <= RT_LOG_LINE_MAX && size > RT_LOG_LINE_MAX - 16);
        cr_assert(strncmp(out + size - 6, "...\"}\n", 6) == 0 || shift > 0);
        size = format(out, RT_LOG_TEXT, message);
        cr_assert(strncmp(out + size - 4, "...\n", 4) == 0);
        cr_assert_eq((unsigned char)out[size - 5], 0xac);
    }
}

Test(runtime_log, dates_are_right_over_leap_years_and_centuries) {
    static const struct {
        uint64_t s;
        const char *date;
    } cases[] = {{0, "1970-01-01T00:00:00"},          {951782400, "2000-02-29T00:00:00"},
                 {951868800, "2000-03-01T00:00:00"},  {1709164800, "2024-02-29T00:00:00"},
                 {1735689599, "2024-12-31T23:59:59"}, {4107542400, "2100-03-01T00:00:00"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[RT_LOG_LINE_MAX];
        struct rt_log_line line = {.wall_ns = cases[i].s * 1000000000, .node = "", .component = ""};
        rt_log_format_line(&line, RT_LOG_TEXT, out);
        cr_assert(strncmp(out, cases[i].date, 19) == 0, "%.19s", out);
    }
}

Test(runtime_log, reopening_follows_a_rotation_and_keeps_the_old_file_on_failure) {
    struct fixture f;
    file_open(&f, RT_LOG_TEXT);
    char rotated[128];
    snprintf(rotated, sizeof(rotated), "%s/a.log.1", f.directory);
    rt_log_info("c", "first");
    cr_assert_eq(rename(f.path, rotated), 0);
    rt_log_info("c", "second");
    cr_assert_eq(mkdir(f.path, 0700), 0);
    rt_log_reopen(f.machine.log);
    cr_assert(strstr(file_text(&f, rotated), "not reopened, the old file is kept"));
    cr_assert_eq(rmdir(f.path), 0);
    rt_log_reopen(f.machine.log);
    rt_log_info("c", "third");
    cr_assert(strstr(file_text(&f, f.path), "c: third\n"));
    cr_assert(strstr(file_text(&f, rotated), "c: second\n"));
    unlink(rotated);
    fixture_close(&f);
}

Test(runtime_log, lost_lines_are_counted_once_writing_works_again) {
    int ends[2];
    cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
    cr_assert(dup2(ends[1], STDERR_FILENO) >= 0);
    struct fixture f = {.count = 0};
    struct rt_log_options options = {.level = RT_LOG_INFO};
    struct rt_log *log = NULL;
    cr_assert_eq(rt_log_open(&options, &log, NULL), RT_OK);
    fixture_open(&f, log);
    static char full[1 << 16];
    while (write(ends[1], full, sizeof(full)) > 0) continue;
    for (int i = 0; i < 3; i++) rt_log_info("c", "lost");
    while (read(ends[0], full, sizeof(full)) > 0) continue;
    rt_log_info("c", "seen");
    ssize_t size = read(ends[0], full, sizeof(full) - 1);
    cr_assert(size > 0);
    full[size] = '\0';
    cr_assert(strstr(full, "c: seen\n") && strstr(full, "log: lines lost count=3\n"), "%s", full);
    fixture_close(&f);
}

static void *write_lines(void *argument) {
    struct rt_machine *machine = argument;
    rt_machine_enter(machine);
    for (int i = 0; i < 500; i++) rt_log_info("thread", "0123456789 0123456789 end");
    rt_machine_leave();
    return NULL;
}

Test(runtime_log, lines_of_many_threads_never_mix) {
    struct fixture f;
    pthread_t threads[4];
    file_open(&f, RT_LOG_TEXT);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, write_lines, &f.machine);
    for (int i = 0; i < 20; i++) rt_log_reopen(f.machine.log);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    const char *line = file_text(&f, f.path);
    unsigned count = 0;
    for (const char *end = NULL; (end = strchr(line, '\n')); line = end + 1) {
        cr_assert_eq(end - line, 64, "%.*s", (int)(end - line), line);
        count++;
    }
    cr_assert_eq(count, 2000);
    fixture_close(&f);
}

Test(runtime_log, a_limit_passes_its_burst_and_counts_the_rest) {
    struct fixture f;
    struct rt_log_limit limit = {.burst = 3};
    sink_open(&f, RT_LOG_INFO);
    unsigned passed = 0;
    for (int i = 0; i < 100; i++) passed += rt_log_allows(&limit, "c");
    cr_assert(passed == 3 || passed == 6);  // six where a second began in between
    limit.second--;
    limit.held_back = 97;
    cr_assert(rt_log_allows(&limit, "peer"));
    cr_assert(strstr(sunk(&f), "WARN  peer: similar lines held back count=97"));
    fixture_close(&f);
}

Test(runtime_log, level_names_are_parsed_in_any_case) {
    enum rt_log_level level = RT_LOG_DEBUG;
    cr_assert_eq(rt_log_level_parse("Warn", &level), RT_OK);
    cr_assert_eq(level, RT_LOG_WARN);
    cr_assert_eq(rt_log_level_parse("loud", &level), RT_EINVAL);
    cr_assert_eq(rt_log_level_parse("", &level), RT_EINVAL);
}

Test(runtime_log, a_file_that_cannot_be_opened_is_named) {
    struct rt_why why;
    struct rt_log *log = NULL;
    struct rt_log_options options = {.path = "/nowhere/x.log"};
    cr_assert_eq(rt_log_open(&options, &log, &why), RT_ENOTFOUND);
    cr_assert_str_eq(why.text, "log file /nowhere/x.log: No such file or directory");
}
