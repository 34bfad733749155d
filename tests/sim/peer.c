#include "tests/sim/peer.h"

#include <criterion/criterion.h>
#include <string.h>

// A frame is its number, then bytes that follow from it.
static void frame_send(struct peer *peer, struct rt_conn *conn) {
    uint8_t frame[RT_SLAB_64K];
    size_t size = peer->frame_size ? peer->frame_size : 64;
    struct rt_writer w = rt_writer_over(frame, sizeof frame);
    rt_write_be32(&w, (uint32_t)size);
    rt_write_be64(&w, peer->next_number);
    for (size_t i = 8; i < size; i++) rt_write_u8(&w, (uint8_t)(peer->next_number * 31 + i));
    peer->next_number++;
    peer->pings++;
    rt_conn_send(conn, RT_BYTES(frame, size + 4));
}

static bool frame_is_whole(const struct rt_frame *frame) {
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    struct rt_reader r = rt_reader_over(bytes);
    uint64_t number = rt_read_be64(&r);
    for (size_t i = 8; i < frame->size; i++) {
        if (rt_read_u8(&r) != (uint8_t)(number * 31 + i)) return false;
    }
    return !rt_reader_failed(&r);
}

static void saw_frame(struct peer *peer, const struct rt_frame *frame) {
    uint64_t now_ns = rt_sim_now(peer->sim);
    if (peer->frames++ == 0) peer->first_frame_ns = now_ns;
    peer->last_frame_ns = now_ns;
    peer->bytes += frame->size;
    if (!frame_is_whole(frame)) peer->damaged = true;
}

static void saw_close(struct peer *peer, rt_err why) {
    peer->closed++;
    peer->closed_ns = rt_sim_now(peer->sim);
    peer->why = why;
    peer->why_count[why]++;
}

// THE LISTENING SIDE

struct guest {
    struct rt_conn conn;
    struct peer *peer;
};

static void guest_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct guest *guest = rt_container_of(conn, struct guest, conn);
    saw_frame(guest->peer, frame);
    if (!guest->peer->echoes) return;
    uint8_t prefix[4];
    struct rt_writer w = rt_writer_over(prefix, sizeof prefix);
    rt_write_be32(&w, (uint32_t)frame->size);
    rt_conn_send(conn, RT_BYTES(prefix, sizeof prefix));
    rt_conn_send(conn, rt_frame_bytes(frame, 0, frame->size));
}

static void guest_closed(struct rt_conn *conn, rt_err why) {
    struct guest *guest = rt_container_of(conn, struct guest, conn);
    saw_close(guest->peer, why);
    rt_free(guest);
}

static const struct rt_conn_events guest_events = {
    .name = "test.guest", .on_frame = guest_frame, .on_closed = guest_closed};

static const struct rt_stream_options patient = {
    .open_timeout_ms = RT_NO_TIMEOUT,
    .frame_timeout_ms = RT_NO_TIMEOUT,
    .stall_timeout_ms = RT_NO_TIMEOUT,
};

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    struct peer *peer = rt_container_of(listener, struct peer, listener);
    if (peer->refuses) {
        rt_incoming_refuse(incoming);
        return;
    }
    struct guest *guest = RT_NEW(struct guest);
    guest->peer = peer;
    peer->accepted++;
    rt_conn_accept(&guest->conn, loop, incoming, &guest_events, &patient);
    if (peer->deaf) rt_conn_pause(&guest->conn);
}

static const struct rt_listener_events listener_events = {.name = "test.listener",
                                                          .on_incoming = on_incoming};

// THE DIALING SIDE

static void on_ping(struct rt_timer *timer) {
    struct peer *peer = rt_container_of(timer, struct peer, ping);
    frame_send(peer, &peer->conn);
    rt_timer_after(&peer->ping, peer->ping_every_ns);
}

static void client_open(struct rt_conn *conn) {
    struct peer *peer = rt_container_of(conn, struct peer, conn);
    peer->is_connected = true;
    peer->opened++;
    peer->opened_ns = rt_sim_now(peer->sim);
    for (unsigned i = 0; i < peer->burst; i++) frame_send(peer, conn);
    if (peer->pings_in_turn) frame_send(peer, conn);
    if (peer->ping_every_ns) rt_timer_after(&peer->ping, peer->ping_every_ns);
}

