"""What kazoo, the Python client, expects of a ZooKeeper: the cases, for one node and for three.

A subclass sets `ensemble`. Every test works below a path of its own.
"""

import threading
import time
import uuid
from queue import Empty, Queue

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (AuthFailedError, BadArgumentsError, BadVersionError, InvalidACLError,
                              NoAuthError, NoChildrenForEphemeralsError, NodeExistsError,
                              NoNodeError, NotEmptyError, RolledBackError, RuntimeInconsistency)
from kazoo.protocol.states import EventType, KeeperState
from kazoo.recipe.barrier import DoubleBarrier
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.recipe.queue import LockingQueue
from kazoo.security import make_acl, make_digest_acl

from tests.interop import jute
from tests.interop.servers import wait_until

WAIT_S = 20


class Base:
    ensemble = None

    def setUp(self):
        self.clients = []
        self.root = f"/t-{uuid.uuid4().hex}"
        self.client = self.connect()
        self.client.create(self.root)

    def tearDown(self):
        for client in self.clients:
            client.stop()
            client.close()

    def connect(self, hosts=None, **options):
        client = KazooClient(hosts or self.ensemble.hosts, **{"timeout": 10} | options)
        self.clients.append(client)
        client.start(WAIT_S)
        return client

    def at(self, name):
        return f"{self.root}/{name}"

    def caught_up(self, client):
        """Its server may be one that was behind what other clients have done through theirs."""
        client.sync(self.root)
        return client

    def events(self):
        queue = Queue()
        return queue, queue.put

    def next_event(self, queue):
        return queue.get(timeout=WAIT_S)

    def assert_quiet(self, queue, client):
        """Nothing more has come by now: what was sent before an answer is there before it."""
        client.sync(self.root)
        client.exists(self.root)
        with self.assertRaises(Empty):
            queue.get_nowait()

    def in_thread(self, work):
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self.addCleanup(thread.join, WAIT_S)
        return thread

    def cut_off(self, client):
        """The connection of the client breaks, and it does not come back."""
        client._stopped.set()
        client._connection._socket.shutdown(2)
        self.assertTrue(client._connection.connection_stopped.wait(WAIT_S))

    def expire(self, client):
        """Ends the session behind the client's back: other connections take it over and close it.
        The client, whose connection ends, takes it back if it is quicker than the closing."""
        session, password = client.client_id
        port = self.ensemble.running()[0].port
        close = jute.request(1, jute.CLOSE, ())
        while True:
            thief = jute.Connection(port)
            answer = thief.hello(session=session, password=password, behind=close)
            while not isinstance(answer, jute.Closed) and answer.timeout and thief.receive():
                continue
            thief.close()
            if isinstance(answer, jute.Handshake) and not answer.timeout:
                return


