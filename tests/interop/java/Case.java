import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryForever;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

/** What one case works with: a path of its own, clients that are closed behind it, and checks. */
final class Case {
    static final int WAIT_S = 40;
    static final int SESSION_MS = 20_000;
    static final byte[] NOTHING = new byte[0];

    interface Body {
        void run() throws Exception;
    }

    interface Question {
        boolean ask() throws Exception;
    }

    final String hosts;
    final String root = "/j-" + UUID.randomUUID();
    private final Deque<AutoCloseable> open = new ArrayDeque<>();

    Case(String hosts) {
        this.hosts = hosts;
    }

    String at(String name) {
        return root + "/" + name;
    }

    /** Closed, newest first, when the case is over. */
    synchronized <T extends AutoCloseable> T keep(T resource) {
        open.push(resource);
        return resource;
    }

    synchronized void close() {
        while (!open.isEmpty()) {
            try {
                open.pop().close();
            } catch (Exception | AssertionError e) {
                // it may be closed already, or its server dead: the case has said what matters
            }
        }
    }

    /** A client of its own, connected. */
    ZooKeeper client() throws Exception {
        return client(hosts, false);
    }

    ZooKeeper client(String hosts, boolean readOnly) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(hosts, SESSION_MS, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        }, readOnly);
        keep(zk::close);
        check(connected.await(WAIT_S, TimeUnit.SECONDS), "connected");
        return zk;
    }

    /** A client whose root node exists. */
    ZooKeeper clientWithRoot() throws Exception {
        ZooKeeper zk = client();
        zk.create(root, NOTHING, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        return zk;
    }

    CuratorFramework curator() throws Exception {
        CuratorFramework client = keep(CuratorFrameworkFactory.builder().connectString(hosts)
                .sessionTimeoutMs(SESSION_MS).connectionTimeoutMs(SESSION_MS)
                .retryPolicy(new RetryForever(50)).build());
        client.start();
        check(client.blockUntilConnected(WAIT_S, TimeUnit.SECONDS), "connected");
        return client;
    }

    /** What has happened to nodes, in its order; states and removals of watches are left out. */
    static final class Events {
        private final BlockingQueue<WatchedEvent> queue = new LinkedBlockingQueue<>();

        void add(WatchedEvent event) {
            switch (event.getType()) {
                case None, DataWatchRemoved, ChildWatchRemoved, PersistentWatchRemoved -> { }
                default -> queue.add(event);
            }
        }

        void expect(Watcher.Event.EventType type, String path) throws Exception {
            WatchedEvent event = queue.poll(WAIT_S, TimeUnit.SECONDS);
            check(event != null, "an event " + type + " " + path);
            equal(type + " " + path, event.getType() + " " + event.getPath());
        }

        /** Whether that has come by now. */
        boolean has(Watcher.Event.EventType type, String path) {
            return queue.stream().anyMatch(e -> e.getType() == type && e.getPath().equals(path));
        }

        void expectNothing() {
            equal(null, queue.peek());
        }
    }

    /** Tells the test to do something to the servers, and waits until that is done. */
    static synchronized void ask(String what) throws Exception {
        Cases.OUT.println("ask " + what);
        Cases.OUT.flush();
        check(Cases.ANSWERS.readLine() != null, "an answer");
    }

    static void check(boolean fact, String what) {
        if (!fact) {
            throw new AssertionError("not so: " + what);
        }
    }

    static void equal(Object want, Object got) {
        if (!Objects.equals(want, got)) {
            throw new AssertionError("wanted <" + want + ">, got <" + got + ">");
        }
    }

    static void refused(KeeperException.Code code, Body body) throws Exception {
        try {
            body.run();
        } catch (KeeperException e) {
            equal(code, e.code());
            return;
        }
        throw new AssertionError("wanted " + code + ", but it was done");
    }

    static void until(String what, Question question) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_S);
        while (!question.ask()) {
            check(System.nanoTime() < end, what + " within " + WAIT_S + " s");
            Thread.sleep(10);
        }
    }
}
