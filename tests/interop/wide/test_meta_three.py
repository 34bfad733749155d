"""kazoo against three metadata servers, of which the leader dies."""

import unittest
from queue import Queue

from kazoo.client import KazooState
from kazoo.exceptions import ConnectionLoss, NodeExistsError, OperationTimeoutError

from tests.interop import kazoo_cases
from tests.interop.differential import Differential
from tests.interop.history import Send
from tests.interop.servers import Ensemble, kind_under_test, wait_until
from tests.interop.test_meta_differential import OPTIONS, known

OPERATIONS = 5000


def setUpModule():
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


class RecipesTest(kazoo_cases.Recipes, unittest.TestCase):
    pass


class FailoverTest(kazoo_cases.Base, unittest.TestCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.all_back)

    def all_back(self):
        for server in self.ensemble.servers:
            if server.process is None:
                self.ensemble.start_one(server.index)
        self.ensemble.wait_serving()

    def kill_leader(self):
        leader = self.ensemble.leader()
        self.ensemble.kill(leader)
        return leader

    def test_a_session_outlives_the_leader_with_its_ephemerals(self):
        leader = self.ensemble.servers[self.ensemble.leader()]
        client = self.connect(leader.address)
        client.set_hosts(self.ensemble.hosts)
        states = Queue()
        client.add_listener(states.put)
        client.create(self.at("e"), b"mine", ephemeral=True)
        session = client.client_id[0]
        self.kill_leader()
        while states.get(timeout=kazoo_cases.WAIT_S) != KazooState.CONNECTED:
            pass
        self.assertEqual(client.client_id[0], session)
        stat = client.retry(client.get, self.at("e"))[1]
        self.assertEqual(stat.ephemeralOwner, session)

    def test_an_acknowledged_write_is_never_lost(self):
        written, unsure = [], []
        for number in range(300):
            if number in (100, 200):
                self.all_back()
                self.kill_leader()
            try:
                self.client.retry(self.client.create, self.at(f"n{number}"), b"x")
                written.append(f"n{number}")
            except (NodeExistsError, ConnectionLoss, OperationTimeoutError):
                unsure.append(f"n{number}")  # it may have happened before the answer was lost
        self.all_back()
        for server in self.ensemble.servers:
            client = self.connect(server.address)
            client.sync(self.root)
            there = set(client.get_children(self.root))
            self.assertEqual(set(written) - there, set())
            self.assertEqual(there - set(written) - set(unsure), set())

    def test_a_lock_passes_on_across_a_leader_change(self):
        holder, waiter = self.connect(), self.connect()
        first = holder.Lock(self.at("lock"), "one")
        first.acquire(timeout=kazoo_cases.WAIT_S)
        taken = Queue()
        second = waiter.Lock(self.at("lock"), "two")
        self.in_thread(lambda: taken.put(second.acquire(timeout=60)))
        self.kill_leader()
        wait_until("the holder is back", lambda: holder.connected)
        holder.retry(first.release)
        self.assertTrue(taken.get(timeout=60))

    def test_one_of_three_is_no_majority(self):
        states = Queue()
        self.client.add_listener(states.put)
        alone = self.kill_leader()
        next_leader = self.kill_leader()
        last = ({0, 1, 2} - {alone, next_leader}).pop()
        wait_until("it stops serving", lambda: self.ensemble.servers[last].mode() is None)
        self.all_back()
        wait_until("the client is back", lambda: self.client.connected)
        self.client.retry(self.client.create, self.at("after"), b"")


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
