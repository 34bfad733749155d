"""BookKeeper's Java client over both wire protocols against one bookie and three, of which one dies."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.interop.bookies import Cluster, bookkeeper_jars
from tests.interop.servers import JAVA_SHORT

SOURCE = Path(__file__).resolve().parent.parent / "java_bookkeeper/Ledgers.java"
LIMIT_S = 300
CASES = 20


class LedgersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="ledgers-")
        cls.addClassCleanup(folder.cleanup)
        cls.classes = folder.name
        subprocess.run(["javac", "-nowarn", "-cp", bookkeeper_jars(), "-d", cls.classes,
                        str(SOURCE)], check=True, stderr=subprocess.DEVNULL)

    def cases(self, cluster):
        process = subprocess.Popen(["java", *JAVA_SHORT, "-cp",
                                    f"{self.classes}:{bookkeeper_jars()}", "Ledgers", cluster.uri,
                                    str(len(cluster.bookies))], stdin=subprocess.PIPE, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        lines = []
        for line in process.stdout:
            if line in ("kill a bookie\n", "start it again\n"):
                (cluster.kill if "kill" in line else cluster.start)(0)
                process.stdin.write("done\n")
                process.stdin.flush()
            elif line.startswith(("ok ", "not ok ")):
                lines.append(line.rstrip())
        process.stdin.close()
        process.stdout.close()
        process.wait(LIMIT_S)
        self.assertEqual("\n".join(line for line in lines if not line.startswith("ok ")), "")
        self.assertEqual(len(lines), CASES)

    def test_one_bookie(self):
        with Cluster(1) as cluster:
            self.cases(cluster)

    def test_three_bookies_of_which_one_dies(self):
        with Cluster(3) as cluster:
            self.cases(cluster)


if __name__ == "__main__":
    unittest.main()
