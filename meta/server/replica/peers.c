#include "meta/server/replica/peers.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    URL_SIZE = RAFT_ADDRESS_SIZE + 24,
    QUEUE_MAX = 64 << 20,
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 1000,
    INCOMING_MAX = 256,
    STRANGERS_MAX = 32,
    PULSE_MS = 1000,
    UNANSWERED_MAX = 5,
    SILENT_MAX = 10
};

struct peer {
    struct rt_list link;
    struct meta_peers *peers;
    uint64_t id;
    char address[RAFT_ADDRESS_SIZE];
    struct rt_conn conn;
    struct rt_timer retry;
    unsigned retry_ms;
    unsigned unanswered;  // pulses since it last said something, on this connection
    bool open;
    bool dialing;    // from the dial to on_closed
    bool greeted;    // it answered our hello
    bool announced;  // a failed dial has been logged
};

struct incoming {
    struct rt_list link;
    struct meta_peers *peers;
    struct rt_conn conn;
    uint64_t from;    // 0: has not said yet
    unsigned silent;  // pulses since it last said something
};

struct meta_peers {
    struct rt_loop *loop;
    struct meta_peers_options options;
    struct rt_list peers, incoming;
    unsigned incoming_count;
    struct rt_listener listener;
    bool listening, closing;
    struct rt_timer pulse;
    struct rt_task *closed;
    struct rt_log_limit limit;
};

static void peer_dial(struct peer *peer);

static void maybe_closed(struct meta_peers *peers) {
    bool open = !peers->closing || peers->listening || !rt_list_is_empty(&peers->peers) ||
                !rt_list_is_empty(&peers->incoming);
    if (open) return;
    struct rt_task *closed = peers->closed;
    rt_defer(peers->loop, closed);
    rt_free(peers);
}

static void conn_send(struct rt_conn *conn, struct rt_bytes frame) {
    struct rt_writer w = rt_writer_over(rt_conn_reserve(conn, 4), 4);
    rt_write_be32(&w, (uint32_t)frame.size);
    rt_conn_send(conn, frame);
}

static void hello_send(struct meta_peers *peers, struct rt_conn *conn, uint64_t to, bool answer) {
    struct meta_peer_hello hello = {.from = peers->options.self, .to = to, .is_answer = answer};
    struct rt_buf frame = {0};
    struct rt_writer w = rt_writer_into(&frame);
    peers->options.events->hello(peers->options.events, &hello);
    meta_peer_hello_encode(&hello, &w);
    conn_send(conn, rt_buf_bytes(&frame));
    rt_buf_fini(&frame);
}

// WE DIALED

static void peer_free(struct peer *peer) {
    rt_timer_cancel(&peer->retry);
    rt_list_remove(&peer->link);
    rt_free(peer);
}

static void peer_on_open(struct rt_conn *conn) {
    struct peer *peer = rt_container_of(conn, struct peer, conn);
    peer->open = true;
    peer->unanswered = 0;
    hello_send(peer->peers, conn, peer->id, false);
}

// The answer to our hello comes back, then those to our pings.
static void peer_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct peer *peer = rt_container_of(conn, struct peer, conn);
    struct meta_peers_events *events = peer->peers->options.events;
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    struct meta_peer_hello hello;
    peer->unanswered = 0;
    if (peer->greeted && bytes.size == 1 && bytes.data[0] == META_PEER_PONG) return;
    rt_err err = meta_peer_hello_decode(bytes, &hello);
    bool sound = !err && hello.is_answer && hello.from == peer->id && !peer->greeted;
    if (!sound || !events->greeted(events, &hello)) {
        rt_conn_close(conn, RT_EPROTO);
        return;
    }
    peer->greeted = true;
    peer->retry_ms = RETRY_MIN_MS;
    peer->announced = false;
    rt_log_info("meta", "connected to a peer peer=%llu address=%s", (unsigned long long)peer->id,
                rt_conn_peer(conn));
    events->connected(events, peer->id);
}

static bool is_stranger(const struct peer *peer) {
    struct meta_peers_events *events = peer->peers->options.events;
    return !events->is_member(events, peer->id);
}

static void peer_on_closed(struct rt_conn *conn, rt_err why) {
    struct peer *peer = rt_container_of(conn, struct peer, conn);
    struct meta_peers *peers = peer->peers;
    bool was_greeted = peer->greeted;
    uint64_t id = peer->id;
    peer->dialing = peer->greeted = peer->open = false;
    if (!peers->closing && !peer->announced) {
        rt_log_info("meta", "no connection to a peer peer=%llu address=%s reason=%s",
                    (unsigned long long)id, peer->address, rt_err_text(why));
        peer->announced = true;
    }
    if (peers->closing || is_stranger(peer)) {
        peer_free(peer);
    } else {
        rt_timer_after(&peer->retry, peer->retry_ms * RT_NS_PER_MS);
        peer->retry_ms = peer->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : peer->retry_ms * 2;
    }
    if (was_greeted && !peers->closing) peers->options.events->lost(peers->options.events, id);
    maybe_closed(peers);
}

