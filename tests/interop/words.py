"""What operators ask a metadata server: four-letter words and the AdminServer, and the form of what
they are told. `form` leaves of a text what does not depend on the day and the server."""

import json
import re
import urllib.request

from tests.interop.servers import Ensemble, free_ports, word

# What monitoring systems read; the reference prints many more, which are about its own insides.
MONITORED = (
    "version", "server_state", "avg_latency", "min_latency", "max_latency", "packets_received",
    "packets_sent", "num_alive_connections", "connection_rejected", "outstanding_requests",
    "znode_count", "watch_count", "ephemerals_count", "approximate_data_size", "global_sessions",
    "local_sessions", "stale_sessions_expired", "auth_failed_count", "throttled_ops",
    "watch_bytes", "uptime",
)
OF_A_LEADER = (
    "learners", "synced_followers", "synced_non_voting_followers", "synced_observers",
    "pending_syncs", "last_proposal_size", "min_proposal_size", "max_proposal_size",
)
OF_A_MEMBER = ("peer_state", "quorum_size")


def form(text):
    """Numbers become N, numbers in hex X, addresses A, versions V."""
    text = re.sub(r"version: .*|(?<=version[=\t]).*built on.*", "V", text)
    text = re.sub(r"/127\.0\.0\.1:\d+", "A", text)
    text = re.sub(r"0x[0-9a-f]+", "X", text)
    return re.sub(r"-?\d+(\.\d+)?", "N", text)


def shape(value):
    """The types of a JSON value; what is in lists and under keys that are ids counts once."""
    if isinstance(value, dict):
        return {re.sub(r"^-?\d+$", "ID", key): shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) \
        else type(value).__name__


class Operated:
    """An ensemble with an AdminServer on each member."""

    def __init__(self, kind, count=1):
        self.ensemble = Ensemble(kind, count, start=False)
        self.ports = free_ports(count)
        for server, port in zip(self.ensemble.servers, self.ports):
            config = server.folder / "zoo.cfg"
            lines = [line for line in config.read_text().splitlines() if "admin." not in line]
            lines += ["admin.serverAddress=127.0.0.1", f"admin.serverPort={port}"]
            config.write_text("\n".join(lines) + "\n")
        self.ensemble.start()

    def word(self, name, index=0):
        return word(self.ensemble.servers[index].port, name)

    def monitored(self, index=0):
        lines = self.word("mntr", index).splitlines()
        return dict(line.removeprefix("zk_").split("\t", 1) for line in lines)

    def fetch(self, path, index=0):
        url = f"http://127.0.0.1:{self.ports[index]}/commands{path}"
        with urllib.request.urlopen(url, timeout=20) as reply:
            return reply.headers["Content-Type"], reply.read().decode()

    def command(self, name, index=0):
        kind, text = self.fetch(f"/{name}", index)
        assert kind.startswith("application/json"), kind
        return json.loads(text)

    def close(self):
        self.ensemble.close()
