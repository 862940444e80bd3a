"""Problems of a configuration, and how they are shown: all at once, the count last.

configs/web.yaml:14:9: error: unknown key 'retsart' in app:web (did you mean 'restart'?)
        retsart: permanent
        ^
"""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from supervisor.core.spec import Place
from wippy.errors import Invalid

MAX_SHOWN = 200
"""Problems shown as text: nobody reads more before mending the first. `--json` has all."""
MAX_LINE_CELLS = 160
"""Source lines are cut to this width: a line of a megabyte helps nobody."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong.

    Attributes:
        place: Where; line 0 means that the file as a whole (or a variable, a flag) is meant.
        path: Place within the document, `entries[2].lifecycle.restart`; may be empty.
        message: What is wrong.
        hint: What to do, without a full stop: `did you mean 'restart'?`; may be empty.
        line: The source line, for the caret; empty shows none.
    """

    place: Place
    message: str
    path: str = ""
    hint: str = ""
    line: str = ""


class ConfigErrors(Invalid):
    """A configuration that has problems; nothing of it is used.

    Attributes:
        problems: Every problem of every file, by file and place.
    """

    kind = "configuration"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__(render(self.problems))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems by file, line and column, each once."""
    unique = dict.fromkeys(problems)
    return tuple(sorted(unique, key=lambda p: (p.place.file, p.place.line, p.place.column)))


def render(problems: Sequence[Problem]) -> str:
    """Return the problems as text, the count last."""
    blocks = [render_one(problem) for problem in problems[:MAX_SHOWN]]
    count = f"{len(problems)} {'error' if len(problems) == 1 else 'errors'}"
    if len(problems) > MAX_SHOWN:
        count += f", of which the first {MAX_SHOWN} are shown"
    return "\n".join([*blocks, count])


def render_one(problem: Problem) -> str:
    """Return one problem: the place, what is wrong, the line and a caret."""
    hint = f" ({problem.hint})" if problem.hint else ""
    head = f"{place_text(problem.place)}: error: {problem.message}{hint}"
    if not problem.line or not problem.place.line:
        return head
    return "\n".join([head, *_caret(problem.line, problem.place.column)])


def place_text(place: Place) -> str:
    """Return a place as text: the file alone where the whole of it is meant."""
    return str(place) if place.line else place.file


def to_json(problems: Sequence[Problem]) -> str:
    """Return the problems as JSON for programs (`"schema": 1`)."""
    return json.dumps(as_data(problems), indent=2, ensure_ascii=False)


def as_data(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the problems as plain data."""
    return {
        "schema": 1,
        "ok": not problems,
        "errors": [
            {
                "file": problem.place.file,
                "line": problem.place.line,
                "column": problem.place.column,
                "path": problem.path,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in problems
        ],
    }


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the hint that names the nearest right word; empty if none is near."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def one_of(words: Iterable[str]) -> str:
    """Return the hint that names all right words."""
    return f"one of {', '.join(words)}"


def _caret(line: str, column: int) -> tuple[str, str]:
    start = max(0, column - 1 - MAX_LINE_CELLS // 2) if len(line) > MAX_LINE_CELLS else 0
    # Control characters must not reach a terminal, and a tab has no width of its own.
    shown = "".join(
        char if char.isprintable() else " " for char in line[start : start + MAX_LINE_CELLS]
    )
    before = shown[: max(0, column - 1 - start)]
    return f"  {shown.rstrip()}", f"  {' ' * sum(map(_cells, before))}^"


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
