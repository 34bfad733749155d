"""A random history of operations on several sessions, from a seed. The choice depends on the seed and
on the reference's answers only (names of sequential nodes, zxids), so a run can be repeated.

A step is what happens next: Send (requests in one piece on one connection), Attach (the connection
breaks off and comes back to its session) or Renew (a new session).
"""

import random
from typing import NamedTuple

from tests.interop import jute
from tests.interop.jute import (ADD_WATCH, ALL_CHILDREN, AUTH, CHECK, CHECK_WATCHES, CLOSE, CREATE,
                                CREATE2, CREATE_CONTAINER, CREATE_TTL, DELETE, EXISTS, GET_ACL,
                                GET_CHILDREN, GET_CHILDREN2, GET_DATA, GET_EPHEMERALS, MULTI,
                                MULTI_READ, PING, RECONFIG, REMOVE_WATCHES, SASL, SET_ACL, SET_DATA,
                                SET_WATCHES, SET_WATCHES2, SYNC, WHO)

NAMES = ("a", "b", "c", "d")
OPEN = [(31, "world", "anyone")]
BOB = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="
ACLS = (
    [(1, "world", "anyone")],
    [(1, "world", "anyone"), (31, "digest", BOB)],
    [(31, "digest", BOB), (1, "digest", BOB)],
    [(31, "auth", "")],
    [(31, "auth", "whoever"), (1, "world", "anyone"), (1, "world", "anyone")],
    [(31, "ip", "127.0.0.1")],
    [(15, "ip", "127.0.0.0/8"), (16, "digest", BOB)],
    [(31, "ip", "10.0.0.1"), (16, "world", "anyone")],
    [(29, "world", "anyone")],
    [(27, "world", "anyone"), (4, "digest", BOB)],
)
BAD_ACLS = (
    [], None, [(31, "nobody", "x")], [(31, "digest", "no-colon")], [(31, "digest", "a:b:c")],
    [(31, "world", "somebody")], [(31, "ip", "300.1.1.1")], [(31, "ip", "10.0.0.0/99")],
    [(31, None, "anyone")], [(31, "world", None)], [(31, "", "")],
)
BAD_PATHS = (
    None, "", "a", "//", "/a/", "/a//b", "/a/./b", "/a/../b", "/.", "/..", "/a\0b", "/a\x01",
    "/a\x7f", "/\ud800", "/\ue000x", "/\ufff0", "/x//y", "/zookeeper/", "/\U0001f600",
    "relative/path", "/a/b/", " ", "/\ufffd",
)
BUILT_IN = ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/x")
ODD_PATHS = ("/.x", "/...", "/a b", "/\u00e9", "/\u4e2d", "/a\u200b")
QUOTAS = ("count=3,bytes=100", "count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=2", "nonsense")
UNKNOWN_KINDS = (0, 10, 99, 108, 500, 2**31 - 1, -1, -12)
CREATES = (CREATE, CREATE2)
LAST_TTL = 2**40 - 1


class Send(NamedTuple):
    connection: int
    operations: list  # (xid, kind, values) or (xid, kind, bytes of the record)


class Attach(NamedTuple):
    connection: int
    how: str   # "good", "password", "stranger", "ahead", "short"


class Renew(NamedTuple):
    connection: int
    timeout: int
    read_only: object


