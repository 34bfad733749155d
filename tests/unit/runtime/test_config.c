#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/config.h"
#include "runtime/mem.h"

// A table with one option of each kind, and where the tests keep their files.
struct sample {
    bool enabled;
    int64_t port;
    uint64_t cache_bytes, timeout_ms;
    char *data_dir;
    int level;
};

static const char *const levels[] = {"debug", "info", "warn", NULL};
static const char *const ignored[] = {"managedLedgerOffloadDriver", "zooKeeperServers"};

static rt_err check_not_root(const struct rt_option *option, const char *value,
                             struct rt_why *why) {
    (void)option;
    if (strcmp(value, "/") != 0) return RT_OK;
    return rt_why_set(why, RT_EINVAL, "the root directory is no place for data");
}

#define SAMPLE(field) .offset = offsetof(struct sample, field)
static const struct rt_option options[] = {
    {.name = "topicsEnabled",
     .type = RT_OPTION_BOOL,
     SAMPLE(enabled),
     .fallback = "false",
     .help = "Whether topics are enabled."},
    {.name = "webServicePort",
     .type = RT_OPTION_INT,
     SAMPLE(port),
     .fallback = "8080",
     .max = 65535,
     .also = "httpPort",
     .old_name = "webPort",
     .help = "Port."},
    {.name = "cacheSize",
     .type = RT_OPTION_SIZE,
     SAMPLE(cache_bytes),
     .fallback = "64M",
     .min = 1024,
     .max = INT64_C(1) << 40,
     .help = "Cache.",
     .reloadable = true},
    {.name = "timeoutMs",
     .type = RT_OPTION_DURATION,
     SAMPLE(timeout_ms),
     .fallback = "30000",
     .unit_ns = 1000000,
     .min = 1,
     .max = 3600000,
     .help = "Timeout."},
    {.name = "dataDir",
     .type = RT_OPTION_TEXT,
     SAMPLE(data_dir),
     .fallback = "data",
     .check = check_not_root,
     .help = "Directory.",
     .reloadable = true},
    {.name = "logLevel",
     .type = RT_OPTION_CHOICE,
     SAMPLE(level),
     .fallback = "info",
     .choices = levels,
     .help = "Level.",
     .reloadable = true},
};
static const struct rt_option_table table = {.name = "sample.conf",
                                             .options = options,
                                             .count = sizeof(options) / sizeof(options[0]),
                                             .ignored = ignored,
                                             .ignored_count = 2};

struct loaded {
    char path[64];
    struct sample config;
    struct rt_config_report report;
    const char *rest[16];
    size_t rest_count;
    rt_err err;
};

static void load(struct loaded *l, const struct rt_option_table *of,
                 struct rt_config_source source) {
    l->err = rt_config_load(of, &l->config, &source, &l->report, l->rest, &l->rest_count);
    rt_buf_append(&l->report.text, RT_BYTES("", 1));
}

static void write_file(struct loaded *l, const char *text, size_t size) {
    snprintf(l->path, sizeof(l->path), "/tmp/geminga_config_XXXXXX");
    int fd = mkstemp(l->path);
    cr_assert(fd >= 0 && write(fd, text, size) == (ssize_t)size);
    close(fd);
}

static struct loaded load_bytes(const char *text, size_t size) {
    struct loaded l = {.err = RT_OK};
    write_file(&l, text, size);
    load(&l, &table, (struct rt_config_source){.file = l.path});
    unlink(l.path);
    return l;
}

static struct loaded load_file(const char *text) {
    return load_bytes(text, strlen(text));
}

