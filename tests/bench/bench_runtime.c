// ./bench runtime: the runtime beside plain nng streams, a plain epoll echo and fio, in one run.
#include "tests/bench/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 32, CONTENDERS = 3, LINE = 256, FIO_LINE = 8192, PATH = 256 };

static const struct bench_echo *const contenders[CONTENDERS] = {&bench_echo_ours, &bench_echo_nng,
                                                                &bench_echo_epoll};

struct arguments {
    unsigned rounds;
    const char *directory;
    const char *only;
};

uint64_t bench_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_say_port(unsigned port) {
    printf("port %u\n", port);
    fflush(stdout);
}

void bench_die(const char *what) {
    fprintf(stderr, "bench: %s (%s)\n", what, strerror(errno));
    exit(1);
}

void bench_fill_frames(uint8_t *memory, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        uint8_t *frame = memory + (size_t)i * BENCH_FRAME;
        memset(frame, 'x', BENCH_FRAME);
        for (unsigned byte = 0; byte < BENCH_PREFIX; byte++)
            frame[byte] = (uint8_t)((unsigned)BENCH_BODY >> (8 * (BENCH_PREFIX - 1 - byte)));
    }
}

// CHILDREN: this program again, in one of its roles.

struct child {
    pid_t pid;
    FILE *out;
};

static struct child child_start(const char *const *argv) {
    int ends[2];
    if (pipe(ends) != 0) bench_die("pipe");
    struct child child = {.pid = fork()};
    if (child.pid < 0) bench_die("fork");
    if (child.pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        bench_die(argv[0]);
    }
    close(ends[1]);
    child.out = fdopen(ends[0], "r");
    return child;
}

static bool child_end(struct child *child) {
    int status = 1;
    fclose(child->out);
    waitpid(child->pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// What a serving process says about itself when its client has gone.
struct serve_cost {
    double cpu_us, wakeups, syscalls;  // each for one message
};

struct echo_run {
    double ns_per_message;
    struct serve_cost cost;
};

static double read_value(FILE *file, const char *key) {
    char line[LINE], name[LINE];
    double value;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "%63s %lf", name, &value) == 2 && strcmp(name, key) == 0) return value;
    return -1;
}

static struct echo_run echo_once(const char *name, unsigned depth, uint64_t messages,
                                 const char *strace_file) {
    char depth_text[32], messages_text[32], port_text[32];
    const char *const serve_traced[] = {"strace",         "-f",      "-c", "-o", strace_file,
                                        "/proc/self/exe", "--serve", name, NULL};
    const char *const serve_plain[] = {"/proc/self/exe", "--serve", name, NULL};
    struct child server;
    if (strace_file) {
        char self[PATH] = {0};
        if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) bench_die("readlink");
        const char *argv[sizeof(serve_traced) / sizeof(serve_traced[0])];
        memcpy(argv, serve_traced, sizeof(argv));
        argv[5] = self;
        server = child_start(argv);
    } else {
        server = child_start(serve_plain);
    }
    snprintf(port_text, sizeof(port_text), "%u", (unsigned)read_value(server.out, "port"));
    snprintf(depth_text, sizeof(depth_text), "%u", depth);
    snprintf(messages_text, sizeof(messages_text), "%llu", (unsigned long long)messages);
    const char *const load[] = {"/proc/self/exe", "--load",      name, port_text,
                                depth_text,       messages_text, NULL};
    struct child client = child_start(load);
    struct echo_run run = {.ns_per_message = read_value(client.out, "took") / (double)messages};
    run.cost.cpu_us = read_value(server.out, "cpu_us") / (double)messages;
    run.cost.wakeups = read_value(server.out, "wakeups") / (double)messages;
    if (!child_end(&client) || !child_end(&server)) bench_die("a contender failed");
    return run;
}

