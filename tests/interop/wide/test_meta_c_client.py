"""ZooKeeper's C client (libzookeeper_mt) against one server and three, of which the leader dies."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.interop.servers import Ensemble

SOURCE = Path(__file__).resolve().parent.parent / "c_client/cases.c"
LIMIT_S = 300


class CClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="c-client-")
        cls.addClassCleanup(folder.cleanup)
        cls.program = f"{folder.name}/cases"
        subprocess.run(["cc", "-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror", "-DTHREADED",
                        str(SOURCE), "-o", cls.program, "-lzookeeper_mt", "-pthread"], check=True)

    def cases(self, ensemble, kill):
        process = subprocess.Popen([self.program, ensemble.hosts], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        lines = []
        for line in process.stdout:
            if line == "kill the leader\n":
                kill()
                process.stdin.write("killed\n")
                process.stdin.flush()
            else:
                lines.append(line.rstrip())
        process.stdin.close()
        process.stdout.close()
        process.wait(LIMIT_S)
        self.assertGreaterEqual(len(lines), 9)
        self.assertEqual([line for line in lines if not line.startswith("ok ")], [])

    def test_one_server_which_restarts(self):
        with Ensemble(count=1) as ensemble:
            def restart():
                ensemble.kill(0)
                ensemble.start_one(0)
            self.cases(ensemble, restart)

    def test_three_servers_of_which_the_leader_dies(self):
        with Ensemble(count=3) as ensemble:
            self.cases(ensemble, lambda: ensemble.kill(ensemble.leader()))


if __name__ == "__main__":
    unittest.main()
