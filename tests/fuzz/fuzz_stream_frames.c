// Stream framing on arbitrary bytes: a simulated peer sends the input in pieces whose sizes the
// input itself decides; what is delivered must be what a plain walk over the bytes finds, and
// nothing of a frame over the limit.
#include <assert.h>
#include <string.h>

#include "runtime/sim/sim.h"
#include "runtime/stream.h"
#include "tests/fuzz/fuzz.h"

enum { PREFIX = 4, INPUT_MAX = 1 << 16, HEAD = 2 };

struct side {
    struct rt_sim_program program;
    struct fuzz *fuzz;
    struct rt_conn conn;
    struct rt_timer pace;
    bool closed;
};

// Of each frame its length and bytes. The test's own memory: a node's goes away with the node.
struct frames {
    size_t size;
    uint8_t bytes[2 * INPUT_MAX];
};

struct fuzz {
    struct rt_sim_condition over;
    struct side server, client;
    struct rt_listener listener;
    struct rt_bytes input;
    size_t frame_size_max, sent;
    bool measured;
    struct frames *delivered;
    rt_err why;
};

static void deliver(struct frames *frames, struct rt_bytes frame) {
    struct rt_writer w =
        rt_writer_over(frames->bytes + frames->size, sizeof(frames->bytes) - frames->size);
    rt_write_be32(&w, (uint32_t)frame.size);
    rt_write_bytes(&w, frame);
    assert(!rt_writer_failed(&w));
    frames->size += w.written;
}

// SERVER

static struct fuzz *fuzz_of(struct rt_conn *conn) {
    return rt_container_of(conn, struct side, conn)->fuzz;
}

static void server_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct fuzz *fuzz = fuzz_of(conn);
    deliver(fuzz->delivered, rt_frame_bytes(frame, 0, frame->size));
}

static void server_on_closed(struct rt_conn *conn, rt_err why) {
    fuzz_of(conn)->why = why;
    fuzz_of(conn)->server.closed = true;
}

// The same frames, measured by hand: the prefix is part of them.
static rt_err measure(struct rt_conn *conn, struct rt_bytes have, size_t *size) {
    (void)conn;
    *size = 0;
    if (have.size < PREFIX) return RT_OK;
    struct rt_reader r = rt_reader_over(have);
    *size = (size_t)rt_read_be32(&r) + PREFIX;
    return RT_OK;
}

static const struct rt_conn_events server_events = {
    .name = "fuzz", .on_frame = server_on_frame, .on_closed = server_on_closed};

static void on_incoming(struct rt_listener *listener, struct rt_loop *loop,
                        struct rt_incoming *incoming) {
    struct fuzz *fuzz = rt_container_of(listener, struct fuzz, listener);
    struct rt_stream_options options = {.frame_size_max = fuzz->frame_size_max};
    if (fuzz->measured) {
        options.framing = RT_FRAMES_MEASURED;
        options.measure = measure;
        options.frame_size_max += PREFIX;
    }
    rt_conn_accept(&fuzz->server.conn, loop, incoming, &server_events, &options);
}

static void listener_on_closed(struct rt_listener *listener) {
    (void)listener;  // it stays open to the end of the simulation
}

static const struct rt_listener_events listener_events = {
    .name = "fuzz", .on_incoming = on_incoming, .on_closed = listener_on_closed};

static void server_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct side *side = rt_container_of(program, struct side, program);
    rt_err err = rt_listener_open(&side->fuzz->listener, rt_machine_loop(machine, 0),
                                  "tcp://a:7000", &listener_events, false, NULL, NULL);
    assert(!err);
}

// CLIENT

static void client_pace(struct rt_timer *timer) {
    struct side *side = rt_container_of(timer, struct side, pace);
    struct fuzz *fuzz = side->fuzz;
    struct rt_bytes rest = rt_bytes_skip(fuzz->input, fuzz->sent);
    if (!rest.size) {
        rt_conn_finish(&side->conn);
        return;
    }
    size_t size = 1 + rest.data[rest.size / 2] % 97u;
    if (size > rest.size) size = rest.size;
    rt_conn_send(&side->conn, RT_BYTES(rest.data, size));
    fuzz->sent += size;
    rt_timer_after(timer, (uint64_t)rest.data[0] * RT_NS_PER_US);
}

static void client_on_open(struct rt_conn *conn) {
    rt_timer_after(&rt_container_of(conn, struct side, conn)->pace, 0);
}

static void client_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    (void)conn;  // the server sends nothing
    (void)frame;
}

static void client_on_closed(struct rt_conn *conn, rt_err why) {
    (void)why;  // the server's is checked
    struct side *side = rt_container_of(conn, struct side, conn);
    rt_timer_cancel(&side->pace);
    side->closed = true;
}

static const struct rt_conn_events client_events = {.name = "fuzz",
                                                    .on_open = client_on_open,
                                                    .on_frame = client_on_frame,
                                                    .on_closed = client_on_closed};

static void client_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct side *side = rt_container_of(program, struct side, program);
    struct rt_loop *loop = rt_machine_loop(machine, 0);
    struct rt_stream_options options = {.framing = RT_FRAMES_RAW};
    rt_timer_init(&side->pace, loop, client_pace, "fuzz");
    rt_conn_dial(&side->conn, loop, "tcp://a:7000", &client_events, &options);
}

// THE EXPECTATION

static bool expect(const struct fuzz *fuzz, struct frames *frames) {
    struct rt_reader r = rt_reader_over(fuzz->input);
    while (rt_reader_left(&r) >= PREFIX) {
        const uint8_t *start = r.at;
        size_t size = rt_read_be32(&r);
        if (size > fuzz->frame_size_max) return false;
        if (rt_reader_left(&r) < size) return true;
        struct rt_bytes body = rt_read_bytes(&r, size);
        deliver(frames, fuzz->measured ? RT_BYTES(start, size + PREFIX) : body);
    }
    return true;
}

static bool is_over(struct rt_sim_condition *condition) {
    struct fuzz *fuzz = rt_container_of(condition, struct fuzz, over);
    return fuzz->server.closed && fuzz->client.closed;
}

static void run(struct fuzz *fuzz) {
    const struct rt_sim_options options = {.seed = 1};
    struct rt_sim *sim = rt_sim_new(&options);
    fuzz->server = (struct side){{.boot = server_boot}, .fuzz = fuzz};
    fuzz->client = (struct side){{.boot = client_boot}, .fuzz = fuzz};
    rt_sim_start(rt_sim_node_add(sim, "a", 1, &fuzz->server.program));
    rt_sim_run_for(sim, RT_NS_PER_MS);
    rt_sim_start(rt_sim_node_add(sim, "b", 1, &fuzz->client.program));
    fuzz->over.done = is_over;
    bool ended = rt_sim_run_until(sim, &fuzz->over, 600 * RT_NS_PER_S);
    assert(ended);
    static struct frames expected;
    expected.size = 0;
    bool sound = expect(fuzz, &expected);
    assert(expected.size == fuzz->delivered->size);
    assert(memcmp(expected.bytes, fuzz->delivered->bytes, expected.size) == 0);
    assert(sound || fuzz->why != RT_OK);
    rt_sim_free(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD || size > INPUT_MAX) return 0;
    static struct frames delivered;
    delivered.size = 0;
    struct fuzz fuzz = {.delivered = &delivered,
                        .input = RT_BYTES(data + HEAD, size - HEAD),
                        .frame_size_max = 1 + data[0] * (size_t)17,
                        .measured = data[1] & 1};
    run(&fuzz);
    return 0;
}
