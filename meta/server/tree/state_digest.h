// The digest of the replicated state: the sum over all znodes and sessions of a mix of everything
// about each. So it is kept up to date by subtracting what was and adding what is, and depends on
// neither history nor order.
#ifndef GEMINGA_META_SERVER_TREE_STATE_DIGEST_H
#define GEMINGA_META_SERVER_TREE_STATE_DIGEST_H

#include "meta/server/tree/overlay.h"

uint64_t meta_hash_bytes(uint64_t seed, struct rt_bytes bytes);
uint64_t meta_path_digest(struct rt_bytes path);
uint64_t meta_node_digest(uint64_t path_digest, const struct meta_node_state *state);
uint64_t meta_session_digest(const struct meta_session *session);

#endif
