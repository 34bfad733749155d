#include "meta/server/tree/acl.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_SIZE_MIN = 8 };  // permissions and two sizes

static bool is_text(struct rt_bytes bytes, const char *text) {
    return bytes.size == strlen(text) && (!bytes.size || memcmp(bytes.data, text, bytes.size) == 0);
}

static bool is_open(const struct proto_zk_acls *acls) {
    return acls->count == 1 && acls->items[0].perms == PROTO_ZK_PERM_ALL &&
           is_text(acls->items[0].id.scheme, "world") && is_text(acls->items[0].id.id, "anyone");
}

// STORED LISTS

static bool entry_read(struct rt_reader *r, struct proto_zk_acl *acl) {
    acl->perms = (int32_t)rt_read_be32(r);
    acl->id.scheme = rt_read_bytes(r, rt_read_be16(r));
    acl->id.id = rt_read_bytes(r, rt_read_be16(r));
    return !rt_reader_failed(r);
}

void meta_acl_decode(struct rt_bytes stored, struct rt_arena *arena, struct proto_zk_acls *acls) {
    if (!stored.size) {
        struct proto_zk_acl *open = rt_arena_zero(arena, 1, sizeof(*open));
        *open = (struct proto_zk_acl){PROTO_ZK_PERM_ALL,
                                      {RT_BYTES_LITERAL("world"), RT_BYTES_LITERAL("anyone")}};
        *acls = (struct proto_zk_acls){.items = open, .count = 1};
        return;
    }
    struct rt_reader r = rt_reader_over(stored);
    size_t count = rt_read_be16(&r), decoded = 0;
    size_t most = rt_reader_left(&r) / ENTRY_SIZE_MIN;
    if (count > most) count = most;
    struct proto_zk_acl *items = rt_arena_zero(arena, count + 1, sizeof(*items));
    while (decoded < count && entry_read(&r, &items[decoded])) decoded++;
    *acls = (struct proto_zk_acls){.items = items, .count = decoded};
}

void meta_acl_encode(const struct proto_zk_acls *acls, struct rt_arena *arena,
                     struct rt_bytes *stored) {
    *stored = (struct rt_bytes){0};
    if (is_open(acls)) return;
    size_t size = sizeof(uint16_t);
    for (size_t i = 0; i < acls->count; i++)
        size += ENTRY_SIZE_MIN + acls->items[i].id.scheme.size + acls->items[i].id.id.size;
    uint8_t *memory = rt_arena_alloc(arena, size);
    struct rt_writer w = rt_writer_over(memory, size);
    rt_write_be16(&w, (uint16_t)acls->count);
    for (size_t i = 0; i < acls->count; i++) {
        const struct proto_zk_acl *acl = &acls->items[i];
        rt_write_be32(&w, (uint32_t)acl->perms);
        rt_write_be16(&w, (uint16_t)acl->id.scheme.size);
        rt_write_bytes(&w, acl->id.scheme);
        rt_write_be16(&w, (uint16_t)acl->id.id.size);
        rt_write_bytes(&w, acl->id.id);
    }
    *stored = RT_BYTES(memory, w.written);
}

// WHO MAY

static bool id_matches(const struct proto_zk_id *wanted, const struct proto_zk_id *have) {
    if (!rt_bytes_equal(wanted->scheme, have->scheme)) return false;
    if (is_text(wanted->scheme, "ip")) return meta_ip_matches(wanted->id, have->id);
    return rt_bytes_equal(wanted->id, have->id);
}

static bool entry_matches(const struct proto_zk_acl *acl, const struct proto_zk_ids *ids) {
    if (is_text(acl->id.scheme, "world")) return is_text(acl->id.id, "anyone");
    for (size_t i = 0; i < ids->count; i++) {
        if (id_matches(&acl->id, &ids->items[i])) return true;
    }
    return false;
}

bool meta_acl_allows(struct rt_bytes stored, int32_t perms, const struct proto_zk_ids *ids) {
    if (!stored.size) return true;
    for (size_t i = 0; i < ids->count; i++) {
        if (is_text(ids->items[i].scheme, "super")) return true;
    }
    struct rt_reader r = rt_reader_over(stored);
    size_t count = rt_read_be16(&r);
    struct proto_zk_acl acl;
    for (size_t i = 0; i < count && entry_read(&r, &acl); i++) {
        if ((acl.perms & perms) && entry_matches(&acl, ids)) return true;
    }
    return false;
}

void meta_acl_mask(struct proto_zk_acls *acls, struct rt_arena *arena) {
    struct proto_zk_acl *items = rt_arena_zero(arena, acls->count + 1, sizeof(*items));
    for (size_t i = 0; i < acls->count; i++) {
        items[i] = acls->items[i];
        if (!is_text(items[i].id.scheme, "digest")) continue;
        struct rt_bytes id = items[i].id.id;
        size_t user = 0;
        while (user < id.size && id.data[user] != ':') user++;
        uint8_t *masked = rt_arena_alloc(arena, user + 2);
        if (user) memcpy(masked, id.data, user);
        memcpy(masked + user, ":x", 2);
        items[i].id.id = RT_BYTES(masked, user + 2);
    }
    acls->items = items;
}

