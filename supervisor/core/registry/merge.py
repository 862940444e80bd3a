"""Files and changes at run time: what the registry becomes when the files are read again.

For each entry the document *as its file last said* (the base) is kept. What a file says now is
compared with that, not with the registry: the difference is the file's change.

| the file | the entry, at run time | becomes |
|---|---|---|
| says the same as before | as the file said | stays |
| says the same as before | changed, deleted or made | stays as it was made at run time (kept) |
| changed, made or removed | as the file said | what the file says |
| changed, made or removed | changed too, otherwise | what the file says (overridden) |
"""

from __future__ import annotations

import msgspec

from supervisor.core.registry.changeset import MAX_SHOWN, Change, Changeset, Entries


class Merged(msgspec.Struct, frozen=True):
    """What follows from files that were read.

    Attributes:
        changeset: From the registry as it is to what it becomes.
        overridden: Entries that both sides changed: the file won.
        kept: Entries that differ from their files, since they were changed at run time.
    """

    changeset: Changeset
    overridden: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def merge(head: Entries, base: Entries, files: Entries) -> Merged:
    """Return what `files` make of the registry `head`, where they last said `base`."""
    changes: list[Change] = []
    overridden: list[str] = []
    kept: list[str] = []
    for entry_id in sorted(base.keys() | files.keys()):
        here, before, now = head.get(entry_id), base.get(entry_id), files.get(entry_id)
        if here == now:
            continue
        if before == now:
            kept.append(entry_id)
            continue
        changes.append(Change(entry_id, here, now))
        if here != before:
            overridden.append(entry_id)
    return Merged(Changeset(tuple(changes)), tuple(overridden), tuple(kept))


def with_overridden(comment: str, overridden: tuple[str, ...]) -> str:
    """Return the comment of a version, with what the files have won over."""
    if not overridden:
        return comment
    shown = ", ".join(overridden[:MAX_SHOWN])
    more = f" and {len(overridden) - MAX_SHOWN} more" if len(overridden) > MAX_SHOWN else ""
    said = f"the files won over changes at run time of {shown}{more}"
    return f"{comment}; {said}" if comment else said
