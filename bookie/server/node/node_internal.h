// The inside of a bookie, for its files. Private to bookie/server/node.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_NODE_INTERNAL_H
#define GEMINGA_BOOKIE_SERVER_NODE_NODE_INTERNAL_H

#include "bookie/server/node/disks.h"
#include "bookie/server/node/enroll.h"
#include "bookie/server/node/metrics.h"
#include "bookie/server/node/node.h"
#include "bookie/server/node/registrar.h"
#include "bookie/server/protocol/server.h"

enum bookie_phase { BOOKIE_ENROLLING, BOOKIE_OPENING, BOOKIE_RUNNING, BOOKIE_CLOSING };

struct bookie_node {
    struct rt_machine *machine;
    struct rt_loop *loop;
    struct bookie_node_options options;
    enum bookie_phase phase;
    char *id, *host;

    struct rt_dir_lock *locks[BOOKIE_COOKIE_DIRS_MAX];
    unsigned lock_count;
    struct bookie_cookies cookies;
    struct bookie_enroll *enroll;
    struct bookie_enroll_events enroll_events;
    struct bookie_store *store;
    struct bookie_store_events store_events;
    struct bookie_journal *journals[BOOKIE_JOURNALS_MAX];
    struct bookie_journal_events journal_events;
    unsigned journal_count;
    bool is_replaying;
    struct bookie_mark replay_marks[BOOKIE_JOURNALS_MAX];  // behind what was replayed
    struct bookie_core *core;
    struct bookie_core_events core_events;
    struct bookie_server *server;
    struct bookie_server_events server_events;
    struct bookie_disks *disks;
    struct bookie_disks_events disks_events;
    struct bookie_registrar *registrar;
    struct bookie_registrar_events registrar_events;
    struct bookie_metrics *metrics;
    struct rt_http_server *http;
    struct rt_http_owner http_owner;
    struct rt_http_closing http_closing;

    struct bookie_flush_op flush;  // of what was replayed
    bool served, has_failed;
    bool forced_read_only;  // by the configuration, or a person
    struct rt_task start;
    struct rt_task *closed;
    struct rt_task part_closed;
    uint64_t opened_ns, replayed;
};

// Whatever of disks, configuration and people says so.
bool bookie_node_is_read_only(const struct bookie_node *node);
void bookie_node_force_read_only(struct bookie_node *node, bool read_only);
void bookie_node_fail(struct bookie_node *node, rt_err err, const char *what);

// storage.c: opens store, journals and core, replays, and flushes; then
// `bookie_node_storage_opened`.
void bookie_node_storage_open(struct bookie_node *node);
void bookie_node_storage_opened(struct bookie_node *node);

// admin.c
extern const struct rt_http_route bookie_admin_routes[];
extern const size_t bookie_admin_route_count;

#endif
