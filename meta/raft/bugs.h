// Bugs that tests plant to prove that they would be found. Production code leaves the option at 0.
#ifndef GEMINGA_META_RAFT_BUGS_H
#define GEMINGA_META_RAFT_BUGS_H

enum raft_bug {
    RAFT_BUG_COMMIT_OLD_TERM = 1 << 0,     // counts replicas of entries of earlier terms (figure 8)
    RAFT_BUG_TRUNCATE_ALWAYS = 1 << 1,     // every append cuts what is behind it
    RAFT_BUG_READ_BEFORE_NOOP = 1 << 2,    // a new leader answers reads at once
    RAFT_BUG_VOTE_AFTER_RESTART = 1 << 3,  // forgets the promise made to the old leader
    RAFT_BUG_CHANGE_BEFORE_NOOP = 1 << 4,  // configuration change without an entry of the term
    RAFT_BUG_COMMIT_UNVERIFIED = 1 << 5,   // a follower commits up to its own last entry
    RAFT_BUG_COUNT_SELF_EARLY = 1 << 6,    // a leader counts itself before its disk has the entry
    RAFT_BUG_WRITTEN_BY_INDEX = 1 << 7,    // a late report marks overwritten entries durable
    RAFT_BUG_READ_OLD_ROUND = 1 << 8,      // an earlier round proves leadership
    RAFT_BUG_JOINT_NEW_ONLY = 1 << 9,      // the old set has no say in a joint configuration
    RAFT_BUG_LEARNERS_COUNT = 1 << 10,
    RAFT_BUG_VOTE_FOR_SHORTER = 1 << 11,  // grants votes whatever the candidate's log
    RAFT_BUG_VOTE_TWICE = 1 << 12,
    RAFT_BUG_HEARTBEAT_COMMIT = 1 << 13,  // heartbeats carry the leader's commit to everybody
    RAFT_BUG_NO_CHECK_QUORUM = 1 << 14,
    RAFT_BUG_REPAIR_FORGOTTEN = 1 << 15  // a node that lost entries votes as if it never had them
};

#endif
