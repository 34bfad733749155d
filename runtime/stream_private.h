// What the parts of a stream know of each other: stream.c (life), stream_input.c (receiving and
// framing), stream_output.c (queueing and flushing), stream_limits.c (time limits, defaults).
#ifndef GEMINGA_RUNTIME_STREAM_PRIVATE_H
#define GEMINGA_RUNTIME_STREAM_PRIVATE_H

#include "runtime/transport.h"

// OPENING --opened--> OPEN --close--> CLOSING --detached--> CLOSED (on_closed, memory given back)
// OPENING --close, or the transport could not--> CLOSING
enum conn_state { CONN_OPENING = 1, CONN_OPEN, CONN_CLOSING, CONN_CLOSED };

// Goes on with the input in the next turn.
void rt_conn_continue_later(struct rt_conn *conn);
// A connection that finishes has nothing left to send: closes it, after the transport's linger.
void rt_conn_finished(struct rt_conn *conn);

// INPUT
void rt_input_init(struct rt_conn *conn);
// Delivers what is there, then receives more; stops where it is paused, parked, full of work for
// this turn, or closed. Does nothing when a receive is already in flight.
void rt_input_continue(struct rt_conn *conn);
void rt_input_fini(struct rt_conn *conn);
// The peer was kept waiting by us (a pause, an empty budget): its time starts anew.
void rt_input_restart_clocks(struct rt_conn *conn);
uint64_t rt_input_idle_deadline(const struct rt_conn *conn);  // UINT64_MAX: holds no spare memory
void rt_input_shrink(struct rt_conn *conn);
// The next receive waits for the answers of this turn to leave, at most until the deadline.
uint64_t rt_input_delay_deadline(const struct rt_conn *conn);  // UINT64_MAX: it does not wait
void rt_input_undelay(struct rt_conn *conn);                   // goes on if it waits

// OUTPUT
void rt_output_init(struct rt_conn *conn);
void rt_output_start(struct rt_conn *conn);  // opened: what was queued may leave
bool rt_output_is_idle(const struct rt_conn *conn);
void rt_output_fini(struct rt_conn *conn);

// BUDGET
void rt_input_budget_init(struct rt_conn *conn);
// Memory to receive into: `size` bytes, at least `least`. NULL: parked until there is room, then
// rt_input_continue is called.
struct rt_slab *rt_input_slab(struct rt_conn *conn, size_t size, size_t least);
// A frame is complete: its right to go over the budget ends once its memory is given back.
void rt_input_overdraft_settle(struct rt_conn *conn);
// Withdraws what waits; false when a task is still on its way (then rt_conn_task_ran is called).
bool rt_input_budget_fini(struct rt_conn *conn);
void rt_conn_task_ran(struct rt_conn *conn);

// LIMITS
void rt_stream_defaults(struct rt_stream_options *options, struct rt_loop *loop);
void rt_limits_init(struct rt_conn *conn);
void rt_limits_watch(struct rt_conn *conn, uint64_t since_ns, uint64_t timeout_ms);
void rt_limits_fini(struct rt_conn *conn);
uint64_t rt_deadline(uint64_t since_ns, uint64_t timeout_ms);  // UINT64_MAX: never

// FRAMES
void rt_frame_scratch_drop(struct rt_slab **scratch);

#endif
