#include "cli/zk_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/utf8.h"

// JSON

static void string_append(struct rt_buf *text, struct rt_bytes value) {
    rt_buf_print(text, "\"");
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c == '"' || c == '\\') {
            rt_buf_print(text, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            rt_buf_print(text, "\\u%04x", c);
        } else {
            rt_buf_append(text, RT_BYTES(&value.data[i], 1));
        }
    }
    rt_buf_print(text, "\"");
}

static void base64_append(struct rt_buf *text, struct rt_bytes value) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    rt_buf_print(text, "\"");
    for (size_t i = 0; i < value.size; i += 3) {
        uint32_t group = (uint32_t)value.data[i] << 16;
        if (i + 1 < value.size) group |= (uint32_t)value.data[i + 1] << 8;
        if (i + 2 < value.size) group |= value.data[i + 2];
        char out[4] = {digits[group >> 18], digits[group >> 12 & 63], digits[group >> 6 & 63],
                       digits[group & 63]};
        if (i + 1 >= value.size) out[2] = '=';
        if (i + 2 >= value.size) out[3] = '=';
        rt_buf_append(text, RT_BYTES(out, sizeof(out)));
    }
    rt_buf_print(text, "\"");
}

static void name_append(struct zk_json *json, const char *name) {
    rt_buf_print(&json->text, "%s\"%s\":", json->has_field ? "," : "", name);
    json->has_field = true;
}

void zk_json_begin(struct zk_json *json) {
    *json = (struct zk_json){.has_field = false};
    rt_buf_print(&json->text, "{");
}

void zk_json_end(struct zk_json *json) {
    rt_buf_print(&json->text, "}");
    zk_print_line(rt_buf_bytes(&json->text));
    rt_buf_fini(&json->text);
}

void zk_json_text(struct zk_json *json, const char *name, struct rt_bytes value) {
    name_append(json, name);
    string_append(&json->text, value);
}

void zk_json_number(struct zk_json *json, const char *name, int64_t value) {
    name_append(json, name);
    rt_buf_print(&json->text, "%" PRId64, value);
}

void zk_json_data(struct zk_json *json, const char *name, struct rt_bytes value) {
    bool is_text = rt_utf8_valid_size(value) == value.size;
    char long_name[64];
    snprintf(long_name, sizeof(long_name), "%s%s", name, is_text ? "" : "Base64");
    name_append(json, long_name);
    if (!value.data) rt_buf_print(&json->text, "null");
    if (value.data && is_text) string_append(&json->text, value);
    if (value.data && !is_text) base64_append(&json->text, value);
}

void zk_json_names(struct zk_json *json, const char *name, const struct proto_zk_strings *names) {
    name_append(json, name);
    rt_buf_print(&json->text, "[");
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0) rt_buf_print(&json->text, ",");
        string_append(&json->text, names->items[i]);
    }
    rt_buf_print(&json->text, "]");
}

void zk_json_stat(struct zk_json *json, const struct proto_zk_stat *stat) {
    name_append(json, "stat");
    rt_buf_print(&json->text,
                 "{\"czxid\":%" PRId64 ",\"mzxid\":%" PRId64 ",\"pzxid\":%" PRId64
                 ",\"ctime\":%" PRId64 ",\"mtime\":%" PRId64 ",\"version\":%" PRId32
                 ",\"cversion\":%" PRId32 ",\"aversion\":%" PRId32 ",\"ephemeralOwner\":%" PRId64
                 ",\"dataLength\":%" PRId32 ",\"numChildren\":%" PRId32 "}",
                 stat->czxid, stat->mzxid, stat->pzxid, stat->ctime_ms, stat->mtime_ms,
                 stat->version, stat->cversion, stat->aversion, stat->ephemeral_owner,
                 stat->data_size, stat->children);
}

// LETTERS OF PERMISSIONS, in the order in which they are shown.

static const struct {
    char letter;
    int32_t perm;
} perm_letters[] = {
    {'c', PROTO_ZK_PERM_CREATE}, {'d', PROTO_ZK_PERM_DELETE}, {'r', PROTO_ZK_PERM_READ},
    {'w', PROTO_ZK_PERM_WRITE},  {'a', PROTO_ZK_PERM_ADMIN},
};
enum { PERM_COUNT = sizeof(perm_letters) / sizeof(perm_letters[0]) };

