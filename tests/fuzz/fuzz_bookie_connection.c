// A client of a bookie that sends arbitrary bytes in arbitrary pieces, over a core on a fake store
// and a fake journal. Whatever it sends: what comes back are packets that decode, and in the end
// everything is given back (the fakes assert that nothing is held).
//
// INPUT: weather(1), framed(1), then the bytes. Framed: pieces of size(1) and so many bytes, each
// sent as a packet behind its length word, so that mutations keep the packets apart.
#include <assert.h>
#include <string.h>

#include "bookie/server/protocol/server.h"
#include "runtime/sim/sim.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/bookie_core/fake_journal.h"
#include "tests/unit/bookie_core/fake_store.h"

enum { INPUT_MAX = 1 << 14, HEAD = 2, FRAME_MAX = 4096, LENGTH_SIZE = 4 };

enum weather {
    SLOW_READS = 1 << 0,
    COLD_LEDGERS = 1 << 1,
    READS_FAIL = 1 << 2,
    CACHE_FULL = 1 << 3,
    JOURNAL_FULL = 1 << 4,
    JOURNAL_FAILS = 1 << 5,
    READ_ONLY = 1 << 6,
    NO_JOURNAL = 1 << 7
};

struct bookie {
    struct rt_sim_program program;
    struct rt_loop *loop;
    struct bookie_store store;
    struct bookie_journal journal;
    struct bookie_journal *journals[1];
    struct bookie_core *core;
    struct bookie_server *server;
    struct bookie_core_events core_events;
    struct rt_task closed;
    bool is_closed;
};

struct client {
    struct rt_sim_program program;
    struct rt_conn conn;
    struct rt_timer pace;
    struct rt_bytes out;
    size_t sent;
    bool is_over;
};

struct fuzz {
    struct rt_sim *sim;
    struct rt_sim_condition over;
    struct bookie bookie;
    struct client client;
    unsigned weather;
};

// THE BOOKIE

static struct fuzz *fuzz_of(struct rt_sim_program *program) {
    return rt_container_of(program, struct fuzz, bookie.program);
}

static void congested(struct bookie_core_events *events) {
    bookie_server_on_congested(rt_container_of(events, struct bookie, core_events)->server);
}

static void relieved(struct bookie_core_events *events) {
    bookie_server_on_relieved(rt_container_of(events, struct bookie, core_events)->server);
}

static void fakes_open(struct bookie *bookie, unsigned weather) {
    fake_store_open(&bookie->store, bookie->loop);
    fake_journal_open(&bookie->journal, bookie->loop);
    bookie->journals[0] = &bookie->journal;
    bookie->store.is_slow = weather & SLOW_READS;
    bookie->store.is_cold = weather & COLD_LEDGERS;
    if (weather & READS_FAIL) bookie->store.read_err = RT_EIO;
    if (weather & CACHE_FULL) bookie->store.room = 2;
    if (weather & JOURNAL_FULL) bookie->journal.room = 3;
    bookie->journal.fails = weather & JOURNAL_FAILS;
}

static void bookie_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct fuzz *fuzz = fuzz_of(program);
    struct bookie *bookie = &fuzz->bookie;
    bookie->loop = rt_machine_loop(machine, 0);
    fakes_open(bookie, fuzz->weather);
    bookie->core_events = (struct bookie_core_events){congested, relieved};
    const struct bookie_core_options core = {.store = &bookie->store,
                                             .journals = bookie->journals,
                                             .journal_count = 1,
                                             .journal_writes = !(fuzz->weather & NO_JOURNAL),
                                             .frame_size_max = FRAME_MAX,
                                             .events = &bookie->core_events};
    bookie->core = bookie_core_new(machine, bookie->loop, &core);
    bookie_core_set_read_only(bookie->core, fuzz->weather & READ_ONLY, true);
    const struct bookie_server_options options = {
        .listen = "tcp://a:3181", .frame_size_max = FRAME_MAX, .calls_per_conn_max = 50};
    bookie->server = bookie_server_new(machine, bookie->loop, &options, bookie->core);
    rt_err err = bookie_server_listen(bookie->server, NULL);
    assert(!err);
}

// THE CLIENT

static void client_pace(struct rt_timer *timer) {
    struct client *client = rt_container_of(timer, struct client, pace);
    struct rt_bytes rest = rt_bytes_skip(client->out, client->sent);
    if (!rest.size) {
        rt_conn_finish(&client->conn);
        return;
    }
    size_t size = 1 + rest.data[rest.size / 2] % 251u;
    if (size > rest.size) size = rest.size;
    rt_conn_send(&client->conn, RT_BYTES(rest.data, size));
    client->sent += size;
    rt_timer_after(timer, (uint64_t)rest.data[0] * RT_NS_PER_US);
}

static void client_on_open(struct rt_conn *conn) {
    rt_timer_after(&rt_container_of(conn, struct client, conn)->pace, 0);
}

static void client_on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    struct proto_bk_response response;
    (void)conn;
    rt_err err = proto_bk_response_decode(rt_frame_bytes(frame, 0, frame->size), &response);
    assert(!err);
}

