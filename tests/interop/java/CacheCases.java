import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

/** The recipes of Apache Curator that follow the tree, and those that keep a node in it. */
@SuppressWarnings("deprecation")  // the older caches are what most programs use
final class CacheCases {
    private CacheCases() {}

    static void run(Cases cases) {
        caches(cases);
        olderCaches(cases);
        keptNodes(cases);
        discovery(cases);
    }

    /** The tree below the root as a cache knows it, and as it is. */
    static Map<String, String> known(CuratorCache cache) {
        Map<String, String> tree = new TreeMap<>();
        cache.stream().forEach(node -> tree.put(node.getPath(), new String(node.getData())));
        return tree;
    }

    static Map<String, String> real(CuratorFramework client, String path) throws Exception {
        Map<String, String> tree = new TreeMap<>();
        tree.put(path, new String(client.getData().forPath(path)));
        for (String name : client.getChildren().forPath(path)) {
            tree.putAll(real(client, path + "/" + name));
        }
        return tree;
    }

    private static void caches(Cases cases) {
        cases.test("a cache on a persistent recursive watch follows the tree", t -> {
            CuratorFramework client = t.curator();
            CuratorFramework writer = t.curator();
            writer.create().forPath(t.root, "top".getBytes());
            CuratorCache cache = t.keep(CuratorCache.build(client, t.root));
            BlockingQueue<String> seen = new LinkedBlockingQueue<>();
            cache.listenable().addListener((type, before, after) ->
                    seen.add(type + " " + (after == null ? before : after).getPath()));
            cache.start();
            Case.equal("NODE_CREATED " + t.root, seen.poll(Case.WAIT_S, TimeUnit.SECONDS));
            for (int i = 0; i < 50; i++) {
                String path = t.at("n" + i % 10);
                writer.create().orSetData().creatingParentsIfNeeded().forPath(path + "/x",
                        ("v" + i).getBytes());
                if (i % 7 == 0) {
                    writer.delete().deletingChildrenIfNeeded().forPath(path);
                }
            }
            Case.until("the cache has it", () -> known(cache).equals(real(writer, t.root)));
            Case.check(seen.contains("NODE_DELETED " + t.at("n0")), "told of a deletion");
        });
        cases.test("a cache of one node", t -> {
            CuratorFramework client = t.curator();
            CuratorCache cache = t.keep(CuratorCache.build(client, t.root,
                    CuratorCache.Options.SINGLE_NODE_CACHE));
            BlockingQueue<ChildData> seen = new LinkedBlockingQueue<>();
            cache.listenable().addListener(CuratorCacheListener.builder()
                    .forCreates(seen::add).forChanges((before, after) -> seen.add(after))
                    .forDeletes(seen::add).build());
            cache.start();
            client.create().forPath(t.root, "1".getBytes());
            Case.equal("1", new String(seen.poll(Case.WAIT_S, TimeUnit.SECONDS).getData()));
            client.create().forPath(t.at("child"));
            client.setData().forPath(t.root, "2".getBytes());
            Case.equal("2", new String(seen.poll(Case.WAIT_S, TimeUnit.SECONDS).getData()));
            client.delete().deletingChildrenIfNeeded().forPath(t.root);
            Case.equal(t.root, seen.poll(Case.WAIT_S, TimeUnit.SECONDS).getPath());
        });
        cases.test("a persistent watcher tells of everything below", t -> {
            CuratorFramework client = t.curator();
            PersistentWatcher watcher = t.keep(new PersistentWatcher(client, t.root, true));
            Case.Events events = new Case.Events();
            CountDownLatch set = new CountDownLatch(1);
            watcher.getListenable().addListener(events::add);
            watcher.getResetListenable().addListener(set::countDown);
            watcher.start();
            Case.check(set.await(Case.WAIT_S, TimeUnit.SECONDS), "the watch is set");
            client.create().creatingParentsIfNeeded().forPath(t.at("a/b"));
            for (String path : List.of(t.root, t.at("a"), t.at("a/b"))) {
                events.expect(org.apache.zookeeper.Watcher.Event.EventType.NodeCreated, path);
            }
        });
    }

