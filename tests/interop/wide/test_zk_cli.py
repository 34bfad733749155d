"""`geminga zk`, and with it the client of the metadata tier, against geminga and against Apache
ZooKeeper: one server of each kind, and three geminga of which the leader dies."""

import json
import subprocess
import threading
import unittest
import uuid
from queue import Queue

from tests.interop.jute import CREATE, DELETE, SET_DATA, Client
from tests.interop.history import OPEN
from tests.interop.servers import Ensemble, kind_under_test, program, wait_until

DEADLINE_S = 60
BOB = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="
STAT = ["cZxid", "ctime", "mZxid", "mtime", "pZxid", "cversion", "dataVersion", "aclVersion",
        "ephemeralOwner", "dataLength", "numChildren"]


class Base:
    kind, count = None, 1

    @classmethod
    def setUpClass(cls):
        cls.ensemble = Ensemble(cls.kind or kind_under_test(), cls.count)
        cls.addClassCleanup(cls.ensemble.close)

    def setUp(self):
        self.root = f"/t-{uuid.uuid4().hex}"
        self.says(f"create {self.root}", self.root)

    def at(self, name):
        return f"{self.root}/{name}"

    def run_zk(self, *arguments, text=None, flags=()):
        command = [program(), "zk", f"--server={self.ensemble.hosts}", *flags, *arguments]
        return subprocess.run(command, input=text or "", capture_output=True, text=True,
                              timeout=DEADLINE_S)

    def zk(self, line, **options):
        done = self.run_zk(*line.split(" "), **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), line)
        return done.stdout

    def says(self, line, *lines):
        self.assertEqual(self.zk(line).splitlines(), list(lines))

    def refused(self, line, code, **options):
        done = self.run_zk(*line.split(" "), **options)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertIn(f"({code})", done.stderr)

    def json(self, line):
        return [json.loads(text) for text in self.zk(line, flags=["--json"]).splitlines()]


class Commands(Base):
    def test_a_node_is_made_read_changed_and_removed(self):
        self.says(f"create {self.at('a')} one", self.at("a"))
        self.says(f"get {self.at('a')}", "one")
        self.says(f"set {self.at('a')} two!")
        self.says(f"get {self.at('a')}", "two!")
        self.says(f"ls {self.root}", "a")
        self.says(f"rm -v 1 {self.at('a')}")
        self.says(f"ls {self.root}")

    def test_every_kind_of_node_can_be_made(self):
        self.says(f"create -s {self.at('s-')} x", self.at("s-0000000000"))
        self.says(f"create -c {self.at('c')}", self.at("c"))
        self.says(f"create -t 3600000 {self.at('t')}", self.at("t"))
        self.says(f"create -s -t 3600000 {self.at('t')}", self.at("t0000000003"))
        self.says(f"create -e {self.at('e')}", self.at("e"))  # and goes with the command
        wait_until("it is gone", lambda: "e" not in self.zk(f"ls {self.root}").split(), DEADLINE_S)
        self.assertEqual(sorted(self.zk(f"ls {self.root}").split()),
                         ["c", "s-0000000000", "t", "t0000000003"])

    def test_a_stat_has_the_lines_of_the_original(self):
        lines = self.zk(f"stat {self.root}").splitlines()
        self.assertEqual([line.split(" = ")[0] for line in lines], STAT)
        self.assertEqual(self.zk(f"get -s {self.root}").splitlines()[1:], lines)
        self.assertEqual(self.zk(f"ls -s {self.root}").splitlines(), lines)

    def test_refusals_have_their_own_codes(self):
        self.says(f"create {self.at('a')}", self.at("a"))
        self.refused(f"create {self.at('a')}", "NODEEXISTS")
        self.refused(f"create {self.at('x/y')}", "NONODE")
        self.refused(f"get {self.at('x')}", "NONODE")
        self.refused(f"stat {self.at('x')}", "NONODE")
        self.refused(f"rm {self.root}", "NOTEMPTY")
        self.refused(f"set -v 7 {self.root} x", "BADVERSION")

    def test_a_subtree_is_listed_and_removed(self):
        paths = [self.at("a"), self.at("b"), self.at("a/x"), self.at("a/x/y")]
        for path in paths:
            self.says(f"create {path}", path)
        self.assertEqual(sorted(self.zk(f"ls -R {self.root}").split()), sorted([self.root, *paths]))
        self.says(f"deleteall {self.root}")
        self.refused(f"stat {self.root}", "NONODE")

    def test_acls_are_shown_set_and_obeyed(self):
        self.says(f"getAcl {self.root}", "world:anyone:cdrwa")
        self.says(f"create {self.at('a')} x digest:{BOB}:cdrwa", self.at("a"))
        self.refused(f"get {self.at('a')}", "NOAUTH")
        bob = {"flags": ["--auth=digest:bob:pw"]}
        self.assertEqual(self.zk(f"get {self.at('a')}", **bob), "x\n")
        self.assertIn("digest: bob", self.zk("whoami", **bob))
        self.zk(f"setAcl {self.at('a')} world:anyone:r", **bob)
        self.says(f"get {self.at('a')}", "x")
        self.refused(f"set {self.at('a')} y", "NOAUTH")

    def test_json_says_the_same(self):
        self.says(f"create {self.at('a')} data", self.at("a"))
        answer, = self.json(f"get -s {self.at('a')}")
        self.assertEqual((answer["path"], answer["data"], answer["stat"]["dataLength"]),
                         (self.at("a"), "data", 4))
        answer, = self.json(f"ls {self.root}")
        self.assertEqual(answer["children"], ["a"])
        self.assertEqual(self.json(f"sync {self.root}"), [{"synced": self.root}])

    def test_lines_from_stdin_share_a_session(self):
        text = f"create -e {self.at('e')} x\nget {self.at('e')}\nget {self.at('none')}\n" \
               f"stat {self.at('e')}\n"
        done = self.run_zk(text=text)
        self.assertEqual(done.returncode, 1)  # one of them failed
        self.assertEqual(done.stdout.splitlines()[:2], [self.at("e"), "x"])
        self.assertRegex(done.stdout, r"ephemeralOwner = 0x[0-9a-f]*[1-9a-f]")
        self.assertIn("(NONODE)", done.stderr)

    def test_a_root_of_its_own(self):
        done = subprocess.run([program(), "zk", f"--server={self.ensemble.hosts}{self.root}",
                               "create", "/a"], capture_output=True, text=True, timeout=DEADLINE_S)
        self.assertEqual(done.stdout, "/a\n")
        self.says(f"ls {self.root}", "a")

    def test_large_data_and_many_children(self):
        large = "x" * 100_000
        self.says(f"set {self.root} {large}")
        self.says(f"get {self.root}", large)
        lines = "".join(f"create {self.at(f'child-with-a-name-{i:05}')}\n" for i in range(3000))
        self.assertEqual(self.run_zk(text=lines).returncode, 0)
        self.assertEqual(len(self.zk(f"ls {self.root}").split()), 3000)


