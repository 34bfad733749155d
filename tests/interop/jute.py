"""The ZooKeeper client protocol over a raw socket: records by a one-letter schema, so that a test can
send anything, well-formed or not, and see exactly what comes back.

Schema letters: i int, l long, z bool, s string, b buffer, S vector of strings, A vector of ACLs,
T Stat, W vector of (scheme, user). None is the null of s, b, S and A.
"""

import re
import socket
import struct
from typing import NamedTuple

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL, GET_CHILDREN, SYNC = range(1, 10)
PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG, CHECK_WATCHES, REMOVE_WATCHES = range(11, 19)
CREATE_CONTAINER, DELETE_CONTAINER, CREATE_TTL, MULTI_READ = range(19, 23)
AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, ALL_CHILDREN, SET_WATCHES2, ADD_WATCH, WHO = range(100, 108)
CLOSE, ERROR = -11, -1
REPLACED = re.compile("[\ufffd\U00010000-\U0010ffff]+")
XID_EVENT, XID_PING, XID_AUTH = -1, -2, -4

REQUESTS = {
    CREATE: "sbAi", CREATE2: "sbAi", CREATE_CONTAINER: "sbAi", CREATE_TTL: "sbAil",
    DELETE: "si", DELETE_CONTAINER: "s", EXISTS: "sz", GET_DATA: "sz", SET_DATA: "sbi",
    GET_ACL: "s", SET_ACL: "sAi", GET_CHILDREN: "sz", GET_CHILDREN2: "sz", SYNC: "s", PING: "",
    CHECK: "si", RECONFIG: "sssl", CHECK_WATCHES: "si", REMOVE_WATCHES: "si", AUTH: "isb",
    SET_WATCHES: "lSSS", SET_WATCHES2: "lSSSSS", SASL: "b", GET_EPHEMERALS: "s", ALL_CHILDREN: "s",
    ADD_WATCH: "si", WHO: "", CLOSE: "",
}
RESPONSES = {
    CREATE: "s", CREATE2: "sT", CREATE_CONTAINER: "sT", CREATE_TTL: "sT", DELETE: "", EXISTS: "T",
    GET_DATA: "bT", SET_DATA: "T", GET_ACL: "AT", SET_ACL: "T", GET_CHILDREN: "S",
    GET_CHILDREN2: "ST", SYNC: "s", PING: "", CHECK: "", RECONFIG: "bT", CHECK_WATCHES: "",
    REMOVE_WATCHES: "", AUTH: "", SET_WATCHES: "", SET_WATCHES2: "", SASL: "b",
    GET_EPHEMERALS: "S", ALL_CHILDREN: "i", ADD_WATCH: "i", WHO: "W", CLOSE: "", ERROR: "i",
}
WRITES = frozenset((CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL, DELETE, SET_DATA, SET_ACL, MULTI))


class Zxid(int):
    """Not the same number on two servers, but of the same rank."""


class Session(int):
    """A session id: another number on another server."""


class Time(int):
    """Milliseconds; differs from run to run."""


class Stat(NamedTuple):
    czxid: Zxid
    mzxid: Zxid
    ctime: Time
    mtime: Time
    version: int
    cversion: int
    aversion: int
    owner: Session
    size: int
    children: int
    pzxid: Zxid


class Event(NamedTuple):
    kind: int
    state: int
    path: str
    zxid: Zxid


class Reply(NamedTuple):
    xid: int
    zxid: int
    err: int
    body: object


class Handshake(NamedTuple):
    timeout: int
    session: Session
    password: bytes
    tail: bytes


class Closed(NamedTuple):
    """The server closed the connection."""


class Silent(NamedTuple):
    """The server did not answer, nor close, in good time."""


def pack_sized(value):
    if value is None:
        return b"\xff\xff\xff\xff"
    value = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return struct.pack(">i", len(value)) + value


def pack_vector(values, pack_item):
    if values is None:
        return b"\xff\xff\xff\xff"
    return struct.pack(">i", len(values)) + b"".join(map(pack_item, values))


def pack_acl(acl):
    perms, scheme, name = acl
    return struct.pack(">i", perms) + pack_sized(scheme) + pack_sized(name)


PACK = {
    "i": struct.Struct(">i").pack, "l": struct.Struct(">q").pack, "z": struct.Struct(">?").pack,
    "s": pack_sized, "b": pack_sized, "S": lambda values: pack_vector(values, pack_sized),
    "A": lambda values: pack_vector(values, pack_acl),
}


def pack(schema, values):
    return b"".join(PACK[letter](value) for letter, value in zip(schema, values, strict=True))


