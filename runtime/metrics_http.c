#include "runtime/metrics_http.h"

#include "runtime/metrics.h"

enum { PIECE_SIZE = 64 << 10 };

// One scrape: a piece for each turn, until all is sent or the peer has gone.
struct reply {
    struct rt_http_request *request;
    struct rt_metrics_scrape *scrape;
    struct rt_buf piece;
    struct rt_task task;
    struct rt_http_drain drain;
    bool more;
};

static void reply_end(struct reply *reply) {
    rt_http_reply_end(reply->request);
    rt_metrics_scrape_free(reply->scrape);
    rt_buf_fini(&reply->piece);
    rt_free(reply);
}

// A refused chunk was taken all the same: `drained` says when to go on.
static void reply_piece(struct rt_task *task) {
    struct reply *reply = rt_container_of(task, struct reply, task);
    rt_buf_clear(&reply->piece);
    if (reply->more) {
        reply->more = rt_metrics_scrape_next(reply->scrape, &reply->piece, PIECE_SIZE);
    }
    if (reply->piece.size == 0 || rt_http_peer_is_gone(reply->request)) {
        reply_end(reply);
        return;
    }
    bool has_room = rt_http_reply_chunk(reply->request, rt_buf_bytes(&reply->piece));
    if (has_room) rt_defer(rt_http_loop(reply->request), &reply->task);
}

static void reply_drained(struct rt_http_drain *drain) {
    struct reply *reply = rt_container_of(drain, struct reply, drain);
    rt_defer(rt_http_loop(reply->request), &reply->task);
}

void rt_metrics_reply(struct rt_http_request *request) {
    struct rt_loop *loop = rt_http_loop(request);
    struct reply *reply = RT_NEW(struct reply);
    reply->request = request;
    reply->scrape = rt_metrics_scrape_new(rt_loop_machine(loop)->metrics);
    reply->more = true;
    reply->drain.drained = reply_drained;
    rt_task_init(&reply->task, reply_piece, "metrics reply");
    rt_http_on_drained(request, &reply->drain);
    rt_http_reply_begin(request, 200, "text/plain; version=0.0.4; charset=utf-8");
    rt_defer(loop, &reply->task);
}