// Counted apart from the timed runs, since counting slows the server down.
static double count_syscalls(const char *name, unsigned depth, uint64_t messages) {
    char path[] = "/tmp/bench-strace-XXXXXX", line[LINE];
    int fd = mkstemp(path);
    if (fd < 0) bench_die("mkstemp");
    close(fd);
    echo_once(name, depth, messages, path);
    FILE *file = fopen(path, "r");
    double calls = 0;
    while (file && fgets(line, sizeof(line), file)) {
        double percent, seconds, per_call, count;
        if (sscanf(line, "%lf %lf %lf %lf", &percent, &seconds, &per_call, &count) == 4 &&
            !strstr(line, "total"))
            calls += count;
    }
    if (file) fclose(file);
    unlink(path);
    return calls / (double)messages;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, unsigned count) {
    qsort(values, count, sizeof(values[0]), by_value);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

// ECHO

static void echo_section(unsigned rounds, unsigned depth, uint64_t messages) {
    double took[CONTENDERS][ROUNDS_MAX], cpu[CONTENDERS][ROUNDS_MAX], wake[CONTENDERS][ROUNDS_MAX];
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned c = 0; c < CONTENDERS; c++) {
            struct echo_run run = echo_once(contenders[c]->name, depth, messages, NULL);
            took[c][round] = run.ns_per_message;
            cpu[c][round] = run.cost.cpu_us;
            wake[c][round] = run.cost.wakeups;
        }
    }
    printf("\nEcho of 1 KiB frames over loopback, depth %u (%llu messages, median of %u)\n", depth,
           (unsigned long long)messages, rounds);
    printf("  %-9s %12s %12s %14s %14s %14s\n", "", "us/message", "messages/s", "server cpu us",
           "wake-ups/msg", "syscalls/msg");
    double medians[CONTENDERS], ratios[ROUNDS_MAX];
    for (unsigned round = 0; round < rounds; round++)
        ratios[round] = took[0][round] / took[1][round];
    for (unsigned c = 0; c < CONTENDERS; c++) {
        medians[c] = median(took[c], rounds);
        printf("  %-9s %12.2f %12.0f %14.2f %14.3f %14.3f   %s\n", contenders[c]->name,
               medians[c] / 1e3, 1e9 / medians[c], median(cpu[c], rounds), median(wake[c], rounds),
               count_syscalls(contenders[c]->name, depth, messages / 20), contenders[c]->what);
    }
    // Round by round, since the machine's speed drifts between rounds more than within one.
    double ratio = median(ratios, rounds);
    if (depth == 1) {
        printf("  round trip: %.2f times plain nng (goal: at most 1.3)\n", ratio);
    } else {
        printf("  throughput: %.0f %% of plain nng (goal: at least 90 %%)\n", 100 / ratio);
    }
    fflush(stdout);
}

// ONE-PROCESS SECTIONS: `geminga` figures from a child, so that no section warms the next one up.

static double section_value(const char *section, const char *argument, const char *key,
                            unsigned rounds) {
    double values[ROUNDS_MAX];
    for (unsigned round = 0; round < rounds; round++) {
        const char *const argv[] = {"/proc/self/exe", "--section", section, argument, NULL};
        struct child child = child_start(argv);
        values[round] = read_value(child.out, key);
        while (fgetc(child.out) != EOF) continue;
        if (!child_end(&child)) bench_die(section);
    }
    return median(values, rounds);
}

static void loops_section(unsigned rounds) {
    printf("\nLoops (median of %u)\n", rounds);
    printf("  posts between two loops        %8.1f M/s   (goal: over 10)\n",
           section_value("posts", "", "between_per_s", rounds) / 1e6);
    printf("  posts within a loop            %8.1f M/s\n",
           section_value("posts", "", "within_per_s", rounds) / 1e6);
    printf("  1,000,000 timers armed         %8.1f ms\n",
           section_value("timers", "", "arm_ns", rounds) / 1e6);
    printf("  1,000,000 timers cancelled     %8.1f ms\n",
           section_value("timers", "", "cancel_ns", rounds) / 1e6);
    printf("  slowest single timer call      %8.3f ms\n",
           section_value("timers", "", "slowest_ns", rounds) / 1e6);
    fflush(stdout);
}

static double fio_appends(const char *directory) {
    char command[1024], line[FIO_LINE];
    snprintf(command, sizeof(command),
             "fio --name=append --directory='%s' --rw=write --bs=64k --size=256m --direct=1 "
             "--fdatasync=1 --ioengine=psync --overwrite=1 --runtime=3 --time_based "
             "--output-format=terse --terse-version=3 2>/dev/null",
             directory);
    FILE *file = popen(command, "r");
    double iops = -1;
    if (file && fgets(line, sizeof(line), file)) {
        // Field 49 of terse version 3 is the write rate in operations a second.
        char *at = line;
        for (unsigned field = 1; field < 49 && at; field++) {
            at = strchr(at, ';');
            if (at) at++;
        }
        if (at) iops = atof(at);
    }
    if (file) {
        while (fgets(line, sizeof(line), file)) continue;
        pclose(file);
    }
    snprintf(command, sizeof(command), "%s/append.0.0", directory);
    unlink(command);
    return iops;
}

