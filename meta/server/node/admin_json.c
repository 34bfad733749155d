#include "meta/server/node/admin_json.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>

enum {
    DEPTH_MAX = 32,  // bits of an int remember which are lists
    TEXT_MAX = 32 << 20
};

bool meta_json_is_long(const struct meta_json *json) {
    return json->text.size > TEXT_MAX;
}

void meta_json_quote(struct rt_buf *out, struct rt_bytes text) {
    rt_buf_append(out, RT_BYTES_LITERAL("\""));
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\')
            rt_buf_print(out, "\\%c", c);
        else if (c < 0x20)
            rt_buf_print(out, "\\u%04x", c);
        else
            rt_buf_append(out, RT_BYTES(&c, 1));
    }
    rt_buf_append(out, RT_BYTES_LITERAL("\""));
}

static bool is_number(struct rt_bytes text) {
    size_t digits = 0, dots = 0;
    size_t sign = text.size && text.data[0] == '-';
    for (size_t i = sign; i < text.size; i++) {
        digits += isdigit(text.data[i]) != 0;
        dots += text.data[i] == '.';
        if (!isdigit(text.data[i]) && text.data[i] != '.') return false;
    }
    if (!digits || dots > 1 || text.size >= 19) return false;
    const uint8_t *first = text.data + sign;
    if (!isdigit(first[0]) || !isdigit(text.data[text.size - 1])) return false;
    return first[0] != '0' || digits + dots == 1 || first[1] == '.';
}

static void member_begin(struct meta_json *json, struct rt_bytes key) {
    const char *gap = json->depth == 1 ? "\n  " : " ";
    rt_buf_print(&json->text, "%s%s", json->has_member ? "," : "", gap);
    json->has_member = true;
    if (!key.data) return;
    meta_json_quote(&json->text, key);
    rt_buf_append(&json->text, RT_BYTES_LITERAL(" : "));
}

static struct rt_bytes key_of(const char *key) {
    return key ? rt_bytes_of(key) : (struct rt_bytes){0};
}

void meta_json_begin(struct meta_json *json) {
    *json = (struct meta_json){.depth = 1};
    rt_buf_append(&json->text, RT_BYTES_LITERAL("{"));
}

void meta_json_reply(struct meta_json *json, struct rt_http_request *request) {
    assert(json->depth == 1);
    rt_buf_append(&json->text, RT_BYTES_LITERAL("\n}\n"));
    rt_http_reply(request, 200, "application/json", rt_buf_bytes(&json->text));
    rt_buf_fini(&json->text);
}

void meta_json_open_bytes(struct meta_json *json, struct rt_bytes key, char bracket) {
    assert(bracket == '{' || bracket == '[');
    assert(json->depth < DEPTH_MAX);
    member_begin(json, key);
    rt_buf_print(&json->text, "%c", bracket);
    json->depth++;
    if (bracket == '[')
        json->lists |= 1u << json->depth % DEPTH_MAX;
    else
        json->lists &= ~(1u << json->depth % DEPTH_MAX);
    json->has_member = false;
}

void meta_json_open(struct meta_json *json, const char *key, char bracket) {
    meta_json_open_bytes(json, key_of(key), bracket);
}

void meta_json_close(struct meta_json *json) {
    assert(json->depth > 1);
    bool is_list = json->lists & 1u << json->depth % DEPTH_MAX;
    rt_buf_print(&json->text, " %c", is_list ? ']' : '}');
    json->depth--;
    json->has_member = true;
}

void meta_json_text(struct meta_json *json, const char *key, struct rt_bytes value) {
    member_begin(json, key_of(key));
    meta_json_quote(&json->text, value);
}

void meta_json_number(struct meta_json *json, const char *key, int64_t value) {
    member_begin(json, key_of(key));
    rt_buf_print(&json->text, "%" PRId64, value);
}

void meta_json_bool(struct meta_json *json, const char *key, bool value) {
    member_begin(json, key_of(key));
    rt_buf_print(&json->text, "%s", value ? "true" : "false");
}

void meta_json_null(struct meta_json *json, const char *key) {
    member_begin(json, key_of(key));
    rt_buf_append(&json->text, RT_BYTES_LITERAL("null"));
}

void meta_json_value(struct meta_json *json, struct rt_bytes key, struct rt_bytes value) {
    member_begin(json, key);
    if (is_number(value))
        rt_buf_append(&json->text, value);
    else
        meta_json_quote(&json->text, value);
}
