"""Four-letter words and the AdminServer, side by side with Apache ZooKeeper's: the same keys and the
same formats."""

import re
import unittest

from tests.interop import jute
from tests.interop.history import OPEN
from tests.interop.jute import CREATE, EXISTS, GET_DATA
from tests.interop.servers import kind_under_test, wait_until
from tests.interop.words import MONITORED, Operated, form, shape

PAIR = []  # the reference, and the server under test
# Members of the reference's answers that are about its own insides, or need what we do not count.
OF_ITS_OWN = {
    "server_stats": {"client_response"},
    "stats": {"client_response"},
    "environment": None,  # of the Java machine
    "monitor": None,      # see MONITORED
}
INNER = {"fsync_threshold_exceed_count", "client_response_stats", "non_mtlsremote_conn_count",
         "non_mtlslocal_conn_count"}


def setUpModule():
    for kind in ("zookeeper", kind_under_test()):
        operated = Operated(kind)
        unittest.addModuleCleanup(operated.close)
        PAIR.append(operated)
        for client in (jute.Client(operated.ensemble.port), jute.Client(operated.ensemble.port)):
            unittest.addModuleCleanup(client.close)
            for name in ("/e1", "/e2"):
                client.call(CREATE, name, b"x", OPEN, 1)
            client.call(GET_DATA, "/e1", True)
            client.call(EXISTS, "/none", True)


class Compared(unittest.TestCase):
    maxDiff = None

    def assert_same(self, answers):
        self.assertEqual(answers[1], answers[0])

    def words(self, name):
        return [operated.word(name) for operated in PAIR]


class WordsTest(Compared):
    def test_short_answers_are_the_same_to_the_byte(self):
        for name in ("ruok", "isro", "srst", "wchs"):
            with self.subTest(name):
                self.assert_same(self.words(name))

    def test_connections_start_their_counts_again(self):
        self.assert_same(self.words("crst"))
        self.assert_same([sorted(form(text).splitlines()) for text in self.words("cons")])
        self.assert_same([re.findall("lop=[A-Z]+", text) for text in self.words("cons")])

    def test_srvr_has_the_same_lines(self):
        self.assert_same([form(text) for text in self.words("srvr")])

    def test_stat_and_cons_have_the_same_lines_for_connections(self):
        for name in ("stat", "cons"):
            with self.subTest(name):
                texts = [re.sub("lop=[A-Z]+", "lop=OP", form(text)) for text in self.words(name)]
                self.assert_same([sorted(text.splitlines()) for text in texts])

    def test_watches_are_listed_by_session_and_by_path(self):
        for name in ("wchc", "wchp"):
            with self.subTest(name):
                texts = [form(text).split("\n") for text in self.words(name)]
                self.assert_same([sorted(lines[:-2]) + lines[-2:] for lines in texts])

    def test_dump_lists_ephemeral_nodes_by_session(self):
        texts = [form(text) for text in self.words("dump")]
        for text in texts:
            self.assertTrue(text.startswith("SessionTracker dump:\n"), text)
        self.assert_same([text[text.index("ephemeral nodes dump:"):].split("Connections")[0]
                          for text in texts])

    def test_conf_has_the_same_keys(self):
        self.assert_same([sorted(line.split("=")[0] for line in text.splitlines())
                          for text in self.words("conf")])

    def test_conf_tells_how_much_is_on_disk(self):
        conf = dict(line.split("=") for line in PAIR[1].word("conf").splitlines())
        dirs = dict(line.split(": ") for line in PAIR[1].word("dirs").splitlines())
        self.assertEqual((conf["dataDirSize"], conf["dataLogSize"]),
                         (dirs["datadir_size"], dirs["logdir_size"]))
        self.assertGreater(int(conf["dataLogSize"]), 0)

    def test_dirs_and_envi_have_the_same_format(self):
        self.assert_same([form(text) for text in self.words("dirs")])
        for text in self.words("envi"):
            self.assertRegex(text, r"^Environment:\nzookeeper\.version=3\.9\.\d+-.*, built on .*\n"
                                   r"host\.name=\S+\n")

    def test_mntr_has_what_monitoring_systems_read(self):
        found = [operated.monitored() for operated in PAIR]
        self.assert_same([{key: form(f"{key}\t{values.get(key)}") for key in MONITORED}
                          for values in found])
        for key in ("ephemerals_count", "watch_count", "global_sessions", "server_state"):
            self.assertEqual(found[1][key], found[0][key], key)

    def test_an_unknown_word_gets_no_answer(self):
        self.assert_same(self.words("nope"))


class AdminServerTest(Compared):
    def names(self):
        return re.findall(r'href="/commands/(\w+)"', PAIR[1].fetch("")[1])

    def shapes(self, name):
        shapes = [shape(operated.command(name)) for operated in PAIR]
        for key in OF_ITS_OWN.get(name, ()) or ():
            shapes[0].pop(key)
        for answer in shapes:
            for key in INNER & set(answer.get("server_stats", ())):
                answer["server_stats"].pop(key)
        return shapes

    def test_the_list_is_a_page_of_links(self):
        kind, text = PAIR[1].fetch("")
        self.assertIn('<a href="/commands/monitor">monitor</a>\n<br/>', text)
        self.assertTrue(set(self.names()) <= set(re.findall(r"/commands/(\w+)",
                                                            PAIR[0].fetch("")[1])))
        self.assertGreaterEqual(len(self.names()), 18)

    def test_every_command_has_the_members_of_the_original(self):
        for name in set(self.names()) - {"configuration", "dump", "environment", "monitor"}:
            with self.subTest(name):
                self.assert_same(self.shapes(name))

    def test_the_configuration_has_at_least_the_members_of_the_original(self):
        reference, ours = self.shapes("configuration")
        self.assertEqual(ours | reference, ours)

    def test_what_is_dumped_is_the_same_nodes(self):
        nodes = [sorted(map(sorted, operated.command("dump")["session_id_to_ephemeral_paths"]
                            .values())) for operated in PAIR]
        self.assertEqual(nodes, [[["/e1", "/e2"]]] * 2)

    def test_the_monitor_has_what_monitoring_systems_read(self):
        found = [shape(operated.command("monitor")) for operated in PAIR]
        self.assert_same([{key: values.get(key) for key in MONITORED} for values in found])

    def test_watches_and_connections_are_the_same(self):
        def watched(operated):
            sessions = operated.command("watches")["session_id_to_watched_paths"]
            by_path = operated.command("watches_by_path")["path_to_session_ids"]
            return (sorted(map(sorted, sessions.values())),
                    {path: len(ids) for path, ids in by_path.items()},
                    len(operated.command("connections")["connections"]))
        self.assert_same([watched(operated) for operated in PAIR])
        self.assertEqual(watched(PAIR[1])[1], {"/e1": 2, "/none": 2})

    def test_aliases_and_unknown_names(self):
        for name in ("mntr", "stat", "ruok", "nope"):
            with self.subTest(name):
                answers = [operated.command(name) for operated in PAIR]
                self.assert_same([(answer["command"], answer["error"]) for answer in answers])

    def test_counts_start_again(self):
        for operated in PAIR:
            wait_until("something was received", lambda o=operated: o.command("stats")[
                "server_stats"]["packets_received"] + int(bool(o.word("ruok"))) > 1)
        self.assert_same([operated.command("stat_reset") for operated in PAIR])
        received = [operated.command("stats")["server_stats"]["packets_received"]
                    for operated in PAIR]
        self.assert_same(received)


if __name__ == "__main__":
    unittest.main()
