// Journal records at start-up. Replaying is idempotent: what the store has already is put again.
//
// A ledger that the index does not know, and of which the journal has shown no key, was deleted
// behind its records: they are skipped. Our fences carry the key, so that a fence of a ledger
// without entries is never taken for one of those (BookKeeper sheet, trap 5).
#include "bookie/server/core/core_internal.h"

static void key_replay(struct bookie_core *core, struct bookie_ledger *ledger,
                       struct rt_bytes key) {
    bool is_new = !ledger->exists;
    ledger->exists = true;
    if (is_new) bookie_ledger_changed(core->options.store, ledger);
    if (bookie_key_fits(ledger, key)) bookie_key_adopt(core, ledger, key, is_new);
}

static void fence_replay(struct bookie_core *core, struct bookie_ledger *ledger,
                         const struct bookie_record *record) {
    if (record->has_body) key_replay(core, ledger, record->body);
    if (!ledger->exists) return;
    ledger->fenced = true;
    bookie_ledger_changed(core->options.store, ledger);
}

static rt_err entry_replay(struct bookie_core *core, struct bookie_ledger *ledger,
                           const struct bookie_record *record, struct rt_why *why) {
    struct bookie_store *store = core->options.store;
    if (!ledger->exists) return RT_OK;
    rt_err err = bookie_store_put(store, ledger, record->entry, record->lac, record->body);
    if (err == RT_EBUSY) {
        err = bookie_store_flush_now(store, why);
        if (err) return err;
        err = bookie_store_put(store, ledger, record->entry, record->lac, record->body);
    }
    if (err)
        return rt_why_set(why, err, "entry %lld of ledger %lld: %s", (long long)record->entry,
                          (long long)record->ledger, rt_err_text(err));
    return RT_OK;
}

static rt_err record_apply(struct bookie_core *core, struct bookie_ledger *ledger,
                           const struct bookie_record *record, struct rt_why *why) {
    switch (record->kind) {
    case BOOKIE_RECORD_ENTRY: return entry_replay(core, ledger, record, why);
    case BOOKIE_RECORD_KEY: key_replay(core, ledger, record->body); return RT_OK;
    case BOOKIE_RECORD_FENCE: fence_replay(core, ledger, record); return RT_OK;
    case BOOKIE_RECORD_EXPLICIT_LAC:
        if (ledger->exists) bookie_lac_set(core, ledger, record->body);
        return RT_OK;
    case BOOKIE_RECORD_OTHER: return RT_OK;
    }
    rt_panic("record kind %d is not of the list above", (int)record->kind);
}

rt_err bookie_core_replay_now(struct bookie_core *core, unsigned journal, struct rt_bytes bytes,
                              struct rt_why *why) {
    struct bookie_record record;
    struct bookie_ledger *ledger;
    rt_err err = bookie_record_read(bytes, &record);
    if (err)
        return rt_why_set(why, err, "journal %u holds a record of %zu bytes that no bookie wrote",
                          journal, bytes.size);
    err = bookie_ledger_acquire_now(core->options.store, record.ledger, &ledger, why);
    if (err) return rt_why_prefix(why, err, "ledger %lld", (long long)record.ledger);
    err = record_apply(core, ledger, &record, why);
    bookie_ledger_release(core->options.store, ledger);
    return err;
}