static void append_section(const char *directory, unsigned rounds) {
    double ours[ROUNDS_MAX], fio[ROUNDS_MAX], ratios[ROUNDS_MAX];
    for (unsigned round = 0; round < rounds; round++) {
        fio[round] = fio_appends(directory);
        ours[round] = section_value("append", directory, "appends_per_s", 1);
        ratios[round] = ours[round] / fio[round];
    }
    double ours_median = median(ours, rounds), fio_median = median(fio, rounds);
    printf("\nAppends of 64 KiB, each synced, in %s (median of %u)\n", directory, rounds);
    printf("  geminga   %10.0f /s %8.0f MB/s\n", ours_median, ours_median * 65536 / 1e6);
    printf("  fio       %10.0f /s %8.0f MB/s\n", fio_median, fio_median * 65536 / 1e6);
    printf("  ratio: %.0f %% of fio (goal: at least 90 %%)\n", 100 * median(ratios, rounds));
    fflush(stdout);
}

static void sim_section(unsigned rounds) {
    printf("\nSimulator, one core (median of %u)\n", rounds);
    printf("  events                         %8.2f M/s   (goal: at least 1)\n",
           section_value("sim", "", "events_per_s", rounds) / 1e6);
    fflush(stdout);
}

// ROLES

static const struct bench_echo *contender(const char *name) {
    for (unsigned c = 0; c < CONTENDERS; c++)
        if (strcmp(contenders[c]->name, name) == 0) return contenders[c];
    bench_die("no such contender");
}

static int role_serve(const char *name) {
    struct rusage usage;
    contender(name)->serve();
    getrusage(RUSAGE_SELF, &usage);
    printf("cpu_us %.0f\nwakeups %ld\n",
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
           usage.ru_nvcsw);
    return 0;
}

static int role_section(const char *section, const char *argument) {
    if (strcmp(section, "posts") == 0) bench_posts();
    if (strcmp(section, "timers") == 0) bench_timers();
    if (strcmp(section, "append") == 0) bench_append(argument);
    if (strcmp(section, "sim") == 0) bench_sim();
    return 0;
}

static bool wanted(const struct arguments *arguments, const char *section) {
    return !arguments->only || strcmp(arguments->only, section) == 0;
}

static void run_all(const struct arguments *arguments) {
    unsigned rounds = arguments->rounds;
    if (wanted(arguments, "echo")) {
        echo_section(rounds, 1, 40000);
        echo_section(rounds, 64, 1000000);
    }
    if (wanted(arguments, "loops")) loops_section(rounds);
    if (wanted(arguments, "append")) append_section(arguments->directory, rounds);
    if (wanted(arguments, "sim")) sim_section(rounds);
}

static int usage(void) {
    printf(
        "usage: bench_runtime [--rounds N] [--dir DIRECTORY] [--only echo|loops|append|sim]\n"
        "  --rounds  how often each contender runs, in turns (default 5)\n"
        "  --dir     where the append section writes (default: the current directory)\n");
    return 2;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "--serve") == 0) return role_serve(argv[2]);
    if (argc == 4 && strcmp(argv[1], "--section") == 0) return role_section(argv[2], argv[3]);
    if (argc == 6 && strcmp(argv[1], "--load") == 0) {
        uint64_t took = contender(argv[2])->load((uint16_t)atoi(argv[3]), (unsigned)atoi(argv[4]),
                                                 strtoull(argv[5], NULL, 10));
        printf("took %llu\n", (unsigned long long)took);
        return 0;
    }
    struct arguments arguments = {.rounds = 5, .directory = "."};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 >= argc) return usage();
        if (strcmp(argv[i], "--rounds") == 0) {
            arguments.rounds = (unsigned)atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--dir") == 0) {
            arguments.directory = argv[i + 1];
        } else if (strcmp(argv[i], "--only") == 0) {
            arguments.only = argv[i + 1];
        } else {
            return usage();
        }
    }
    if (arguments.rounds < 1 || arguments.rounds > ROUNDS_MAX) return usage();
    run_all(&arguments);
    return 0;
}
