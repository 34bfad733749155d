"""Apache ZooKeeper's Java client and Apache Curator against one metadata server, and against three of
which leaders die under it. The cases are in java/; each group of them runs in a JVM of its own and
prints a line for each case.
"""

import re
import shutil
import subprocess
import tempfile
import threading
import unittest

from tests.interop.servers import JAVA_SHORT, ROOT, Ensemble, jars

SOURCES = ROOT / "tests/interop/java"
OLDER = "3.8.4"  # of the client
GROUP_TIMEOUT_S = 300
CLASSES = None


def setUpModule():
    global CLASSES
    if not shutil.which("javac") or not shutil.which("mvn"):
        raise unittest.SkipTest("there is no javac, or no mvn")
    folder = tempfile.TemporaryDirectory(prefix="java-")
    unittest.addModuleCleanup(folder.cleanup)
    CLASSES = folder.name
    subprocess.run(["javac", "-nowarn", "--release", "17", "-cp", jars(), "-d", CLASSES,
                    *map(str, sorted(SOURCES.glob("*.java")))], check=True)


def names_in(source):
    return re.findall(r'\.test\("([^"]+)"', (SOURCES / source).read_text())


class Group:
    """The cases of one Java file; `run_group` is called once, by whichever test is first."""

    count = 1
    options = None
    version = None
    group = None

    @classmethod
    def setUpClass(cls):
        cls.results = None
        cls.ensemble = Ensemble(count=cls.count, options=cls.options)
        cls.addClassCleanup(cls.ensemble.close)

    @classmethod
    def run_group(cls):
        command = ["java", *JAVA_SHORT, "-cp", f"{CLASSES}:{jars(cls.version)}", "Cases",
                   cls.ensemble.hosts, cls.group]
        cls.results, cls.lines = {}, []
        with tempfile.TemporaryFile() as complaints, \
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=complaints, text=True) as process:
            overdue = threading.Timer(GROUP_TIMEOUT_S, process.kill)
            overdue.start()
            for line in process.stdout:
                cls.heard(process, line.strip())
            overdue.cancel()
            complaints.seek(0)
            cls.lines += complaints.read().decode(errors="replace").splitlines()

    @classmethod
    def heard(cls, process, line):
        cls.lines.append(line)
        if line.startswith("ask "):
            getattr(cls, line.split()[1].replace("-", "_"))()
            process.stdin.write("done\n")
            process.stdin.flush()
        elif match := re.match(r"(ok|not ok) ([^:]+)(?:: (.*))?$", line):
            cls.results[match[2]] = match[1] if match[1] == "ok" else match[3]

    @classmethod
    def kill_leader(cls):
        cls.ensemble.kill(cls.ensemble.leader())
        if cls.count == 1:
            cls.restart()

    @classmethod
    def restart(cls):
        for server in cls.ensemble.servers:
            if server.process is None:
                cls.ensemble.start_one(server.index)
        cls.ensemble.wait_serving()

    def case(self, name):
        if self.results is None:
            self.run_group()
        self.assertEqual(self.results.get(name, self.lines[-9:]), "ok")


def case_test(name):
    return lambda self: self.case(name)


def group(source, **attributes):
    """A test class with a test for each case that the Java file names."""
    tests = {"test_" + re.sub(r"\W+", "_", name): case_test(name) for name in names_in(source)}
    assert tests, source
    return type("Cases", (Group, unittest.TestCase),
                attributes | tests | {"group": source.removesuffix("Cases.java").lower()})


# ZooKeeper looks at lifetimes and empty containers every minute unless told otherwise.
QUICK = {"znode.container.checkIntervalMs": 500}


class OneServerPlainTest(group("PlainCases.java", options=QUICK)):
    pass


class ThreeServersPlainTest(group("PlainCases.java", count=3, options=QUICK)):
    pass


class ThreeServersOlderClientTest(group("PlainCases.java", count=3, options=QUICK, version=OLDER)):
    pass


class OneServerShellTest(group("ShellCases.java")):
    pass


class OneServerRecipesTest(group("RecipeCases.java")):
    pass


class ThreeServersRecipesTest(group("RecipeCases.java", count=3)):
    pass


class OneServerCachesTest(group("CacheCases.java", options=QUICK)):
    pass


class ThreeServersCachesTest(group("CacheCases.java", count=3, options=QUICK)):
    pass


class OneServerFailoverTest(group("FailoverCases.java")):
    """The one server is killed and starts again."""


class ThreeServersFailoverTest(group("FailoverCases.java", count=3)):
    pass


class ReconfigTest(group("ReconfigCases.java", count=3, options={"reconfigEnabled": "true"})):
    pass


if __name__ == "__main__":
    unittest.main()