    private static void olderCaches(Cases cases) {
        cases.test("a cache of the children of a node", t -> {
            CuratorFramework client = t.curator();
            client.create().creatingParentsIfNeeded().forPath(t.at("a"), "1".getBytes());
            PathChildrenCache cache = t.keep(new PathChildrenCache(client, t.root, true));
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            Case.equal("1", new String(cache.getCurrentData(t.at("a")).getData()));
            client.setData().forPath(t.at("a"), "2".getBytes());
            client.create().forPath(t.at("b"), "3".getBytes());
            Case.until("both are seen", () -> cache.getCurrentData().size() == 2
                    && new String(cache.getCurrentData(t.at("a")).getData()).equals("2"));
            client.delete().forPath(t.at("a"));
            Case.until("one is gone", () -> cache.getCurrentData().size() == 1);
        });
        cases.test("a cache of a node, and one of a tree", t -> {
            CuratorFramework client = t.curator();
            NodeCache node = t.keep(new NodeCache(client, t.at("a")));
            TreeCache tree = t.keep(new TreeCache(client, t.root));
            node.start(true);
            tree.start();
            Case.equal(null, node.getCurrentData());
            client.create().creatingParentsIfNeeded().forPath(t.at("a"), "1".getBytes());
            client.create().creatingParentsIfNeeded().forPath(t.at("b/c"), "2".getBytes());
            Case.until("the node is seen", () -> node.getCurrentData() != null);
            Case.until("the tree is seen", () -> tree.getCurrentData(t.at("b/c")) != null);
            client.delete().deletingChildrenIfNeeded().forPath(t.root);
            Case.until("both are gone", () -> node.getCurrentData() == null
                    && tree.getCurrentData(t.root) == null);
        });
    }

    private static void keptNodes(Cases cases) {
        cases.test("a kept node comes back when it is deleted", t -> {
            CuratorFramework client = t.curator();
            CuratorFramework other = t.curator();
            PersistentNode node = t.keep(new PersistentNode(client, CreateMode.EPHEMERAL, false,
                    t.at("kept"), "1".getBytes(), true));
            node.start();
            Case.check(node.waitForInitialCreate(Case.WAIT_S, TimeUnit.SECONDS), "created");
            Stat first = client.checkExists().forPath(t.at("kept"));
            Case.equal(client.getZookeeperClient().getZooKeeper().getSessionId(),
                    first.getEphemeralOwner());
            other.delete().guaranteed().forPath(t.at("kept"));
            Case.until("it is back", () -> {
                Stat now = other.checkExists().forPath(t.at("kept"));
                return now != null && now.getCzxid() > first.getCzxid();
            });
        });
        cases.test("a kept node with a lifetime outlives it", t -> {
            CuratorFramework client = t.curator();
            PersistentTtlNode node = t.keep(new PersistentTtlNode(client, t.at("kept"), 300,
                    "1".getBytes()));
            node.start();
            Case.check(node.waitForInitialCreate(Case.WAIT_S, TimeUnit.SECONDS), "created");
            Stat first = client.checkExists().forPath(t.at("kept"));
            Thread.sleep(1000);  // the subject: three lifetimes
            Case.equal(first.getCzxid(), client.checkExists().forPath(t.at("kept")).getCzxid());
            node.close();
            Case.until("it goes", () -> client.checkExists().forPath(t.at("kept")) == null);
        });
        cases.test("a group knows its members", t -> {
            GroupMember one = t.keep(new GroupMember(t.curator(), t.at("group"), "one"));
            GroupMember two = t.keep(new GroupMember(t.curator(), t.at("group"), "two",
                    "data".getBytes()));
            one.start();
            two.start();
            Case.until("both are in", () -> one.getCurrentMembers().size() == 2
                    && two.getCurrentMembers().size() == 2);
            Case.equal("data", new String(one.getCurrentMembers().get("two")));
            two.close();
            Case.until("one has left", () -> one.getCurrentMembers().size() == 1);
        });
    }

    private static void discovery(Cases cases) {
        cases.test("services find each other", t -> {
            CuratorFramework client = t.curator();
            ServiceInstance<Void> here = ServiceInstance.<Void>builder().name("web")
                    .address("10.0.0.1").port(80).build();
            ServiceDiscovery<Void> publisher = t.keep(ServiceDiscoveryBuilder.builder(Void.class)
                    .client(client).basePath(t.root).thisInstance(here).build());
            ServiceDiscovery<Void> finder = t.keep(ServiceDiscoveryBuilder.builder(Void.class)
                    .client(t.curator()).basePath(t.root).build());
            publisher.start();
            finder.start();
            ServiceCache<Void> cache = t.keep(finder.serviceCacheBuilder().name("web").build());
            cache.start();
            Case.until("it is found", () -> cache.getInstances().size() == 1);
            Case.equal(here, finder.queryForInstance("web", here.getId()));
            Case.equal(List.of("web"), List.copyOf(finder.queryForNames()));
            publisher.unregisterService(here);
            Case.until("it is gone", () -> cache.getInstances().isEmpty());
        });
    }
}
