// A session of the ZooKeeper protocol: 4 bytes length, then a request (xid, type, record) or an
// answer (xid, zxid, err, record); all big-endian.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench_meta.h"

enum {
    IN_SIZE = 1 << 20,
    OUT_SIZE = 1 << 16,
    HELLO_SIZE = 49,
    WELCOME_SIZE = 41,
    ANSWER_HEADER = 20,  // length, xid, zxid, err
    XID_NOTICE = -1,
    XID_PING = -2,
    OP_PING = 11,
    SESSION_TIMEOUT_MS = 60000,
};

uint64_t meta_bench_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

_Noreturn void meta_bench_die(const char *what) {
    fprintf(stderr, "bench_meta: %s\n", what);
    exit(1);
}

static void put_bytes(struct meta_conn *conn, const void *bytes, size_t size) {
    while (conn->out_used + size > conn->out_size) {
        conn->out_size *= 2;
        conn->out = realloc(conn->out, conn->out_size);
        if (!conn->out) meta_bench_die("memory");
    }
    if (size > 0) memcpy(conn->out + conn->out_used, bytes, size);
    conn->out_used += size;
}

static void put_u32(struct meta_conn *conn, uint32_t value) {
    uint32_t wire = htonl(value);
    put_bytes(conn, &wire, sizeof(wire));
}

static uint32_t get_u32(const uint8_t *at) {
    uint32_t wire;
    memcpy(&wire, at, sizeof(wire));
    return ntohl(wire);
}

static bool receive_exactly(int fd, uint8_t *at, size_t size) {
    while (size > 0) {
        ssize_t got = recv(fd, at, size, 0);
        if (got <= 0) return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

static bool shake_hands(struct meta_conn *conn) {
    uint8_t zero[16] = {0}, welcome[WELCOME_SIZE];
    put_u32(conn, HELLO_SIZE - 4);
    put_bytes(conn, zero, 12);  // version, last zxid
    put_u32(conn, SESSION_TIMEOUT_MS);
    put_bytes(conn, zero, 8);  // no session yet
    put_u32(conn, sizeof(zero));
    put_bytes(conn, zero, sizeof(zero));
    put_bytes(conn, zero, 1);
    return meta_conn_flush(conn) && receive_exactly(conn->fd, welcome, sizeof(welcome)) &&
           get_u32(welcome + 8) != 0;
}

bool meta_conn_open(struct meta_conn *conn, uint16_t port, unsigned patience_ms) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *conn = (struct meta_conn){.in_size = IN_SIZE, .out_size = OUT_SIZE};
    conn->in = malloc(conn->in_size);
    conn->out = malloc(conn->out_size);
    if (!conn->in || !conn->out) meta_bench_die("memory");
    conn->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (conn->fd < 0) meta_bench_die("socket");
    int one = 1;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (patience_ms > 0) {
        struct timeval patience = {.tv_sec = patience_ms / 1000,
                                   .tv_usec = (suseconds_t)(patience_ms % 1000) * 1000};
        setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    }
    if (connect(conn->fd, (struct sockaddr *)&address, sizeof(address)) || !shake_hands(conn)) {
        meta_conn_close(conn);
        return false;
    }
    return true;
}

void meta_conn_close(struct meta_conn *conn) {
    close(conn->fd);
    free(conn->in);
    free(conn->out);
    *conn = (struct meta_conn){.fd = -1};
}

static void put_buffer(struct meta_conn *conn, const void *data, size_t size) {
    put_u32(conn, (uint32_t)size);
    put_bytes(conn, data, size);
}

void meta_conn_put(struct meta_conn *conn, int32_t op, const char *path, const void *data,
                   size_t size) {
    size_t start = conn->out_used;
    put_u32(conn, 0);
    put_u32(conn, (uint32_t)++conn->xid);
    put_u32(conn, (uint32_t)op);
    put_buffer(conn, path, strlen(path));
    if (op == META_OP_CREATE) {
        put_buffer(conn, data, size);
        put_u32(conn, 1);   // one ACL entry: all rights
        put_u32(conn, 31);  // for anyone
        put_buffer(conn, "world", 5);
        put_buffer(conn, "anyone", 6);
        put_u32(conn, 0);  // persistent
    } else if (op == META_OP_SET) {
        put_buffer(conn, data, size);
        put_u32(conn, UINT32_MAX);  // any version
    } else {
        uint8_t watch = size != 0;
        put_bytes(conn, &watch, 1);
    }
    uint32_t length = htonl((uint32_t)(conn->out_used - start - 4));
    memcpy(conn->out + start, &length, sizeof(length));
}

bool meta_conn_flush(struct meta_conn *conn) {
    size_t sent = 0;
    while (sent < conn->out_used) {
        ssize_t some = send(conn->fd, conn->out + sent, conn->out_used - sent, MSG_NOSIGNAL);
        if (some <= 0) return false;
        sent += (size_t)some;
    }
    conn->out_used = 0;
    return true;
}

// Takes whole answers off the front of `in`.
static size_t take_whole(struct meta_conn *conn, struct meta_answer *answers, size_t max) {
    size_t count = 0, at = 0;
    while (count < max && conn->in_used - at >= ANSWER_HEADER) {
        size_t size = get_u32(conn->in + at) + 4u;
        if (size > conn->in_size) meta_bench_die("an answer is too long");
        if (conn->in_used - at < size) break;
        int32_t xid = (int32_t)get_u32(conn->in + at + 4);
        if (xid != XID_NOTICE) {
            answers[count++] =
                (struct meta_answer){.xid = xid, .err = (int32_t)get_u32(conn->in + at + 16)};
        }
        at += size;
    }
    memmove(conn->in, conn->in + at, conn->in_used - at);
    conn->in_used -= at;
    return count;
}

size_t meta_conn_take(struct meta_conn *conn, struct meta_answer *answers, size_t max) {
    for (;;) {
        size_t count = take_whole(conn, answers, max);
        if (count > 0) return count;
        ssize_t got = recv(conn->fd, conn->in + conn->in_used, conn->in_size - conn->in_used, 0);
        if (got <= 0) return 0;
        conn->in_used += (size_t)got;
    }
}

bool meta_conn_call(struct meta_conn *conn, int32_t op, const char *path, const void *data,
                    size_t size, int32_t *err) {
    struct meta_answer answer;
    meta_conn_put(conn, op, path, data, size);
    if (!meta_conn_flush(conn) || meta_conn_take(conn, &answer, 1) == 0) return false;
    *err = answer.err;
    return true;
}

bool meta_conn_ping(int socket) {
    const uint32_t ping[] = {htonl(8), htonl((uint32_t)XID_PING), htonl(OP_PING)};
    uint8_t pong[ANSWER_HEADER];
    return send(socket, ping, sizeof(ping), MSG_NOSIGNAL) == (ssize_t)sizeof(ping) &&
           receive_exactly(socket, pong, sizeof(pong));
}
