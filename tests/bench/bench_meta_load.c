// The loads: requests with a number of them in flight, many nodes, many sessions, a writer that
// goes from server to server.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench_meta.h"

enum {
    PATH_SIZE = 64,
    DEPTH_MAX = 4096,
    FOLDER_NODES = 1000,
    FILL_DEPTH = 512,
    PATIENCE_MS = 2000,
    GAP_NS = 30000000,
    RETRY_NS = 2000000,
    PING_MS = 20000,  // how often a session says that it is there
};

static const uint64_t warm_up_ns = 300000000u;

struct load {
    struct meta_conn conn;
    const struct meta_bench *bench;
    int32_t op;
    uint8_t *data;
    uint64_t sent_at[DEPTH_MAX];  // by xid modulo DEPTH_MAX
    uint64_t next_node, done, begin_ns;
    double cpu_s;  // of the servers, when the measurement began
    uint32_t random;
    uint32_t *latencies_ns;
    size_t latency_count, latency_room;
};

static void must_open(struct meta_conn *conn, uint16_t port) {
    if (!meta_conn_open(conn, port, 0)) meta_bench_die("the server does not take a session");
}

static void must_create(struct meta_conn *conn, const char *path, const void *data, size_t size) {
    int32_t err;
    if (!meta_conn_call(conn, META_OP_CREATE, path, data, size, &err)) {
        meta_bench_die("the server has gone");
    }
    if (err != 0 && err != META_NODE_EXISTS) meta_bench_die("a node could not be created");
}

static uint8_t *make_data(size_t size) {
    uint8_t *data = malloc(size + 1);
    if (!data) meta_bench_die("memory");
    uint32_t state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (uint8_t)(state >> 24);
    }
    return data;
}

// The CPU time of the servers, threads that have ended included.
static double cpu_of(const struct meta_bench *bench) {
    double sum = 0;
    for (unsigned i = 0; i < bench->pid_count; i++) {
        clockid_t clock;
        struct timespec used;
        if (clock_getcpuclockid(bench->pids[i], &clock)) meta_bench_die("no such server");
        if (clock_gettime(clock, &used)) meta_bench_die("the CPU time of a server");
        sum += (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    }
    return sum;
}

static void fill_path(char path[PATH_SIZE], uint64_t number) {
    snprintf(path, PATH_SIZE, "/fill/%llu/%llu", (unsigned long long)(number / FOLDER_NODES),
             (unsigned long long)number);
}

static void bench_path(char path[PATH_SIZE], uint64_t number) {
    snprintf(path, PATH_SIZE, "/bench/n%llu", (unsigned long long)number);
}

static uint64_t random_below(struct load *load, uint64_t bound) {
    load->random ^= load->random << 13;
    load->random ^= load->random >> 17;
    load->random ^= load->random << 5;
    return load->random % bound;
}

// No two nodes have the same data, else a server that compresses would have next to none of it.
static void data_vary(uint8_t *data, size_t size, uint64_t number) {
    uint64_t state = number * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i + sizeof(state) <= size; i += sizeof(state)) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        memcpy(data + i, &state, sizeof(state));
    }
}

static void put_next(struct load *load) {
    char path[PATH_SIZE];
    const struct meta_bench *bench = load->bench;
    if (load->op == META_OP_GET && bench->filled) {
        fill_path(path, random_below(load, bench->filled));
    } else {
        bench_path(path, load->next_node++ % bench->nodes);
    }
    bool carries = load->op == META_OP_SET;
    meta_conn_put(&load->conn, load->op, path, carries ? load->data : NULL,
                  carries ? bench->size : 0);
    load->sent_at[(uint32_t)load->conn.xid % DEPTH_MAX] = meta_bench_now_ns();
}