class History:
    def __init__(self, seed, connections=4):
        self.random = random.Random(seed)
        self.connections = connections
        self.xids = [0] * connections
        self.made = []    # names of sequential nodes, newest last
        self.zxids = [0]  # of the reference; the comparison knows their counterparts

    def learn(self, replies):
        """Takes note of the reference's answers."""
        for reply in replies:
            if not isinstance(reply, jute.Reply) or reply.err or not reply.body:
                continue
            first = reply.body[0]
            if isinstance(first, str) and first[-10:].isdigit():
                self.made = (self.made + [first])[-12:]
            for value in reply.body:
                if isinstance(value, jute.Stat):
                    self.zxids = (self.zxids + [value.mzxid])[-200:]

    def step(self):
        chance = self.random.random()
        at = self.random.randrange(self.connections)
        if chance < 0.012:
            return Attach(at, self.random.choice(("good",) * 6 + ("password", "stranger", "ahead",
                                                                  "short")))
        if chance < 0.018:
            return Renew(at, self.random.choice((-1, 0, 1, 1900000, 2**31 - 1)),
                         self.random.choice((None, False, True)))
        if chance < 0.024:
            return Send(at, [self.numbered(at, *self.last_words())])
        count = 1 if chance < 0.8 else self.random.randrange(2, 12)
        if count == 1 and chance < 0.06:
            return Send(at, [self.numbered(at, *self.authentication())])
        return Send(at, [self.numbered(at, *self.operation()) for _ in range(count)])

    def numbered(self, at, kind, values):
        if kind == AUTH:
            return (jute.XID_AUTH, kind, values)
        if kind == PING:
            return (jute.XID_PING, kind, values)
        self.xids[at] += 1
        return (self.xids[at], kind, values)

    def last_words(self):
        """What ends a connection, or has no reply but the end."""
        choice = self.random.random()
        if choice < 0.6:
            return (CLOSE, ())
        if choice < 0.8:
            return (self.random.choice(UNKNOWN_KINDS), b"")
        if choice < 0.9:
            return (CHECK, (self.path(), -1))
        return (AUTH, (0, self.random.choice(("nonesuch", "", "digest")), b"\xff"))

    def authentication(self):
        """Always alone: it is answered at reception, ahead of what is being worked on."""
        if self.random.random() < 0.1:
            return (SASL, (b"token",))
        scheme, secret = self.random.choice((("digest", b"bob:pw"),) * 4 + (
            ("digest", b"super:test"), ("digest", b"super:wrong"), ("digest", b"eve:"), ("ip", b""),
            ("digest", b"eve:x:y")))
        return (AUTH, (0, scheme, secret))

    def path(self):
        choice = self.random.random()
        if choice < 0.03:
            return self.random.choice(BAD_PATHS)
        if choice < 0.05:
            return self.random.choice(BUILT_IN)
        if choice < 0.06:
            return self.random.choice(ODD_PATHS)
        if choice < 0.12 and self.made:
            return self.random.choice(self.made)
        depth = self.random.choice((1, 1, 2, 2, 2, 3))
        return "".join("/" + self.random.choice(NAMES) for _ in range(depth))

    def watched(self):
        """Not the empty path: the reference reads the root there, but watches another node."""
        return self.path() or "/"

    def paths(self):
        return [self.watched() for _ in range(self.random.randrange(4))]

    def data(self):
        choice = self.random.random()
        if choice < 0.1:
            return None
        return self.random.randbytes(self.random.choice((0, 1, 8, 100)))

    def acl(self):
        choice = self.random.random()
        if choice < 0.86:
            return OPEN
        return self.random.choice(ACLS if choice < 0.97 else BAD_ACLS)

    def version(self):
        return self.random.choice((-1, -1, -1, -1, -1, -1, 0, 0, 1, 2, -2, 2**31 - 1))

    def watch(self):
        return self.random.random() < 0.4

    def create(self):
        kind = self.random.choice((CREATE,) * 4 + (CREATE2,) * 4 + (CREATE_CONTAINER, CREATE_TTL))
        flags = self.random.choice((0,) * 8 + (1, 1, 2, 3))
        if kind == CREATE_TTL:
            # A plain flag with a lifetime is not sent: the reference does not survive it.
            flags = self.random.choice((5, 6))
            ttl = self.random.choice((1, 3600000, LAST_TTL, LAST_TTL + 1, 0, -5))
            return (kind, (self.path(), self.data(), self.acl(), flags, ttl))
        if kind == CREATE_CONTAINER:
            flags = 4
        elif self.random.random() < 0.04:
            flags = self.random.choice((4, 5, 6, 7, -1, 100))
        return (kind, (self.path(), self.data(), self.acl(), flags))

    def quota(self):
        """Limits on a node, as the command-line tools set them."""
        node = self.random.choice(NAMES)
        top = f"/zookeeper/quota/{node}"
        limits, stats = f"{top}/zookeeper_limits", f"{top}/zookeeper_stats"
        return self.random.choice((
            (CREATE, (top, b"", OPEN, 0)),
            (CREATE, (limits, self.random.choice(QUOTAS).encode(), OPEN, 0)),
            (CREATE, (stats, b"count=0,bytes=0", OPEN, 0)),
            (GET_DATA, (stats, False)), (GET_DATA, (limits, False)),
            (DELETE, (self.random.choice((limits, stats, top)), -1)),
        ))

    def write(self):
        choice = self.random.random()
        if choice < 0.5:
            return self.create()
        if choice < 0.75:
            return (DELETE, (self.path(), self.version()))
        if choice < 0.95:
            return (SET_DATA, (self.path(), self.data(), self.version()))
        return (SET_ACL, (self.path(), self.acl(), self.version()))

    def transaction(self):
        parts = []
        for _ in range(self.random.choice((0, 1, 2, 2, 3, 3, 4, 6))):
            if self.random.random() < 0.25:
                parts.append((CHECK, (self.path(), self.version())))
            else:
                kind, values = self.write()
                if kind == SET_ACL and self.random.random() < 0.9:
                    kind, values = SET_DATA, (self.path(), self.data(), -1)
                parts.append((kind, values))
        return (MULTI, parts)

    def reads_at_once(self):
        parts = [(self.random.choice((GET_DATA, GET_CHILDREN)), (self.watched(), self.watch()))
                 for _ in range(self.random.randrange(5))]
        if self.random.random() < 0.05:
            parts.append((EXISTS, (self.path(), False)))
        return (MULTI_READ, parts)

    def read(self):
        kind = self.random.choice((EXISTS, EXISTS, GET_DATA, GET_DATA, GET_CHILDREN, GET_CHILDREN2,
                                   GET_ACL, ALL_CHILDREN, GET_EPHEMERALS, WHO, SYNC, PING))
        if kind in (EXISTS, GET_DATA, GET_CHILDREN, GET_CHILDREN2):
            return (kind, (self.watched(), self.watch()))
        return (kind, () if kind in (WHO, PING) else (self.path(),))

    def watching(self):
        choice = self.random.random()
        if choice < 0.4:
            return (ADD_WATCH, (self.watched(), self.random.choice((0, 0, 0, 1, 1, 1, 2, -1))))
        kind = REMOVE_WATCHES if choice < 0.7 else CHECK_WATCHES
        if choice < 0.9:
            return (kind, (self.path(), self.random.choice((1, 2, 3, 3, 4, 5, 0, 6, -1))))
        since = self.random.choice(self.zxids)
        if choice < 0.95:
            return (SET_WATCHES, (since, self.paths(), self.paths(), self.paths()))
        return (SET_WATCHES2, (since, *[self.paths() for _ in range(5)]))

    def operation(self):
        choice = self.random.random()
        if choice < 0.42:
            return self.write()
        if choice < 0.52:
            return self.transaction()
        if choice < 0.55:
            return self.reads_at_once()
        if choice < 0.85:
            return self.read()
        if choice < 0.97:
            return self.watching()
        if choice < 0.985:
            return self.quota()
        if choice < 0.99:
            return (RECONFIG, (None, "2", None, -1))
        return self.torn()

    def torn(self):
        """A record that ends too early, or has lengths that run past it."""
        kind, values = self.random.choice((self.write, self.read))()
        whole = jute.pack_operation(kind, values)
        if self.random.random() < 0.3:
            return (kind, whole + self.random.randbytes(5))
        return (kind, whole[:self.random.randrange(len(whole) + 1)])
