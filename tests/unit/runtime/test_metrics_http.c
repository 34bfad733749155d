// A scrape too large for one turn, over a real socket: read as it comes, and left unread.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "runtime/latch.h"
#include "runtime/metrics.h"
#include "runtime/metrics_http.h"
#include "runtime/real/real.h"

enum { SERIES = 100000, ADDRESS_SIZE = 64 };

static const struct rt_http_route routes[] = {{"GET", "/metrics", rt_metrics_reply, "metrics"}};

struct fixture {
    struct rt_machine *machine;
    struct rt_counter *counters;
    struct rt_http_server *server;
    struct rt_http_closing closing;
    struct rt_task step;
    struct rt_conn conn;
    bool reads;  // else the peer goes after the first bytes, without reading on
    char address[ADDRESS_SIZE];
    struct rt_buf answer;
    struct rt_latch *ended;
};

static void fixture_open(struct fixture *f, bool reads) {
    *f = (struct fixture){.reads = reads, .ended = rt_latch_new()};
    struct rt_real_options options = {.loop_count = 1};
    cr_assert_eq(rt_real_open(&options, &f->machine, NULL), RT_OK);
    f->counters = rt_alloc_zero(SERIES, sizeof(*f->counters));
    for (int i = 0; i < SERIES; i++) {
        char labels[64];
        snprintf(labels, sizeof(labels), "topic=\"persistent://public/default/%d\"", i);
        rt_counter_register(&f->counters[i], f->machine->metrics, "pulsar_msgs_total", "M.",
                            labels);
    }
    rt_err err = rt_http_server_open(rt_machine_loop(f->machine, 0), "tcp://127.0.0.1:0", routes, 1,
                                     NULL, &f->server, NULL);
    cr_assert_eq(err, RT_OK);
    snprintf(f->address, sizeof(f->address), "tcp://127.0.0.1:%u", rt_http_server_port(f->server));
    rt_real_start(f->machine);
}

static void on_open(struct rt_conn *conn) {
    rt_conn_send(conn, RT_BYTES_LITERAL("GET /metrics HTTP/1.0\r\nHost: a\r\n\r\n"));
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct fixture *f = rt_container_of(conn, struct fixture, conn);
    rt_buf_append(&f->answer, rt_frame_bytes(frame, 0, frame->size));
    if (!f->reads) rt_conn_close(conn, RT_OK);
}

static void on_server_closed(struct rt_http_closing *closing) {
    rt_latch_open(rt_container_of(closing, struct fixture, closing)->ended);
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    struct fixture *f = rt_container_of(conn, struct fixture, conn);
    (void)why;
    f->closing.closed = on_server_closed;
    rt_http_server_close(f->server, &f->closing);
}

static void dial(struct rt_task *task) {
    static const struct rt_conn_events events = {
        .name = "scraper", .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed};
    struct fixture *f = rt_container_of(task, struct fixture, step);
    struct rt_stream_options options = {.framing = RT_FRAMES_RAW};
    rt_conn_dial(&f->conn, rt_machine_loop(f->machine, 0), f->address, &events, &options);
}

static void scrape(struct fixture *f) {
    rt_task_init(&f->step, dial, "dial");
    rt_post(rt_machine_loop(f->machine, 0), &f->step);
    rt_latch_wait(f->ended);
}

static void fixture_close(struct fixture *f) {
    for (int i = 0; i < SERIES; i++) rt_metric_unregister(&f->counters[i].metric);
    rt_real_close(f->machine);
    rt_latch_free(f->ended);
    rt_buf_fini(&f->answer);
    rt_free(f->counters);
}

Test(runtime_metrics_http, a_large_scrape_is_whole_and_takes_many_turns) {
    struct fixture f;
    fixture_open(&f, true);
    scrape(&f);
    size_t samples = 0;
    const char *text = (const char *)f.answer.data;
    for (size_t i = 0; i + 1 < f.answer.size; i++) samples += text[i] == '\n' && text[i + 1] == 'p';
    cr_assert_eq(samples, SERIES);
    cr_assert(rt_loop_stats(rt_machine_loop(f.machine, 0)).turns > f.answer.size / (128 << 10));
    fixture_close(&f);
}

Test(runtime_metrics_http, a_peer_that_goes_in_the_middle_ends_its_scrape) {
    struct fixture f;
    fixture_open(&f, false);
    scrape(&f);
    cr_assert(f.answer.size > 0);
    fixture_close(&f);
}
