// Streams of the real machine: tcp and tls+tcp over nng's byte streams.
//
//   stream_nng.c    a connection: one receive and one send in flight
//   listener_nng.c  accepting, and going on when there are no file descriptors left
//   tls_nng.c       certificates and keys
#ifndef GEMINGA_RUNTIME_REAL_STREAM_NNG_H
#define GEMINGA_RUNTIME_REAL_STREAM_NNG_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "runtime/address.h"
#include "runtime/transport.h"

// For the backend: by scheme, NULL when it is neither tcp nor tls+tcp.
const struct rt_transport *real_transport(struct rt_machine *machine, const char *scheme,
                                          size_t scheme_size);

rt_err real_err_from_nng(int code);
void real_peer_name(nng_stream *stream, char *name, size_t size);  // "host:port", or "?"

rt_err real_nng_listen(struct rt_listener *listener, const char *address, struct rt_why *why);
void real_nng_unlisten(struct rt_listener *listener);
void real_nng_refuse(struct rt_incoming *incoming);

// The configuration of one side; `host` is what a client checks where tls->server_name is NULL.
RT_CHECK
rt_err real_tls_config(const struct rt_tls *tls, bool server, const char *host,
                       nng_tls_config **config, struct rt_why *why);

// The address as nng writes it: an IPv6 host in brackets.
enum { REAL_URL_SIZE = RT_HOST_SIZE + 32 };
void real_nng_url(const struct rt_address *address, char *url);

#endif
