// A running node, from its /metrics.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/http_fetch.h"

enum { LOOPS_MAX = 256 };

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
    char address[HTTP_ADDRESS_SIZE];
    struct rt_buf answer = {0};
    printf("node %s\n", url);
    if (!http_address_from_url(url, address)) {
        doctor_warn(doctor, "'%s' is not http://host:port", url);
        return;
    }
    rt_err err = http_fetch(doctor->machine, address, "GET", "/metrics", &answer);
    if (answer.size) {
        show_answer(doctor, (const char *)answer.data);
    } else {
        doctor_warn(doctor, "no answer: %s", err ? rt_err_text(err) : "it closed the connection");
    }
    rt_buf_fini(&answer);
}
