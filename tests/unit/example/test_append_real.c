// The worked example on the real machine: the same code as in tests/sim/test_append_service.c, over
// loopback sockets, real files and RocksDB.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/file.h"
#include "runtime/real/real.h"
#include "tests/example/append_client.h"
#include "tests/example/append_server.h"

enum { NODES = 3, APPENDS = 200, PATH_SIZE = 128, ADDRESS_SIZE = 64 };

struct node {
    struct rt_machine *machine;
    struct append_server server;
    struct append_options options;
    char directory[2 * PATH_SIZE];
    char address[ADDRESS_SIZE];
    struct rt_task closing;
    atomic_bool closed;
};

struct cluster {
    struct node nodes[NODES];
    char root[PATH_SIZE];
};

// A step of the test that runs on a loop; the test's thread waits until somebody calls step_end.
struct step {
    struct rt_task task;
    struct cluster *cluster;
    struct append_client client;
    struct append_call call;
    struct rt_buf content;
    uint64_t done_count, ids[APPENDS];
    bool failed;
    struct rt_loop *home;
    atomic_bool ended;
};

static void wait_for(atomic_bool *flag) {
    const struct timespec pause = {.tv_nsec = 200000};
    while (!atomic_load(flag)) nanosleep(&pause, NULL);
}

static void step_wait(struct step *step, struct rt_loop *loop, void (*run)(struct rt_task *)) {
    atomic_store(&step->ended, false);
    rt_task_init(&step->task, run, "test.step");
    rt_post(loop, &step->task);
    wait_for(&step->ended);
}

static void node_open(struct node *node, const char *root, unsigned index) {
    struct rt_why why = {0};
    struct rt_real_options options = {.loop_count = 2, .worker_count = 2};
    cr_assert_eq(rt_real_open(&options, &node->machine, &why), RT_OK, "%s", why.text);
    snprintf(node->directory, sizeof(node->directory), "%s/n%u", root, index);
    node->options.directory = node->directory;
    node->options.listen_address = "tcp://127.0.0.1:0";
    cr_assert_eq(append_server_open_now(&node->server, node->machine, &node->options, &why), RT_OK,
                 "%s", why.text);
    snprintf(node->address, sizeof(node->address), "tcp://127.0.0.1:%u",
             (unsigned)append_server_port(&node->server));
}

static void cluster_open(struct cluster *cluster) {
    snprintf(cluster->root, sizeof(cluster->root), "/tmp/geminga-example-XXXXXX");
    cr_assert_not_null(mkdtemp(cluster->root));
    for (unsigned i = NODES; i-- > 0;) {
        struct node *node = &cluster->nodes[i];
        if (i == 0) {
            node->options.followers[0] = cluster->nodes[1].address;
            node->options.followers[1] = cluster->nodes[2].address;
        }
        node_open(node, cluster->root, i);
        rt_real_start(node->machine);
    }
}

static void server_closed(struct append_server *server) {
    struct node *node = rt_container_of(server, struct node, server);
    atomic_store(&node->closed, true);
}

static void client_closed(struct append_client *client) {
    struct step *step = rt_container_of(client, struct step, client);
    atomic_store(&step->ended, true);
}

static void close_client(struct rt_task *task) {
    struct step *step = rt_container_of(task, struct step, task);
    append_client_close(&step->client, client_closed);
}

static void close_node(struct rt_task *task) {
    struct node *node = rt_container_of(task, struct node, closing);
    append_server_close(&node->server, server_closed);
}

static void cluster_close(struct cluster *cluster) {
    for (unsigned i = 0; i < NODES; i++) {
        struct node *node = &cluster->nodes[i];
        rt_task_init(&node->closing, close_node, "test.close");
        rt_post(node->server.loop, &node->closing);
        wait_for(&node->closed);
        if (i + 1 == NODES)
            cr_assert_eq(rt_path_remove_tree_now(node->machine, cluster->root), RT_OK);
        rt_real_close(node->machine);
    }
}

// THE WORKLOAD: one append after the other, retried while the followers connect, then read back.

static void append_next(struct step *step);

static void appended(struct append_call *call, rt_err err) {
    struct step *step = rt_container_of(call, struct step, call);
    if (err) {
        append_next(step);  // not connected yet
        return;
    }
    step->ids[step->done_count++] = call->id;
    if (step->done_count < APPENDS) {
        append_next(step);
    } else {
        atomic_store(&step->ended, true);
    }
}

static void append_next(struct step *step) {
    char body[32];
    snprintf(body, sizeof(body), "body %llu", (unsigned long long)step->done_count);
    append_client_append(&step->client, &step->call, rt_bytes_of(body), appended);
}

static void start_appending(struct rt_task *task) {
    struct step *step = rt_container_of(task, struct step, task);
    append_client_start(&step->client, step->home, step->cluster->nodes[0].address);
    append_next(step);
}

static void read_next(struct step *step);

static void was_read(struct append_call *call, rt_err err) {
    struct step *step = rt_container_of(call, struct step, call);
    char body[32];
    snprintf(body, sizeof(body), "body %llu", (unsigned long long)step->done_count);
    if (err || !rt_bytes_equal(rt_buf_bytes(&step->content), rt_bytes_of(body)))
        step->failed = true;
    if (++step->done_count < APPENDS && !step->failed) {
        read_next(step);
    } else {
        atomic_store(&step->ended, true);
    }
}

static void read_next(struct step *step) {
    rt_buf_clear(&step->content);
    append_client_read(&step->client, &step->call, step->ids[step->done_count], &step->content,
                       was_read);
}

static void start_reading(struct rt_task *task) {
    struct step *step = rt_container_of(task, struct step, task);
    step->done_count = 0;
    read_next(step);
}

Test(example_append, appends_on_three_real_nodes_read_back, .timeout = 60) {
    static struct cluster cluster;
    static struct step step;
    cluster_open(&cluster);
    step.cluster = &cluster;
    step.home = rt_machine_loop(cluster.nodes[0].machine, 1);
    step_wait(&step, step.home, start_appending);
    cr_assert_eq(step.done_count, APPENDS);
    step_wait(&step, step.home, start_reading);
    cr_assert(!step.failed);
    step_wait(&step, step.home, close_client);
    rt_buf_fini(&step.content);
    cluster_close(&cluster);
}
