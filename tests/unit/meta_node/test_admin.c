// A whole node that runs alone in the simulator, asked over its HTTP port.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "meta/server/node/node.h"
#include "runtime/mem.h"
#include "runtime/sim/sim.h"

struct fixture {
    struct rt_sim *sim;
    struct rt_sim_node *sim_node;
    struct rt_sim_program program;
    struct rt_machine *machine;
    struct meta_zoo_config config;
    struct rt_http_owner owner;
    struct meta_node *node;
    struct rt_why why;
    rt_err open_err;
    unsigned served;
    struct rt_task task, closed_task;
    bool is_closed, takes_port;
    struct rt_listener taken;
    struct rt_conn conn;
    const char *request;
    bool is_answered;
    char answer[16384];
    size_t answer_size;
};

static struct fixture f;

static void text_set(char **text, const char *value) {
    rt_free(*text);
    *text = rt_strdup(value);
}

static void config_fill(struct meta_zoo_config *config) {
    struct meta_zoo_values *values = &config->values;
    *config = (struct meta_zoo_config){.node_id = 1};
    rt_config_defaults(&meta_zoo_options, values);
    text_set(&values->data_dir, "data");
    text_set(&values->words, "*");
    text_set(&values->admin_address, "m1");
    text_set(&values->client_address, "m1");
    values->client_port = 2181;
    config->effective = rt_strdup("clientPort=2181\ndataDir=data\ntickTime=3000\n");
}

static void on_serving(struct meta_node *node) {
    (void)node;
    f.served++;
}

static void on_taken_incoming(struct rt_listener *listener, struct rt_loop *loop,
                              struct rt_incoming *incoming) {
    (void)listener;
    (void)loop;
    rt_incoming_refuse(incoming);
}

static const struct rt_listener_events taken_events = {.name = "taken",
                                                       .on_incoming = on_taken_incoming};

static void boot(struct rt_sim_program *program, struct rt_machine *machine) {
    (void)program;
    f.machine = machine;
    config_fill(&f.config);
    const struct meta_node_options options = {
        .config = &f.config, .version = "9.9", .serving = on_serving, .owner = &f.owner};
    if (f.takes_port)
        cr_assert_eq(rt_listener_open(&f.taken, rt_machine_loop(machine, 0), "tcp://m1:2181",
                                      &taken_events, false, NULL, NULL),
                     RT_OK);
    f.open_err = meta_node_open_now(machine, &options, &f.node, &f.why);
}

static void open_node(void) {
    f.program.boot = boot;
    f.owner.name = "test";
    f.sim = rt_sim_new(&(struct rt_sim_options){.seed = 3});
    f.sim_node = rt_sim_node_add(f.sim, "m1", 1, &f.program);
    rt_sim_start(f.sim_node);
    rt_sim_run_for(f.sim, 5 * RT_NS_PER_S);
}

static void close_sim(void) {
    cr_assert_not(rt_sim_failed(f.sim));
    rt_sim_free(f.sim);
}

// HTTP

static void on_open(struct rt_conn *conn) {
    rt_conn_send(conn, rt_bytes_of(f.request));
}

static void on_frame(struct rt_conn *conn, const struct rt_frame *frame) {
    (void)conn;
    struct rt_bytes bytes = rt_frame_bytes(frame, 0, frame->size);
    cr_assert_lt(f.answer_size + bytes.size, sizeof(f.answer));
    memcpy(f.answer + f.answer_size, bytes.data, bytes.size);
    f.answer_size += bytes.size;
    f.answer[f.answer_size] = '\0';
}

static void on_closed(struct rt_conn *conn, rt_err why) {
    (void)conn;
    (void)why;  // the server hangs up
    f.is_answered = true;
}

static const struct rt_conn_events conn_events = {
    .name = "test", .on_open = on_open, .on_frame = on_frame, .on_closed = on_closed};

static void dial(struct rt_task *task) {
    const struct rt_stream_options options = {.framing = RT_FRAMES_RAW};
    (void)task;
    rt_conn_dial(&f.conn, rt_machine_loop(f.machine, 0), "tcp://m1:8080", &conn_events, &options);
}

// The answer, head and body.
static const char *ask(const char *method, const char *path) {
    static char request[512];
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: m1\r\nConnection: close\r\n%s\r\n",
             method, path, strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
    f.request = request;
    f.answer_size = 0;
    f.answer[0] = '\0';
    f.is_answered = false;
    rt_task_init(&f.task, dial, "test");
    rt_post(rt_machine_loop(f.machine, 0), &f.task);
    while (!f.is_answered) cr_assert(rt_sim_step(f.sim));
    return f.answer;
}

static void check_has(const char *answer, const char *text) {
    cr_assert_not_null(strstr(answer, text), "%s not in %s", text, answer);
}

