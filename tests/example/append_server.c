#include "tests/example/append_server.h"

#include <assert.h>

#include "runtime/log.h"

enum { PATIENCE_MS = 2000 };

// A connection that somebody made to us: a client, or on a follower the primary.
struct session {
    struct rt_conn conn;
    struct append_server *server;
    struct rt_list link;
    unsigned users;  // the connection itself, reads in flight, appends waiting
};

struct pending {
    struct rt_list link;
    struct session *session;
    uint64_t request, id;
};

struct reading {
    struct rt_work work;
    struct session *session;
    uint64_t request, id;
    struct rt_buf body;
    rt_err err;
};

static void server_maybe_closed(struct append_server *server);

static void session_drop(struct session *session) {
    assert(session->users > 0);
    if (--session->users > 0) return;
    struct append_server *server = session->server;
    rt_list_remove(&session->link);
    rt_free(session);
    server_maybe_closed(server);
}

// ACKNOWLEDGING

static uint64_t acknowledged_id(const struct append_server *server) {
    uint64_t on_followers = 0;
    for (unsigned i = 0; i < APPEND_FOLLOWERS; i++) {
        uint64_t id = server->replicas[i].durable_id;
        if (id > on_followers) on_followers = id;
    }
    uint64_t here = server->log.durable_id;
    return here < on_followers ? here : on_followers;
}

static void pending_answer(struct pending *pending, rt_err err) {
    struct append_head head;
    append_head_start(&head, APPEND_APPENDED);
    rt_write_be64(&head.w, pending->request);
    rt_write_be64(&head.w, pending->id);
    rt_write_u8(&head.w, (uint8_t)err);
    append_frame_send(&pending->session->conn, &head, RT_BYTES(NULL, 0));
    rt_list_remove(&pending->link);
    session_drop(pending->session);
    rt_free(pending);
}

static void acknowledge(struct append_server *server) {
    uint64_t up_to = acknowledged_id(server);
    while (!rt_list_is_empty(&server->waiting)) {
        struct pending *pending = rt_container_of(server->waiting.next, struct pending, link);
        if (pending->id > up_to) return;
        pending_answer(pending, RT_OK);
    }
}

static void fail_waiting(struct append_server *server, rt_err err) {
    while (!rt_list_is_empty(&server->waiting))
        pending_answer(rt_container_of(server->waiting.next, struct pending, link), err);
}

// THE PRIMARY'S SIDE OF REPLICATION

static void replica_pump(struct append_replica *replica);

static void replica_copy_run(struct rt_work *work) {
    struct append_replica *replica = rt_container_of(work, struct append_replica, copy);
    replica->copy_err =
        append_log_copy_now(&replica->server->log, replica->next_id, replica->copied_to,
                            &replica->copied, &replica->copied_to);
}

static void replica_copied(struct rt_work *work) {
    struct append_replica *replica = rt_container_of(work, struct append_replica, copy);
    replica->copying = false;
    if (replica->copy_err) {
        rt_log_error("example", "copy failed follower=%s err=%s", replica->address,
                     rt_err_name(replica->copy_err));
        rt_conn_close(&replica->conn, replica->copy_err);
    } else if (replica->welcomed) {
        struct append_head head;
        append_head_start(&head, APPEND_ENTRIES);
        append_frame_send(&replica->conn, &head, rt_buf_bytes(&replica->copied));
        if (replica->durable_id + 1 == replica->next_id)
            replica->heard_ns = rt_loop_now(replica->conn.loop);
        replica->next_id = replica->copied_to + 1;
    }
    rt_buf_clear(&replica->copied);
    replica_pump(replica);
    server_maybe_closed(replica->server);
}

// Sends the next durable records, if the follower may have them and takes them.
static void replica_pump(struct append_replica *replica) {
    struct append_server *server = replica->server;
    if (server->closing || !replica->welcomed || replica->copying) return;
    if (replica->next_id > server->log.durable_id || rt_conn_is_full(&replica->conn)) return;
    replica->copying = true;
    replica->copied_to = server->log.durable_id;
    rt_work_submit(&replica->copy, server->loop, replica_copy_run, replica_copied, "example.copy");
}

