// The client side of the metadata service's benchmark.
#ifndef GEMINGA_TESTS_BENCH_BENCH_META_H
#define GEMINGA_TESTS_BENCH_BENCH_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    META_BENCH_PORTS = 16,
    META_OP_CREATE = 1,
    META_OP_EXISTS = 3,
    META_OP_GET = 4,
    META_OP_SET = 5,
    META_NODE_EXISTS = -110,
};

struct meta_bench {
    uint16_t ports[META_BENCH_PORTS];
    unsigned port_count;
    pid_t pids[META_BENCH_PORTS];  // of the servers, for their CPU time
    unsigned pid_count;
    const char *op;  // of load: set or get
    uint64_t depth, size, count, ms, watches;
    uint64_t nodes;   // that prepare made
    uint64_t filled;  // that fill made; not 0: get reads these, at random
};

// One session on a blocking socket. Requests collect in `out` until meta_conn_flush.
struct meta_conn {
    int fd;
    int32_t xid;
    uint8_t *out, *in;
    size_t out_used, out_size, in_used, in_size;
};

struct meta_answer {
    int32_t xid, err;
};

int meta_bench_load(const struct meta_bench *bench);
int meta_bench_prepare(const struct meta_bench *bench);
int meta_bench_fill(const struct meta_bench *bench);
int meta_bench_sessions(const struct meta_bench *bench);
int meta_bench_failover(const struct meta_bench *bench);

// False: nobody there, or the server closed. `patience_ms` bounds every wait on the socket; 0:
// none.
bool meta_conn_open(struct meta_conn *conn, uint16_t port, unsigned patience_ms);
void meta_conn_close(struct meta_conn *conn);
// `data` may be NULL. For exists, `size` != 0 asks for a watch.
void meta_conn_put(struct meta_conn *conn, int32_t op, const char *path, const void *data,
                   size_t size);
bool meta_conn_flush(struct meta_conn *conn);
// Waits for at least one answer, then takes all that are whole. 0: the connection is gone.
size_t meta_conn_take(struct meta_conn *conn, struct meta_answer *answers, size_t max);
// One request and its answer; false when the connection is gone.
bool meta_conn_call(struct meta_conn *conn, int32_t op, const char *path, const void *data,
                    size_t size, int32_t *err);

bool meta_conn_ping(int socket);  // of a session that nothing else is asked of

uint64_t meta_bench_now_ns(void);
_Noreturn void meta_bench_die(const char *what);

#endif
