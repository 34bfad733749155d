// Which strings are paths of the metadata tree, and the parts of one.
//
// A path starts with '/', has no empty component (so it ends with '/' only if it is the root) and
// none that is "." or "..", and is UTF-8 without U+0000..U+001F, U+007F..U+009F, U+D800..U+F8FF,
// U+FFF0..U+FFFF and anything above. Malformed UTF-8 is refused: what ZooKeeper puts in its place,
// U+FFFD, is illegal as well.
#ifndef GEMINGA_PROTO_ZOOKEEPER_PATH_H
#define GEMINGA_PROTO_ZOOKEEPER_PATH_H

#include "runtime/bytes.h"

#define PROTO_ZK_PATH_FAULTS(X)                                                    \
    X(OK, "valid")                                                                 \
    X(NULL, "path is null")                                                        \
    X(EMPTY, "path is empty")                                                      \
    X(RELATIVE, "path does not start with /")                                      \
    X(TRAILING_SLASH, "path ends with /")                                          \
    X(EMPTY_COMPONENT, "path has an empty component")                              \
    X(DOTS, "path has a component . or ..")                                        \
    X(NUL, "path has a null character")                                            \
    X(CHARACTER, "path has a control, private-use or otherwise illegal character") \
    X(UTF8, "path is not UTF-8")

enum proto_zk_path_fault {
#define PROTO_ZK_PATH_FAULT(id, text) PROTO_ZK_PATH_##id,
    PROTO_ZK_PATH_FAULTS(PROTO_ZK_PATH_FAULT)
#undef PROTO_ZK_PATH_FAULT
};

// The first thing wrong from the left, but TRAILING_SLASH before all that follows the first '/'.
enum proto_zk_path_fault proto_zk_path_check(struct rt_bytes path);
const char *proto_zk_path_fault_text(enum proto_zk_path_fault fault);

// All that create and delete ask of a path before they look at the tree: a '/' somewhere, no NUL.
bool proto_zk_path_is_splittable(struct rt_bytes path);

// The nodes that every tree has and nobody deletes: /, /zookeeper and its quota and config.
bool proto_zk_path_is_builtin(struct rt_bytes path);

// What is before and behind the last '/' of a splittable path, also of one that is not valid.
// The parent of "/a" is "/", of "/a/" it is "/a" (and the name is empty).
struct rt_bytes proto_zk_path_parent(struct rt_bytes path);
struct rt_bytes proto_zk_path_name(struct rt_bytes path);

#endif
