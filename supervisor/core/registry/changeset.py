"""Changesets: what differs between two states of the registry, applied whole or not at all.

A registry is a mapping of entry ids to encoded values. A `Changeset` holds, for each entry that
differs, both sides; so it can be applied, undone, checked against what it was made for, and shown.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from wippy.errors import Conflict

Entries = Mapping[str, bytes]

PREVIEW_LENGTH = 200
"""Characters of a value shown in a conflict: enough to recognise it, no screenful."""
MAX_SHOWN = 5
"""Entries shown in a conflict; the rest is counted."""


class Op(enum.StrEnum):
    """What a change does to its entry."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Change(msgspec.Struct, frozen=True):
    """One entry before and after; None is "not there". Never the same on both sides."""

    id: str
    old: bytes | None
    new: bytes | None

    @property
    def op(self) -> Op:
        """What it does to the entry."""
        if self.old is None:
            return Op.CREATED
        return Op.DELETED if self.new is None else Op.UPDATED


class Changeset(msgspec.Struct, frozen=True):
    """Changes of different entries, in the order of their ids."""

    changes: tuple[Change, ...] = ()

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def count(self, op: Op) -> int:
        """Return how many changes are of kind `op`."""
        return sum(1 for change in self.changes if change.op is op)


def diff(old: Entries, new: Entries) -> Changeset:
    """Return what makes `new` of `old`; nothing, if they are equal."""
    ids = sorted(old.keys() | new.keys())
    return Changeset(
        tuple(Change(i, old.get(i), new.get(i)) for i in ids if old.get(i) != new.get(i))
    )


def apply(entries: Entries, changeset: Changeset) -> dict[str, bytes]:
    """Return `entries` changed, or raise `Conflict` if they are not what it was made for."""
    clashes = [change for change in changeset if entries.get(change.id) != change.old]
    if clashes:
        raise Conflict(_clash_text(entries, clashes))
    result = dict(entries)
    for change in changeset:
        if change.new is None:
            del result[change.id]
        else:
            result[change.id] = change.new
    return result


def invert(changeset: Changeset) -> Changeset:
    """Return what undoes `changeset`."""
    return Changeset(tuple(Change(c.id, c.new, c.old) for c in changeset))


def compose(changesets: Iterable[Changeset]) -> Changeset:
    """Return one changeset that does what `changesets` do one after the other."""
    olds: dict[str, bytes | None] = {}
    news: dict[str, bytes | None] = {}
    for changeset in changesets:
        for change in changeset:
            olds.setdefault(change.id, change.old)
            news[change.id] = change.new
    return Changeset(tuple(Change(i, olds[i], news[i]) for i in sorted(olds) if olds[i] != news[i]))


def snapshot_at(head: Entries, later: Iterable[Changeset]) -> dict[str, bytes]:
    """Return the registry as it was before the changesets `later`, given newest first."""
    entries = dict(head)
    for changeset in later:
        entries = apply(entries, invert(changeset))
    return entries


def preview(value: bytes | None) -> str:
    """Return a value for people: its text or its data, shortened; `nothing` for None."""
    if value is None:
        return "nothing"
    text = _text(value)
    return text if len(text) <= PREVIEW_LENGTH else f"{text[:PREVIEW_LENGTH]}…"


def _text(value: bytes) -> str:
    try:
        data = msgspec.msgpack.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value.decode(errors="replace")
    # A number or a word of one byte is a msgpack value too: then the text is what was meant.
    return repr(data) if isinstance(data, dict | list) else value.decode(errors="replace")


def _clash_text(entries: Entries, clashes: list[Change]) -> str:
    shown = "; ".join(
        f"{c.id} is {preview(entries.get(c.id))}, the change expected {preview(c.old)}"
        for c in clashes[:MAX_SHOWN]
    )
    more = f"; and {len(clashes) - MAX_SHOWN} more" if len(clashes) > MAX_SHOWN else ""
    return f"{shown}{more}; read the entries again and repeat the change"
