#!/usr/bin/env python3
"""Geminga's metadata service next to Apache ZooKeeper: the same client, the same zoo.cfg, in turns.

    ./bench meta [--quick] [--only SECTION,...] [--nodes 1,3] [--rounds N] [--ms MS] [--kills N]
                 [--znodes N] [--sessions N] [--data DIR]

Sections: start, writes, reads, sessions, znodes, cache, failover. Both servers run at the same time
and are measured in turns, since machines drift; figures are medians over the rounds, and a round
that is not counted comes first, for ZooKeeper's compiler. Every write is on disk before it is
acknowledged (forceSync=yes), by both. --quick takes about three minutes and leaves `cache` out.
Every row says what its goal is and whether it is met; the program itself fails only if something
could not be measured.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.interop.servers import Ensemble, jars, wait_until  # noqa: E402

OURS, THEIRS = "geminga", "zookeeper"
KINDS = (OURS, THEIRS)
JAVA = ("-Xmx4g",)  # otherwise as the JVM comes
# Of the tests' options only what a benchmark needs: the rest is as the servers come.
OPTIONS = {"tickTime": 2000, "initLimit": 10, "syncLimit": 5, "minSessionTimeout": None,
           "maxSessionTimeout": 60000}
DEPTHS = (1, 16, 128)
MIB = 1 << 20
SIZE = 1024         # of what is written and read
ZNODE_SIZE = 200    # of the many znodes
PREPARED = 1000     # nodes that are written and read
WATCHES = 10
STARTS = 5
SETTLE_S = 2
WAIT_S = 1200
POLL_S = 0.001
GAP_MS_MIN = 100    # a shorter pause between writes is no fail-over
# The caches are 64 and 16 MiB as they come; write buffers, the log and the program come on top.
CACHED_MIB_MAX = 256

FULL = {"rounds": 3, "ms": 2000, "kills": 20, "znodes": 1_000_000, "sessions": 10_000,
        "idle_s": 20, "cached": 10_000_000}
QUICK = {"rounds": 1, "ms": 600, "kills": 5, "znodes": 200_000, "sessions": 2_000, "idle_s": 5,
         "cached": 0}


# THE CLIENT: bench_meta.c

def client(*arguments, **options):
    return [os.environ["BENCH_META"], *map(str, arguments),
            *(str(part) for name, value in options.items() for part in (f"--{name}", value))]


def figures(*arguments, **options):
    text = subprocess.run(client(*arguments, **options), check=True, stdout=subprocess.PIPE,
                          text=True, timeout=WAIT_S).stdout
    return {line.split()[0]: float(line.split()[1]) for line in text.splitlines()}


def pids(ensemble):
    return ",".join(str(server.process.pid) for server in ensemble.running())


def cpu_s(server):
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(server):
    return server.rss() / MIB


# THE TABLE

class Report:
    COLUMNS = ("{:32}", "{:>12}", "{:>12}", "{:>8}", "{:28}", "{}")

    def __init__(self):
        self.met = self.missed = 0

    def line(self, *cells):
        text = "  ".join(form.format(cell) for form, cell in zip(self.COLUMNS, cells))
        print(text.rstrip(), flush=True)

    def head(self, title):
        print(f"\n{title}", flush=True)
        self.line("", "geminga", "ZooKeeper", "ratio", "goal", "")

    def row(self, name, ours, theirs=None, form="{:.0f}", goal="", met=None):
        """`met` is None where there is no goal."""
        ratio = f"{ours / theirs:.3g}x" if theirs else "-"
        self.met += met is True
        self.missed += met is False
        self.line(name, form.format(ours), form.format(theirs) if theirs is not None else "-",
                  ratio, goal, "" if met is None else "met" if met else "NOT MET")


def median_of(rows, key):
    return statistics.median(row[key] for row in rows)


# THE SECTIONS

class Bench:
    def __init__(self, options):
        self.options = options
        self.report = Report()

    def ensemble(self, kind, count=1, **more):
        return Ensemble(kind, count, options=OPTIONS, java=JAVA, force_sync=True,
                        parent=self.options.data, **more)

    def sync_us(self, count):
        """What a write of one page costs that is on the disk when it returns, into a file that has
        its space: the pattern of the logs; as many files at once as there are servers."""
        folder = Path(self.options.data or "/tmp")
        text = subprocess.run(
            ["fio", "--name=bench-meta", f"--directory={folder}", "--rw=write", "--bs=4k",
             "--size=16m", "--overwrite=1", "--ioengine=psync", "--sync=dsync", "--time_based",
             f"--runtime={max(1, self.options.ms // 1000)}", f"--numjobs={count}",
             "--group_reporting", "--output-format=json"], check=True, capture_output=True,
            text=True).stdout
        for path in folder.glob("bench-meta.*"):
            path.unlink()
        job = json.loads(text[text.index("{"):])["jobs"][0]
        return job["write"]["clat_ns"]["percentile"]["50.000000"] / 1e3

    def measure(self, ensembles, op):
        """rows[depth][kind]: the figures of the rounds, taken in turns."""
        rows = {depth: {kind: [] for kind in KINDS} for depth in DEPTHS}
        for round_ in range(self.options.rounds + 1):
            for depth in DEPTHS:
                for ensemble in ensembles:
                    port = ensemble.servers[ensemble.leader()].port
                    row = figures("load", ports=port, op=op, size=SIZE, depth=depth,
                                  ms=self.options.ms, nodes=PREPARED, pids=pids(ensemble))
                    if round_ > 0:
                        rows[depth][ensemble.kind].append(row)
        return rows

    def rows_of(self, name, depth, rows, p50_goal, more_goals):
        rate, p50, p99, cpu = ([median_of(rows[kind], key) for kind in KINDS]
                               for key in ("per_s", "p50_us", "p99_us", "cpu_ms_per_1000"))
        line = self.report.row
        has_rate_goal = more_goals or p50_goal is None
        if has_rate_goal:
            line(f"{name} x {depth}: per second", *rate, goal=">= 3x", met=rate[0] >= 3 * rate[1])
        else:
            line(f"{name} x {depth}: per second", *rate)
        if p50_goal:
            line("    p50 us", *p50, goal=f"<= 1.5x the disk's {p50_goal:.0f} us",
                 met=p50[0] <= 1.5 * p50_goal)
        else:
            line("    p50 us", *p50)
        if more_goals:
            line("    p99 us", *p99, goal="<= 0.5x", met=p99[0] <= 0.5 * p99[1])
        else:
            line("    p99 us", *p99)
        line("    CPU ms per 1,000", *cpu, form="{:.1f}")

    def throughput(self, op, name):
        for count in self.options.nodes:
            with self.ensemble(OURS, count) as ours, self.ensemble(THEIRS, count) as theirs:
                for ensemble in (ours, theirs):
                    port = ensemble.servers[ensemble.leader()].port
                    figures("prepare", ports=port, count=PREPARED, size=SIZE)
                disk = [self.sync_us(count)]
                rows = self.measure((ours, theirs), op)
                disk.append(self.sync_us(count))
            where = "one node" if count == 1 else f"{count} nodes on one disk, through the leader"
            self.report.head(f"{name} of {SIZE} bytes, {where}, so many requests in flight on one "
                             "connection")
            for depth in DEPTHS:
                is_write = op == "set"
                p50_goal = statistics.mean(disk) if is_write and depth == 1 else None
                self.rows_of(name, depth, rows[depth], p50_goal, is_write and depth > 1)

    def writes(self):
        self.throughput("set", "setData")

    def reads(self):
        self.throughput("get", "getData")

    def start(self):
        """From the start of the process to its first answer; then a while without clients."""
        took, idle, said = {kind: [] for kind in KINDS}, {}, []
        for _ in range(STARTS):
            for kind in KINDS:
                with self.ensemble(kind, start=False) as ensemble:
                    took[kind].append(self.start_ms(ensemble))
                    time.sleep(SETTLE_S)
                    idle[kind] = rss_mib(ensemble.servers[0])
                    if kind == OURS:
                        said.append(said_start_ms(ensemble.servers[0]))
        ours, theirs = (statistics.median(took[kind]) for kind in KINDS)
        self.report.head("an empty node")
        self.report.row("start-up ms", ours, theirs, goal="< 100", met=ours < 100)
        self.report.row("    start_ms of the ready line", statistics.median(said))
        self.report.row("resident, idle", idle[OURS], idle[THEIRS], form="{:.1f} MiB",
                        goal="< 16 MiB", met=idle[OURS] < 16)

    def start_ms(self, ensemble):
        server = ensemble.servers[0]
        begin = time.monotonic()
        server.start()
        while not server.mode():
            if time.monotonic() - begin > WAIT_S:
                raise TimeoutError(f"{ensemble.kind} does not start")
            time.sleep(POLL_S)
        return (time.monotonic() - begin) * 1e3

    def sessions(self):
        count = self.options.sessions
        before, after, cpu, rate = {}, {}, {}, {}
        for kind in KINDS:
            with self.ensemble(kind) as ensemble:
                server = ensemble.servers[0]
                before[kind] = rss_mib(server)
                command = client("sessions", ports=ensemble.port, count=count, watches=WATCHES)
                with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      text=True) as holder:
                    words = holder.stdout.readline().split()
                    if words[:1] != ["ready"]:
                        raise RuntimeError(f"{kind} did not take {count} sessions")
                    rate[kind] = float(words[1])
                    time.sleep(SETTLE_S)
                    begin, used = time.monotonic(), cpu_s(server)
                    time.sleep(self.options.idle_s)
                    cpu[kind] = 100 * (cpu_s(server) - used) / (time.monotonic() - begin)
                    after[kind] = rss_mib(server)
                    holder.stdin.close()
        self.report.head(f"{count} idle sessions with {WATCHES} watches each, a ping of each every "
                         "20 s")
        line = self.report.row
        line("resident", after[OURS], after[THEIRS], form="{:.1f} MiB")
        line("    more than without them", after[OURS] - before[OURS],
             after[THEIRS] - before[THEIRS], form="{:.1f} MiB")
        line("CPU, % of a core", cpu[OURS], cpu[THEIRS], form="{:.2f}")
        line("sessions and watches per second", rate[OURS], rate[THEIRS])

    def znodes(self):
        count = self.options.znodes
        resident, rate, again = {}, {}, {}
        for kind in KINDS:
            with self.ensemble(kind) as ensemble:
                server = ensemble.servers[0]
                rate[kind] = figures("fill", ports=server.port, count=count,
                                     size=ZNODE_SIZE)["per_s"]
                time.sleep(SETTLE_S)
                resident[kind] = rss_mib(server)
                ensemble.kill(0)
                again[kind] = self.start_ms(ensemble)
        self.report.head(f"{count:,} znodes of {ZNODE_SIZE} bytes")
        ours, theirs = resident[OURS], resident[THEIRS]
        self.report.row("resident", ours, theirs, form="{:.1f} MiB", goal="< 1/8",
                        met=ours * 8 < theirs)
        self.report.row("creates per second x 512", rate[OURS], rate[THEIRS])
        self.report.row("start-up ms after kill -9", again[OURS], again[THEIRS])

    def cache(self):
        """More znodes than the caches hold."""
        count = self.options.cached
        if not count:
            return
        with self.ensemble(OURS) as ensemble:
            server = ensemble.servers[0]
            rate = figures("fill", ports=server.port, count=count, size=ZNODE_SIZE)["per_s"]
            read = figures("load", ports=server.port, op="get", filled=count, depth=16,
                           ms=self.options.ms, pids=pids(ensemble))
            resident = rss_mib(server)
            ensemble.kill(0)
            again = self.start_ms(ensemble)
        self.report.head(f"{count:,} znodes of {ZNODE_SIZE} bytes")
        line = self.report.row
        line("resident after random reads", resident, form="{:.1f} MiB",
             goal=f"< {CACHED_MIB_MAX} MiB", met=resident < CACHED_MIB_MAX)
        line("creates per second x 512", rate)
        line("random getData x 16 per second", read["per_s"])
        line("    p99 us", read["p99_us"])
        line("start-up ms after kill -9", again, goal="< 2000", met=again < 2000)

    def failover(self):
        """kill -9 of the leader under a writer: the pause between two writes that succeeded."""
        gaps = {kind: self.gaps_of(kind) for kind in KINDS}
        self.report.head(f"3 nodes, kill -9 of the leader under load, {self.options.kills} times")
        ours, theirs = (statistics.median(gaps[kind]) for kind in KINDS)
        self.report.row("writes resume after ms, median", ours, theirs, goal="< 1000",
                        met=ours < 1000)
        self.report.row("    worst", *(max(gaps[kind]) for kind in KINDS))

    def gaps_of(self, kind):
        gaps = []
        with self.ensemble(kind, 3) as ensemble:
            ports = ",".join(str(server.port) for server in ensemble.servers)
            with subprocess.Popen(client("failover", ports=ports, size=SIZE),
                                  stdout=subprocess.PIPE, text=True) as writer:
                writer.stdout.readline()
                for _ in range(self.options.kills):
                    leader = ensemble.leader()
                    ensemble.kill(leader)
                    gaps.append(next_gap(writer))
                    ensemble.start_one(leader)
                    ensemble.wait_serving()
                    wait_until("all follow", lambda: followers(ensemble) == 2)
                    time.sleep(SETTLE_S)
                writer.kill()
        return gaps


def next_gap(writer):
    """The pause that a kill made; shorter ones before it are the server's own."""
    while True:
        gap = float(writer.stdout.readline().split()[1])
        if gap > GAP_MS_MIN:
            return gap


def followers(ensemble):
    return sum(server.mode() == "follower" for server in ensemble.running())


def said_start_ms(server):
    return float(re.search(r"\bstart_ms=(\d+)", server.log())[1])


SECTIONS = ("start", "writes", "reads", "sessions", "znodes", "cache", "failover")


def parse():
    parser = argparse.ArgumentParser(prog="./bench meta", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(SECTIONS), metavar="SECTION,...")
    parser.add_argument("--nodes", default="1,3", help="sizes of the clusters of writes and reads")
    parser.add_argument("--data", help="directory of the servers' data; /tmp by default")
    for name, value in FULL.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"{value}, "
                            f"--quick: {QUICK[name]}")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.nodes = [int(count) for count in options.nodes.split(",")]
    options.only = options.only.split(",")
    for section in options.only:
        if section not in SECTIONS:
            parser.error(f"no section '{section}': there are {', '.join(SECTIONS)}")
    return options


def main():
    options = parse()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.environ.setdefault("GEMINGA", str(ROOT / "build/geminga"))
    jars()
    bench = Bench(options)
    for section in options.only:
        getattr(bench, section)()
    print(f"\ngoals: {bench.report.met} met, {bench.report.missed} not met")


if __name__ == "__main__":
    main()
