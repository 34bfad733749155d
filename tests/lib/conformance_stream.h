// What every transport of streams promises, as cases: a server end and a client end, each with its
// options, its callbacks and the reason it must close with. The same cases run over real sockets,
// in process and in the simulated network.
#ifndef GEMINGA_TESTS_LIB_CONFORMANCE_STREAM_H
#define GEMINGA_TESTS_LIB_CONFORMANCE_STREAM_H

#include "runtime/stream.h"
#include "tests/lib/harness.h"

struct stream_end;

#define STREAM_WHY_ANY RT_ERR_COUNT

struct stream_plan {
    struct rt_stream_options options;
    void (*opened)(struct stream_end *end);  // the server's once it has accepted
    void (*frame)(struct stream_end *end, const struct rt_frame *frame);  // NULL: none may come
    void (*full)(struct stream_end *end);
    void (*drained)(struct stream_end *end);
    void (*tick)(struct stream_end *end);  // stream_end_tick_after
    void (*closed)(struct stream_end *end);
    rt_err why;
    rt_err or_why;  // where transports or moments may differ; RT_OK: there is no other
};

struct stream_case {
    const char *name;
    bool refuse;  // the server takes no connection
    struct stream_plan server, client;
};

struct stream_end {
    struct harness *harness;
    const struct stream_case *stream_case;
    const struct stream_plan *plan;
    struct rt_loop *loop;
    struct rt_conn conn;
    struct rt_listener listener;  // the server's
    struct rt_timer timer;
    bool opened, closed;
    uint64_t frames, bytes;
    unsigned step, fulls, draineds;
    struct rt_slice kept;
};

struct stream_run {
    struct harness harness;
    const struct rt_tls *server_tls, *client_tls;
    struct stream_end server, client;
};

// Zero-initialise, set place, transport and seed of the harness, and TLS; then run the harness.
void stream_run_set(struct stream_run *run, const struct stream_case *stream_case);

void stream_end_tick_after(struct stream_end *end, uint64_t delay_ms);

// One line for each case; the name is the claim.
#define STREAM_CASES(X)                                    \
    X(frame_is_whole_however_its_bytes_are_split)          \
    X(frame_of_the_largest_size_passes)                    \
    X(frame_one_over_the_limit_closes_before_it_is_stored) \
    X(huge_length_closes_and_takes_no_memory)              \
    X(empty_frames_are_delivered)                          \
    X(thousands_of_frames_stay_in_order)                   \
    X(large_frames_come_back_unchanged)                    \
    X(raw_bytes_arrive_as_they_are)                        \
    X(measured_frames_keep_all_their_bytes)                \
    X(measure_that_cannot_tell_is_a_broken_protocol)       \
    X(measure_error_closes_with_it)                        \
    X(paused_reader_holds_up_the_writer)                   \
    X(output_over_its_limit_closes_busy)                   \
    X(resume_delivers_what_waited)                         \
    X(question_is_heard_while_an_answer_is_stuck)          \
    X(finish_lets_queued_output_leave)                     \
    X(peer_that_finishes_may_still_be_answered)            \
    X(end_inside_a_frame_is_a_reset)                       \
    X(close_from_on_frame_stops_delivery)                  \
    X(close_from_on_open_reaches_the_peer)                 \
    X(close_from_on_full_drops_the_rest)                   \
    X(close_with_both_ways_busy_ends_both)                 \
    X(send_after_close_is_dropped)                         \
    X(finish_before_open_closes_once_open)                 \
    X(silent_client_runs_out_of_time)                      \
    X(dribbling_client_runs_out_of_time)                   \
    X(peer_that_never_reads_runs_out_of_time)              \
    X(refused_connection_ends)                             \
    X(reserved_room_is_sent_in_order)                      \
    X(one_turn_delivers_a_bounded_number_of_frames)

// Lasts longer than a person waits.
#define STREAM_CASES_SLOW(X) X(idle_connection_gives_its_memory_back)

#define STREAM_CASE_DECLARE(name) extern const struct stream_case stream_case_##name;
STREAM_CASES(STREAM_CASE_DECLARE)
STREAM_CASES_SLOW(STREAM_CASE_DECLARE)
#undef STREAM_CASE_DECLARE

#endif
