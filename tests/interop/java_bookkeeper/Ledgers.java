// The Java client of BookKeeper against bookies: "ok NAME" or "not ok NAME: why" for each case on
// stdout. Usage: Ledgers METADATA_URI BOOKIES. Every case runs over both wire protocols. Behind "kill a
// bookie" and "start it again" on stdout it waits for a line on stdin.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.bookkeeper.client.BKException;
import org.apache.bookkeeper.client.BookKeeper;
import org.apache.bookkeeper.client.BookKeeper.DigestType;
import org.apache.bookkeeper.client.LedgerEntry;
import org.apache.bookkeeper.client.LedgerHandle;
import org.apache.bookkeeper.client.api.LastConfirmedAndEntry;
import org.apache.bookkeeper.client.api.ReadHandle;
import org.apache.bookkeeper.client.api.WriteFlag;
import org.apache.bookkeeper.client.api.WriteHandle;
import org.apache.bookkeeper.conf.ClientConfiguration;

public final class Ledgers {
    private static final int WAIT_S = 30;
    private static final byte[] PASSWORD = bytes("secret");
    private static String uri;
    private static int bookies;
    private static BufferedReader input;
    private static int failed;

    private interface Case {
        void run(BookKeeper client, boolean v2) throws Exception;
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
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

    private static void refused(int code, Action action) throws Exception {
        try {
            action.run();
        } catch (BKException e) {
            same(code, e.getCode());
            return;
        }
        throw new IllegalStateException("not refused with " + code);
    }

    private static BookKeeper connect(boolean v2) throws Exception {
        ClientConfiguration configuration = new ClientConfiguration();
        configuration.setMetadataServiceUri(uri);
        configuration.setUseV2WireProtocol(v2);
        configuration.setAddEntryTimeout(WAIT_S);
        configuration.setReadEntryTimeout(WAIT_S);
        configuration.setExplictLacInterval(v2 ? 0 : 50);
        configuration.setThrottleValue(0);
        return new BookKeeper(configuration);
    }

    private static LedgerHandle create(BookKeeper client, DigestType digest) throws Exception {
        return client.createLedger(bookies, bookies, bookies > 2 ? 2 : bookies, digest, PASSWORD);
    }

    private static String entry(int number) {
        StringBuilder text = new StringBuilder("entry " + number + " ");
        while (text.length() < 10 + number % 700) {
            text.append((char) ('a' + (number + text.length()) % 26));
        }
        return text.toString();
    }

    private static void fill(LedgerHandle ledger, int from, int count) throws Exception {
        CountDownLatch left = new CountDownLatch(count);
        AtomicInteger wrong = new AtomicInteger();
        AtomicLong next = new AtomicLong(from);
        for (int i = 0; i < count; i++) {
            ledger.asyncAddEntry(bytes(entry(from + i)), (rc, handle, id, context) -> {
                if (rc != 0 || id != next.getAndIncrement()) {
                    wrong.incrementAndGet();
                }
                left.countDown();
            }, null);
        }
        must(left.await(WAIT_S, TimeUnit.SECONDS), "all adds are answered");
        same(0, wrong.get());
    }

    private static void verify(LedgerHandle ledger, int count) throws Exception {
        same((long) count - 1, ledger.getLastAddConfirmed());
        int number = 0;
        for (int from = 0; from < count; from += 500) {
            int to = Math.min(count, from + 500) - 1;
            Enumeration<LedgerEntry> entries = ledger.readEntries(from, to);
            while (entries.hasMoreElements()) {
                LedgerEntry one = entries.nextElement();
                same((long) number, one.getEntryId());
                same(entry(number), new String(one.getEntry(), StandardCharsets.UTF_8));
                number++;
            }
        }
        same(count, number);
    }

    private static void writtenIsRead(BookKeeper client, boolean v2) throws Exception {
        for (DigestType digest : DigestType.values()) {
            LedgerHandle ledger = create(client, digest);
            fill(ledger, 0, 2000);
            verify(ledger, 2000);
            ledger.close();
            LedgerHandle again = client.openLedger(ledger.getId(), digest, PASSWORD);
            verify(again, 2000);
            again.close();
        }
    }