class Nodes(Base):
    def test_a_node_goes_through_its_whole_life(self):
        self.assertEqual(self.client.create(self.at("a"), b"one"), self.at("a"))
        data, stat = self.client.get(self.at("a"))
        self.assertEqual((data, stat.version, stat.dataLength), (b"one", 0, 3))
        self.assertEqual(self.client.set(self.at("a"), b"two!").version, 1)
        self.assertEqual(self.client.exists(self.at("a")).dataLength, 4)
        self.client.delete(self.at("a"), version=1)
        self.assertIsNone(self.client.exists(self.at("a")))

    def test_refusals_have_their_own_errors(self):
        self.client.create(self.at("a/b"), makepath=True)
        refused = self.assertRaises
        with refused(NodeExistsError):
            self.client.create(self.at("a"))
        with refused(NoNodeError):
            self.client.create(self.at("x/y"))
        with refused(NoNodeError):
            self.client.get(self.at("x"))
        with refused(NotEmptyError):
            self.client.delete(self.at("a"))
        with refused(BadVersionError):
            self.client.set(self.at("a"), b"", version=7)
        with refused(BadVersionError):
            self.client.delete(self.at("a/b"), version=7)
        with refused(InvalidACLError):
            self.client.create(self.at("c"), acl=[make_acl("nonesuch", "x", all=True)])
        with refused(BadArgumentsError):
            self.client.delete("/zookeeper/quota")

    def test_create_can_bring_the_stat(self):
        path, stat = self.client.create(self.at("a"), b"abc", include_data=True)
        self.assertEqual((path, stat.dataLength), (self.at("a"), 3))
        self.assertEqual(stat, self.client.exists(path))

    def test_children_come_with_the_stat_of_the_parent(self):
        for name in "abc":
            self.client.create(self.at(name))
        names, stat = self.client.get_children(self.root, include_data=True)
        self.assertEqual((sorted(names), stat.numChildren, stat.cversion), (["a", "b", "c"], 3, 3))

    def test_sequence_numbers_count_every_create(self):
        first = self.client.create(self.at("s-"), sequence=True)
        self.client.create(self.at("plain"))
        self.client.delete(first)
        self.assertEqual(first, self.at("s-0000000000"))
        self.assertEqual(self.client.create(self.at("s-"), sequence=True), self.at("s-0000000002"))
        self.assertEqual(self.client.create(self.at(""), sequence=True), self.at("0000000003"))

    def test_empty_and_large_data(self):
        self.client.create(self.at("empty"), b"")
        self.assertEqual(self.client.get(self.at("empty"))[0], b"")
        large = bytes(range(256)) * 4000
        self.client.create(self.at("large"), large)
        self.assertEqual(self.client.get(self.at("large"))[0], large)

    def test_names_are_unicode(self):
        name = self.at("\u00e4\u4e2d")
        self.client.create(name, b"x")
        self.assertEqual(self.client.get_children(self.root), ["\u00e4\u4e2d"])

    def test_a_thousand_requests_in_flight_are_answered_in_order(self):
        asked = [self.client.create_async(self.at("n-"), b"", sequence=True) for _ in range(1000)]
        names = [result.get(timeout=WAIT_S) for result in asked]
        self.assertEqual(names, sorted(names))
        self.assertEqual(len(self.client.get_children(self.root)), 1000)

    def test_a_read_sees_the_writes_before_it(self):
        self.client.create(self.at("a"), b"0")
        results = []
        for i in range(200):
            self.client.set_async(self.at("a"), b"%d" % i)
            results.append(self.client.get_async(self.at("a")))
        self.assertEqual([result.get(timeout=WAIT_S)[0] for result in results],
                         [b"%d" % i for i in range(200)])

    def test_recursive_delete_and_chroot(self):
        inside = self.connect(f"{self.ensemble.hosts}{self.root}")
        self.assertEqual(inside.create("/x/y/z", makepath=True), "/x/y/z")
        self.assertIsNotNone(self.client.exists(self.at("x/y/z")))
        queue, watch = self.events()
        inside.get("/x/y/z", watch=watch)
        self.client.delete(self.at("x"), recursive=True)
        self.assertEqual(self.next_event(queue).path, "/x/y/z")
        self.assertEqual(inside.get_children("/"), [])


class Ephemerals(Base):
    def test_an_ephemeral_node_goes_with_its_session(self):
        other = self.connect()
        other.create(self.at("e"), b"", ephemeral=True)
        self.assertEqual(self.caught_up(self.client).exists(self.at("e")).ephemeralOwner, other.client_id[0])
        queue, watch = self.events()
        self.client.exists(self.at("e"), watch=watch)
        with self.assertRaises(NoChildrenForEphemeralsError):
            self.client.create(self.at("e/child"))
        other.stop()
        self.assertEqual(self.next_event(queue).type, EventType.DELETED)
        self.assertIsNone(self.client.exists(self.at("e")))

    def test_a_session_without_a_client_expires(self):
        other = self.connect(timeout=1)
        other.create(self.at("e"), ephemeral=True)
        queue, watch = self.events()
        self.caught_up(self.client).exists(self.at("e"), watch=watch)
        self.cut_off(other)
        self.assertEqual(self.next_event(queue).type, EventType.DELETED)

    def test_a_client_hears_that_its_session_is_gone(self):
        states = Queue()
        other = self.connect()
        other.add_listener(states.put)
        session = other.client_id[0]
        self.expire(other)
        seen = []
        while KazooState.LOST not in seen:
            seen.append(states.get(timeout=WAIT_S))
        wait_until("a new session", lambda: other.connected and other.client_id[0] != session)

    def test_a_reconnect_keeps_session_and_ephemerals(self):
        states = Queue()
        other = self.connect()
        other.create(self.at("e"), ephemeral=True)
        session = other.client_id[0]
        other.add_listener(states.put)
        other._connection._socket.shutdown(2)
        self.assertEqual(states.get(timeout=WAIT_S), KazooState.SUSPENDED)
        self.assertEqual(states.get(timeout=WAIT_S), KazooState.CONNECTED)
        self.assertEqual(other.client_id[0], session)
        self.assertEqual(other.exists(self.at("e")).ephemeralOwner, session)


