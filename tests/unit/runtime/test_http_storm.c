// Many peers that say anything, in any pieces, and leave at any moment: every request that reached
// a handler is answered once, the server closes in the middle of it, and nothing is left behind.
#include <criterion/criterion.h>
#include <stdatomic.h>

#include "runtime/http.h"
#include "tests/lib/harness.h"

enum { PEERS = 24, DIALS = 240, BODY_MAX = 4000, SEEDS = 6, STREAM_CHUNK = 48 << 10 };

struct peer {
    struct storm *storm;
    struct rt_conn conn;
    struct rt_timer timer;
    struct rt_buf script;  // what it is still going to say
    size_t said;
    bool open;
};

struct storm {
    struct harness harness;
    struct rt_loop *loop;
    struct rt_random random;
    struct rt_http_owner owner;
    struct rt_http_server *server;
    struct rt_http_closing closing;
    struct peer peers[PEERS];
    unsigned dials, peers_open;
    bool server_closed, server_closing, ended;
    atomic_uint runs, replies;
};

static struct storm *storm_of(const struct rt_http_request *request) {
    return rt_container_of(rt_http_owner(request), struct storm, owner);
}

// HANDLERS

static void count_reply(struct storm *storm) {
    atomic_fetch_add(&storm->replies, 1);
}

static void on_echo(struct rt_http_request *request) {
    struct storm *storm = storm_of(request);
    atomic_fetch_add(&storm->runs, 1);
    rt_http_reply(request, 200, "text/plain", rt_http_body(request));
    count_reply(storm);
}

struct later {
    struct rt_timer timer;
    struct rt_http_drain drain;
    struct rt_http_request *request;
    uint64_t chunks;
};

static void later_fire(struct rt_timer *timer) {
    struct later *later = rt_container_of(timer, struct later, timer);
    struct storm *storm = storm_of(later->request);
    rt_http_reply(later->request, 200, "text/plain", RT_BYTES_LITERAL("later"));
    count_reply(storm);
}

static struct later *later_new(struct rt_http_request *request) {
    struct later *later = rt_arena_zero(rt_http_arena(request), 1, sizeof(*later));
    struct rt_loop *loop = rt_http_loop(request);
    atomic_fetch_add(&storm_of(request)->runs, 1);
    later->request = request;
    rt_timer_init(&later->timer, loop, later_fire, "later");
    return later;
}

static void on_later(struct rt_http_request *request) {
    struct later *later = later_new(request);
    struct rt_random *random = rt_loop_random(rt_http_loop(request));
    rt_timer_after(&later->timer, rt_random_below(random, 3 * RT_NS_PER_MS));
}

static void stream_go_on(struct rt_http_drain *drain) {
    static const uint8_t chunk[STREAM_CHUNK];
    struct later *later = rt_container_of(drain, struct later, drain);
    struct storm *storm = storm_of(later->request);
    for (; later->chunks > 0; later->chunks--) {
        if (!rt_http_reply_chunk(later->request, RT_BYTES(chunk, sizeof(chunk)))) return;
    }
    if (rt_random_chance(rt_loop_random(rt_http_loop(later->request)), 100000)) {
        rt_http_reply_abort(later->request);
    } else {
        rt_http_reply_end(later->request);
    }
    count_reply(storm);
}

static void on_stream(struct rt_http_request *request) {
    struct later *later = later_new(request);
    later->chunks = rt_random_below(rt_loop_random(rt_http_loop(request)), 60);
    later->drain.drained = stream_go_on;
    rt_http_on_drained(request, &later->drain);
    rt_http_reply_begin(request, 200, "application/octet-stream");
    stream_go_on(&later->drain);
}

static const struct rt_http_route routes[] = {
    {"*", "/echo", on_echo, ""},
    {"GET", "/later", on_later, ""},
    {"GET", "/stream", on_stream, ""},
};

// PEERS

static void say_body(struct rt_buf *script, struct rt_random *random) {
    size_t size = (size_t)rt_random_below(random, BODY_MAX + BODY_MAX / 8);
    rt_buf_print(script, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", size);
    for (size_t i = 0; i < size; i++) rt_buf_append(script, RT_BYTES_LITERAL("b"));
}

static void say_request(struct rt_buf *script, struct rt_random *random) {
    static const char *const requests[] = {
        "GET /later HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n",
        "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        "GET /later HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /stream HTTP/1.0\r\n\r\n",
        "GET /later HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        "GET / HTTP/1.1\n",
    };
    enum { COUNT = sizeof(requests) / sizeof(requests[0]), FAIR = 6 };
    uint64_t kind = rt_random_below(random, rt_random_chance(random, 100000) ? COUNT : FAIR + 1);
    if (kind == FAIR) {
        say_body(script, random);
    } else {
        rt_buf_print(script, "%s", requests[kind]);
    }
}

static void storm_step(struct storm *storm);

static void peer_go_on(struct rt_timer *timer) {
    struct peer *peer = rt_container_of(timer, struct peer, timer);
    struct rt_random *random = &peer->storm->random;
    struct rt_bytes left = rt_bytes_skip(rt_buf_bytes(&peer->script), peer->said);
    size_t size = (size_t)rt_random_below(random, 2000);
    if (size > left.size) size = left.size;
    rt_conn_send(&peer->conn, RT_BYTES(left.data, size));
    peer->said += size;
    if (left.size == 0 || rt_random_chance(random, 30000)) {
        if (rt_random_chance(random, 500000)) {
            rt_conn_close(&peer->conn, RT_OK);
        } else {
            rt_conn_finish(&peer->conn);
        }
        return;
    }
    if (rt_random_chance(random, 200000)) rt_conn_pause(&peer->conn);
    if (rt_random_chance(random, 500000)) rt_conn_resume(&peer->conn);
    rt_timer_after(timer, rt_random_below(random, 2 * RT_NS_PER_MS));
}

static void peer_open(struct rt_conn *conn) {
    struct peer *peer = rt_container_of(conn, struct peer, conn);
    rt_timer_after(&peer->timer, 0);
}

static void peer_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    (void)conn;
    (void)frame;  // replies are for others to judge
}

