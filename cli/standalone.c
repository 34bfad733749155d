#include "cli/standalone.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/log.h"

// An IPv6 address goes into brackets.
static void url_print(char url[STANDALONE_ADDRESS_SIZE], const char *scheme, const char *host,
                      uint16_t port) {
    bool is_ipv6 = strchr(host, ':') && host[0] != '[';
    snprintf(url, STANDALONE_ADDRESS_SIZE, "%s://%s%.256s%s:%u", scheme, is_ipv6 ? "[" : "", host,
             is_ipv6 ? "]" : "", port);
}

static const char *reachable_host(const char *bind_address) {
    if (strcmp(bind_address, "0.0.0.0") == 0) return "127.0.0.1";
    if (strcmp(bind_address, "::") == 0 || strcmp(bind_address, "[::]") == 0) return "::1";
    return bind_address;
}

static const char *directory_advice(rt_err err) {
    switch ((int)err) {
    case RT_ELOCKED: return "stop that process, or choose another --data-dir";
    case RT_ENOSPACE: return "make room, or choose another --data-dir";
    case RT_EACCESS: return "change its owner or mode, or choose another --data-dir";
    default: return "choose another --data-dir";
    }
}

static const char *address_advice(rt_err err) {
    switch ((int)err) {
    case RT_EADDRINUSE: return "stop what listens there, or choose another --http-port";
    case RT_EACCESS: return "choose an --http-port over 1023";
    case RT_EADDRESS: return "choose a --bind-address of this computer";
    case RT_ENOFILES: return "raise the limit of open files (ulimit -n)";
    default: return "choose another --bind-address or --http-port";
    }
}

static rt_err with_advice(struct rt_why *why, rt_err err, const char *where, const char *advice) {
    struct rt_why what = *why;
    return rt_why_set(why, err, "%s: %.300s; %s", where, what.text, advice);
}

static rt_err directory_take(struct standalone *node, const char *path, struct rt_why *why) {
    rt_err err = rt_dir_create_now(node->machine, path, why);
    if (!err) err = rt_dir_lock_now(node->machine, path, &node->lock, why);
    return err ? with_advice(why, err, "data directory", directory_advice(err)) : RT_OK;
}

static rt_err http_open(struct standalone *node, const struct standalone_options *options,
                        struct rt_why *why) {
    char address[STANDALONE_ADDRESS_SIZE];
    url_print(address, "tcp", options->bind_address, options->http_port);
    const struct rt_http_options http = {.owner = &node->owner};
    rt_err err = rt_http_server_open(node->loop, address, standalone_routes, standalone_route_count,
                                     &http, &node->http, why);
    if (err) return with_advice(why, err, "HTTP", address_advice(err));
    url_print(node->http_url, "http", reachable_host(options->bind_address),
              rt_http_server_port(node->http));
    return RT_OK;
}

// META: a cluster of one, configured as ZooKeeper's standalone mode would be.

static struct standalone *standalone_of(const struct meta_node *meta) {
    return rt_container_of(meta_node_owner(meta), struct standalone, meta_owner);
}

static void bookie_serving(struct standalone_bookie *bookie) {
    struct standalone *node = rt_container_of(bookie, struct standalone, bookie);
    snprintf(node->bookie_address, sizeof(node->bookie_address), "%.256s:%u",
             reachable_host(node->bind_address), standalone_bookie_port(bookie));
    node->ready = true;
    node->serving(node);
}

static void bookie_failed(struct standalone_bookie *bookie, rt_err err, const char *what) {
    struct standalone *node = rt_container_of(bookie, struct standalone, bookie);
    node->failed(node, err, what);
}

static void meta_serving(struct meta_node *meta) {
    struct standalone *node = standalone_of(meta);
    const struct standalone_bookie_options options = {.data_dir = node->data_dir,
                                                      .bind_address = node->bind_address,
                                                      .host = reachable_host(node->bind_address),
                                                      .port = node->bookie_port,
                                                      .meta = node->meta_address,
                                                      .version = node->version,
                                                      .serving = bookie_serving,
                                                      .failed = bookie_failed};
    if (!node->closed) standalone_bookie_start(&node->bookie, node->machine, &options);
}