class Watches(Base):
    def test_a_data_watch_fires_once(self):
        self.client.create(self.at("a"))
        queue, watch = self.events()
        self.client.get(self.at("a"), watch=watch)
        self.client.set(self.at("a"), b"1")
        self.client.set(self.at("a"), b"2")
        event = self.next_event(queue)
        self.assertEqual((event.type, event.state, event.path),
                         (EventType.CHANGED, KeeperState.CONNECTED, self.at("a")))
        self.assert_quiet(queue, self.client)

    def test_an_exists_watch_waits_for_a_node(self):
        queue, watch = self.events()
        self.assertIsNone(self.client.exists(self.at("a"), watch=watch))
        self.connect().create(self.at("a"))
        self.assertEqual(self.next_event(queue).type, EventType.CREATED)

    def test_a_child_watch_tells_of_children_only(self):
        queue, watch = self.events()
        self.client.get_children(self.root, watch=watch)
        self.client.set(self.root, b"x")
        self.assert_quiet(queue, self.client)
        self.client.create(self.at("a"))
        event = self.next_event(queue)
        self.assertEqual((event.type, event.path), (EventType.CHILD, self.root))

    def test_deleting_a_node_tells_both_kinds(self):
        self.client.create(self.at("a"))
        data, on_data = self.events()
        children, on_children = self.events()
        self.client.get(self.at("a"), watch=on_data)
        self.client.get_children(self.at("a"), watch=on_children)
        self.client.delete(self.at("a"))
        self.assertEqual(self.next_event(data).type, EventType.DELETED)
        self.assertEqual(self.next_event(children).type, EventType.DELETED)

    def test_data_and_children_watch_recipes_follow_every_change(self):
        values, names = Queue(), Queue()
        self.client.DataWatch(self.at("a"), lambda data, stat: values.put(data))
        self.client.ChildrenWatch(self.root, lambda children: names.put(sorted(children)))
        self.assertIsNone(self.next_event(values))
        self.assertEqual(self.next_event(names), [])
        self.client.create(self.at("a"), b"1")
        self.assertEqual((self.next_event(values), self.next_event(names)), (b"1", ["a"]))
        self.client.set(self.at("a"), b"2")
        self.assertEqual(self.next_event(values), b"2")
        self.client.delete(self.at("a"))
        self.assertEqual((self.next_event(values), self.next_event(names)), (None, []))


class Transactions(Base):
    def test_a_transaction_happens_as_a_whole(self):
        self.client.create(self.at("a"), b"0")
        change = self.client.transaction()
        change.create(self.at("b"), b"new")
        change.create(self.at("b/c"))
        change.set_data(self.at("a"), b"1")
        change.check(self.at("a"), 1)
        change.create(self.at("s-"), sequence=True)
        change.delete(self.at("b/c"))
        results = change.commit()
        self.assertEqual(results[:2], [self.at("b"), self.at("b/c")])
        self.assertEqual((results[2].version, results[3], results[5]), (1, True, True))
        self.assertEqual(results[4], self.at("s-0000000002"))
        self.assertEqual(sorted(self.client.get_children(self.root)), ["a", "b", "s-0000000002"])

    def test_a_refused_transaction_leaves_nothing(self):
        change = self.client.transaction()
        change.create(self.at("b"))
        change.check(self.at("missing"), -1)
        change.create(self.at("c"))
        kinds = [type(result) for result in change.commit()]
        self.assertEqual(kinds, [RolledBackError, NoNodeError, RuntimeInconsistency])
        self.assertEqual(self.client.get_children(self.root), [])


