#!/usr/bin/env python3
"""The part of the house style that a machine can check: banned calls, state outside a node, sizes,
layout. Fails the build.   check_style.py [ROOT]"""

import re
import sys

from source import DIRECTIVE, Report, load, root_from_arguments

COLUMNS_MAX = 100
FILE_LINES_MAX, FILE_LINES_WARN = 700, 600
FUNCTION_LINES_MAX, FUNCTION_LINES_WARN = 70, 60
TEST_FUNCTION_LINES_MAX = 100


def words(text):
    return frozenset(text.split())


# (names, folders where they are allowed, what to do instead)
BANNED_CALLS = (
    (words("strcpy strcat strncpy strncat stpcpy"), (), "copy with a bound: memcpy, snprintf"),
    (words("sprintf vsprintf"), (), "use snprintf"),
    (words("gets"), (), "read with a bound"),
    (words("strtok"), (), "it keeps hidden state; walk the bytes, or use strtok_r"),
    (words("alloca"), (), "the stack has no budget; use an arena or a pool"),
    (words("setjmp sigsetjmp longjmp siglongjmp"), (), "return an rt_err"),
    (words("time gettimeofday clock clock_gettime clock_nanosleep nanosleep sleep usleep localtime "
           "gmtime localtime_r gmtime_r timerfd_create"),
     ("runtime/", "tests/"), "time comes from the clock and timers of runtime/"),
    (words("rand rand_r srand random srandom drand48 lrand48 getrandom getentropy arc4random"),
     ("runtime/", "tests/"), "randomness comes from runtime/random.h"),
    (words("malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf "
           "posix_memalign aligned_alloc memalign"),
     ("runtime/", "tests/"), "use the rt_alloc family of runtime/mem.h, a pool or an arena"),
    (words("socket socketpair bind listen accept accept4 connect shutdown send sendto sendmsg recv "
           "recvfrom recvmsg setsockopt getsockopt poll ppoll select epoll_create1 epoll_ctl "
           "epoll_wait getaddrinfo"),
     ("runtime/", "tests/"), "streams come from runtime/"),
    (words("open openat creat close read write pread pwrite readv writev preadv pwritev lseek "
           "fsync fdatasync sync_file_range ftruncate truncate fallocate posix_fallocate rename "
           "unlink remove mkdir rmdir opendir readdir stat fstat lstat mmap munmap ioctl fcntl "
           "flock dup dup2 pipe pipe2 eventfd"),
     ("runtime/", "tests/"), "files come from runtime/"),
    (words("fork vfork execv execve execvp system popen kill sigaction signal raise waitpid "
           "syscall"),
     ("runtime/", "tests/"), "processes and signals are for runtime/"),
    (words("fopen fdopen freopen fread fwrite fclose printf vprintf puts putchar perror getchar "
           "scanf"),
     ("runtime/", "cli/", "tests/"), "log with runtime/log.h; only cli/ talks to a terminal"),
)
BANNED = {name: (allowed, advice) for names, allowed, advice in BANNED_CALLS for name in names}

CALL = re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
ATOMIC = re.compile(
    r"\b(_Atomic|atomic_\w+|__atomic_\w+|__sync_\w+|pthread_\w+|mtx_\w+|thrd_\w+)\b")
FUNCTION_NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")
TYPE_ONLY = re.compile(r"(const )?(struct|union|enum)( \w+)?( \{\})?( [A-Z_]+)?$")
FUNCTION_POINTER = re.compile(r"\(\s*\*\s*(const )?\w+(\[\w*\])?\s*\)\s*\(")
NOT_A_VARIABLE = re.compile(r"(typedef|extern|_Static_assert|static_assert)\b")


def check_calls(source, report):
    if source.path == "runtime/banned.h":
        return  # it names what it bans
    for match in CALL.finditer(source.code):
        name = match.group(1)
        if name not in BANNED:
            continue
        allowed, advice = BANNED[name]
        if not source.path.startswith(allowed or ("\0",)):
            report.error(source.path, source.line_of(match.start(1)),
                         f"{name}() is banned {'everywhere' if not allowed else 'here'}: {advice}")


