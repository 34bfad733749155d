// The cases of the table in conformance_kv.c.
#ifndef GEMINGA_TESTS_LIB_CONFORMANCE_KV_CASES_H
#define GEMINGA_TESTS_LIB_CONFORMANCE_KV_CASES_H

#include "tests/lib/conformance_kv.h"

// conformance_kv_data.c, conformance_kv_iter.c and conformance_kv_store.c
#define KV_CHECKS(X)                            \
    X(a_batch_applies_to_all_columns)           \
    X(the_last_change_of_a_key_in_a_batch_wins) \
    X(a_cleared_batch_is_empty)                 \
    X(an_empty_batch_is_written)                \
    X(values_and_keys_of_any_size_come_back)    \
    X(a_value_replaces_what_the_buffer_held)    \
    X(a_range_is_deleted_without_its_end)       \
    X(an_empty_range_deletes_nothing)           \
    X(try_get_is_never_wrong)                   \
    X(random_changes_match_a_model)             \
    X(keys_order_bytewise)                      \
    X(an_empty_column_has_no_ends)              \
    X(seeks_find_their_neighbours)              \
    X(iterators_walk_both_ways)                 \
    X(iterators_cross_prefixes)                 \
    X(iterators_see_the_past)                   \
    X(snapshots_see_the_past)                   \
    X(closing_keeps_all_that_was_written)       \
    X(flushed_batches_without_log_come_back)    \
    X(columns_may_be_added)                     \
    X(unknown_columns_are_kept)                 \
    X(opening_says_what_is_wrong_with_a_store)  \
    X(an_open_store_cannot_be_opened_again)     \
    X(a_checkpoint_is_a_store_of_that_time)     \
    X(a_checkpoint_needs_a_new_directory)       \
    X(stats_follow_the_content)

// conformance_kv_async.c
#define KV_STARTS(X)                            \
    X(writes_are_applied_and_answered_in_order) \
    X(reads_and_checkpoints_are_answered)       \
    X(the_first_answer_may_start_more)

#define KV_CASE_CHECK(case_name) {.name = #case_name, .check = case_name},
#define KV_CASE_START(case_name) {.name = #case_name, .start = case_name},
#define KV_CASE_DECLARE(case_name) void case_name(struct kv_run *run);
KV_CHECKS(KV_CASE_DECLARE)
KV_STARTS(KV_CASE_DECLARE)

#endif