static const struct rt_conn_events peer_events = {.name = "meta.peer",
                                                  .on_open = peer_on_open,
                                                  .on_frame = peer_on_frame,
                                                  .on_closed = peer_on_closed};

static struct rt_stream_options stream_options(const struct meta_peers *peers) {
    return (struct rt_stream_options){.frame_size_max = META_PEER_FRAME_MAX,
                                      .out_bytes_max = 2 * (size_t)QUEUE_MAX,
                                      .open_timeout_ms = 5000,
                                      .stall_timeout_ms = 5000,
                                      .tls = peers->options.tls};
}

static void peer_dial(struct peer *peer) {
    char url[URL_SIZE];
    const char *scheme = peer->peers->options.tls ? "tls+tcp" : "tcp";
    if (peer->dialing || peer->peers->closing) return;
    if (!meta_peer_url(peer->address, scheme, false, url, sizeof(url))) return;
    struct rt_stream_options options = stream_options(peer->peers);
    peer->dialing = true;
    rt_conn_dial(&peer->conn, peer->peers->loop, url, &peer_events, &options);
}

static void peer_retry(struct rt_timer *timer) {
    peer_dial(rt_container_of(timer, struct peer, retry));
}

static struct peer *peer_find(const struct meta_peers *peers, uint64_t id) {
    rt_list_each (node, &peers->peers) {
        struct peer *peer = rt_container_of(node, struct peer, link);
        if (peer->id == id) return peer;
    }
    return NULL;
}

static bool has_room_for(const struct meta_peers *peers, uint64_t id) {
    struct meta_peers_events *events = peers->options.events;
    unsigned strangers = 0;
    if (events->is_member(events, id)) return true;
    rt_list_each (node, &peers->peers) {
        strangers += is_stranger(rt_container_of(node, struct peer, link));
    }
    return strangers < STRANGERS_MAX;
}

static struct peer *peer_new(struct meta_peers *peers, uint64_t id) {
    struct peer *peer = RT_NEW(struct peer);
    peer->peers = peers;
    peer->id = id;
    peer->retry_ms = RETRY_MIN_MS;
    rt_timer_init(&peer->retry, peers->loop, peer_retry, "meta.peer");
    rt_list_push_back(&peers->peers, &peer->link);
    return peer;
}

bool meta_peers_know(struct meta_peers *peers, uint64_t id, const char *member_address) {
    char url[URL_SIZE];
    struct peer *peer = peer_find(peers, id);
    if (id == peers->options.self) return true;
    if (!meta_peer_url(member_address, "tcp", false, url, sizeof(url))) return true;  // no place
    if (peer && strcmp(peer->address, member_address) == 0) return true;
    if (!peer && !has_room_for(peers, id)) return false;
    if (!peer) peer = peer_new(peers, id);
    snprintf(peer->address, sizeof(peer->address), "%s", member_address);
    if (peer->dialing)
        rt_conn_close(&peer->conn, RT_OK);
    else
        rt_timer_after(&peer->retry, 0);
    return true;
}

bool meta_peers_is_connected(const struct meta_peers *peers, uint64_t id) {
    struct peer *peer = peer_find(peers, id);
    return peer && peer->greeted;
}

unsigned meta_peers_connected(const struct meta_peers *peers) {
    unsigned count = 0;
    rt_list_each (node, &peers->peers) {
        count += rt_container_of(node, struct peer, link)->greeted;
    }
    return count;
}

size_t meta_peers_queued(const struct meta_peers *peers, uint64_t to) {
    struct peer *peer = peer_find(peers, to);
    return peer && peer->greeted ? rt_conn_queued_bytes(&peer->conn) : 0;
}

bool meta_peers_send(struct meta_peers *peers, uint64_t to, struct rt_bytes frame) {
    struct peer *peer = peer_find(peers, to);
    if (!peer || !peer->greeted || !rt_conn_is_open(&peer->conn)) return false;
    if (rt_conn_queued_bytes(&peer->conn) > QUEUE_MAX) {
        rt_conn_close(&peer->conn, RT_EBUSY);
        return false;
    }
    conn_send(&peer->conn, frame);
    return true;
}

// THE PULSE. Pulses are counted instead of time, so that a node that was stopped for a while does
// not take all others for dead.

static void peer_pulse(struct peer *peer) {
    static const uint8_t ping = META_PEER_PING;
    if (!peer->open) return;
    // What still waits to leave has a limit of its own, the stream's.
    if (!rt_conn_queued_bytes(&peer->conn)) peer->unanswered++;
    if (peer->unanswered > UNANSWERED_MAX)
        rt_conn_close(&peer->conn, RT_ETIMEDOUT);
    else if (peer->greeted)
        conn_send(&peer->conn, RT_BYTES(&ping, 1));
}

static void pulse(struct rt_timer *timer) {
    struct meta_peers *peers = rt_container_of(timer, struct meta_peers, pulse);
    rt_list_each_safe (node, &peers->peers) peer_pulse(rt_container_of(node, struct peer, link));
    rt_list_each_safe (node, &peers->incoming) {
        struct incoming *incoming = rt_container_of(node, struct incoming, link);
        if (++incoming->silent > SILENT_MAX) rt_conn_close(&incoming->conn, RT_ETIMEDOUT);
    }
    rt_timer_after(timer, PULSE_MS * RT_NS_PER_MS);
}

