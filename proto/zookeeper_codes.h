// The numbers of the ZooKeeper client protocol and what is fixed about each: opcodes, errors,
// events, create modes, permissions. Tables of constants, so pages and help can be made of them.
//
// Numbers from a peer stay int32_t until a lookup here has known them.
#ifndef GEMINGA_PROTO_ZOOKEEPER_CODES_H
#define GEMINGA_PROTO_ZOOKEEPER_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROTO_ZK_FRAME_SIZE_MAX = 0xfffff,  // of a request, and what clients accept in a reply
    PROTO_ZK_PASSWORD_SIZE = 16,        // clients copy exactly so many bytes
    PROTO_ZK_STAT_SIZE = 68,
    PROTO_ZK_REPLY_HEADER_SIZE = 16
};

// The xids that mean something. All others are echoed and never interpreted.
enum {
    PROTO_ZK_XID_EVENT = -1,
    PROTO_ZK_XID_PING = -2,
    PROTO_ZK_XID_AUTH = -4,
    PROTO_ZK_XID_SET_WATCHES = -8
};

enum proto_zk_kind {
    PROTO_ZK_READ,     // answered from the local tree, in request order
    PROTO_ZK_WRITE,    // through the log
    PROTO_ZK_BARRIER,  // sees everything committed before the leader received it
    PROTO_ZK_CONN      // changes the connection only
};

// Where a client may use an opcode. Those with none of these are answered UNIMPLEMENTED.
enum proto_zk_use {
    PROTO_ZK_ALONE = 1 << 0,
    PROTO_ZK_IN_MULTI = 1 << 1,
    PROTO_ZK_IN_MULTI_READ = 1 << 2,
    PROTO_ZK_ALONE_OR_MULTI = PROTO_ZK_ALONE | PROTO_ZK_IN_MULTI,
    PROTO_ZK_ALONE_OR_MULTI_READ = PROTO_ZK_ALONE | PROTO_ZK_IN_MULTI_READ,
    PROTO_ZK_INTERNAL = 0
};

// id, code, name, kind, use, layout of the request, layout of the reply (zookeeper_layout.c).
#define PROTO_ZK_OPS(X)                                                                  \
    X(NOTIFICATION, 0, "notification", CONN, INTERNAL, nothing, nothing)                 \
    X(CREATE, 1, "create", WRITE, ALONE_OR_MULTI, create, path)                          \
    X(DELETE, 2, "delete", WRITE, ALONE_OR_MULTI, path_version, nothing)                 \
    X(EXISTS, 3, "exists", READ, ALONE, path_watch, stat)                                \
    X(GET_DATA, 4, "getData", READ, ALONE_OR_MULTI_READ, path_watch, data_stat)          \
    X(SET_DATA, 5, "setData", WRITE, ALONE_OR_MULTI, set_data, stat)                     \
    X(GET_ACL, 6, "getACL", READ, ALONE, path, acl_stat)                                 \
    X(SET_ACL, 7, "setACL", WRITE, ALONE, set_acl, stat)                                 \
    X(GET_CHILDREN, 8, "getChildren", READ, ALONE_OR_MULTI_READ, path_watch, names)      \
    X(SYNC, 9, "sync", BARRIER, ALONE, path, path)                                       \
    X(PING, 11, "ping", READ, ALONE, nothing, nothing)                                   \
    X(GET_CHILDREN2, 12, "getChildren2", READ, ALONE, path_watch, names_stat)            \
    X(CHECK, 13, "check", WRITE, IN_MULTI, path_version, nothing)                        \
    X(MULTI, 14, "multi", WRITE, ALONE, nothing, nothing)                                \
    X(CREATE2, 15, "create2", WRITE, ALONE_OR_MULTI, create, path_stat)                  \
    X(RECONFIG, 16, "reconfig", WRITE, ALONE, reconfig, data_stat)                       \
    X(CHECK_WATCHES, 17, "checkWatches", READ, ALONE, path_type, nothing)                \
    X(REMOVE_WATCHES, 18, "removeWatches", READ, ALONE, path_type, nothing)              \
    X(CREATE_CONTAINER, 19, "createContainer", WRITE, ALONE_OR_MULTI, create, path_stat) \
    X(DELETE_CONTAINER, 20, "deleteContainer", WRITE, INTERNAL, path, nothing)           \
    X(CREATE_TTL, 21, "createTTL", WRITE, ALONE_OR_MULTI, create_ttl, path_stat)         \
    X(MULTI_READ, 22, "multiRead", READ, ALONE, nothing, nothing)                        \
    X(AUTH, 100, "auth", CONN, ALONE, auth, nothing)                                     \
    X(SET_WATCHES, 101, "setWatches", READ, ALONE, set_watches, nothing)                 \
    X(SASL, 102, "sasl", CONN, ALONE, token, data)                                       \
    X(GET_EPHEMERALS, 103, "getEphemerals", READ, ALONE, path, names)                    \
    X(GET_ALL_CHILDREN_NUMBER, 104, "getAllChildrenNumber", READ, ALONE, path, number)   \
    X(SET_WATCHES2, 105, "setWatches2", READ, ALONE, set_watches2, nothing)              \
    X(ADD_WATCH, 106, "addWatch", READ, ALONE, path_type, number)                        \
    X(WHO_AM_I, 107, "whoAmI", READ, ALONE, nothing, ids)                                \
    X(CREATE_SESSION, -10, "createSession", WRITE, INTERNAL, nothing, nothing)           \
    X(CLOSE_SESSION, -11, "closeSession", WRITE, ALONE, nothing, nothing)

