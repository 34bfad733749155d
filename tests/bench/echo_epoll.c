// The floor: one thread, epoll, one read and one write for whatever is there.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { BUFFER = 1 << 17 };

static int set_nodelay(int fd) {
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) bench_die("TCP_NODELAY");
    return fd;
}

static int epoll_over(int fd) {
    int poll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) bench_die("epoll");
    return poll;
}

static size_t wait_and_read(int poll, int fd, uint8_t *memory, size_t capacity) {
    struct epoll_event event;
    if (epoll_wait(poll, &event, 1, -1) != 1) bench_die("epoll_wait");
    ssize_t got = read(fd, memory, capacity);
    return got > 0 ? (size_t)got : 0;
}

static void write_all(int fd, const uint8_t *memory, size_t size) {
    while (size > 0) {
        ssize_t put = write(fd, memory, size);
        if (put <= 0) bench_die("write");
        memory += put;
        size -= (size_t)put;
    }
}

static void epoll_serve(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        bench_die("listen");
    bench_say_port(ntohs(address.sin_port));
    int fd = set_nodelay(accept(listener, NULL, NULL));
    int poll = epoll_over(fd);
    uint8_t *memory = malloc(BUFFER);
    size_t have = 0;
    for (;;) {
        size_t got = wait_and_read(poll, fd, memory + have, BUFFER - have);
        if (got == 0) break;
        have += got;
        size_t whole = have / BENCH_FRAME * BENCH_FRAME;
        if (whole > 0) write_all(fd, memory, whole);
        have -= whole;
        memmove(memory, memory + whole, have);
    }
    free(memory);
}

static uint64_t epoll_load(uint16_t port, unsigned depth, uint64_t messages) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) bench_die("connect");
    set_nodelay(fd);
    int poll = epoll_over(fd);
    uint8_t *memory = malloc(BUFFER);
    uint8_t *frames = malloc((size_t)depth * BENCH_FRAME);
    bench_fill_frames(frames, depth);
    uint64_t start = bench_now_ns(), sent = depth, received_bytes = 0, answered = 0;
    write_all(fd, frames, (size_t)depth * BENCH_FRAME);
    while (answered < messages) {
        received_bytes += wait_and_read(poll, fd, memory, BUFFER);
        uint64_t more = received_bytes / BENCH_FRAME - answered;
        answered += more;
        if (sent + more > messages) more = sent < messages ? messages - sent : 0;
        if (more > 0) write_all(fd, frames, (size_t)more * BENCH_FRAME);
        sent += more;
    }
    uint64_t took = bench_now_ns() - start;
    free(memory);
    free(frames);
    close(fd);
    return took;
}

const struct bench_echo bench_echo_epoll = {"epoll", "one thread on epoll", epoll_serve,
                                            epoll_load};
