"""Patterns over names in parts: topics (`shop.orders.paid`) and entry ids (`app.db:postgres`).

Pure. A name is parts, with `.` or `:` between them. A pattern is one too, and its parts may be

| part | stands for |
|---|---|
| `word` | itself |
| `word*` | one part that begins so |
| `*` | one part |
| `**` | any number of parts, also none, whatever separates them |

A separator stands for itself: `app:*` is what is in the namespace `app`, `app.*` is not. `app.**`
is `app` and everything below it, `**` is everything. Matching takes at most
(parts of the pattern) × (parts of the name) steps, whoever writes the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from wippy.errors import Invalid

MAX_LENGTH = 255
"""Characters of a name or a pattern."""
MAX_PARTS = 32
"""Of a pattern: with as many in a name, a match costs at most a thousand steps."""

ANY = "**"
_MARKS = frozenset(".:")
_SEPARATORS = re.compile(r"(?=[.:])")
_NAME = re.compile(r"[^.:*\s]+(?:[.:][^.:*\s]+)*\Z")
_PATTERN = re.compile(r"(?:\*\*|[^.:*\s]*\*|[^.:*\s]+)(?:[.:](?:\*\*|[^.:*\s]*\*|[^.:*\s]+))*\Z")


class Pattern(msgspec.Struct, frozen=True):
    """A pattern that was read by `parse`.

    Attributes:
        text: As it was written.
        parts: Its parts; each but the first begins with its separator, `**` stands without one.
    """

    text: str
    parts: tuple[str, ...]

    def matches(self, name: str) -> bool:
        """Say whether `name` is one of those that the pattern stands for."""
        return _matches(self.parts, _SEPARATORS.split(name))


def parse(text: str) -> Pattern:
    """Return the pattern written as `text`; `Invalid` says what one looks like."""
    if not isinstance(text, str):
        raise TypeError(f"a pattern is a str, not {text!r:.80}")
    if len(text) > MAX_LENGTH or not text.isprintable() or not _PATTERN.match(text):
        raise Invalid(
            f"{text[:80]!r} is no pattern: parts with '.' or ':' between them, each a word, "
            f"'word*', '*' (one part) or '**' (any number), {MAX_LENGTH} characters at most"
        )
    parts = tuple(_part(part) for part in _SEPARATORS.split(text))
    if len(parts) > MAX_PARTS:
        raise Invalid(f"{text[:80]!r} has {len(parts)} parts; a pattern may have {MAX_PARTS}")
    return Pattern(text, parts)


def check_name(name: str) -> None:
    """Raise `Invalid` for what is no name that a pattern could match; `TypeError` for no text."""
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, not {name!r:.80}")
    if len(name) > MAX_LENGTH or not name.isprintable() or not _NAME.match(name):
        raise Invalid(
            f"{name[:80]!r} is no name in parts: words with '.' or ':' between them, without '*' "
            f"and spaces, {MAX_LENGTH} characters at most; one looks like 'shop.orders.paid'"
        )


def _part(part: str) -> str:
    return ANY if part[-2:] == ANY else part


def _matches(pattern: Sequence[str], name: Sequence[str]) -> bool:
    """Match greedily; where that fails, let the last `**` take one part more, as a glob does."""
    at, here, last, taken = 0, 0, -1, 0
    while here < len(name):
        if at < len(pattern) and pattern[at] == ANY:
            last, taken = at, here
            at += 1
        elif at < len(pattern) and _stands_for(pattern[at], name[here]):
            at += 1
            here += 1
        elif last >= 0:
            taken += 1
            at, here = last + 1, taken
        else:
            return False
    return all(part == ANY for part in pattern[at:])


def _stands_for(part: str, name: str) -> bool:
    if name[0] not in _MARKS:
        # The first part of a name has no separator; `**.paid` is `paid` too.
        part = part.lstrip(".:")
    if part[-1] != "*":
        return part == name
    return name.startswith(part[:-1]) and (part[0] in _MARKS) == (name[0] in _MARKS)
