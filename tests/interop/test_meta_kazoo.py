"""kazoo, the Python client of ZooKeeper, against one metadata server."""

import unittest

from tests.interop import kazoo_cases
from tests.interop.servers import Ensemble


def setUpModule():
    ensemble = Ensemble(count=1)
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


if __name__ == "__main__":
    unittest.main()