class Security(Base):
    def test_digest_acls_admit_who_knows_the_password(self):
        owner = self.connect(auth_data=[("digest", "bob:pw")])
        acl = [make_digest_acl("bob", "pw", all=True)]
        owner.create(self.at("a"), b"secret", acl=acl)
        with self.assertRaises(NoAuthError):
            self.caught_up(self.client).get(self.at("a"))
        self.assertEqual(owner.get(self.at("a"))[0], b"secret")
        self.client.add_auth("digest", "bob:pw")
        self.assertEqual(self.client.get(self.at("a"))[0], b"secret")

    def test_permissions_are_told_apart(self):
        acl = [make_acl("world", "anyone", read=True, create=True)]
        self.client.create(self.at("a"), b"", acl=acl)
        self.client.create(self.at("a/b"))
        for refused in (lambda: self.client.set(self.at("a"), b"x"),
                        lambda: self.client.delete(self.at("a/b")),
                        lambda: self.client.set_acls(self.at("a"), acl)):
            self.assertRaises(NoAuthError, refused)

    def test_the_super_user_may_do_anything(self):
        self.client.create(self.at("a"), b"x", acl=[make_digest_acl("bob", "pw", all=True)])
        root = self.connect(auth_data=[("digest", "super:test")])
        self.assertEqual(self.caught_up(root).get(self.at("a"))[0], b"x")
        root.set_acls(self.at("a"), [make_acl("world", "anyone", all=True)])
        self.assertEqual(self.caught_up(self.client).get_acls(self.at("a"))[1].aversion, 1)

    def test_an_unknown_scheme_is_refused(self):
        with self.assertRaises(AuthFailedError):
            self.client.add_auth("nonesuch", "x")


