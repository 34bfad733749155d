#include "cli/http_fetch.h"

#include <stdio.h>
#include <string.h>

#include "runtime/latch.h"

enum { ANSWER_SIZE_MAX = 64 << 20 };

struct fetch {
    struct rt_conn conn;
    struct rt_task start;
    struct rt_loop *loop;
    struct rt_latch *done;
    const char *address, *method, *target;
    struct rt_buf *answer;
    rt_err err;
};

static struct fetch *fetch_of(struct rt_conn *conn) {
    return rt_container_of(conn, struct fetch, conn);
}

static void on_open(struct rt_conn *conn) {
    const struct fetch *fetch = fetch_of(conn);
    struct rt_buf request = {0};
    rt_buf_print(&request, "%s %s HTTP/1.0\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", fetch->method,
                 fetch->target, fetch->address + strlen("tcp://"));
    rt_conn_send(conn, rt_buf_bytes(&request));
    rt_buf_fini(&request);
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct fetch *fetch = fetch_of(conn);
    if (fetch->answer->size + frame->size > ANSWER_SIZE_MAX) {
        rt_conn_close(conn, RT_ETOOBIG);
        return;
    }
    rt_buf_append(fetch->answer, rt_frame_bytes(frame, 0, frame->size));
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    struct fetch *fetch = fetch_of(conn);
    fetch->err = why;
    rt_latch_open(fetch->done);
}

static void fetch_start(struct rt_task *task) {
    static const struct rt_conn_events events = {
        .name = "fetch", .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed};
    struct fetch *fetch = rt_container_of(task, struct fetch, start);
    struct rt_stream_options options = {.framing = RT_FRAMES_RAW, .open_timeout_ms = 5000};
    rt_conn_dial(&fetch->conn, fetch->loop, fetch->address, &events, &options);
}

rt_err http_fetch(struct rt_machine *machine, const char *address, const char *method,
                  const char *target, struct rt_buf *answer) {
    struct fetch fetch = {.address = address, .method = method, .target = target, .answer = answer};
    fetch.loop = rt_machine_loop(machine, 0);
    fetch.done = rt_latch_new();
    rt_task_init(&fetch.start, fetch_start, "fetch");
    rt_post(fetch.loop, &fetch.start);
    rt_latch_wait(fetch.done);
    rt_latch_free(fetch.done);
    rt_buf_append(answer, RT_BYTES("", 1));
    answer->size--;  // it has a NUL behind it, which does not count
    return fetch.err;
}

bool http_address_from_url(const char *url, char address[HTTP_ADDRESS_SIZE]) {
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, strlen(scheme)) != 0) return false;
    const char *host = url + strlen(scheme);
    size_t size = strcspn(host, "/");
    const char *port = memrchr(host, ':', size) ? "" : ":80";
    if (size == 0 || size > HTTP_ADDRESS_SIZE - 16) return false;
    snprintf(address, HTTP_ADDRESS_SIZE, "tcp://%.*s%s", (int)size, host, port);
    return true;
}
