// The replicated state on the key-value port: znodes, ephemerals by owner, sessions, and how far
// the log is applied, all of one moment.
//
// Changes are gathered in memory (the overlay) and reach the key-value store as one batch,
// together with the applied position: meta_store_flush_now, at an entry boundary. Lookups see the
// overlay; scans flush it first. The batches are not logged by the store (RT_KV_NO_LOG): after a
// crash the Raft log replays what was lost.
//
// COLUMNS
//   default     "applied" -> index, term (u64 each), time ms, digest, counts (meta_store.c)
//   nodes       depth (u16), path -> znode record (node_record.h). "/" has depth 0, "/a" 1. So the
//               children of a node are one range without their descendants.
//   data        the same key -> data longer than META_STORE_INLINE_MAX, so that scans stay cheap
//   ephemerals  session (u64), path -> nothing
//   sessions    session (u64) -> timeout, attachment, created, password
//   reapable    path -> nothing: containers and TTL nodes
// Nothing in it is about one node of the cluster: a copy of the store is a snapshot for any.
//
// Loop: the node's; one user. *_now calls may block on the disk.
#ifndef GEMINGA_META_SERVER_TREE_STORE_H
#define GEMINGA_META_SERVER_TREE_STORE_H

#include "proto/zookeeper.h"
#include "runtime/kv.h"

struct meta_store;

enum { META_STORE_INLINE_MAX = 2048 };

struct meta_store_options {
    const char *path;    // of the key-value store; created if missing
    size_t cache_bytes;  // [64 MiB] block cache of the store
    size_t node_bytes;   // [16 MiB] decoded znodes kept in memory
};

struct meta_position {
    uint64_t index, term;
};

RT_CHECK
rt_err meta_store_open_now(struct rt_machine *machine, const struct meta_store_options *options,
                           struct meta_store **store, struct rt_why *why);
void meta_store_close_now(struct meta_store *store);  // without a flush: a stop equals a crash
// After a snapshot was put in place of the files: everything in memory is forgotten and the store
// opened anew.
RT_CHECK
rt_err meta_store_reopen_now(struct meta_store *store, struct rt_why *why);
void meta_store_close_files_now(struct meta_store *store);  // before that

// POSITION AND TOTALS: of the overlay, that is including what is not flushed.

struct meta_store_totals {
    struct meta_position applied;
    int64_t time_ms;                         // the latest time stamped on an applied entry
    uint64_t nodes, ephemerals, data_bytes;  // data_bytes: paths and data
    uint64_t digest;  // of all znodes and sessions: equal on every node with the same `applied`
};
struct meta_store_totals meta_store_totals(const struct meta_store *store);
void meta_store_set_applied(struct meta_store *store, struct meta_position at, int64_t time_ms);

// ZNODES. The caller keeps the tree a tree: whoever puts a child counts it in its parent, and the
// parent exists. The store relies on it: below a node without children it looks for nothing.

enum meta_znode_kind { META_PERSISTENT, META_EPHEMERAL, META_CONTAINER, META_TTL };

struct meta_znode {
    enum meta_znode_kind kind;
    int64_t czxid, mzxid, pzxid, ctime_ms, mtime_ms;
    int32_t version, aversion;
    int32_t creates;   // children ever created: numbers sequential ones, never falls
    int32_t children;  // now
    int64_t owner;     // session; 0 unless ephemeral
    int64_t ttl_ms;    // META_TTL only
    bool has_data;     // null and empty data differ
    struct rt_bytes data;
    struct rt_bytes acl;  // encoded (acl.h); empty: open to all, as world:anyone with all rights
};

// NULL: no such node. Borrowed until the next call that changes the store. Blocks on a disk read
// when the node is not in memory.
const struct meta_znode *meta_store_find_now(struct meta_store *store, struct rt_bytes path);
// The same from memory only. RT_EAGAIN: the disk would be needed; RT_ENOTFOUND.
RT_CHECK
rt_err meta_store_try_find(struct meta_store *store, struct rt_bytes path,
                           const struct meta_znode **node);
