// Listening and dialing on the real machine: addresses, errors, and running out of descriptors.
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/stream.h"
#include "tests/lib/harness.h"

static void run(void (*start)(struct harness *harness, struct rt_loop *loop), bool two_loops) {
    static struct harness harness;
    harness.sides[0].start = start;
    harness.place = two_loops ? HARNESS_TWO_LOOPS : HARNESS_ONE_LOOP;
    cr_assert(harness_run_real(&harness), "%s", harness.failure);
}

// LISTENING

static unsigned listeners_open;

static void nobody_comes(struct rt_listener *listener, struct rt_loop *loop,
                         struct rt_incoming *incoming) {
    (void)listener;
    (void)loop;
    rt_incoming_refuse(incoming);
}

static struct harness *harness_now;

static void one_closed(struct rt_listener *listener) {
    (void)listener;
    if (--listeners_open == 0) harness_end(harness_now);
}

static const struct rt_listener_events quiet_events = {
    .name = "quiet", .on_incoming = nobody_comes, .on_closed = one_closed};

static rt_err open_quiet(struct rt_listener *listener, struct rt_loop *loop, const char *address,
                         struct rt_why *why) {
    rt_err err = rt_listener_open(listener, loop, address, &quiet_events, false, NULL, why);
    if (!err) listeners_open++;
    return err;
}

static void forms_start(struct harness *harness, struct rt_loop *loop) {
    static const char *const forms[] = {"tcp://127.0.0.1:0", "tcp://localhost:0", "tcp://0.0.0.0:0",
                                        "tcp://*:0",         "tcp://:0",          "tcp://[::1]:0"};
    static struct rt_listener listeners[sizeof(forms) / sizeof(forms[0])];
    harness_now = harness;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct rt_why why;
        rt_err err = open_quiet(&listeners[i], loop, forms[i], &why);
        if (err) harness_fail(harness, "%s", why.text);
        HARNESS_CHECK(harness, err || rt_listener_port(&listeners[i]) > 0);
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) rt_listener_close(&listeners[i]);
}

Test(runtime_stream_listen, every_form_of_a_host_can_be_listened_on) {
    run(forms_start, false);
}

static void in_use_start(struct harness *harness, struct rt_loop *loop) {
    static struct rt_listener first, second;
    harness_now = harness;
    struct rt_why why;
    char address[64];
    HARNESS_CHECK(harness, !open_quiet(&first, loop, "tcp://127.0.0.1:0", NULL));
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", rt_listener_port(&first));
    HARNESS_CHECK(harness, open_quiet(&second, loop, address, &why) == RT_EADDRINUSE);
    char expected[128];
    snprintf(expected, sizeof(expected), "listening on %s: address in use", address);
    HARNESS_CHECK(harness, strcmp(why.text, expected) == 0);
    rt_listener_close(&first);
}

Test(runtime_stream_listen, port_in_use_is_refused_with_its_address) {
    run(in_use_start, false);
}

static void name_in_use_start(struct harness *harness, struct rt_loop *loop) {
    static struct rt_listener first, second;
    harness_now = harness;
    struct rt_why why;
    HARNESS_CHECK(harness, !open_quiet(&first, loop, "inproc://here", NULL));
    HARNESS_CHECK(harness, open_quiet(&second, loop, "inproc://here", &why) == RT_EADDRINUSE);
    HARNESS_CHECK(harness, strcmp(why.text, "listening on inproc://here: address in use") == 0);
    rt_listener_close(&first);
}

Test(runtime_stream_listen, name_in_use_is_refused_with_its_address) {
    run(name_in_use_start, false);
}

static void bad_start(struct harness *harness, struct rt_loop *loop) {
    static const char *const bad[] = {"",
                                      "nowhere",
                                      "tcp://",
                                      "tcp://127.0.0.1",
                                      "udp://*:1",
                                      "tcp://127.0.0.1:70000",
                                      "tcp://203.0.113.7:0",
                                      "tcp://no-such-host.invalid:0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rt_listener listener;
        struct rt_why why;
        if (open_quiet(&listener, loop, bad[i], &why) != RT_EADDRESS)
            harness_fail(harness, "\"%s\" was not refused as an address", bad[i]);
        else if (!strstr(why.text, bad[i]))
            harness_fail(harness, "\"%s\" is not named by: %s", bad[i], why.text);
        HARNESS_CHECK(harness, open_quiet(&listener, loop, bad[i], NULL) == RT_EADDRESS);
    }
    harness_end(harness);
}

Test(runtime_stream_listen, address_that_is_none_or_not_ours_is_refused_and_named) {
    run(bad_start, false);
}

// DIALING

static void dialed_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    (void)conn;
    (void)frame;
    harness_fail(harness_now, "a frame came");
}

