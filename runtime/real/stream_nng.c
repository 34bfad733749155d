// A connection over an nng stream. nng calls back on its own threads; the callback records what
// happened and posts to the connection's loop, and may then run that loop's turn itself
// (loop_thread.h). All else happens on the loop, except for freeing, which is the reaper's.
#include "runtime/real/stream_nng.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/real/loop_thread.h"
#include "runtime/real/machine.h"

struct nng_op {
    nng_aio *aio;
    struct nng_link *link;
    struct rt_task task;
    atomic_bool busy;      // from the start until the task ran
    atomic_uint returned;  // callbacks: nng_aio_free waits for the last one
    int result;
    size_t count;
};

struct nng_link {
    struct rt_conn *conn;
    struct rt_loop *loop;
    struct rt_machine *machine;
    nng_stream_dialer *dialer;  // dialed connections
    nng_stream *stream;         // NULL while dialing
    struct nng_op in, out;      // `in` also dials
    struct rt_task step;        // next turn: opened, failed, or gone
    struct rt_task reap;
    rt_err failed;
    bool tls, closing, step_queued, probing;
    bool lost;    // nng has given the socket up without telling
    bool unsure;  // whether it has: after a canceled receive
};

rt_err real_err_from_nng(int code) {
    switch (code) {
    case 0: return RT_OK;
    case NNG_ECONNREFUSED: return RT_EREFUSED;
    case NNG_ECONNRESET:
    case NNG_ECONNABORTED:
    case NNG_ECONNSHUT:
    case NNG_ECLOSED: return RT_ERESET;
    case NNG_ETIMEDOUT: return RT_ETIMEDOUT;
    case NNG_ECANCELED: return RT_ECANCELED;
    case NNG_EADDRINUSE: return RT_EADDRINUSE;
    case NNG_EADDRINVAL:
    case NNG_EINVAL: return RT_EADDRESS;
    case NNG_EUNREACHABLE: return RT_EUNREACHABLE;
    case NNG_EPERM: return RT_EACCESS;
    case NNG_ENOFILES: return RT_ENOFILES;
    case NNG_ENOMEM: return RT_ENOMEMORY;
    case NNG_ENOENT: return RT_ENOTFOUND;
    case NNG_ENOTSUP: return RT_EUNSUPPORTED;
    case NNG_ECRYPTO:
    case NNG_EPEERAUTH: return RT_ETLS;
    default: return RT_EIO;
    }
}

// nng passes on errors of the system that it has no code for.
static rt_err err_of(int code) {
    if (code & NNG_ESYSERR) return rt_err_from_errno(code & ~NNG_ESYSERR);
    return real_err_from_nng(code);
}

// Once a TLS connection has carried something, its handshake is over.
static bool is_shaking_hands(const struct nng_link *link) {
    const struct rt_conn_stats *stats = &link->conn->stats;
    return link->tls && stats->in_bytes + stats->out_bytes == 0;
}

static rt_err link_err(const struct nng_link *link, int code) {
    rt_err err = err_of(code);
    bool vague = err == RT_EIO || err == RT_ERESET;
    return is_shaking_hands(link) && vague ? RT_ETLS : err;
}

void real_peer_name(nng_stream *stream, char *name, size_t size) {
    nng_sockaddr address;
    char host[INET6_ADDRSTRLEN];
    snprintf(name, size, "?");
    if (nng_stream_get_addr(stream, NNG_OPT_REMADDR, &address) != 0) return;
    if (address.s_family == NNG_AF_INET) {
        if (!inet_ntop(AF_INET, &address.s_in.sa_addr, host, sizeof(host))) return;
        snprintf(name, size, "%s:%u", host, ntohs(address.s_in.sa_port));
    } else if (address.s_family == NNG_AF_INET6) {
        if (!inet_ntop(AF_INET6, address.s_in6.sa_addr, host, sizeof(host))) return;
        snprintf(name, size, "[%s]:%u", host, ntohs(address.s_in6.sa_port));
    }
}

void real_nng_url(const struct rt_address *address, char *url) {
    bool brackets = strchr(address->host, ':') != NULL;
    snprintf(url, REAL_URL_SIZE, "%.*s://%s%s%s:%u", (int)address->scheme.size,
             (const char *)address->scheme.data, brackets ? "[" : "", address->host,
             brackets ? "]" : "", address->port);
}

