#include "runtime/address.h"

#include <string.h>

rt_err rt_address_split(const char *text, struct rt_address *address) {
    *address = (struct rt_address){0};
    const char *mark = strstr(text, "://");
    if (!mark || mark == text || mark[3] == '\0') return RT_EADDRESS;
    address->scheme = RT_BYTES(text, (size_t)(mark - text));
    address->rest = rt_bytes_of(mark + 3);
    return RT_OK;
}

static rt_err port_parse(struct rt_bytes text, uint16_t *port) {
    if (text.size == 0 || text.size > 5) return RT_EADDRESS;
    uint32_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return RT_EADDRESS;
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (value > UINT16_MAX) return RT_EADDRESS;
    *port = (uint16_t)value;
    return RT_OK;
}

static bool host_is_plain(struct rt_bytes host, bool bracketed) {
    for (size_t i = 0; i < host.size; i++) {
        uint8_t c = host.data[i];
        bool plain = c > ' ' && c < 0x7f && !strchr("/[]@?#", c);
        if (!plain || (c == ':' && !bracketed)) return false;
    }
    return true;
}

// Splits "host:port" at the last colon and takes the brackets off.
static rt_err host_port_parse(struct rt_bytes rest, struct rt_address *address) {
    const uint8_t *colon = memrchr(rest.data, ':', rest.size);
    if (!colon) return RT_EADDRESS;
    struct rt_bytes host = RT_BYTES(rest.data, (size_t)(colon - rest.data));
    rt_err err = port_parse(rt_bytes_skip(rest, host.size + 1), &address->port);
    if (err) return err;
    bool bracketed = host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    if (bracketed) host = RT_BYTES(host.data + 1, host.size - 2);
    if (host.size >= RT_HOST_SIZE || !host_is_plain(host, bracketed)) return RT_EADDRESS;
    if (host.size > 0) memcpy(address->host, host.data, host.size);
    return RT_OK;
}

rt_err rt_address_parse(const char *text, struct rt_address *address, struct rt_why *why) {
    rt_err err = rt_address_split(text, address);
    if (!err) err = host_port_parse(address->rest, address);
    if (err) return rt_why_set(why, err, "\"%s\" is not scheme://host:port", text);
    return RT_OK;
}