// A follower that lost its power does not close its connections: it owes us an answer for ever.
static void replica_is_patient(struct rt_timer *timer) {
    struct append_replica *replica = rt_container_of(timer, struct append_replica, patience);
    bool owes = !replica->welcomed || replica->durable_id + 1 < replica->next_id;
    uint64_t silent_ns = rt_loop_now(timer->loop) - replica->heard_ns;
    if (owes && silent_ns > PATIENCE_MS * RT_NS_PER_MS) {
        rt_conn_close(&replica->conn, RT_ETIMEDOUT);
    } else {
        rt_timer_after(timer, PATIENCE_MS * RT_NS_PER_MS / 2);
    }
}

static void replica_on_open(struct rt_conn *conn) {
    struct append_replica *replica = rt_container_of(conn, struct append_replica, conn);
    replica->heard_ns = rt_loop_now(conn->loop);
    rt_timer_after(&replica->patience, PATIENCE_MS * RT_NS_PER_MS / 2);
    struct append_head head;
    append_head_start(&head, APPEND_HELLO);
    rt_write_be64(&head.w, replica->server->log.durable_id);
    append_frame_send(conn, &head, RT_BYTES(NULL, 0));
}

static void replica_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct append_replica *replica = rt_container_of(conn, struct append_replica, conn);
    replica->heard_ns = rt_loop_now(conn->loop);
    struct rt_reader r = rt_reader_over(rt_frame_bytes(frame, 0, frame->size));
    uint8_t kind = rt_read_u8(&r);
    uint64_t id = rt_read_be64(&r);
    if (!rt_reader_done(&r) || id > replica->server->log.last_id) {
        rt_conn_close(conn, RT_EPROTO);
    } else if (kind == APPEND_WELCOME) {
        replica->welcomed = true;
        replica->next_id = id + 1;
        replica->durable_id = id;
    } else if (kind == APPEND_DURABLE) {
        replica->durable_id = id;
    }
    acknowledge(replica->server);
    replica_pump(replica);
}

static void replica_on_drained(struct rt_conn *conn) {
    replica_pump(rt_container_of(conn, struct append_replica, conn));
}

static void replica_on_closed(struct rt_conn *conn, rt_err why) {
    struct append_replica *replica = rt_container_of(conn, struct append_replica, conn);
    rt_log_debug("example", "follower lost address=%s err=%s", replica->address, rt_err_name(why));
    rt_timer_cancel(&replica->patience);
    replica->connected = replica->welcomed = false;
    replica->durable_id = 0;
    if (!replica->server->closing) rt_timer_after(&replica->redial, 100 * RT_NS_PER_MS);
    server_maybe_closed(replica->server);
}

static const struct rt_conn_events replica_events = {.name = "example.replica",
                                                     .on_open = replica_on_open,
                                                     .on_frame = replica_on_frame,
                                                     .on_drained = replica_on_drained,
                                                     .on_closed = replica_on_closed};

static const struct rt_stream_options stream_options = {.frame_size_max = APPEND_FRAME_MAX,
                                                        .open_timeout_ms = RT_NO_TIMEOUT};

static void replica_dial(struct rt_timer *timer) {
    struct append_replica *replica = rt_container_of(timer, struct append_replica, redial);
    replica->connected = true;
    rt_conn_dial(&replica->conn, timer->loop, replica->address, &replica_events, &stream_options);
}

// THE FOLLOWER'S SIDE

static void follower_welcome(struct append_server *server) {
    if (!server->primary) return;
    struct append_head head;
    append_head_start(&head, APPEND_WELCOME);
    rt_write_be64(&head.w, server->log.durable_id);
    append_frame_send(&server->primary->conn, &head, RT_BYTES(NULL, 0));
    rt_conn_resume(&server->primary->conn);
}

// Only what is durable counts as ours: what an earlier connection left behind is dropped too.
static void on_hello(struct session *session, struct rt_reader *r) {
    struct append_server *server = session->server;
    struct append_log *log = &server->log;
    uint64_t primary_last = rt_read_be64(r);
    if (!rt_reader_done(r) || server->is_primary || log->rewinding) {
        rt_conn_close(&session->conn, RT_EPROTO);
        return;
    }
    server->primary = session;
    uint64_t keep = log->durable_id < primary_last ? log->durable_id : primary_last;
    if (keep == log->last_id) {
        follower_welcome(server);
    } else {
        rt_conn_pause(&session->conn);
        append_log_rewind(log, keep);
    }
}

