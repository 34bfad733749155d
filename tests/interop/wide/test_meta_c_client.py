"""The C client of ZooKeeper (libzookeeper_mt) against one metadata server, and against three of
which leaders die under it. The cases are in c_client/; each runs in a process of its own."""

import shutil
import subprocess
import unittest

from tests.interop.servers import ROOT, WORK, Ensemble

SOURCES = sorted((ROOT / "tests/interop/c_client").glob("*.c"))
PROGRAM = WORK / "zoo_client"
CASE_TIMEOUT_S = 120


def setUpModule():
    if not shutil.which("cc"):
        raise unittest.SkipTest("there is no C compiler")
    probe = subprocess.run(["cc", "-E", "-include", "zookeeper/zookeeper.h", "-DTHREADED", "-xc",
                            "/dev/null"], capture_output=True)
    if probe.returncode != 0:
        raise unittest.SkipTest("libzookeeper-mt-dev is not installed")
    WORK.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-std=gnu17", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-DTHREADED",
                    f"-I{ROOT}", *map(str, SOURCES), "-o", str(PROGRAM), "-lzookeeper_mt"],
                   check=True)


class Cases:
    count = None

    @classmethod
    def setUpClass(cls):
        cls.ensemble = Ensemble(count=cls.count)
        cls.addClassCleanup(cls.ensemble.close)

    def run_case(self, name):
        with subprocess.Popen([str(PROGRAM), self.ensemble.hosts, name], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as process:
            self.addCleanup(process.kill)
            lines = []
            for line in process.stdout:
                lines.append(line.strip())
                if line.startswith("ask "):
                    getattr(self, line.split()[1].replace("-", "_"))()
                    process.stdin.write("done\n")
                    process.stdin.flush()
            status = process.wait(CASE_TIMEOUT_S)
        self.assertEqual((status, lines[-1:]), (0, ["ok"]), lines)
        return lines

    def kill_leader(self):
        self.ensemble.kill(self.ensemble.leader())

    def restart(self):
        for server in self.ensemble.servers:
            if server.process is None:
                self.ensemble.start_one(server.index)
        self.ensemble.wait_serving()

    def test_a_node_goes_through_its_whole_life(self):
        self.run_case("nodes")

    def test_refusals_have_their_own_codes(self):
        self.run_case("refusals")

    def test_sequential_container_ttl_and_large_nodes(self):
        self.run_case("kinds_of_nodes")

    def test_watches_fire_once(self):
        self.run_case("watches")

    def test_removed_watches_do_not_fire(self):
        self.run_case("removed_watches")

    def test_a_transaction_happens_as_a_whole_or_not(self):
        self.run_case("transactions")

    def test_ten_thousand_requests_in_flight_are_answered_in_order(self):
        self.run_case("pipeline")

    def test_acls_admit_who_knows_the_password(self):
        self.run_case("acls")

    def test_an_ended_session_is_reported_and_takes_its_nodes_along(self):
        self.run_case("expiry")

    def test_the_configuration_names_the_servers(self):
        self.run_case("config")


class OneServerTest(Cases, unittest.TestCase):
    count = 1

    def kill_leader(self):
        """Of one server: it is killed and starts again."""
        super().kill_leader()
        self.restart()

    def test_a_session_outlives_a_restart_with_all_that_was_acknowledged(self):
        self.run_case("failover")

    def test_changes_after_a_restart_fire_watches_from_before(self):
        self.run_case("missed_changes")


class ThreeServersTest(Cases, unittest.TestCase):
    count = 3

    def setUp(self):
        self.addCleanup(self.restart)

    def test_a_session_outlives_leaders_with_all_that_was_acknowledged(self):
        lines = self.run_case("failover")
        self.assertEqual(lines.count("ask kill-leader"), 2)

    def test_requests_in_flight_are_answered_once_when_the_leader_dies(self):
        self.run_case("pipeline_over_failover")

    def test_watches_tell_of_changes_that_the_client_has_missed(self):
        self.run_case("missed_changes")


if __name__ == "__main__":
    unittest.main()
