// A replica without a log: what is submitted is applied to a real store in a later turn, in order,
// unless the test holds it back. It takes the place of meta/server/replica in these tests, where
// only the client protocol is looked at.
//
// All inside a turn of the loop that it was opened on.
#ifndef GEMINGA_TESTS_UNIT_META_ZK_FAKE_REPLICA_H
#define GEMINGA_TESTS_UNIT_META_ZK_FAKE_REPLICA_H

#include "meta/server/zk/server.h"

enum { FAKE_NODE_ID = 1, FAKE_BUSY_MAX = 2 };

struct meta_replica {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct meta_store *store;
    struct meta_server *server;  // is told
    struct rt_task task;
    struct rt_arena arena;
    struct rt_list queue, syncs;
    size_t queued;
    uint64_t index, ticket;
    struct raft_config config;
    bool task_queued, changes_members;
    bool holds;      // nothing is applied, nothing is synced
    bool is_narrow;  // has room for FAKE_BUSY_MAX commands only
    bool told_busy;
    bool is_serving, is_alone, is_follower;
    uint64_t leaderless_ns;
    unsigned touched;
};

void fake_replica_open(struct meta_replica *replica, struct rt_machine *machine,
                       struct rt_loop *loop);
void fake_replica_close(struct meta_replica *replica);
void fake_replica_release(struct meta_replica *replica);  // goes on
void fake_replica_expire(struct meta_replica *replica, int64_t session);
void fake_replica_attach_elsewhere(struct meta_replica *replica,
                                   const struct meta_session *session);
// As if another leader came: what was not applied is lost.
void fake_replica_interrupt(struct meta_replica *replica);
// As if the leader had not taken the last one: only that is lost.
void fake_replica_refuse_last(struct meta_replica *replica);
void fake_replica_lead(struct meta_replica *replica, bool has_leader);
void fake_replica_members(struct meta_replica *replica, unsigned count);

#endif