static void log_on_rewound(struct append_log *log, rt_err err) {
    struct append_server *server = rt_container_of(log, struct append_server, log);
    if (!err) {
        follower_welcome(server);
    } else if (server->primary) {
        rt_conn_close(&server->primary->conn, err);
    }
}

static void on_entries(struct session *session, struct rt_reader *r) {
    struct append_log *log = &session->server->log;
    struct append_record record;
    if (session->server->primary != session) {
        rt_conn_close(&session->conn, RT_EPROTO);
        return;
    }
    while (rt_reader_left(r) > 0) {
        rt_err err = append_record_decode(r, &record);
        if (!err && record.id != log->last_id + 1) err = RT_EPROTO;
        if (err) {
            rt_conn_close(&session->conn, err);
            return;
        }
        append_log_append(log, record.body);
    }
}

static void log_on_durable(struct append_log *log, rt_err err) {
    struct append_server *server = rt_container_of(log, struct append_server, log);
    if (err) {
        rt_log_error("example", "log failed err=%s", rt_err_name(err));
        fail_waiting(server, err);
        return;
    }
    if (server->is_primary) {
        acknowledge(server);
        for (unsigned i = 0; i < APPEND_FOLLOWERS; i++) replica_pump(&server->replicas[i]);
    } else if (server->primary && !log->rewinding) {
        struct append_head head;
        append_head_start(&head, APPEND_DURABLE);
        rt_write_be64(&head.w, log->durable_id);
        append_frame_send(&server->primary->conn, &head, RT_BYTES(NULL, 0));
    }
}

// CLIENTS

static void on_echo(struct session *session, struct rt_reader *r) {
    struct append_head head;
    append_head_start(&head, APPEND_ECHO);
    rt_write_be64(&head.w, rt_read_be64(r));
    if (rt_reader_failed(r)) {
        rt_conn_close(&session->conn, RT_EPROTO);
        return;
    }
    append_frame_send(&session->conn, &head, rt_read_rest(r));
}

static void on_append(struct session *session, struct rt_reader *r) {
    struct append_server *server = session->server;
    uint64_t request = rt_read_be64(r);
    struct rt_bytes body = rt_read_rest(r);
    if (rt_reader_failed(r) || body.size > APPEND_BODY_MAX || !server->is_primary) {
        rt_conn_close(&session->conn, RT_EPROTO);
        return;
    }
    struct pending *pending = RT_NEW(struct pending);
    pending->session = session;
    pending->request = request;
    session->users++;
    rt_list_push_back(&server->waiting, &pending->link);
    if (server->log.failed || server->closing) {
        pending_answer(pending, RT_EFAILED);
    } else {
        pending->id = append_log_append(&server->log, body);
    }
}

static void read_run(struct rt_work *work) {
    struct reading *reading = rt_container_of(work, struct reading, work);
    reading->err = append_log_read_now(&reading->session->server->log, reading->id, &reading->body);
}

static void read_done(struct rt_work *work) {
    struct reading *reading = rt_container_of(work, struct reading, work);
    struct append_head head;
    append_head_start(&head, APPEND_CONTENT);
    rt_write_be64(&head.w, reading->request);
    rt_write_u8(&head.w, (uint8_t)reading->err);
    append_frame_send(&reading->session->conn, &head, rt_buf_bytes(&reading->body));
    session_drop(reading->session);
    rt_buf_fini(&reading->body);
    rt_free(reading);
}

static void on_read(struct session *session, struct rt_reader *r) {
    struct reading *reading = RT_NEW(struct reading);
    reading->request = rt_read_be64(r);
    reading->id = rt_read_be64(r);
    if (!rt_reader_done(r)) {
        rt_free(reading);
        rt_conn_close(&session->conn, RT_EPROTO);
        return;
    }
    reading->session = session;
    session->users++;
    rt_work_submit(&reading->work, session->conn.loop, read_run, read_done, "example.read");
}

static void (*const handlers[])(struct session *, struct rt_reader *) = {
    [APPEND_ECHO] = on_echo,   [APPEND_APPEND] = on_append,   [APPEND_READ] = on_read,
    [APPEND_HELLO] = on_hello, [APPEND_ENTRIES] = on_entries, [APPEND_DURABLE] = NULL};