// LIFE

static void step_later(struct nng_link *link) {
    if (link->step_queued) return;
    link->step_queued = true;
    rt_defer(link->loop, &link->step);
}

static void op_free(struct nng_op *op) {
    nng_aio_free(op->aio);
    atomic_load_explicit(&op->returned, memory_order_acquire);
}

static void link_reap(struct rt_task *task) {
    struct nng_link *link = rt_container_of(task, struct nng_link, reap);
    op_free(&link->in);
    op_free(&link->out);
    if (link->stream) nng_stream_free(link->stream);
    if (link->dialer) nng_stream_dialer_free(link->dialer);
    rt_free(link);
}

static void link_gone(struct nng_link *link, rt_err err) {
    struct rt_conn *conn = link->conn;
    real_reap(link->machine, &link->reap);
    rt_conn_detached(conn, err);
}

static void step_run(struct rt_task *task) {
    struct nng_link *link = rt_container_of(task, struct nng_link, step);
    link->step_queued = false;
    if (link->closing || link->failed)
        link_gone(link, link->failed);
    else
        rt_conn_opened(link->conn);
}

static void op_called_back(void *argument) {
    struct nng_op *op = argument;
    struct real_adopter adopter = {0};
    bool busy = atomic_load_explicit(&op->busy, memory_order_acquire);  // pairs with op_begin
    assert(busy);
    (void)busy;
    op->result = nng_aio_result(op->aio);
    op->count = nng_aio_count(op->aio);
    real_adopter_begin(&adopter);
    rt_post(op->link->loop, &op->task);
    real_adopter_end();
    atomic_fetch_add_explicit(&op->returned, 1, memory_order_release);  // pairs with op_free
}

static void op_init(struct nng_op *op, struct nng_link *link, void (*run)(struct rt_task *)) {
    op->link = link;
    rt_task_init(&op->task, run, "nng");
    if (nng_aio_alloc(&op->aio, op_called_back, op) != 0) rt_panic("nng: out of memory");
    nng_aio_set_timeout(op->aio, NNG_DURATION_INFINITE);
}

// nng carries what the loop wrote to its threads, and back; the atomics of an operation say so to
// those who cannot look into nng.
static void op_begin(struct nng_op *op) {
    atomic_store_explicit(&op->busy, true, memory_order_release);
}

static void op_end(struct nng_op *op) {
    atomic_store_explicit(&op->busy, false, memory_order_relaxed);
}

static bool op_is_busy(const struct nng_op *op) {
    return atomic_load_explicit(&op->busy, memory_order_relaxed);
}

// The stream closes once nothing is in flight any more.
static void link_closing_step(struct nng_link *link) {
    if (!op_is_busy(&link->in) && !op_is_busy(&link->out)) step_later(link);
}

// nng's poller can take a socket that has not begun to connect for one that has (EPOLLHUP), and
// then reports success while the handshake is still going on. Such a stream has no peer yet, and a
// send of nothing on it ends when there is one. TLS passes on no such send: there the time limit
// of opening goes on until the first bytes.
static void probe(struct nng_link *link) {
    nng_iov nothing = {.iov_buf = NULL, .iov_len = 0};
    link->probing = true;
    op_begin(&link->out);
    int failed = nng_aio_set_iov(link->out.aio, 1, &nothing);
    assert(failed == 0);
    (void)failed;  // one piece always fits
    nng_stream_send(link->stream, link->out.aio);
}

static void probed(struct nng_link *link) {
    link->probing = false;
    if (link->closing)
        link_closing_step(link);
    else if (link->out.result != 0)
        link_gone(link, err_of(link->out.result));
    else
        rt_conn_opened(link->conn);
}

static bool has_peer(const struct nng_link *link) {
    nng_sockaddr address;
    return nng_stream_get_addr(link->stream, NNG_OPT_REMADDR, &address) == 0;
}

