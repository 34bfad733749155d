import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.regex.Pattern;
import org.apache.zookeeper.ZooKeeperMain;

/** The commands of ZooKeeper's own command line, run in this process. */
final class ShellCases {
    // The commands take hold of System.out and System.err when they are loaded.
    private static final ByteArrayOutputStream PRINTED = new ByteArrayOutputStream();

    private ShellCases() {}

    private static final class Shell extends ZooKeeperMain {
        Shell(String hosts) throws Exception {
            super(new String[] {"-server", hosts, "-waitforconnection"});
        }

        /** What the command prints. */
        String say(String line) throws Exception {
            PRINTED.reset();
            executeLine(line);
            return PRINTED.toString();
        }

        void says(String line, String pattern) throws Exception {
            String text = say(line);
            Case.check(Pattern.compile(pattern, Pattern.DOTALL).matcher(text).find(),
                    line + " says " + pattern + " in <" + text + ">");
        }
    }

    private static Shell shell(Case t) throws Exception {
        Shell shell = new Shell(t.hosts);
        t.keep(() -> shell.say("close"));
        shell.says("create " + t.root + " data", "Created " + t.root);
        return shell;
    }

    static void run(Cases cases) {
        PrintStream all = new PrintStream(PRINTED, true);
        System.setOut(all);
        System.setErr(all);
        cases.test("create, ls, get, set, stat and delete", t -> {
            Shell shell = shell(t);
            shell.says("create -s " + t.at("s-") + " x", "Created " + t.at("s-0000000000"));
            shell.says("create -e " + t.at("e"), "Created " + t.at("e"));
            shell.says("create -c " + t.at("c"), "Created " + t.at("c"));
            shell.says("create -t 3600000 " + t.at("t"), "Created " + t.at("t"));
            shell.says("ls " + t.root, "\\[c, e, s-0000000000, t\\]");
            shell.says("ls -R " + t.root, t.root + "\n" + t.at("c") + "\n" + t.at("e"));
            shell.says("ls -s " + t.root, "cZxid = 0x[0-9a-f]+.*numChildren = 4");
            shell.says("get " + t.root, "data");
            shell.says("set -s -v 0 " + t.root + " more", "dataVersion = 1");
            shell.says("set -v 0 " + t.root + " again", "version No is not valid");
            shell.says("get -s " + t.root, "more.*dataLength = 4");
            shell.says("stat " + t.at("e"), "ephemeralOwner = 0x[0-9a-f]*[1-9a-f]");
            shell.says("getEphemerals " + t.root, t.at("e"));
            shell.says("getAllChildrenNumber " + t.root, "4");
            shell.says("delete " + t.root, "Node not empty");
            shell.says("delete " + t.at("e"), "^$");
            shell.says("deleteall " + t.root, "");
            shell.says("stat " + t.root, "Node does not exist");
        });
        cases.test("ACLs, authentication and who it is", t -> {
            Shell shell = shell(t);
            shell.says("getAcl " + t.root, "'world,'anyone\n: cdrwa");
            shell.says("addauth digest bob:pw", "^$");
            shell.says("setAcl " + t.root + " auth::r", "^$");
            shell.says("getAcl -s " + t.root, "'digest,'bob:x\n: r\n.*aclVersion = 1");
            shell.says("set " + t.root + " x", "Insufficient permission");
            shell.says("whoami", "digest: bob");
        });
        cases.test("watches, sync, quotas, configuration", t -> {
            Shell shell = shell(t);
            shell.says("addWatch -m PERSISTENT_RECURSIVE " + t.root, "^$");
            shell.says("create " + t.at("w"), "Created " + t.at("w"));
            Case.until("it is told", () -> PRINTED.toString().contains("NodeCreated path:"
                    + t.at("w")));
            shell.says("removewatches " + t.root, "");
            shell.says("delete " + t.at("w"), "");
            shell.says("sync " + t.root, "Sync is OK");
            shell.says("setquota -n 2 " + t.root, "");
            shell.says("create " + t.at("a"), "Created");
            shell.says("listquota " + t.root, "count=2.*Output stat.*count=2");
            shell.says("delquota " + t.root, "");
            shell.says("listquota " + t.root, "does not exist");
            shell.says("config -s", "numChildren = 0");
            shell.says("version", "ZooKeeper CLI version: 3");
        });
    }
}
