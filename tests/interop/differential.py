"""Plays one history against two servers in lockstep and compares all that comes back: replies and
their order, error codes, bodies, Stats, events and where they stand among the replies. zxids and
session ids are compared by a one-to-one correspondence, zxids also by order; times are not.
"""

import os
import struct

from tests.interop import jute
from tests.interop.history import Attach, History, Renew, Send
from tests.interop.jute import Closed, Event, Handshake, Reply, Session, Silent, Stat, Time, Zxid

DIFFERENCES_MAX = 20
PING_ONLY = [(jute.XID_PING, jute.PING)]
ENDING = (-6, -115)  # an unknown request, a refused authentication
UNORDERED = (jute.GET_CHILDREN, jute.GET_CHILDREN2, jute.GET_EPHEMERALS, jute.MULTI_READ,
             jute.GET_ACL)


class Correspondence:
    """Numbers of the reference and their counterparts on the other server."""

    def __init__(self, ordered):
        self.forward, self.backward = {0: 0, -1: -1}, {0: 0, -1: -1}
        self.ordered = ordered

    def agree(self, ours, theirs):
        return (self.forward.setdefault(ours, theirs) == theirs
                and self.backward.setdefault(theirs, ours) == ours)

    def in_order(self):
        pairs = sorted(self.forward.items())
        return not self.ordered or all(one[1] < two[1] for one, two in zip(pairs, pairs[1:]))


class Peer:
    """One server, with the same number of connections as the other one has."""

    def __init__(self, port, connections):
        self.port = port
        self.connections = [None] * connections
        self.sessions = [None] * connections
        self.newest = [0] * connections  # zxid of the last reply

    def open(self, at, **hello):
        if self.connections[at]:
            self.connections[at].close()
        self.connections[at] = jute.Connection(self.port)
        answer = self.connections[at].hello(**hello)
        if isinstance(answer, Closed) or answer.timeout == 0:
            self.connections[at].close()
            self.connections[at] = None
        else:
            self.sessions[at] = (answer.session, answer.password)
        return answer

    def attach(self, at, how):
        session, password = self.sessions[at]
        zxid = self.newest[at]
        if how == "password":
            password = bytes(16)
        elif how == "stranger":
            session = session ^ 0x5A5A
        elif how == "ahead":
            zxid += 1 << 40
        return self.open(at, session=session, password=password, zxid=zxid,
                         read_only=None if how == "short" else False)

    def send(self, at, operations):
        data = b""
        for xid, kind, values in operations:
            record = values if isinstance(values, bytes) else jute.pack_operation(kind, values)
            data += jute.frame(struct.pack(">ii", xid, kind) + record)
        self.connections[at].send(data)

    def receive(self, at, kinds):
        """What comes until each of these requests (xid and kind) is answered, or the connection
        ends."""
        heard, left, by_xid = [], len(kinds), dict(kinds)
        while left:
            try:
                payload = self.connections[at].receive()
            except TimeoutError:
                return heard + [self.drop(at, Silent())]
            if payload is None:
                return heard + [self.drop(at, Closed())]
            if struct.unpack_from(">i", payload)[0] == jute.XID_EVENT:
                heard.append(jute.decode_event(payload))
            else:
                heard.append(jute.decode(payload, by_xid.get(struct.unpack_from(">i", payload)[0])))
                left -= 1
                self.newest[at] = max(self.newest[at], heard[-1].zxid)
        return heard

    def drop(self, at, why):
        self.connections[at].close()
        self.connections[at] = None
        return why

    def close(self):
        for connection in self.connections:
            if connection:
                connection.close()


