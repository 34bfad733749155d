// The store's files are exchanged for those of a snapshot so that a crash at any point leaves the
// old ones or the new ones.
//
//   STORE.making  being copied: removed by recovery
//   STORE.new     whole and durable: recovery goes on with the exchange
//   STORE.old     was the store: recovery takes it back if nothing came into its place
//
// The copy shares no file with the snapshot. All calls block.
#ifndef GEMINGA_META_SERVER_LOG_EXCHANGE_H
#define GEMINGA_META_SERVER_LOG_EXCHANGE_H

#include "meta/server/log/manifest.h"

// Copies, verifying, to STORE.new.
RT_CHECK
rt_err meta_exchange_prepare_now(struct rt_machine *machine, const char *snapshot,
                                 const char *store, struct rt_why *why);
// STORE.new becomes the store, which is closed; STORE.old stays for meta_exchange_finish_now.
RT_CHECK
rt_err meta_exchange_swap_now(struct rt_machine *machine, const char *store, struct rt_why *why);
RT_CHECK
rt_err meta_exchange_finish_now(struct rt_machine *machine, const char *store);
RT_CHECK
rt_err meta_exchange_recover_now(struct rt_machine *machine, const char *store, struct rt_why *why);

#endif
