// What is tried with the C client. Each case gets the servers and a path of its own that exists.
#ifndef GEMINGA_TESTS_INTEROP_C_CLIENT_CASES_H
#define GEMINGA_TESTS_INTEROP_C_CLIENT_CASES_H

#include "tests/interop/c_client/session.h"

struct test {
    const char *hosts, *root;
    struct session session;
};
// "root/name"; the text is good until eight more have been asked for.
const char *at(const char *root, const char *name);

void case_nodes(struct test *test);
void case_refusals(struct test *test);
void case_kinds_of_nodes(struct test *test);
void case_watches(struct test *test);
void case_removed_watches(struct test *test);
void case_transactions(struct test *test);
void case_pipeline(struct test *test);
void case_acls(struct test *test);
void case_expiry(struct test *test);
void case_config(struct test *test);

// These ask for servers to die.
void case_failover(struct test *test);
void case_pipeline_over_failover(struct test *test);
void case_missed_changes(struct test *test);

#endif
