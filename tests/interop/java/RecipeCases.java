import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;

/** The recipes of Apache Curator for taking turns and agreeing. */
final class RecipeCases {
    private RecipeCases() {}

    static void run(Cases cases) {
        framework(cases);
        locks(cases);
        leaders(cases);
        meetings(cases);
        numbers(cases);
    }

    static <T> CompletableFuture<T> start(Callable<T> work) {
        CompletableFuture<T> result = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                result.complete(work.call());
            } catch (Throwable e) {
                result.completeExceptionally(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return result;
    }

    static <T> T result(CompletableFuture<T> future) throws Exception {
        try {
            return future.get(Case.WAIT_S * 2, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw e.getCause() instanceof Exception ? (Exception) e.getCause() : e;
        }
    }

    static List<CuratorFramework> curators(Case t, int count) throws Exception {
        List<CuratorFramework> clients = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            clients.add(t.curator());
        }
        return clients;
    }

    private static void framework(Cases cases) {
        cases.test("nodes with their parents, protection, containers and lifetimes", t -> {
            CuratorFramework client = t.curator();
            client.create().creatingParentContainersIfNeeded().forPath(t.at("p/a"), "1".getBytes());
            String path = client.create().withProtection()
                    .withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath(t.at("e-"));
            Case.check(path.startsWith(t.at("_c_")) && path.endsWith("e-0000000001"), path);
            client.create().withTtl(3_600_000).withMode(CreateMode.PERSISTENT_WITH_TTL)
                    .forPath(t.at("ttl"));
            client.create().orSetData().forPath(t.at("p/a"), "2".getBytes());
            Case.equal("2", new String(client.getData().forPath(t.at("p/a"))));
            Case.equal(3, client.checkExists().forPath(t.root).getNumChildren());
            client.delete().idempotent().forPath(t.at("none"));
            client.delete().deletingChildrenIfNeeded().forPath(t.root);
            Case.equal(null, client.checkExists().forPath(t.root));
        });
        cases.test("a transaction happens as a whole or not", t -> {
            CuratorFramework client = t.curator();
            client.create().forPath(t.root);
            List<CuratorTransactionResult> results = client.transaction().forOperations(
                    client.transactionOp().create().forPath(t.at("a"), "1".getBytes()),
                    client.transactionOp().setData().withVersion(0).forPath(t.at("a"),
                            "2".getBytes()),
                    client.transactionOp().check().withVersion(1).forPath(t.at("a")));
            Case.equal(t.at("a"), results.get(0).getResultPath());
            Case.equal(1, results.get(1).getResultStat().getVersion());
            try {
                client.transaction().forOperations(
                        client.transactionOp().delete().forPath(t.at("a")),
                        client.transactionOp().check().withVersion(9).forPath(t.root));
                throw new AssertionError("it was done");
            } catch (KeeperException.BadVersionException e) {
                Case.check(client.checkExists().forPath(t.at("a")) != null, "it is still there");
            }
        });
        cases.test("a namespace, and answers in the background", t -> {
            CuratorFramework inside = t.curator().usingNamespace(t.root.substring(1));
            BlockingQueue<String> answers = new LinkedBlockingQueue<>();
            inside.create().creatingParentsIfNeeded().inBackground(
                    (client, event) -> answers.add(event.getType() + " " + event.getPath()))
                    .forPath("/a/b");
            Case.equal("CREATE /a/b", answers.poll(Case.WAIT_S, TimeUnit.SECONDS));
            Case.equal(List.of("b"), inside.getChildren().forPath("/a"));
        });
    }

    /** So many workers take the lock so often; never two at a time. */
    private static void exclude(Case t, Callable<AutoCloseable> lock, int workers)
            throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger total = new AtomicInteger();
        List<CompletableFuture<Void>> threads = new ArrayList<>();
        for (int i = 0; i < workers; i++) {
            threads.add(start(() -> {
                for (int round = 0; round < 5; round++) {
                    try (AutoCloseable held = lock.call()) {
                        Case.equal(1, inside.incrementAndGet());
                        total.incrementAndGet();
                        inside.decrementAndGet();
                    }
                }
                return null;
            }));
        }
        for (CompletableFuture<Void> thread : threads) {
            result(thread);
        }
        Case.equal(workers * 5, total.get());
    }