static void dialed(struct nng_link *link) {
    int result = link->in.result;
    if (result == 0) link->stream = nng_aio_get_output(link->in.aio, 0);
    if (link->closing) {
        link_closing_step(link);
        return;
    }
    if (result != 0) {
        // The address was well-formed, so what nng calls invalid is a name nobody knows.
        link_gone(link, result == NNG_EADDRINVAL ? RT_ENOTFOUND : err_of(result));
        return;
    }
    if (link->tls || has_peer(link))
        rt_conn_opened(link->conn);
    else
        probe(link);
}

// The peer's end and a reset seen by the poller are the same error to nng, but after a reset it has
// no socket any more. TLS has a code of its own for an end that was said.
static bool is_end(const struct nng_link *link, int result) {
    if (link->tls && result == NNG_ECONNREFUSED) return true;
    if (is_shaking_hands(link) || link->lost) return false;
    return (result == NNG_ECONNSHUT || result == NNG_ECLOSED) && has_peer(link);
}

static rt_err receive_err(const struct nng_link *link) {
    int result = link->in.result;
    if (result == 0) return RT_OK;
    return is_end(link, result) ? RT_OK : link_err(link, result);
}

static void received(struct nng_link *link) {
    if (link->closing) {
        rt_conn_received(link->conn, 0, RT_ECANCELED);
        link_closing_step(link);
        return;
    }
    rt_err err = receive_err(link);
    rt_conn_received(link->conn, link->in.result == 0 ? link->in.count : 0, err);
}

static void in_run(struct rt_task *task) {
    struct nng_op *op = rt_container_of(task, struct nng_op, task);
    op_end(op);
    if (op->link->stream)
        received(op->link);
    else
        dialed(op->link);
}

static void out_run(struct rt_task *task) {
    struct nng_op *op = rt_container_of(task, struct nng_op, task);
    struct nng_link *link = op->link;
    op_end(op);
    if (link->probing) {
        probed(link);
        return;
    }
    if (link->closing) {
        rt_conn_sent(link->conn, 0, RT_ECANCELED);
        link_closing_step(link);
        return;
    }
    rt_conn_sent(link->conn, op->count, op->result == 0 ? RT_OK : link_err(link, op->result));
}

static struct nng_link *link_new(struct rt_conn *conn) {
    struct nng_link *link = RT_NEW(struct nng_link);
    link->conn = conn;
    link->loop = conn->loop;
    link->machine = rt_loop_machine(conn->loop);
    op_init(&link->in, link, in_run);
    op_init(&link->out, link, out_run);
    rt_task_init(&link->step, step_run, "nng");
    rt_task_init(&link->reap, link_reap, "nng");
    conn->transport_state = link;
    return link;
}

// DIALING

static rt_err dialer_open(struct nng_link *link, const char *text) {
    struct rt_address address;
    rt_err err = rt_address_parse(text, &address, NULL);
    if (err) return err;
    if (address.port == 0 || address.host[0] == '\0' || strcmp(address.host, "*") == 0)
        return RT_EADDRESS;
    char url[REAL_URL_SIZE];
    real_nng_url(&address, url);
    int failed = nng_stream_dialer_alloc(&link->dialer, url);
    if (failed) return err_of(failed);
    RT_IGNORE(
        err_of(nng_stream_dialer_set_bool(link->dialer, NNG_OPT_TCP_NODELAY, true)));  // faster
    if (!link->tls) return RT_OK;

    nng_tls_config *config;
    struct rt_tls none = {0};
    const struct rt_tls *tls = link->conn->options.tls ? link->conn->options.tls : &none;
    err = real_tls_config(tls, false, address.host, &config, NULL);
    if (err) return err;
    failed = nng_stream_dialer_set_ptr(link->dialer, NNG_OPT_TLS_CONFIG, config);
    nng_tls_config_free(config);  // the dialer holds its own reference
    return err_of(failed);
}

static void dial(struct rt_conn *conn, const char *address, bool tls) {
    struct nng_link *link = link_new(conn);
    link->tls = tls;
    link->failed = dialer_open(link, address);
    if (link->failed) {
        step_later(link);
        return;
    }
    op_begin(&link->in);
    real_count_syscalls(link->machine, 2);  // socket, connect
    nng_stream_dialer_dial(link->dialer, link->in.aio);
}

static void tcp_dial(struct rt_conn *conn, const char *address) {
    dial(conn, address, false);
}

static void tls_dial(struct rt_conn *conn, const char *address) {
    dial(conn, address, true);
}

