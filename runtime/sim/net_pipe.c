// One direction of a connection: segments on their way, the window, and the sender's patience.
#include <assert.h>
#include <string.h>

#include "runtime/sim/sim_net.h"

// RINGS: capacities are powers of two; memory of the world.

static void bytes_grow(struct sim_bytes *ring, size_t size) {
    size_t capacity = ring->capacity ? ring->capacity : 1024;
    while (capacity < size) capacity *= 2;
    if (capacity == ring->capacity) return;
    struct rt_heap *inside = sim_world_enter();
    uint8_t *data = rt_alloc(capacity);
    size_t first = ring->capacity - ring->head;
    if (first > ring->size) first = ring->size;
    if (first > 0) memcpy(data, ring->data + ring->head, first);
    if (ring->size > first) memcpy(data + first, ring->data, ring->size - first);
    rt_free(ring->data);
    sim_world_leave(inside);
    ring->data = data;
    ring->capacity = capacity;
    ring->head = 0;
}

static void bytes_push(struct sim_bytes *ring, const uint8_t *from, size_t size) {
    bytes_grow(ring, ring->size + size);
    size_t at = (ring->head + ring->size) & (ring->capacity - 1);
    size_t first = ring->capacity - at < size ? ring->capacity - at : size;
    memcpy(ring->data + at, from, first);
    memcpy(ring->data, from + first, size - first);
    ring->size += size;
}

static void bytes_pop(struct sim_bytes *ring, uint8_t *to, size_t size) {
    assert(size <= ring->size);
    if (to && size > 0) {
        size_t first = ring->capacity - ring->head < size ? ring->capacity - ring->head : size;
        memcpy(to, ring->data + ring->head, first);
        memcpy(to + first, ring->data, size - first);
    }
    ring->size -= size;
    if (ring->capacity) ring->head = (ring->head + size) & (ring->capacity - 1);
}

static struct sim_segment *segment_at(const struct sim_segments *ring, size_t index) {
    return &ring->items[(ring->head + index) & (ring->capacity - 1)];
}

static void segments_grow(struct sim_segments *ring) {
    struct rt_heap *inside = sim_world_enter();
    size_t capacity = ring->capacity ? ring->capacity * 2 : 8;
    struct sim_segment *items = rt_alloc(capacity * sizeof *items);
    for (size_t i = 0; i < ring->count; i++) items[i] = *segment_at(ring, i);
    rt_free(ring->items);
    sim_world_leave(inside);
    ring->items = items;
    ring->capacity = capacity;
    ring->head = 0;
}

static struct sim_segment segments_pop(struct sim_segments *ring) {
    assert(ring->count > 0);
    struct sim_segment segment = *segment_at(ring, 0);
    ring->head = (ring->head + 1) & (ring->capacity - 1);
    ring->count--;
    return segment;
}

// ON THE WAY

uint64_t sim_latency(struct rt_sim *sim, struct sim_link *link) {
    const struct rt_sim_link *config = &link->config;
    struct rt_random *random = &sim->net_random;
    uint64_t latency = rt_random_between(random, config->latency_min_ns, config->latency_max_ns);
    if (config->slow_per_million && rt_random_chance(random, config->slow_per_million)) {
        latency = (latency + 1) * rt_random_between(random, 10, 1000);
    }
    return latency;
}

static struct sim_link *link_out(struct sim_end *end) {
    return sim_link_between(end->node, sim_end_peer(end)->node);
}

static struct sim_link *link_back(struct sim_end *end) {
    return sim_link_between(sim_end_peer(end)->node, end->node);
}

static uint64_t arrival(struct sim_end *end, uint32_t size) {
    struct rt_sim *sim = end->owner->sim;
    struct sim_link *link = link_out(end);
    uint64_t start = link->free_ns > sim->now_ns ? link->free_ns : sim->now_ns;
    link->free_ns = start + (uint64_t)size * RT_NS_PER_S / link->config.bytes_per_s;
    uint64_t at = link->free_ns + sim_latency(sim, link);
    if (at < end->out.last_arrival_ns) at = end->out.last_arrival_ns;
    end->out.last_arrival_ns = at;
    return at;
}

void sim_pipe_push(struct sim_end *end, enum sim_segment_kind kind, uint32_t size) {
    struct sim_pipe *pipe = &end->out;
    struct sim_segments *ring = &pipe->segments;
    if (ring->count == ring->capacity) segments_grow(ring);
    *segment_at(ring, ring->count++) =
        (struct sim_segment){.arrives_ns = arrival(end, size), .size = size, .kind = kind};
    if (ring->count == 1 && !pipe->held) {
        sim_schedule(end->owner->sim, &pipe->deliver, segment_at(ring, 0)->arrives_ns);
    }
}