class Recipes(Base):
    def test_a_lock_is_held_by_one_at_a_time(self):
        holders, most, total = [], [], []

        def work(client):
            for _ in range(5):
                with client.Lock(self.at("lock"), "me"):
                    holders.append(1)
                    most.append(len(holders))
                    holders.pop()
                    total.append(1)

        threads = [self.in_thread(lambda c=self.connect(): work(c)) for _ in range(4)]
        for thread in threads:
            thread.join(WAIT_S)
        self.assertEqual((len(total), set(most)), (20, {1}))

    def test_a_lock_is_free_when_its_holder_dies(self):
        holder = self.connect()
        self.assertTrue(holder.Lock(self.at("lock"), "one").acquire())
        waiter = self.connect().Lock(self.at("lock"), "two")
        self.assertFalse(waiter.acquire(blocking=False))
        self.assertEqual(waiter.contenders(), ["one"])
        holder.stop()
        self.assertTrue(waiter.acquire(timeout=WAIT_S))

    def test_read_locks_are_shared_and_write_locks_are_not(self):
        one, two = self.connect(), self.connect()
        first, second = one.ReadLock(self.at("rw"), "1"), two.ReadLock(self.at("rw"), "2")
        self.assertTrue(first.acquire(timeout=WAIT_S) and second.acquire(timeout=WAIT_S))
        self.assertFalse(self.client.WriteLock(self.at("rw"), "3").acquire(blocking=False))

    def test_a_semaphore_has_as_many_leases_as_said(self):
        leases = [self.connect().Semaphore(self.at("sem"), f"c{i}", max_leases=2) for i in range(3)]
        self.assertTrue(leases[0].acquire(timeout=WAIT_S) and leases[1].acquire(timeout=WAIT_S))
        self.assertFalse(leases[2].acquire(blocking=False))
        leases[0].release()
        self.assertTrue(leases[2].acquire(timeout=WAIT_S))

    def test_an_election_has_one_leader_after_the_other(self):
        led, contest = Queue(), [self.connect() for _ in range(3)]
        for number, client in enumerate(contest):
            election = client.Election(self.at("election"), f"c{number}")
            self.in_thread(lambda e=election, n=number: e.run(led.put, n))
        self.assertEqual(sorted(led.get(timeout=WAIT_S) for _ in contest), [0, 1, 2])

    def test_barriers_hold_until_all_are_there(self):
        barrier = self.client.Barrier(self.at("barrier"))
        barrier.create()
        passed = Queue()
        other = self.connect()
        self.in_thread(lambda: passed.put(other.Barrier(self.at("barrier")).wait(WAIT_S)))
        self.assertFalse(self.client.Barrier(self.at("barrier")).wait(0))
        barrier.remove()
        self.assertTrue(self.next_event(passed))
        def both(client):
            meeting = DoubleBarrier(client, self.at("double"), 2)
            meeting.enter()
            passed.put("in")
            meeting.leave()
            passed.put("out")
        for client in (self.client, other):
            self.in_thread(lambda c=client: both(c))
        self.assertEqual(sorted(self.next_event(passed) for _ in range(4)),
                         ["in", "in", "out", "out"])

    def test_queues_hand_out_each_entry_once(self):
        queue = self.client.Queue(self.at("queue"))
        for entry in (b"1", b"2", b"3"):
            queue.put(entry)
        self.assertEqual([queue.get() for _ in range(4)], [b"1", b"2", b"3", None])
        locking = LockingQueue(self.client, self.at("locking"))
        locking.put_all([b"a", b"b"])
        self.assertEqual(locking.get(timeout=WAIT_S), b"a")
        self.assertTrue(locking.consume())
        self.assertEqual(len(locking), 1)

    def test_a_counter_loses_no_increment(self):
        def add(client):
            counter = client.Counter(self.at("counter"))
            for _ in range(10):
                counter += 1
        threads = [self.in_thread(lambda c=self.connect(): add(c)) for _ in range(3)]
        for thread in threads:
            thread.join(WAIT_S)
        self.assertEqual(self.caught_up(self.client).Counter(self.at("counter")).value, 30)

    def test_a_party_knows_its_members(self):
        other = self.connect()
        parties = [c.Party(self.at("party"), name) for c, name in ((self.client, "a"), (other, "b"))]
        for party in parties:
            party.join()
        self.caught_up(self.client)
        self.assertEqual(sorted(parties[0]), ["a", "b"])
        other.stop()
        self.caught_up(self.client)
        self.assertEqual(list(parties[0]), ["a"])

    def test_a_lease_is_not_given_twice(self):
        from datetime import timedelta
        hour = timedelta(hours=1)
        self.assertTrue(self.client.NonBlockingLease(self.at("lease"), hour, "a"))
        self.assertFalse(self.connect().NonBlockingLease(self.at("lease"), hour, "b"))

    def test_a_tree_cache_follows_the_tree(self):
        seen = Queue()
        cache = TreeCache(self.client, self.root)
        self.addCleanup(cache.close)
        cache.listen(lambda event: seen.put((event.event_type, getattr(event.event_data, "path",
                                                                       None))))
        cache.start()
        other = self.connect()
        other.create(self.at("a/b"), b"1", makepath=True)
        other.set(self.at("a/b"), b"2")
        wait_until("the cache has it", lambda: (found := cache.get_data(self.at("a/b")))
                   and found.data == b"2", WAIT_S)
        other.delete(self.at("a"), recursive=True)
        events = []
        while (TreeEvent.NODE_REMOVED, self.at("a")) not in events:
            events.append(seen.get(timeout=WAIT_S))
        self.assertIn((TreeEvent.INITIALIZED, None), events)


class Words(Base):
    def test_four_letter_words_answer_what_clients_parse(self):
        self.assertEqual(self.client.command(b"ruok"), "imok")
        self.assertEqual(self.client.command(b"isro"), "rw")
        self.assertGreaterEqual(self.client.server_version(), (3, 8, 0))
        self.assertIn("Zxid: 0x", self.client.command(b"srvr"))
        self.assertIn("Clients:", self.client.command(b"stat"))
        self.assertIn("clientPort=", self.client.command(b"conf"))
        self.assertIn("zk_znode_count\t", self.client.command(b"mntr"))
        self.assertIn("sid=0x", self.client.command(b"cons"))
        self.assertIn("Total watches:", self.client.command(b"wchs"))

    def test_dump_lists_ephemeral_nodes_by_session(self):
        self.client.create(self.at("e"), ephemeral=True)
        def listed():
            return any(self.at("e") in text for text in self.everywhere("dump"))
        wait_until("dump has it", listed, WAIT_S)

    def everywhere(self, name):
        from tests.interop.servers import word
        return [word(server.port, name) for server in self.ensemble.running()]


ALL = (Nodes, Ephemerals, Watches, Transactions, Security, Recipes, Words)
