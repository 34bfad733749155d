// A client in the simulator between two scripted servers, "s1" and "s2".
//
// Both sides keep a transcript, which tests compare. The client's: states, "0:RT_OK" for the
// completion of operation 0, "w1:NodeCreated /a" for a call of watch 1, "closed". The servers':
// "1:connect session=0 zxid=0", then the requests, "1:getData /a watch" and so on, without pings
// (they are counted).
#ifndef GEMINGA_TESTS_UNIT_META_CLIENT_STAGE_H
#define GEMINGA_TESTS_UNIT_META_CLIENT_STAGE_H

#include "meta/client/client.h"
#include "runtime/sim/sim.h"

enum { STAGE_SERVERS = 2, STAGE_OPS = 32, STAGE_WATCHES = 4, STAGE_SESSION = 0x77 };

// What a server does with a handshake.
enum fake_mode { FAKE_SERVES, FAKE_IS_SILENT, FAKE_HANGS_UP, FAKE_EXPIRES, FAKE_GIVES_ANOTHER };

// The test's own memory: what a node allocates is the node's. What does not fit is left out.
struct stage_log {
    char text[8192];
    size_t size;
};

struct fake_held {
    int32_t xid, opcode;
    char path[128];
};

struct fake;
struct fake_conn;

struct fake {
    struct rt_sim_program program;
    struct rt_sim_node *node;
    struct stage *stage;
    unsigned number;  // 1 or 2
    struct rt_loop *loop;
    struct rt_listener listener;
    struct fake_conn *conn;  // the latest
    enum fake_mode mode;
    bool holds;  // requests are kept until fake_release
    struct fake_held held[STAGE_OPS];
    unsigned held_count;
    unsigned pings, accepted;
    bool ignores_pings, refuses_auth;
    bool pauses;  // does not read behind a handshake
    // Of all setWatches: requests, and paths in them; the longest request of any kind.
    unsigned set_watches, set_watches_paths;
    size_t request_size_max;
    int32_t grants_ms;                                           // 0: the timeout that is asked for
    uint8_t password[PROTO_ZK_PASSWORD_SIZE];                    // of the latest handshake
    void (*attached)(struct fake_conn *conn, bool is_attached);  // told of handshakes and ends
    // Answers in place of the fake, which only counts pings then; NULL: the fake does.
    void (*serve)(struct fake_conn *conn, const struct proto_zk_request *request);
};

struct stage_op {
    struct meta_client_op op;
    struct stage *stage;
    struct rt_task start;
    struct proto_zk_request request;
    struct meta_client_watch *watch;
    bool again;   // starts itself anew when it is done
    bool closes;  // the client when it is done
    unsigned dones;
    rt_err err;
    size_t data_size;
};

struct stage_watch {
    struct meta_client_watch watch;
    struct stage *stage;
    unsigned calls;
    struct stage_watch *cancels;  // when called
    int reads;                    // the operation started when called; -1: none
    bool closes;                  // the client when called
};

struct stage {
    struct rt_sim *sim;
    struct fake fakes[STAGE_SERVERS];
    struct rt_sim_program program;
    struct rt_sim_node *client_node;
    struct rt_loop *loop;
    struct meta_client_options options;  // to be set before stage_open
    struct meta_client_owner owner;
    struct meta_client *client;
    struct rt_task closed, second_closed;
    unsigned to_cancel;  // a watch
    bool was_opened, is_closed;
    int closes_in;                 // enum meta_client_state; -1: in none
    size_t memory_before, memory;  // that stage_memory found
    uint64_t state_ns;             // when the latest state was told
    struct stage_op ops[STAGE_OPS];
    struct stage_watch watches[STAGE_WATCHES];
    struct stage_log client_log, server_log;
    int64_t zxid;                // the servers'
    struct rt_bytes reply_data;  // of getData, where a test wants more than "v"
};

void stage_init(struct stage *stage);  // one server, a timeout of 6 s
void stage_open(struct stage *stage);  // the client, and runs until it has nothing more to do
void stage_fini(struct stage *stage);  // closes the client if the test has not

void stage_run(struct stage *stage, uint64_t ms);
// Runs `act` in a turn of the client's loop, then for a while.
void stage_act(struct stage *stage, void (*act)(struct stage *stage));
// Starts operation `slot`; path and data are borrowed until the test ends.
void stage_send(struct stage *stage, unsigned slot, const struct proto_zk_request *request,
                struct meta_client_watch *watch);
void stage_read(struct stage *stage, unsigned slot, int32_t opcode, const char *path, int watch);
// addWatch.
void stage_add_watch(struct stage *stage, unsigned slot, const char *path, int32_t mode, int watch);
void stage_cancel(struct stage *stage, unsigned watch);
void stage_close(struct stage *stage);

size_t stage_memory(struct stage *stage);  // on the heap of the client's node, without free slabs
meta_client_done_fn *stage_done(void);     // for operations of stage->ops that a test starts itself
void stage_abandon(struct stage *stage);
struct fake *stage_server(struct stage *stage);  // that the client is connected to
struct fake *stage_other_server(struct stage *stage);

void stage_note(struct stage_log *log, const char *format, ...) RT_PRINTF(2, 3);
// Compares and clears.
void stage_expect_client(struct stage *stage, const char *format, ...) RT_PRINTF(2, 3);
void stage_expect_servers(struct stage *stage, const char *format, ...) RT_PRINTF(2, 3);

// fake.c
void fake_init(struct stage *stage, unsigned index);
void fake_event(struct fake *fake, int32_t type, const char *path);
void fake_reply(struct fake *fake, int32_t xid, int32_t opcode, int32_t err, const char *path);
void fake_raw(struct fake *fake, struct rt_bytes frame);    // behind a correct length
void fake_bytes(struct fake *fake, struct rt_bytes bytes);  // as they are
void fake_release(struct fake *fake);  // answers what it held, in order, and holds no more
// Answers the first it held with a reply of the test's, whose xid is set here.
void fake_answer(struct fake *fake, const struct proto_zk_reply *reply);
void fake_hang_up(struct fake *fake);
void fake_pause(struct fake *fake);  // reads nothing more
void fake_resume(struct fake *fake);
// For fake.serve.
void fake_conn_reply(struct fake_conn *conn, const struct proto_zk_reply *reply, int32_t opcode);
void fake_conn_event(struct fake_conn *conn, int32_t type, struct rt_bytes path);
void fake_conn_hang_up(struct fake_conn *conn);
// Posts to the loop of the fake and does not wait.
void fake_post(struct fake *fake, struct rt_task *task);
struct fake *fake_of(struct fake_conn *conn);

#endif