Test(meta_node_admin, the_list_has_every_command) {
    open_node();
    const char *answer = ask("GET", "/commands");
    check_has(answer, "200 OK");
    check_has(answer, "<a href=\"/commands/monitor\">monitor</a>");
    check_has(answer, "<a href=\"/commands/configuration\">");
    check_has(answer, "<a href=\"/commands/ruok\">");
    close_sim();
}

Test(meta_node_admin, commands_answer_in_json_under_all_their_names) {
    static const char *const names[] = {"configuration", "conf", "config"};
    open_node();
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/commands/%s", names[i]);
        const char *answer = ask("GET", path);
        check_has(answer, "Content-Type: application/json");
        check_has(answer, "\"command\" : \"configuration\"");
        check_has(answer, "\"error\" : null");
        check_has(answer, "\"client_port\" : 2181");
        check_has(answer, "\"data_dir\" : \"data\"");
    }
    close_sim();
}

Test(meta_node_admin, the_monitor_has_names_without_prefix_and_numbers_as_numbers) {
    open_node();
    const char *answer = ask("GET", "/commands/mntr");
    check_has(answer, "\"command\" : \"monitor\"");
    check_has(answer, "\"znode_count\" : ");
    check_has(answer, "\"server_state\" : \"standalone\"");
    cr_assert_null(strstr(answer, "\"zk_"));
    cr_assert_null(strstr(answer, "\"znode_count\" : \""));
    close_sim();
}

Test(meta_node_admin, texts_are_escaped) {
    open_node();
    const char *answer = ask("GET", "/commands/%22%5C%01");
    check_has(answer, "\"command\" : \"\\\"\\\\\\u0001\"");
    check_has(answer, "\"error\" : \"Unknown command: \\\"");
    close_sim();
}

Test(meta_node_admin, status_and_members_say_who_leads) {
    open_node();
    const char *answer = ask("GET", "/meta/status");
    check_has(answer, "\"id\" : 1");
    check_has(answer, "\"role\" : \"leader\"");
    check_has(answer, "\"leader\" : 1");
    check_has(answer, "\"serving\" : true");
    check_has(answer, "\"sessions\" : 0");
    answer = ask("GET", "/meta/members");
    check_has(answer, "{\"id\" : 1, \"role\" : \"participant\"");
    close_sim();
}

Test(meta_node_admin, health_readiness_and_metrics) {
    open_node();
    check_has(ask("GET", "/health"), "\r\n\r\nok\n");
    const char *answer = ask("GET", "/ready");
    check_has(answer, "200 OK");
    check_has(answer, "\r\n\r\nready\n");
    check_has(ask("GET", "/metrics"), "200 OK");
    check_has(ask("GET", "/nothing"), "404 ");
    cr_assert_eq(f.served, 1);
    close_sim();
}

Test(meta_node_admin, what_an_operator_asks_wrongly_is_said) {
    open_node();
    check_has(ask("POST", "/meta/remove?id=7"), "there is no such member");
    check_has(ask("POST", "/meta/add"), "give id and address");
    check_has(ask("POST", "/meta/add?id=2&address=b"), "the peer port is not a port");
    check_has(ask("POST", "/meta/add?id=0&address=b:1:2"), "400 ");
    check_has(ask("POST", "/meta/transfer?to=5"), "400 ");
    check_has(ask("POST", "/meta/snapshot"), "{\"ok\" : true}");
    check_has(ask("GET", "/meta/snapshot"), "405 ");
    close_sim();
}

// LIFE

static void closed_run(struct rt_task *task) {
    (void)task;
    f.is_closed = true;
}

static void close_run(struct rt_task *task) {
    (void)task;
    rt_task_init(&f.closed_task, closed_run, "test.closed");
    meta_node_close(f.node, &f.closed_task);
}

Test(meta_node_admin, a_node_closes_and_opens_again_in_one_process) {
    open_node();
    rt_task_init(&f.task, close_run, "test");
    rt_post(rt_machine_loop(f.machine, 0), &f.task);
    rt_sim_run_for(f.sim, 10 * RT_NS_PER_S);
    cr_assert(f.is_closed);
    rt_sim_crash(f.sim_node, RT_SIM_KILL);
    rt_sim_start(f.sim_node);
    rt_sim_run_for(f.sim, 5 * RT_NS_PER_S);
    cr_assert_eq(f.open_err, RT_OK, "%s", f.why.text);
    check_has(ask("GET", "/ready"), "200 OK");
    close_sim();
}

Test(meta_node_admin, a_client_port_that_is_taken_is_named_and_nothing_is_left_open) {
    f.takes_port = true;
    open_node();
    cr_assert_neq(f.open_err, RT_OK);
    cr_assert_null(f.node);
    check_has(f.why.text, "client port");
    check_has(f.why.text, "2181");
    cr_assert_eq(f.served, 0);
    close_sim();
}
