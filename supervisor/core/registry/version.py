"""Versions of the registry: each changeset makes one, and what it changed is kept with it."""

from __future__ import annotations

from supervisor.core.registry.changeset import MAX_SHOWN, Change, Changeset, Op, preview
from wippy.core.registry import Version as Version
from wippy.errors import Conflict


def next_version(
    number: int, changeset: Changeset, *, at_s: float, author: str, comment: str, origin: str
) -> Version:
    """Return the version that `changeset` makes of version `number`."""
    return Version(
        number=number + 1,
        at_s=at_s,
        author=author,
        comment=comment,
        origin=origin,
        created=changeset.count(Op.CREATED),
        updated=changeset.count(Op.UPDATED),
        deleted=changeset.count(Op.DELETED),
    )


def conflict(
    expected: int, current: int, *, last: Version | None, mine: Changeset, theirs: Changeset | None
) -> Conflict:
    """Return the error for a change that was based on another version than the current one.

    Args:
        expected: Version that the change was based on.
        current: Version of the registry; 0 is the empty one.
        last: What is known of `current`.
        mine: What the change would have changed.
        theirs: What has changed since `expected`; None where that is not known (any more, or yet).
    """
    by = f" by {last.author}" if last is not None and last.author else ""
    parts = [f"the registry is at version {current}{by}, the change was made for {expected}"]
    parts.extend(_both_sides(mine, theirs))
    parts.append("read the registry again and repeat the change")
    return Conflict("; ".join(parts))


def entry_conflict(expected: int, written: int, *, by: Version | None, mine: Change) -> Conflict:
    """Return the error for a change of an entry that another version has written than expected.

    Args:
        expected: Version that the change expects to have written the entry.
        written: Version that has.
        by: What is known of `written`.
        mine: What the change would have changed.
    """
    author = f" by {by.author}" if by is not None and by.author else ""
    return Conflict(
        f"{mine.id} was written by version {written}{author}, the change was made for "
        f"{expected}; it is {preview(mine.old)} now, here {mine.op} to {preview(mine.new)}; "
        "read the entry again and repeat the change"
    )


def _both_sides(mine: Changeset, theirs: Changeset | None) -> list[str]:
    if theirs is None:
        return ["what has changed since is not known"]
    ours = {change.id: change for change in mine}
    clashing = [change for change in theirs if change.id in ours]
    lines = [
        f"{t.id}: {t.op} to {preview(t.new)} meanwhile, here {ours[t.id].op} to "
        f"{preview(ours[t.id].new)}"
        for t in clashing[:MAX_SHOWN]
    ]
    if len(clashing) > MAX_SHOWN:
        lines.append(f"and {len(clashing) - MAX_SHOWN} more entries")
    return lines or [f"changed meanwhile: {', '.join(t.id for t in theirs.changes[:MAX_SHOWN])}"]
