import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * java Cases HOSTS GROUP: runs the cases of a group and prints a line for each, "ok NAME" or
 * "not ok NAME: WHY". With "ask WHAT" it wants something done to the servers; a line on stdin says
 * that it is.
 */
final class Cases {
    static final PrintStream OUT = System.out;  // whatever becomes of System.out
    static final BufferedReader ANSWERS = new BufferedReader(new InputStreamReader(System.in));
    private static final int TIMEOUT_S = 120;

    interface Run {
        void run(Case t) throws Exception;
    }

    private final ExecutorService threads = Executors.newCachedThreadPool(body -> {
        Thread thread = new Thread(body);
        thread.setDaemon(true);
        return thread;
    });
    private final String hosts;
    private final String only;
    private boolean failed;

    private Cases(String hosts, String only) {
        this.hosts = hosts;
        this.only = only;
    }

    void test(String name, Run run) {
        if (only != null && !only.equals(name)) {
            return;
        }
        Case t = new Case(hosts);
        try {
            threads.submit(() -> {
                run.run(t);
                return null;
            }).get(TIMEOUT_S, TimeUnit.SECONDS);
            OUT.println("ok " + name);
        } catch (Exception e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            StringBuilder text = new StringBuilder("not ok " + name + ": " + cause);
            for (StackTraceElement place : cause.getStackTrace()) {
                if (String.valueOf(place.getFileName()).endsWith("Cases.java")) {
                    text.append(" at ").append(place.getFileName()).append(':')
                            .append(place.getLineNumber());
                }
            }
            OUT.println(text.toString().replace('\n', ' '));
            failed = true;
        }
        OUT.flush();
        t.close();
    }

    public static void main(String[] arguments) {
        Cases cases = new Cases(arguments[0], arguments.length > 2 ? arguments[2] : null);
        switch (arguments[1]) {
            case "plain" -> PlainCases.run(cases);
            case "shell" -> ShellCases.run(cases);
            case "recipe" -> RecipeCases.run(cases);
            case "cache" -> CacheCases.run(cases);
            case "failover" -> FailoverCases.run(cases);
            case "reconfig" -> ReconfigCases.run(cases);
            default -> throw new IllegalArgumentException(arguments[1]);
        }
        OUT.flush();
        Runtime.getRuntime().halt(cases.failed ? 1 : 0);  // threads of clients may hang
    }
}