    private static void absentIsAbsent(BookKeeper client, boolean v2) throws Exception {
        LedgerHandle ledger = create(client, DigestType.CRC32C);
        fill(ledger, 0, 3);
        refused(BKException.Code.ReadException, () -> ledger.readEntries(0, 5));
        refused(BKException.Code.NoSuchEntryException, () -> ledger.readUnconfirmedEntries(5, 6));
        ledger.close();
        refused(BKException.Code.UnauthorizedAccessException,
                () -> client.openLedger(ledger.getId(), DigestType.CRC32C, bytes("wrong")));
        client.deleteLedger(ledger.getId());
        refused(BKException.Code.NoSuchLedgerExistsOnMetadataServerException,
                () -> client.openLedger(ledger.getId(), DigestType.CRC32C, PASSWORD));
    }

    private static void aReaderWithRecoveryFencesTheWriter(BookKeeper client, boolean v2)
            throws Exception {
        LedgerHandle ledger = create(client, DigestType.CRC32C);
        fill(ledger, 0, 100);
        try (BookKeeper other = connect(v2)) {
            LedgerHandle recovered = other.openLedger(ledger.getId(), DigestType.CRC32C, PASSWORD);
            verify(recovered, 100);
            must(recovered.isClosed(), "it is closed");
            refused(BKException.Code.LedgerFencedException, () -> ledger.addEntry(bytes("late")));
        }
    }

    private static void anEmptyLedgerIsRecovered(BookKeeper client, boolean v2) throws Exception {
        LedgerHandle ledger = create(client, DigestType.MAC);
        try (BookKeeper other = connect(v2)) {
            LedgerHandle recovered = other.openLedger(ledger.getId(), DigestType.MAC, PASSWORD);
            same(-1L, recovered.getLastAddConfirmed());
            refused(BKException.Code.LedgerFencedException, () -> ledger.addEntry(bytes("late")));
        }
    }

    private static void aTailIsFollowed(BookKeeper client, boolean v2) throws Exception {
        LedgerHandle ledger = create(client, DigestType.CRC32C);
        fill(ledger, 0, 50);
        try (BookKeeper other = connect(v2)) {
            LedgerHandle tail =
                    other.openLedgerNoRecovery(ledger.getId(), DigestType.CRC32C, PASSWORD);
            fill(ledger, 50, 1);
            must(tail.readLastConfirmed() >= 49, "the LAC that came with the last entry");
            if (!v2) {
                CompletableFuture<LastConfirmedAndEntry> polled =
                        tail.readLastAddConfirmedAndEntryAsync(51, 20000, false);
                fill(ledger, 51, 2);
                LastConfirmedAndEntry got = polled.get(WAIT_S, TimeUnit.SECONDS);
                must(got.getLastAddConfirmed() >= 50, "the long poll");
                got.close();
                long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(WAIT_S);
                while (tail.readExplicitLastConfirmed() < 52) {
                    must(System.nanoTime() < end, "the explicit LAC");
                    Thread.sleep(20);
                }
            }
        }
        ledger.close();
    }

    private static void largeEntriesFit(BookKeeper client, boolean v2) throws Exception {
        LedgerHandle ledger = create(client, DigestType.CRC32C);
        byte[] large = new byte[4 << 20];
        for (int i = 0; i < large.length; i++) {
            large[i] = (byte) (i * 31 + i / 1000);
        }
        for (int i = 0; i < 5; i++) {
            ledger.addEntry(large);
        }
        Enumeration<LedgerEntry> entries = ledger.readEntries(0, 4);
        while (entries.hasMoreElements()) {
            must(Arrays.equals(large, entries.nextElement().getEntry()), "the same bytes");
        }
        ledger.close();
    }