static void session_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct session *session = rt_container_of(conn, struct session, conn);
    struct rt_reader r = rt_reader_over(rt_frame_bytes(frame, 0, frame->size));
    size_t kind = rt_read_u8(&r);
    if (kind >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[kind]) {
        rt_conn_close(conn, RT_EPROTO);
        return;
    }
    handlers[kind](session, &r);
}

static void session_on_closed(struct rt_conn *conn, rt_err why) {
    (void)why;  // clients come and go
    struct session *session = rt_container_of(conn, struct session, conn);
    if (session->server->primary == session) session->server->primary = NULL;
    session_drop(session);
}

static const struct rt_conn_events session_events = {
    .name = "example.session", .on_frame = session_on_frame, .on_closed = session_on_closed};

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    struct append_server *server = rt_container_of(listener, struct append_server, listener);
    if (server->closing) {
        rt_incoming_refuse(incoming);
        return;
    }
    struct session *session = RT_NEW(struct session);
    session->server = server;
    session->users = 1;
    rt_list_push_back(&server->sessions, &session->link);
    rt_conn_accept(&session->conn, loop, incoming, &session_events, &stream_options);
}

static void on_listener_closed(struct rt_listener *listener) {
    struct append_server *server = rt_container_of(listener, struct append_server, listener);
    server->listening = false;
    server_maybe_closed(server);
}

static const struct rt_listener_events listener_events = {
    .name = "example", .on_incoming = on_incoming, .on_closed = on_listener_closed};

// LIFE

static void replicas_start(struct append_server *server, const struct append_options *options) {
    for (unsigned i = 0; i < APPEND_FOLLOWERS; i++) {
        struct append_replica *replica = &server->replicas[i];
        replica->server = server;
        replica->address = options->followers[i];
        rt_timer_init(&replica->redial, server->loop, replica_dial, "example.redial");
        rt_timer_init(&replica->patience, server->loop, replica_is_patient, "example.patience");
        if (server->is_primary) rt_timer_after(&replica->redial, 0);
    }
}

rt_err append_server_open_now(struct append_server *server, struct rt_machine *machine,
                              const struct append_options *options, struct rt_why *why) {
    *server = (struct append_server){.machine = machine,
                                     .loop = rt_machine_loop(machine, 0),
                                     .is_primary = options->followers[0] != NULL};
    rt_list_init(&server->sessions);
    rt_list_init(&server->waiting);
    server->log.on_durable = log_on_durable;
    server->log.on_rewound = log_on_rewound;
    server->log.ack_before_sync = options->ack_before_sync;
    rt_err err = append_log_open_now(&server->log, server->loop, options->directory, why);
    if (err) return err;
    err = rt_listener_open(&server->listener, server->loop, options->listen_address,
                           &listener_events, false, NULL, why);
    if (err) return err;  // a node that cannot listen ends its process; the log needs no farewell
    server->listening = true;
    replicas_start(server, options);
    return RT_OK;
}

uint16_t append_server_port(const struct append_server *server) {
    return rt_listener_port(&server->listener);
}

static void log_on_closed(struct append_log *log) {
    struct append_server *server = rt_container_of(log, struct append_server, log);
    server->log_closed = true;
    server->on_closed(server);
}

// The log closes last, when nobody can be reading it any more.
static void server_maybe_closed(struct append_server *server) {
    if (!server->closing || server->listening || server->log.closing) return;
    if (!rt_list_is_empty(&server->sessions)) return;
    for (unsigned i = 0; i < APPEND_FOLLOWERS; i++)
        if (server->replicas[i].connected || server->replicas[i].copying) return;
    for (unsigned i = 0; i < APPEND_FOLLOWERS; i++) rt_buf_fini(&server->replicas[i].copied);
    server->log.on_closed = log_on_closed;
    append_log_close(&server->log);
}

void append_server_close(struct append_server *server, void (*on_closed)(struct append_server *)) {
    server->closing = true;
    server->on_closed = on_closed;
    fail_waiting(server, RT_ECLOSED);
    rt_listener_close(&server->listener);
    for (unsigned i = 0; i < APPEND_FOLLOWERS; i++) {
        rt_timer_cancel(&server->replicas[i].redial);
        if (server->replicas[i].connected) rt_conn_close(&server->replicas[i].conn, RT_OK);
    }
    rt_list_each (node, &server->sessions)
        rt_conn_close(&rt_container_of(node, struct session, link)->conn, RT_OK);
}
