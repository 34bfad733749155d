// What files and directories promise on every machine: scripts of operations with the answers they
// must get, and checks that use the blocking calls. A runner for the real machine and one for the
// simulator run all of them.
#ifndef GEMINGA_TESTS_LIB_CONFORMANCE_FILE_H
#define GEMINGA_TESTS_LIB_CONFORMANCE_FILE_H

#include "runtime/file.h"

enum file_step_kind {
    FILE_STEP_END,
    FILE_APPEND,  // text `times` times; must land at offset
    FILE_WRITE,   // text `times` times, at offset
    FILE_READ,    // size bytes (0: as many as expected) at offset; must be text `times` times
    FILE_SYNC,
    FILE_TRUNCATE,  // to size
    FILE_ALLOCATE,  // size
    FILE_CLOSE,
    FILE_OPEN,       // again, after a close
    FILE_APPEND_AT,  // offset
    FILE_SIZE,       // must be size
    FILE_WAIT,       // until all that was started is done; steps without it start in one turn
    FILE_FAULT_ON,   // from now on no write reaches the disk
    FILE_FAULT_OFF
};

struct file_step {
    enum file_step_kind kind;
    const char *text;
    unsigned times;  // 0: once
    unsigned parts;  // text is handed over in so many parts; 0: one
    uint64_t offset, size;
    bool sync;
    rt_err err;  // the answer
    bool fails;  // any error is the right answer
};

enum { FILE_STEPS_MAX = 24 };

// Either steps on one file, which is new and open, or a function with calls that block.
struct file_run;
struct file_case {
    const char *name;
    unsigned flags;  // besides READ and WRITE
    bool needs_fault;
    void (*check)(struct file_run *run);
    struct file_step steps[FILE_STEPS_MAX];
};

extern const struct file_case file_cases[];
extern const size_t file_case_count;

// One run of a case. Set the first group and zero the rest, which is private but for the failure.
struct file_run {
    struct rt_machine *machine;
    const struct file_case *is;
    const char *dir;  // must exist, and be empty of what a former run left
    unsigned flags;   // more of them: RT_FILE_OWN_THREAD
    void (*fault)(struct file_run *run,
                  bool on);               // makes all writes fail; NULL where no case needs it
    void (*ended)(struct file_run *run);  // on loop 0

    char failure[512];  // empty: it went well
    struct rt_task task;
    char *path;
    struct rt_file *file;
    unsigned step, in_flight;
    uint64_t started, answered;  // operations that change the file, which are answered in order
    bool starting;
};

// Posts the start to loop 0 of the machine.
void file_run_start(struct file_run *run);

// For checks: notes the first failure. Returns ok.
bool file_run_expect(struct file_run *run, bool ok, const char *format, ...) RT_PRINTF(3, 4);
bool file_run_expect_err(struct file_run *run, rt_err err, rt_err expected, const char *what);
char *file_run_path(const struct file_run *run, const char *name);  // dir/name, from rt_alloc

#endif
