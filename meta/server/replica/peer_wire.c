#include "meta/server/replica/peer_wire.h"

#include <stdio.h>
#include <string.h>

enum { FLAG_VIRGIN = 1, FLAG_ANSWER = 2 };

#define MAGIC RT_BYTES_LITERAL("GMP1")

void meta_peer_hello_encode(const struct meta_peer_hello *hello, struct rt_writer *w) {
    size_t size = strlen(hello->address);
    rt_write_u8(w, META_PEER_HELLO);
    rt_write_bytes(w, MAGIC);
    rt_write_u8(
        w, (uint8_t)((hello->is_virgin ? FLAG_VIRGIN : 0) | (hello->is_answer ? FLAG_ANSWER : 0)));
    rt_write_be64(w, hello->cluster);
    rt_write_be64(w, hello->from);
    rt_write_be64(w, hello->to);
    rt_write_be64(w, hello->last.index);
    rt_write_be64(w, hello->last.term);
    rt_write_u8(w, (uint8_t)size);
    rt_write_bytes(w, RT_BYTES(hello->address, size));
}

rt_err meta_peer_hello_decode(struct rt_bytes frame, struct meta_peer_hello *hello) {
    struct rt_reader r = rt_reader_over(frame);
    *hello = (struct meta_peer_hello){0};
    if (rt_read_u8(&r) != META_PEER_HELLO) return RT_EPROTO;
    if (!rt_bytes_equal(rt_read_bytes(&r, MAGIC.size), MAGIC)) return RT_EPROTO;
    unsigned flags = rt_read_u8(&r);
    hello->is_virgin = (flags & FLAG_VIRGIN) != 0;
    hello->is_answer = (flags & FLAG_ANSWER) != 0;
    hello->cluster = rt_read_be64(&r);
    hello->from = rt_read_be64(&r);
    hello->to = rt_read_be64(&r);
    hello->last.index = rt_read_be64(&r);
    hello->last.term = rt_read_be64(&r);
    struct rt_bytes address = rt_read_bytes(&r, rt_read_u8(&r));
    if (!rt_reader_done(&r) || address.size >= sizeof(hello->address)) return RT_EPROTO;
    if (memchr(address.data, '\0', address.size)) return RT_EPROTO;
    memcpy(hello->address, address.data, address.size);
    return hello->from ? RT_OK : RT_EPROTO;
}

void meta_peer_touch_encode(const int64_t *sessions, size_t count, struct rt_writer *w) {
    rt_write_u8(w, META_PEER_TOUCH);
    rt_write_be16(w, (uint16_t)count);
    for (size_t i = 0; i < count; i++) rt_write_be64(w, (uint64_t)sessions[i]);
}

rt_err meta_peer_touch_decode(struct rt_bytes frame, int64_t *sessions, size_t *count) {
    struct rt_reader r = rt_reader_over(frame);
    if (rt_read_u8(&r) != META_PEER_TOUCH) return RT_EPROTO;
    *count = rt_read_be16(&r);
    if (rt_reader_failed(&r)) return RT_EPROTO;
    if (*count > META_PEER_TOUCHES_MAX || rt_reader_left(&r) != *count * sizeof(uint64_t))
        return RT_EPROTO;
    for (size_t i = 0; i < *count; i++) sessions[i] = (int64_t)rt_read_be64(&r);
    return RT_OK;
}

void meta_peer_forward_encode(uint64_t term, struct rt_bytes command, struct rt_writer *w) {
    rt_write_u8(w, META_PEER_FORWARD);
    rt_write_be64(w, term);
    rt_write_bytes(w, command);
}

rt_err meta_peer_forward_decode(struct rt_bytes frame, uint64_t *term, struct rt_bytes *command) {
    struct rt_reader r = rt_reader_over(frame);
    if (rt_read_u8(&r) != META_PEER_FORWARD) return RT_EPROTO;
    *term = rt_read_be64(&r);
    *command = rt_read_bytes(&r, rt_reader_left(&r));
    return rt_reader_failed(&r) ? RT_EPROTO : RT_OK;
}

void meta_peer_refused_encode(const uint64_t *ticket, struct rt_writer *w) {
    rt_write_u8(w, META_PEER_REFUSED);
    if (ticket) rt_write_be64(w, *ticket);
}

rt_err meta_peer_refused_decode(struct rt_bytes frame, bool *is_one, uint64_t *ticket) {
    struct rt_reader r = rt_reader_over(frame);
    if (rt_read_u8(&r) != META_PEER_REFUSED) return RT_EPROTO;
    *is_one = rt_reader_left(&r) > 0;
    *ticket = *is_one ? rt_read_be64(&r) : 0;
    return rt_reader_done(&r) ? RT_OK : RT_EPROTO;
}

bool meta_peer_url(const char *member_address, const char *scheme, bool any_host, char *url,
                   size_t url_size) {
    const char *host = member_address;
    bool is_v6 = host[0] == '[';
    const char *end = is_v6 ? strchr(host, ']') : strchr(host, ':');
    if (!end) return false;
    if (is_v6) end++;
    if (*end != ':' || end == host) return false;
    size_t digits = strspn(end + 1, "0123456789");
    if (digits == 0 || digits > 5) return false;
    int host_size = (int)(end - host);
    const char *any = is_v6 ? "[::]" : "0.0.0.0";
    int size = any_host ? snprintf(url, url_size, "%s://%s:%.*s", scheme, any, (int)digits, end + 1)
                        : snprintf(url, url_size, "%s://%.*s:%.*s", scheme, host_size, host,
                                   (int)digits, end + 1);
    return size > 0 && (size_t)size < url_size;
}
