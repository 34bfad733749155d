#!/usr/bin/env python3
"""Runs the test suites of a build and counts their single tests.

    run_suites.py --build build [--filter TEXT] [--wide]

BUILD/suites.txt, written by CMake, lists the compiled suites: kind, name, timeout, command. To
these come the Python suites: tests/tools (the checks of the build) and tests/interop (real clients
against BUILD/geminga) and, with --wide, tests/interop/wide. The last line printed is 'N passed, N failed'.
"""

import argparse
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOG_LINES_SHOWN = 200
PYTHON_TIMEOUT_S = 600
SANITIZED = ("asan", "tsan", "fuzz")  # the checks of the build are the same there
SLOWDOWN = {"asan": 3, "tsan": 6, "debug": 2}  # of a build, for the timeouts
# A test whose process a sanitizer has complained about may still have reported success.
COMPLAINT = re.compile(r"(ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ).*")


@dataclass
class Suite:
    kind: str
    name: str
    timeout_s: int
    command: list
    tap: Path = None

    @property
    def full_name(self):
        return f"{self.kind}/{self.name}"


@dataclass
class Result:
    passed: int = 0
    failed: int = 0
    note: str = ""


def compiled_suites(build, logs):
    suites = []
    for line in (build / "suites.txt").read_text().splitlines():
        kind, name, timeout, *command = line.split("\t")
        command = [part for part in command if part]
        suite = Suite(kind, name, int(timeout) * SLOWDOWN.get(build.name, 1), command)
        if kind in ("unit", "sim"):
            suite.tap = logs / f"{kind}-{name}.tap"
            command.append(f"--tap={suite.tap}")
        elif kind == "fuzz" and build.name != "fuzz":
            command.insert(1, f"--save={logs}/fuzz-{name}.input")
        suites.append(suite)
    return suites


def python_suites(kind, folder, python):
    return [
        Suite(kind, path.stem.removeprefix("test_"), PYTHON_TIMEOUT_S,
              [str(python), "-m", "unittest", "-v", str(path.relative_to(ROOT))])
        for path in sorted((ROOT / folder).glob("test_*.py"))
    ]


def venv_python(build):
    """The interpreter for tests/interop, with its requirements; made anew only when they change."""
    requirements = ROOT / "tests/interop/requirements.txt"
    if not requirements.exists():
        return sys.executable
    venv = ROOT / "build/venv"
    stamp = venv / "requirements.sha256"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print("Installing the clients of tests/interop/requirements.txt", flush=True)
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "install", "-q", "--disable-pip-version-check",
                        "-r", str(requirements)], check=True)
        stamp.write_text(digest)
    return venv / "bin/python"


def environment(build):
    options = {
        "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=1:strict_string_checks=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "TSAN_OPTIONS": f"halt_on_error=0:second_deadlock_stack=1:"
                        f"suppressions={ROOT}/tools/tsan.supp",
        "LSAN_OPTIONS": f"suppressions={ROOT}/tools/lsan.supp",
    }
    if build.name in SANITIZED:  # five to fifteen times slower; the simulator has one thread
        options |= {"GEMINGA_SEEDS": "40", "META_OPERATIONS": "3000"}
    env = {name: value for name, value in options.items() if name not in os.environ}
    return os.environ | env | {"GEMINGA": str(build / "geminga"), "PYTHONDONTWRITEBYTECODE": "1"}


def run(suite, log, env):
    """Exit status, or None after a timeout. The whole process group goes with the suite."""
    with log.open("wb") as out:
        process = subprocess.Popen(suite.command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(timeout=suite.timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def count_tap(path):
    text = path.read_text(errors="replace") if path.exists() else ""
    lines = [line for line in text.splitlines() if re.match(r"(not )?ok\b", line)]
    lines = [line for line in lines if not re.search(r"# *SKIP", line, re.IGNORECASE)]
    failed = [re.sub(r" *\([\d.]+s\)$", "", line.removeprefix("not ok").strip(" -"))
              for line in lines if line.startswith("not ")]
    return Result(len(lines) - len(failed), len(failed), "; ".join(failed))


def count_unittest(text):
    ran = re.findall(r"^Ran (\d+) tests?", text, re.MULTILINE)
    if not ran:
        return Result()
    counts = dict(re.findall(r"(failures|errors|skipped|unexpected successes)=(\d+)",
                             text.rsplit("Ran ", 1)[1]))
    failed = sum(int(n) for what, n in counts.items() if what != "skipped")
    return Result(max(0, int(ran[-1]) - failed - int(counts.get("skipped", 0))), failed)


def judge(suite, status, log):
    """Counts what the suite reported; dying, hanging or failing silently is a failure too."""
    if suite.tap:
        result = count_tap(suite.tap)
    elif suite.kind in ("checks", "interop", "wide"):
        result = count_unittest(log.read_text(errors="replace"))
    else:
        result = Result(passed=1) if status == 0 else Result()
    if status is None:
        result.failed += 1
        result.note = f"no end within {suite.timeout_s} s"
    elif status == 0 and (complaint := COMPLAINT.search(log.read_text(errors="replace"))):
        result.failed += 1
        result.note = complaint.group(0)
    elif status != 0 and result.failed == 0:
        result.failed = 1
        result.note = f"died of signal {-status}" if status < 0 else f"exit status {status}"
    return result


def show_log(log):
    lines = log.read_text(errors="replace").splitlines()
    if len(lines) > LOG_LINES_SHOWN:
        print(f"    … {len(lines) - LOG_LINES_SHOWN} lines before are in {log}")
    for line in lines[-LOG_LINES_SHOWN:]:
        print(f"    {line}")


def interop_suites(python, wide):
    suites = python_suites("interop", "tests/interop", python)
    return suites + (python_suites("wide", "tests/interop/wide", python) if wide else [])


def all_suites(build, logs, wanted, wide):
    suites = compiled_suites(build, logs)
    if build.name not in SANITIZED:
        suites += python_suites("checks", "tests/tools", sys.executable)
    interop = interop_suites(sys.executable, wide)
    if any(wanted in suite.full_name for suite in interop):
        interop = interop_suites(venv_python(build), wide)
    return [suite for suite in suites + interop if wanted in suite.full_name]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--filter", default="")
    parser.add_argument("--wide", action="store_true")
    options = parser.parse_args()
    build = options.build.resolve()
    logs = build / "test-logs"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)

    total = Result()
    try:
        suites = all_suites(build, logs, options.filter, options.wide)
    except subprocess.CalledProcessError as error:
        print(f"The interop clients could not be installed: {error}")
        suites, total.failed = [], 1
    env = environment(build)
    for suite in suites:
        log = logs / f"{suite.kind}-{suite.name}.log"
        started = time.monotonic()
        result = judge(suite, run(suite, log, env), log)
        print(f"{suite.full_name:32} {result.passed:5} passed {result.failed:4} failed "
              f"{time.monotonic() - started:7.1f} s  {result.note}".rstrip(), flush=True)
        if result.failed:
            show_log(log)
        total.passed += result.passed
        total.failed += result.failed
    if not suites and not total.failed:
        print(f"No suite's name contains '{options.filter}'.")
    print(f"{total.passed} passed, {total.failed} failed")
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())
