import static org.apache.zookeeper.Watcher.Event.EventType.NodeChildrenChanged;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeCreated;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeDataChanged;
import static org.apache.zookeeper.Watcher.Event.EventType.NodeDeleted;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/** The Java client of ZooKeeper by itself. */
final class PlainCases {
    private static final byte[] NOTHING = Case.NOTHING;

    private PlainCases() {}

    static void run(Cases cases) {
        nodes(cases);
        watches(cases);
        transactions(cases);
        sessions(cases);
    }

    private static String create(ZooKeeper zk, String path, CreateMode mode) throws Exception {
        return zk.create(path, NOTHING, OPEN_ACL_UNSAFE, mode);
    }

    private static void nodes(Cases cases) {
        cases.test("a node goes through its whole life", t -> {
            ZooKeeper zk = t.clientWithRoot();
            Stat stat = new Stat();
            Case.equal(t.at("a"), zk.create(t.at("a"), "one".getBytes(), OPEN_ACL_UNSAFE,
                    CreateMode.PERSISTENT, stat));
            Case.equal(stat, zk.exists(t.at("a"), false));
            Case.equal(1, zk.setData(t.at("a"), "two!".getBytes(), 0).getVersion());
            Case.equal("two!", new String(zk.getData(t.at("a"), false, stat)));
            Case.equal(4, stat.getDataLength());
            zk.setData(t.at("a"), null, 1);
            Case.equal(null, zk.getData(t.at("a"), false, null));
            zk.delete(t.at("a"), 2);
            Case.equal(null, zk.exists(t.at("a"), false));
        });
        cases.test("refusals have their own exceptions", t -> {
            ZooKeeper zk = t.clientWithRoot();
            create(zk, t.at("a"), CreateMode.PERSISTENT);
            create(zk, t.at("a/e"), CreateMode.EPHEMERAL);
            Case.refused(Code.NODEEXISTS, () -> create(zk, t.at("a"), CreateMode.PERSISTENT));
            Case.refused(Code.NONODE, () -> create(zk, t.at("x/y"), CreateMode.PERSISTENT));
            Case.refused(Code.NOCHILDRENFOREPHEMERALS,
                    () -> create(zk, t.at("a/e/c"), CreateMode.PERSISTENT));
            Case.refused(Code.NOTEMPTY, () -> zk.delete(t.at("a"), -1));
            Case.refused(Code.BADVERSION, () -> zk.setData(t.at("a"), NOTHING, 5));
            Case.refused(Code.NOWATCHER, () -> zk.removeAllWatches(t.at("a"),
                    Watcher.WatcherType.Any, false));
        });
        cases.test("every kind of node can be made", t -> {
            ZooKeeper zk = t.clientWithRoot();
            Stat stat = new Stat();
            Case.equal(t.at("s0000000000"),
                    create(zk, t.at("s"), CreateMode.PERSISTENT_SEQUENTIAL));
            Case.equal(t.at("s0000000001"), create(zk, t.at("s"), CreateMode.EPHEMERAL_SEQUENTIAL));
            create(zk, t.at("c"), CreateMode.CONTAINER);
            zk.create(t.at("t"), NOTHING, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, stat,
                    3_600_000);
            Case.equal(t.at("t0000000004"), zk.create(t.at("t"), NOTHING, OPEN_ACL_UNSAFE,
                    CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, stat, 3_600_000));
            Case.equal(List.of(t.at("s0000000001")), zk.getEphemerals(t.root));
            Case.equal(5, zk.getAllChildrenNumber(t.root));
            Case.equal(5, zk.getChildren(t.root, false, stat).size());
            Case.equal(5, stat.getNumChildren());
        });
        cases.test("a node with a lifetime and an emptied container go by themselves", t -> {
            ZooKeeper zk = t.clientWithRoot();
            zk.create(t.at("t"), NOTHING, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
                    new Stat(), 1);
            create(zk, t.at("c"), CreateMode.CONTAINER);
            create(zk, t.at("c/x"), CreateMode.PERSISTENT);
            zk.delete(t.at("c/x"), -1);
            Case.until("both are gone", () -> zk.getChildren(t.root, false).isEmpty());
        });
        cases.test("ten thousand requests in flight are answered in order", t -> {
            ZooKeeper zk = t.clientWithRoot();
            int count = 10_000;
            CountDownLatch answers = new CountDownLatch(count);
            AtomicInteger wrong = new AtomicInteger();
            for (int i = 0; i < count; i++) {
                String want = String.format("%s%010d", t.at("s"), i);
                zk.create(t.at("s"), NOTHING, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL,
                        (rc, path, context, name) -> {
                            wrong.addAndGet(rc != 0 || !want.equals(name) ? 1 : 0);
                            answers.countDown();
                        }, null);
            }
            Case.check(answers.await(Case.WAIT_S, TimeUnit.SECONDS), "all are answered");
            Case.equal(0, wrong.get());
            Case.equal(count, zk.getAllChildrenNumber(t.root));
        });
        cases.test("a list of children may be large", t -> {
            ZooKeeper zk = t.clientWithRoot();
            String stem = t.at("a-rather-long-name-for-a-node-of-which-there-are-many-");
            CountDownLatch answers = new CountDownLatch(6000);
            for (int i = 0; i < 6000; i++) {
                zk.create(stem + i, NOTHING, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                        (rc, path, context, name) -> answers.countDown(), null);
            }
            Case.check(answers.await(Case.WAIT_S, TimeUnit.SECONDS), "all are answered");
            Case.equal(6000, zk.getChildren(t.root, false).size());
        });
    }

