// Cookies: whose the directories are. A file VERSION in current/ of every journal, ledger and index
// directory, and the same text at cookies/<bookieId> of the metadata. Section 4.6 of the BookKeeper
// sheet: a bookie whose disks were swapped, lost or belong to another must not serve.
//
// Blocking where the name says _now; the rest is pure.
#ifndef GEMINGA_BOOKIE_SERVER_NODE_COOKIES_H
#define GEMINGA_BOOKIE_SERVER_NODE_COOKIES_H

#include "bookie/server/node/bk_config.h"
#include "proto/ledger_metadata.h"

// One directory with what was found in it.
struct bookie_cookie_dir {
    const char *path;
    bool has_cookie, is_empty;  // empty: no files beside a lock
    struct proto_cookie cookie;
};

enum { BOOKIE_COOKIE_DIRS_MAX = BOOKIE_DIRS_MAX + BOOKIE_JOURNALS_MAX + 1 };

struct bookie_cookies {
    struct rt_arena arena;                                  // holds what the cookies borrow
    struct bookie_cookie_dir dirs[BOOKIE_COOKIE_DIRS_MAX];  // each once
    unsigned count;
    struct proto_cookie own;  // as it must be; the instance is set by bookie_cookies_judge
};

// Reads what is there; makes directories that are missing. RT_EPROTO: a cookie that makes no sense.
RT_CHECK
rt_err bookie_cookies_open_now(struct rt_machine *machine, const struct bookie_config *config,
                               const char *bookie_id, struct bookie_cookies *cookies,
                               struct rt_why *why);
void bookie_cookies_fini(struct bookie_cookies *cookies);

// What has to be done with the cookies before the bookie may serve.
struct bookie_cookie_verdict {
    bool stamps_dirs;    // those without a cookie get it, first
    bool stamps_remote;  // then the metadata
    bool rewrites_all;   // the set of directories was extended: all get the new one
};
// `remote` is the cookie in the metadata, NULL if there is none; `instance` of the cluster, empty
// if it has none. RT_EINVAL with the exact difference. What `instance` borrows from must live as
// long.
RT_CHECK
rt_err bookie_cookies_judge(struct bookie_cookies *cookies, const struct proto_cookie *remote,
                            struct rt_bytes instance, bool allow_expansion,
                            struct bookie_cookie_verdict *verdict, struct rt_why *why);
RT_CHECK
rt_err bookie_cookies_stamp_now(struct rt_machine *machine, struct bookie_cookies *cookies,
                                const struct bookie_cookie_verdict *verdict, struct rt_why *why);

#endif