struct dialer {
    struct rt_conn conn;
    rt_err expected;
};

static struct dialer dialers[8];
static unsigned dialers_open;

static void dialed_closed(struct rt_conn *conn, rt_err why) {
    struct dialer *dialer = rt_container_of(conn, struct dialer, conn);
    if (why != dialer->expected)
        harness_fail(harness_now, "dialer %zu closed with %s, not %s", (size_t)(dialer - dialers),
                     rt_err_name(why), rt_err_name(dialer->expected));
    if (--dialers_open == 0) harness_end(harness_now);
}

static const struct rt_conn_events dialed_events = {
    .name = "dialed", .on_frame = dialed_frame, .on_closed = dialed_closed};

static void dial(struct rt_loop *loop, const char *address, uint64_t timeout_ms, rt_err expected) {
    const struct rt_stream_options options = {.open_timeout_ms = timeout_ms};
    struct dialer *dialer = &dialers[dialers_open++];
    dialer->expected = expected;
    rt_conn_dial(&dialer->conn, loop, address, &dialed_events, &options);
}

// A port that nobody listens on, for as long as the socket stays bound.
static int bind_port(struct sockaddr_in *address, int backlog) {
    socklen_t size = sizeof(*address);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)address, size), 0);
    if (backlog >= 0) cr_assert_eq(listen(fd, backlog), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &size), 0);
    return fd;
}

static void failures_start(struct harness *harness, struct rt_loop *loop) {
    struct sockaddr_in nobody;
    bind_port(&nobody, -1);
    char address[64];
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", ntohs(nobody.sin_port));
    harness_now = harness;
    dial(loop, address, 0, RT_EREFUSED);
    dial(loop, "tcp://no-such-host.invalid:1", 0, RT_ENOTFOUND);
    dial(loop, "tcp://127.0.0.1:0", 0, RT_EADDRESS);
    dial(loop, "tcp://*:1", 0, RT_EADDRESS);
    dial(loop, "nonsense", 0, RT_EADDRESS);
    dial(loop, "carrier-pigeon://home:1", 0, RT_EADDRESS);
    dial(loop, "inproc://nobody", 0, RT_EREFUSED);
    HARNESS_CHECK(harness, dialers_open == 7);
}

Test(runtime_stream_listen, dial_that_fails_says_why_and_later) {
    run(failures_start, false);
}

// How many connections wait to be accepted.
static unsigned accept_queue_length(int listener) {
    struct tcp_info info;
    socklen_t size = sizeof(info);
    cr_assert_eq(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_unacked;
}

// The kernel answers no more connects once a listener's queue is full.
static void unanswered_start(struct harness *harness, struct rt_loop *loop) {
    struct sockaddr_in deaf;
    int listener = bind_port(&deaf, 0);
    int waiting = socket(AF_INET, SOCK_STREAM, 0);
    HARNESS_CHECK(harness, !connect(waiting, (struct sockaddr *)&deaf, sizeof(deaf)));
    while (accept_queue_length(listener) == 0) sched_yield();
    char address[64];
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", ntohs(deaf.sin_port));
    harness_now = harness;
    dial(loop, address, 50, RT_ETIMEDOUT);
}

Test(runtime_stream_listen, unanswered_dial_runs_out_of_time) {
    run(unanswered_start, false);
}

static void abandoned_start(struct harness *harness, struct rt_loop *loop) {
    harness_now = harness;
    dial(loop, "tcp://127.0.0.1:9", 0, RT_ECANCELED);
    dial(loop, "tcp://no-such-host.invalid:9", 0, RT_ECANCELED);
    dial(loop, "inproc://nobody", 0, RT_ECANCELED);
    for (unsigned i = 0; i < 3; i++) rt_conn_close(&dialers[i].conn, RT_ECANCELED);
    HARNESS_CHECK(harness, dialers_open == 3);
}

Test(runtime_stream_listen, dial_that_is_closed_at_once_ends_once) {
    run(abandoned_start, false);
}

// SPREADING: four clients of a spread listener land on both loops by turns.

static struct rt_conn guests[4], hosts[4];
static atomic_uint spread_conns_closed, hosts_on_loop[2];
static struct rt_listener spread_listener;
static struct rt_task spread_close;

static void spread_close_run(struct rt_task *task) {
    (void)task;
    rt_listener_close(&spread_listener);
}

static void spread_count_closed(void) {
    if (atomic_fetch_add(&spread_conns_closed, 1) == 7)
        rt_post(spread_listener.loop, &spread_close);
}

static void host_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    (void)frame;
    rt_conn_close(conn, RT_OK);
}

static void host_closed(struct rt_conn *conn, rt_err why) {
    (void)conn;
    HARNESS_CHECK(harness_now, why == RT_OK);
    spread_count_closed();
}

