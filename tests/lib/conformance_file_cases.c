#include "tests/lib/conformance_file.h"
#include "tests/lib/conformance_file_checks.h"

// Short forms for the table: what is started, and what it must answer.
#define APPEND(at, bytes) \
    { .kind = FILE_APPEND, .text = (bytes), .offset = (at) }
#define APPEND_SYNC(at, bytes) \
    { .kind = FILE_APPEND, .text = (bytes), .offset = (at), .sync = true }
#define WRITE(at, bytes) \
    { .kind = FILE_WRITE, .text = (bytes), .offset = (at) }
#define READ(at, bytes) \
    { .kind = FILE_READ, .text = (bytes), .offset = (at) }
#define READ_UP_TO(at, count, bytes) \
    { .kind = FILE_READ, .text = (bytes), .offset = (at), .size = (count) }
#define SYNC \
    { .kind = FILE_SYNC }
#define TRUNCATE(to) \
    { .kind = FILE_TRUNCATE, .size = (to) }
#define ALLOCATE(to) \
    { .kind = FILE_ALLOCATE, .size = (to) }
#define SIZE(of) \
    { .kind = FILE_SIZE, .size = (of) }
#define WAIT \
    { .kind = FILE_WAIT }
#define CLOSE \
    { .kind = FILE_CLOSE }
#define REOPEN                                                        \
    {.kind = FILE_WAIT}, {.kind = FILE_CLOSE}, {.kind = FILE_WAIT}, { \
        .kind = FILE_OPEN                                             \
    }
#define FAILS(what) \
    { .kind = (what), .text = "lost", .fails = true }
#define REFUSED(what) \
    { .kind = (what), .text = "lost", .err = RT_EFAILED }

#define READ_LONG \
    { .kind = FILE_READ, .text = "x", .times = 4 << 20 }
#define FAR_AWAY (UINT64_C(1) << 63)

