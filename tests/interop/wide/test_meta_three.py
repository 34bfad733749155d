"""kazoo against three metadata servers, of which the leader, a follower or all of them die."""

import logging
import threading
import unittest
from queue import Queue

from kazoo.client import KazooState
from kazoo.exceptions import (ConnectionLoss, NodeExistsError, NoNodeError,
                              SessionExpiredError)

from tests.interop import kazoo_cases
from tests.interop.differential import Differential
from tests.interop.history import Send
from tests.interop.kazoo_cases import WAIT_S
from tests.interop.servers import Ensemble, kind_under_test, wait_until
from tests.interop.test_meta_differential import OPTIONS, known

OPERATIONS = 5000
WRITERS = 6
WRITES = 200           # of each writer, at least
FAILOVER_WAIT_S = 60
FOR_EVER = {"max_tries": -1, "delay": 0.01, "max_delay": 0.2}


def setUpModule():
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # connections that break are the subject
    ensemble = Ensemble(count=3)
    unittest.addModuleCleanup(ensemble.close)
    kazoo_cases.Base.ensemble = ensemble


class NodesTest(kazoo_cases.Nodes, unittest.TestCase):
    pass


class EphemeralsTest(kazoo_cases.Ephemerals, unittest.TestCase):
    pass


class WatchesTest(kazoo_cases.Watches, unittest.TestCase):
    pass


class TransactionsTest(kazoo_cases.Transactions, unittest.TestCase):
    pass


class SecurityTest(kazoo_cases.Security, unittest.TestCase):
    pass


class RecipesTest(kazoo_cases.Recipes, unittest.TestCase):
    pass


class WordsTest(kazoo_cases.Words, unittest.TestCase):
    pass


