#include <criterion/criterion.h>

#include "tests/lib/conformance_http.h"

// Virtual time is short enough to tell the limit of a slow request from that of an idle connection.
enum { SEEDS = 8, SIM_PATIENCE_MS = 45000 };

static void check_talk(const struct http_talk *talk, const char *transport, uint64_t seed) {
    struct http_run *run = RT_NEW(struct http_run);
    run->harness.transport = transport;
    run->harness.seed = seed;
    if (seed) run->harness.patience_ms = SIM_PATIENCE_MS;
    http_run_set(run, talk);
    bool good = seed ? harness_run_sim(&run->harness) : harness_run_real(&run->harness);
    cr_assert(good, "\"%s\" over %s, seed %lu: %s", talk->name, transport, (unsigned long)seed,
              run->harness.failure);
    rt_free(run);
}

Test(runtime_http_server, talks_go_well_over_sockets) {
    for (size_t i = 0; i < http_talk_count; i++) {
        if (!http_talks[i].slow) check_talk(&http_talks[i], "tcp", 0);
    }
}

Test(runtime_http_server, talks_go_well_in_process) {
    for (size_t i = 0; i < http_talk_count; i++) {
        if (!http_talks[i].slow) check_talk(&http_talks[i], "inproc", 0);
    }
}

Test(runtime_http_server, talks_go_well_in_the_simulator) {
    for (size_t i = 0; i < http_talk_count; i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) check_talk(&http_talks[i], "tcp", seed);
    }
}

Test(runtime_http_server, talks_go_well_in_process_in_the_simulator) {
    for (size_t i = 0; i < http_talk_count; i++) check_talk(&http_talks[i], "inproc", 1);
}

Test(runtime_http_server, bodies_stay_within_the_budget_of_the_machine) {
    static const struct http_talk talk = {
        .name = "a body that does not fit in memory is refused, others are not",
        .options = {.body_size_max = 32 << 20},
        .steps = {{.kind = HTTP_SAY,
                   .text = "PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: 8192000\r\n\r\n"},
                  {.kind = HTTP_SAY, .text = "0123456789abcdef", .times = 512000},
                  {.kind = HTTP_HEAR_START, .text = "HTTP/1.1 503 Service Unavailable\r\n"},
                  {.kind = HTTP_SAY, .text = "GET /hello HTTP/1.0\r\n\r\n", .peer = 1},
                  {.kind = HTTP_HEAR_START, .text = "HTTP/1.1 200 OK\r\n", .peer = 1}}};
    struct http_run *run = RT_NEW(struct http_run);
    run->harness.memory_bytes = 4 << 20;
    http_run_set(run, &talk);
    cr_assert(harness_run_real(&run->harness), "%s", run->harness.failure);
    rt_free(run);
}