static void perms_format(int32_t perms, char out[PERM_COUNT + 1]) {
    size_t size = 0;
    for (size_t i = 0; i < PERM_COUNT; i++) {
        if (perms & perm_letters[i].perm) out[size++] = perm_letters[i].letter;
    }
    out[size] = '\0';
}

static bool perms_parse(struct rt_bytes text, int32_t *perms) {
    *perms = 0;
    for (size_t at = 0; at < text.size; at++) {
        size_t i = 0;
        while (i < PERM_COUNT && perm_letters[i].letter != (char)text.data[at]) i++;
        if (i == PERM_COUNT) return false;
        *perms |= perm_letters[i].perm;
    }
    return text.size > 0;
}

void zk_json_acl(struct zk_json *json, const struct proto_zk_acls *acl) {
    name_append(json, "acl");
    rt_buf_print(&json->text, "[");
    for (size_t i = 0; i < acl->count; i++) {
        char perms[PERM_COUNT + 1];
        perms_format(acl->items[i].perms, perms);
        rt_buf_print(&json->text, "%s{\"scheme\":", i > 0 ? "," : "");
        string_append(&json->text, acl->items[i].id.scheme);
        rt_buf_print(&json->text, ",\"id\":");
        string_append(&json->text, acl->items[i].id.id);
        rt_buf_print(&json->text, ",\"perms\":\"%s\"}", perms);
    }
    rt_buf_print(&json->text, "]");
}

// TEXT

void zk_print_line(struct rt_bytes bytes) {
    if (bytes.size > 0) fwrite(bytes.data, 1, bytes.size, stdout);
    printf("\n");
}

void zk_print_stat(const struct proto_zk_stat *stat) {
    printf("cZxid = 0x%" PRIx64 "\nctime = %" PRId64 "\nmZxid = 0x%" PRIx64 "\nmtime = %" PRId64
           "\npZxid = 0x%" PRIx64 "\ncversion = %" PRId32 "\ndataVersion = %" PRId32
           "\naclVersion = %" PRId32 "\nephemeralOwner = 0x%" PRIx64 "\ndataLength = %" PRId32
           "\nnumChildren = %" PRId32 "\n",
           (uint64_t)stat->czxid, stat->ctime_ms, (uint64_t)stat->mzxid, stat->mtime_ms,
           (uint64_t)stat->pzxid, stat->cversion, stat->version, stat->aversion,
           (uint64_t)stat->ephemeral_owner, stat->data_size, stat->children);
}

void zk_print_acl(const struct proto_zk_acls *acl) {
    for (size_t i = 0; i < acl->count; i++) {
        const struct proto_zk_acl *entry = &acl->items[i];
        char perms[PERM_COUNT + 1];
        perms_format(entry->perms, perms);
        printf("%.*s:%.*s:%s\n", (int)entry->id.scheme.size, (const char *)entry->id.scheme.data,
               (int)entry->id.id.size, (const char *)entry->id.id.data, perms);
    }
}

// The scheme ends at the first colon, the permissions begin behind the last.
static bool acl_entry_parse(struct rt_bytes text, struct proto_zk_acl *entry) {
    if (text.size == 0) return false;
    const uint8_t *first = memchr(text.data, ':', text.size);
    const uint8_t *last = memrchr(text.data, ':', text.size);
    if (!first || first == last || first == text.data) return false;
    entry->id.scheme = RT_BYTES(text.data, (size_t)(first - text.data));
    entry->id.id = RT_BYTES(first + 1, (size_t)(last - first - 1));
    return perms_parse(rt_bytes_skip(text, (size_t)(last - text.data) + 1), &entry->perms);
}

bool zk_acl_parse(struct rt_bytes text, struct rt_arena *arena, struct proto_zk_acls *acl) {
    size_t parts = 1;
    for (size_t i = 0; i < text.size; i++) parts += text.data[i] == ',';
    struct proto_zk_acl *items = rt_arena_zero(arena, parts, sizeof(items[0]));
    size_t count = 0;
    for (; count < parts; count++) {
        const uint8_t *comma = text.size > 0 ? memchr(text.data, ',', text.size) : NULL;
        size_t size = comma ? (size_t)(comma - text.data) : text.size;
        if (!acl_entry_parse(RT_BYTES(text.data, size), &items[count])) return false;
        text = rt_bytes_skip(text, size + 1);
    }
    *acl = (struct proto_zk_acls){.items = items, .count = count};
    return true;
}