static void link_accept(struct rt_conn *conn, struct rt_incoming *incoming) {
    struct nng_link *link = link_new(conn);
    link->tls = incoming->listener->tls != NULL;
    link->stream = incoming->transport_state;
    rt_free(incoming);
    step_later(link);
}

// BYTES

// What is started on a stream that nng has given up never ends: a TLS stream whose socket failed
// while nothing of ours was in flight, or a TCP stream that failed between a canceled receive and
// the next. So we look after the start: what fails later ends what is in flight.
static void check_alive(struct nng_link *link) {
    if (!link->tls && !link->unsure) return;
    link->unsure = false;
    real_count_syscalls(link->machine, 1);
    if (has_peer(link)) return;
    link->lost = true;
    nng_stream_close(link->stream);
}

static void link_receive(struct rt_conn *conn, uint8_t *memory, size_t capacity) {
    struct nng_link *link = conn->transport_state;
    nng_iov iov = {.iov_buf = memory, .iov_len = capacity};
    int failed = nng_aio_set_iov(link->in.aio, 1, &iov);
    assert(failed == 0);
    (void)failed;  // one piece always fits
    op_begin(&link->in);
    real_count_syscalls(link->machine, 1);
    nng_stream_recv(link->stream, link->in.aio);
    check_alive(link);
}

static void link_unreceive(struct rt_conn *conn) {
    struct nng_link *link = conn->transport_state;
    link->unsure = true;
    nng_aio_abort(link->in.aio, NNG_ECANCELED);
}

static void link_send(struct rt_conn *conn, const struct rt_slice *pieces, unsigned count) {
    struct nng_link *link = conn->transport_state;
    nng_iov iov[RT_SEND_PIECES_MAX];
    for (unsigned i = 0; i < count; i++) {
        // nng has one kind of iov for both ways; a send only reads.
        iov[i] = (nng_iov){.iov_buf = (void *)(uintptr_t)pieces[i].data, .iov_len = pieces[i].size};
    }
    int failed = nng_aio_set_iov(link->out.aio, count, iov);
    assert(failed == 0);
    (void)failed;  // send_pieces_max is what nng takes
    op_begin(&link->out);
    real_count_syscalls(link->machine, 1);
    nng_stream_send(link->stream, link->out.aio);
    check_alive(link);
}

static void link_close(struct rt_conn *conn) {
    struct nng_link *link = conn->transport_state;
    link->closing = true;
    real_count_syscalls(link->machine, 2);  // shutdown, close
    if (link->stream)
        nng_stream_close(link->stream);
    else if (op_is_busy(&link->in))
        nng_aio_abort(link->in.aio, NNG_ECANCELED);
    link_closing_step(link);
}

static const struct rt_transport tcp = {
    .scheme = "tcp",
    .dial = tcp_dial,
    .accept = link_accept,
    .refuse = real_nng_refuse,
    .receive = link_receive,
    .unreceive = link_unreceive,
    .send = link_send,
    .close = link_close,
    .listen = real_nng_listen,
    .unlisten = real_nng_unlisten,
    .send_pieces_max = 8,
    .receive_may_wait = true,
};

// Canceling one receive ends a TLS connection in nng, so it has no unreceive; and nng reports as
// sent what it has encrypted and not yet written, and forgets it at a close.
static const struct rt_transport tls_tcp = {
    .scheme = "tls+tcp",
    .dial = tls_dial,
    .accept = link_accept,
    .refuse = real_nng_refuse,
    .receive = link_receive,
    .send = link_send,
    .close = link_close,
    .listen = real_nng_listen,
    .unlisten = real_nng_unlisten,
    .send_pieces_max = 8,
    .late_handshake = true,
    .linger_ms = 1000,
};

const struct rt_transport *real_transport(struct rt_machine *machine, const char *scheme,
                                          size_t scheme_size) {
    (void)machine;
    struct rt_bytes name = RT_BYTES(scheme, scheme_size);
    if (rt_bytes_equal(name, RT_BYTES_LITERAL("tcp"))) return &tcp;
    if (rt_bytes_equal(name, RT_BYTES_LITERAL("tls+tcp"))) return &tls_tcp;
    return NULL;
}
