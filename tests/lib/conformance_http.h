// Talks with an HTTP server: scripts of what a peer says and must hear, run on one machine that
// holds the server and its peers. The same talks must go well over sockets, in process and in the
// simulator.
#ifndef GEMINGA_TESTS_LIB_CONFORMANCE_HTTP_H
#define GEMINGA_TESTS_LIB_CONFORMANCE_HTTP_H

#include "runtime/http.h"
#include "tests/lib/harness.h"

enum http_step_kind {
    HTTP_STEP_END,
    HTTP_SAY,         // the text, `times` times
    HTTP_HEAR,        // exactly this text, `times` times; Date lines are left out on both sides
    HTTP_HEAR_START,  // this text; what follows it is forgotten
    HTTP_HEAR_BYTES,  // `times` bytes of any kind
    HTTP_HEAR_CLOSE,  // nothing more, then the server's close
    HTTP_HANG_UP,
    HTTP_PAUSE,       // 2 ms, `times` times: what was said before leaves by itself
    HTTP_STILL_OPEN,  // the server has not closed
    HTTP_HELD_BACK,   // what was said has not all been taken
    HTTP_DEAF,        // stops reading
    HTTP_LISTEN,      // reads again
    HTTP_HELD,        // waits until the handler of /hold has a request
    HTTP_RELEASE,     // lets it reply
    HTTP_STUFFED,     // waits until the handler of /stream was told to wait
    HTTP_STREAM_END,  // waits until it has ended its reply
    HTTP_CLOSE,       // starts to close the server
    HTTP_CLOSED       // waits until that is done
};

enum { HTTP_PEERS = 2, HTTP_STEPS_MAX = 16 };

struct http_step {
    enum http_step_kind kind;
    const char *text;
    unsigned times;  // 0: once
    unsigned peer;   // 0 is there from the start, others dial at their first step
};

struct http_talk {
    const char *name;
    bool slow;  // lasts longer than a person waits: for virtual time
    struct rt_http_options options;
    struct http_step steps[HTTP_STEPS_MAX];
};

extern const struct http_talk http_talks[];
extern const size_t http_talk_count;

struct http_peer {
    struct http_run *run;
    struct rt_conn conn;
    struct rt_buf heard;  // from heard_at on: not yet expected
    size_t heard_at;
    bool dialed, open, closed;
};

struct http_run {
    struct harness harness;
    const struct http_talk *talk;
    struct rt_loop *loop;  // of the peers, the steps and the server
    struct rt_http_owner owner;
    struct rt_http_server *server;
    struct rt_http_closing closing;
    struct http_peer peers[HTTP_PEERS];
    unsigned step, repeats;  // of the step, that are done
    bool failed, ended, server_closing, server_closed;
    bool held_seen, stuffed_seen, stream_end_seen;
    struct rt_timer pause;
    bool pausing;
    struct rt_task held_task, release_task, stuffed_task, stream_end_task;
    struct rt_http_request *held;  // of the handler's loop, until it is released
    struct rt_loop *held_loop;
};

// Zero-initialise, set the transport and the seed of the harness; then run the harness.
void http_run_set(struct http_run *run, const struct http_talk *talk);
// Where it stands, for a person: the talk, the step and what was heard.
void http_run_describe(const struct http_run *run, struct rt_buf *out);

#endif
