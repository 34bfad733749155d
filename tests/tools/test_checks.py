"""Plants each kind of violation in a temporary tree and proves that the checks see it: with file,
line and a sentence that says what to do. The last class proves that the build itself fails."""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def guarded(path, body):
    guard = "GEMINGA_" + re.sub(r"[^A-Z0-9]", "_", path.upper())
    return f"#ifndef {guard}\n#define {guard}\n\n{body}\n#endif\n"


def function(lines):
    return "void f(void) {\n" + "    g();\n" * (lines - 2) + "}\n"


class Tree(unittest.TestCase):
    """A small tree that is in order; a test adds a violation to it."""

    tool = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name).resolve()
        for path in ("runtime/err.h", "runtime/loop.h", "runtime/real/real.h",
                     "runtime/real/wake.h", "runtime/sim/sim.h", "runtime/sim/event.h",
                     "proto/wire.h", "meta/raft/raft.h", "meta/server/tree.h",
                     "meta/client/client.h", "bookie/server/journal.h", "bookie/client/ledger.h",
                     "client/client.h", "broker/topic.h", "cli/command.h"):
            self.write(path, guarded(path, "struct x;\n"))

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def check(self):
        done = subprocess.run([sys.executable, str(ROOT / "tools" / self.tool), str(self.root)],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def assert_clean(self, path, text):
        self.write(path, text)
        self.assertEqual(self.check(), (0, ""))

    def assert_violation(self, path, text, line, sentence):
        self.write(path, text)
        status, output = self.check()
        self.assertEqual(status, 1, f"not seen: {text[:200]!r}")
        found = [one for one in output.splitlines() if one.startswith(f"{path}:{line}: ")]
        self.assertTrue(found, f"no report for {path}:{line} in:\n{output}")
        self.assertIn(sentence, "\n".join(found))


class Includes(Tree):
    tool = "check_includes.py"

    def include(self, path, header, line=1):
        return path, f'#include "{header}"\n', line

    def test_tree_in_order_passes(self):
        self.assertEqual(self.check(), (0, ""))

    def test_each_allowed_direction_passes(self):
        for path, header in (
                ("proto/wire.c", "runtime/err.h"), ("meta/raft/raft.c", "runtime/err.h"),
                ("meta/server/tree.c", "meta/raft/raft.h"), ("meta/client/a.c", "proto/wire.h"),
                ("bookie/server/a.c", "meta/client/client.h"), ("client/a.c", "runtime/loop.h"),
                ("broker/a.c", "bookie/client/ledger.h"), ("cli/a.c", "bookie/server/journal.h"),
                ("cli/main.c", "runtime/real/real.h"), ("cli/v.c", "cli/version_generated.h"),
                ("tests/sim/a.c", "runtime/sim/sim.h"), ("tests/unit/a.c", "meta/raft/raft.h"),
                ("runtime/real/a.c", "runtime/real/wake.h")):
            self.assert_clean(*self.include(path, header)[:2])

    def test_each_upward_include_fails(self):
        for path, header in (
                ("runtime/a.c", "proto/wire.h"), ("proto/a.c", "meta/raft/raft.h"),
                ("meta/raft/a.c", "proto/wire.h"), ("meta/raft/b.c", "meta/server/tree.h"),
                ("meta/client/a.c", "meta/raft/raft.h"), ("meta/client/b.c", "meta/server/tree.h"),
                ("meta/server/a.c", "bookie/client/ledger.h"),
                ("bookie/client/a.c", "bookie/server/journal.h"),
                ("bookie/server/a.c", "bookie/client/ledger.h"),
                ("client/a.c", "bookie/client/ledger.h"), ("broker/a.c", "bookie/server/journal.h"),
                ("broker/b.c", "meta/server/tree.h"), ("broker/c.c", "cli/command.h")):
            with self.subTest(path=path, header=header):
                self.assert_violation(*self.include(path, header), "includes run downward")

    def test_pure_code_sees_pure_headers_only(self):
        self.assert_violation(*self.include("proto/a.c", "runtime/loop.h"), "is pure code")
        self.assert_violation(*self.include("meta/raft/a.c", "runtime/loop.h"), "is pure code")

    def test_pure_header_includes_pure_headers_only(self):
        self.assert_violation("runtime/err.h", '#include "runtime/loop.h"\n', 1, "pure headers")

    def test_backends_are_private(self):
        for path, header in (("runtime/loop.c", "runtime/real/wake.h"),
                             ("runtime/real/a.c", "runtime/sim/sim.h"),
                             ("broker/a.c", "runtime/real/real.h"),
                             ("cli/a.c", "runtime/sim/sim.h"),
                             ("tests/unit/a.c", "runtime/sim/event.h")):
            with self.subTest(path=path, header=header):
                self.assert_violation(*self.include(path, header), "is private to")

    def test_include_not_from_the_root_fails(self):
        self.assert_violation("broker/a.c", '\n#include "../client/client.h"\n', 2, "from the root")
        self.assert_violation("broker/a.c", '#include "topic.h"\n', 1, "from the root")
        self.assert_violation("broker/a.c", "#include <client/client.h>\n", 1, "with quotes")

    def test_cycle_fails(self):
        self.write("broker/a.h", '#include "broker/b.h"\n')
        self.assert_violation("broker/b.h", '#include "broker/a.h"\n', 1,
                              "broker/a.h -> broker/b.h -> broker/a.h")

    def test_each_dependency_has_one_door(self):
        for path, header in (("runtime/stream.c", "nng/nng.h"), ("runtime/kv.c", "rocksdb/c.h"),
                             ("runtime/real/file.c", "rocksdb/c.h"),
                             ("broker/a.c", "protobuf-c/protobuf-c.h"),
                             ("broker/a.c", "criterion/criterion.h")):
            with self.subTest(path=path, header=header):
                self.assert_violation(path, f"#include <{header}>\n", 1, "one door")
        (self.root / "broker/a.c").unlink()

    def test_doors_are_open(self):
        for name in ("runtime/stream.c", "runtime/kv.c"):
            self.write(name, "")
        self.assert_clean("runtime/real/stream_nng.c", "#include <nng/nng.h>\n")
        self.assert_clean("runtime/real/kv_rocksdb_batch.c", "#include <rocksdb/c.h>\n")
        self.assert_clean("proto/pulsar.c", "#include <protobuf-c/protobuf-c.h>\n")

    def test_lz4_in_a_second_file_fails(self):
        self.assert_clean("runtime/lz4.c", "#include <lz4.h>\n#include <lz4frame.h>\n")
        self.assert_violation("runtime/real/a.c", "#include <lz4.h>\n", 1, "one door")

    def test_system_headers_outside_runtime_fail(self):
        for header in ("pthread.h", "stdatomic.h", "sys/socket.h", "unistd.h", "time.h", "fcntl.h"):
            with self.subTest(header=header):
                self.assert_violation("broker/a.c", f"#include <{header}>\n", 1, "for runtime/")

    def test_unknown_dependency_fails(self):
        self.assert_violation("broker/a.c", "#include <glib.h>\n", 1, "docs/dependencies.md")

    def test_comment_is_no_include(self):
        self.assert_clean("broker/a.c", '// #include "cli/command.h"\n/*\n#include <time.h>\n*/\n')


class Style(Tree):
    tool = "check_style.py"

    def test_banned_everywhere(self):
        for call in ("strcpy(a, b)", "strcat(a, b)", "sprintf(a, b)", "vsprintf(a, b, c)",
                     "gets(a)", "strtok(a, b)", "alloca(4)", "setjmp(a)", "strncpy(a, b, 1)"):
            for path in ("runtime/a.c", "broker/a.c", "tests/unit/a.c"):
                with self.subTest(call=call, path=path):
                    self.assert_violation(path, f"void f(void) {{\n    {call};\n}}\n", 2,
                                          "is banned everywhere: ")
                (self.root / path).unlink()

    def test_banned_outside_runtime(self):
        calls = ("time(NULL)", "clock_gettime(a, b)", "gettimeofday(a, b)", "rand()", "random()",
                 "srand(1)", "malloc(1)", "calloc(1, 1)", "realloc(a, 1)", "free(a)", "strdup(a)",
                 "socket(1, 2, 3)", "open(a, b)", "read(a, b, c)", "write(a, b, c)", "fork()")
        for call in calls:
            text = f"void f(void) {{\n    {call};\n}}\n"
            with self.subTest(call=call):
                self.assert_clean("runtime/real/a.c", text)
                for path in ("broker/a.c", "cli/a.c", "meta/raft/a.c"):
                    self.assert_violation(path, text, 2, "is banned here: ")
                    (self.root / path).unlink()

    def test_terminal_is_for_cli(self):
        text = 'void f(void) {\n    printf("x");\n}\n'
        self.assert_clean("cli/a.c", text)
        self.assert_violation("broker/a.c", text, 2, "only cli/ talks to a terminal")

    def test_threads_and_atomics_outside_runtime(self):
        for code in ("_Atomic int", "atomic_int", "pthread_mutex_t"):
            with self.subTest(code=code):
                self.assert_violation("broker/a.c", f"struct a {{\n    {code} x;\n}};\n", 2,
                                      "post a message")

    def test_names_that_only_look_banned_pass(self):
        self.assert_clean("broker/a.c", "\n".join((
            "// time() and malloc(): strcpy(a, b)", "void f(struct x *x) {",
            '    x->read(x, "free(p); TO" "DO");', "    x->ops.open(x);", "    rt_free(x->time);",
            "    broker_time(x);", "}", "")))

    def test_mutable_state_in_tier_code(self):
        for text, line in (("static int count;\n", 1), ("int count = 0;\n", 1),
                           ("\nstruct x x;\n", 2), ("static void (*hook)(void);\n", 1),
                           ("static const char *name;\n", 1), ("static int a[4] = {0};\n", 1),
                           ("void f(void) {\n    static int calls = 0;\n}\n", 2)):
            with self.subTest(text=text):
                self.assert_violation("broker/a.c", text, line, "hangs off one struct")
        self.assert_violation("broker/a.c", "static _Thread_local int x;\n", 1, "runtime/ only")

    def test_constants_types_and_prototypes_are_no_state(self):
        self.assert_clean("broker/a.c", "\n".join((
            "static const int limit = 3;", "static const char *const name = 0;",
            "static const char *names[] = {", "    0,", "};", "enum { A = 1, B };",
            "static const struct x table[2] = {", "    [A] = {.run = 0},", "};",
            "struct y {", "    int a;", "};", "struct x;", "typedef void done_cb(struct x *x);",
            'static_assert(A == 1, "one");', "static void g(struct x *x, void (*done)(int));",
            "static void (*const hook)(void) = 0;", "struct p {", "    int b;",
            "} __attribute__((packed));", "static void g(struct x *x, void (*done)(int)) {",
            "    static const int b = 1;", "    int c = b;", "}", "")))

    def test_layout(self):
        for text, line, sentence in (
                ("// " + "x" * 98 + "\n", 1, "101 columns"), ("int f(void);\t\n", 1, "tab"),
                ("int f(void); \n", 1, "white space"), ("int f(void);", 1, "no newline"),
                ("int f(void);\n" * 701, 701, "701 lines"), ("/* no */\n", 1, "with //"),
                ("#if 0\n#endif\n", 1, "#if 0"), ("#ifdef NDEBUG\n#endif\n", 1, "asserts stay on"),
                ("// TO" "DO: later\n", 1, "finish it"), ("// XX" "X\n", 1, "finish it"),
                ("typedef struct x {\n    int a;\n} x;\n", 1, "typedef struct"),
                (function(71), 1, "f has 71 lines")):
            with self.subTest(sentence=sentence):
                self.assert_violation("runtime/real/a.c", text, line, sentence)

    def test_size_at_the_limits_passes(self):
        self.assert_clean("broker/a.c", "// " + "é" * 97 + "\n" + function(60))
        self.assert_clean("tests/unit/a.c", function(100))
        self.assert_violation("tests/unit/b.c", function(101), 1, "100 is the limit")

    def test_long_function_is_a_warning_first(self):
        self.write("broker/a.c", function(61))
        status, output = self.check()
        self.assertEqual(status, 0)
        self.assertIn("broker/a.c:1: warning: f has 61 lines", output)

    def test_header_guard(self):
        for guard in ("BROKER_A_H", "GEMINGA_BROKER_B_H"):
            self.assert_violation("broker/a.h", f"#ifndef {guard}\n#define {guard}\n#endif\n", 1,
                                  "GEMINGA_BROKER_A_H")
        self.assert_violation("broker/a.h", "#pragma once\n", 1, "GEMINGA_BROKER_A_H")

    def test_file_that_is_not_built(self):
        self.write("broker/a.c", "")
        self.write("broker/CMakeLists.txt", "gem_library(gem_broker SOURCES ba.c sub/c.c)\n")
        self.write("broker/sub/c.c", "int f(void);\n")
        self.assert_violation("broker/a.c", "int f(void);\n", 1, "is not built")


@unittest.skipUnless(shutil.which("cmake") and shutil.which("ninja"), "needs cmake and ninja")
class Build(Tree):
    """cmake/Checks.cmake in a project of its own: the same command as in the real build."""

    def setUp(self):
        super().setUp()
        self.write("CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(x NONE)\n"
                   "set(GEMINGA_CHECKS ON)\ninclude(cmake/Checks.cmake)\n")
        for folder in ("cmake", "tools"):
            shutil.copytree(ROOT / folder, self.root / folder,
                            ignore=shutil.ignore_patterns("__pycache__"))

    def build(self):
        self.run_tool("cmake", "-G", "Ninja", "-B", "out")
        return self.run_tool("ninja", "-C", "out", "-d", "explain")

    def run_tool(self, *command):
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)

    def test_build_fails_on_a_planted_include_and_recovers(self):
        self.assertEqual(self.build().returncode, 0)
        self.write("broker/a.c", '#include "cli/command.h"\n')
        failed = self.run_tool("ninja", "-C", "out")
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("broker/a.c:1: ", failed.stdout)
        self.write("broker/a.c", '#include "broker/topic.h"\n')
        self.assertEqual(self.run_tool("ninja", "-C", "out").returncode, 0)
        self.assertIn("no work to do", self.run_tool("ninja", "-C", "out").stdout)

    def test_build_fails_on_a_planted_call(self):
        self.write("meta/raft/a.c", "long f(void) {\n    return time(0);\n}\n")
        failed = self.build()
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("meta/raft/a.c:2: time() is banned here", failed.stdout)