// THEY DIALED

static void pong_send(struct rt_conn *conn) {
    static const uint8_t pong = META_PEER_PONG;
    conn_send(conn, RT_BYTES(&pong, 1));
}

static void incoming_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct incoming *incoming = rt_container_of(conn, struct incoming, conn);
    struct meta_peers *peers = incoming->peers;
    struct meta_peers_events *events = peers->options.events;
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    incoming->silent = 0;
    if (incoming->from) {
        if (bytes.size == 1 && bytes.data[0] == META_PEER_PING) {
            pong_send(conn);
            return;
        }
        rt_err err = bytes.size ? events->received(events, incoming->from, bytes) : RT_EPROTO;
        if (!err) return;
        if (rt_log_allows(&peers->limit, "meta"))
            rt_log_warn("meta", "a peer's frame makes no sense peer=%llu address=%s",
                        (unsigned long long)incoming->from, rt_conn_peer(conn));
        rt_conn_close(conn, err);
        return;
    }
    struct meta_peer_hello hello;
    rt_err err = meta_peer_hello_decode(bytes, &hello);
    bool sound = !err && !hello.is_answer && hello.to == peers->options.self &&
                 hello.from != peers->options.self;
    if (!sound) {
        if (rt_log_allows(&peers->limit, "meta"))
            rt_log_warn("meta", "refused what is no peer of ours address=%s", rt_conn_peer(conn));
        rt_conn_close(conn, RT_EPROTO);
        return;
    }
    // The answer goes out either way, so that the other side can say what does not fit.
    hello_send(peers, conn, hello.from, true);
    if (events->greeted(events, &hello))
        incoming->from = hello.from;
    else
        rt_conn_finish(conn);
}

static void incoming_on_closed(struct rt_conn *conn, rt_err why) {
    struct incoming *incoming = rt_container_of(conn, struct incoming, conn);
    struct meta_peers *peers = incoming->peers;
    (void)why;  // the peer dials again if it wants something
    rt_list_remove(&incoming->link);
    peers->incoming_count--;
    rt_free(incoming);
    maybe_closed(peers);
}

static const struct rt_conn_events incoming_events = {
    .name = "meta.peer", .on_frame = incoming_on_frame, .on_closed = incoming_on_closed};

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *arrived) {
    struct meta_peers *peers = rt_container_of(listener, struct meta_peers, listener);
    if (peers->closing || peers->incoming_count == INCOMING_MAX) {
        rt_incoming_refuse(arrived);
        return;
    }
    struct rt_stream_options options = stream_options(peers);
    struct incoming *incoming = RT_NEW(struct incoming);
    incoming->peers = peers;
    rt_list_push_back(&peers->incoming, &incoming->link);
    peers->incoming_count++;
    rt_conn_accept(&incoming->conn, loop, arrived, &incoming_events, &options);
}

static void on_listener_closed(struct rt_listener *listener) {
    struct meta_peers *peers = rt_container_of(listener, struct meta_peers, listener);
    peers->listening = false;
    maybe_closed(peers);
}

static const struct rt_listener_events listener_events = {
    .name = "meta.peer", .on_incoming = on_incoming, .on_closed = on_listener_closed};

// LIFE

rt_err meta_peers_open_now(struct rt_loop *loop, const struct meta_peers_options *options,
                           struct meta_peers **peers, struct rt_why *why) {
    struct meta_peers *self = RT_NEW(struct meta_peers);
    self->loop = loop;
    self->options = *options;
    self->limit.burst = 5;
    rt_list_init(&self->peers);
    rt_list_init(&self->incoming);
    if (options->listen) {
        rt_err err = rt_listener_open(&self->listener, loop, options->listen, &listener_events,
                                      false, options->tls, why);
        if (err) {
            rt_free(self);
            return rt_why_prefix(why, err, "peer port");
        }
        self->listening = true;
    }
    rt_timer_init(&self->pulse, loop, pulse, "meta.pulse");
    rt_timer_after(&self->pulse, PULSE_MS * RT_NS_PER_MS);
    *peers = self;
    return RT_OK;
}

void meta_peers_close(struct meta_peers *peers, struct rt_task *closed) {
    assert(!peers->closing);
    peers->closing = true;
    peers->closed = closed;
    rt_timer_cancel(&peers->pulse);
    if (peers->listening) rt_listener_close(&peers->listener);
    rt_list_each_safe (node, &peers->peers) {
        struct peer *peer = rt_container_of(node, struct peer, link);
        if (peer->dialing)
            rt_conn_close(&peer->conn, RT_OK);
        else
            peer_free(peer);
    }
    rt_list_each (node, &peers->incoming) {
        rt_conn_close(&rt_container_of(node, struct incoming, link)->conn, RT_OK);
    }
    maybe_closed(peers);
}
