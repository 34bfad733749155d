// A running node, from its /metrics: a small HTTP/1.0 client over a raw stream, so that the answer
// ends with the connection and needs no framing.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "runtime/latch.h"
#include "runtime/mem.h"
#include "runtime/stream.h"

enum { ADDRESS_SIZE = 300, ANSWER_SIZE_MAX = 64 << 20, LOOPS_MAX = 256 };

struct fetch {
    struct rt_conn conn;
    struct rt_task start;
    struct rt_loop *loop;
    struct rt_latch *done;
    char address[ADDRESS_SIZE];
    struct rt_buf answer;
    rt_err err;
};

static struct fetch *fetch_of(struct rt_conn *conn) {
    return rt_container_of(conn, struct fetch, conn);
}

static void on_open(struct rt_conn *conn) {
    struct rt_buf request = {0};
    rt_buf_print(&request, "GET /metrics HTTP/1.0\r\nHost: %s\r\n\r\n",
                 fetch_of(conn)->address + strlen("tcp://"));
    rt_conn_send(conn, rt_buf_bytes(&request));
    rt_buf_fini(&request);
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct fetch *fetch = fetch_of(conn);
    if (fetch->answer.size + frame->size > ANSWER_SIZE_MAX) {
        rt_conn_close(conn, RT_ETOOBIG);
        return;
    }
    rt_buf_append(&fetch->answer, rt_frame_bytes(frame, 0, frame->size));
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    struct fetch *fetch = fetch_of(conn);
    fetch->err = why;
    rt_latch_open(fetch->done);
}

static void fetch_start(struct rt_task *task) {
    static const struct rt_conn_events events = {
        .name = "doctor", .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed};
    struct fetch *fetch = rt_container_of(task, struct fetch, start);
    struct rt_stream_options options = {.framing = RT_FRAMES_RAW, .open_timeout_ms = 5000};
    rt_conn_dial(&fetch->conn, fetch->loop, fetch->address, &events, &options);
}

static void fetch_run(struct fetch *fetch, struct rt_machine *machine) {
    fetch->loop = rt_machine_loop(machine, 0);
    fetch->done = rt_latch_new();
    rt_task_init(&fetch->start, fetch_start, "doctor fetch");
    rt_post(fetch->loop, &fetch->start);
    rt_latch_wait(fetch->done);
    rt_latch_free(fetch->done);
}

// http://host:port/anything to tcp://host:port.
static bool address_from_url(const char *url, char address[ADDRESS_SIZE]) {
    static const char scheme[] = "http://";
    if (strncmp(url, scheme, strlen(scheme)) != 0) return false;
    const char *host = url + strlen(scheme);
    size_t size = strcspn(host, "/");
    const char *port = memrchr(host, ':', size) ? "" : ":80";
    if (size == 0 || size > ADDRESS_SIZE - 16) return false;
    snprintf(address, ADDRESS_SIZE, "tcp://%.*s%s", (int)size, host, port);
    return true;
}

// Reads `name{loop="3"} 12.5` of one loop; false when the text has no such line.
static bool loop_value(const char *text, const char *name, unsigned loop, double *value) {
    char start[128];
    int size = snprintf(start, sizeof(start), "\n%s{loop=\"%u\"} ", name, loop);
    const char *line = strstr(text, start);
    if (!line) return false;
    *value = strtod(line + size, NULL);
    return true;
}

static bool plain_value(const char *text, const char *name, double *value) {
    char start[128];
    int size = snprintf(start, sizeof(start), "\n%s ", name);
    const char *line = strstr(text, start);
    if (!line) return false;
    *value = strtod(line + size, NULL);
    return true;
}

static bool show_loop(struct doctor *doctor, const char *text, unsigned loop) {
    double turns = 0, tasks = 0, busy_s = 0, slow = 0, longest_s = 0;
    bool there = loop_value(text, "geminga_loop_turns_total", loop, &turns) &&
                 loop_value(text, "geminga_loop_tasks_total", loop, &tasks) &&
                 loop_value(text, "geminga_loop_busy_seconds_total", loop, &busy_s) &&
                 loop_value(text, "geminga_loop_slow_callbacks_total", loop, &slow) &&
                 loop_value(text, "geminga_loop_longest_callback_seconds", loop, &longest_s);
    if (!there) return false;
    char name[32];
    snprintf(name, sizeof(name), "loop %u", loop);
    doctor_fact(name, "turns %.0f, tasks %.0f, busy %.3f s, longest callback %.3f ms", turns, tasks,
                busy_s, longest_s * 1e3);
    if (slow > 0) {
        doctor_warn(doctor, "loop %u had %.0f callbacks over 10 ms; the log names them", loop,
                    slow);
    }
    return true;
}

static void show_answer(struct doctor *doctor, const char *text) {
    if (strncmp(text, "HTTP/1.", 7) != 0 || strncmp(text + 8, " 200", 4) != 0) {
        doctor_warn(doctor, "it answered \"%.*s\"", (int)strcspn(text, "\r\n"), text);
        return;
    }
    double resident = 0, used = 0, limit = 0;
    if (plain_value(text, "process_resident_memory_bytes", &resident)) {
        doctor_fact("resident", "%.1f MiB", resident / (1 << 20));
    }
    if (plain_value(text, "geminga_memory_budget_used_bytes", &used) &&
        plain_value(text, "geminga_memory_budget_limit_bytes", &limit)) {
        doctor_fact("payload memory", "%.1f of %.1f MiB", used / (1 << 20), limit / (1 << 20));
        if (used > limit * 0.9) doctor_warn(doctor, "its payload memory is nearly used up");
    }
    unsigned loops = 0;
    while (loops < LOOPS_MAX && show_loop(doctor, text, loops)) loops++;
    if (loops == 0) doctor_warn(doctor, "it shows no loops: is it a Geminga node?");
}

void doctor_server(struct doctor *doctor, const char *url) {
    struct fetch *fetch = RT_NEW(struct fetch);
    printf("node %s\n", url);
    if (!address_from_url(url, fetch->address)) {
        doctor_warn(doctor, "'%s' is not http://host:port", url);
    } else {
        fetch_run(fetch, doctor->machine);
        rt_buf_append(&fetch->answer, RT_BYTES("", 1));
        if (fetch->answer.size > 1) {
            show_answer(doctor, (const char *)fetch->answer.data);
        } else {
            doctor_warn(doctor, "no answer: %s",
                        fetch->err ? rt_err_text(fetch->err) : "it closed the connection");
        }
    }
    rt_buf_fini(&fetch->answer);
    rt_free(fetch);
}
