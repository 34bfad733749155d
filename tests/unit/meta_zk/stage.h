// A ZooKeeper server on a fake replica, and up to four clients that say exactly what a test wants,
// in one simulated node.
//
// What a client hears is kept as text, which tests compare: "connected 10000 ", "rejected ",
// "1:OK=/a " for the reply to xid 1, "1:NONODE ", "event NodeCreated /a ", "text ...", "closed ".
#ifndef GEMINGA_TESTS_UNIT_META_ZK_STAGE_H
#define GEMINGA_TESTS_UNIT_META_ZK_STAGE_H

#include "runtime/sim/sim.h"
#include "tests/unit/meta_zk/fake_replica.h"

enum { STAGE_CLIENTS = 4, STAGE_LOG = 8192, STAGE_ASKED = 256, STAGE_OUT = 1 << 20 };

struct stage_client {
    struct rt_conn conn;
    struct stage *stage;
    bool is_open, is_greeted, is_raw;
    size_t raw_bytes;  // heard without looking
    bool counts_only;
    unsigned replies;
    char log[STAGE_LOG];
    size_t log_size;
    struct {
        int32_t xid, opcode;
    } asked[STAGE_ASKED];  // a ring
    unsigned asked_count;
    uint8_t *out;  // not sent yet
    size_t out_size;
    int64_t session, last_zxid;
    uint8_t password[PROTO_ZK_PASSWORD_SIZE];
    int32_t timeout_ms;
    size_t connected_size;
};

struct stage {
    struct rt_sim *sim;
    struct rt_sim_node *node;
    struct rt_sim_program program;
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct meta_server_options options;  // set before stage_open
    struct meta_replica replica;
    struct meta_server *server;
    struct rt_task closed;
    bool is_closed;
    struct stage_client clients[STAGE_CLIENTS];
};

void stage_init(struct stage *stage);
void stage_open(struct stage *stage);
void stage_close(struct stage *stage);  // and checks that all is given back
void stage_run(struct stage *stage, uint64_t ms);
// Runs `act` in a turn of the loop, then for a while.
void stage_act(struct stage *stage, void (*act)(struct stage *stage));

// CLIENTS, by number. Nothing is sent before stage_go.
void stage_dial(struct stage *stage, unsigned client);
struct proto_zk_connect stage_hello_new(void);
void stage_hello(struct stage *stage, unsigned client, const struct proto_zk_connect *connect);
void stage_hello_again(struct stage *stage, unsigned client, unsigned other);  // that one's session
void stage_bytes(struct stage *stage, unsigned client, struct rt_bytes bytes);
void stage_frame(struct stage *stage, unsigned client, struct rt_bytes payload);
void stage_ask(struct stage *stage, unsigned client, int32_t xid, const struct proto_zk_op *op);
void stage_go(struct stage *stage);
void stage_send(struct stage *stage);  // the same, and time stands still
void stage_slow_workers(struct stage *stage, uint64_t ms);
void stage_hang_up(struct stage *stage, unsigned client);
// Dials, greets, and forgets what was heard.
void stage_enter(struct stage *stage, unsigned client);

// Compares what was heard since and forgets it.
void stage_expect(struct stage *stage, unsigned client, const char *expected);

// Operations
struct proto_zk_op stage_read(int32_t opcode, const char *path, bool watch);
struct proto_zk_op stage_path(int32_t opcode, const char *path);  // getACL, sync, getEphemerals ...
struct proto_zk_op stage_create(const char *path, const char *data, int32_t flags);
struct proto_zk_op stage_set(const char *path, const char *data);
struct proto_zk_op stage_delete(const char *path);
struct proto_zk_op stage_watch(int32_t opcode, const char *path, int32_t type);
struct proto_zk_op stage_auth(const char *scheme, const char *auth);
struct proto_zk_op stage_bare(int32_t opcode);

#endif