// Inserts or replaces, copying all. Keeps ephemerals, reapable and totals in step. `node` may
// borrow from what find answered for the same path.
void meta_store_put(struct meta_store *store, struct rt_bytes path, const struct meta_znode *node);
void meta_store_remove(struct meta_store *store, struct rt_bytes path);  // it exists, childless
void meta_znode_stat(const struct meta_znode *node, struct proto_zk_stat *stat);

// SESSIONS: all in memory too.

struct meta_session {
    int64_t id;
    int32_t timeout_ms;
    uint64_t attachment;  // index of the entry that opened or last attached it: older connections
                          // of the session have an older one and are refused
    int64_t created_ms;
    uint8_t password[PROTO_ZK_PASSWORD_SIZE];
};
const struct meta_session *meta_store_session(const struct meta_store *store, int64_t id);
void meta_store_session_put(struct meta_store *store, const struct meta_session *session);
void meta_store_session_remove(struct meta_store *store, int64_t id);
size_t meta_store_session_count(const struct meta_store *store);
// In ascending order of the id, behind `after` (0: the first). NULL: none.
const struct meta_session *meta_store_session_next(const struct meta_store *store, int64_t after);

// UNDO, for multi: all changes since the mark are taken back. One mark at a time.
void meta_store_mark(struct meta_store *store);
void meta_store_commit(struct meta_store *store);
void meta_store_rollback(struct meta_store *store);

// SCANS see a view: the store as it is (flushed by the call), or a snapshot, which any worker may
// read while the loop goes on.
struct meta_view {
    struct rt_kv *kv;
    struct rt_kv_snapshot *snapshot;
    struct meta_position applied;
};
RT_CHECK
rt_err meta_store_view_now(struct meta_store *store, struct meta_view *view);  // no snapshot: valid
                                                                               // until a change
RT_CHECK
rt_err meta_store_snapshot_now(struct meta_store *store, struct meta_view *view);
void meta_store_snapshot_drop(struct meta_store *store, struct meta_view *view);

// RT_ENOTFOUND. The node and what it points to lie in the arena.
RT_CHECK
rt_err meta_view_find_now(const struct meta_view *view, struct rt_bytes path,
                          struct rt_arena *arena, struct meta_znode *node);
// Each calls `each` with paths in order; false from `each` ends the scan early.
struct meta_scan {
    bool (*each)(struct meta_scan *scan, struct rt_bytes path);  // borrowed for the call
};
RT_CHECK
rt_err meta_view_children_now(const struct meta_view *view, struct rt_bytes path,
                              struct meta_scan *scan);
RT_CHECK
rt_err meta_view_ephemerals_now(const struct meta_view *view, int64_t session,
                                struct meta_scan *scan);
// All ephemerals of all sessions, by session; session: set before each call of `each`.
RT_CHECK
rt_err meta_view_all_ephemerals_now(const struct meta_view *view, struct meta_scan *scan,
                                    int64_t *session);
RT_CHECK
rt_err meta_view_reapable_now(const struct meta_view *view, struct rt_bytes after,
                              struct meta_scan *scan);
RT_CHECK
rt_err meta_view_descendants_now(const struct meta_view *view, struct rt_bytes path,
                                 uint64_t *count);  // the node itself not counted

// One batch with the applied position. RT_EIO and the like are fatal to the node.
RT_CHECK
rt_err meta_store_flush_now(struct meta_store *store);
bool meta_store_has_changes(const struct meta_store *store);
size_t meta_store_dirty_bytes(const struct meta_store *store);  // held until the next flush
size_t meta_store_clean_bytes(const struct meta_store *store);  // of the cache: about node_bytes
// The first failure of the disk under a call that cannot say so, and RT_OK without. What was
// applied since may be wrong: nobody may be answered, and nothing more is flushed.
rt_err meta_store_failure(const struct meta_store *store);
struct rt_kv *meta_store_kv(const struct meta_store *store);  // for checkpoints
struct rt_kv_stats meta_store_kv_stats(const struct meta_store *store);
// The applied position in the files of a (closed) store, a checkpoint for instance.
RT_CHECK
rt_err meta_store_peek_now(struct rt_machine *machine, const char *path,
                           struct meta_position *applied, struct rt_why *why);

#endif
