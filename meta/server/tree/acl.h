// Access control: ACL lists as they are stored, who a connection is, and whether the one lets the
// other. Pure. The rules are section 17 of the protocol sheet.
//
// A list at rest is count (u16), then for each entry permissions (u32), scheme and id (u16 size and
// bytes each); no bytes at all stand for the list with the one entry world:anyone, all rights.
#ifndef GEMINGA_META_SERVER_TREE_ACL_H
#define GEMINGA_META_SERVER_TREE_ACL_H

#include "proto/zookeeper.h"

// Checks and rewrites the list of a create or setACL for storing: `auth` entries become one entry
// for each authenticated id of the connection (digest, x509, sasl; not ip), duplicates go, order
// stays. PROTO_ZK_ERR_INVALIDACL: empty, null, unknown scheme, malformed id, `auth` without ids.
int32_t meta_acl_fix(const struct proto_zk_acls *asked, const struct proto_zk_ids *ids,
                     struct rt_arena *arena, struct rt_bytes *stored);
void meta_acl_decode(struct rt_bytes stored, struct rt_arena *arena, struct proto_zk_acls *acls);
void meta_acl_encode(const struct proto_zk_acls *acls, struct rt_arena *arena,
                     struct rt_bytes *stored);
// Whether any entry with one of `perms` matches one of the ids. An id with the scheme "super"
// passes everything.
bool meta_acl_allows(struct rt_bytes stored, int32_t perms, const struct proto_zk_ids *ids);
// For getACL without ADMIN: the id of digest entries reads "user:x".
void meta_acl_mask(struct proto_zk_acls *acls, struct rt_arena *arena);

// "user:" and base64 of SHA-1 of "user:password". False: no colon in it is still hashed whole, as
// ZooKeeper does; out lies in the arena.
struct rt_bytes meta_digest_id(struct rt_bytes user_and_password, struct rt_arena *arena);
// An address or "address/bits", v4 or v6; and whether a textual address is in it.
bool meta_ip_is_valid(struct rt_bytes pattern);
bool meta_ip_matches(struct rt_bytes pattern, struct rt_bytes address);

#endif
