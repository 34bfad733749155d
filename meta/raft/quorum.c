// Majorities. In a joint configuration a decision needs one of each set (section 6).
#include "meta/raft/core.h"

static bool majority_of(const struct raft *raft, unsigned roles, raft_peer_test *test) {
    const struct raft_config *config = raft_config(raft);
    unsigned voters = 0, yes = 0;
    for (unsigned i = 0; i < config->count; i++) {
        if (!(config->members[i].roles & roles)) continue;
        voters++;
        yes += test(raft, raft_peer_find(raft, config->members[i].id));
    }
    return voters == 0 || yes > voters / 2;
}

static unsigned voter_roles(const struct raft *raft) {
    return RAFT_VOTER | (raft_has_bug(raft, RAFT_BUG_LEARNERS_COUNT) ? RAFT_LEARNER : 0u);
}

static bool old_set_counts(const struct raft *raft) {
    return !raft_has_bug(raft, RAFT_BUG_JOINT_NEW_ONLY);
}

bool raft_quorum(const struct raft *raft, raft_peer_test *test) {
    if (raft_config(raft)->count == 0) return false;
    if (old_set_counts(raft) && !majority_of(raft, RAFT_VOTER_OLD, test)) return false;
    return majority_of(raft, voter_roles(raft), test);
}

// The largest value that a majority of the set reaches.
static uint64_t value_of(const struct raft *raft, unsigned roles, raft_peer_value *value) {
    const struct raft_config *config = raft_config(raft);
    uint64_t sorted[RAFT_MEMBERS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < config->count; i++) {
        if (!(config->members[i].roles & roles)) continue;
        uint64_t v = value(raft, raft_peer_find(raft, config->members[i].id));
        unsigned at = count++;
        for (; at > 0 && sorted[at - 1] < v; at--) sorted[at] = sorted[at - 1];
        sorted[at] = v;
    }
    return count ? sorted[count / 2] : UINT64_MAX;  // descending: count/2 others are as large
}

uint64_t raft_quorum_value(const struct raft *raft, raft_peer_value *value) {
    uint64_t reached = value_of(raft, voter_roles(raft), value);
    uint64_t reached_old =
        old_set_counts(raft) ? value_of(raft, RAFT_VOTER_OLD, value) : UINT64_MAX;
    return reached < reached_old ? reached : reached_old;
}
