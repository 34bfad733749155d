#include "tests/lib/conformance_http.h"

#define SAY(...) \
    { .kind = HTTP_SAY, .text = __VA_ARGS__ }
#define HEAR(...) \
    { .kind = HTTP_HEAR, .text = __VA_ARGS__ }
#define HEAR_START(start) \
    { .kind = HTTP_HEAR_START, .text = start }
#define DO(...) \
    { .kind = HTTP_##__VA_ARGS__ }

#define BYTES_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define BYTES_256 BYTES_64 BYTES_64 BYTES_64 BYTES_64
#define KIB BYTES_256 BYTES_256 BYTES_256 BYTES_256
#define HELLO "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
#define GET_HELLO "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
#define TEXT(length) "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " length "\r\n"
#define REASON(status, length) \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nContent-Length: " length "\r\n"
#define NOT_FOUND REASON("404 Not Found", "45")
#define NOT_FOUND_BODY "{\"reason\":\"there is nothing under this path\"}"
#define ECHO_HEAD(length) \
    "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: " length "\r\n"
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"

const struct http_talk http_talks[] = {
    {.name = "a connection serves one request after the other",
     .steps = {SAY(GET_HELLO), HEAR(HELLO), SAY(GET_HELLO), HEAR(HELLO),
               SAY("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
               HEAR(TEXT("5") "Connection: close\r\n\r\nhello"), DO(HEAR_CLOSE)}},
    {.name = "connections are served on every loop",
     .options = {.spread = true},
     .steps = {SAY(GET_HELLO), SAY(GET_HELLO, .peer = 1), HEAR(HELLO), HEAR(HELLO, .peer = 1),
               SAY("GET /later HTTP/1.1\r\nHost: h\r\n\r\n", .peer = 1),
               HEAR(TEXT("5") "\r\nlater", .peer = 1)}},
    {.name = "a request may come in pieces",
     .steps = {SAY("POST /ec"), DO(PAUSE), SAY("ho HTTP/1.1\r\nHost: h\r\nContent-Le"), DO(PAUSE),
               SAY("ngth: 6\r\n\r"), DO(PAUSE), SAY("\nabc"), DO(PAUSE), SAY("def"),
               HEAR(ECHO_HEAD("6") "X-Method: POST\r\n\r\nabcdef")}},
    {.name = "a chunked body reaches its handler",
     .steps = {SAY("PUT /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"),
               DO(PAUSE), SAY("3;ext=1\r\na"), DO(PAUSE),
               SAY("bc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n" GET_HELLO),
               HEAR(ECHO_HEAD("5") "X-Method: PUT\r\n\r\nabcde"), HEAR(HELLO)}},
    {.name = "pipelined requests are answered in order, also those that take their time",
     .steps = {SAY(GET_HELLO "GET /later HTTP/1.1\r\nHost: h\r\n\r\n" GET_HELLO
                             "GET /no HTTP/1.1\r\nHost: h\r\n\r\n" GET_HELLO),
               HEAR(HELLO), HEAR(TEXT("5") "\r\nlater"), HEAR(HELLO),
               HEAR(NOT_FOUND "\r\n" NOT_FOUND_BODY), HEAR(HELLO)}},
    {.name = "a giant behind a request that is being answered is held back",
     .options = {.body_size_max = 32 << 20},
     .steps = {SAY("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"
                   "PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: 20480000\r\n\r\n"),
               SAY(KIB, .times = 20000), DO(HELD), DO(PAUSE, .times = 20), DO(HELD_BACK),
               DO(RELEASE), HEAR(TEXT("4") "\r\nheld"), HEAR(TEXT("8") "\r\n20480000")}},
    {.name = "a flood of pipelined requests is answered",
     .steps = {SAY("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"), SAY(GET_HELLO, .times = 20000),
               DO(HELD), DO(RELEASE), HEAR(TEXT("4") "\r\nheld"), HEAR(HELLO, .times = 20000)}},
    {.name = "who does not listen at first is answered later",
     .steps = {DO(DEAF), SAY(GET_HELLO, .times = 20000),
               SAY("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"), DO(LISTEN),
               HEAR(HELLO, .times = 20000), HEAR(TEXT("5") "\r\nlater")}},
    {.name = "no more is answered than a peer reads",
     .steps = {DO(DEAF), SAY("GET /big HTTP/1.1\r\nHost: h\r\n\r\n", .times = 150),
               DO(PAUSE, .times = 20), DO(LISTEN), DO(HEAR_BYTES, .times = 150 * (512 << 10))}},
    {.name = "parameters, queries and fields reach the handler",
     .steps = {SAY("GET /params/a%2Fb/c/d%20e?x=1&q=%26+z HTTP/1.1\r\nHost: h\r\n"
                   "X-TEST: value \r\n\r\n"),
               HEAR(TEXT("41") "\r\na/b|c/d e|& z|value|/params/a%2Fb/c/d%20e"),
               SAY("GET http://h/params/a/ HTTP/1.1\r\nHost: h\r\n\r\n"),
               HEAR(TEXT("23") "\r\na||none|none|/params/a/")}},
    {.name = "head is get without the body",
     .steps = {SAY("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n"), HEAR(TEXT("5") "\r\n"),
               SAY("HEAD /no HTTP/1.1\r\nHost: h\r\n\r\n"), HEAR(NOT_FOUND "\r\n"),
               SAY("HEAD /pieces HTTP/1.1\r\nHost: h\r\n\r\n"),
               HEAR("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"),
               SAY(GET_HELLO), HEAR(HELLO)}},
    {.name = "another method is told what is allowed",
     .steps = {SAY("POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"),
               HEAR(REASON("405 Method Not Allowed",
                           "48") "Allow: GET, HEAD\r\n\r\n"
                                 "{\"reason\":\"this path does not know this method\"}"),
               SAY("DELETE /nothing HTTP/1.1\r\nHost: h\r\n\r\n"),
               HEAR("HTTP/1.1 204 No Content\r\n\r\n"), SAY(GET_HELLO), HEAR(HELLO)}},
    {.name = "http 1.0 closes unless asked not to",
     .steps = {SAY("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
               HEAR(TEXT("5") "Connection: keep-alive\r\n\r\nhello"),
               SAY("GET /hello HTTP/1.0\r\n\r\n"), HEAR(TEXT("5") "Connection: close\r\n\r\nhello"),
               DO(HEAR_CLOSE)}},
    {.name = "a begun reply is chunked",
     .steps = {SAY("GET /pieces HTTP/1.1\r\nHost: h\r\n\r\n"),
               HEAR("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n"
                    "3\r\none\r\n17\r\ntwenty three characters\r\n0\r\n\r\n"),
               SAY(GET_HELLO), HEAR(HELLO)}},
    {.name = "a begun reply to http 1.0 ends with the connection",
     .steps = {SAY("GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
               HEAR("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                    "Connection: close\r\n\r\nonetwenty three characters"),
               DO(HEAR_CLOSE)}},
    {.name = "a reply that breaks off is cut",
     .steps = {SAY("GET /abort HTTP/1.1\r\nHost: h\r\n\r\n"), DO(HEAR_CLOSE)}},
    {.name = "the body is asked for where the peer waits for that",
     .steps = {SAY("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                   "Content-Length: 3\r\n\r\n"),
               HEAR("HTTP/1.1 100 Continue\r\n\r\n"), SAY("abc"),
               HEAR(ECHO_HEAD("3") "X-Method: POST\r\n\r\nabc"),
               SAY("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                   "Content-Length: 3\r\n\r\nabc"),
               HEAR(ECHO_HEAD("3") "X-Method: POST\r\n\r\nabc"),
               SAY("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                   "Content-Length: 3\r\n\r\na"),
               DO(PAUSE), SAY("bc"), HEAR(ECHO_HEAD("3") "X-Method: POST\r\n\r\nabc")}},
    {.name = "a malformed request is refused and nothing behind it is read",
     .steps = {SAY("GET /hello HTTP/1.1\r\n\r\n" GET_HELLO),
               HEAR(REASON("400 Bad Request",
                           "55") "Connection: close\r\n\r\n"
                                 "{\"reason\":\"the request does not have exactly one Host\"}"),
               DO(HEAR_CLOSE)}},
    {.name = "too large a body is refused before it comes",
     .options = {.body_size_max = 10},
     .steps = {SAY("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789"),
               HEAR(ECHO_HEAD("10") "X-Method: POST\r\n\r\n0123456789"),
               SAY("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"),
               HEAR(REASON("413 Content Too Large",
                           "46") "Connection: close\r\n\r\n"
                                 "{\"reason\":\"the body is larger than the limit\"}"),
               SAY("0123456789a" GET_HELLO, .times = 1000), DO(HANG_UP), DO(HEAR_CLOSE)}},
    {.name = "who is refused and does not leave is sent away",
     .slow = true,
     .options = {.body_size_max = 10},
     .steps = {SAY("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"),
               HEAR_START("HTTP/1.1 413 "), SAY("0123456789a"), DO(PAUSE, .times = 100),
               SAY(GET_HELLO), DO(STILL_OPEN), DO(HEAR_CLOSE)}},
    {.name = "a streamed reply waits for a peer who does not read",
     .steps = {DO(DEAF), SAY("GET /stream?chunks=512 HTTP/1.0\r\n\r\n"), DO(STUFFED), DO(LISTEN),
               HEAR(STREAM_HEAD "Connection: close\r\n\r\n"), DO(HEAR_BYTES, .times = 512 * 65536),
               DO(STREAM_END), DO(HEAR_CLOSE)}},
    {.name = "a streamed reply ends when its peer goes",
     .steps = {DO(DEAF), SAY("GET /stream?chunks=512 HTTP/1.1\r\nHost: h\r\n\r\n"), DO(STUFFED),
               DO(HANG_UP), DO(STREAM_END)}},
    {.name = "a peer may go while a handler has its request",
     .options = {.spread = true},
     .steps = {SAY("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n" GET_HELLO), DO(HELD), DO(HANG_UP),
               DO(HEAR_CLOSE), SAY(GET_HELLO, .peer = 1), HEAR(HELLO, .peer = 1), DO(RELEASE)}},
    {.name = "closing waits for the handlers",
     .options = {.spread = true},
     .steps = {SAY("GET /hold HTTP/1.1\r\nHost: h\r\n\r\n" GET_HELLO), SAY(GET_HELLO, .peer = 1),
               HEAR(HELLO, .peer = 1), DO(HELD), DO(CLOSE), DO(HEAR_CLOSE, .peer = 1), DO(RELEASE),
               HEAR(TEXT("4") "Connection: close\r\n\r\nheld"), DO(HEAR_CLOSE), DO(CLOSED)}},
    {.name = "closing ends requests that are still arriving",
     .steps = {SAY(GET_HELLO "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na"),
               HEAR(HELLO), DO(CLOSE), DO(HEAR_CLOSE), DO(CLOSED)}},
    {.name = "more connections than allowed are refused",
     .options = {.connections_max = 1},
     .steps = {SAY(GET_HELLO), HEAR(HELLO), SAY(GET_HELLO, .peer = 1), DO(HEAR_CLOSE, .peer = 1),
               SAY(GET_HELLO), HEAR(HELLO)}},
    {.name = "an idle connection is closed",
     .options = {.idle_timeout_ms = 20},
     .steps = {SAY(GET_HELLO), HEAR(HELLO), DO(HEAR_CLOSE)}},
    {.name = "a head that does not end is given up",
     .slow = true,
     .steps = {SAY("GET /hello HTTP/1.1\r\nHos"),
               HEAR(REASON("408 Request Timeout",
                           "47") "Connection: close\r\n\r\n"
                                 "{\"reason\":\"the request did not arrive in time\"}"),
               DO(HEAR_CLOSE)}},
    {.name = "a body that does not end is given up",
     .slow = true,
     .steps = {SAY("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab"),
               HEAR_START("HTTP/1.1 408 "), DO(HEAR_CLOSE)}},
    {.name = "metrics are served",
     .steps = {SAY("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"),
               HEAR_START("HTTP/1.1 200 OK\r\n"
                          "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n")}},
};

const size_t http_talk_count = sizeof(http_talks) / sizeof(http_talks[0]);
