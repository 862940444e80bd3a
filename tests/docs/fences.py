"""The examples of the documents: every fenced block, and every command that one shows."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md")
    for path in REPOSITORY.glob(pattern)
    if not any(part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
)
PROGRAM = "wippy-supervisor"
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_BETWEEN = frozenset({"|", "&&", "||", ";", "&"})


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: where it begins, its language, its text without common indentation."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def fences(*languages: str) -> list[Fence]:
    """Return the blocks of all documents in these languages; of any, if none is named."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text()
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            name = str(path.relative_to(REPOSITORY))
            found.append(Fence(name, line, match[1], textwrap.dedent(match[2])))
    return [fence for fence in found if not languages or fence.language in languages]


def prose(path: Path) -> str:
    """Return a document without its fenced blocks; the lines keep their numbers."""
    return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), path.read_text())


def commands() -> list[tuple[str, list[str]]]:
    """Return (place, words) of every `wippy-supervisor ...` and `scripts/...` that is shown."""
    found = []
    for fence in fences():
        for line in _command_lines(fence):
            found += [(str(fence), command) for command in _ours(line)]
    for path in DOCUMENTS:
        name = str(path.relative_to(REPOSITORY))
        for match in _INLINE.finditer(" ".join(prose(path).split())):
            found += [(name, command) for command in _ours(match[1])]
    return found


def _command_lines(fence: Fence) -> list[str]:
    """What is to be typed: after `$ ` in a console, each line of a script, Exec... of a unit."""
    lines = fence.text.splitlines()
    match fence.language:
        case "console":
            return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        case "sh":
            return lines
        case "ini":
            return [line.partition("=")[2] for line in lines if line.startswith("Exec")]
    return []


def _ours(line: str) -> list[list[str]]:
    """Return the words of each command of a line that is one of ours."""
    if PROGRAM not in line:
        return [line.split()] if line.startswith("scripts/") else []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word in _BETWEEN:
            found.append([])
        else:
            found[-1].append(word)
    return [it for it in found if it and it[0].rpartition("/")[2] == PROGRAM]