// LISTS THAT CLIENTS ASK FOR

// A list has room for so many entries; what expands to more is refused.
enum { ENTRIES_MAX = UINT16_MAX };

struct fixing {
    struct proto_zk_acl *items;
    size_t count;
};

static bool add(struct fixing *fixing, const struct proto_zk_acl *acl) {
    if (fixing->count == ENTRIES_MAX) return false;
    if (acl->id.scheme.size > UINT16_MAX || acl->id.id.size > UINT16_MAX) return false;
    fixing->items[fixing->count++] = *acl;
    return true;
}

static int compare_content(const struct proto_zk_acl *a, const struct proto_zk_acl *b) {
    if (a->perms != b->perms) return a->perms < b->perms ? -1 : 1;
    int order = rt_bytes_compare(a->id.scheme, b->id.scheme);
    return order ? order : rt_bytes_compare(a->id.id, b->id.id);
}

// Equal entries in the order of the list.
static int compare_entries(const void *left, const void *right) {
    const struct proto_zk_acl *a = *(const struct proto_zk_acl *const *)left;
    const struct proto_zk_acl *b = *(const struct proto_zk_acl *const *)right;
    int order = compare_content(a, b);
    return order ? order : (a > b) - (a < b);
}

// Keeps the first of equal entries. By sorting, since a request has room for a hundred thousand.
static void drop_duplicates(struct fixing *fixing, struct rt_arena *arena) {
    const struct proto_zk_acl **sorted = rt_arena_zero(arena, fixing->count + 1, sizeof(*sorted));
    bool *again = rt_arena_zero(arena, fixing->count + 1, sizeof(*again));
    for (size_t i = 0; i < fixing->count; i++) sorted[i] = &fixing->items[i];
    qsort(sorted, fixing->count, sizeof(*sorted), compare_entries);
    for (size_t i = 1; i < fixing->count; i++)
        again[sorted[i] - fixing->items] = compare_content(sorted[i - 1], sorted[i]) == 0;
    size_t kept = 0;
    for (size_t i = 0; i < fixing->count; i++) {
        if (!again[i]) fixing->items[kept++] = fixing->items[i];
    }
    fixing->count = kept;
}

static bool authenticates(const struct proto_zk_id *id) {
    return is_text(id->scheme, "digest") || is_text(id->scheme, "x509") ||
           is_text(id->scheme, "sasl");
}

static bool add_authenticated(struct fixing *fixing, int32_t perms,
                              const struct proto_zk_ids *ids) {
    bool any = false;
    for (size_t i = 0; i < ids->count; i++) {
        if (!authenticates(&ids->items[i])) continue;
        struct proto_zk_acl acl = {perms, ids->items[i]};
        if (!add(fixing, &acl)) return false;
        any = true;
    }
    return any;
}

// Empty parts at the end do not count.
static bool splits_in_two(struct rt_bytes id) {
    size_t colons = 0;
    while (id.size && id.data[id.size - 1] == ':') id.size--;
    for (size_t i = 0; i < id.size; i++) colons += id.data[i] == ':';
    return colons == 1;
}

static bool id_is_valid(const struct proto_zk_id *id) {
    if (is_text(id->scheme, "world")) return is_text(id->id, "anyone");
    if (is_text(id->scheme, "digest")) return splits_in_two(id->id);
    if (is_text(id->scheme, "ip")) return meta_ip_is_valid(id->id);
    return (is_text(id->scheme, "x509") || is_text(id->scheme, "sasl")) && id->id.size;
}

int32_t meta_acl_fix(const struct proto_zk_acls *asked, const struct proto_zk_ids *ids,
                     struct rt_arena *arena, struct rt_bytes *stored) {
    *stored = (struct rt_bytes){0};
    if (asked->is_null || !asked->count) return PROTO_ZK_ERR_INVALIDACL;
    if (is_open(asked)) return PROTO_ZK_ERR_OK;
    size_t room = asked->count * (ids->count + 1);
    if (room > ENTRIES_MAX) room = ENTRIES_MAX;
    struct fixing fixing = {rt_arena_zero(arena, room, sizeof(*fixing.items)), 0};
    for (size_t i = 0; i < asked->count; i++) {
        const struct proto_zk_acl *acl = &asked->items[i];
        // ZooKeeper stumbles over the missing id, and that is what it answers then.
        bool known = is_text(acl->id.scheme, "world") || is_text(acl->id.scheme, "digest") ||
                     is_text(acl->id.scheme, "ip");
        if (known && !acl->id.id.data) return PROTO_ZK_ERR_MARSHALLINGERROR;
        if (is_text(acl->id.scheme, "auth")) {
            if (!add_authenticated(&fixing, acl->perms, ids)) return PROTO_ZK_ERR_INVALIDACL;
        } else if (!id_is_valid(&acl->id) || !add(&fixing, acl)) {
            return PROTO_ZK_ERR_INVALIDACL;
        }
    }
    drop_duplicates(&fixing, arena);
    struct proto_zk_acls fixed = {.items = fixing.items, .count = fixing.count};
    meta_acl_encode(&fixed, arena, stored);
    return PROTO_ZK_ERR_OK;
}
