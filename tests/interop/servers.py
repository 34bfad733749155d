"""Starts, stops and kills metadata servers: Apache ZooKeeper (the reference) or geminga, one node or
several, from the same zoo.cfg lines and behind one interface.

    with Ensemble("geminga", count=3) as ensemble:
        ensemble.hosts            # "127.0.0.1:2181,127.0.0.1:2182,..." of ports that were free
        ensemble.kill(ensemble.leader())

The kind under test is $META_SERVER, geminga if unset; its binary is $GEMINGA. The jars of Apache
ZooKeeper come through Maven into build/interop/jars; java/pom.xml names them.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
POM = Path(__file__).resolve().parent / "java/pom.xml"
WORK = ROOT / "build/interop"
MAVEN_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="  # super:test
START_TIMEOUT_S = 60
WORD_TIMEOUT_S = 5
POLL_S = 0.02
# Options every test wants; `options` of an ensemble overrides them, None removes one.
COMMON = {
    "tickTime": 500,
    "initLimit": 20,
    "syncLimit": 10,
    "minSessionTimeout": 1000,
    "maxSessionTimeout": 60000,
    "maxClientCnxns": 0,
    "4lw.commands.whitelist": "*",
    "extendedTypesEnabled": "true",
    "admin.enableServer": "false",
    "DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
}
# A short-lived server: small heap, one collector thread, the quick compiler only.
JAVA_SHORT = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")


def kind_under_test():
    return os.environ.get("META_SERVER", "geminga")


def program():
    return os.environ.get("GEMINGA", str(ROOT / "build/geminga"))


def fetch_jars(pom, name, *options):
    """The class path of what a pom names, fetched anew only when that changes."""
    folder, stamp = WORK / name, WORK / f"{name}.sha256"
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(["mvn", "-q", "-B", "-f", str(pom), *options,
                        f"{MAVEN_PLUGIN}:copy-dependencies", f"-DoutputDirectory={folder}"],
                       check=True, stdin=subprocess.DEVNULL)
        stamp.write_text(digest)
    return f"{folder}/*"


def jars(version=None):
    """Apache ZooKeeper and Curator; with a version, that of another ZooKeeper."""
    options = [f"-Dzookeeper.version={version}"] if version else []
    return fetch_jars(POM, f"jars-{version}" if version else "jars", *options)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def word(port, name, timeout=WORD_TIMEOUT_S):
    """The answer to a four-letter word; empty while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
            sock.sendall(name.encode())
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
            return answer.decode()
    except OSError:
        return ""


def mode_of(port):
    """'standalone', 'leader', 'follower', or None while the server does not serve."""
    for line in word(port, "srvr").splitlines():
        if line.startswith("Mode: "):
            return line.removeprefix("Mode: ")
    return None


def wait_until(what, condition, timeout=START_TIMEOUT_S):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(POLL_S)
    return value


class Server:
    def __init__(self, ensemble, index, folder, port):
        self.ensemble, self.index, self.port = ensemble, index, port
        self.folder = folder
        self.process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def configure(self, lines):
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        (self.folder / "data/myid").write_text(f"{self.index + 1}\n")
        text = "".join(f"{line}\n" for line in lines)
        (self.folder / "zoo.cfg").write_text(text)

    def command(self):
        config = str(self.folder / "zoo.cfg")
        if self.ensemble.kind == "geminga":
            return [program(), "meta", "--config", config]
        return ["java", *self.ensemble.java, "-Dzookeeper.jmx.log4j.disable=true",
                *(f"-D{key}={value}" for key, value in self.ensemble.values.items()
                  if key.startswith("znode.")),  # the reference reads these nowhere else
                "-cp", jars(), "org.apache.zookeeper.server.quorum.QuorumPeerMain", config]

    def start(self):
        assert self.process is None
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)

    def end(self, number):
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None

    def mode(self):
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"{self.ensemble.kind} {self.index} ended with "
                               f"{self.process.returncode}:\n{self.log()}")
        return mode_of(self.port)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def rss(self):
        """Resident memory in bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) << 10
        raise RuntimeError("no VmRSS")


class Ensemble:
    def __init__(self, kind=None, count=1, options=None, java=JAVA_SHORT, force_sync=False,
                 parent=None, start=True):
        self.kind = kind or kind_under_test()
        self.java = java
        self.own = tempfile.TemporaryDirectory(prefix="meta-", dir=parent)
        self.folder = Path(self.own.name)
        ports = free_ports(count * 3)
        self.servers = [Server(self, i, self.folder / str(i + 1), ports[i]) for i in range(count)]
        self.values = values = COMMON | {"forceSync": "yes" if force_sync else "no"} | (options or {})
        lines = [f"{key}={value}" for key, value in values.items() if value is not None]
        if count > 1:
            lines += [f"server.{i + 1}=127.0.0.1:{ports[count + i]}:{ports[2 * count + i]}"
                      for i in range(count)]
        for server in self.servers:
            server.configure(lines + [f"dataDir={server.folder}/data", f"clientPort={server.port}",
                                      "clientPortAddress=127.0.0.1"])
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def hosts(self):
        return ",".join(server.address for server in self.servers)

    @property
    def port(self):
        return self.servers[0].port

    def start(self):
        try:
            for server in self.servers:
                server.start()
            self.wait_serving()
        except BaseException:
            self.close()
            raise

    def start_one(self, index):
        self.servers[index].start()

    def stop(self, index):
        self.servers[index].end(signal.SIGTERM)

    def kill(self, index):
        self.servers[index].end(signal.SIGKILL)

    def running(self):
        return [server for server in self.servers if server.process is not None]

    def wait_serving(self):
        """Until every running server serves clients, and so there is a leader."""
        for server in self.running():
            wait_until(f"{self.kind} {server.index} serves clients", server.mode)

    def leader(self):
        """The index of the leader; waits for one."""
        def find():
            for server in self.running():
                if server.mode() in ("leader", "standalone"):
                    return (server.index,)
            return None
        return wait_until("a leader", find)[0]

    def close(self):
        for server in self.running():
            server.end(signal.SIGKILL)
        self.own.cleanup()