enum proto_zk_opcode {
#define PROTO_ZK_OP_CODE(id, code, ...) PROTO_ZK_OP_##id = (code),
    PROTO_ZK_OPS(PROTO_ZK_OP_CODE)
#undef PROTO_ZK_OP_CODE
    // Not an opcode: the type of an error in the reply to a multi, and of the end of any multi.
    PROTO_ZK_RESULT_ERROR = -1
};

struct proto_zk_op_info {
    int32_t code;
    const char *name;
    enum proto_zk_kind kind;
    unsigned uses;  // bits of proto_zk_use
};

const struct proto_zk_op_info *proto_zk_op_find(int32_t code);  // NULL: unknown
const char *proto_zk_op_name(int32_t code);                     // "unknown" for those

// id, code, may be sent by a server, text. Clients fail on codes they do not know: none is added.
#define PROTO_ZK_ERRS(X)                                                                    \
    X(OK, 0, true, "ok")                                                                    \
    X(SYSTEMERROR, -1, false, "server failed")                                              \
    X(RUNTIMEINCONSISTENCY, -2, true, "not done, an earlier operation of the multi failed") \
    X(CONNECTIONLOSS, -4, false, "connection lost, outcome unknown")                        \
    X(MARSHALLINGERROR, -5, true, "request could not be decoded")                           \
    X(UNIMPLEMENTED, -6, true, "operation not offered")                                     \
    X(OPERATIONTIMEOUT, -7, false, "operation timed out")                                   \
    X(BADARGUMENTS, -8, true, "invalid arguments")                                          \
    X(UNKNOWNSESSION, -12, false, "session not known")                                      \
    X(NEWCONFIGNOQUORUM, -13, true, "no quorum of the new configuration is in sync")        \
    X(RECONFIGINPROGRESS, -14, true, "another reconfiguration is under way")                \
    X(NONODE, -101, true, "node does not exist")                                            \
    X(NOAUTH, -102, true, "not permitted by the node's ACL")                                \
    X(BADVERSION, -103, true, "version does not match")                                     \
    X(NOCHILDRENFOREPHEMERALS, -108, true, "ephemeral nodes have no children")              \
    X(NODEEXISTS, -110, true, "node exists already")                                        \
    X(NOTEMPTY, -111, true, "node has children")                                            \
    X(SESSIONEXPIRED, -112, true, "session expired")                                        \
    X(INVALIDACL, -114, true, "invalid ACL")                                                \
    X(AUTHFAILED, -115, true, "authentication failed")                                      \
    X(SESSIONMOVED, -118, false, "session moved to another connection")                     \
    X(NOTREADONLY, -119, true, "server is read-only")                                       \
    X(EPHEMERALONLOCALSESSION, -120, true, "local sessions have no ephemeral nodes")        \
    X(NOWATCHER, -121, true, "no such watch")                                               \
    X(REQUESTTIMEOUT, -122, false, "request timed out")                                     \
    X(RECONFIGDISABLED, -123, true, "reconfiguration is disabled")                          \
    X(SESSIONCLOSEDREQUIRESASLAUTH, -124, true, "session closed, authentication required")  \
    X(QUOTAEXCEEDED, -125, true, "quota exceeded")                                          \
    X(THROTTLEDOP, -127, true, "operation throttled")

enum proto_zk_err {
#define PROTO_ZK_ERR_CODE(id, code, sent, text) PROTO_ZK_ERR_##id = (code),
    PROTO_ZK_ERRS(PROTO_ZK_ERR_CODE)
#undef PROTO_ZK_ERR_CODE
};

