"""A change of one text carried over to another, line by line: the merge of three texts.

A tool rewrites a text and changes its layout on the way. What it makes of the text unchanged shows
which differences are layout; the others are the change, and only they are carried over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple


class _Range(NamedTuple):
    """Lines `first` to `last` (not included) of the text before become those of the text after."""

    first: int
    last: int
    new_first: int
    new_last: int


def carry_over(text: str, before: str, after: str) -> str:
    """Return `text` with the change from `before` to `after`; `before` is `text` in another layout.

    Lines of `text` stay as they are wherever `before` and `after` agree; where the change falls
    into lines whose layout differs, `after` is taken for them.
    """
    mine, base, theirs = (part.splitlines(keepends=True) for part in (text, before, after))
    places = _Places(base, mine)
    merged: list[str] = []
    done = 0
    for each in _changed(base, theirs, places):
        start, end = places.start(each.first), places.end(each.last)
        assert start is not None
        assert end is not None
        merged += mine[done:start]
        merged += theirs[each.new_first : each.new_last]
        done = max(done, start, end)
    return "".join([*merged, *mine[done:]])


class _Places:
    """Where positions between lines of the text before lie in ours; None where that is not known:
    inside of lines whose layout differs."""

    def __init__(self, base: Sequence[str], mine: Sequence[str]) -> None:
        blocks = SequenceMatcher(None, base, mine, autojunk=False).get_matching_blocks()
        self._same = {at + n: to + n for at, to, size in blocks for n in range(size)}
        self._ends = len(base), len(mine)

    def start(self, at: int) -> int | None:
        """Return where a change that begins at line `at` begins."""
        if at == 0:
            return 0
        if at in self._same:
            return self._same[at]
        return self.end(at)

    def end(self, at: int) -> int | None:
        """Return where a change that ends before line `at` ends."""
        if at == self._ends[0]:
            return self._ends[1]
        if at - 1 in self._same:
            return self._same[at - 1] + 1
        return self._same.get(at)


def _changed(base: list[str], theirs: list[str], places: _Places) -> Iterator[_Range]:
    """Yield what differs, each range grown until both of its ends are known in our text."""
    pending: _Range | None = None
    matcher = SequenceMatcher(None, base, theirs, autojunk=False)
    for op, *lines in matcher.get_opcodes():
        if op == "equal":
            continue
        grown = _grown(_Range(*lines), places, len(base))
        if pending is not None and grown.first <= pending.last:
            grown = _Range(pending.first, grown.last, pending.new_first, grown.new_last)
        elif pending is not None:
            yield pending
        pending = grown
    if pending is not None:
        yield pending


def _grown(each: _Range, places: _Places, count: int) -> _Range:
    first, last, new_first, new_last = each
    while first > 0 and places.start(first) is None:
        first, new_first = first - 1, new_first - 1
    while last < count and places.end(last) is None:
        last, new_last = last + 1, new_last + 1
    return _Range(first, last, new_first, new_last)