@unittest.skipUnless(shutil.which("gcc") or shutil.which("clang"), "needs a C compiler")
class BannedHeader(unittest.TestCase):
    """runtime/banned.h, by the compilers that are there."""

    def compile(self, compiler, code):
        command = [compiler, "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Werror",
                   "-include", str(ROOT / "runtime/banned.h"), "-x", "c", "-"]
        return subprocess.run(command, input=code, capture_output=True, text=True, check=False)

    def test_banned_calls_do_not_compile_and_others_do(self):
        for compiler in filter(shutil.which, ("gcc", "clang")):
            with self.subTest(compiler=compiler):
                done = self.compile(compiler, "#include <stdlib.h>\n#include <time.h>\n"
                                    "struct s { void (*free)(int); int time; };\n"
                                    "int f(struct s *s) { return s->time + abs(1); }\n")
                self.assertEqual(done.returncode, 0, done.stderr)
                for call in ("malloc(4)", "strcpy(a, a)", "time(0)", "rand()", "free(a)"):
                    done = self.compile(compiler, f"void f(char *a) {{ (void)a; (void){call}; }}\n")
                    self.assertNotEqual(done.returncode, 0, call)
                    self.assertIn("_is_banned_use_", done.stderr)


if __name__ == "__main__":
    unittest.main()