static const struct rt_conn_events host_events = {
    .name = "host", .on_frame = host_frame, .on_closed = host_closed};

static void guest_comes(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    (void)listener;
    HARNESS_CHECK(harness_now, rt_loop_is_current(loop));
    static atomic_uint next;
    atomic_fetch_add(&hosts_on_loop[rt_loop_index(loop)], 1);
    rt_conn_accept(&hosts[atomic_fetch_add(&next, 1)], loop, incoming, &host_events, NULL);
}

static void guest_open(struct rt_conn *conn) {
    rt_conn_send(conn, RT_BYTES_LITERAL("\0\0\0\0"));
}

static void guest_closed(struct rt_conn *conn, rt_err why) {
    (void)conn;
    HARNESS_CHECK(harness_now, why == RT_OK);
    spread_count_closed();
}

static const struct rt_conn_events guest_events = {
    .name = "guest", .on_open = guest_open, .on_frame = dialed_frame, .on_closed = guest_closed};

static void spread_closed(struct rt_listener *listener) {
    (void)listener;
    HARNESS_CHECK(harness_now, hosts_on_loop[0] == 2 && hosts_on_loop[1] == 2);
    harness_end(harness_now);
}

static const struct rt_listener_events spread_events = {
    .name = "spread", .on_incoming = guest_comes, .on_closed = spread_closed};

static void spread_start(struct harness *harness, struct rt_loop *loop) {
    harness_now = harness;
    rt_task_init(&spread_close, spread_close_run, "close");
    rt_err err = rt_listener_open(&spread_listener, loop, "tcp://127.0.0.1:0", &spread_events, true,
                                  NULL, NULL);
    HARNESS_CHECK(harness, !err);
    char address[64];
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", rt_listener_port(&spread_listener));
    for (unsigned i = 0; i < 4; i++) rt_conn_dial(&guests[i], loop, address, &guest_events, NULL);
}

Test(runtime_stream_listen, spread_connections_take_turns_on_the_loops) {
    run(spread_start, true);
}

// OUT OF DESCRIPTORS: while there are none, accepts fail quietly; then the waiting peer is served.

static struct rt_listener starved_listener;
static struct rt_conn starved_conn;
static struct rt_timer starved_timer;
static int plug[1024], plug_count, outside;
static struct sockaddr_in starved_address;

static void starved_tick(struct rt_timer *timer) {
    if (harness_log_lines(harness_now) == 0) {
        rt_timer_after(timer, RT_NS_PER_MS);
        return;
    }
    for (int i = 0; i < plug_count; i++) close(plug[i]);
}

static void starved_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    HARNESS_CHECK(harness_now, frame->size == 2);
    HARNESS_CHECK(harness_now, harness_log_lines(harness_now) <= 2);
    rt_conn_close(conn, RT_OK);
}

static void starved_closed(struct rt_conn *conn, rt_err why) {
    (void)conn;
    HARNESS_CHECK(harness_now, why == RT_OK);
    close(outside);
    listeners_open = 1;
    rt_listener_close(&starved_listener);
}

static const struct rt_conn_events starved_events = {
    .name = "starved", .on_frame = starved_frame, .on_closed = starved_closed};

static void starved_comes(struct rt_listener *listener, struct rt_loop *loop,
                          struct rt_incoming *incoming) {
    (void)listener;
    rt_conn_accept(&starved_conn, loop, incoming, &starved_events, NULL);
}

static const struct rt_listener_events starved_listener_events = {
    .name = "starved", .on_incoming = starved_comes, .on_closed = one_closed};

static void starved_start(struct harness *harness, struct rt_loop *loop) {
    harness_now = harness;
    rt_err err = rt_listener_open(&starved_listener, loop, "tcp://127.0.0.1:0",
                                  &starved_listener_events, false, NULL, NULL);
    HARNESS_CHECK(harness, !err);
    starved_address = (struct sockaddr_in){.sin_family = AF_INET,
                                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                           .sin_port = htons(rt_listener_port(&starved_listener))};
    outside = socket(AF_INET, SOCK_STREAM, 0);
    struct rlimit limit = {.rlim_cur = 128, .rlim_max = 128};
    HARNESS_CHECK(harness, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while ((plug[plug_count] = open("/dev/null", O_RDONLY)) >= 0) plug_count++;
    socklen_t size = sizeof(starved_address);
    HARNESS_CHECK(harness, !connect(outside, (struct sockaddr *)&starved_address, size));
    HARNESS_CHECK(harness, write(outside, "\0\0\0\2hi", 6) == 6);
    rt_timer_init(&starved_timer, loop, starved_tick, "starved");
    rt_timer_after(&starved_timer, 250 * RT_NS_PER_MS);
}

Test(runtime_stream_listen, listener_recovers_from_running_out_of_descriptors) {
    run(starved_start, false);
}