    private static void watches(Cases cases) {
        cases.test("a watch fires once", t -> {
            ZooKeeper zk = t.clientWithRoot();
            Case.Events events = new Case.Events();
            Case.equal(null, zk.exists(t.at("a"), events::add));
            zk.getChildren(t.root, events::add);
            create(zk, t.at("a"), CreateMode.PERSISTENT);
            events.expect(NodeCreated, t.at("a"));
            events.expect(NodeChildrenChanged, t.root);
            zk.getData(t.at("a"), events::add, null);
            zk.setData(t.at("a"), NOTHING, -1);
            zk.setData(t.at("a"), NOTHING, -1);
            events.expect(NodeDataChanged, t.at("a"));
            zk.exists(t.at("a"), events::add);
            zk.delete(t.at("a"), -1);
            events.expect(NodeDeleted, t.at("a"));
            events.expectNothing();
        });
        cases.test("a persistent watch stays", t -> {
            ZooKeeper zk = t.clientWithRoot();
            Case.Events events = new Case.Events();
            zk.addWatch(t.root, events::add, AddWatchMode.PERSISTENT);
            for (int i = 0; i < 3; i++) {
                zk.setData(t.root, NOTHING, -1);
                create(zk, t.at("n" + i), CreateMode.PERSISTENT);
                events.expect(NodeDataChanged, t.root);
                events.expect(NodeChildrenChanged, t.root);
            }
            zk.removeAllWatches(t.root, Watcher.WatcherType.Any, false);
            zk.setData(t.root, NOTHING, -1);
            zk.exists(t.root, false);
            events.expectNothing();
        });
        cases.test("a persistent recursive watch tells of the whole tree", t -> {
            ZooKeeper zk = t.clientWithRoot();
            Case.Events events = new Case.Events();
            zk.addWatch(t.root, events::add, AddWatchMode.PERSISTENT_RECURSIVE);
            create(zk, t.at("a"), CreateMode.PERSISTENT);
            create(zk, t.at("a/b"), CreateMode.PERSISTENT);
            zk.setData(t.at("a/b"), NOTHING, -1);
            zk.delete(t.at("a/b"), -1);
            zk.setData(t.root, NOTHING, -1);
            events.expect(NodeCreated, t.at("a"));
            events.expect(NodeCreated, t.at("a/b"));
            events.expect(NodeDataChanged, t.at("a/b"));
            events.expect(NodeDeleted, t.at("a/b"));
            events.expect(NodeDataChanged, t.root);
            events.expectNothing();
        });
        cases.test("one of several watches can be removed", t -> {
            ZooKeeper zk = t.clientWithRoot();
            Case.Events kept = new Case.Events();
            Case.Events removed = new Case.Events();
            Watcher watcher = removed::add;
            zk.getData(t.root, kept::add, null);
            zk.getData(t.root, watcher, null);
            zk.removeWatches(t.root, watcher, Watcher.WatcherType.Data, false);
            zk.setData(t.root, NOTHING, -1);
            kept.expect(NodeDataChanged, t.root);
            removed.expectNothing();
        });
    }

