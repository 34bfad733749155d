// What key-value stores promise on every machine. A runner for the real machine and one for the
// simulator run all cases.
#ifndef GEMINGA_TESTS_LIB_CONFORMANCE_KV_H
#define GEMINGA_TESTS_LIB_CONFORMANCE_KV_H

#include "runtime/kv.h"

struct kv_run;

struct kv_case {
    const char *name;
    void (*check)(struct kv_run *run);  // on loop 0, with calls that block
    void (*start)(struct kv_run *run);  // or this: on loop 0, and later kv_run_end
};

extern const struct kv_case kv_cases[];
extern const size_t kv_case_count;

// One run of a case. Set the first group and zero the rest, which is private but for the failure.
struct kv_run {
    struct rt_machine *machine;
    const struct kv_case *is;
    const char *dir;                    // must exist, and be empty of what a former run left
    void (*ended)(struct kv_run *run);  // on loop 0

    char failure[512];  // empty: it went well
    struct rt_task task;
    struct rt_kv *kv;  // of the case; closed at its end if it is open
};

// Posts the start to loop 0 of the machine.
void kv_run_start(struct kv_run *run);

// FOR CASES

enum { KV_PLAIN, KV_PREFIXED, KV_PACKED, KV_COLUMNS };  // the columns of a case's store

void kv_run_end(struct kv_run *run);
// Notes the first failure. Returns ok.
bool kv_run_expect(struct kv_run *run, bool ok, const char *format, ...) RT_PRINTF(3, 4);
#define KV_EXPECT(run, condition) \
    kv_run_expect((run), (condition), "%s:%d: %s", __FILE__, __LINE__, #condition)
#define KV_EXPECT_ERR(run, call, expected)                                                        \
    do {                                                                                          \
        rt_err kv_err_ = (call);                                                                  \
        kv_run_expect((run), kv_err_ == (expected), "%s:%d: %s: answered %s", __FILE__, __LINE__, \
                      #call, rt_err_name(kv_err_));                                               \
    } while (0)

char *kv_run_path(const struct kv_run *run, const char *name);  // dir/name, from rt_alloc
rt_err kv_run_open(struct kv_run *run, const char *name, unsigned column_count, bool create,
                   struct rt_why *why);  // sets run->kv
void kv_run_reopen(struct kv_run *run);  // closes, and opens "store" again
void kv_run_close(struct kv_run *run);
// Keys and values are texts; value NULL deletes, or is absent.
void kv_run_put(struct kv_run *run, unsigned column, const char *key, const char *value,
                enum rt_kv_durability durability);
void kv_run_expect_value(struct kv_run *run, unsigned column, const char *key, const char *value);
// All there is, both ways: "a=1 b=2 ".
void kv_run_expect_all(struct kv_run *run, const struct rt_kv_snapshot *snapshot, unsigned column,
                       const char *expected);

#endif
