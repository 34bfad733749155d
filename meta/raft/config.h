// Who belongs to the cluster: a value, with joint consensus (section 6) in it. Every member is in
// the new set of voters, in the old one, in both, or learns only. Outside a change nobody is in an
// old set. While a change is under way every decision needs a majority of each set.
#ifndef GEMINGA_META_RAFT_CONFIG_H
#define GEMINGA_META_RAFT_CONFIG_H

#include "runtime/bytes.h"

enum {
    RAFT_MEMBERS_MAX = 32,    // both sets of a joint configuration together
    RAFT_ADDRESS_SIZE = 128,  // with the terminating NUL
    RAFT_CONFIG_SIZE_MAX = 10 + RAFT_MEMBERS_MAX * (10 + RAFT_ADDRESS_SIZE - 1)
};

enum raft_roles {
    RAFT_VOTER = 1 << 0,      // in the set that is, or is to be, in force
    RAFT_VOTER_OLD = 1 << 1,  // in the set that a joint configuration leaves
    RAFT_LEARNER = 1 << 2     // gets the log and has no say; alone, or with RAFT_VOTER_OLD
};

struct raft_member {
    uint64_t id;  // never 0, and never used again after a removal or the loss of a disk
    unsigned roles;
    char address[RAFT_ADDRESS_SIZE];  // the driver's; travels with the configuration
};

struct raft_config {
    uint64_t index;  // of the entry that brought it
    unsigned count;
    struct raft_member members[RAFT_MEMBERS_MAX];  // by ascending id
};

// Inserts or replaces a member. RT_EINVAL: id, roles or address; RT_ETOOBIG: too many.
RT_CHECK
rt_err raft_config_put(struct raft_config *config, uint64_t id, unsigned roles,
                       const char *address);
const struct raft_member *raft_config_find(const struct raft_config *config, uint64_t id);
bool raft_config_has_role(const struct raft_config *config, uint64_t id, unsigned roles);  // any of
bool raft_config_is_joint(const struct raft_config *config);
bool raft_config_is_member(const struct raft_config *config, uint64_t id);
bool raft_config_is_voter(const struct raft_config *config, uint64_t id);  // of either set
bool raft_config_is_valid(
    const struct raft_config *config);  // sorted, roles sane, voters in each set
bool raft_config_is_alone(const struct raft_config *config, uint64_t id);  // the only voter

// The joint configuration that leads from `from` (not joint) to `to` (not joint).
RT_CHECK
rt_err raft_config_enter_joint(const struct raft_config *from, const struct raft_config *to,
                               struct raft_config *joint);
void raft_config_leave_joint(const struct raft_config *joint, struct raft_config *config);

// CONFIG (big-endian): version 1 (u8), index (u64), count (u8), then for each member by ascending
// id: id (u64), roles (u8), length (u8) and bytes of the address. Nothing may follow.
void raft_config_encode(const struct raft_config *config, struct rt_writer *w);
RT_CHECK
rt_err raft_config_decode(struct rt_bytes bytes, struct raft_config *config);

#endif