    private static void transactions(Cases cases) {
        cases.test("a transaction happens as a whole", t -> {
            ZooKeeper zk = t.clientWithRoot();
            List<OpResult> results = zk.multi(List.of(
                    Op.create(t.at("a"), NOTHING, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                    Op.create(t.at("a/s-"), NOTHING, OPEN_ACL_UNSAFE,
                            CreateMode.EPHEMERAL_SEQUENTIAL),
                    Op.setData(t.at("a"), "x".getBytes(), 0),
                    Op.check(t.at("a"), 1),
                    Op.create(t.at("t"), NOTHING, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
                            3_600_000)));
            Case.equal(t.at("a/s-0000000000"), ((OpResult.CreateResult) results.get(1)).getPath());
            Case.equal(1, ((OpResult.SetDataResult) results.get(2)).getStat().getVersion());
            Case.equal(2, zk.getAllChildrenNumber(t.root) - 1);
        });
        cases.test("a refused transaction leaves nothing", t -> {
            ZooKeeper zk = t.clientWithRoot();
            try {
                zk.multi(List.of(
                        Op.create(t.at("a"), NOTHING, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                        Op.delete(t.at("missing"), -1),
                        Op.check(t.root, -1)));
                throw new AssertionError("it was done");
            } catch (KeeperException e) {
                Case.equal(Code.NONODE, e.code());
                List<OpResult> results = e.getResults();
                int[] want = {0, Code.NONODE.intValue(), Code.RUNTIMEINCONSISTENCY.intValue()};
                for (int i = 0; i < want.length; i++) {
                    Case.equal(want[i], ((OpResult.ErrorResult) results.get(i)).getErr());
                }
            }
            Case.equal(List.of(), zk.getChildren(t.root, false));
        });
        cases.test("several reads go together", t -> {
            ZooKeeper zk = t.clientWithRoot();
            zk.create(t.at("a"), "data".getBytes(), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            List<OpResult> results = zk.multi(List.of(Op.getData(t.at("a")),
                    Op.getChildren(t.root), Op.getData(t.at("missing"))));
            Case.equal("data", new String(((OpResult.GetDataResult) results.get(0)).getData()));
            Case.equal(List.of("a"), ((OpResult.GetChildrenResult) results.get(1)).getChildren());
            Case.equal(Code.NONODE.intValue(), ((OpResult.ErrorResult) results.get(2)).getErr());
        });
    }

    private static void sessions(Cases cases) {
        cases.test("a client knows who it is", t -> {
            ZooKeeper zk = t.clientWithRoot();
            zk.addAuthInfo("digest", "bob:pw".getBytes());
            List<ClientInfo> known = zk.whoAmI();
            Case.check(known.contains(new ClientInfo("digest", "bob")), "digest:bob in " + known);
            Case.check(known.contains(new ClientInfo("ip", "127.0.0.1")), "ip in " + known);
        });
        cases.test("ACLs admit who knows the password", t -> {
            ZooKeeper owner = t.clientWithRoot();
            ZooKeeper other = t.client();
            owner.addAuthInfo("digest", "bob:pw".getBytes());
            owner.create(t.at("a"), "x".getBytes(), ZooDefs.Ids.CREATOR_ALL_ACL,
                    CreateMode.PERSISTENT);
            sync(other, t.root);
            Case.refused(Code.NOAUTH, () -> other.getData(t.at("a"), false, null));
            Stat stat = new Stat();
            Case.equal(List.of(new ACL(ZooDefs.Perms.ALL,
                    new Id("digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="))),
                    owner.getACL(t.at("a"), stat));
            owner.setACL(t.at("a"), ZooDefs.Ids.READ_ACL_UNSAFE, stat.getAversion());
            sync(other, t.root);
            Case.equal("x", new String(other.getData(t.at("a"), false, null)));
            Case.refused(Code.NOAUTH, () -> other.setData(t.at("a"), NOTHING, -1));
            Case.refused(Code.INVALIDACL, () -> other.create(t.at("b"), NOTHING,
                    Collections.emptyList(), CreateMode.PERSISTENT));
        });
        cases.test("an unknown scheme ends the session", t -> {
            CompletableFuture<Boolean> failed = new CompletableFuture<>();
            ZooKeeper zk = t.client();
            zk.register(event -> {
                if (event.getState() == Watcher.Event.KeeperState.AuthFailed) {
                    failed.complete(true);
                }
            });
            zk.addAuthInfo("nonesuch", NOTHING);
            failed.get(Case.WAIT_S, TimeUnit.SECONDS);
            Case.refused(Code.AUTHFAILED, () -> zk.exists("/", false));
        });
        cases.test("an ephemeral node goes with its session", t -> {
            ZooKeeper zk = t.clientWithRoot();
            ZooKeeper other = t.client();
            create(other, t.at("e"), CreateMode.EPHEMERAL);
            sync(zk, t.root);
            Case.Events events = new Case.Events();
            Case.equal(other.getSessionId(), zk.exists(t.at("e"), events::add).getEphemeralOwner());
            other.close();
            events.expect(NodeDeleted, t.at("e"));
        });
        cases.test("a session can be taken over with its password, and with no other", t -> {
            ZooKeeper zk = t.clientWithRoot();
            create(zk, t.at("e"), CreateMode.EPHEMERAL);
            Case.Events events = new Case.Events();
            CompletableFuture<Watcher.Event.KeeperState> stranger = new CompletableFuture<>();
            ZooKeeper wrong = new ZooKeeper(t.hosts, Case.SESSION_MS,
                    event -> stranger.complete(event.getState()), zk.getSessionId(), new byte[16]);
            t.keep(wrong::close);
            Case.equal(Watcher.Event.KeeperState.Expired,
                    stranger.get(Case.WAIT_S, TimeUnit.SECONDS));
            Case.equal(zk.getSessionId(), zk.exists(t.at("e"), events::add).getEphemeralOwner());
        });
        cases.test("a client that could do with reading only gets a full session", t -> {
            ZooKeeper zk = t.client(t.hosts, true);
            Case.equal(ZooKeeper.States.CONNECTED, zk.getState());
            create(zk, t.root, CreateMode.EPHEMERAL);
        });
        cases.test("a root of its own is the client's whole world", t -> {
            t.clientWithRoot();
            ZooKeeper inside = t.client(t.hosts + t.root, false);
            Case.Events events = new Case.Events();
            inside.addWatch("/", events::add, AddWatchMode.PERSISTENT_RECURSIVE);
            Case.equal("/a", create(inside, "/a", CreateMode.PERSISTENT));
            events.expect(NodeCreated, "/a");
            Case.equal(List.of("a"), inside.getChildren("/", false));
        });
    }

    static void sync(ZooKeeper zk, String path) throws Exception {
        CompletableFuture<Integer> done = new CompletableFuture<>();
        zk.sync(path, (rc, name, context) -> done.complete(rc), null);
        Case.equal(0, done.get(Case.WAIT_S, TimeUnit.SECONDS));
    }
}