const struct file_case file_cases[] = {
    {.name = "appends_land_in_the_order_they_were_started",
     .steps = {APPEND(0, "one"), APPEND(3, "two"), APPEND(6, "three"), WAIT, READ(0, "onetwothree"),
               SIZE(11)}},
    {.name = "synced_and_unsynced_appends_keep_their_order",
     .steps = {APPEND(0, "a"), APPEND_SYNC(1, "b"), APPEND(2, "c"), APPEND_SYNC(3, "d"), SYNC,
               APPEND(4, "e"), WAIT, READ(0, "abcde"), SYNC, WAIT, APPEND_SYNC(5, "f"), WAIT,
               READ(0, "abcdef")}},
    {.name = "the_append_position_starts_at_the_size_of_the_file",
     .steps = {APPEND(0, "old"), REOPEN, APPEND(3, "new"), WAIT, READ(0, "oldnew")}},
    {.name = "truncate_moves_the_append_position",
     .steps = {APPEND(0, "abcdef"), TRUNCATE(2), APPEND(2, "x"), WAIT, READ(0, "abx"), SIZE(3),
               WAIT, TRUNCATE(0), APPEND(0, "y"), WAIT, READ_UP_TO(0, 10, "y")}},
    {.name = "truncate_to_more_grows_with_zeroes",
     .steps = {APPEND(0, "ab"), TRUNCATE(5), APPEND(5, "c"), WAIT, READ(0, "ab000c"), SIZE(6)}},
    {.name = "what_was_cut_off_does_not_come_back",
     .steps = {APPEND(0, "secret"), TRUNCATE(1), TRUNCATE(6), WAIT, READ(0, "s00000")}},
    {.name = "allocate_does_not_move_the_append_position",
     .steps = {APPEND(0, "ab"),
               ALLOCATE(10000),
               APPEND(2, "cd"),
               WAIT,
               SIZE(10000),
               READ(0, "abcd00"),
               {.kind = FILE_READ, .text = "0", .times = 9996, .offset = 4}}},
    {.name = "allocate_never_shrinks_or_clears",
     .steps = {APPEND(0, "abcdef"), ALLOCATE(3), WAIT, SIZE(6), READ(0, "abcdef"), ALLOCATE(6),
               ALLOCATE(0), WAIT, SIZE(6), READ(0, "abcdef")}},
    {.name = "allocate_twice_grows_twice",
     .steps = {ALLOCATE(5000),
               ALLOCATE(3 << 20),
               WAIT,
               SIZE(3 << 20),
               {.kind = FILE_READ, .text = "0", .times = 3 << 20}}},
    {.name = "writing_does_not_move_the_append_position",
     .steps = {APPEND(0, "abc"), WRITE(1, "X"), WRITE(10, "far"), WAIT, SIZE(13),
               READ(0, "aXc0000000far"), WAIT, APPEND(3, "d"), WAIT, READ(0, "aXcd")}},
    {.name = "the_append_position_can_be_set",
     .steps = {APPEND(0, "abcdef"),
               WAIT,
               {.kind = FILE_APPEND_AT, .offset = 2},
               APPEND(2, "XY"),
               WAIT,
               READ(0, "abXYef")}},
    {.name = "reading_ends_at_the_end_of_the_file",
     .steps = {APPEND(0, "abc"), WAIT, READ_UP_TO(0, 100, "abc"), READ_UP_TO(2, 100, "c"),
               READ_UP_TO(3, 100, ""), READ_UP_TO(1000, 1, ""), READ_UP_TO(FAR_AWAY, 8, ""),
               READ_UP_TO(UINT64_MAX, 8, ""), READ_UP_TO(0, 0, "")}},
    {.name = "nothing_is_written_in_its_turn",
     .steps = {APPEND(0, ""), APPEND(0, "a"), APPEND_SYNC(1, ""), WRITE(5, ""), APPEND(1, "b"),
               WAIT, READ_UP_TO(0, 10, "ab"), SIZE(2)}},
    {.name = "parts_are_gathered",
     .steps = {{.kind = FILE_APPEND, .text = "abcdefgh", .times = 100, .parts = RT_FILE_PARTS_MAX},
               {.kind = FILE_WRITE, .text = "xyz", .parts = 3, .offset = 800, .sync = true},
               {.kind = FILE_APPEND, .text = "q", .parts = 5, .offset = 800},
               WAIT,
               {.kind = FILE_READ, .text = "abcdefgh", .times = 100},
               READ(800, "qyz")}},
    {.name = "large_writes_are_whole",
     .steps =
         {
             {.kind = FILE_APPEND, .text = "0123456789abcdef", .times = 1 << 17, .parts = 7},
             {.kind = FILE_APPEND, .text = "!", .times = 3 << 20, .offset = 2 << 20, .sync = true},
             WAIT,
             SIZE(5 << 20),
             {.kind = FILE_READ, .text = "!", .times = 3 << 20, .offset = 2 << 20}}},
    {.name = "direct_files_take_whole_blocks",
     .flags = RT_FILE_DIRECT,
     .steps = {{.kind = FILE_APPEND, .text = "a", .times = 8192, .parts = 2},
               {.kind = FILE_APPEND, .text = "b", .times = 4096, .offset = 8192, .sync = true},
               WAIT,
               {.kind = FILE_READ, .text = "b", .times = 4096, .offset = 8192, .size = 16384},
               {.kind = FILE_READ, .text = "a", .times = 8192},
               WAIT,
               ALLOCATE(1 << 20),
               WAIT,
               SIZE(1 << 20),
               {.kind = FILE_APPEND, .text = "c", .times = 65536, .offset = 12288, .sync = true},
               WAIT,
               {.kind = FILE_READ, .text = "c", .times = 65536, .offset = 12288}}},
    {.name = "direct_files_of_any_size_are_read_to_the_end",
     .flags = RT_FILE_DIRECT,
     .steps = {{.kind = FILE_APPEND, .text = "a", .times = 8192},
               TRUNCATE(5000),
               WAIT,
               {.kind = FILE_READ, .text = "a", .times = 5000, .size = 16384},
               {.kind = FILE_READ, .text = "a", .times = 904, .offset = 4096, .size = 8192},
               WAIT,
               ALLOCATE(12288),
               WAIT,
               SIZE(12288),
               {.kind = FILE_READ, .text = "0", .times = 4096, .offset = 8192, .size = 4096}}},
    {.name = "a_close_waits_for_all_before_it",
     .steps = {APPEND(0, "abc"),
               WAIT,
               READ(0, "abc"),
               APPEND_SYNC(3, "d"),
               READ(1, "b"),
               SYNC,
               CLOSE,
               WAIT,
               {.kind = FILE_OPEN},
               READ(0, "abcd")}},
    {.name = "a_close_waits_for_long_reads",
     .steps = {{.kind = FILE_APPEND, .text = "x", .times = 4 << 20},
               WAIT,
               READ_LONG,
               READ_LONG,
               READ_LONG,
               READ_LONG,
               READ_LONG,
               READ_LONG,
               APPEND(4 << 20, "y"),
               CLOSE}},
    {.name = "a_failed_append_is_final",
     .needs_fault = true,
     .steps = {APPEND_SYNC(0, "good"),
               WAIT,
               {.kind = FILE_FAULT_ON},
               FAILS(FILE_APPEND),
               REFUSED(FILE_APPEND),
               REFUSED(FILE_SYNC),
               READ(0, "good"),
               WAIT,
               {.kind = FILE_FAULT_OFF},
               REFUSED(FILE_APPEND),
               REFUSED(FILE_WRITE),
               REFUSED(FILE_SYNC),
               REFUSED(FILE_TRUNCATE),
               REFUSED(FILE_ALLOCATE),
               READ(0, "good"),
               REOPEN,
               TRUNCATE(4),
               APPEND(4, "!"),
               WAIT,
               READ(0, "good!")}},
    {.name = "a_write_beyond_the_end_of_all_files_is_final",
     .steps = {APPEND(0, "a"),
               {.kind = FILE_WRITE, .text = "b", .offset = FAR_AWAY, .err = RT_ETOOBIG},
               REFUSED(FILE_APPEND),
               WAIT,
               READ_UP_TO(0, 10, "a")}},
    {.name = "an_allocation_that_cannot_be_is_not_final",
     .steps = {APPEND(0, "a"),
               {.kind = FILE_ALLOCATE, .size = FAR_AWAY, .err = RT_ETOOBIG},
               APPEND(1, "b"),
               WAIT,
               READ_UP_TO(0, 10, "ab")}},
    FILE_CHECKS(FILE_CHECK_CASE)};

const size_t file_case_count = sizeof(file_cases) / sizeof(file_cases[0]);