static bool host_is_down(const struct rt_sim_node *node) {
    return node->net->host_down;
}

static void on_deliver(struct sim_event *event) {
    struct sim_end *end = rt_container_of(event, struct sim_end, out.deliver);
    struct sim_end *peer = sim_end_peer(end);
    struct sim_pipe *pipe = &end->out;
    struct sim_conn *conn = end->owner;
    pipe->held = link_out(end)->cut || host_is_down(peer->node);
    if (conn->dead_air) {
        sim_pipe_drop_in_flight(end);
    } else if (!pipe->held) {
        struct sim_segment segment = segments_pop(&pipe->segments);
        sim_trace(event->sim, SIM_DELIVER, peer->node, sim_end_id(peer), segment.kind,
                  segment.size);
        sim_end_arrive(peer, segment);
        if (pipe->segments.count > 0 && !sim_is_scheduled(&pipe->deliver)) {
            sim_schedule(event->sim, &pipe->deliver, segment_at(&pipe->segments, 0)->arrives_ns);
        }
    }
    sim_conn_free_if_done(conn);
}

size_t sim_pipe_readable(const struct sim_end *end) {
    return (size_t)(end->out.arrived - end->out.read);
}

// What has not arrived is forgotten by everybody but the sender, who waits for its answer.
void sim_pipe_drop_in_flight(struct sim_end *end) {
    struct sim_pipe *pipe = &end->out;
    pipe->segments.count = 0;
    pipe->held = false;
    sim_cancel(end->owner->sim, &pipe->deliver);
    pipe->bytes.size = sim_pipe_readable(end);
}

void sim_pipe_drop_readable(struct sim_end *end) {
    bytes_pop(&end->out.bytes, NULL, sim_pipe_readable(end));
    end->out.read = end->out.arrived;
}

void sim_pipe_retry(struct sim_end *end) {
    struct sim_pipe *pipe = &end->out;
    struct rt_sim *sim = end->owner->sim;
    if (pipe->held) {
        pipe->held = false;
        sim_schedule(sim, &pipe->deliver, sim->now_ns + sim_latency(sim, link_out(end)));
    }
    if (pipe->answer_held) {
        pipe->answer_held = false;
        sim_schedule(sim, &pipe->answer, sim->now_ns + sim_latency(sim, link_back(end)));
    }
}

// THE WINDOW. The kernel answers what arrives and tells what was read; both wait in one answer.

static void answer_later(struct sim_end *end) {
    struct rt_sim *sim = end->owner->sim;
    if (sim_is_scheduled(&end->out.answer) || end->out.answer_held) return;
    sim_schedule(sim, &end->out.answer, sim->now_ns + sim_latency(sim, link_back(end)));
}

static void on_answer(struct sim_event *event) {
    struct sim_end *end = rt_container_of(event, struct sim_end, out.answer);
    struct sim_pipe *pipe = &end->out;
    if (end->owner->dead_air) return;
    pipe->answer_held = link_back(end)->cut;
    if (pipe->answer_held) return;
    pipe->known_arrived = pipe->arrived;
    pipe->known_read = pipe->read;
    pipe->answered_ns = event->sim->now_ns;
    sim_trace(event->sim, SIM_ACK, end->node, sim_end_id(end), pipe->known_arrived,
              pipe->known_read);
    if (end->sending && end->taken == 0 && !end->failed && sim_pipe_send(end)) sim_end_wake(end);
}

void sim_pipe_arrived(struct sim_end *end, uint32_t size) {
    end->out.arrived += size;
    answer_later(end);
}

size_t sim_pipe_read(struct sim_end *end, uint8_t *memory, size_t size) {
    struct rt_random *random = &end->owner->sim->net_random;
    size_t count = sim_pipe_readable(end) < size ? sim_pipe_readable(end) : size;
    if (count > 1 && rt_random_chance(random, SIM_ODD_PER_MILLION)) {
        count = (size_t)rt_random_between(random, 1, count);
    }
    bytes_pop(&end->out.bytes, memory, count);
    end->out.read += count;
    answer_later(end);
    return count;
}

static void push_pieces(struct sim_end *end, size_t size) {
    for (unsigned i = 0; size > 0; i++) {
        assert(i < end->piece_count);
        size_t part = end->pieces[i].size < size ? end->pieces[i].size : size;
        if (part > 0) bytes_push(&end->out.bytes, end->pieces[i].data, part);
        size -= part;
    }
}

