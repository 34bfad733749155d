"""Starts, stops and kills bookies, and what they need: a metadata server with a cluster's layout.

    with Cluster(3) as cluster:
        cluster.uri               # for BookKeeper's client
        cluster.kill(0); cluster.start(0)
"""

import signal
import subprocess
import tempfile
from pathlib import Path

from tests.interop.servers import START_TIMEOUT_S, Ensemble, fetch_jars, free_ports, program

POM = Path(__file__).resolve().parent / "java_bookkeeper/pom.xml"
READY = "geminga bookie is ready "


def bookkeeper_jars():
    return fetch_jars(POM, "bookkeeper-jars")


class Bookie:
    def __init__(self, folder, port, uri):
        self.folder, self.port, self.uri = folder, port, uri
        self.process = None
        self.facts = {}

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [program(), "bookie", f"--bookiePort={self.port}", "--advertisedAddress=127.0.0.1",
                 "--allowLoopback=true", f"--metadataServiceUri={self.uri}",
                 f"--journalDirectories={self.folder}/journal", "--httpServerEnabled=true",
                 f"--ledgerDirectories={self.folder}/ledgers", "--httpServerPort=0",
                 "--zkTimeout=4000", "--geminga.journalSegmentMB=4"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith(READY):
            raise RuntimeError(f"the bookie did not start:\n{self.log()}")
        self.facts = dict(word.split("=", 1) for word in line.removeprefix(READY).split())

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def end(self, number=signal.SIGKILL):
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(START_TIMEOUT_S)
        self.process.stdout.close()
        self.process = None


class Cluster:
    def __init__(self, count):
        self.own = tempfile.TemporaryDirectory(prefix="bookies-")
        self.meta = Ensemble(count=1)
        self.uri = f"zk+hierarchical://127.0.0.1:{self.meta.port}/ledgers"
        self.bookies = []
        try:
            subprocess.run([program(), "init", f"--metadataServiceUri={self.uri}"], check=True,
                           stdout=subprocess.DEVNULL)
            for index, port in enumerate(free_ports(count)):
                self.bookies.append(Bookie(Path(self.own.name) / str(index + 1), port, self.uri))
                self.bookies[-1].start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def kill(self, index):
        self.bookies[index].end(signal.SIGKILL)

    def start(self, index):
        self.bookies[index].start()

    def close(self):
        for bookie in self.bookies:
            bookie.end()
        self.meta.close()
        self.own.cleanup()
