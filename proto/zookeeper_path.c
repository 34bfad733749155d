#include "proto/zookeeper_path.h"

#include <assert.h>
#include <string.h>

static bool code_is_illegal(uint32_t code) {
    return code <= 0x1f || (code >= 0x7f && code <= 0x9f) || (code >= 0xd800 && code <= 0xf8ff) ||
           code >= 0xfff0;
}

// The size of the character at the start, 0 if it is malformed. Surrogates come out as codes, to be
// found illegal.
static size_t character_size(struct rt_bytes text, uint32_t *code) {
    static const struct {
        uint8_t mask, lead;
        uint32_t code_min;  // anything below has a shorter form
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    size_t size = 1;
    while (size <= 4 && (text.data[0] & forms[size - 1].mask) != forms[size - 1].lead) size++;
    if (size > 4 || size > text.size) return 0;
    uint32_t value = text.data[0] & (uint8_t)~forms[size - 1].mask;
    for (size_t i = 1; i < size; i++) {
        if ((text.data[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (text.data[i] & 0x3fu);
    }
    *code = value;
    return value >= forms[size - 1].code_min && value <= 0x10ffff ? size : 0;
}

static enum proto_zk_path_fault characters_check(struct rt_bytes component) {
    while (component.size > 0) {
        uint32_t code = 0;
        size_t size = character_size(component, &code);
        if (size == 0) return PROTO_ZK_PATH_UTF8;
        if (code == 0) return PROTO_ZK_PATH_NUL;
        if (code_is_illegal(code)) return PROTO_ZK_PATH_CHARACTER;
        component = RT_BYTES(component.data + size, component.size - size);
    }
    return PROTO_ZK_PATH_OK;
}

static enum proto_zk_path_fault component_check(struct rt_bytes component) {
    if (component.size == 0) return PROTO_ZK_PATH_EMPTY_COMPONENT;
    if (rt_bytes_equal(component, RT_BYTES_LITERAL("."))) return PROTO_ZK_PATH_DOTS;
    if (rt_bytes_equal(component, RT_BYTES_LITERAL(".."))) return PROTO_ZK_PATH_DOTS;
    return characters_check(component);
}

enum proto_zk_path_fault proto_zk_path_check(struct rt_bytes path) {
    if (!path.data) return PROTO_ZK_PATH_NULL;
    if (path.size == 0) return PROTO_ZK_PATH_EMPTY;
    if (path.data[0] != '/') return PROTO_ZK_PATH_RELATIVE;
    if (path.size == 1) return PROTO_ZK_PATH_OK;
    if (path.data[path.size - 1] == '/') return PROTO_ZK_PATH_TRAILING_SLASH;
    const uint8_t *end = path.data + path.size;
    for (const uint8_t *slash = path.data; slash;) {
        const uint8_t *start = slash + 1;
        slash = memchr(start, '/', (size_t)(end - start));
        size_t size = (size_t)((slash ? slash : end) - start);
        enum proto_zk_path_fault fault = component_check(RT_BYTES(start, size));
        if (fault) return fault;
    }
    return PROTO_ZK_PATH_OK;
}

const char *proto_zk_path_fault_text(enum proto_zk_path_fault fault) {
#define FAULT_CASE(id, text) \
    case PROTO_ZK_PATH_##id: return text;
    switch (fault) { PROTO_ZK_PATH_FAULTS(FAULT_CASE) }
    return "unknown fault";
}

bool proto_zk_path_is_splittable(struct rt_bytes path) {
    if (path.size == 0) return false;
    return memchr(path.data, '/', path.size) && !memchr(path.data, '\0', path.size);
}

bool proto_zk_path_is_builtin(struct rt_bytes path) {
    return rt_bytes_equal(path, RT_BYTES_LITERAL("/")) ||
           rt_bytes_equal(path, RT_BYTES_LITERAL("/zookeeper")) ||
           rt_bytes_equal(path, RT_BYTES_LITERAL("/zookeeper/quota")) ||
           rt_bytes_equal(path, RT_BYTES_LITERAL("/zookeeper/config"));
}

static size_t last_slash(struct rt_bytes path) {
    assert(proto_zk_path_is_splittable(path));
    size_t at = path.size - 1;
    while (path.data[at] != '/') at--;
    return at;
}

struct rt_bytes proto_zk_path_parent(struct rt_bytes path) {
    size_t at = last_slash(path);
    return at == 0 ? RT_BYTES_LITERAL("/") : RT_BYTES(path.data, at);
}

struct rt_bytes proto_zk_path_name(struct rt_bytes path) {
    size_t after = last_slash(path) + 1;
    return RT_BYTES(path.data + after, path.size - after);
}