class Differential:
    """`known(step, operation, reference, other)` names the rule by which two unequal answers are
    nevertheless as they should be, or is None."""

    def __init__(self, reference_port, other_port, seed, known, connections=4):
        self.history = History(seed, connections)
        self.peers = [Peer(reference_port, connections), Peer(other_port, connections)]
        self.zxids, self.sessions = Correspondence(True), Correspondence(False)
        self.known, self.used = known, {}
        self.differences = []
        self.operations = self.replies = self.events = 0
        self.count = connections

    def run(self, operations, differences_max=DIFFERENCES_MAX):
        for at in range(self.count):
            self.play(Renew(at, 40000, False))
        while self.operations < operations and len(self.differences) < differences_max:
            self.play(self.history.step())
        if not self.zxids.in_order():
            self.differences.append("zxids are not in the same order on both servers")
        for peer in self.peers:
            peer.close()

    def play(self, step):
        if isinstance(step, Send):
            if not self.peers[0].connections[step.connection]:
                return
            self.send(step)
        else:
            self.operations += 1
            if isinstance(step, Renew):
                answers = [peer.open(step.connection, timeout=step.timeout,
                                     read_only=step.read_only) for peer in self.peers]
            else:
                answers = [peer.attach(step.connection, step.how) for peer in self.peers]
            self.compare(step, None, [[answer] for answer in answers])
        self.settle(step)

    def send(self, step):
        self.operations += len(step.operations)
        kinds = [(xid, kind) for xid, kind, _ in step.operations]
        for peer, translate in zip(self.peers, (lambda zxid: zxid, self.counterpart)):
            peer.send(step.connection, [self.translated(op, translate) for op in step.operations])
        heard = [peer.receive(step.connection, kinds) for peer in self.peers]
        for peer, items in zip(self.peers, heard):
            if peer.connections[step.connection] and ends_the_connection(kinds[-1][1], items[-1]):
                items += peer.receive(step.connection, [(0, None)])
        self.history.learn(heard[0])
        self.compare(step, None, heard, kinds)

    def counterpart(self, zxid):
        return self.zxids.forward.get(zxid, zxid)

    def translated(self, operation, translate):
        xid, kind, values = operation
        if kind in (jute.SET_WATCHES, jute.SET_WATCHES2) and not isinstance(values, bytes):
            values = (translate(values[0]), *values[1:])
        return (xid, kind, values)

    def settle(self, step):
        """All other connections say what they have heard of this step: what was queued before a
        ping comes before its answer."""
        for at in range(self.count):
            if not all(peer.connections[at] for peer in self.peers):
                if self.peers[0].sessions[at]:
                    self.revive(step, at)
                continue
            for peer in self.peers:
                peer.send(at, [(jute.XID_PING, jute.PING, ())])
            heard = [peer.receive(at, PING_ONLY) for peer in self.peers]
            self.compare(step, f"connection {at}", heard, PING_ONLY)

    def revive(self, step, at):
        open_here = [bool(peer.connections[at]) for peer in self.peers]
        if open_here[0] != open_here[1]:
            self.differ(step, f"connection {at}", f"open: {open_here[0]}", f"open: {open_here[1]}")
        answers = [peer.attach(at, "good") for peer in self.peers]
        self.compare(step, f"attach {at}", [[answer] for answer in answers])
        if not all(peer.connections[at] for peer in self.peers):
            answers = [peer.open(at) for peer in self.peers]
            self.compare(step, f"renew {at}", [[answer] for answer in answers])

    def compare(self, step, what, heard, kinds=()):
        ours, theirs = heard
        if self.closes_a_session(step):
            ours, theirs = by_path(ours), by_path(theirs)
        self.events += sum(isinstance(item, Event) for item in ours)
        self.replies += sum(isinstance(item, Reply) for item in ours)
        if len(ours) != len(theirs):
            self.differ(step, what, ours, theirs)
            return
        by_xid = dict(kinds)
        for one, other in zip(ours, theirs):
            kind = by_xid.get(one.xid) if isinstance(one, Reply) else None
            if not self.same_item(one, other, kind) and self.differ(step, what, one, other, kind):
                return  # what follows is likely to differ for the same reason

    def closes_a_session(self, step):
        return isinstance(step, Send) and step.operations[-1][1] == jute.CLOSE

    def differ(self, step, what, one, other, kind=None):
        """Whether there is no rule for this difference."""
        rule = self.known(step, kind, one, other)
        if rule:
            self.used[rule] = self.used.get(rule, 0) + 1
            return False
        if isinstance(step, Send) and isinstance(one, Reply):
            step = [op for op in step.operations if op[0] == one.xid] or step
        self.differences.append(f"after {self.operations} operations: {what if what else ''} {step}"
                                f"\n    reference: {one}\n    other:     {other}")
        return True

    def same_item(self, one, other, kind):
        if type(one) is not type(other):
            return False
        if isinstance(one, Handshake):
            return (one.timeout == other.timeout and one.tail == other.tail
                    and len(one.password) == len(other.password)
                    and self.sessions.agree(one.session, other.session))
        if not isinstance(one, Reply):
            return self.same(one, other)
        if (one.xid, one.err) != (other.xid, other.err):
            return False
        if not self.same_zxid(one, other, kind):
            return False
        if one.err:
            return True  # clients look at no body then
        if kind == jute.MULTI_READ:
            return self.same(list(map(sorted_part, one.body)), list(map(sorted_part, other.body)))
        if kind == jute.WHO and not one.err:  # a set
            return [sorted(part) for part in one.body] == [sorted(part) for part in other.body]
        if kind in UNORDERED and not one.err:
            return self.same(sorted_names(one.body), sorted_names(other.body))
        return self.same(one.body, other.body)

    def same_zxid(self, one, other, kind):
        """The zxid of a write is its own; a read or a refusal carries the newest there is, and that
        counts also what only one of the two servers numbers."""
        if min(one.zxid, other.zxid) <= 0:
            return one.zxid == other.zxid
        failed = one.err or (kind == jute.MULTI and any(part[:1] == (-1,) and part[1]
                                                        for part in one.body[:-1]))
        if kind in jute.WRITES and not failed and one.body != [(-1, -1)]:
            return self.zxids.agree(one.zxid, other.zxid)
        return True

    def same(self, one, other):
        if type(one) is not type(other):
            return False
        if isinstance(one, Zxid):
            return self.zxids.agree(one, other)
        if isinstance(one, Session):
            return self.sessions.agree(one, other)
        if isinstance(one, Time):
            return (one > 0) == (other > 0)
        if isinstance(one, Stat) and (one.mtime > one.ctime and other.mtime < other.ctime):
            return False
        if isinstance(one, (tuple, list)):
            return len(one) == len(other) and all(map(self.same, one, other))
        return one == other

    def report(self):
        rules = "".join(f"\n    {count} times: {rule}" for rule, count in self.used.items())
        return (f"{self.operations} operations, {self.replies} replies, {self.events} events, "
                f"{len(self.zxids.forward)} zxids{rules}")


def ends_the_connection(kind, answer):
    return kind == jute.CLOSE or (isinstance(answer, Reply) and answer.err in ENDING)


def by_path(items):
    """A session's ephemeral nodes go in any order, so their events are sorted, standing together."""
    events = sorted((item for item in items if isinstance(item, Event)), key=lambda e: e[:3])
    return events + [item for item in items if not isinstance(item, Event)]


def sorted_part(part):
    return (*part[:2], sorted(part[2])) if part[0] == jute.GET_CHILDREN else part


def sorted_names(body):
    """A body, or the results of a multiRead, with children and the like in one order."""
    return tuple(sorted(part) if is_set(part) else sorted_names(part)
                 if type(part) is tuple else part for part in body)


def is_set(part):
    """Names of children, or ACL entries: those of the scheme `auth` expand in any order."""
    return isinstance(part, list) and all(isinstance(item, (str, tuple)) for item in part)


def seed_and_count():
    return (int(os.environ.get("META_SEED", "1")), int(os.environ.get("META_OPERATIONS", "10000")))