static void peer_closed(struct rt_conn *conn, rt_err why) {
    struct peer *peer = rt_container_of(conn, struct peer, conn);
    (void)why;
    rt_timer_cancel(&peer->timer);
    rt_buf_fini(&peer->script);
    peer->open = false;
    peer->storm->peers_open--;
    storm_step(peer->storm);
}

static void peer_dial(struct peer *peer) {
    static const struct rt_conn_events events = {
        .name = "peer", .on_open = peer_open, .on_frame = peer_frame, .on_closed = peer_closed};
    static const struct rt_stream_options options = {.framing = RT_FRAMES_RAW,
                                                     .frame_timeout_ms = RT_NO_TIMEOUT};
    struct storm *storm = peer->storm;
    peer->open = true;
    peer->said = 0;
    storm->peers_open++;
    storm->dials++;
    for (uint64_t n = rt_random_between(&storm->random, 1, 40); n > 0; n--) {
        say_request(&peer->script, &storm->random);
    }
    rt_timer_init(&peer->timer, storm->loop, peer_go_on, "peer");
    rt_conn_dial(&peer->conn, storm->loop, storm->harness.dial, &events, &options);
}

// THE STORM

static void server_closed(struct rt_http_closing *closing) {
    struct storm *storm = rt_container_of(closing, struct storm, closing);
    storm->server_closed = true;
    storm_step(storm);
}

static void storm_step(struct storm *storm) {
    for (unsigned i = 0; i < PEERS && storm->dials < DIALS; i++) {
        if (!storm->peers[i].open) peer_dial(&storm->peers[i]);
    }
    if (storm->dials == DIALS && !storm->server_closing) {
        storm->server_closing = true;
        storm->closing.closed = server_closed;
        rt_http_server_close(storm->server, &storm->closing);
    }
    if (!storm->server_closed || storm->peers_open || storm->ended) return;
    storm->ended = true;
    HARNESS_CHECK(&storm->harness, rt_budget_used(&storm->harness.machines[0]->budget) == 0);
    HARNESS_CHECK(&storm->harness, atomic_load(&storm->runs) > 0);
    HARNESS_CHECK(&storm->harness, atomic_load(&storm->runs) == atomic_load(&storm->replies));
    harness_end(&storm->harness);
}

static void on_start(struct harness *harness, struct rt_loop *loop) {
    struct storm *storm = rt_container_of(harness, struct storm, harness);
    const struct rt_http_options options = {.body_size_max = BODY_MAX,
                                            .connections_max = PEERS,
                                            .spread = true,
                                            .owner = &storm->owner};
    struct rt_why why = {0};
    storm->loop = loop;
    for (unsigned i = 0; i < PEERS; i++) storm->peers[i].storm = storm;
    if (rt_http_server_open(loop, harness->listen, routes, sizeof(routes) / sizeof(routes[0]),
                            &options, &storm->server, &why)) {
        harness_fail(harness, "%s", why.text);
        return;
    }
    harness_ready(harness, rt_http_server_port(storm->server));
    storm_step(storm);
}

static void check_storm(const char *transport, bool real, uint64_t seed) {
    struct storm *storm = RT_NEW(struct storm);
    storm->harness.transport = transport;
    storm->harness.place = HARNESS_TWO_LOOPS;
    storm->harness.seed = seed;
    storm->harness.sides[0].start = on_start;
    rt_random_seed(&storm->random, seed);
    bool good = real ? harness_run_real(&storm->harness) : harness_run_sim(&storm->harness);
    cr_assert(good, "%s over %s, seed %lu: %s", real ? "real" : "simulated", transport,
              (unsigned long)seed, storm->harness.failure);
    rt_free(storm);
}

Test(runtime_http_storm, is_survived_over_sockets) {
    check_storm("tcp", true, 1);
}

Test(runtime_http_storm, is_survived_in_process) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) check_storm("inproc", true, seed);
}

Test(runtime_http_storm, is_survived_in_the_simulator) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) check_storm("tcp", false, seed);
}
