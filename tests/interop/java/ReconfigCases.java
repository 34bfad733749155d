import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.client.FourLetterWordMain;
import org.apache.zookeeper.data.Stat;

/** Members that leave and join again. */
final class ReconfigCases {
    private ReconfigCases() {}

    /** The address of the server that leads, or of the first that does not. */
    private static String server(Case t, boolean leads) throws Exception {
        String[] found = new String[1];
        Case.until("a server of that kind", () -> {
            for (String host : t.hosts.split(",")) {
                String[] parts = host.split(":");
                String text = FourLetterWordMain.send4LetterWord(parts[0],
                        Integer.parseInt(parts[1]), "srvr");
                if (text.contains(leads ? "Mode: leader" : "Mode: follower")) {
                    found[0] = host;
                    return true;
                }
            }
            return false;
        });
        return found[0];
    }

    /** With one server alone there is no other to go to when it ends the connection. */
    private static ZooKeeperAdmin admin(Case t, String hosts, String secret) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeperAdmin admin = new ZooKeeperAdmin(hosts, Case.SESSION_MS, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        t.keep(admin::close);
        Case.check(connected.await(Case.WAIT_S, TimeUnit.SECONDS), "connected");
        if (secret != null) {
            admin.addAuthInfo("digest", secret.getBytes());
        }
        return admin;
    }

    private static String line(String config, int id) {
        for (String line : config.split("\n")) {
            if (line.startsWith("server." + id + "=")) {
                return line;
            }
        }
        return null;
    }

    static void run(Cases cases) {
        cases.test("only the super user changes the members", t -> {
            ZooKeeperAdmin nobody = admin(t, server(t, true), null);
            Case.refused(Code.NOAUTH, () -> nobody.reconfigure((String) null, "3", null, -1, null));
        });
        cases.test("nonsense is refused", t -> {
            ZooKeeperAdmin admin = admin(t, server(t, true), "super:test");
            Case.refused(Code.BADARGUMENTS,
                    () -> admin.reconfigure("server.9=nonsense", null, null, -1, null));
            Case.refused(Code.BADVERSION,
                    () -> admin.reconfigure((String) null, "3", null, 0x7777, null));
        });
        cases.test("a member leaves and comes back", t -> {
            ZooKeeperAdmin admin = admin(t, server(t, true), "super:test");
            String before = new String(admin.getConfig(false, null));
            String host = server(t, false);
            int id = List.of(t.hosts.split(",")).indexOf(host) + 1;
            // A member that joins says where its clients come in.
            String joining = line(before, id) + ";" + host;
            Case.check(joining.endsWith(":participant;" + host), "its role in " + joining);
            Stat stat = new Stat();
            String without = new String(admin.reconfigure((String) null, "" + id, null, -1, stat));
            Case.equal(null, line(without, id));
            Case.equal(line(before, id % 3 + 1), line(without, id % 3 + 1));
            Case.equal(without, new String(admin.getConfig(false, null)));
            String again = new String(admin.reconfigure(joining, null, null, -1, stat));
            Case.equal(joining, line(again, id));
            Case.check(again.contains("\nversion="), "a version in " + again);
        });
        cases.test("a client of any server gets there when it tries again", t -> {
            ZooKeeperAdmin admin = admin(t, t.hosts, "super:test");
            Case.until("it is refused as nonsense", () -> {
                try {
                    admin.reconfigure("server.9=nonsense", null, null, -1, null);
                } catch (KeeperException.BadArgumentsException e) {
                    return true;
                } catch (KeeperException.ConnectionLossException e) {
                    return false;
                }
                throw new AssertionError("it was done");
            });
        });
    }
}
