#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "runtime/err.h"

Test(runtime_err, every_code_has_a_name_and_a_text_of_its_own) {
    for (int i = 0; i < RT_ERR_COUNT; i++) {
        cr_assert_eq(strncmp(rt_err_name((rt_err)i), i ? "RT_E" : "RT_OK", 4), 0);
        cr_assert_str_neq(rt_err_text((rt_err)i), "unknown error");
        for (int j = 0; j < i; j++) {
            cr_assert_str_neq(rt_err_name((rt_err)i), rt_err_name((rt_err)j));
            cr_assert_str_neq(rt_err_text((rt_err)i), rt_err_text((rt_err)j));
        }
    }
    cr_assert_str_eq(rt_err_name(RT_EBUSY), "RT_EBUSY");
}

Test(runtime_err, values_outside_the_list_are_accepted) {
    int strange[] = {RT_ERR_COUNT, -1, 123456789};
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_str_eq(rt_err_name((rt_err)strange[i]), "RT_?");
        cr_assert_str_eq(rt_err_text((rt_err)strange[i]), "unknown error");
    }
}

Test(runtime_err, errno_becomes_the_error_that_a_caller_can_act_on) {
    cr_assert_eq(rt_err_from_errno(0), RT_OK);
    cr_assert_eq(rt_err_from_errno(ENOSPC), RT_ENOSPACE);
    cr_assert_eq(rt_err_from_errno(EMFILE), RT_ENOFILES);
    cr_assert_eq(rt_err_from_errno(ECONNREFUSED), RT_EREFUSED);
    cr_assert_eq(rt_err_from_errno(EADDRINUSE), RT_EADDRINUSE);
    cr_assert_eq(rt_err_from_errno(EROFS), RT_EREADONLY);
    cr_assert_eq(rt_err_from_errno(EXDEV), RT_EIO, "all others are a failure of the device");
}

Test(runtime_err, a_failure_reads_like_a_path) {
    struct rt_why why = {""};
    rt_err err = rt_why_set(&why, RT_EINVAL, "port is %d, at most %d", 70000, 65535);
    err = rt_why_prefix(&why, err, "broker.conf:%u", 12);
    err = rt_why_prefix(&why, err, "start");
    cr_assert_eq(err, RT_EINVAL);
    cr_assert_str_eq(why.text, "start: broker.conf:12: port is 70000, at most 65535");
}

Test(runtime_err, a_prefix_to_nothing_says_the_text_of_the_error) {
    struct rt_why why = {""};
    RT_IGNORE(rt_why_prefix(&why, RT_ENOTFOUND, "journal"));  // the text is what is looked at
    cr_assert_str_eq(why.text, "journal: not found");
}

Test(runtime_err, texts_that_are_too_long_are_cut_at_the_end) {
    char path[RT_WHY_SIZE * 2];
    memset(path, 'p', sizeof(path));
    path[sizeof(path) - 1] = 0;
    struct rt_why why = {""};
    RT_IGNORE(rt_why_set(&why, RT_EIO, "%s", path));  // the text is what is looked at
    cr_assert_eq(strlen(why.text), RT_WHY_SIZE - 1);
    for (unsigned i = 0; i < 3; i++) {
        RT_IGNORE(rt_why_prefix(&why, RT_EIO, "disk"));
    }
    cr_assert_eq(strlen(why.text), RT_WHY_SIZE - 1);
    cr_assert_eq(strncmp(why.text, "disk: disk: disk: ppp", 21), 0);
    RT_IGNORE(rt_why_prefix(&why, RT_EIO, "%s", path));
    cr_assert_eq(strlen(why.text), RT_WHY_SIZE - 1);
}

Test(runtime_err, the_old_text_may_be_an_argument_of_the_new) {
    struct rt_why why = {"inner"};
    RT_IGNORE(rt_why_set(&why, RT_EIO, "outer (%s)", why.text));
    cr_assert_str_eq(why.text, "outer (inner)");
}

Test(runtime_err, nobody_has_to_ask_why) {
    cr_assert_eq(rt_why_set(NULL, RT_EIO, "x"), RT_EIO);
    cr_assert_eq(rt_why_prefix(NULL, RT_EBUSY, "x"), RT_EBUSY);
}

Test(runtime_err, a_panic_aborts, .signal = SIGABRT) {
    rt_panic("expected %s", "in this test");
}
