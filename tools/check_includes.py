#!/usr/bin/env python3
"""Who may include whom: fails the build on an upward include, a cycle between headers, or a
dependency that comes in by another than its one door.   check_includes.py [ROOT]"""

import fnmatch
import sys

from source import Report, load, root_from_arguments

# The runtime's headers without port, clock or log: all that pure code may see.
PURE = {f"runtime/{name}.h"
        for name in ("err", "bytes", "arena", "list", "mem", "crc32", "crc32c", "random",
                     "sha1")}

# Module: what it may include beside itself. "pure" stands for the headers above.
MAY_INCLUDE = {
    "runtime": (),
    "proto": ("pure",),
    "meta/raft": ("pure",),
    "meta/server": ("meta/raft", "proto", "runtime"),
    "meta/client": ("proto", "runtime"),
    "bookie/server": ("meta/client", "proto", "runtime"),
    "bookie/client": ("meta/client", "proto", "runtime"),
    "client": ("proto", "runtime"),
    "broker": ("client", "bookie/client", "meta/client", "proto", "runtime"),
    "cli": ("broker", "client", "bookie/server", "bookie/client", "meta/server", "meta/client",
            "meta/raft", "proto", "runtime"),
}

# A backend's headers are its own; these may be seen from elsewhere, by whom.
BACKENDS = ("runtime/real/", "runtime/sim/")
BACKEND_DOORS = {
    "runtime/real/real.h": ("cli/", "tests/"),
    "runtime/sim/sim.h": ("tests/",),
    "runtime/real/loop_thread.h": ("tests/unit/runtime/",),
    "runtime/real/machine.h": ("tests/unit/runtime/",),
}

# Written by the build, so not in the tree.
GENERATED = {"cli/version_generated.h": "cli/"}

# Headers of the C standard that hold no clock, thread, signal or system call.
STANDARD = {"assert.h", "ctype.h", "float.h", "inttypes.h", "iso646.h", "limits.h", "math.h",
            "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h",
            "stdnoreturn.h", "string.h"}

# Dependency: where it may come in.
DOORS = {
    "nng/*": ("runtime/real/*", "tests/bench/*"),
    "rocksdb/*": ("runtime/real/kv_rocksdb*.c",),
    "mbedtls/*": ("runtime/real/*",),
    "psa/*": ("runtime/real/*",),
    "protobuf-c/*": ("proto/*",),
    "*.pb-c.h": ("proto/*",),
    "lz4*.h": ("*",),  # one file only: see check_lz4
    "jemalloc/*": ("runtime/*", "cli/*"),
    "jansson*.h": ("broker/*", "cli/*", "tests/*"),
    "jwt.h": ("broker/*",),
    "curl/*": ("runtime/real/*",),
    "roaring/*": ("broker/*",),
    "uthash.h": ("runtime/hash.h",),
    "utlist.h": ("*",),
    "utarray.h": ("*",),
    "criterion/*": ("tests/*",),
    "zookeeper/*": ("tests/interop/c_client/*",),
}

SYSTEM_PREFIXES = ("sys/", "linux/", "netinet/", "arpa/", "net/", "bits/", "asm/")
SYSTEM = {"alloca.h", "complex.h", "cpuid.h", "dirent.h", "dlfcn.h", "endian.h", "errno.h",
          "execinfo.h", "fcntl.h", "fenv.h", "fnmatch.h", "ftw.h", "getopt.h", "glob.h", "grp.h",
          "ifaddrs.h", "immintrin.h", "libgen.h", "link.h", "locale.h", "malloc.h", "netdb.h",
          "nmmintrin.h", "arm_acle.h", "arm_neon.h", "poll.h", "pthread.h", "pwd.h", "regex.h",
          "sched.h", "semaphore.h", "setjmp.h", "signal.h", "spawn.h", "stdatomic.h", "strings.h",
          "syslog.h", "termios.h", "threads.h", "time.h", "ucontext.h", "unistd.h", "wchar.h",
          "wctype.h", "x86intrin.h"}
SYSTEM_DOORS = ("runtime/", "tests/")


def module_of(path):
    """The row of the table a path belongs to, or None."""
    if path.startswith("tests/"):
        return "tests"
    parts = path.split("/")
    if len(parts) > 2 and "/".join(parts[:2]) in MAY_INCLUDE:
        return "/".join(parts[:2])
    return parts[0] if len(parts) > 1 and parts[0] in MAY_INCLUDE else None


