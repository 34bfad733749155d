"""`geminga standalone` and the commands around it, as a shell, an operator and a hostile peer see them.

GEMINGA names the program (default: build/geminga). Every server runs in its own directory on a free
port. Figures (start, memory) are printed, never asserted on time.
"""

import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

from tests.interop import jute

GEMINGA = os.path.abspath(os.environ.get("GEMINGA", "build/geminga"))
DEADLINE_S = 60
READY = "geminga standalone is ready "
CLEAN_ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("GEMINGA_")}


def run(*arguments, environment=None, cwd=None):
    return subprocess.run([GEMINGA, *arguments], capture_output=True, text=True, cwd=cwd,
                          stdin=subprocess.DEVNULL, timeout=DEADLINE_S,
                          env=CLEAN_ENVIRONMENT | (environment or {}))


def note(text):
    print(f"    {text}", file=sys.stderr, flush=True)


def wait_until(condition, what):
    """The world outside has no completion to wait for: asks again until it is so."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.01)


class Server:
    def __init__(self, directory, *arguments, files=None, environment=None):
        self.directory = directory
        self.log_path = os.path.join(directory, "stderr.log")
        self.log_file = open(self.log_path, "wb")
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        started = time.monotonic()
        self.process = subprocess.Popen(
            [GEMINGA, "standalone", "--data-dir", os.path.join(directory, "data"),
             "--http-port", "0", "--meta-port", "0", "--bookie-port", "0",
             "--bind-address", "127.0.0.1", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log_file, text=True,
            preexec_fn=limit, env=CLEAN_ENVIRONMENT | (environment or {}))
        self.line = self.process.stdout.readline()
        self.ready_ms = (time.monotonic() - started) * 1000
        self.facts = dict(pair.split("=", 1) for pair in self.line.removeprefix(READY).split())
        url = urllib.parse.urlsplit(self.facts.get("http", ""))
        self.address = (url.hostname, url.port)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def get(self, path, timeout=DEADLINE_S):
        connection = http.client.HTTPConnection(*self.address, timeout=timeout)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response, response.read().decode()

    def connect(self):
        return socket.create_connection(self.address, timeout=DEADLINE_S)

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) << 10

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            status = None
        self.process.stdout.close()
        self.log_file.close()
        return status


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="geminga-standalone-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def start(self, *arguments, **options):
        server = Server(self.directory, *arguments, **options)
        self.addCleanup(server.stop)
        self.assertTrue(server.line.startswith(READY), server.line + server.log())
        return server

    def refused(self, *arguments, data=None, **options):
        """Runs a standalone that must not start; returns its one line."""
        result = run("standalone", "--data-dir", data or self.path("data"), "--http-port", "0",
                     "--meta-port", "0", "--bookie-port", "0",
                     "--bind-address", "127.0.0.1", *arguments, **options)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(result.stdout, "")
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("geminga standalone: "), lines[0])
        return lines[0]


SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)'
                    r'(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (-?[0-9.e+-]+|\+Inf)')


def parse_metrics(text):
    """Name and labels to value; raises on anything that the text format does not allow."""
    samples, types, closed, current = {}, {}, set(), None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# "):
            _, kind, name, rest = line.split(" ", 3)
            assert kind in ("HELP", "TYPE"), line
            if kind == "HELP":
                assert name not in closed and name != current, f"family twice: {line}"
                assert current is None or current < name, f"families out of order: {line}"
                closed.add(current)
                current = name
            else:
                assert name == current and name not in types, line
                assert rest in ("counter", "gauge", "histogram"), line
                types[name] = rest
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"not a sample: {line!r}"
        name, labels, value = match.groups()
        family = re.sub("_(bucket|sum|count)$", "", name) if types[current] == "histogram" else name
        assert family == current, f"{line!r} in family {current}"
        assert (name, labels) not in samples, f"sample twice: {line}"
        samples[name, labels or ""] = float(value)
    return samples, types


class Commands(Case):
    def test_version_names_program_and_libraries(self):
        for arguments in (["version"], ["--version"]):
            result = run(*arguments)
            self.assertEqual(result.returncode, 0)
            self.assertRegex(result.stdout, r"^geminga \d+\.\d+\.\d+.*\nnng \d.*RocksDB \d")

    def test_help_is_the_same_however_it_is_asked_for(self):
        general = run("--help")
        self.assertEqual((general.returncode, general.stderr), (0, ""))
        self.assertEqual(general.stdout, run("help").stdout)
        for command in ("standalone", "doctor", "version", "help"):
            self.assertIn(command, general.stdout)
            asked = run(command, "--help")
            self.assertEqual((asked.returncode, asked.stderr), (0, ""))
            self.assertEqual(asked.stdout, run("help", command).stdout)
        self.assertIn("--http-port", run("help", "standalone").stdout)

    def test_an_unknown_command_is_answered_with_the_nearest(self):
        result = run("standalon")
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stderr,
                         "geminga: there is no command 'standalon'; did you mean 'standalone'?\n")
        self.assertEqual(run("qqqqqqqqq").returncode, 2)
        self.assertEqual(run("help", "qqqqqqqqq").returncode, 2)
        self.assertEqual(run().returncode, 2)

    def test_doctor_examines_computer_disk_and_a_running_node(self):
        server = self.start()
        result = run("doctor", "--data-dir", self.path("not/there/yet"), "--url",
                     server.facts["http"])
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for fact in ("kernel", "cores", "memory", "open files", "CRC32C", "file system",
                     "direct I/O", "sync of 4 KiB", "loop 0"):
            self.assertRegex(result.stdout, rf"(?m)^  {fact} +\S")
        self.assertIn(f"{self.directory} (nearest there is)", result.stdout)
        self.assertEqual([name for name in os.listdir(self.directory) if "doctor" in name], [])

    def test_doctor_says_why_a_node_cannot_be_asked(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            result = run("doctor", "--data-dir", self.directory, "--url",
                         f"http://127.0.0.1:{port}")
        self.assertEqual(result.returncode, 0)
        self.assertIn("warning: no answer: connection refused", result.stdout)
        self.assertIn("is not http://host:port",
                      run("doctor", "--data-dir", self.directory, "--url", "ftp://x").stdout)
        self.assertEqual(run("doctor", "--ulr=x").returncode, 2)


class Serving(Case):
    def test_the_ready_line_says_where_it_serves(self):
        server = self.start()
        self.assertEqual(list(server.facts), ["meta", "bookie", "http", "data", "pid", "start_ms"])
        self.assertEqual(server.facts["pid"], str(server.process.pid))
        self.assertEqual(server.facts["data"], self.path("data"))
        self.assertEqual(server.get("/health")[0].status, 200)
        note(f"ready after {server.ready_ms:.0f} ms, "
             f"resident {server.resident_bytes() / (1 << 20):.1f} MiB")
        self.assertEqual(server.stop(), 0)
        lines = [line for line in server.log().splitlines() if " standalone: " in line]
        self.assertEqual(len(lines), 2, server.log())

    def test_health_and_probes_answer(self):
        server = self.start()
        response, body = server.get("/health")
        health = json.loads(body)
        self.assertEqual(response.getheader("Content-Type"), "application/json")
        self.assertEqual(sorted(health), ["status", "uptimeSeconds", "version"])
        self.assertEqual(health["status"], "ok")
        self.assertEqual(server.get("/status.html")[1], "OK")
        self.assertEqual(server.get("/ready")[1], "ready\n")
        self.assertIn('href="/metrics"', server.get("/")[1])
        self.assertEqual(server.get("/nothing")[0].status, 404)

    def test_metrics_are_valid_prometheus_text(self):
        server = self.start("--loops", "3", "--memory=64M")
        response, body = server.get("/metrics")
        self.assertTrue(response.getheader("Content-Type").startswith("text/plain; version=0.0.4"))
        samples, types = parse_metrics(body)
        for loop in range(3):
            self.assertIn(("geminga_loop_turns_total", f'loop="{loop}"'), samples)
        self.assertEqual(samples["geminga_memory_budget_limit_bytes", ""], 64 << 20)
        self.assertGreater(samples["process_resident_memory_bytes", ""], 1 << 20)
        self.assertGreater(samples["process_open_fds", ""], 3)
        self.assertLess(abs(samples["process_start_time_seconds", ""] - time.time()), 3600)
        self.assertEqual(types["geminga_loop_busy_seconds_total"], "counter")
        again, _ = parse_metrics(server.get("/metrics")[1])
        for key in samples:
            if types.get(key[0]) == "counter":
                self.assertGreaterEqual(again[key], samples[key], key)

    def test_metrics_follow_what_metadata_clients_do(self):
        server = self.start()

        def metrics():
            return parse_metrics(server.get("/metrics")[1])[0]

        # The bookie has a session of its own.
        wait_until(lambda: metrics()["global_sessions", ""] == 1, "the bookie is registered")
        before = metrics()
        client = jute.Client(int(server.facts["meta"].rpartition(":")[2]))
        client.call(jute.CREATE, "/a", b"data", [(31, "world", "anyone")], 0)
        client.call(jute.GET_DATA, "/a", True)
        wait_until(lambda: metrics()["watch_count", ""] == 1, "the watch is counted")
        after = metrics()
        self.assertEqual(after["znode_count", ""], before["znode_count", ""] + 1)
        self.assertEqual(after["num_alive_connections", ""], 2)
        self.assertEqual(after["global_sessions", ""], 2)
        for name, more in (("packets_received", 3), ("readlatency_count", 1),
                           ("updatelatency_count", 1)):
            self.assertGreaterEqual(after[name, ""], before[name, ""] + more)
        client.close()

    def test_port_and_address_are_what_was_asked_for(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = self.start("--web-service-port", str(port))
        self.assertEqual(server.facts["http"], f"http://127.0.0.1:{port}")

    def test_log_lines_as_json_into_a_file(self):
        path = self.path("node.log")
        server = self.start("--log-file", path, "--log-format=json", "--log-level=debug")
        self.assertEqual(server.stop(), 0)
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual(list(lines[0]), ["ts", "level", "node", "component", "msg"])
        self.assertTrue(any("stopped signal=15" in line["msg"] for line in lines))
        self.assertEqual(server.log(), "")


class Configuration(Case):
    def test_flag_beats_environment_beats_file(self):
        file = self.write("a.conf", "memory=32M\nloops=1\nlogLevel=warn\n")
        server = self.start("--config", file, "--memory", "64M",
                            environment={"GEMINGA_loops": "2", "GEMINGA_MEMORY": "48M"})
        samples, _ = parse_metrics(server.get("/metrics")[1])
        self.assertEqual(samples["geminga_memory_budget_limit_bytes", ""], 64 << 20)
        self.assertIn(("geminga_loop_turns_total", 'loop="1"'), samples)
        self.assertNotIn(("geminga_loop_turns_total", 'loop="2"'), samples)
        self.assertEqual(server.log(), "")  # warn: the line about the start is info

    def test_a_file_with_byte_order_mark_crlf_and_no_last_newline_is_read(self):
        file = self.write("a.conf", b"\xef\xbb\xbf# a comment\r\nmemory : 3\\\r\n  2M\r\nloops=2")
        server = self.start("--config", file)
        samples, _ = parse_metrics(server.get("/metrics")[1])
        self.assertEqual(samples["geminga_memory_budget_limit_bytes", ""], 32 << 20)
        self.assertEqual(server.log().count("WARN"), 0, server.log())

    def test_an_unknown_key_is_a_warning_with_the_nearest_name(self):
        file = self.write("a.conf", "webServicPort=1\n")
        server = self.start("--config", file)
        server.get("/health")
        self.assertIn(f"WARN  config: {file}:1: warning: unknown key webServicPort; did you mean "
                      "webServicePort?\n", server.log())

    def test_what_is_wrong_is_said_with_its_line(self):
        cases = (("memory=many\n", ":1: error: memory=many is not a size"),
                 ("\n\nwebServicePort=70000\n", ":3: error: webServicePort=70000 is out of range: "
                                                "0 to 65535"),
                 ("loops=1\nmemory=1M", ":2: error: memory=1M is out of range: 16MiB to 1TiB"),
                 ("logLevel=loud\n", "logLevel=loud is not one of: debug, info, warn, error"),
                 ("loops=1\nloops=1\n", ":2: error: loops is set already in line 1"),
                 (b"loops=1\n\0\n", ":2: error: the line has a NUL byte"),
                 (b"a=\xff\n", ":1: error: the line is not valid UTF-8"),
                 ("logFile=\\u12\n", ":1: error: \\u needs four hexadecimal digits"))
        for content, message in cases:
            with self.subTest(message):
                self.assertIn(message, self.refused("--config", self.write("bad.conf", content)))

    def test_everything_wrong_is_said_at_once(self):
        file = self.write("bad.conf", "loops=x\nmemory=x\nlogLevel=x\n")
        result = run("standalone", "--data-dir", self.path("data"), "--config", file)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr.count(": error: "), 3)
        self.assertFalse(os.path.exists(self.path("data")))

    def test_a_missing_file_and_a_directory_are_refused(self):
        self.assertIn("No such file", self.refused("--config", self.path("none.conf")))
        self.assertIn("Is a directory", self.refused("--config", self.directory))

    def test_wrong_flags_are_a_usage_error_with_the_nearest_name(self):
        result = run("standalone", "--http-prot=1")
        self.assertEqual(result.returncode, 2)
        self.assertIn("unknown flag; did you mean --http-port?", result.stderr)
        self.assertEqual(run("standalone", "stray").returncode, 2)


class Refusing(Case):
    def test_a_second_instance_is_refused_and_told_the_first(self):
        server = self.start()
        line = self.refused()
        self.assertIn(f"in use by process {server.process.pid}", line)
        self.assertIn("--data-dir", line)
        self.assertEqual(server.get("/health")[0].status, 200)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(Server.stop(self.start()), 0)

    def test_the_directory_of_a_killed_instance_is_free(self):
        server = self.start()
        server.stop(signal.SIGKILL)
        self.assertEqual(self.start().stop(), 0)

    def test_a_port_in_use_is_one_clear_line(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            line = self.refused("--http-port", str(port))
        self.assertIn(f"127.0.0.1:{port}", line)
        self.assertIn("address in use", line)
        self.assertIn("--http-port", line)

    def test_an_address_of_somebody_else_is_one_clear_line(self):
        self.assertIn("--bind-address", self.refused("--bind-address", "192.0.2.1"))
        self.assertIn("--bind-address", self.refused("--bind-address", "not an address"))

    def test_a_directory_that_cannot_be_made_is_one_clear_line(self):
        self.assertIn("/proc/geminga", self.refused(data="/proc/geminga"))
        file = self.write("file", "x")
        self.assertIn(file, self.refused(data=file))
        self.assertIn(file, self.refused(data=file + "/below"))

    def test_a_log_file_that_cannot_be_made_is_one_clear_line(self):
        self.assertIn("/nowhere/x.log", self.refused("--log-file", "/nowhere/x.log"))

    @contextlib.contextmanager
    def mounted(self, options):
        point = self.path("mount")
        os.mkdir(point)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", point],
                               capture_output=True, text=True) if shutil.which("mount") else None
        if mount is None or mount.returncode != 0:
            self.skipTest("mounting a tmpfs is not allowed here: "
                          + (mount.stderr.strip() if mount else "no mount program"))
        try:
            yield point
        finally:
            subprocess.run(["umount", point], check=True)

    def test_a_full_file_system_is_one_clear_line(self):
        with self.mounted("size=64k") as point:
            with contextlib.suppress(OSError), open(f"{point}/fill", "wb") as file:
                while file.write(b"x" * 4096):
                    file.flush()
            line = self.refused(data=point)
            self.assertIn(point, line)
            self.assertIn("no space left", line)

    def test_a_read_only_file_system_is_one_clear_line(self):
        with self.mounted("size=64k,ro") as point:
            self.assertIn("read-only", self.refused(data=point))
            self.assertIn("read-only", self.refused(data=f"{point}/below"))

    def test_a_directory_of_somebody_else_is_one_clear_line(self):
        if os.geteuid() == 0:
            self.skipTest("root may write everywhere")
        os.mkdir(self.path("data"), 0o500)
        self.assertIn("permission denied", self.refused())


class Signals(Case):
    def test_sigterm_and_sigint_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                server = self.start()
                with server.connect() as silent:
                    silent.sendall(b"GET /hea")
                    started = time.monotonic()
                    self.assertEqual(server.stop(number), 0)
                    note(f"{number.name}: stopped in {(time.monotonic() - started) * 1000:.0f} ms")
                self.assertIn(f"standalone: stopped signal={int(number)} ", server.log())

    def test_sigterm_in_the_first_milliseconds_ends_it_too(self):
        # Before main has blocked it the signal ends the process by itself; then nothing was made.
        outcomes = []
        for attempt in range(20):
            data = self.path(f"data{attempt}")
            process = subprocess.Popen(
                [GEMINGA, "standalone", "--data-dir", data, "--http-port", "0", "--meta-port", "0", "--bookie-port", "0",
                 "--bind-address", "127.0.0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=CLEAN_ENVIRONMENT)
            time.sleep(attempt * 0.001)
            made_before = os.path.exists(data)
            process.terminate()
            out, err = process.communicate(timeout=DEADLINE_S)
            outcomes.append(process.returncode)
            self.assertIn(process.returncode, (0, -signal.SIGTERM), err)
            if made_before or process.returncode == 0:
                self.assertEqual(process.returncode, 0, err)
                self.assertEqual(err.count("stopped signal=15"), 1, err)
                # It says that it is ready once it serves, which the signal may forestall.
                self.assertLessEqual(out.count("\n"), 1)
            else:
                self.assertEqual((out, os.path.exists(data)), ("", False))
        note(f"{outcomes.count(0)} of {len(outcomes)} had begun and stopped cleanly")

    def test_sighup_reopens_the_log_and_reads_the_configuration_again(self):
        file = self.write("a.conf", "logLevel=info\nmemory=32M\n")
        log = self.path("node.log")
        server = self.start("--config", file, "--log-file", log)

        def log_text():
            with contextlib.suppress(FileNotFoundError), open(log, encoding="utf-8") as text:
                return text.read()
            return ""

        os.rename(log, log + ".1")
        self.write("a.conf", "logLevel=debug\nmemory=64M\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "configuration read again" in log_text(), "reload")
        self.assertIn("logLevel=debug took effect", log_text())
        self.assertIn("WARN  config: standalone: warning: memory=64MiB needs a restart", log_text())
        self.write("a.conf", "logLevel=loud\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "configuration refused" in log_text(), "refusal")
        self.assertIn("a.conf:1: error: logLevel=loud is not one of", log_text())
        self.assertEqual(server.get("/health")[0].status, 200)
        self.assertEqual(server.stop(), 0)

    def test_many_signals_at_once_are_survived(self):
        server = self.start()
        for _ in range(200):
            server.process.send_signal(signal.SIGHUP)
        self.assertEqual(server.get("/health")[0].status, 200)
        self.assertEqual(server.stop(), 0)


class Peers(Case):
    def hold(self, server, count):
        """Opens connections that say nothing, without waiting for those that find no room."""
        held = []
        self.addCleanup(lambda: [sock.close() for sock in held])
        for _ in range(count):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(server.address)
            held.append(sock)
        return held

    def test_running_out_of_files_is_survived_and_is_no_flood_in_the_log(self):
        server = self.start(files=64)
        held = self.hold(server, 200)
        wait_until(lambda: "accept failed" in server.log(), "a line about what ran out")
        self.assertIn("err=RT_ENOFILES", server.log())
        for sock in held:
            sock.close()
        wait_until(lambda: self.answers(server), "an answer after the peers left")
        self.assertEqual(server.log().count("accept failed"), 1, server.log())
        self.assertEqual(server.stop(), 0)

    @staticmethod
    def answers(server):
        try:
            return server.get("/health", timeout=5)[0].status == 200
        except (OSError, http.client.HTTPException):
            return False

    def test_two_thousand_silent_connections_cost_bounded_memory(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 4096:
            self.skipTest(f"only {hard} open files allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
        server = self.start()
        before = server.resident_bytes()
        held = []
        self.addCleanup(lambda: [sock.close() for sock in held])
        for _ in range(2000):
            held.append(server.connect())
        self.assertEqual(server.process.poll(), None)
        after = server.resident_bytes()
        note(f"resident {before / (1 << 20):.1f} MiB idle, {after / (1 << 20):.1f} MiB "
             f"with {len(held)} silent connections")
        self.assertLess(after - before, 64 << 20)
        for sock in held:
            sock.close()
        wait_until(lambda: self.answers(server), "an answer after the peers left")

    def test_a_request_that_comes_byte_by_byte_is_answered(self):
        server = self.start()
        with server.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"GET /status.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":
                sock.sendall(bytes([byte]))
            reply = b"".join(iter(lambda: sock.recv(4096), b""))
        self.assertTrue(reply.startswith(b"HTTP/1.1 200 ") and reply.endswith(b"\r\n\r\nOK"), reply)

    def test_a_peer_that_closes_its_half_is_still_answered(self):
        server = self.start()
        with server.connect() as sock:
            sock.sendall(b"GET /status.html HTTP/1.1\r\nHost: a\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            reply = b"".join(iter(lambda: sock.recv(4096), b""))
        self.assertTrue(reply.endswith(b"OK"), reply)

    def test_peers_that_vanish_in_the_middle_leave_nothing_behind(self):
        server = self.start()
        linger = b"\1\0\0\0\0\0\0\0"
        for i in range(200):
            with server.connect() as sock:
                sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"[:i % 40])
                if i % 2:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        count = lambda: len(os.listdir(f"/proc/{server.process.pid}/fd"))
        with server.connect() as last:
            last.sendall(b"GET /status.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while last.recv(4096):
                pass
        wait_until(lambda: count() < 60, "the descriptors of the vanished are given back")
        self.assertEqual(server.get("/health")[0].status, 200)

    def test_scrapes_from_many_threads_are_all_whole(self):
        server = self.start()
        bodies, lock = [], threading.Lock()

        def scrape():
            for _ in range(20):
                body = server.get("/metrics")[1]
                with lock:
                    bodies.append(body)

        threads = [threading.Thread(target=scrape) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(bodies), 160)
        for body in bodies:
            parse_metrics(body)


if __name__ == "__main__":
    unittest.main()
