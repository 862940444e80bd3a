"""Which rows are shown, in which order, with which guide lines.

The order is the tree's, or the one that was asked for with a sort; it is decided when it is asked
for and kept, so that no row moves under the cursor because its figures changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from supervisor.core.view import GLYPHS, Row, RowKind, State

MAX_POOL_WORKERS = 20
"""A pool of more is one line until someone opens it: nobody reads 200 alike rows."""


class Item(msgspec.Struct, frozen=True):
    """One line of the tree.

    Attributes:
        row: What it shows.
        guide: The guide lines in front of it.
        has_children: Whether it can be folded.
        summary: What a folded one hides: `×200: 198 up, 2 backoff`; empty if it is open.
        hidden: Ids that it hides.
        is_match: Whether it matches the filter itself (and is not only on the way to one).
    """

    row: Row
    guide: str = ""
    has_children: bool = False
    summary: str = ""
    hidden: tuple[str, ...] = ()
    is_match: bool = True


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """How the operator wants the rows.

    Attributes:
        folded: Ids that are closed by hand.
        opened: Pools that are open although they are big.
        pattern: Only rows that contain it (in id, state or last exit), and the way to them.
        is_flat: A list instead of a tree.
        rank: Place of each id in the order that was asked for; empty for tree order.
    """

    folded: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    pattern: str = ""
    is_flat: bool = False
    rank: Mapping[str, int] = {}


def items(rows: Sequence[Row], outline: Outline) -> tuple[Item, ...]:
    """Return the lines to show for `rows` (tree order, depth first)."""
    children = _children(rows)
    if outline.is_flat:
        shown = [row for row in rows if matches(row, outline.pattern)]
        return tuple(Item(row=row) for row in _ranked(shown, outline.rank))
    known = {row.id for row in rows}
    tops = [row for row in rows if row.parent not in known or row.parent == row.id]
    wanted = _wanted(rows, outline.pattern)
    found: list[Item] = []
    # A stack instead of recursion: nothing bounds the depth of a tree that comes from outside.
    stack = [(row, "", "") for row in reversed(_ranked(tops, outline.rank))]
    while stack:
        row, guide, below = stack.pop()
        if wanted is not None and row.id not in wanted:
            continue
        offspring = children.get(row.id, [])
        if offspring and wanted is None and is_folded(row, offspring, outline):
            hidden = _descendants(offspring, children)
            ids = tuple(each.id for each in hidden)
            found.append(Item(row, guide, True, summary(offspring), ids))
            continue
        found.append(Item(row, guide, bool(offspring), is_match=matches(row, outline.pattern)))
        kept = [each for each in offspring if wanted is None or each.id in wanted]
        kept = _ranked(kept, outline.rank)
        for place, child in reversed(list(enumerate(kept))):
            is_last = place == len(kept) - 1
            own = below + ("└─ " if is_last else "├─ ")
            stack.append((child, own, below + ("   " if is_last else "│  ")))
    return tuple(found)


def is_folded(row: Row, offspring: Sequence[Row], outline: Outline) -> bool:
    """Say whether the children of `row` are hidden: by hand, or because it is a big pool."""
    if row.id in outline.folded:
        return True
    workers = sum(child.kind is RowKind.WORKER for child in offspring)
    return workers > MAX_POOL_WORKERS and row.id not in outline.opened


def matches(row: Row, pattern: str) -> bool:
    """Say whether `row` contains `pattern`, letter case ignored, in its id, kind or state."""
    if not pattern:
        return True
    wanted = pattern.casefold()
    return wanted in f"{row.id} {row.kind} {row.state} {row.os_pid or ''}".casefold()


def summary(children: Iterable[Row]) -> str:
    """Return what is folded away in words: `×200: 198 up, 2 backoff`."""
    counts = Counter(child.state for child in children)
    parts = ", ".join(f"{counts[state]} {state}" for state in _by_interest(counts))
    return f"×{counts.total()}: {parts}"


def rank(rows: Sequence[Row], sort: str, *, is_inverted: bool) -> dict[str, int]:
    """Return the place of each id under the order named `sort` (one of `SORTS`)."""
    if sort == SORTS[0] and not is_inverted:
        return {}
    ordered = sorted(rows, key=_KEYS[sort]) if sort in _KEYS else list(rows)
    if is_inverted:
        ordered.reverse()
    return {row.id: place for place, row in enumerate(ordered)}


_INTEREST = (
    State.FAILED, State.UNKILLABLE, State.BACKOFF, State.KILLING, State.STOPPING, State.STARTING,
    State.IDLE, State.HELD, State.DONE, State.IGNORED, State.UP,
)  # fmt: skip
assert set(_INTEREST) == set(GLYPHS)

_KEYS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.id,
    "state": lambda row: _INTEREST.index(row.state),
    "restarts": lambda row: -row.restarts,
    "cpu": lambda row: -(row.cpu_percent or 0.0),
    "memory": lambda row: -(row.memory_bytes or 0),
    "uptime": lambda row: row.uptime_s,
}
SORTS = ("order", *_KEYS)
"""Orders that `s` walks through; the first is the tree's own."""


def _by_interest(counts: Mapping[State, int]) -> list[State]:
    """Most first, as in `198 up, 2 backoff`; among equals what is more interesting."""
    return sorted(counts, key=lambda state: (-counts[state], _INTEREST.index(state)))


def _children(rows: Sequence[Row]) -> dict[str, list[Row]]:
    children: dict[str, list[Row]] = {}
    for row in rows:
        if row.parent != row.id:
            children.setdefault(row.parent, []).append(row)
    return children


def _descendants(offspring: Sequence[Row], children: Mapping[str, list[Row]]) -> list[Row]:
    found = list(offspring)
    for row in found:  # grows while it is walked
        found.extend(children.get(row.id, ()))
    return found


def _wanted(rows: Sequence[Row], pattern: str) -> set[str] | None:
    """Return the ids that match and the way to them; None if everything is wanted."""
    if not pattern:
        return None
    parents = {row.id: row.parent for row in rows}
    wanted: set[str] = set()
    for row in rows:
        current = row.id if matches(row, pattern) else ""
        while current and current not in wanted:
            wanted.add(current)
            current = parents.get(current, "")
    return wanted


def _ranked(rows: list[Row], rank: Mapping[str, int]) -> list[Row]:
    return sorted(rows, key=lambda row: rank.get(row.id, len(rank))) if rank else rows
