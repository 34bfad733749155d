import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** What goes on while leaders die. Each case leaves all servers running. */
final class FailoverCases {
    private FailoverCases() {}

    static void run(Cases cases) {
        sessions(cases);
        recipes(cases);
        caches(cases);
    }

    interface Attempt<T> {
        T run() throws Exception;
    }

    /** Again until the answer is not that the connection was lost. */
    private static <T> T surely(Attempt<T> attempt) throws Exception {
        while (true) {
            try {
                return attempt.run();
            } catch (KeeperException.ConnectionLossException e) {
                Thread.sleep(10);
            }
        }
    }

    private static void sessions(Cases cases) {
        cases.test("a session outlives leaders with its node and every write", t -> {
            ZooKeeper zk = t.clientWithRoot();
            long session = zk.getSessionId();
            zk.create(t.at("e"), Case.NOTHING, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            for (int i = 0; i < 300; i++) {
                if (i == 100 || i == 200) {
                    Case.ask("kill-leader");
                }
                String path = t.at("n" + i);
                try {
                    surely(() -> zk.create(path, Case.NOTHING, ZooDefs.Ids.OPEN_ACL_UNSAFE,
                            CreateMode.PERSISTENT));
                } catch (KeeperException.NodeExistsException e) {
                    // the answer to an earlier attempt was lost
                }
                if (i == 150) {
                    Case.ask("restart");
                }
            }
            Case.ask("restart");
            Case.equal(301, surely(() -> zk.getAllChildrenNumber(t.root)));
            Case.equal(session, zk.getSessionId());
            Case.equal(session, surely(() -> zk.exists(t.at("e"), false)).getEphemeralOwner());
        });
        cases.test("all kinds of watches are set again and miss nothing", t -> {
            ZooKeeper writer = t.clientWithRoot();
            ZooKeeper zk = t.client();
            PlainCases.sync(zk, t.root);
            Case.Events data = new Case.Events();
            Case.Events created = new Case.Events();
            Case.Events children = new Case.Events();
            Case.Events below = new Case.Events();
            Case.Events stays = new Case.Events();
            zk.getData(t.root, data::add, null);
            zk.exists(t.at("a"), created::add);
            zk.getChildren(t.root, children::add);
            zk.addWatch(t.root, below::add, AddWatchMode.PERSISTENT_RECURSIVE);
            zk.addWatch(t.at("a"), stays::add, AddWatchMode.PERSISTENT);
            Case.ask("kill-leader");
            surely(() -> writer.setData(t.root, Case.NOTHING, -1));
            surely(() -> writer.create(t.at("a"), Case.NOTHING, ZooDefs.Ids.OPEN_ACL_UNSAFE,
                    CreateMode.PERSISTENT));
            var changed = org.apache.zookeeper.Watcher.Event.EventType.NodeDataChanged;
            data.expect(changed, t.root);
            created.expect(org.apache.zookeeper.Watcher.Event.EventType.NodeCreated, t.at("a"));
            children.expect(org.apache.zookeeper.Watcher.Event.EventType.NodeChildrenChanged,
                    t.root);
            // A persistent watch says nothing about the time it was away; it is there again now.
            Case.until("the persistent watches are back", () -> {
                surely(() -> writer.setData(t.at("a"), Case.NOTHING, -1));
                Thread.sleep(50);
                return below.has(changed, t.at("a")) && stays.has(changed, t.at("a"));
            });
            Case.ask("restart");
        });
    }

    private static void recipes(Cases cases) {
        cases.test("a mutex guards its subject", t -> {
            t.curator().create().forPath(t.root, "0".getBytes());
            AtomicInteger done = new AtomicInteger();
            List<CompletableFuture<Void>> threads = new ArrayList<>();
            for (CuratorFramework client : RecipeCases.curators(t, 3)) {
                threads.add(RecipeCases.start(() -> {
                    InterProcessMutex mutex = new InterProcessMutex(client, t.at("mutex"));
                    for (int i = 0; i < 30; i++) {
                        mutex.acquire();
                        Stat stat = new Stat();
                        int value = Integer.parseInt(new String(
                                client.getData().storingStatIn(stat).forPath(t.root)));
                        client.setData().idempotent().withVersion(stat.getVersion())
                                .forPath(t.root, String.valueOf(value + 1).getBytes());
                        mutex.release();
                        done.incrementAndGet();
                    }
                    return null;
                }));
            }
            for (int i = 1; i < 3; i++) {
                int mark = i * 20;
                Case.until("they work", () -> done.get() > mark);
                Case.ask("restart");
                Case.ask("kill-leader");
            }
            for (CompletableFuture<Void> thread : threads) {
                RecipeCases.result(thread);
            }
            Case.ask("restart");
            Case.equal("90", new String(t.curator().getData().forPath(t.root)));
        });
        cases.test("a leader latch passes on when its leader's client ends", t -> {
            List<LeaderLatch> latches = new ArrayList<>();
            for (CuratorFramework client : RecipeCases.curators(t, 3)) {
                LeaderLatch latch = t.keep(new LeaderLatch(client, t.at("latch")));
                latch.start();
                latches.add(latch);
            }
            for (int left = 3; left > 0; left--) {
                Case.ask("kill-leader");
                Case.until("one leads", () -> latches.stream()
                        .filter(LeaderLatch::hasLeadership).count() == 1);
                Case.ask("restart");
                LeaderLatch leader = latches.stream().filter(LeaderLatch::hasLeadership)
                        .findFirst().orElse(latches.get(0));
                leader.close();
                latches.remove(leader);
            }
        });
        cases.test("an atomic number and a shared count lose nothing", t -> {
            CuratorFramework client = t.curator();
            DistributedAtomicLong number = new DistributedAtomicLong(client, t.at("number"),
                    new RetryNTimes(100, 20));
            SharedCount count = t.keep(new SharedCount(client, t.at("count"), 0));
            count.start();
            long sure = 0;
            long unsure = 0;
            for (int i = 0; i < 60; i++) {
                if (i == 20) {
                    Case.ask("kill-leader");
                }
                try {
                    AtomicValue<Long> value = number.increment();
                    sure += value.succeeded() ? 1 : 0;
                } catch (KeeperException.ConnectionLossException e) {
                    unsure++;
                }
                count.setCount(i);
            }
            Case.ask("restart");
            long value = number.get().postValue();
            Case.check(value >= sure && value <= sure + unsure, value + " for " + sure + " and "
                    + unsure);
            SharedCount other = t.keep(new SharedCount(t.curator(), t.at("count"), 0));
            other.start();
            Case.equal(59, other.getCount());
        });
    }

    private static void caches(Cases cases) {
        cases.test("caches catch up with what they have missed", t -> {
            CuratorFramework writer = t.curator();
            writer.create().forPath(t.root, "top".getBytes());
            List<CuratorCache> caches = new ArrayList<>();
            for (CuratorFramework client : RecipeCases.curators(t, 3)) {
                CuratorCache cache = t.keep(CuratorCache.build(client, t.root));
                CountDownLatch ready = new CountDownLatch(1);
                cache.listenable().addListener(org.apache.curator.framework.recipes.cache
                        .CuratorCacheListener.builder().forInitialized(ready::countDown).build());
                cache.start();
                Case.check(ready.await(Case.WAIT_S, TimeUnit.SECONDS), "ready");
                caches.add(cache);
            }
            for (int i = 0; i < 200; i++) {
                if (i == 50) {
                    Case.ask("kill-leader");
                }
                String path = t.at("n" + i % 20);
                if (i % 3 == 2) {
                    writer.delete().quietly().forPath(path);
                } else {
                    writer.create().orSetData().forPath(path, ("v" + i).getBytes());
                }
            }
            Case.ask("restart");
            for (CuratorCache cache : caches) {
                Case.until("a cache has it",
                        () -> CacheCases.known(cache).equals(CacheCases.real(writer, t.root)));
            }
        });
        cases.test("kept nodes, members and services are there afterwards", t -> {
            CuratorFramework client = t.curator();
            CuratorFramework other = t.curator();
            PersistentNode node = t.keep(new PersistentNode(client, CreateMode.EPHEMERAL, false,
                    t.at("kept"), Case.NOTHING, true));
            GroupMember member = t.keep(new GroupMember(client, t.at("group"), "one"));
            ServiceInstance<Void> here = ServiceInstance.<Void>builder().name("web").port(80)
                    .build();
            ServiceDiscovery<Void> services = t.keep(ServiceDiscoveryBuilder.builder(Void.class)
                    .client(client).basePath(t.at("services")).thisInstance(here).build());
            node.start();
            member.start();
            services.start();
            Case.check(node.waitForInitialCreate(Case.WAIT_S, TimeUnit.SECONDS), "created");
            Case.ask("kill-leader");
            Case.ask("restart");
            Case.ask("kill-leader");
            Case.ask("restart");
            Case.until("the node", () -> other.checkExists().forPath(t.at("kept")) != null);
            Case.until("the member", () -> other.getChildren().forPath(t.at("group")).size() == 1);
            Case.until("the service", () -> other.getChildren()
                    .forPath(t.at("services/web")).size() == 1);
        });
    }
}
