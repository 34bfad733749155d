// The Java client of ZooKeeper and Curator's recipes against a server: "ok NAME" or "not ok NAME: why"
// for each case on stdout. Usage: Cases HOSTS. Between "kill the leader" on stdout and a line on stdin
// somebody kills it.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.retry.ExponentialBackoffRetry;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

public final class Cases {
    private static final int TIMEOUT_MS = 10000;
    private static final int WAIT_S = 30;
    private static String hosts;
    private static BufferedReader input;

    private interface Case {
        void run(Stage stage) throws Exception;
    }

    // A client and a root of its own for each case.
    private static final class Stage implements AutoCloseable {
        final CuratorFramework curator = connect();
        final ZooKeeper zk;
        final String root;

        Stage(String name) throws Exception {
            zk = curator.getZookeeperClient().getZooKeeper();
            root = "/j-" + Long.toHexString(zk.getSessionId()) + "-" + name;
            curator.create().forPath(root);
        }

        String at(String name) {
            return root + "/" + name;
        }

        @Override
        public void close() {
            curator.close();
        }
    }

    private static CuratorFramework connect() throws Exception {
        CuratorFramework curator = CuratorFrameworkFactory.builder()
                .connectString(hosts)
                .sessionTimeoutMs(TIMEOUT_MS)
                .connectionTimeoutMs(TIMEOUT_MS)
                .retryPolicy(new ExponentialBackoffRetry(100, 20, 1000))
                .build();
        curator.start();
        must(curator.blockUntilConnected(WAIT_S, TimeUnit.SECONDS), "connected");
        return curator;
    }

