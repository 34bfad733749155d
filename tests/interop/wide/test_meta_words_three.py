"""What the members of a cluster say of it, side by side with Apache ZooKeeper's."""

import unittest

from tests.interop.servers import kind_under_test, wait_until
from tests.interop.words import MONITORED, OF_A_LEADER, OF_A_MEMBER, Operated, form, shape

PAIR = []  # the reference, and the servers under test


def setUpModule():
    for kind in ("zookeeper", kind_under_test()):
        operated = Operated(kind, 3)
        unittest.addModuleCleanup(operated.close)
        PAIR.append(operated)


class MembersTest(unittest.TestCase):
    def on(self, role, ask):
        """The answers of a member in that role, of each ensemble."""
        answers = []
        for operated in PAIR:
            leader = operated.ensemble.leader()
            answers.append(ask(operated, leader if role == "leader" else (leader + 1) % 3))
        return answers

    def assert_same(self, answers):
        self.assertEqual(answers[1], answers[0])

    def test_mntr_has_what_monitoring_systems_read(self):
        for role, keys in (("leader", MONITORED + OF_A_MEMBER + OF_A_LEADER),
                           ("follower", MONITORED + OF_A_MEMBER)):
            with self.subTest(role):
                found = self.on(role, Operated.monitored)
                self.assert_same([{key: form(f"{key}\t{values.get(key)}") for key in keys}
                                  for values in found])
                for key in ("server_state", "peer_state", "quorum_size"):
                    self.assertEqual(found[1][key], found[0][key])

    def test_the_leader_counts_its_followers(self):
        for operated in PAIR:
            leader = operated.ensemble.leader()
            wait_until("both are in sync", lambda o=operated, i=leader: o.monitored(i)[
                "synced_followers"] == "2")

    def test_only_the_leader_has_followers(self):
        for values in self.on("follower", Operated.monitored):
            self.assertEqual(set(OF_A_LEADER) & set(values), set())

    def test_srvr_has_the_same_lines(self):
        for role in ("leader", "follower"):
            self.assert_same([form(text) for text in
                              self.on(role, lambda o, i: o.word("srvr", i))])

    def test_conf_has_the_same_keys_and_names_the_members(self):
        texts = self.on("follower", lambda o, i: o.word("conf", i))
        self.assert_same([sorted(line.split("=")[0] for line in text.splitlines())
                          for text in texts])
        self.assert_same([sorted(form(line) for line in text.splitlines() if "server." in line)
                          for text in texts])

    def test_a_followers_dump_lists_sessions_with_their_timeouts(self):
        for text in self.on("follower", lambda o, i: o.word("dump", i)):
            self.assertRegex(text, r"^SessionTracker dump:\nGlobal Sessions\(\d+\):\n")

    def test_the_admin_server_names_leader_and_voters(self):
        for role in ("leader", "follower"):
            for name in ("leader", "voting_view"):
                with self.subTest(f"{name} of a {role}"):
                    self.assert_same([shape(answer) for answer in self.on(
                        role, lambda o, i, n=name: o.command(n, i))])
            answers = self.on(role, lambda o, i: o.command("zabstate", i))
            for key in ("is_leader", "voting", "zabstate", "error"):
                self.assert_same([answer[key] for answer in answers])


if __name__ == "__main__":
    unittest.main()
