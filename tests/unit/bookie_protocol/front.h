// A bookie's front on a simulated node: the protocol server and the core on a fake store and fake
// journals, with clients that send raw bytes and keep what comes back.
#ifndef GEMINGA_TESTS_UNIT_BOOKIE_PROTOCOL_FRONT_H
#define GEMINGA_TESTS_UNIT_BOOKIE_PROTOCOL_FRONT_H

#include "bookie/server/protocol/server.h"
#include "proto/bookkeeper.h"
#include "runtime/sim/sim.h"
#include "tests/unit/bookie_core/fake_journal.h"
#include "tests/unit/bookie_core/fake_store.h"

enum { FRONT_KEY = 20 };

struct front_client {
    struct rt_conn conn;
    struct front *front;
    bool is_open, is_slow;  // slow: does not read
    uint8_t *in;            // what came and was not looked at yet; the test's memory
    size_t in_size, in_capacity;
    size_t bytes;      // that came, ever
    bool only_counts;  // keeps nothing
};

struct front {
    struct rt_sim_program program;
    struct rt_sim *sim;
    struct rt_sim_node *node;
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_store store;
    struct bookie_journal journal;
    struct bookie_journal *journals[1];
    struct bookie_core_options core_options;
    struct bookie_server_options options;  // both may be changed before front_open
    struct bookie_core *core;
    struct bookie_server *server;
    struct bookie_core_events core_events;
    struct bookie_server_events server_events;
    struct rt_task server_closed, core_closed;
    bool is_server_closed, is_core_closed;
    unsigned client_count;
    struct front_client *clients;
};

struct front *front_new(unsigned client_count);
void front_start(struct front *front);
struct front *front_open(unsigned client_count);  // both
void front_shut(struct front *front);             // the server's close, waited for
void front_close(struct front *front);            // what is left of it; checks and frees

void front_act(struct front *front, void (*run)(struct front *front));  // on the loop; settles
void front_run(struct front *front, uint64_t ms);
void front_journal_release(struct front *front);
void front_drained(struct front *front);

// CLIENTS
void front_dial(struct front *front, unsigned client);
void front_hang_up(struct front *front, unsigned client);
void front_send(struct front *front, unsigned client, struct rt_bytes bytes);
void front_send_hex(struct front *front, unsigned client, const char *hex);  // spaces are skipped
// A request with its length word.
void front_ask(struct front *front, unsigned client, const struct proto_bk_request *request);
void front_encode(const struct proto_bk_request *request, struct rt_buf *packets);
void front_set_slow(struct front *front, unsigned client, bool is_slow);

// What came, all of it, is this.
void front_expect_hex(struct front *front, unsigned client, const char *hex);
// The next packet that came, decoded; false: there is none. Borrows until the next call.
bool front_next(struct front *front, unsigned client, struct proto_bk_response *response,
                enum proto_bk_form form);
// The next packet is of this form, kind and code.
struct proto_bk_response front_expect(struct front *front, unsigned client, enum proto_bk_form form,
                                      enum proto_bk_kind kind, enum proto_bk_code code);
void front_expect_silence(struct front *front, unsigned client);

// REQUESTS
struct rt_bytes front_key(void);
struct rt_bytes front_body(int64_t ledger, int64_t entry, size_t size, struct rt_buf *buf);
struct proto_bk_request front_add(enum proto_bk_form form, int64_t ledger, int64_t entry,
                                  struct rt_bytes body);
struct proto_bk_request front_read(enum proto_bk_form form, int64_t ledger, int64_t entry);

#endif
