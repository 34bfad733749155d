#include "meta/server/tree/digest_id.h"

#include "meta/server/tree/acl.h"
#include "runtime/sha1.h"

void meta_base64(struct rt_bytes bytes, struct rt_writer *w) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t have = bytes.size - at < 3 ? bytes.size - at : 3;
        uint32_t bits = 0;
        for (size_t i = 0; i < 3; i++) bits = bits << 8 | (i < have ? bytes.data[at + i] : 0u);
        for (size_t i = 0; i < 4; i++) {
            char letter = i <= have ? letters[bits >> (18 - 6 * i) & 63] : '=';
            rt_write_u8(w, (uint8_t)letter);
        }
    }
}

struct rt_bytes meta_digest_id(struct rt_bytes user_and_password, struct rt_arena *arena) {
    enum { BASE64_SIZE = 28 };
    uint8_t digest[RT_SHA1_SIZE];
    size_t user = 0;
    while (user < user_and_password.size && user_and_password.data[user] != ':') user++;
    rt_sha1_of(user_and_password, digest);
    size_t size = user + 1 + BASE64_SIZE;
    uint8_t *id = rt_arena_alloc(arena, size);
    struct rt_writer w = rt_writer_over(id, size);
    rt_write_bytes(&w, RT_BYTES(user_and_password.data, user));
    rt_write_u8(&w, ':');
    meta_base64(RT_BYTES(digest, RT_SHA1_SIZE), &w);
    return RT_BYTES(id, w.written);
}