static void note(struct load *load, const struct meta_answer *answer, uint64_t now) {
    if (answer->err != 0) meta_bench_die("a request was refused");
    if (now < load->begin_ns) return;
    if (load->done++ == 0) load->cpu_s = cpu_of(load->bench);
    if (load->latency_count == load->latency_room) {
        load->latency_room = load->latency_room ? load->latency_room * 2 : 1 << 16;
        load->latencies_ns =
            realloc(load->latencies_ns, load->latency_room * sizeof(*load->latencies_ns));
        if (!load->latencies_ns) meta_bench_die("memory");
    }
    uint64_t took = now - load->sent_at[(uint32_t)answer->xid % DEPTH_MAX];
    load->latencies_ns[load->latency_count++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

static int compare_u32(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;
    return (one > two) - (one < two);
}

static void report(struct load *load, uint64_t took_ns) {
    double cpu_s = cpu_of(load->bench) - load->cpu_s;
    qsort(load->latencies_ns, load->latency_count, sizeof(*load->latencies_ns), compare_u32);
    size_t last = load->latency_count - 1;
    printf("per_s %.1f\np50_us %.1f\np99_us %.1f\ncpu_ms_per_1000 %.3f\n",
           (double)load->done * 1e9 / (double)took_ns, load->latencies_ns[last / 2] / 1e3,
           load->latencies_ns[last * 99 / 100] / 1e3, cpu_s * 1e6 / (double)load->done);
}

static void keep_in_flight(struct load *load) {
    struct meta_answer answers[DEPTH_MAX];
    int32_t expected = load->conn.xid + 1;
    uint64_t start = meta_bench_now_ns();
    load->begin_ns = start + warm_up_ns;
    uint64_t end = load->begin_ns + load->bench->ms * 1000000u, now = start;
    for (uint64_t i = 0; i < load->bench->depth; i++) put_next(load);
    while (now < end) {
        if (!meta_conn_flush(&load->conn)) meta_bench_die("the server has gone");
        size_t count = meta_conn_take(&load->conn, answers, DEPTH_MAX);
        if (count == 0) meta_bench_die("the server has gone");
        now = meta_bench_now_ns();
        for (size_t i = 0; i < count; i++) {
            if (answers[i].xid != expected++) meta_bench_die("answers out of order");
            note(load, &answers[i], now);
            put_next(load);
        }
    }
    if (load->latency_count == 0) meta_bench_die("no answer in time");
    report(load, now - load->begin_ns);
}

int meta_bench_load(const struct meta_bench *bench) {
    static struct load load;
    load.bench = bench;
    load.data = make_data(bench->size);
    load.op = strcmp(bench->op, "get") == 0 ? META_OP_GET : META_OP_SET;
    load.random = (uint32_t)getpid();
    if (bench->depth == 0 || bench->depth > DEPTH_MAX / 2) meta_bench_die("--depth");
    must_open(&load.conn, bench->ports[0]);
    keep_in_flight(&load);
    return 0;
}

// /fill/FOLDER/NODE, the folders one after the other.
static void put_fill(struct meta_conn *conn, uint64_t number, const void *data, size_t size) {
    char path[PATH_SIZE];
    if (number % FOLDER_NODES == 0) {
        snprintf(path, sizeof(path), "/fill/%llu", (unsigned long long)(number / FOLDER_NODES));
        meta_conn_put(conn, META_OP_CREATE, path, NULL, 0);
    }
    fill_path(path, number);
    meta_conn_put(conn, META_OP_CREATE, path, data, size);
}

static void put_prepared(struct meta_conn *conn, uint64_t number, const void *data, size_t size) {
    char path[PATH_SIZE];
    bench_path(path, number);
    meta_conn_put(conn, META_OP_CREATE, path, data, size);
}

typedef void put_fn(struct meta_conn *conn, uint64_t number, const void *data, size_t size);

// Creates bench->count nodes below `parent`, many in flight.
static int create_all(const struct meta_bench *bench, const char *parent, put_fn *put) {
    static struct meta_answer answers[DEPTH_MAX];
    struct meta_conn conn;
    uint8_t *data = make_data(bench->size);
    must_open(&conn, bench->ports[0]);
    must_create(&conn, parent, NULL, 0);
    uint64_t next = 0, start = meta_bench_now_ns();
    int32_t answered = conn.xid;
    while (next < bench->count || answered < conn.xid) {
        while (next < bench->count && conn.xid - answered < FILL_DEPTH) {
            data_vary(data, bench->size, next);
            put(&conn, next++, data, bench->size);
        }
        if (!meta_conn_flush(&conn)) meta_bench_die("the server has gone");
        size_t count = meta_conn_take(&conn, answers, DEPTH_MAX);
        if (count == 0) meta_bench_die("the server has gone");
        for (size_t i = 0; i < count; i++) {
            if (answers[i].err != 0) meta_bench_die("a node could not be created");
        }
        answered += (int32_t)count;
    }
    double seconds = (double)(meta_bench_now_ns() - start) / 1e9;
    printf("per_s %.1f\n", (double)bench->count / seconds);
    free(data);
    return 0;
}

int meta_bench_prepare(const struct meta_bench *bench) {
    return create_all(bench, "/bench", put_prepared);
}

int meta_bench_fill(const struct meta_bench *bench) {
    return create_all(bench, "/fill", put_fill);
}

static void watches_set(struct meta_conn *conn, uint64_t session, uint64_t count) {
    static struct meta_answer answers[DEPTH_MAX];
    char path[PATH_SIZE];
    for (uint64_t watch = 0; watch < count; watch++) {
        snprintf(path, sizeof(path), "/watched/%llu/%llu", (unsigned long long)session,
                 (unsigned long long)watch);
        meta_conn_put(conn, META_OP_EXISTS, path, NULL, 1);
    }
    if (!meta_conn_flush(conn)) meta_bench_die("the server has gone");
    for (uint64_t got = 0; got < count;) {
        size_t some = meta_conn_take(conn, answers, DEPTH_MAX);
        if (some == 0) meta_bench_die("the server has gone");
        got += some;
    }
}

// One after the other says that it is there, until the input ends.
static void sessions_keep(const int *sockets, uint64_t count) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t begin = meta_bench_now_ns(), pinged = 0;
    while (poll(&input, 1, 10) == 0) {
        uint64_t due = (meta_bench_now_ns() - begin) / 1000000u * count / PING_MS;
        for (; pinged < due; pinged++) {
            if (!meta_conn_ping(sockets[pinged % count])) meta_bench_die("a session has ended");
        }
    }
}

// Opens the sessions, each with its watches, says "ready" and keeps them until its input ends.
int meta_bench_sessions(const struct meta_bench *bench) {
    uint64_t start = meta_bench_now_ns();
    int *sockets = calloc(bench->count + 1, sizeof(*sockets));
    if (!sockets) meta_bench_die("memory");
    for (uint64_t i = 0; i < bench->count; i++) {
        struct meta_conn conn;
        must_open(&conn, bench->ports[i % bench->port_count]);
        watches_set(&conn, i, bench->watches);
        sockets[i] = conn.fd;
        free(conn.in);
        free(conn.out);
    }
    double seconds = (double)(meta_bench_now_ns() - start) / 1e9;
    printf("ready %.1f\n", (double)bench->count / seconds);
    fflush(stdout);
    sessions_keep(sockets, bench->count);
    free(sockets);
    return 0;
}

// Writes one after the other, through whichever server takes them, and prints every pause of more
// than 30 ms between two that succeeded, until its input ends or it is killed.
int meta_bench_failover(const struct meta_bench *bench) {
    struct meta_conn conn = {.fd = -1};
    struct timespec pause = {.tv_nsec = RETRY_NS};
    uint64_t last = 0;
    unsigned server = 0;
    uint8_t *data = make_data(bench->size);
    for (;;) {
        int32_t err = 0;
        if (conn.fd < 0) {
            server = (server + 1) % bench->port_count;
            if (!meta_conn_open(&conn, bench->ports[server], PATIENCE_MS)) {
                nanosleep(&pause, NULL);
                continue;
            }
        }
        bool alive = meta_conn_call(&conn, META_OP_CREATE, "/failover", data, bench->size, &err);
        if (alive && err == META_NODE_EXISTS) {
            alive = meta_conn_call(&conn, META_OP_SET, "/failover", data, bench->size, &err);
        }
        if (!alive || err != 0) {
            meta_conn_close(&conn);
            continue;
        }
        uint64_t now = meta_bench_now_ns();
        if (last == 0) printf("writing\n");
        if (last != 0 && now - last > GAP_NS) printf("gap_ms %.1f\n", (double)(now - last) / 1e6);
        fflush(stdout);
        last = now;
    }
}