def check_threads(source, report):
    if source.path.startswith(("runtime/", "tests/")):
        return
    for match in ATOMIC.finditer(source.code):
        report.error(source.path, source.line_of(match.start()), f"{match.group()}: no threads, "
                     "locks or atomics outside runtime/; post a message to the owner's loop")


def check_words(source, report):
    for match in re.finditer(r"\bNDEBUG\b", source.code):
        report.error(source.path, source.line_of(match.start()),
                     "NDEBUG: asserts stay on in every build; remove this")
    for match in re.finditer(r"^[ \t]*#[ \t]*if[ \t]+0\b", source.code, re.MULTILINE):
        report.error(source.path, source.line_of(match.start()),
                     "#if 0: delete dead code; git remembers it")
    for match in re.finditer(r"\b(TODO|FIXME|XXX)\b", source.text):
        report.error(source.path, source.line_of(match.start()),
                     f"{match.group()}: finish it, or file an issue and remove the mark")
    for match in re.finditer(r"/\*", without_line_comments(source)):
        report.error(source.path, source.line_of(match.start()),
                     "/* */: write comments with //")
    if source.is_header and source.path.startswith("client/"):
        return  # public handles of the client library have typedefs
    for match in re.finditer(r"\btypedef\s+(struct|union)\b", source.plain):
        # A callback that returns a struct is a typedef of a function.
        statement = source.plain[match.end():].split(";", 1)[0]
        if "{" in statement or "(" not in statement:
            report.error(source.path, source.line_of(match.start()),
                         f"typedef {match.group(1)}: write 'struct name' where it is used")