// About a millisecond of the link, so that what is slow trickles in.
static uint32_t segment_max(struct sim_end *end) {
    uint64_t size = link_out(end)->config.bytes_per_s / 1000;
    if (size < SIM_SEGMENT_MIN) return SIM_SEGMENT_MIN;
    return size < SIM_SEGMENT_MAX ? (uint32_t)size : SIM_SEGMENT_MAX;
}

static void push_segments(struct sim_end *end, size_t size) {
    struct rt_random *random = &end->owner->sim->net_random;
    while (size > 0) {
        uint32_t part = segment_max(end);
        if (size < part) part = (uint32_t)size;
        if (part > 1 && rt_random_chance(random, SIM_ODD_PER_MILLION)) {
            part = (uint32_t)rt_random_between(random, 1, part);
        }
        sim_pipe_push(end, SIM_SEGMENT_DATA, part);
        size -= part;
        uint32_t reset_per_million = link_out(end)->config.reset_per_million;
        if (reset_per_million && rt_random_chance(random, reset_per_million)) {
            sim_conn_reset(end->owner);
        }
    }
}

bool sim_pipe_send(struct sim_end *end) {
    struct sim_pipe *pipe = &end->out;
    struct rt_random *random = &end->owner->sim->net_random;
    if (pipe->known_arrived == pipe->sent) pipe->answered_ns = end->owner->sim->now_ns;
    sim_pipe_expect(end);
    size_t room = SIM_WINDOW - (size_t)(pipe->sent - pipe->known_read);
    size_t size = 0;
    for (unsigned i = 0; i < end->piece_count; i++) size += end->pieces[i].size;
    if (size > room) size = room;
    if (size == 0) return false;
    if (size > 1 && rt_random_chance(random, SIM_ODD_PER_MILLION)) {
        size = (size_t)rt_random_between(random, 1, size);
    }
    push_pieces(end, size);
    pipe->sent += size;
    end->taken = size;
    sim_trace(end->owner->sim, SIM_SEND, end->node, sim_end_id(end), size, pipe->sent);
    push_segments(end, size);
    return true;
}

// PATIENCE. A peer that does not read is probed, and its kernel answers while the way is open.

void sim_pipe_expect(struct sim_end *end) {
    struct rt_sim *sim = end->owner->sim;
    if (sim_is_scheduled(&end->out.patience)) return;
    end->out.answered_ns = sim->now_ns;
    sim_schedule(sim, &end->out.patience, sim->now_ns + sim->net->patience_ns);
}

static bool probe_is_answered(struct sim_end *end) {
    if (end->owner->dead_air || link_out(end)->cut || link_back(end)->cut) return false;
    return !host_is_down(sim_end_peer(end)->node);
}

static void on_patience(struct sim_event *event) {
    struct sim_end *end = rt_container_of(event, struct sim_end, out.patience);
    struct sim_pipe *pipe = &end->out;
    struct sim_conn *conn = end->owner;
    bool unanswered = pipe->known_arrived < pipe->sent;
    bool blocked = end->sending && end->taken == 0;
    bool dialing = end->state == SIM_END_DIALING;
    if (end->failed || (!unanswered && !blocked && !dialing)) return;
    if (!unanswered && blocked && probe_is_answered(end)) pipe->answered_ns = event->sim->now_ns;
    uint64_t limit_ns = pipe->answered_ns + event->sim->net->patience_ns;
    if (event->sim->now_ns < limit_ns) {
        sim_schedule(event->sim, &pipe->patience, limit_ns);
        return;
    }
    sim_trace(event->sim, SIM_PATIENCE, end->node, sim_end_id(end), pipe->sent,
              pipe->known_arrived);
    sim_pipe_drop_in_flight(end);  // nobody sends it again
    sim_end_fail(end, RT_ETIMEDOUT);
    sim_conn_free_if_done(conn);
}

// LIFE

void sim_pipe_init(struct sim_end *end) {
    struct rt_sim *sim = end->owner->sim;
    sim_event_init(&end->out.deliver, sim, end->node, SIM_DELIVER, on_deliver);
    sim_event_init(&end->out.answer, sim, end->node, SIM_ACK, on_answer);
    sim_event_init(&end->out.patience, sim, end->node, SIM_PATIENCE, on_patience);
}

void sim_pipe_fini(struct sim_end *end) {
    struct rt_sim *sim = end->owner->sim;
    sim_cancel(sim, &end->out.deliver);
    sim_cancel(sim, &end->out.answer);
    sim_cancel(sim, &end->out.patience);
    rt_free(end->out.segments.items);
    rt_free(end->out.bytes.data);
}
