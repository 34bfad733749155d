// The checks of the table in conformance_file_cases.c.
#ifndef GEMINGA_TESTS_LIB_CONFORMANCE_FILE_CHECKS_H
#define GEMINGA_TESTS_LIB_CONFORMANCE_FILE_CHECKS_H

#include "tests/lib/conformance_file.h"

#define FILE_CHECKS(X)                             \
    X(opening_says_what_is_wrong)                  \
    X(creating_is_exclusive_unless_told_otherwise) \
    X(blocking_calls_read_what_they_wrote)         \
    X(an_open_file_outlives_its_name)              \
    X(directories_are_created_with_their_parents)  \
    X(listings_are_sorted)                         \
    X(listing_says_what_is_wrong)                  \
    X(rename_replaces_the_target)                  \
    X(rename_of_nothing_changes_nothing)           \
    X(remove_takes_files_and_empty_directories)    \
    X(remove_tree_takes_all_below)                 \
    X(remove_tree_refuses_the_root)                \
    X(synced_directories_answer)                   \
    X(space_is_told)                               \
    X(more_than_the_space_cannot_be_allocated)     \
    X(a_locked_directory_cannot_be_locked_again)   \
    X(a_missing_directory_cannot_be_locked)

#define FILE_CHECK_CASE(check_name) {.name = #check_name, .check = check_name},
#define FILE_CHECK_DECLARE(check_name) void check_name(struct file_run *run);
FILE_CHECKS(FILE_CHECK_DECLARE)

#endif
