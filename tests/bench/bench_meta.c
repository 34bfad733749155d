// The metadata service's benchmark, client side: the ZooKeeper protocol over plain sockets, the
// same program for every server. Without one of the commands below it becomes the driver,
// bench_meta.py, which starts the servers and calls back here.
#include "tests/bench/bench_meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    int (*run)(const struct meta_bench *bench);
} commands[] = {
    {"prepare", meta_bench_prepare},   {"load", meta_bench_load},         {"fill", meta_bench_fill},
    {"sessions", meta_bench_sessions}, {"failover", meta_bench_failover},
};

// "2181,2182" -> numbers.
static unsigned parse_list(const char *text, unsigned long numbers[META_BENCH_PORTS]) {
    char *end = NULL;
    for (unsigned count = 0; count < META_BENCH_PORTS; text = end + 1) {
        numbers[count++] = strtoul(text, &end, 10);
        if (*end != ',') return count;
    }
    meta_bench_die("too many servers");
}

static void parse_servers(const char *value, bool is_ports, struct meta_bench *bench) {
    unsigned long numbers[META_BENCH_PORTS];
    unsigned count = parse_list(value, numbers);
    for (unsigned i = 0; i < count; i++) {
        if (is_ports)
            bench->ports[i] = (uint16_t)numbers[i];
        else
            bench->pids[i] = (pid_t)numbers[i];
    }
    *(is_ports ? &bench->port_count : &bench->pid_count) = count;
}

static void parse_option(const char *name, const char *value, struct meta_bench *bench) {
    const struct {
        const char *name;
        uint64_t *number;
    } numbers[] = {
        {"--depth", &bench->depth},     {"--size", &bench->size},   {"--count", &bench->count},
        {"--ms", &bench->ms},           {"--nodes", &bench->nodes}, {"--filled", &bench->filled},
        {"--watches", &bench->watches},
    };
    bool is_ports = strcmp(name, "--ports") == 0;
    if (is_ports || strcmp(name, "--pids") == 0) {
        parse_servers(value, is_ports, bench);
        return;
    }
    if (strcmp(name, "--op") == 0) {
        bench->op = value;
        return;
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].number = strtoull(value, NULL, 10);
            return;
        }
    }
    meta_bench_die(name);
}

static int become_driver(char **argv) {
    char driver[] = "tests/bench/bench_meta.py";
    char python[] = "python3";
    size_t count = 0;
    while (argv[count]) count++;
    char **args = calloc(count + 3, sizeof(*args));
    if (!args) meta_bench_die("memory");
    args[0] = python;
    args[1] = driver;
    memcpy(args + 2, argv + 1, (count - 1) * sizeof(*args));
    setenv("BENCH_META", argv[0], 1);
    execvp(python, args);
    meta_bench_die("python3");
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        struct meta_bench bench = {
            .op = "set", .depth = 1, .size = 1024, .count = 1000, .ms = 2000, .nodes = 1000};
        for (int at = 2; at + 1 < argc; at += 2) parse_option(argv[at], argv[at + 1], &bench);
        if (bench.port_count == 0) meta_bench_die("--ports is missing");
        return commands[i].run(&bench);
    }
    return become_driver(argv);
}