def pack_operation(kind, values):
    """The record of a request; for MULTI and MULTI_READ `values` is a list of (kind, values)."""
    if kind not in (MULTI, MULTI_READ):
        return pack(REQUESTS.get(kind, ""), values if kind in REQUESTS else ())
    parts = [struct.pack(">i?i", sub, False, -1) + pack_operation(sub, sub_values)
             for sub, sub_values in values]
    return b"".join(parts) + struct.pack(">i?i", -1, True, -1)


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def request(xid, kind, values=()):
    return frame(struct.pack(">ii", xid, kind) + pack_operation(kind, values))


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def unpack(self, layout):
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def sized(self):
        size, = self.unpack(">i")
        if size < 0:
            return None
        value = self.data[self.at:self.at + size]
        if len(value) != size:
            raise ValueError("a length runs past the end")
        self.at += size
        return value

    def string(self):
        value = self.sized()
        # Bytes that are no text may come back as they were sent, or as the replacement character.
        if value is None:
            return None
        return REPLACED.sub("\ufffd", value.decode(errors="replace"))

    def vector(self, item):
        count, = self.unpack(">i")
        return None if count < 0 else [item() for _ in range(count)]

    def acl(self):
        return (self.unpack(">i")[0], self.string(), self.string())

    def stat(self):
        v = self.unpack(">qqqqiiiqiiq")
        return Stat(Zxid(v[0]), Zxid(v[1]), Time(v[2]), Time(v[3]), v[4], v[5], v[6],
                    Session(v[7]), v[8], v[9], Zxid(v[10]))

    def value(self, letter):
        simple = {"i": ">i", "l": ">q", "z": ">?"}
        if letter in simple:
            return self.unpack(simple[letter])[0]
        return {"s": self.string, "b": self.sized, "S": lambda: self.vector(self.string),
                "A": lambda: self.vector(self.acl), "T": self.stat,
                "W": lambda: self.vector(lambda: (self.string(), self.string()))}[letter]()

    def record(self, schema):
        return tuple(self.value(letter) for letter in schema)

    def results(self):
        results = []
        while True:
            kind, done, err = self.unpack(">i?i")
            if done:
                return results + [(kind, err)]
            results.append((kind, err) + self.record(RESPONSES[kind]))

    def end(self):
        if self.at != len(self.data):
            raise ValueError(f"{len(self.data) - self.at} bytes too many")


def decode(payload, kind):
    """The Reply to a request of this kind; what does not decode comes back as its bytes."""
    reader = Reader(payload)
    xid, zxid, err = reader.unpack(">iqi")
    if err:
        return Reply(xid, zxid, err, payload[16:] or None)
    try:
        if kind in (MULTI, MULTI_READ):
            body = reader.results()
        else:
            body = reader.record(RESPONSES[kind])
        reader.end()
    except (KeyError, ValueError, struct.error) as error:
        body = (f"undecodable: {error!r}", payload[16:])
    return Reply(xid, zxid, err, body)


def decode_event(payload):
    reader = Reader(payload)
    _, zxid, _ = reader.unpack(">iqi")
    kind, state = reader.unpack(">ii")
    event = Event(kind, state, reader.string(), Zxid(zxid))
    reader.end()
    return event


class Connection:
    """A socket that speaks in frames; `hello` opens or re-attaches a session on it."""

    def __init__(self, port, timeout=30):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what comes back, or the close, is what counts

    def receive(self):
        """The payload of the next frame; None once the server has closed."""
        while True:
            if len(self.buffer) >= 4:
                size, = struct.unpack_from(">i", self.buffer)
                if len(self.buffer) >= 4 + size:
                    payload = self.buffer[4:4 + size]
                    self.buffer = self.buffer[4 + size:]
                    return payload
            try:
                piece = self.sock.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            self.buffer += piece

    def hello(self, timeout=40000, session=0, password=bytes(16), zxid=0, read_only=False,
              behind=b""):
        """`behind`: frames that go out in one piece with the greeting."""
        tail = b"" if read_only is None else struct.pack(">?", read_only)
        self.send(frame(struct.pack(">iqiq", 0, zxid, timeout, session) + pack_sized(password)
                        + tail) + behind)
        payload = self.receive()
        if payload is None:
            return Closed()
        reader = Reader(payload)
        _, timeout, session = reader.unpack(">iiq")
        password = reader.sized()
        return Handshake(timeout, Session(session), password, payload[reader.at:])

    def close(self):
        self.sock.close()


class Client:
    """One session, one request at a time: for tests that need a plain client."""

    def __init__(self, port, **hello):
        self.connection = Connection(port)
        self.handshake = self.connection.hello(**hello)
        self.xid = 0
        self.events = []

    def call(self, kind, *values):
        self.xid += 1
        self.connection.send(request(self.xid, kind, values))
        return self.reply(kind)

    def reply(self, kind):
        while (payload := self.connection.receive()) is not None:
            if struct.unpack_from(">i", payload)[0] == XID_EVENT:
                self.events.append(decode_event(payload))
            else:
                return decode(payload, kind)
        return Closed()

    def close(self):
        self.connection.close()