class Watching(Base):
    """Changes come from a client that is not ours."""

    def watch(self, *arguments):
        process = subprocess.Popen([program(), "zk", f"--server={self.ensemble.hosts}", "watch",
                                    *arguments], stdout=subprocess.PIPE, text=True,
                                   stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        lines = Queue()

        def read():
            for line in process.stdout:
                lines.put(line.rstrip("\n"))
        reader = threading.Thread(target=read, daemon=True)
        reader.start()

        def stop():
            process.terminate()
            self.assertEqual(process.wait(DEADLINE_S), 0)
            reader.join(DEADLINE_S)
            process.stdout.close()
        self.addCleanup(stop)
        return lines

    def other(self, index=0):
        client = Client(self.ensemble.running()[index].port)
        self.addCleanup(client.connection.close)
        return client

    def wait_watched(self, client, lines):
        """Until a change is told: the watch is set some time after the command has begun."""
        def told():
            client.call(SET_DATA, self.root, b"", -1)
            return not lines.empty()
        wait_until("the watch is set", told, DEADLINE_S)

    def expect(self, lines, *wanted):
        """These, behind what is left of waiting for the watch."""
        first = f"NodeDataChanged {self.root}"
        for want in wanted:
            while (line := lines.get(timeout=DEADLINE_S)) == first != want:
                continue
            self.assertEqual(line, want)

    def test_a_watch_tells_of_changes_until_it_is_interrupted(self):
        lines, client = self.watch(self.root), self.other()
        self.wait_watched(client, lines)
        client.call(CREATE, self.at("a"), b"", OPEN, 0)
        self.expect(lines, f"NodeChildrenChanged {self.root}")
        client.call(DELETE, self.at("a"), -1)
        self.expect(lines, f"NodeChildrenChanged {self.root}")

    def test_a_recursive_watch_tells_of_the_whole_tree(self):
        lines, client = self.watch("-R", self.root), self.other()
        self.wait_watched(client, lines)
        client.call(CREATE, self.at("a"), b"", OPEN, 0)
        client.call(CREATE, self.at("a/b"), b"", OPEN, 0)
        client.call(SET_DATA, self.at("a/b"), b"", -1)
        client.call(DELETE, self.at("a/b"), -1)
        self.expect(lines, f"NodeCreated {self.at('a')}", f"NodeCreated {self.at('a/b')}",
                    f"NodeDataChanged {self.at('a/b')}", f"NodeDeleted {self.at('a/b')}")


class OnGemingaTest(Commands, Watching, unittest.TestCase):
    pass


class OnZooKeeperTest(Commands, Watching, unittest.TestCase):
    kind = "zookeeper"


class OnThreeTest(Watching, unittest.TestCase):
    count = 3

    def restart(self):
        for server in self.ensemble.servers:
            if server.process is None:
                self.ensemble.start_one(server.index)
        self.ensemble.wait_serving()

    def test_a_watch_goes_on_under_the_next_leader(self):
        self.addCleanup(self.restart)
        lines = self.watch("-R", self.root)
        self.wait_watched(self.other(), lines)
        self.ensemble.kill(self.ensemble.leader())
        self.ensemble.wait_serving()
        client = self.other()
        path = self.at("after")
        wait_until("it is made", lambda: self.made(client, path), DEADLINE_S)

        def told():
            client.call(SET_DATA, path, b"", -1)
            seen = []
            while not lines.empty():
                seen.append(lines.get())
            return f"NodeDataChanged {path}" in seen
        wait_until("it is told", told, DEADLINE_S)

    def made(self, client, path):
        return client.call(CREATE, path, b"", OPEN, 0).err in (0, -110)

    def test_commands_go_on_while_leaders_die(self):
        self.addCleanup(self.restart)
        lines = [f"create {self.at(f'n{i}')}" for i in range(100)]
        for part in (0, 50):
            self.ensemble.kill(self.ensemble.leader())
            for line in lines[part:part + 50:10]:
                self.says(line, line.split()[1])
            self.restart()
        self.assertEqual(len(self.zk(f"ls {self.root}").split()), 10)


if __name__ == "__main__":
    unittest.main()
