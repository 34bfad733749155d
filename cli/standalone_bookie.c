#include "cli/standalone_bookie.h"

#include <assert.h>

// Small enough for a laptop: what is kept in memory, and what a journal takes on disk. After a
// crash the bookie waits until the session of before has expired.
enum { CACHE_MB = 32, SEGMENT_MB = 16, SESSION_MS = 4000 };

static void text_set(char **text, const char *value) {
    rt_free(*text);
    *text = rt_strdup(value);
}

static void directory_set(char **text, const char *data_dir, const char *name) {
    struct rt_buf path = {0};
    rt_buf_print(&path, "%s/%s%c", data_dir, name, 0);
    text_set(text, (const char *)path.data);
    rt_buf_fini(&path);
}

// Its id is a name, not an address: the port may be another one the next time.
static rt_err config_fill(struct standalone_bookie *bookie,
                          const struct standalone_bookie_options *options, struct rt_why *why) {
    struct bookie_values *values = &bookie->config.values;
    rt_config_defaults(&bookie_options, values);
    values->port = options->port;
    text_set(&values->bookie_id, "standalone");
    text_set(&values->advertised_address, options->host);
    text_set(&values->listening_interface, options->bind_address);
    values->allow_loopback = true;
    values->zk_timeout_ms = SESSION_MS;
    text_set(&values->zk_servers, options->meta);
    directory_set(&values->journal_dirs, options->data_dir, "bookie/journal");
    directory_set(&values->ledger_dirs, options->data_dir, "bookie/ledgers");
    values->write_cache_mb = values->read_cache_mb = CACHE_MB;
    values->journal_segment_mb = SEGMENT_MB;
    return bookie_config_finish(&bookie->config, why);
}

static void node_serving(struct bookie_node *node) {
    struct standalone_bookie *bookie =
        rt_container_of(bookie_node_owner(node), struct standalone_bookie, owner);
    bookie->serving(bookie);
}

static void node_failed(struct bookie_node *node, rt_err err, const char *what) {
    struct standalone_bookie *bookie =
        rt_container_of(bookie_node_owner(node), struct standalone_bookie, owner);
    bookie->failed(bookie, err, what);
}

static void node_open(struct standalone_bookie *bookie) {
    struct rt_why why = {{0}};
    const struct bookie_node_options options = {.config = &bookie->config,
                                                .version = bookie->version,
                                                .host = bookie->config.values.advertised_address,
                                                .failed = node_failed,
                                                .serving = node_serving,
                                                .owner = &bookie->owner};
    rt_err err = bookie_node_open_now(bookie->machine, &options, &bookie->node, &why);
    if (err) bookie->failed(bookie, err, why.text);
}

static void all_closed(struct standalone_bookie *bookie) {
    rt_free(bookie->meta);
    bookie_config_fini(&bookie->config);
    rt_defer(bookie->loop, bookie->closed);
}

static void client_closed(struct rt_task *task) {
    struct standalone_bookie *bookie =
        rt_container_of(task, struct standalone_bookie, client_closed);
    bookie->client = NULL;
    if (bookie->closed)
        all_closed(bookie);
    else
        node_open(bookie);
}

static void client_close(struct standalone_bookie *bookie) {
    rt_task_init(&bookie->client_closed, client_closed, "standalone.bookie_made");
    meta_client_close(bookie->client, &bookie->client_closed);
}

// A cluster that is there already is the one of the last start.
static void layout_made(struct bookie_layout *layout, rt_err err, const char *why) {
    struct standalone_bookie *bookie = rt_container_of(layout, struct standalone_bookie, layout);
    bookie->is_making = false;
    if (bookie->closed) return;  // the client is being closed
    if (err && err != RT_EEXIST) {
        bookie->failed(bookie, err, why);
        return;
    }
    client_close(bookie);
}

void standalone_bookie_start(struct standalone_bookie *bookie, struct rt_machine *machine,
                             const struct standalone_bookie_options *options) {
    struct rt_why why = {{0}};
    *bookie = (struct standalone_bookie){.machine = machine,
                                         .loop = rt_machine_loop(machine, 0),
                                         .version = options->version,
                                         .meta = rt_strdup(options->meta),
                                         .owner.name = "standalone",
                                         .client_owner.name = "standalone",
                                         .serving = options->serving,
                                         .failed = options->failed};
    rt_err err = config_fill(bookie, options, &why);
    const struct meta_client_options client = {
        .servers = bookie->meta, .session_timeout_ms = SESSION_MS, .owner = &bookie->client_owner};
    if (!err) err = meta_client_open(bookie->loop, &client, &bookie->client, &why);
    if (err) {
        bookie->failed(bookie, err, why.text);
        return;
    }
    bookie->is_making = true;
    bookie->layout = (struct bookie_layout){
        .client = bookie->client, .root = bookie->config.root, .done = layout_made};
    bookie_layout_make(&bookie->layout, machine);
}

uint16_t standalone_bookie_port(const struct standalone_bookie *bookie) {
    return bookie->node ? bookie_node_port(bookie->node) : 0;
}

static void node_closed(struct rt_task *task) {
    struct standalone_bookie *bookie = rt_container_of(task, struct standalone_bookie, node_closed);
    bookie->node = NULL;
    all_closed(bookie);
}

void standalone_bookie_close(struct standalone_bookie *bookie, struct rt_loop *loop,
                             struct rt_task *closed) {
    bookie->loop = loop;
    bookie->closed = closed;
    if (bookie->node) {
        rt_task_init(&bookie->node_closed, node_closed, "standalone.bookie_closed");
        bookie_node_close(bookie->node, &bookie->node_closed);
    } else if (bookie->client) {
        // Where it is being closed already, client_closed sees `closed`.
        if (bookie->is_making) client_close(bookie);
    } else {
        all_closed(bookie);
    }
}