    private static void locks(Cases cases) {
        cases.test("a mutex is held by one at a time, and again by its holder", t -> {
            exclude(t, () -> {
                CuratorFramework client = t.curator();
                InterProcessMutex mutex = new InterProcessMutex(client, t.at("mutex"));
                mutex.acquire();
                Case.check(mutex.acquire(0, TimeUnit.SECONDS), "it may be entered again");
                mutex.release();
                return mutex::release;
            }, 4);
        });
        cases.test("a mutex is free when its holder's session ends", t -> {
            CuratorFramework holder = t.curator();
            InterProcessSemaphoreMutex other = new InterProcessSemaphoreMutex(t.curator(),
                    t.at("mutex"));
            new InterProcessSemaphoreMutex(holder, t.at("mutex")).acquire();
            Case.check(!other.acquire(50, TimeUnit.MILLISECONDS), "it is taken");
            holder.close();
            Case.check(other.acquire(Case.WAIT_S, TimeUnit.SECONDS), "it is free");
        });
        cases.test("read locks are shared and write locks are not", t -> {
            InterProcessReadWriteLock one = new InterProcessReadWriteLock(t.curator(), t.at("rw"));
            InterProcessReadWriteLock two = new InterProcessReadWriteLock(t.curator(), t.at("rw"));
            one.readLock().acquire();
            Case.check(two.readLock().acquire(Case.WAIT_S, TimeUnit.SECONDS), "shared");
            Case.check(!one.writeLock().acquire(50, TimeUnit.MILLISECONDS), "not shared");
            two.readLock().release();
            one.readLock().release();
            Case.check(one.writeLock().acquire(Case.WAIT_S, TimeUnit.SECONDS), "free");
            Case.check(one.readLock().acquire(Case.WAIT_S, TimeUnit.SECONDS), "its own");
            Case.check(!two.readLock().acquire(50, TimeUnit.MILLISECONDS), "not another's");
        });
        cases.test("a semaphore has as many leases as said", t -> {
            List<InterProcessSemaphoreV2> all = new ArrayList<>();
            for (CuratorFramework client : curators(t, 3)) {
                all.add(new InterProcessSemaphoreV2(client, t.at("semaphore"), 2));
            }
            Lease first = all.get(0).acquire();
            all.get(1).acquire();
            Case.equal(null, all.get(2).acquire(50, TimeUnit.MILLISECONDS));
            Case.equal(2, all.get(2).getParticipantNodes().size());
            first.close();
            Case.check(all.get(2).acquire(Case.WAIT_S, TimeUnit.SECONDS) != null, "one is free");
        });
        cases.test("several locks are taken as one", t -> {
            CuratorFramework client = t.curator();
            List<String> paths = List.of(t.at("a"), t.at("b"));
            InterProcessMultiLock both = new InterProcessMultiLock(client, paths);
            both.acquire();
            InterProcessMutex second = new InterProcessMutex(t.curator(), t.at("b"));
            Case.check(!second.acquire(50, TimeUnit.MILLISECONDS), "it is taken");
            both.release();
            Case.check(second.acquire(Case.WAIT_S, TimeUnit.SECONDS), "it is free");
        });
    }

    private static void leaders(Cases cases) {
        cases.test("a leader latch has one leader after the other", t -> {
            List<LeaderLatch> latches = new ArrayList<>();
            for (CuratorFramework client : curators(t, 3)) {
                latches.add(t.keep(new LeaderLatch(client, t.at("latch"),
                        "l" + latches.size())));
                latches.get(latches.size() - 1).start();
                Case.check(latches.get(0).await(Case.WAIT_S, TimeUnit.SECONDS), "the first leads");
                // They join in the background: each is waited for, so that they stand in line in order.
                Case.until("it takes part",
                        () -> latches.get(0).getParticipants().size() == latches.size());
            }
            for (int i = 0; i < 3; i++) {
                LeaderLatch leader = latches.get(i);
                Case.check(leader.await(Case.WAIT_S, TimeUnit.SECONDS), i + " leads");
                Case.equal("l" + i, leader.getLeader().getId());
                leader.close();
            }
        });
        cases.test("a leader selector lets each lead in turn", t -> {
            BlockingQueue<Integer> led = new LinkedBlockingQueue<>();
            AtomicInteger leading = new AtomicInteger();
            int number = 0;
            for (CuratorFramework client : curators(t, 3)) {
                int mine = number++;
                LeaderSelector selector = t.keep(new LeaderSelector(client, t.at("selector"),
                        new LeaderSelectorListenerAdapter() {
                            @Override
                            public void takeLeadership(CuratorFramework c) {
                                led.add(leading.incrementAndGet() == 1 ? mine : -1);
                                leading.decrementAndGet();
                            }
                        }));
                selector.autoRequeue();
                selector.start();
            }
            Set<Integer> all = new HashSet<>();
            while (all.size() < 3) {
                Integer leader = led.poll(Case.WAIT_S, TimeUnit.SECONDS);
                Case.check(leader != null && leader >= 0, "one leads alone");
                all.add(leader);
            }
        });
    }

