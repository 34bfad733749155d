// The runtime's benchmark: contenders run in processes of their own, in turns, several rounds;
// what is printed are medians and ratios, since machines drift.
#ifndef GEMINGA_TESTS_BENCH_BENCH_H
#define GEMINGA_TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_PREFIX = 4, BENCH_BODY = 1024, BENCH_FRAME = BENCH_PREFIX + BENCH_BODY };

// One way to echo framed messages over loopback. serve prints "port N" and returns when its one
// client has gone; load keeps `depth` requests in flight until `messages` answers have come.
struct bench_echo {
    const char *name;
    const char *what;
    void (*serve)(void);
    uint64_t (*load)(uint16_t port, unsigned depth, uint64_t messages);  // nanoseconds taken
};

extern const struct bench_echo bench_echo_ours;
extern const struct bench_echo bench_echo_nng;
extern const struct bench_echo bench_echo_epoll;

// Sections that run inside one process and print "key value" lines.
void bench_posts(void);
void bench_timers(void);
void bench_append(const char *directory);
void bench_sim(void);

uint64_t bench_now_ns(void);
void bench_say_port(unsigned port);
_Noreturn void bench_die(const char *what);
void bench_fill_frames(uint8_t *memory, unsigned count);

#endif