static void client_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct peer *peer = rt_container_of(conn, struct peer, conn);
    saw_frame(peer, frame);
    if (peer->pings_in_turn) frame_send(peer, conn);
}

static void client_closed(struct rt_conn *conn, rt_err why) {
    struct peer *peer = rt_container_of(conn, struct peer, conn);
    peer->is_connected = false;
    saw_close(peer, why);
    rt_timer_cancel(&peer->ping);
    if (peer->redials) rt_timer_after(&peer->redial, 10 * RT_NS_PER_MS);
}

static const struct rt_conn_events client_events = {.name = "test.client",
                                                    .on_open = client_open,
                                                    .on_frame = client_frame,
                                                    .on_closed = client_closed};

static void on_redial(struct rt_timer *timer) {
    struct peer *peer = rt_container_of(timer, struct peer, redial);
    rt_conn_dial(&peer->conn, peer->loop, peer->dial, &client_events, &patient);
}

// THE PROCESS

static void peer_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct peer *peer = rt_container_of(program, struct peer, program);
    peer->machine = machine;
    peer->loop = machine->loops[0];
    peer->boots++;
    if (peer->listen) {
        bool spread = machine->loop_count > 1;
        peer->listen_err = rt_listener_open(&peer->listener, peer->loop, peer->listen,
                                            &listener_events, spread, NULL, NULL);
        if (!peer->listen_err) peer->port = rt_listener_port(&peer->listener);
    }
    rt_timer_init(&peer->ping, peer->loop, on_ping, "test.ping");
    rt_timer_init(&peer->redial, peer->loop, on_redial, "test.redial");
    if (peer->dial) on_redial(&peer->redial);
}

static void peer_crashed(struct rt_sim_program *program) {
    struct peer *peer = rt_container_of(program, struct peer, program);
    peer->crashes++;
    peer->machine = NULL;
    peer->loop = NULL;
    peer->is_connected = false;
}

void peer_add(struct peer *peer, struct rt_sim *sim, const char *name, unsigned loop_count) {
    peer->program = (struct rt_sim_program){.boot = peer_boot, .crashed = peer_crashed};
    peer->sim = sim;
    peer->node = rt_sim_node_add(sim, name, loop_count, &peer->program);
}

void peer_start(struct peer *peer, struct rt_sim *sim, const char *name) {
    peer_add(peer, sim, name, 1);
    rt_sim_start(peer->node);
}

static void on_close_asked(struct rt_task *task) {
    struct peer *peer = rt_container_of(task, struct peer, close_task);
    rt_conn_close(&peer->conn, RT_OK);
}

void peer_close(struct peer *peer) {
    rt_task_init(&peer->close_task, on_close_asked, "test.close");
    rt_post(peer->loop, &peer->close_task);
}

// A PAIR

void pair_open(struct pair *pair, uint64_t seed) {
    memset(pair, 0, sizeof *pair);
    pair->sim = rt_sim_new(&(struct rt_sim_options){.seed = seed});
    pair->server.listen = "tcp://*:7000";
    pair->client.dial = "tcp://server:7000";
    peer_add(&pair->server, pair->sim, "server", 1);
    peer_add(&pair->client, pair->sim, "client", 1);
}

void pair_start(struct pair *pair) {
    rt_sim_start(pair->server.node);
    rt_sim_run_for(pair->sim, RT_NS_PER_MS);
    rt_sim_start(pair->client.node);
}

void pair_connect(struct pair *pair) {
    pair_start(pair);
    rt_sim_run_for(pair->sim, 100 * RT_NS_PER_MS);
    cr_assert(pair->client.is_connected, "the client is not connected");
    cr_assert_eq(pair->server.accepted, 1);
}

void pair_close(struct pair *pair) {
    cr_expect(!rt_sim_failed(pair->sim), "%s", rt_sim_failure(pair->sim));
    rt_sim_free(pair->sim);
}
