// Registration: the bookie's ephemeral node, by which clients find it. available/<id> while it
// takes writes, available/readonly/<id> while it does not; on a change the new one is made before
// the old one goes, so clients may see both for a moment. Sections 4.1, 4.5 and 5.7 of the
// BookKeeper sheet.
//
// A session that expires is followed by another, and the node is made again. A node of an older
// session that is still there is waited for as long as a session lives; then somebody else has
// the name, which is a failure.
//
// Loop: the bookie's.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_REGISTRAR_H
#define GEMINGA_BOOKIE_SERVER_NODE_REGISTRAR_H

#include "meta/client/client.h"

struct bookie_registrar;

struct bookie_registrar_events {
    void (*registered)(struct bookie_registrar_events *events, bool read_only);
    void (*lost)(struct bookie_registrar_events *events);  // not registered for now
    // The bookie has to stop: another one has its name, or the metadata refuses it.
    void (*failed)(struct bookie_registrar_events *events, rt_err err, const char *what);
};

struct bookie_registrar_options {
    const char *servers, *root, *bookie_id;
    uint64_t session_timeout_ms;
    struct rt_bytes info;  // the node's data; copied
    bool read_only;
    struct bookie_registrar_events *events;
};

RT_CHECK
rt_err bookie_registrar_open(struct rt_loop *loop, const struct bookie_registrar_options *options,
                             struct bookie_registrar **registrar, struct rt_why *why);
void bookie_registrar_set_read_only(struct bookie_registrar *registrar, bool read_only);
bool bookie_registrar_is_registered(const struct bookie_registrar *registrar);
// For others that need the metadata. NULL between two sessions; ask each time.
struct meta_client *bookie_registrar_client(struct bookie_registrar *registrar);
// Ends the session, and with it the node; then `closed`, and the registrar is freed.
void bookie_registrar_close(struct bookie_registrar *registrar, struct rt_task *closed);

#endif
