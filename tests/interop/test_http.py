"""The HTTP server as other people's clients see it: http.client, urllib, raw sockets, curl.

Starts $GEMINGA (build/geminga if unset) on a free port, or runs against a server that is up already:
GEMINGA_HTTP=http://127.0.0.1:8080 python3 test_http.py
Relies on GET /metrics, GET /health and on paths that do not exist, nothing else.
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

BASE = os.environ.get("GEMINGA_HTTP", "").rstrip("/")
PROGRAM = os.environ.get("GEMINGA", "build/geminga")
TIMEOUT_S = 20
LINE_MAX = 16 << 10
FIELDS_SIZE_MAX = 32 << 10


def setUpModule():
    global BASE
    if BASE:
        return
    data = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(data.cleanup)
    server = subprocess.Popen(
        [PROGRAM, "standalone", "--data-dir", data.name, "--http-port", "0",
         "--meta-port", "0", "--bookie-port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    unittest.addModuleCleanup(stop, server)
    ready = server.stdout.readline()
    BASE = next(word for word in ready.split() if word.startswith("http=")).removeprefix("http=")


def stop(server):
    server.terminate()
    server.wait(TIMEOUT_S)
    server.stdout.close()


def address():
    parts = urllib.parse.urlsplit(BASE)
    return parts.hostname, parts.port or 80


def send(sock, request, cut=None):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = cut or len(request)
    try:
        for at in range(0, len(request), size):
            sock.sendall(request[at:at + size])
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before it was whole: the reply is what counts


def read_to_end(sock):
    reply = b""
    while piece := sock.recv(65536):
        reply += piece
    return reply


def raw_exchange(request, cut=None):
    """Sends bytes (at once, or in pieces of `cut`), returns all that comes back until the close."""
    with socket.create_connection(address(), timeout=TIMEOUT_S) as sock:
        send(sock, request, cut)
        return read_to_end(sock)


def refusal(request):
    """Sends bytes, returns the response and its body without waiting for the close."""
    with socket.create_connection(address(), timeout=TIMEOUT_S) as sock:
        send(sock, request)
        response = http.client.HTTPResponse(sock)
        response.begin()
        return response, response.read()


def status_of(reply):
    version, status, _ = reply.split(b"\r\n", 1)[0].split(b" ", 2)
    assert version == b"HTTP/1.1", reply
    return int(status)


class HttpTest(unittest.TestCase):
    def connect(self):
        conn = http.client.HTTPConnection(*address(), timeout=TIMEOUT_S)
        self.addCleanup(conn.close)
        return conn

    def get(self, conn, path, method="GET", **more):
        conn.request(method, path, **more)
        response = conn.getresponse()
        return response, response.read()


class PlainRequests(HttpTest):
    def test_health_answers(self):
        with urllib.request.urlopen(BASE + "/health", timeout=TIMEOUT_S) as response:
            self.assertEqual(response.status, 200)

    def test_metrics_are_prometheus_text(self):
        response, body = self.get(self.connect(), "/metrics")
        self.assertEqual(response.status, 200)
        kind = response.getheader("Content-Type")
        self.assertTrue(kind.startswith("text/plain") and "version=0.0.4" in kind, kind)
        self.assertIn(b"# TYPE ", body)
        self.assertTrue(body.endswith(b"\n"))

    def test_unknown_path_is_404_with_a_json_reason(self):
        with self.assertRaises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(BASE + "/no/such/path?x=1", timeout=TIMEOUT_S)
        self.assertEqual(raised.exception.code, 404)
        self.assertIn("reason", json.load(raised.exception))
        raised.exception.close()

    def test_other_methods_are_405_with_allow(self):
        for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
            response, body = self.get(self.connect(), "/metrics", method)
            self.assertEqual(response.status, 405, method)
            self.assertIn("GET", response.getheader("Allow"))
            self.assertIn("reason", json.loads(body))

    def test_head_has_the_headers_of_get_and_no_body(self):
        conn = self.connect()
        got, body = self.get(conn, "/health")
        head, nothing = self.get(conn, "/health", "HEAD")
        self.assertEqual(head.status, got.status)
        self.assertEqual(head.getheader("Content-Type"), got.getheader("Content-Type"))
        self.assertEqual(head.getheader("Content-Length"), str(len(body)))
        self.assertEqual(nothing, b"")

    def test_escaped_paths_are_the_same_paths(self):
        response, _ = self.get(self.connect(), "/%68ealth")
        self.assertEqual(response.status, 200)
        response, _ = self.get(self.connect(), "//health")
        self.assertEqual(response.status, 404)


class Connections(HttpTest):
    def test_one_connection_serves_many_requests(self):
        conn = self.connect()
        conn.connect()
        sock = conn.sock
        for _ in range(200):
            self.assertEqual(self.get(conn, "/health")[0].status, 200)
        self.assertIs(conn.sock, sock)

    def test_connection_close_is_honoured(self):
        reply = raw_exchange(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        self.assertEqual(status_of(reply), 200)
        self.assertIn(b"connection: close\r\n", reply.lower())

    def test_http_1_0_closes_unless_asked(self):
        self.assertEqual(status_of(raw_exchange(b"GET /health HTTP/1.0\r\n\r\n")), 200)
        twice = raw_exchange(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                             b"GET /health HTTP/1.0\r\n\r\n")
        self.assertEqual(twice.count(b"HTTP/1.1 200 "), 2)

    def test_pipelined_requests_are_answered_in_order(self):
        one = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"
        other = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
        last = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        reply = raw_exchange((one + other) * 100 + last)
        statuses = [part[:3] for part in reply.split(b"HTTP/1.1 ")[1:]]
        self.assertEqual(statuses, [b"200", b"404"] * 100 + [b"200"])

    def test_bytes_may_come_one_by_one(self):
        request = (b"POST /health HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                   b"Connection: close\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n")
        self.assertEqual(status_of(raw_exchange(request, cut=1)), 405)

    def test_many_connections_at_once(self):
        conns = [self.connect() for _ in range(50)]
        for conn in conns:
            conn.request("GET", "/metrics")
        for conn in conns:
            self.assertEqual(conn.getresponse().status, 200)

    def test_absolute_targets_are_accepted(self):
        conn = self.connect()
        conn.request("GET", BASE + "/health")
        self.assertEqual(conn.getresponse().status, 200)


class Bodies(HttpTest):
    def test_bodies_are_read_and_the_connection_goes_on(self):
        conn = self.connect()
        for body in (b"", b"x", b"y" * 100000):
            self.assertEqual(self.get(conn, "/health", "POST", body=body)[0].status, 405)
            pieces = iter([body[:10], body[10:]]) if body else iter([])
            response, _ = self.get(conn, "/health", "POST", body=pieces, encode_chunked=True,
                                   headers={"Transfer-Encoding": "chunked"})
            self.assertEqual(response.status, 405)
        self.assertEqual(self.get(conn, "/health")[0].status, 200)

    def test_continue_is_sent_before_the_body(self):
        with socket.create_connection(address(), timeout=TIMEOUT_S) as sock:
            sock.sendall(b"POST /health HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                         b"Content-Length: 3\r\nConnection: close\r\n\r\n")
            self.assertEqual(sock.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
            sock.sendall(b"abc")
            self.assertEqual(status_of(read_to_end(sock)), 405)

    def test_an_announced_giant_is_413(self):
        for size in (1 << 40, (1 << 64) - 1):
            head = b"PUT /health HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size
            self.assertEqual(refusal(head)[0].status, 413)

    def test_a_giant_that_is_being_sent_gets_its_413(self):
        head = b"PUT /health HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        response, _ = refusal(head + b"7fffffff\r\n" + b"x" * (1 << 20))
        self.assertEqual(response.status, 413)


class Refusals(HttpTest):
    MALFORMED = {
        b"GET /\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": 400,
        b"GET / HTTP/1.1\nHost: h\n\n": 400,
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\nHost: h\r\nX : a\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n": 400,
        b"GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n": 400,
        b"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n": 400,
        b"GET / HTTP/2.0\r\nHost: h\r\n\r\n": 505,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 505,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": 400,
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n": 400,
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n": 400,
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n": 400,
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n": 501,
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": 400,
        b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n": 417,
        b"GET /" + b"x" * LINE_MAX + b" HTTP/1.1\r\nHost: h\r\n\r\n": 414,
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * FIELDS_SIZE_MAX + b"\r\n\r\n": 431,
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 100 + b"\r\n": 431,
    }

    def test_malformed_requests_are_refused(self):
        for request, status in self.MALFORMED.items():
            with self.subTest(request=request[:60]):
                response, body = refusal(request)
                self.assertEqual(response.status, status)
                self.assertEqual(response.getheader("Connection"), "close")
                self.assertIn("reason", json.loads(body))

    def test_the_connection_is_closed_behind_a_refusal(self):
        reply = raw_exchange(b"GET / HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(reply.count(b"HTTP/1.1 "), 1)
        reply = raw_exchange(b"PUT / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n")
        self.assertEqual(status_of(reply), 417)

    def test_refusals_do_not_hurt_others(self):
        conn = self.connect()
        self.assertEqual(self.get(conn, "/health")[0].status, 200)
        raw_exchange(b"\x00")
        with socket.create_connection(address(), timeout=TIMEOUT_S) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHos")  # and gone
        self.assertEqual(self.get(conn, "/health")[0].status, 200)


@unittest.skipUnless(shutil.which("curl"), "there is no curl")
class Curl(HttpTest):
    def curl(self, *arguments):
        command = ["curl", "-sS", "--noproxy", "*", "--max-time", str(TIMEOUT_S), *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_get_and_head(self):
        self.assertIn(b"# TYPE ", self.curl(BASE + "/metrics"))
        self.assertTrue(self.curl("-I", BASE + "/metrics").startswith(b"HTTP/1.1 200 "))
        self.assertIn(b"# TYPE ", self.curl("--http1.0", BASE + "/metrics"))

    def test_connections_are_reused(self):
        out = self.curl("-w", "%{num_connects}\n", "-o", "/dev/null", BASE + "/health",
                        "-o", "/dev/null", BASE + "/health", "-o", "/dev/null", BASE + "/nowhere")
        self.assertEqual(out.split(), [b"1", b"0", b"0"])

    def test_uploads(self):
        for extra in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
            out = self.curl("-X", "PUT", "--data-binary", "x" * 5000, "-o", "/dev/null",
                            "-w", "%{http_code}", *extra, BASE + "/health")
            self.assertEqual(out, b"405")

    def test_a_client_that_wants_http_2_is_served_http_1_1(self):
        out = self.curl("--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}",
                        BASE + "/health")
        self.assertEqual(out, b"200 1.1")


if __name__ == "__main__":
    unittest.main()