    private static void must(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException("not so: " + what);
        }
    }

    private static void same(Object expected, Object got) {
        must(expected.equals(got), expected + " is " + got);
    }

    private interface Action {
        void run() throws Exception;
    }

    private static void refused(KeeperException.Code code, Action action) throws Exception {
        try {
            action.run();
        } catch (KeeperException e) {
            same(code, e.code());
            return;
        }
        throw new IllegalStateException("not refused with " + code);
    }

    private static void eventually(String what, java.util.concurrent.Callable<Boolean> condition)
            throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_S);
        while (!condition.call()) {
            must(System.nanoTime() < end, what);
            Thread.sleep(10);
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    // THE PLAIN CLIENT

    private static void nodesLive(Stage stage) throws Exception {
        ZooKeeper zk = stage.zk;
        Stat stat = new Stat();
        zk.create(stage.at("a"), bytes("one"), ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
        same(3, stat.getDataLength());
        same("one", new String(zk.getData(stage.at("a"), false, stat), StandardCharsets.UTF_8));
        same(1, zk.setData(stage.at("a"), bytes("two!"), 0).getVersion());
        refused(KeeperException.Code.BADVERSION, () -> zk.setData(stage.at("a"), bytes("x"), 0));
        refused(KeeperException.Code.NODEEXISTS, () -> zk.create(stage.at("a"), null,
                ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        refused(KeeperException.Code.NONODE, () -> zk.getData(stage.at("b"), false, null));
        String sequential = zk.create(stage.at("s-"), null, ZooDefs.Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_SEQUENTIAL);
        must(sequential.endsWith("0000000001"), sequential);
        same(2, zk.getAllChildrenNumber(stage.root));
        same(2, zk.getChildren(stage.root, false).size());
        zk.sync(stage.root);
        zk.delete(stage.at("a"), 1);
        same(1, zk.getChildren(stage.root, false).size());
    }

    private static void transactionsAreWhole(Stage stage) throws Exception {
        List<OpResult> results = stage.zk.multi(Arrays.asList(
                Op.create(stage.at("a"), bytes("1"), ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData(stage.at("a"), bytes("2"), 0), Op.check(stage.at("a"), 1)));
        same(3, results.size());
        refused(KeeperException.Code.BADVERSION, () -> stage.zk.multi(Arrays.asList(
                Op.delete(stage.at("a"), -1), Op.check(stage.root, 77))));
        must(stage.zk.exists(stage.at("a"), false) != null, "nothing of it was done");
        List<OpResult> read = stage.zk.multi(Arrays.asList(
                Op.getData(stage.at("a")), Op.getChildren(stage.root), Op.getData(stage.at("none"))));
        same("2", new String(((OpResult.GetDataResult) read.get(0)).getData(), StandardCharsets.UTF_8));
        same(Collections.singletonList("a"), ((OpResult.GetChildrenResult) read.get(1)).getChildren());
        same(KeeperException.Code.NONODE.intValue(), ((OpResult.ErrorResult) read.get(2)).getErr());
        stage.curator.transaction().forOperations(
                stage.curator.transactionOp().create().forPath(stage.at("t")),
                stage.curator.transactionOp().delete().forPath(stage.at("t")));
        must(stage.zk.exists(stage.at("t"), false) == null, "made and removed");
    }

    private static void persistentRecursiveWatchesTellAll(Stage stage) throws Exception {
        BlockingQueue<WatchedEvent> events = new ArrayBlockingQueue<>(100);
        Watcher watcher = events::add;
        stage.zk.addWatch(stage.root, watcher, AddWatchMode.PERSISTENT_RECURSIVE);
        try (CuratorFramework other = connect()) {
            other.create().forPath(stage.at("a"), bytes("1"));
            other.create().forPath(stage.at("a") + "/b");
            other.setData().forPath(stage.at("a"), bytes("2"));
            other.delete().deletingChildrenIfNeeded().forPath(stage.at("a"));
        }
        List<String> seen = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            WatchedEvent event = events.poll(WAIT_S, TimeUnit.SECONDS);
            seen.add(event.getType() + " " + event.getPath().substring(stage.root.length()));
        }
        same(Arrays.asList("NodeCreated /a", "NodeCreated /a/b", "NodeDataChanged /a",
                "NodeDeleted /a/b", "NodeDeleted /a"), seen);
        stage.zk.removeWatches(stage.root, watcher, Watcher.WatcherType.Any, false);
        refused(KeeperException.Code.NOWATCHER,
                () -> stage.zk.removeWatches(stage.root, watcher, Watcher.WatcherType.Any, false));
    }

    private static void aclsAdmitWhoKnowsThePassword(Stage stage) throws Exception {
        stage.zk.addAuthInfo("digest", bytes("bob:secret"));
        stage.zk.create(stage.at("p"), bytes("x"), ZooDefs.Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        same("digest", stage.zk.getACL(stage.at("p"), new Stat()).get(0).getId().getScheme());
        same(2, stage.zk.whoAmI().size());
        try (CuratorFramework other = connect()) {
            ZooKeeper stranger = other.getZookeeperClient().getZooKeeper();
            refused(KeeperException.Code.NOAUTH, () -> stranger.getData(stage.at("p"), false, null));
            stranger.addAuthInfo("digest", bytes("bob:secret"));
            same(1, stranger.getData(stage.at("p"), false, null).length);
        }
    }

    private static void containersAndTtlNodesAreKinds(Stage stage) throws Exception {
        stage.zk.create(stage.at("c"), null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        stage.zk.create(stage.at("c") + "/x", null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        stage.zk.create(stage.at("t"), null, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL,
                new Stat(), 100);
        same(1, stage.zk.getEphemerals().size());
        try (PersistentTtlNode node =
                new PersistentTtlNode(stage.curator, stage.at("n"), 60000, bytes("x"))) {
            node.start();
            must(node.waitForInitialCreate(WAIT_S, TimeUnit.SECONDS), "it is made");
        }
    }

    // RECIPES

    private static void aLockIsHeldByOneAtATime(Stage stage) throws Exception {
        AtomicInteger inside = new AtomicInteger(), times = new AtomicInteger();
        ExecutorService threads = Executors.newFixedThreadPool(4);
        List<Future<Void>> all = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            all.add(threads.submit(() -> {
                try (CuratorFramework own = connect()) {
                    InterProcessMutex lock = new InterProcessMutex(own, stage.at("lock"));
                    for (int k = 0; k < 10; k++) {
                        must(lock.acquire(WAIT_S, TimeUnit.SECONDS), "acquired");
                        same(1, inside.incrementAndGet());
                        times.incrementAndGet();
                        inside.decrementAndGet();
                        lock.release();
                    }
                }
                return null;
            }));
        }
        for (Future<Void> one : all) {
            one.get();
        }
        threads.shutdown();
        same(40, times.get());
    }

    private static void readersShareAndWritersDoNot(Stage stage) throws Exception {
        try (CuratorFramework other = connect()) {
            InterProcessReadWriteLock one = new InterProcessReadWriteLock(stage.curator, stage.at("rw"));
            InterProcessReadWriteLock two = new InterProcessReadWriteLock(other, stage.at("rw"));
            one.readLock().acquire();
            must(two.readLock().acquire(WAIT_S, TimeUnit.SECONDS), "read and read");
            two.readLock().release();
            must(!two.writeLock().acquire(200, TimeUnit.MILLISECONDS), "read and write");
            one.readLock().release();
            must(two.writeLock().acquire(WAIT_S, TimeUnit.SECONDS), "write alone");
            two.writeLock().release();
        }
    }

    private static void aSemaphoreHasAsManyLeases(Stage stage) throws Exception {
        InterProcessSemaphoreV2 semaphore =
                new InterProcessSemaphoreV2(stage.curator, stage.at("semaphore"), 2);
        Lease one = semaphore.acquire();
        semaphore.acquire();
        must(semaphore.acquire(200, TimeUnit.MILLISECONDS) == null, "no third");
        semaphore.returnLease(one);
        must(semaphore.acquire(WAIT_S, TimeUnit.SECONDS) != null, "the freed one");
    }

    private static void leadersFollowEachOther(Stage stage) throws Exception {
        try (CuratorFramework other = connect()) {
            LeaderLatch one = new LeaderLatch(stage.curator, stage.at("latch"), "one");
            LeaderLatch two = new LeaderLatch(other, stage.at("latch"), "two");
            one.start();
            must(one.await(WAIT_S, TimeUnit.SECONDS), "the first leads");
            two.start();
            eventually("both are candidates", () -> two.getParticipants().size() == 2);
            same("one", two.getLeader().getId());
            one.close();
            must(two.await(WAIT_S, TimeUnit.SECONDS), "then the second");
            two.close();
        }
    }

    private static void aSelectorGivesEachATurn(Stage stage) throws Exception {
        CountDownLatch turns = new CountDownLatch(2);
        LeaderSelectorListenerAdapter turn = new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework client) {
                turns.countDown();
            }
        };
        try (CuratorFramework other = connect();
                LeaderSelector one = new LeaderSelector(stage.curator, stage.at("select"), turn);
                LeaderSelector two = new LeaderSelector(other, stage.at("select"), turn)) {
            one.start();
            two.start();
            must(turns.await(WAIT_S, TimeUnit.SECONDS), "both had it");
        }
    }

    private static void barriersHold(Stage stage) throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(stage.curator, stage.at("barrier"));
        barrier.setBarrier();
        must(!barrier.waitOnBarrier(100, TimeUnit.MILLISECONDS), "it holds");
        barrier.removeBarrier();
        must(barrier.waitOnBarrier(WAIT_S, TimeUnit.SECONDS), "it is gone");
        ExecutorService threads = Executors.newFixedThreadPool(3);
        List<Future<Boolean>> all = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            all.add(threads.submit(() -> {
                try (CuratorFramework own = connect()) {
                    DistributedDoubleBarrier both =
                            new DistributedDoubleBarrier(own, stage.at("double"), 3);
                    return both.enter(WAIT_S, TimeUnit.SECONDS) && both.leave(WAIT_S, TimeUnit.SECONDS);
                }
            }));
        }
        for (Future<Boolean> one : all) {
            must(one.get(), "entered and left together");
        }
        threads.shutdown();
    }

    private static void aCacheFollowsTheTree(Stage stage) throws Exception {
        Set<String> there = Collections.synchronizedSet(new TreeSet<>());
        CuratorCache cache = CuratorCache.build(stage.curator, stage.root);
        CountDownLatch initialized = new CountDownLatch(1);
        cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(node -> there.add(node.getPath()))
                .forDeletes(node -> there.remove(node.getPath()))
                .forInitialized(initialized::countDown).build());
        cache.start();
        must(initialized.await(WAIT_S, TimeUnit.SECONDS), "initialized");
        Set<String> expected = new HashSet<>();
        expected.add(stage.root);
        for (int i = 0; i < 50; i++) {
            stage.curator.create().forPath(stage.at("n" + i));
            if (i % 3 == 0) {
                stage.curator.delete().forPath(stage.at("n" + i));
            } else {
                expected.add(stage.at("n" + i));
            }
        }
        eventually("the cache has it all", () -> there.equals(expected));
        cache.close();
    }

    private static void countersLoseNothing(Stage stage) throws Exception {
        DistributedAtomicLong number = new DistributedAtomicLong(stage.curator, stage.at("long"),
                new ExponentialBackoffRetry(10, 20));
        for (int i = 0; i < 20; i++) {
            must(number.increment().succeeded(), "incremented");
        }
        same(20L, number.get().postValue());
        try (SharedCount count = new SharedCount(stage.curator, stage.at("count"), 5)) {
            count.start();
            must(count.trySetCount(count.getVersionedValue(), 6), "set");
            same(6, count.getCount());
        }
    }

    private static void groupsKnowTheirMembers(Stage stage) throws Exception {
        try (CuratorFramework other = connect();
                GroupMember one = new GroupMember(stage.curator, stage.at("group"), "one");
                GroupMember two = new GroupMember(other, stage.at("group"), "two")) {
            one.start();
            two.start();
            eventually("both are seen", () -> one.getCurrentMembers().size() == 2);
            two.close();
            eventually("one is left", () -> one.getCurrentMembers().size() == 1);
        }
    }

    // Everything goes on when the leader has died: session, ephemerals, watches, lock, what was written.
    private static void aLeaderMayDie(Stage stage) throws Exception {
        long session = stage.zk.getSessionId();
        PersistentNode node =
                new PersistentNode(stage.curator, CreateMode.EPHEMERAL, false, stage.at("mine"), bytes("x"));
        node.start();
        must(node.waitForInitialCreate(WAIT_S, TimeUnit.SECONDS), "the ephemeral node");
        InterProcessMutex lock = new InterProcessMutex(stage.curator, stage.at("lock"));
        lock.acquire();
        CountDownLatch changed = new CountDownLatch(1);
        stage.curator.create().forPath(stage.at("watched"));
        stage.curator.getData().usingWatcher((Watcher) event -> {
            if (event.getType() == Watcher.Event.EventType.NodeDataChanged) {
                changed.countDown();
            }
        }).forPath(stage.at("watched"));
        for (int i = 0; i < 200; i++) {
            if (i == 100) {
                System.out.println("kill the leader");
                input.readLine();
            }
            try {
                stage.curator.create().forPath(stage.at("n" + i));
            } catch (KeeperException.NodeExistsException e) {
                // an attempt whose answer was lost
            }
        }
        try (CuratorFramework other = connect()) {
            other.setData().forPath(stage.at("watched"), bytes("2"));
            must(changed.await(WAIT_S, TimeUnit.SECONDS), "the watch");
            for (int i = 0; i < 200; i++) {
                must(other.checkExists().forPath(stage.at("n" + i)) != null, "n" + i);
            }
            InterProcessMutex rival = new InterProcessMutex(other, stage.at("lock"));
            must(!rival.acquire(200, TimeUnit.MILLISECONDS), "the lock is held");
            lock.release();
            must(rival.acquire(WAIT_S, TimeUnit.SECONDS), "the lock is passed on");
        }
        same(session, stage.curator.getZookeeperClient().getZooKeeper().getSessionId());
        must(stage.curator.checkExists().forPath(stage.at("mine")) != null, "the node");
        node.close();
    }

    private static int failed;

    private static void run(String name, Case one) {
        try (Stage stage = new Stage(name)) {
            one.run(stage);
            System.out.println("ok " + name);
        } catch (Throwable e) {
            failed++;
            System.out.println("not ok " + name + ": " + e + " at " + e.getStackTrace()[0]);
        }
    }

    public static void main(String[] arguments) {
        hosts = arguments[0];
        input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        run("nodesLive", Cases::nodesLive);
        run("transactionsAreWhole", Cases::transactionsAreWhole);
        run("persistentRecursiveWatchesTellAll", Cases::persistentRecursiveWatchesTellAll);
        run("aclsAdmitWhoKnowsThePassword", Cases::aclsAdmitWhoKnowsThePassword);
        run("containersAndTtlNodesAreKinds", Cases::containersAndTtlNodesAreKinds);
        run("aLockIsHeldByOneAtATime", Cases::aLockIsHeldByOneAtATime);
        run("readersShareAndWritersDoNot", Cases::readersShareAndWritersDoNot);
        run("aSemaphoreHasAsManyLeases", Cases::aSemaphoreHasAsManyLeases);
        run("leadersFollowEachOther", Cases::leadersFollowEachOther);
        run("aSelectorGivesEachATurn", Cases::aSelectorGivesEachATurn);
        run("barriersHold", Cases::barriersHold);
        run("aCacheFollowsTheTree", Cases::aCacheFollowsTheTree);
        run("countersLoseNothing", Cases::countersLoseNothing);
        run("groupsKnowTheirMembers", Cases::groupsKnowTheirMembers);
        run("aLeaderMayDie", Cases::aLeaderMayDie);
        System.exit(failed == 0 ? 0 : 1);
    }
}