    private static void meetings(Cases cases) {
        cases.test("a barrier holds until it is removed", t -> {
            DistributedBarrier barrier = new DistributedBarrier(t.curator(), t.at("barrier"));
            DistributedBarrier other = new DistributedBarrier(t.curator(), t.at("barrier"));
            barrier.setBarrier();
            Case.check(!barrier.waitOnBarrier(50, TimeUnit.MILLISECONDS), "it holds");
            CompletableFuture<Boolean> passed =
                    start(() -> other.waitOnBarrier(Case.WAIT_S, TimeUnit.SECONDS));
            barrier.removeBarrier();
            Case.check(result(passed), "it is passed");
        });
        cases.test("a double barrier lets all in and out together", t -> {
            AtomicInteger inside = new AtomicInteger();
            List<CompletableFuture<Boolean>> members = new ArrayList<>();
            for (CuratorFramework client : curators(t, 3)) {
                members.add(start(() -> {
                    DistributedDoubleBarrier barrier =
                            new DistributedDoubleBarrier(client, t.at("double"), 3);
                    inside.incrementAndGet();
                    Case.check(barrier.enter(Case.WAIT_S, TimeUnit.SECONDS), "in");
                    Case.equal(3, inside.get());
                    return barrier.leave(Case.WAIT_S, TimeUnit.SECONDS);
                }));
            }
            for (CompletableFuture<Boolean> member : members) {
                Case.check(result(member), "out");
            }
        });
        cases.test("a queue hands out each entry once", t -> {
            SimpleDistributedQueue queue = new SimpleDistributedQueue(t.curator(), t.at("queue"));
            SimpleDistributedQueue other = new SimpleDistributedQueue(t.curator(), t.at("queue"));
            for (int i = 0; i < 6; i++) {
                queue.offer(new byte[] {(byte) i});
            }
            Set<Byte> taken = new HashSet<>();
            for (int i = 0; i < 6; i++) {
                byte[] entry = (i % 2 == 0 ? queue : other).poll(Case.WAIT_S, TimeUnit.SECONDS);
                Case.check(entry != null && taken.add(entry[0]), "one that nobody has had");
            }
        });
    }

    private static void numbers(Cases cases) {
        cases.test("an atomic number loses no increment", t -> {
            List<CompletableFuture<Void>> threads = new ArrayList<>();
            for (CuratorFramework client : curators(t, 3)) {
                threads.add(start(() -> {
                    DistributedAtomicLong number = new DistributedAtomicLong(client,
                            t.at("number"), new RetryNTimes(1000, 1));
                    for (int i = 0; i < 20; i++) {
                        AtomicValue<Long> value = number.increment();
                        Case.check(value.succeeded(), "done");
                    }
                    return null;
                }));
            }
            for (CompletableFuture<Void> thread : threads) {
                result(thread);
            }
            AtomicValue<Long> sum = new DistributedAtomicLong(t.curator(), t.at("number"),
                    new RetryNTimes(10, 1)).add(0L);
            Case.equal(60L, sum.postValue());
        });
        cases.test("a shared count is seen by all who share it", t -> {
            SharedCount one = t.keep(new SharedCount(t.curator(), t.at("count"), 5));
            SharedCount two = t.keep(new SharedCount(t.curator(), t.at("count"), 5));
            CountDownLatch heard = new CountDownLatch(1);
            two.addListener(new SharedCountListener() {
                @Override
                public void countHasChanged(SharedCountReader count, int value) {
                    if (value == 6) {
                        heard.countDown();
                    }
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {}
            });
            one.start();
            two.start();
            Case.equal(5, two.getCount());
            Case.check(one.trySetCount(one.getVersionedValue(), 6), "set");
            Case.check(heard.await(Case.WAIT_S, TimeUnit.SECONDS), "heard of");
            Case.equal(6, two.getCount());
        });
    }
}
