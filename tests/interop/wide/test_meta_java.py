"""ZooKeeper's Java client with Curator's recipes, against one server and three, of which the leader
dies. Also zkCli, the shell that comes with ZooKeeper."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.interop.servers import JAVA_SHORT, Ensemble, jars

SOURCE = Path(__file__).resolve().parent.parent / "java/Cases.java"
LIMIT_S = 300
CASES = 15


class JavaClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="java-client-")
        cls.addClassCleanup(folder.cleanup)
        cls.classes = folder.name
        subprocess.run(["javac", "-cp", jars(), "-d", cls.classes, str(SOURCE)], check=True)

    def cases(self, ensemble, kill):
        process = subprocess.Popen(["java", *JAVA_SHORT, "-cp", f"{self.classes}:{jars()}", "Cases",
                                    ensemble.hosts], stdin=subprocess.PIPE, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        lines = []
        for line in process.stdout:
            if line == "kill the leader\n":
                kill()
                process.stdin.write("killed\n")
                process.stdin.flush()
            elif line.startswith(("ok ", "not ok ")):
                lines.append(line.rstrip())
        process.stdin.close()
        process.stdout.close()
        process.wait(LIMIT_S)
        self.assertEqual([line for line in lines if not line.startswith("ok ")], [])
        self.assertEqual(len(lines), CASES)

    def test_one_server_which_restarts(self):
        with Ensemble(count=1) as ensemble:
            def restart():
                ensemble.kill(0)
                ensemble.start_one(0)
            self.cases(ensemble, restart)

    def test_three_servers_of_which_the_leader_dies(self):
        with Ensemble(count=3) as ensemble:
            self.cases(ensemble, lambda: ensemble.kill(ensemble.leader()))


class ShellTest(unittest.TestCase):
    def shell(self, ensemble, *command):
        done = subprocess.run(["java", *JAVA_SHORT, "-cp", jars(), "org.apache.zookeeper.ZooKeeperMain",
                               "-server", f"127.0.0.1:{ensemble.port}", *command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LIMIT_S)
        return done.stdout + done.stderr

    def test_zkcli_does_what_people_do(self):
        with Ensemble(count=1) as ensemble:
            self.assertIn("Created /a", self.shell(ensemble, "create", "/a", "hello"))
            self.assertIn("hello", self.shell(ensemble, "get", "/a"))
            self.assertIn("dataVersion = 1", self.shell(ensemble, "set", "-s", "/a", "there"))
            self.assertIn("[a, zookeeper]", self.shell(ensemble, "ls", "/"))
            self.assertIn("numChildren = 0", self.shell(ensemble, "stat", "/a"))
            self.assertIn("'world,'anyone", self.shell(ensemble, "getAcl", "/a"))
            self.shell(ensemble, "deleteall", "/a")
            self.assertIn("[zookeeper]", self.shell(ensemble, "ls", "/"))


if __name__ == "__main__":
    unittest.main()