class Failing(kazoo_cases.Base):
    """Servers that a test has killed are back after it."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.all_back)

    def connect(self, hosts=None, **options):
        return super().connect(hosts, **{"command_retry": FOR_EVER, "connection_retry": FOR_EVER}
                               | options)

    def connect_to(self, server):
        """A session that begins at this server and may move to any other."""
        client = self.connect(server.address)
        client.set_hosts(self.ensemble.hosts)
        return client

    def all_back(self):
        for server in self.ensemble.servers:
            if server.process is None:
                self.ensemble.start_one(server.index)
        self.ensemble.wait_serving()

    def leader(self):
        return self.ensemble.servers[self.ensemble.leader()]

    def follower(self):
        return self.ensemble.servers[(self.ensemble.leader() + 1) % 3]

    def kill(self, server):
        self.ensemble.kill(server.index)

    def states_of(self, client):
        states = Queue()
        client.add_listener(states.put)
        return states

    def wait_reconnected(self, states):
        while states.get(timeout=FAILOVER_WAIT_S) != KazooState.CONNECTED:
            pass

    def names_on_every_server(self):
        for server in self.ensemble.servers:
            client = self.connect(server.address)
            client.sync(self.root)
            yield set(client.get_children(self.root))


class SessionsMoveTest(Failing, unittest.TestCase):
    def assert_moves_with_its_ephemerals(self, server):
        client = self.connect_to(server)
        states = self.states_of(client)
        client.create(self.at("e"), b"mine", ephemeral=True)
        session = client.client_id[0]
        self.kill(server)
        self.wait_reconnected(states)
        data, stat = client.retry(client.get, self.at("e"))
        self.assertEqual((client.client_id[0], data, stat.ephemeralOwner),
                         (session, b"mine", session))
        client.stop()
        wait_until("it goes with its session", lambda: not self.client.retry(
            self.client.exists, self.at("e")), WAIT_S)

    def test_a_session_outlives_the_leader_with_its_ephemerals(self):
        self.assert_moves_with_its_ephemerals(self.leader())

    def test_a_session_outlives_a_follower_with_its_ephemerals(self):
        self.assert_moves_with_its_ephemerals(self.follower())

    def test_sessions_and_ephemerals_outlive_all_servers(self):
        clients = [self.connect_to(server) for server in self.ensemble.servers]
        states = [self.states_of(client) for client in clients]
        for number, client in enumerate(clients):
            client.create(self.at(f"e{number}"), b"", ephemeral=True)
        sessions = [client.client_id[0] for client in clients]
        for server in self.ensemble.servers:
            self.kill(server)
        self.all_back()
        for queue in states:
            self.wait_reconnected(queue)
        self.assertEqual([client.client_id[0] for client in clients], sessions)
        for number, client in enumerate(clients):
            stat = client.retry(client.exists, self.at(f"e{number}"))
            self.assertEqual(stat.ephemeralOwner, sessions[number])

    def test_a_session_whose_client_is_gone_expires_under_the_next_leader(self):
        leader = self.leader()
        silent = self.connect(leader.address, timeout=3)
        silent.create(self.at("e"), ephemeral=True)
        self.cut_off(silent)
        self.kill(leader)
        wait_until("the ephemeral node is gone", lambda: not self.client.retry(
            self.client.exists, self.at("e")), FAILOVER_WAIT_S)

    def test_one_of_three_serves_nobody(self):
        self.kill(self.leader())
        self.kill(self.leader())
        last, = self.ensemble.running()
        wait_until("it stops serving", lambda: last.mode() is None)
        self.all_back()
        self.client.retry(self.client.create, self.at("after"), b"")


class WatchesSurviveTest(Failing, unittest.TestCase):
    def assert_follows(self, server):
        values, names = Queue(), Queue()
        watcher = self.connect_to(server)
        watcher.DataWatch(self.at("a"), lambda data, stat: values.put(data))
        watcher.ChildrenWatch(self.root, lambda children: names.put(sorted(children)))
        self.assertEqual((self.next_event(values), self.next_event(names)), (None, []))
        self.kill(server)
        self.client.retry(self.client.create, self.at("a"), b"1")
        self.assertEqual(values.get(timeout=FAILOVER_WAIT_S), b"1")
        self.assertEqual(names.get(timeout=FAILOVER_WAIT_S), ["a"])
        self.client.retry(self.client.set, self.at("a"), b"2")
        self.assertEqual(values.get(timeout=FAILOVER_WAIT_S), b"2")

    def test_watches_follow_changes_over_the_death_of_the_leader(self):
        self.assert_follows(self.leader())

    def test_watches_follow_changes_over_the_death_of_a_follower(self):
        self.assert_follows(self.follower())

    def test_a_watch_on_a_follower_outlives_a_change_of_leaders(self):
        watcher = self.connect(self.follower().address)
        watcher.create(self.at("a"))
        states, (queue, watch) = self.states_of(watcher), self.events()
        watcher.get(self.at("a"), watch=watch)
        self.kill(self.leader())
        self.client.retry(self.client.set, self.at("a"), b"1")
        event = queue.get(timeout=FAILOVER_WAIT_S)
        # Either the connection held and the change is told, or its end was.
        self.assertEqual(event.type, "CHANGED" if states.empty() else "NONE")


class RecipesGoOnTest(Failing, unittest.TestCase):
    def test_a_lock_passes_on_across_a_leader_change(self):
        holder, waiter = self.connect(), self.connect()
        first = holder.Lock(self.at("lock"), "one")
        first.acquire(timeout=WAIT_S)
        taken = Queue()
        second = waiter.Lock(self.at("lock"), "two")
        self.in_thread(lambda: taken.put(second.acquire(timeout=FAILOVER_WAIT_S)))
        wait_until("it waits", lambda: len(self.client.get_children(self.at("lock"))) == 2, WAIT_S)
        self.kill(self.leader())
        holder.retry(first.release)
        self.assertTrue(taken.get(timeout=FAILOVER_WAIT_S))

    def test_a_lock_guards_its_subject_while_leaders_die(self):
        self.client.create(self.at("n"), b"0")
        rounds, workers = 20, 4
        done = Queue()

        def add(client):
            lock = client.Lock(self.at("lock"), "me")
            for _ in range(rounds):
                with lock:
                    data, stat = client.retry(client.get, self.at("n"))
                    self.set_once(client, self.at("n"), b"%d" % (int(data) + 1), stat.version)
                done.put(1)

        threads = [self.in_thread(lambda c=self.connect(): add(c)) for _ in range(workers)]
        for count in range(rounds * workers):
            done.get(timeout=FAILOVER_WAIT_S)
            if count in (10, 40):
                self.all_back()
                self.kill(self.leader())
        for thread in threads:
            thread.join(WAIT_S)
        self.assertEqual(int(self.client.retry(self.client.get, self.at("n"))[0]),
                         rounds * workers)

    def set_once(self, client, path, value, version):
        """A lost answer is looked up, so a repetition cannot hide that somebody else wrote."""
        wait_until(f"{path} is set", lambda: self.is_set(client, path, value, version))

    def is_set(self, client, path, value, version):
        try:
            client.set(path, value, version)
            return True
        except (ConnectionLoss, SessionExpiredError):
            data, stat = client.retry(client.get, path)
            return data == value and stat.version == version + 1

    def test_an_election_goes_on_when_the_elected_loses_its_server(self):
        led, resign = Queue(), threading.Event()
        self.addCleanup(resign.set)

        def lead(number):
            led.put(number)
            resign.wait(FAILOVER_WAIT_S)

        clients = [self.connect_to(server) for server in self.ensemble.servers]
        for number, client in enumerate(clients):
            election = client.Election(self.at("election"), f"c{number}")
            self.in_thread(lambda e=election, n=number: e.run(lead, n))
        first = led.get(timeout=WAIT_S)
        wait_until("all run", lambda: len(self.client.get_children(self.at("election"))) == 3,
                   WAIT_S)
        self.kill(self.ensemble.servers[first])
        states = self.states_of(clients[first])
        wait_until("the elected is back", lambda: clients[first].connected)
        self.assertTrue(led.empty() or not states.empty())
        resign.set()
        others = sorted(led.get(timeout=FAILOVER_WAIT_S) for _ in range(2))
        self.assertEqual(others, sorted({0, 1, 2} - {first}))


class NothingIsLostTest(Failing, unittest.TestCase):
    def write(self, client, name, written, ending):
        """Node after node until it is told to stop, each until it is known to be there."""
        number = 0
        while number < WRITES or not ending.is_set():
            path = f"{name}-{number}"
            try:
                client.retry(client.create, self.at(path), b"x" * 100)
            except NodeExistsError:
                pass  # the answer to an earlier attempt was lost
            written.append(path)
            if number % 4 == 3:
                client.retry(client.delete_gone, self.at(path))
                written.remove(path)
            number += 1

    def assert_all_written_is_there(self, disturb):
        written, ending = [[] for _ in range(WRITERS)], threading.Event()
        self.addCleanup(ending.set)
        threads = []
        for number in range(WRITERS):
            client = self.connect_to(self.ensemble.servers[number % 3])
            client.delete_gone = lambda path, c=client: self.delete_gone(c, path)
            threads.append(self.in_thread(lambda c=client, n=number: self.write(
                c, f"w{n}", written[n], ending)))
        for half in range(1, 3):
            wait_until("they write", lambda: all(len(w) > half * WRITES // 4 for w in written),
                       FAILOVER_WAIT_S)
            disturb()
        ending.set()
        for thread in threads:
            thread.join(FAILOVER_WAIT_S)
            self.assertFalse(thread.is_alive())
        self.all_back()
        expected = {name for names in written for name in names}
        for there in self.names_on_every_server():
            self.assertEqual(there, expected)

    def delete_gone(self, client, path):
        try:
            client.delete(path)
        except NoNodeError:
            pass  # the answer to an earlier attempt was lost

    def test_an_acknowledged_write_survives_the_death_of_leaders(self):
        def disturb():
            self.all_back()
            self.kill(self.leader())
        self.assert_all_written_is_there(disturb)

    def test_an_acknowledged_write_survives_the_death_of_followers(self):
        def disturb():
            self.all_back()
            self.kill(self.follower())
        self.assert_all_written_is_there(disturb)

    def test_an_acknowledged_write_survives_the_death_of_all(self):
        def disturb():
            for server in self.ensemble.running():
                self.kill(server)
            self.all_back()
        self.assert_all_written_is_there(disturb)


def known_of_ensemble(step, kind, reference, ours):
    """An ensemble describes itself in /zookeeper/config, a single server leaves it empty."""
    for xid, _, values in step.operations if isinstance(step, Send) else ():
        if xid == getattr(reference, "xid", 0) and "/zookeeper/config" in str(values):
            return known_of_ensemble.__doc__
    return known(step, kind, reference, ours)


class FollowerDifferentialTest(unittest.TestCase):
    @unittest.skipIf(kind_under_test() == "zookeeper", "an ensemble of the reference itself differs")
    def test_a_follower_answers_as_a_server_of_its_own_would(self):
        with Ensemble("zookeeper", options=OPTIONS) as reference, \
                Ensemble(kind_under_test(), 3, options=OPTIONS) as ours:
            follower = (ours.leader() + 1) % 3
            run = Differential(reference.port, ours.servers[follower].port, 11,
                               known_of_ensemble)
            run.run(OPERATIONS)
        self.assertEqual(run.differences, [], "\n" + "\n".join(run.differences))


if __name__ == "__main__":
    unittest.main()