// Static strings; any value is accepted, unknown ones read "UNKNOWN" and "unknown error".
const char *proto_zk_err_name(int32_t code);
const char *proto_zk_err_text(int32_t code);
// Whether a reply may carry it. The others only say what a client found out for itself.
bool proto_zk_err_is_sendable(int32_t code);

// Servers send the first four. The client makes up the rest: removals and its own state.
#define PROTO_ZK_EVENTS(X)                                   \
    X(NODE_CREATED, 1, "NodeCreated")                        \
    X(NODE_DELETED, 2, "NodeDeleted")                        \
    X(NODE_DATA_CHANGED, 3, "NodeDataChanged")               \
    X(NODE_CHILDREN_CHANGED, 4, "NodeChildrenChanged")       \
    X(DATA_WATCH_REMOVED, 5, "DataWatchRemoved")             \
    X(CHILD_WATCH_REMOVED, 6, "ChildWatchRemoved")           \
    X(PERSISTENT_WATCH_REMOVED, 7, "PersistentWatchRemoved") \
    X(NONE, -1, "None")

enum proto_zk_event_type {
#define PROTO_ZK_EVENT_CODE(id, code, name) PROTO_ZK_EVENT_##id = (code),
    PROTO_ZK_EVENTS(PROTO_ZK_EVENT_CODE)
#undef PROTO_ZK_EVENT_CODE
};

const char *proto_zk_event_name(int32_t type);  // "unknown" for those

// Notifications always say SYNC_CONNECTED; the other states are the client's own findings.
enum proto_zk_state {
    PROTO_ZK_STATE_EXPIRED = -112,
    PROTO_ZK_STATE_DISCONNECTED = 0,
    PROTO_ZK_STATE_SYNC_CONNECTED = 3,
    PROTO_ZK_STATE_AUTH_FAILED = 4,
    PROTO_ZK_STATE_CONNECTED_READ_ONLY = 5
};

// What checkWatches and removeWatches are about. DATA covers exists.
enum proto_zk_watch_type {
    PROTO_ZK_WATCH_CHILDREN = 1,
    PROTO_ZK_WATCH_DATA,
    PROTO_ZK_WATCH_ANY,
    PROTO_ZK_WATCH_PERSISTENT,
    PROTO_ZK_WATCH_PERSISTENT_RECURSIVE
};

enum proto_zk_watch_mode { PROTO_ZK_ADD_PERSISTENT = 0, PROTO_ZK_ADD_PERSISTENT_RECURSIVE = 1 };

// The flags of a create. id, code, name, ephemeral, sequential, container, ttl.
#define PROTO_ZK_CREATE_MODES(X)                                                    \
    X(PERSISTENT, 0, "persistent", false, false, false, false)                      \
    X(EPHEMERAL, 1, "ephemeral", true, false, false, false)                         \
    X(PERSISTENT_SEQUENTIAL, 2, "persistent sequential", false, true, false, false) \
    X(EPHEMERAL_SEQUENTIAL, 3, "ephemeral sequential", true, true, false, false)    \
    X(CONTAINER, 4, "container", false, false, true, false)                         \
    X(PERSISTENT_WITH_TTL, 5, "persistent with ttl", false, false, false, true)     \
    X(PERSISTENT_SEQUENTIAL_WITH_TTL, 6, "persistent sequential with ttl", false, true, false, true)

enum proto_zk_create_flags {
#define PROTO_ZK_MODE_CODE(id, code, ...) PROTO_ZK_MODE_##id = (code),
    PROTO_ZK_CREATE_MODES(PROTO_ZK_MODE_CODE)
#undef PROTO_ZK_MODE_CODE
};

struct proto_zk_create_mode {
    int32_t flags;
    const char *name;
    bool is_ephemeral, is_sequential, is_container, has_ttl;
};

const struct proto_zk_create_mode *proto_zk_create_mode_find(int32_t flags);  // NULL: unknown

#define PROTO_ZK_TTL_MS_MAX ((INT64_C(1) << 40) - 1)  // the least is 1

enum proto_zk_perm {
    PROTO_ZK_PERM_READ = 1 << 0,
    PROTO_ZK_PERM_WRITE = 1 << 1,
    PROTO_ZK_PERM_CREATE = 1 << 2,
    PROTO_ZK_PERM_DELETE = 1 << 3,
    PROTO_ZK_PERM_ADMIN = 1 << 4,
    PROTO_ZK_PERM_ALL = (1 << 5) - 1
};

#endif