static void meta_failed(struct meta_node *meta, rt_err err, const char *what) {
    struct standalone *node = standalone_of(meta);
    node->failed(node, err, what);
}

static void text_set(char **text, const char *value) {
    rt_free(*text);
    *text = rt_strdup(value);
}

static void meta_config_fill(struct standalone *node, const struct standalone_options *options) {
    struct meta_zoo_values *values = &node->meta_config.values;
    struct rt_buf directory = {0};
    rt_config_defaults(&meta_zoo_options, values);
    rt_buf_print(&directory, "%s/meta%c", options->data_dir, 0);
    text_set(&values->data_dir, (const char *)directory.data);
    rt_buf_fini(&directory);
    text_set(&values->client_address, options->bind_address);
    text_set(&values->words, "*");
    values->client_port = options->meta_port;
    values->tick_ms = 2000;
    values->connections_per_host_max = 0;
    node->meta_config.node_id = 1;
}

static rt_err meta_open(struct standalone *node, const struct standalone_options *options,
                        struct rt_why *why) {
    const struct meta_node_options meta = {.config = &node->meta_config,
                                           .version = options->version,
                                           .no_admin = true,
                                           .failed = meta_failed,
                                           .serving = meta_serving,
                                           .owner = &node->meta_owner};
    meta_config_fill(node, options);
    rt_err err = meta_node_open_now(node->machine, &meta, &node->meta, why);
    if (err) {
        const char *advice = err == RT_EADDRINUSE
                                 ? "stop what listens there, or choose another --meta-port"
                                 : "choose another --data-dir or --meta-port";
        return with_advice(why, err, "meta", advice);
    }
    snprintf(node->meta_address, sizeof(node->meta_address), "%.256s:%u",
             reachable_host(options->bind_address), meta_node_client_port(node->meta));
    return RT_OK;
}

rt_err standalone_open_now(struct standalone *node, struct rt_machine *machine,
                           const struct standalone_options *options, struct rt_why *why) {
    *node = (struct standalone){.machine = machine,
                                .version = options->version,
                                .data_dir = options->data_dir,
                                .bind_address = options->bind_address,
                                .bookie_port = options->bookie_port,
                                .serving = options->serving,
                                .failed = options->failed};
    node->loop = rt_machine_loop(machine, 0);
    node->owner.name = node->meta_owner.name = "standalone";
    node->opened_ns = rt_loop_clock(node->loop);
    rt_err err = directory_take(node, options->data_dir, why);
    if (err) return err;
    // What was opened before a failure is given back by the end of the process.
    err = http_open(node, options, why);
    if (!err) err = meta_open(node, options, why);
    if (err) rt_dir_unlock(node->lock);
    return err;
}

uint64_t standalone_uptime_ns(const struct standalone *node) {
    return rt_loop_clock(node->loop) - node->opened_ns;
}

static void http_closed(struct rt_http_closing *closing) {
    struct standalone *node = rt_container_of(closing, struct standalone, http_closing);
    rt_config_fini(&meta_zoo_options, &node->meta_config.values);
    rt_dir_unlock(node->lock);
    node->closed(node);
}

static void meta_closed(struct rt_task *task) {
    struct standalone *node = rt_container_of(task, struct standalone, meta_closed);
    rt_http_server_close(node->http, &node->http_closing);
}

static void bookie_closed(struct rt_task *task) {
    struct standalone *node = rt_container_of(task, struct standalone, bookie_closed);
    meta_node_close(node->meta, &node->meta_closed);
}

void standalone_close(struct standalone *node, void (*closed)(struct standalone *node)) {
    assert(!node->closed);
    node->ready = false;
    node->closed = closed;
    node->http_closing.closed = http_closed;
    rt_task_init(&node->meta_closed, meta_closed, "standalone.meta_closed");
    rt_task_init(&node->bookie_closed, bookie_closed, "standalone.bookie_closed");
    standalone_bookie_close(&node->bookie, node->loop, &node->bookie_closed);
}