static struct loaded load_flags(int argc, const char *const *argv) {
    struct loaded l = {.err = RT_OK};
    load(&l, &table, (struct rt_config_source){.argc = argc, .argv = argv});
    return l;
}
#define FLAGS(...)                                                            \
    load_flags((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
               (const char *const[]){__VA_ARGS__})

static bool says(const struct loaded *l, const char *words) {
    return strstr((const char *)l->report.text.data, words) != NULL;
}

static void loaded_fini(struct loaded *l) {
    rt_config_fini(&table, &l->config);
    rt_config_report_fini(&l->report);
}

Test(runtime_config, defaults_hold_where_nothing_is_said) {
    struct loaded l = load_file("# nothing\n\n  ! here\n");
    cr_assert_eq(l.err, RT_OK);
    cr_assert(!l.config.enabled && l.config.port == 8080 && l.config.level == 1);
    cr_assert(l.config.cache_bytes == 64 << 20 && l.config.timeout_ms == 30000);
    cr_assert_str_eq(l.config.data_dir, "data");
    cr_assert_eq(l.report.errors + l.report.warnings, 0);
    loaded_fini(&l);
}

Test(runtime_config, java_properties_syntax_is_understood) {
    struct loaded l = load_file(
        "  webServicePort : 99\n"
        "topicsEnabled=yes\r\n"
        "cacheSize 1.5K\r"
        "logLevel\\\n   = \\\n   warn   \n"
        "dataDir=a\\tb\\u00e9\\ud83d\\ude00\\=\\\\x\\ ");
    cr_assert_eq(l.err, RT_OK, "%s", (char *)l.report.text.data);
    cr_assert(l.config.port == 99 && l.config.enabled && l.config.cache_bytes == 1536);
    cr_assert_eq(l.config.level, 2);
    cr_assert_str_eq(l.config.data_dir, "a\tb\xc3\xa9\xf0\x9f\x98\x80=\\x ");
    loaded_fini(&l);
}

Test(runtime_config, byte_order_mark_and_crlf_are_no_part_of_keys_or_values) {
    struct loaded l = load_file("\xef\xbb\xbfwebServicePort=7\r\ndataDir=x\r\n");
    cr_assert_eq(l.err, RT_OK);
    cr_assert_eq(l.config.port, 7);
    cr_assert_str_eq(l.config.data_dir, "x");
    loaded_fini(&l);
}

Test(runtime_config, a_comment_is_not_continued_and_a_value_with_two_backslashes_neither) {
    struct loaded l = load_file("# c \\\nwebServicePort=7\ndataDir=x\\\\\nlogLevel=debug\n");
    cr_assert_eq(l.err, RT_OK);
    cr_assert(l.config.port == 7 && l.config.level == 0);
    cr_assert_str_eq(l.config.data_dir, "x\\");
    loaded_fini(&l);
}

Test(runtime_config, everything_wrong_is_said_with_its_line_and_nothing_is_applied) {
    struct loaded l = load_file(
        "topicsEnabled=maybe\nwebServicePort=70000\ncacheSize=1x\n"
        "timeoutMs=2h\nlogLevel=loud\ndataDir=/\n");
    cr_assert_eq(l.err, RT_EINVAL);
    cr_assert_eq(l.report.errors, 6);
    cr_assert(says(&l, ":1: error: topicsEnabled=maybe is neither true nor false"));
    cr_assert(says(&l, ":2: error: webServicePort=70000 is out of range: 0 to 65535"));
    cr_assert(says(&l, ":3: error: cacheSize=1x is not a size"));
    cr_assert(says(&l, ":4: error: timeoutMs=2h is out of range: 1 to 3600000 milliseconds"));
    cr_assert(says(&l, ":5: error: logLevel=loud is not one of: debug, info, warn"));
    cr_assert(says(&l, ":6: error: dataDir=/ is refused: the root directory is no place"));
    cr_assert_eq(l.config.port, 8080);
    loaded_fini(&l);
}

Test(runtime_config, a_good_value_beside_a_bad_one_is_not_applied) {
    struct loaded l = load_file("webServicePort=1\nlogLevel=loud\n");
    cr_assert_eq(l.err, RT_EINVAL);
    cr_assert_eq(l.config.port, 8080);
    loaded_fini(&l);
}

Test(runtime_config, duplicate_key_names_both_lines) {
    struct loaded l = load_file("webServicePort=1\n\nhttpPort=2\n");
    cr_assert_eq(l.err, RT_EINVAL);
    cr_assert(says(&l, ":3: error: httpPort is set already in line 1"));
    loaded_fini(&l);
}

Test(runtime_config, unknown_key_is_a_warning_with_the_nearest_name) {
    struct loaded l = load_file("webServicPort=1\nzooKeeperServers=a\nqqqqqqqq=1\n");
    cr_assert_eq(l.err, RT_OK);
    cr_assert_eq(l.report.warnings, 2);
    cr_assert(says(&l, ":1: warning: unknown key webServicPort; did you mean webServicePort?"));
    cr_assert(says(&l, ":3: warning: unknown key qqqqqqqq\n"));
    cr_assert(!says(&l, "zooKeeperServers"));
    loaded_fini(&l);
}

Test(runtime_config, old_name_works_with_a_warning_and_the_second_name_without) {
    struct loaded old = load_file("webPort=5\n");
    struct loaded second = load_file("httpPort=6\n");
    cr_assert(old.config.port == 5 && second.config.port == 6);
    cr_assert(says(&old, ":1: warning: webPort is now called webServicePort"));
    cr_assert_eq(second.report.warnings, 0);
    loaded_fini(&old);
    loaded_fini(&second);
}

Test(runtime_config, empty_value_means_the_default_but_for_a_text) {
    struct loaded l = load_file("webServicePort=\ncacheSize=\ndataDir=\n");
    cr_assert_eq(l.err, RT_OK);
    cr_assert(l.config.port == 8080 && l.config.cache_bytes == 64 << 20);
    cr_assert_str_empty(l.config.data_dir);
    loaded_fini(&l);
}

Test(runtime_config, nul_bytes_and_broken_utf8_are_refused_with_their_line) {
    struct loaded nul = load_bytes("a=1\nb=\0\n", 8);
    struct loaded broken = load_file("a=1\r\nb=2\rc=\xff\n");
    cr_assert(nul.err && broken.err);
    cr_assert(says(&nul, ":2: error: the line has a NUL byte"));
    cr_assert(says(&broken, ":3: error: the line is not valid UTF-8"));
    loaded_fini(&nul);
    loaded_fini(&broken);
}

Test(runtime_config, bad_escapes_and_keyless_lines_are_errors) {
    struct loaded l = load_file("dataDir=\\u12g4\n=x\nlogLevel=\\ud800\nwebServicePort=\\u0000\n");
    cr_assert_eq(l.report.errors, 4);
    cr_assert(says(&l, ":1: error: \\u needs four hexadecimal digits"));
    cr_assert(says(&l, ":2: error: the line has no key"));
    cr_assert(says(&l, ":3: error: half of a surrogate pair"));
    cr_assert(says(&l, ":4: error: \\u0000 is not allowed"));
    loaded_fini(&l);
}

Test(runtime_config, missing_file_and_directory_and_huge_file_are_refused) {
    struct loaded l = {.err = RT_OK};
    load(&l, &table, (struct rt_config_source){.file = "/nowhere/x.conf"});
    cr_assert(l.err && says(&l, "/nowhere/x.conf: error: cannot be opened: No such file"));
    loaded_fini(&l);
    load(&l, &table, (struct rt_config_source){.file = "/tmp"});
    cr_assert(l.err && says(&l, "/tmp: error: cannot be read: Is a directory"));
    loaded_fini(&l);
    size_t size = (4 << 20) + 1;
    char *spaces = rt_alloc(size);
    memset(spaces, '\n', size);
    l = load_bytes(spaces, size);
    cr_assert(l.err && says(&l, "larger than the limit of 4 MiB"));
    loaded_fini(&l);
    rt_free(spaces);
}

Test(runtime_config, messages_end_after_a_hundred_but_are_counted) {
    struct rt_buf text = {0};
    for (int i = 0; i < 5000; i++) rt_buf_print(&text, "unknown%d=1\n", i);
    struct loaded l = load_bytes((const char *)text.data, text.size);
    cr_assert_eq(l.report.warnings, 5000);
    cr_assert(l.report.text.size < 32000);
    cr_assert(says(&l, "what else is wrong is not listed"));
    loaded_fini(&l);
    rt_buf_fini(&text);
}

Test(runtime_config, flags_beat_environment_beats_file) {
    struct loaded l = {.err = RT_OK};
    const char *argv[] = {"--log-level=debug"};
    const char *environment[] = {"GEMINGA_logLevel=warn", "GEMINGA_HTTP_PORT=2", "PATH=/bin", NULL};
    const char *text = "webServicePort=1\ntopicsEnabled=on\nlogLevel=info\n";
    write_file(&l, text, strlen(text));
    load(&l, &table,
         (struct rt_config_source){
             .file = l.path, .environment = environment, .argc = 1, .argv = argv});
    unlink(l.path);
    cr_assert_eq(l.err, RT_OK, "%s", (char *)l.report.text.data);
    cr_assert(l.config.level == 0 && l.config.port == 2 && l.config.enabled);
    loaded_fini(&l);
}

Test(runtime_config, bare_variables_count_only_where_the_table_says_so) {
    struct rt_option_table bare = table;
    bare.env_bare = true;
    const char *environment[] = {"webServicePort=3", "GEMINGA_logLevl=warn", "GEMINGA_zz=1", NULL};
    struct loaded with = {.err = RT_OK};
    struct loaded without = {.err = RT_OK};
    load(&with, &bare, (struct rt_config_source){.environment = environment});
    load(&without, &table, (struct rt_config_source){.environment = environment});
    cr_assert(with.config.port == 3 && without.config.port == 8080);
    cr_assert(says(&with, "environment: warning: unknown variable GEMINGA_logLevl; did you mean"));
    cr_assert_eq(with.report.warnings, 1);
    loaded_fini(&with);
    loaded_fini(&without);
}

Test(runtime_config, flags_are_understood_in_every_spelling) {
    struct loaded l = FLAGS("--webServicePort", "5", "--cache-size=2K", "--topics-enabled", "rest",
                            "--timeout-ms", "5s", "--", "--log-level=debug", "-");
    cr_assert_eq(l.err, RT_OK, "%s", (char *)l.report.text.data);
    cr_assert(l.config.port == 5 && l.config.cache_bytes == 2048 && l.config.enabled);
    cr_assert(l.config.timeout_ms == 5000 && l.config.level == 1);
    cr_assert_eq(l.rest_count, 3);
    cr_assert_str_eq(l.rest[0], "rest");
    cr_assert_str_eq(l.rest[1], "--log-level=debug");
    loaded_fini(&l);
}

Test(runtime_config, a_bool_flag_takes_the_next_word_only_if_it_is_one) {
    struct loaded off = FLAGS("--topics-enabled", "--topics-enabled", "false");
    struct loaded on = FLAGS("--topics-enabled", "on");
    cr_assert(!off.config.enabled && on.config.enabled);
    cr_assert(off.rest_count == 0 && on.rest_count == 1);
    loaded_fini(&off);
    loaded_fini(&on);
}

Test(runtime_config, wrong_flags_are_errors) {
    struct loaded l = FLAGS("--http-prot=1", "-p", "--data-dir", "--log-level", "info", "--memory");
    cr_assert_eq(l.report.errors, 4);
    cr_assert(says(&l, "--http-prot: error: unknown flag; did you mean --http-port?"));
    cr_assert(says(&l, "--data-dir: error: needs a value"));
    cr_assert(says(&l, "arguments: error: unknown flag -p"));
    loaded_fini(&l);
}

Test(runtime_config, arguments_are_errors_where_nobody_takes_them) {
    struct loaded l = {.err = RT_OK};
    const char *argv[] = {"stray"};
    struct rt_config_source source = {.argc = 1, .argv = argv};
    l.err = rt_config_load(&table, &l.config, &source, &l.report, NULL, NULL);
    rt_buf_append(&l.report.text, RT_BYTES("", 1));
    cr_assert(l.err && says(&l, "arguments: error: stray is not a flag"));
    loaded_fini(&l);
}

Test(runtime_config, printed_values_load_again_as_the_same) {
    struct loaded l = FLAGS("--data-dir= =a\\b\n\tc d ", "--cache-size=1537", "--timeout-ms=77");
    struct rt_buf printed = {0};
    rt_config_print_values(&table, &l.config, &printed);
    struct loaded again = load_bytes((const char *)printed.data, printed.size);
    cr_assert_eq(again.err, RT_OK, "%s", (char *)again.report.text.data);
    cr_assert_str_eq(again.config.data_dir, l.config.data_dir);
    cr_assert(again.config.cache_bytes == 1537 && again.config.timeout_ms == 77);
    rt_buf_fini(&printed);
    loaded_fini(&l);
    loaded_fini(&again);
}

Test(runtime_config, reload_copies_what_is_reloadable_and_names_the_rest) {
    struct loaded running = FLAGS("--http-port=1");
    struct loaded fresh = FLAGS("--http-port=2", "--data-dir=new", "--log-level=warn");
    struct rt_config_report report = {.errors = 0};
    rt_config_reload(&table, &running.config, &fresh.config, &report);
    rt_buf_append(&report.text, RT_BYTES("", 1));
    cr_assert(running.config.port == 1 && running.config.level == 2);
    cr_assert_str_eq(running.config.data_dir, "new");
    cr_assert(strstr((char *)report.text.data, "warning: webServicePort=2 needs a restart"));
    cr_assert(strstr((char *)report.text.data, "note: logLevel=warn took effect"));
    cr_assert_eq(report.warnings, 1);
    rt_config_report_fini(&report);
    loaded_fini(&running);
    loaded_fini(&fresh);
}

Test(runtime_config, help_names_flag_default_and_bounds_of_every_option) {
    struct rt_buf help = {0};
    rt_config_print_help(&table, &help);
    rt_buf_append(&help, RT_BYTES("", 1));
    const char *text = (const char *)help.data;
    cr_assert(strstr(text, "--http-port, --web-service-port N"));
    cr_assert(strstr(text, "default 8080; 0 to 65535; key webServicePort"));
    cr_assert(strstr(text, "debug, info, warn"));
    rt_buf_fini(&help);
}

Test(runtime_config, integers_are_exact_to_their_bounds) {
    struct rt_option any[] = {
        {.name = "n", .type = RT_OPTION_INT, SAMPLE(port), .fallback = "0", .help = "Any number."}};
    struct rt_option_table one = {.name = "one", .options = any, .count = 1};
    static const struct {
        const char *flag;
        bool good;
        int64_t value;
    } cases[] = {
        {"--n=9223372036854775807", true, INT64_MAX},
        {"--n=-9223372036854775808", true, INT64_MIN},
        {"--n=9223372036854775808", false, 0},
        {"--n=-9223372036854775809", false, 0},
        {"--n=99999999999999999999999", false, 0},
        {"--n=-", false, 0},
        {"--n=1e3", false, 0},
        {"--n=0x10", false, 0},
        {"--n= 7 ", true, 7},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = {.err = RT_OK};
        load(&l, &one, (struct rt_config_source){.argc = 1, .argv = &cases[i].flag});
        cr_assert_eq(!l.err, cases[i].good, "%s", cases[i].flag);
        if (cases[i].good) cr_assert_eq(l.config.port, cases[i].value, "%s", cases[i].flag);
        rt_config_report_fini(&l.report);
    }
}

Test(runtime_config, sizes_are_powers_of_1024_and_never_overflow) {
    static const struct {
        const char *text;
        rt_err err;
        uint64_t bytes;
    } cases[] = {
        {"0", RT_OK, 0},
        {"64", RT_OK, 64},
        {"64k", RT_OK, 65536},
        {"64KiB", RT_OK, 65536},
        {"64 KB", RT_OK, 65536},
        {"64B", RT_OK, 64},
        {"1.5G", RT_OK, UINT64_C(3) << 29},
        {"0.5M", RT_OK, 1 << 19},
        {"15E", RT_OK, UINT64_C(15) << 60},
        {"16E", RT_ETOOBIG, 0},
        {"18446744073709551615", RT_OK, UINT64_MAX},
        {"18446744073709551616", RT_ETOOBIG, 0},
        {"1.5", RT_EINVAL, 0},
        {"", RT_EINVAL, 0},
        {"-1", RT_EINVAL, 0},
        {"1.K", RT_EINVAL, 0},
        {"1Z", RT_EINVAL, 0},
        {"1KK", RT_EINVAL, 0},
        {"K", RT_EINVAL, 0},
        {"0.1234567890123456789G", RT_EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 0;
        rt_err err = rt_parse_size(rt_bytes_of(cases[i].text), &bytes);
        cr_assert_eq(err, cases[i].err, "%s", cases[i].text);
        if (!err) cr_assert_eq(bytes, cases[i].bytes, "%s", cases[i].text);
    }
}

Test(runtime_config, durations_are_whole_in_their_unit) {
    static const struct {
        const char *text;
        uint64_t unit_ns;
        rt_err err;
        uint64_t units;
    } cases[] = {
        {"30000", 1000000, RT_OK, 30000},
        {"5s", 1000000, RT_OK, 5000},
        {"1.5s", 1000000, RT_OK, 1500},
        {"2m", 1000000000, RT_OK, 120},
        {"7d", 60000000000, RT_OK, 10080},
        {"1h", 1000000000, RT_OK, 3600},
        {"1500ms", 1000000000, RT_EINVAL, 0},
        {"3000ms", 1000000000, RT_OK, 3},
        {"0.5", 1000000, RT_EINVAL, 0},
        {"18446744073709551615", 1000000000, RT_OK, UINT64_MAX},
        {"18446744073709551615d", 1000000000, RT_ETOOBIG, 0},
        {"5 fortnights", 1, RT_EINVAL, 0},
        {"-5s", 1000000, RT_EINVAL, 0},
        {"9us", 1000000, RT_EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t units = 0;
        rt_err err = rt_parse_duration(rt_bytes_of(cases[i].text), cases[i].unit_ns, &units);
        cr_assert_eq(err, cases[i].err, "%s: %s", cases[i].text, rt_err_name(err));
        if (!err) cr_assert_eq(units, cases[i].units, "%s", cases[i].text);
    }
}

struct taken {
    struct rt_config_extra extra;
    unsigned count;
};

static bool server_take(struct rt_config_extra *extra, const char *key, const char *value,
                        struct rt_why *why) {
    if (strncmp(key, "server.", 7) != 0) return false;
    if (!strchr(value, ':')) RT_IGNORE(rt_why_set(why, RT_EINVAL, "there is no port"));
    rt_container_of(extra, struct taken, extra)->count++;
    return true;
}

Test(runtime_config, keys_of_a_pattern_go_to_who_knows_them) {
    struct loaded l = {.err = RT_OK};
    struct taken taken = {{server_take}, 0};
    const char *text = "server.1=a:1\nserver.2=b\nsurver.3=c:1\n";
    write_file(&l, text, strlen(text));
    load(&l, &table, (struct rt_config_source){.file = l.path, .extra = &taken.extra});
    unlink(l.path);
    cr_assert_eq(taken.count, 2);
    cr_assert_eq(l.err, RT_EINVAL);
    cr_assert_eq(l.report.errors, 1);
    cr_assert(strstr((char *)l.report.text.data, ":2: error: server.2: there is no port"));
    cr_assert(strstr((char *)l.report.text.data, ":3: warning: unknown key surver.3"));
    loaded_fini(&l);
}
