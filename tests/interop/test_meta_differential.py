"""The same random history on Apache ZooKeeper and on geminga: whatever comes back must be equal.

META_SEED and META_OPERATIONS choose another history or a longer one; META_SERVER=zookeeper compares
the reference with itself, which must find nothing either.
"""

import unittest

from tests.interop import jute
from tests.interop.differential import Differential, seed_and_count
from tests.interop.history import Send
from tests.interop.jute import Reply
from tests.interop.servers import Ensemble, kind_under_test

# Nothing happens by the clock in the middle of a history: no session expires, no node is removed.
OPTIONS = {
    "minSessionTimeout": 1800000,
    "maxSessionTimeout": 3600000,
    "znode.container.checkIntervalMs": 86400000,
}


def request_of(step, item):
    """The operation that an item answers."""
    for xid, kind, values in step.operations if isinstance(step, Send) else ():
        if isinstance(item, Reply) and xid == item.xid:
            return kind, values
    return None, ()


def refused_as_a_whole(step, kind, reference, ours):
    """The reference gives up while it decodes a multi and says only that; ours names the operation.
    Both do nothing."""
    return (kind == jute.MULTI and reference.err == -5 and isinstance(ours, Reply) and not ours.err
            and all(result[0] == -1 for result in ours.body) and any(result[1] < -2
                                                                    for result in ours.body))


def null_path(step, kind, reference, ours):
    """A path that is null is an argument that cannot be read, or a bad one: which of the two depends
    in the reference on where it stumbles over it. Both do nothing."""
    if not isinstance(reference, Reply) or not isinstance(ours, Reply):
        return False
    if isinstance(step, Send) and kind == jute.MULTI_READ:
        return reference.err == -5 and any(values[0] is None
                                           for _, values in request_of(step, reference)[1])
    values = request_of(step, reference)[1]
    refusals = (-5, -8, -121)
    return (bool(values) and values[0] is None and reference.err in refusals
            and ours.err in refusals)


# Differences that are meant. The reason is the text of the function.
KNOWN = (refused_as_a_whole, null_path)


def known(step, kind, reference, ours):
    for rule in KNOWN:
        if isinstance(step, Send) and isinstance(reference, Reply) and rule(step, kind, reference,
                                                                           ours):
            return " ".join(rule.__doc__.split())
    return None


class DifferentialTest(unittest.TestCase):
    def test_a_random_history_has_the_same_answers_and_events_as_on_zookeeper(self):
        seed, operations = seed_and_count()
        with Ensemble("zookeeper", options=OPTIONS) as reference, \
                Ensemble(kind_under_test(), options=OPTIONS) as ours:
            run = Differential(reference.port, ours.port, seed, known)
            run.run(operations)
        print(f"seed {seed}: {run.report()}", flush=True)
        self.assertEqual(run.differences, [], "\n" + "\n".join(run.differences))
        self.assertGreaterEqual(run.operations, operations)
        # A history of nothing but refusals would compare equal and show little.
        self.assertGreater(run.events * 20, operations)

    def test_a_difference_is_found(self):
        with Ensemble("zookeeper", options=OPTIONS) as one, \
                Ensemble("zookeeper", options=OPTIONS | {"extendedTypesEnabled": "false"}) as two:
            run = Differential(one.port, two.port, 1, lambda *_: None)
            run.run(3000, differences_max=1)
        self.assertTrue(run.differences)


if __name__ == "__main__":
    unittest.main()