def check_own(source, include, known, report):
    target = include.target

    def fail(message):
        report.error(source.path, include.line, f'"{target}": {message}')

    if target.startswith(("../", "./")) or "/../" in target:
        return fail("write the include from the root of the tree, without '..'")
    if target in GENERATED:
        if not source.path.startswith(GENERATED[target]):
            fail(f"is only for {GENERATED[target]}")
        return
    if target not in known:
        return fail("there is no such header; write the include from the root of the tree")
    if not target.endswith(".h"):
        return fail("include headers only")
    module, other = module_of(source.path), module_of(target)
    if module is None:
        return fail(f"{source.path} belongs to no module of the table in {__file__}")
    check_backend(source, target, fail)
    if module == "tests" or module == other:
        return
    allowed = MAY_INCLUDE[module]
    if other in allowed or ("pure" in allowed and target in PURE):
        return
    if other == "runtime" and "pure" in allowed:
        return fail(f"{module}/ is pure code and sees only {', '.join(sorted(PURE))}")
    fail(f"{module}/ may include {list_of(allowed)}, not {other or 'this'}; includes run downward")


def list_of(allowed):
    return ", ".join(f"{name}/" for name in allowed) if allowed else "nothing but itself"


def check_backend(source, target, fail):
    for folder in BACKENDS:
        if target.startswith(folder) and not source.path.startswith(folder):
            doors = BACKEND_DOORS.get(target, ())
            if not source.path.startswith(doors or ("\0",)):
                fail(f"is private to {folder}; use the port's header in runtime/"
                     + (f" (only {', '.join(doors)} may include it)" if doors else ""))


def check_pure(source, include, report):
    if source.path in PURE and not include.system and include.target not in PURE:
        report.error(source.path, include.line,
                     f'"{include.target}": {source.path} is one of the pure headers and may '
                     "include only the other pure ones")


def check_system(source, include, known, report):
    target = include.target

    def fail(message):
        report.error(source.path, include.line, f"<{target}>: {message}")

    if target in known:
        return fail("our own headers are included with quotes")
    if target in STANDARD:
        return
    for pattern, doors in DOORS.items():
        if fnmatch.fnmatch(target, pattern):
            if not any(fnmatch.fnmatch(source.path, door) for door in doors):
                fail(f"this dependency has one door, {' and '.join(doors)}; use what it offers")
            return
    if target in SYSTEM or target.startswith(SYSTEM_PREFIXES):
        if not source.path.startswith(SYSTEM_DOORS):
            fail("system headers are for runtime/; reach the system through a port of runtime/")
        return
    fail("unknown header; a new dependency needs its door in tools/check_includes.py and its "
         "reason in docs/dependencies.md")


def check_lz4(sources, report):
    users = [(source, include) for source in sources for include in source.includes
             if include.system and fnmatch.fnmatch(include.target, "lz4*.h")]
    for source, include in users:
        if source.path != users[0][0].path:
            report.error(source.path, include.line, f"<{include.target}>: lz4 has one door, "
                         f"{users[0][0].path}; use that codec")


def check_cycles(sources, report):
    graph = {source.path: source for source in sources if source.is_header}
    state = {}  # absent: unseen, 1: on the way, 2: done

    def visit(path, trail):
        state[path] = 1
        for include in graph[path].includes:
            target = include.target
            if include.system or target not in graph:
                continue
            if state.get(target) == 1:
                loop = trail[trail.index(target):] + [target]
                report.error(path, include.line, f"cycle of headers: {' -> '.join(loop)}; "
                             "forward-declare a struct or move what both need to a third header")
            elif target not in state:
                visit(target, trail + [target])
        state[path] = 2

    for path in graph:
        if path not in state:
            visit(path, [path])


def check(root, report):
    sources = load(root)
    known = {source.path for source in sources} | {
        path.relative_to(root).as_posix() for path in (root / "proto").rglob("*.pb-c.h")}
    for source in sources:
        if module_of(source.path) is None:
            report.error(source.path, 1, "belongs to no module; see MAY_INCLUDE in "
                         "tools/check_includes.py")
            continue
        for include in source.includes:
            if include.system or fnmatch.fnmatch(include.target, "*.pb-c.h"):
                check_system(source, include, known if include.system else set(), report)
            else:
                check_own(source, include, known, report)
            check_pure(source, include, report)
    check_lz4(sources, report)
    check_cycles(sources, report)


def main():
    report = Report()
    check(root_from_arguments().resolve(), report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
