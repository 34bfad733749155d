// Addresses of streams: tcp://host:port, tls+tcp://host:port, inproc://name.
//
// A host is a name, an IPv4 address, an IPv6 address in brackets, or (to listen on) `*` or nothing
// for all of them. A port is 0 to 65535 in decimal.
#ifndef GEMINGA_RUNTIME_ADDRESS_H
#define GEMINGA_RUNTIME_ADDRESS_H

#include <stdint.h>

#include "runtime/bytes.h"

enum { RT_HOST_SIZE = 256 };

struct rt_address {
    struct rt_bytes scheme;   // points into the parsed text
    struct rt_bytes rest;     // behind "://"
    char host[RT_HOST_SIZE];  // without brackets
    uint16_t port;
};

// Scheme and rest only; RT_EADDRESS when there is no "://" or nothing on one side of it.
RT_CHECK
rt_err rt_address_split(const char *text, struct rt_address *address);
// All of it, for schemes with host and port.
RT_CHECK
rt_err rt_address_parse(const char *text, struct rt_address *address, struct rt_why *why);

#endif