    private static void entriesMayComeInAnyOrder(BookKeeper client, boolean v2) throws Exception {
        Map<String, byte[]> custom = new HashMap<>();
        custom.put("application", bytes("test"));
        LedgerHandle ledger = client.createLedgerAdv(bookies, bookies, bookies > 2 ? 2 : bookies,
                DigestType.CRC32C, PASSWORD, custom);
        CountDownLatch left = new CountDownLatch(200);
        for (int i = 199; i >= 0; i--) {
            ledger.asyncAddEntry(i, bytes(entry(i)), (rc, handle, id, context) -> left.countDown(), null);
        }
        must(left.await(WAIT_S, TimeUnit.SECONDS), "all adds are answered");
        verify(ledger, 200);
        ledger.close();
    }

    private static void deferredAddsAreForced(BookKeeper client, boolean v2) throws Exception {
        if (v2) {
            return;  // the older protocol has no such thing
        }
        WriteHandle ledger = client.newCreateLedgerOp().withEnsembleSize(bookies)
                .withWriteQuorumSize(bookies).withAckQuorumSize(bookies).withPassword(PASSWORD)
                .withDigestType(org.apache.bookkeeper.client.api.DigestType.CRC32C)
                .withWriteFlags(WriteFlag.DEFERRED_SYNC).execute().get();
        for (int i = 0; i < 10; i++) {
            ledger.append(bytes(entry(i)));
        }
        ledger.force().get(WAIT_S, TimeUnit.SECONDS);
        same(9L, ledger.getLastAddConfirmed());
        ledger.close();
    }

    private static void batchesAreRead(BookKeeper client, boolean v2) throws Exception {
        if (!v2) {
            return;  // the client has them in the older protocol only
        }
        LedgerHandle ledger = create(client, DigestType.CRC32C);
        fill(ledger, 0, 300);
        int number = 0;
        while (number < 300) {
            Enumeration<LedgerEntry> entries = ledger.batchReadEntries(number, 100, 16 << 10);
            must(entries.hasMoreElements(), "something comes");
            while (entries.hasMoreElements()) {
                same(entry(number++), new String(entries.nextElement().getEntry(), StandardCharsets.UTF_8));
            }
        }
        ledger.close();
    }

    // With one more bookie than the ensemble needs, writing goes on.
    private static void aBookieMayDie(BookKeeper client, boolean v2) throws Exception {
        if (bookies < 3) {
            return;
        }
        LedgerHandle ledger = client.createLedger(2, 2, 2, DigestType.CRC32C, PASSWORD);
        fill(ledger, 0, 1000);
        System.out.println("kill a bookie");
        input.readLine();
        fill(ledger, 1000, 1000);
        verify(ledger, 2000);
        System.out.println("start it again");
        input.readLine();
        ledger.close();
        LedgerHandle again = client.openLedger(ledger.getId(), DigestType.CRC32C, PASSWORD);
        verify(again, 2000);
        again.close();
    }

    private static void run(String name, Case one) {
        for (boolean v2 : new boolean[] {false, true}) {
            String whole = name + (v2 ? " (v2)" : " (v3)");
            try (BookKeeper client = connect(v2)) {
                one.run(client, v2);
                System.out.println("ok " + whole);
            } catch (Throwable e) {
                failed++;
                System.out.println("not ok " + whole + ": " + e + " at "
                        + Arrays.toString(Arrays.copyOf(e.getStackTrace(), 4)));
            }
        }
    }

    public static void main(String[] arguments) {
        uri = arguments[0];
        input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        bookies = Integer.parseInt(arguments[1]);
        run("writtenIsRead", Ledgers::writtenIsRead);
        run("absentIsAbsent", Ledgers::absentIsAbsent);
        run("aReaderWithRecoveryFencesTheWriter", Ledgers::aReaderWithRecoveryFencesTheWriter);
        run("anEmptyLedgerIsRecovered", Ledgers::anEmptyLedgerIsRecovered);
        run("aTailIsFollowed", Ledgers::aTailIsFollowed);
        run("largeEntriesFit", Ledgers::largeEntriesFit);
        run("entriesMayComeInAnyOrder", Ledgers::entriesMayComeInAnyOrder);
        run("deferredAddsAreForced", Ledgers::deferredAddsAreForced);
        run("batchesAreRead", Ledgers::batchesAreRead);
        run("aBookieMayDie", Ledgers::aBookieMayDie);
        System.exit(failed == 0 ? 0 : 1);
    }
}