def without_line_comments(source):
    """The text with strings and // comments emptied; /* */ still in place."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: m.group() if m.group().startswith("/*")
                  else re.sub(r"[^\n]", " ", m.group()), source.text, flags=re.DOTALL)


def check_layout(source, report):
    lines = source.text.split("\n")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            report.error(source.path, number,
                         f"{len(line)} columns; break the line at {COLUMNS_MAX}")
        if "\t" in line:
            report.error(source.path, number, "tab; indent with 4 spaces")
        if line != line.rstrip():
            report.error(source.path, number, "white space at the end of the line; remove it")
    if lines[-1] != "" or len(lines) < 2:
        report.error(source.path, len(lines), "no newline at the end of the file; add one")
    count = len(lines) - 1
    if count > FILE_LINES_MAX:
        report.error(source.path, FILE_LINES_MAX + 1,
                     f"{count} lines; split the file by subject ({FILE_LINES_MAX} is the limit)")
    elif count > FILE_LINES_WARN:
        report.warn(source.path, FILE_LINES_WARN + 1, f"{count} lines; time to split by subject")


def check_guard(source, report):
    if not source.is_header:
        return
    guard = "GEMINGA_" + re.sub(r"[^A-Z0-9]", "_", source.path.upper())
    directives = [match.group().strip() for match in DIRECTIVE.finditer(source.code)]
    first_code = source.code.split()[:1]
    if (directives[:2] != [f"#ifndef {guard}", f"#define {guard}"] or first_code != ["#ifndef"]
            or directives[-1].split()[0] != "#endif"):
        report.error(source.path, 1, f"header guard: start with '#ifndef {guard}', "
                     f"'#define {guard}' and end with '#endif'")


def top_level(source):
    """Statements outside all braces: (offset of the first word, text with bodies as {}, offset of
    the end, whether it is a function body)."""
    text, depth, start, head = source.plain, 0, 0, ""
    for match in re.finditer(r"[{};]|[^{};]+", text):
        piece = match.group()
        if piece == "{":
            if depth == 0:
                head += " {"
            depth += 1
        elif piece == "}":
            depth -= 1
            if depth == 0:
                head += "} "
                if is_function(head):
                    yield start, head, match.end(), True
                    start, head = match.end(), ""
        elif depth == 0:
            if piece == ";":
                yield start, head, match.end(), False
                start, head = match.end(), ""
            else:
                if not head.strip():
                    start = match.start() + len(piece) - len(piece.lstrip())
                head += piece


def is_function(head):
    before = head.split(" {", 1)[0].rstrip()
    return before.endswith(")") and "=" not in re.sub(r"\([^()]*\)", "", before)


def check_functions(source, report):
    limit = TEST_FUNCTION_LINES_MAX if source.is_test else FUNCTION_LINES_MAX
    for start, head, end, is_body in top_level(source):
        if not is_body:
            continue
        first = source.line_of(start)
        count = source.line_of(end) - first + 1
        name = FUNCTION_NAME.search(head)
        message = f"{name.group(1) if name else 'function'} has {count} lines; split it"
        if count > limit:
            report.error(source.path, first, f"{message} ({limit} is the limit)")
        elif count > FUNCTION_LINES_WARN and not source.is_test:
            report.warn(source.path, first, f"{message} (aim at 25, stop at {FUNCTION_LINES_WARN})")


def declarator(head):
    """The declaration without attributes, initialiser and body."""
    text = re.sub(r"__attribute__ ?\(\(.*?\)\)|_Alignas\([^)]*\)", "", " ".join(head.split()))
    return re.split(r" ?= ?| \{", text, maxsplit=1)[0].strip()


def declares_variable(head):
    text = re.sub(r"__attribute__ ?\(\(.*?\)\)", "", " ".join(head.split())).strip()
    if not text or NOT_A_VARIABLE.match(text) or TYPE_ONLY.match(text):
        return False
    before = declarator(head)
    if "(" in before:
        return bool(FUNCTION_POINTER.match(before[before.index("("):]))
    return len(re.findall(r"\w+", before)) > 1


def is_constant(before):
    """const, and if a pointer, itself const: 'T *const p'. Tables of pointers may pass without."""
    if not re.search(r"\bconst\b", before):
        return False
    last = before.rsplit("*", 1)[-1]
    return "*" not in before or "[" in last or bool(re.search(r"\bconst\b", last))


def check_state(source, report):
    if source.path.startswith(("tests/", "runtime/real/")):
        return
    advice = "everything a node owns hangs off one struct created with its ports; make it const " \
             "or a member"
    for start, head, _, is_body in top_level(source):
        if not is_body and declares_variable(head) and not is_constant(declarator(head)):
            if not ("_Thread_local" in head and source.path.startswith("runtime/")):
                report.error(source.path, source.line_of(start), f"mutable global: {advice}")
    check_static_locals(source, report, advice)
    if not source.path.startswith("runtime/"):
        for match in re.finditer(r"\b(_Thread_local|thread_local|__thread)\b", source.code):
            report.error(source.path, source.line_of(match.start()),
                         f"{match.group()} is for runtime/ only: {advice}")


def check_static_locals(source, report, advice):
    for match in re.finditer(r"^[ \t]+static\b([^;={(]*)", source.plain, re.MULTILINE):
        declaration = match.group(1)
        following = source.plain[match.end():match.end() + 1]
        if following != "(" and not is_constant(declaration):
            report.error(source.path, source.line_of(match.start(1)),
                         f"mutable static variable: {advice}")


def nearest_list(root, path):
    folder = (root / path).parent
    while folder != root and not (folder / "CMakeLists.txt").exists():
        folder = folder.parent
    return folder / "CMakeLists.txt"


def check_listed(root, source, report):
    """A file that no CMakeLists.txt names is not built, and not tested."""
    listing = nearest_list(root, source.path)
    if source.is_header or not listing.exists():
        return
    text = re.sub(r"#[^\n]*", "", listing.read_text())
    if not re.search(r"(?<![*\w])\w[\w/]*\.c\b", text):
        return  # the folder builds whatever is there
    if any(source.path in helper.read_text() for helper in (root / "cmake").glob("*.cmake")):
        return  # a helper adds it to every target of a kind
    name = (root / source.path).relative_to(listing.parent).as_posix()
    if not re.search(rf"(?<![\w/]){re.escape(name)}(?!\w)", text):
        report.error(source.path, 1, f"is not built: name it in "
                     f"{listing.relative_to(root).as_posix()}")


def check(root, report):
    for source in load(root):
        check_calls(source, report)
        check_threads(source, report)
        check_words(source, report)
        check_layout(source, report)
        check_guard(source, report)
        check_functions(source, report)
        check_state(source, report)
        check_listed(root, source, report)


def main():
    report = Report()
    check(root_from_arguments().resolve(), report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