static void client_on_closed(struct rt_conn *conn, rt_err why) {
    (void)why;  // that of the server is what rubbish deserves
    struct client *client = rt_container_of(conn, struct client, conn);
    rt_timer_cancel(&client->pace);
    client->is_over = true;
}

static const struct rt_conn_events client_events = {.name = "fuzz",
                                                    .on_open = client_on_open,
                                                    .on_frame = client_on_frame,
                                                    .on_closed = client_on_closed};

static void client_boot(struct rt_sim_program *program, struct rt_machine *machine) {
    struct client *client = rt_container_of(program, struct client, program);
    struct rt_loop *loop = rt_machine_loop(machine, 0);
    const struct rt_stream_options options = {.frame_size_max = FRAME_MAX - LENGTH_SIZE};
    rt_timer_init(&client->pace, loop, client_pace, "fuzz");
    rt_conn_dial(&client->conn, loop, "tcp://a:3181", &client_events, &options);
}

// A RUN

struct act {
    struct rt_task task;
    struct bookie *bookie;
    void (*run)(struct bookie *bookie);
    bool is_done;
};

static void act_run(struct rt_task *task) {
    struct act *act = rt_container_of(task, struct act, task);
    act->run(act->bookie);
    act->is_done = true;
}

static void perform(struct fuzz *fuzz, void (*run)(struct bookie *bookie)) {
    struct act act = {.bookie = &fuzz->bookie, .run = run};
    rt_task_init(&act.task, act_run, "fuzz act");
    rt_post(fuzz->bookie.loop, &act.task);
    while (!act.is_done) {
        bool went_on = rt_sim_step(fuzz->sim);
        assert(went_on);
    }
}

static bool client_is_over(struct rt_sim_condition *condition) {
    return rt_container_of(condition, struct fuzz, over)->client.is_over;
}

static bool bookie_is_closed(struct rt_sim_condition *condition) {
    return rt_container_of(condition, struct fuzz, over)->bookie.is_closed;
}

static void run_until(struct fuzz *fuzz, bool (*done)(struct rt_sim_condition *condition)) {
    fuzz->over.done = done;
    bool is_done = rt_sim_run_until(fuzz->sim, &fuzz->over, 200000 * RT_NS_PER_S);
    assert(is_done);
}

static void closed_run(struct rt_task *task) {
    rt_container_of(task, struct bookie, closed)->is_closed = true;
}

static void weather_clear(struct bookie *bookie) {
    bookie->store.room = bookie->journal.room = UINT32_MAX;
    bookie_core_on_drained(bookie->core);
}

static void server_close(struct bookie *bookie) {
    rt_task_init(&bookie->closed, closed_run, "fuzz closed");
    bookie_server_close(bookie->server, &bookie->closed);
}

static void core_close(struct bookie *bookie) {
    bookie->is_closed = false;
    bookie_core_close(bookie->core, &bookie->closed);
}

static void fakes_close(struct bookie *bookie) {
    fake_store_close(&bookie->store);
    fake_journal_close(&bookie->journal);
}

static void run(struct fuzz *fuzz) {
    fuzz->sim = rt_sim_new(&(struct rt_sim_options){.seed = 1});
    fuzz->bookie.program.boot = bookie_boot;
    fuzz->client.program.boot = client_boot;
    rt_sim_start(rt_sim_node_add(fuzz->sim, "a", 1, &fuzz->bookie.program));
    rt_sim_run_for(fuzz->sim, RT_NS_PER_MS);
    rt_sim_start(rt_sim_node_add(fuzz->sim, "b", 1, &fuzz->client.program));
    rt_sim_run_for(fuzz->sim, 100 * RT_NS_PER_MS);
    perform(fuzz, weather_clear);
    run_until(fuzz, client_is_over);
    perform(fuzz, server_close);
    run_until(fuzz, bookie_is_closed);
    perform(fuzz, core_close);
    run_until(fuzz, bookie_is_closed);
    perform(fuzz, fakes_close);
    rt_sim_free(fuzz->sim);
}

// Puts the length words in.
static struct rt_bytes framed(struct rt_bytes input, uint8_t *memory, size_t capacity) {
    struct rt_reader r = rt_reader_over(input);
    struct rt_writer w = rt_writer_over(memory, capacity);
    while (rt_reader_left(&r) > 0) {
        size_t size = rt_read_u8(&r);
        if (size > rt_reader_left(&r)) size = rt_reader_left(&r);
        rt_write_be32(&w, (uint32_t)size);
        rt_write_bytes(&w, rt_read_bytes(&r, size));
    }
    assert(!rt_writer_failed(&w));
    return RT_BYTES(memory, w.written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t memory[(LENGTH_SIZE + 1) * INPUT_MAX];
    static struct fuzz fuzz;
    if (size < HEAD || size > INPUT_MAX) return 0;
    memset(&fuzz, 0, sizeof(fuzz));
    fuzz.weather = data[0];
    fuzz.client.out = RT_BYTES(data + HEAD, size - HEAD);
    if (data[1] & 1) fuzz.client.out = framed(fuzz.client.out, memory, sizeof(memory));
    run(&fuzz);
    return 0;
}
