#include <criterion/criterion.h>
#include <string.h>

#include "runtime/config.h"

static const char *const names[] = {"standalone", "version", "doctor",        "help",
                                    "bookie",     "broker",  "maxMessageSize"};

static const char *nearest(const char *name) {
    return rt_nearest_name(name, names, sizeof(names) / sizeof(names[0]));
}

Test(runtime_nearest, slips_find_the_word_that_was_meant) {
    cr_assert_str_eq(nearest("standalon"), "standalone");
    cr_assert_str_eq(nearest("sdtandalone"), "standalone");
    cr_assert_str_eq(nearest("vresion"), "version");
    cr_assert_str_eq(nearest("doktor"), "doctor");
    cr_assert_str_eq(nearest("hlep"), "help");
    cr_assert_str_eq(nearest("maxmessagesize"), "maxMessageSize");
}

Test(runtime_nearest, another_word_is_not_suggested) {
    cr_assert_null(nearest("produce"));
    cr_assert_null(nearest("x"));
    cr_assert_null(nearest(""));
    cr_assert_null(nearest("zzzzzzzzzzzzz"));
}

Test(runtime_nearest, the_nearer_of_two_wins) {
    cr_assert_str_eq(nearest("bookier"), "bookie");
    cr_assert_str_eq(nearest("brokr"), "broker");
}

Test(runtime_nearest, a_monstrous_name_is_answered_at_once) {
    static char name[1 << 20];
    memset(name, 'a', sizeof(name) - 1);
    cr_assert_null(nearest(name));
}
