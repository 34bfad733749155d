// A small HTTP/1.0 client over a raw stream, so that the answer ends with the connection and needs
// no framing: for commands that ask a running node.
#ifndef GEMINGA_CLI_HTTP_FETCH_H
#define GEMINGA_CLI_HTTP_FETCH_H

#include "runtime/machine.h"
#include "runtime/stream.h"

enum { HTTP_ADDRESS_SIZE = 300 };

// http://host:port/anything to tcp://host:port; port 80 where there is none.
bool http_address_from_url(const char *url, char address[HTTP_ADDRESS_SIZE]);

// Waits for the answer: status line, headers and body, with a NUL behind it. `address` is
// tcp://host:port; not from a loop.
RT_CHECK
rt_err http_fetch(struct rt_machine *machine, const char *address, const char *method,
                  const char *target, struct rt_buf *answer);

#endif
