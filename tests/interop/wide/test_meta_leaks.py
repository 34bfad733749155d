"""A day's worth of sessions that open and close, and what of them stays in memory: nothing.

86,400 sessions, each with an ephemeral node and two watches. Half of them end by a close, half
because nothing more is heard of them.
"""

import struct
import threading
import unittest

from tests.interop import jute
from tests.interop.servers import Ensemble, wait_until, word

SESSIONS, WARM, THREADS = 86400, 28800, 4
OPEN = [(31, "world", "anyone")]
# Tables in memory fill and are written out: small ones, often, so that they hide little.
OPTIONS = {"geminga.cacheBytes": "1M", "geminga.nodeBytes": "1M", "snapCount": 20000}
GROWTH_MAX = 10 << 20  # 180 bytes a session


def facts(port):
    return dict(line.split("\t", 1) for line in word(port, "mntr").splitlines() if "\t" in line)


def request(xid, kind, *values):
    return jute.frame(struct.pack(">ii", xid, kind) + jute.pack_operation(kind, values))


class LeakTest(unittest.TestCase):
    def one(self, port, number):
        connection = jute.Connection(port)
        connection.hello(timeout=1000)
        closes = number % 2 == 0
        connection.send(request(1, jute.CREATE, f"/e-{number}", b"x", OPEN, 1)
                        + request(2, jute.GET_DATA, f"/e-{number}", True)
                        + request(3, jute.EXISTS, f"/none-{number}", True)
                        + (request(4, jute.CLOSE) if closes else b""))
        answered = 0
        while answered < 3 + closes:
            payload = connection.receive()
            self.assertIsNotNone(payload)
            answered += struct.unpack_from(">i", payload)[0] > 0
        connection.close()

    def some(self, port, count):
        failures = []

        def work(first):
            try:
                for number in range(first, count, THREADS):
                    self.one(port, number)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_a_day_of_sessions_leaves_nothing(self):
        with Ensemble(count=1, options=OPTIONS) as ensemble:
            port, server = ensemble.port, ensemble.servers[0]
            before = facts(port)
            self.some(port, WARM)
            warm = server.rss()
            self.some(port, SESSIONS - WARM)
            wait_until("all sessions are over", lambda: facts(port)["zk_global_sessions"] == "0")
            after, rss = facts(port), server.rss()
        print(f"resident after {WARM} sessions {warm >> 10} KiB, after {SESSIONS} {rss >> 10} KiB")
        for key in ("zk_znode_count", "zk_ephemerals_count", "zk_watch_count", "zk_global_sessions",
                    "zk_approximate_data_size", "zk_outstanding_requests"):
            self.assertEqual(after[key], before[key], key)
        self.assertLess(rss - warm, GROWTH_MAX)


if __name__ == "__main__":
    unittest.main()
