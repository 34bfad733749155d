"""What the checks of the build share: the C files of the tree, with comments and strings told apart
from code, so that a banned word in a comment is no violation."""

import re
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

FOLDERS = ("runtime", "proto", "meta", "bookie", "client", "broker", "cli", "tests")
GENERATED = (".pb-c.c", ".pb-c.h")

TOKEN = re.compile(
    r"//(?:[^\\\n]|\\.|\\\n)*"  # a line comment, also over a continued line
    r"|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'",
    re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\\\n]|\\.|\\\n)*", re.MULTILINE)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)


def blank(text):
    """The same number of lines and columns, nothing in them."""
    return re.sub(r"[^\n]", " ", text)


def _blank_token(match):
    token = match.group()
    if token[0] in "\"'":
        return token[0] + blank(token[1:-1]) + token[-1]
    return blank(token)


@dataclass
class Include:
    line: int
    system: bool  # <…>
    target: str


@dataclass
class Source:
    path: str  # from the root, with slashes
    text: str
    code: str = field(init=False)  # without comments, strings emptied

    def __post_init__(self):
        self.code = TOKEN.sub(_blank_token, self.text)

    @cached_property
    def plain(self):
        """The code without preprocessor directives either."""
        return DIRECTIVE.sub(lambda match: blank(match.group()), self.code)

    @cached_property
    def includes(self):
        text = TOKEN.sub(lambda m: m.group() if m.group()[0] == '"' else blank(m.group()),
                         self.text)
        return [Include(self.line_of(m.start(2)), m.group(1) == "<", m.group(2))
                for m in INCLUDE.finditer(text)]

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    @property
    def is_test(self):
        return self.path.startswith("tests/")

    @property
    def is_header(self):
        return self.path.endswith(".h")


def load(root):
    """All C files of the tree that people write, in the order of their paths."""
    root = Path(root)
    paths = [path for folder in FOLDERS for path in (root / folder).rglob("*.[ch]")]
    return [Source(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
            for path in sorted(paths) if not path.name.endswith(GENERATED)]


class Report:
    def __init__(self):
        self.errors = []
        self.warnings = []

    def error(self, path, line, message):
        self.errors.append(f"{path}:{line}: {message}")

    def warn(self, path, line, message):
        self.warnings.append(f"{path}:{line}: warning: {message}")

    def finish(self):
        """Prints everything; the exit status of the check."""
        for message in self.warnings + self.errors:
            print(message, file=sys.stderr)
        if self.errors:
            print(f"{len(self.errors)} violation(s) of the house rules; they fail the build",
                  file=sys.stderr)
        return 1 if self.errors else 0


def root_from_arguments():
    return Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
