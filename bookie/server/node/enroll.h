// Enrolling: what a bookie settles with the metadata before it opens its disks. It asks which
// cluster this is, compares cookies, and stamps a new bookie's: the directories first, then the
// metadata. Sections 4.6 and 5.3 of the BookKeeper sheet.
//
// A session of its own, ended before `done`: opening the disks may take longer than a session
// lives. The metadata may be away: it is waited for, with a log line.
//
// Loop: the bookie's.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_ENROLL_H
#define GEMINGA_BOOKIE_SERVER_NODE_ENROLL_H

#include "bookie/server/node/cookies.h"
#include "meta/client/client.h"

struct bookie_enroll;

struct bookie_enroll_events {
    // Once. Then the enrolment has been freed.
    void (*done)(struct bookie_enroll_events *events, rt_err err, const char *why);
};

// Borrowed until done: config, cookies. `why` has what is wrong with the server list.
RT_CHECK
rt_err bookie_enroll_start(struct rt_machine *machine, struct rt_loop *loop,
                           const struct bookie_config *config, struct bookie_cookies *cookies,
                           struct bookie_enroll_events *events, struct bookie_enroll **enroll,
                           struct rt_why *why);
// Ends it early: done comes with RT_ECLOSED.
void bookie_enroll_stop(struct bookie_enroll *enroll);

#endif
