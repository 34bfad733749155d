// Plain nng byte streams with coalesced writes, driven from nng's own callbacks.
#include <arpa/inet.h>
#include <nng/nng.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

enum { BUFFER = 1 << 17, ADDRESS_SIZE = 64 };

struct nng_side {
    nng_stream *stream;
    nng_aio *receive, *send;
    uint8_t *in, *out;
    size_t in_have, out_size, out_sent;
    uint64_t sent, answered, messages;
    bool is_client, sending;
    sem_t ended;
};

static void must(int result, const char *what) {
    if (result != 0) bench_die(what);
}

static void receive_more(struct nng_side *side) {
    nng_iov iov = {.iov_buf = side->in + side->in_have, .iov_len = BUFFER - side->in_have};
    must(nng_aio_set_iov(side->receive, 1, &iov), "iov");
    nng_stream_recv(side->stream, side->receive);
}

static void send_rest(struct nng_side *side) {
    nng_iov iov = {.iov_buf = side->out + side->out_sent,
                   .iov_len = side->out_size - side->out_sent};
    must(nng_aio_set_iov(side->send, 1, &iov), "iov");
    nng_stream_send(side->stream, side->send);
}

// Answers (server) or renews (client) as many whole frames as lie in the input.
static void turn_around(struct nng_side *side) {
    size_t frames = side->in_have / BENCH_FRAME;
    size_t whole = frames * BENCH_FRAME;
    uint64_t to_send = frames;
    if (side->is_client) {
        side->answered += frames;
        if (side->answered >= side->messages) {
            sem_post(&side->ended);
            return;
        }
        uint64_t left = side->messages - side->sent;
        if (to_send > left) to_send = left;
        side->sent += to_send;
    } else {
        memcpy(side->out, side->in, whole);
    }
    side->in_have -= whole;
    memmove(side->in, side->in + whole, side->in_have);
    side->out_size = (size_t)to_send * BENCH_FRAME;
    side->out_sent = 0;
    if (side->out_size > 0) {
        send_rest(side);
    } else {
        receive_more(side);
    }
}

static void received(void *argument) {
    struct nng_side *side = argument;
    if (nng_aio_result(side->receive) != 0) {
        sem_post(&side->ended);
        return;
    }
    side->in_have += nng_aio_count(side->receive);
    turn_around(side);
}

static void was_sent(void *argument) {
    struct nng_side *side = argument;
    if (nng_aio_result(side->send) != 0) {
        sem_post(&side->ended);
        return;
    }
    side->out_sent += nng_aio_count(side->send);
    if (side->out_sent < side->out_size) {
        send_rest(side);
    } else {
        receive_more(side);
    }
}

static void side_open(struct nng_side *side, nng_stream *stream, bool is_client) {
    *side = (struct nng_side){.stream = stream, .is_client = is_client};
    side->in = malloc(BUFFER);
    side->out = malloc(BUFFER);
    sem_init(&side->ended, 0, 0);
    must(nng_stream_set_bool(stream, NNG_OPT_TCP_NODELAY, true), "nodelay");
    must(nng_aio_alloc(&side->receive, received, side), "aio");
    must(nng_aio_alloc(&side->send, was_sent, side), "aio");
}

static void side_close(struct nng_side *side) {
    nng_stream_close(side->stream);
    nng_aio_stop(side->receive);
    nng_aio_stop(side->send);
    nng_aio_free(side->receive);
    nng_aio_free(side->send);
    nng_stream_free(side->stream);
    free(side->in);
    free(side->out);
}

static void nng_serve(void) {
    nng_stream_listener *listener;
    nng_aio *aio;
    nng_sockaddr address;
    must(nng_stream_listener_alloc(&listener, "tcp://127.0.0.1:0"), "listener");
    must(nng_stream_listener_listen(listener), "listen");
    must(nng_stream_listener_get_addr(listener, NNG_OPT_LOCADDR, &address), "address");
    must(nng_aio_alloc(&aio, NULL, NULL), "aio");
    bench_say_port(ntohs(address.s_in.sa_port));
    nng_stream_listener_accept(listener, aio);
    nng_aio_wait(aio);
    must(nng_aio_result(aio), "accept");
    struct nng_side side;
    side_open(&side, nng_aio_get_output(aio, 0), false);
    receive_more(&side);
    sem_wait(&side.ended);
    side_close(&side);
    nng_aio_free(aio);
    nng_stream_listener_free(listener);
}

static uint64_t nng_load(uint16_t port, unsigned depth, uint64_t messages) {
    char address[ADDRESS_SIZE];
    nng_stream_dialer *dialer;
    nng_aio *aio;
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", (unsigned)port);
    must(nng_stream_dialer_alloc(&dialer, address), "dialer");
    must(nng_aio_alloc(&aio, NULL, NULL), "aio");
    nng_stream_dialer_dial(dialer, aio);
    nng_aio_wait(aio);
    must(nng_aio_result(aio), "dial");
    struct nng_side side;
    side_open(&side, nng_aio_get_output(aio, 0), true);
    bench_fill_frames(side.out, depth);
    side.messages = messages;
    side.sent = depth;
    side.out_size = (size_t)depth * BENCH_FRAME;
    uint64_t start = bench_now_ns();
    send_rest(&side);
    sem_wait(&side.ended);
    uint64_t took = bench_now_ns() - start;
    side_close(&side);
    nng_aio_free(aio);
    nng_stream_dialer_free(dialer);
    return took;
}

const struct bench_echo bench_echo_nng = {"nng", "plain nng streams, coalesced writes", nng_serve,
                                          nng_load};
