"""Writes of the registry: one changeset, one version, and what it replaced.

Everything is decided (`supervisor.core.registry`) before anything is written.
"""

from __future__ import annotations

from supervisor.core.keeping import MAX_TEXT_LENGTH, Committed, LoadRegistry
from supervisor.core.registry.changeset import Changeset, compose, diff
from supervisor.core.registry.version import Version, conflict, next_version
from supervisor.io import state_layout as layout
from supervisor.io.lmdb_tx import Tx
from wippy.core.ids import split_id
from wippy.errors import Conflict, Invalid


def load(tx: Tx, request: LoadRegistry, *, at_s: float) -> Committed:
    """Replace the whole registry; the same content makes no new version.

    Raises:
        Conflict: It is not at the expected version; says both sides. Nothing is written.
        Invalid: An id that is none, a text that is too long. Nothing is written.
    """
    _check(request)
    current = layout.current_version(tx)
    changeset = diff(layout.read_entries(tx), request.entries)
    if request.expected_version not in {None, current}:
        raise _conflict(tx, request.expected_version or 0, current, changeset)
    if not changeset:
        return Committed(current, 0)
    version = next_version(
        current,
        changeset,
        at_s=at_s,
        author=request.author,
        comment=request.comment,
        origin=request.origin,
    )
    _write(tx, version, changeset)
    return Committed(version.number, len(changeset))


def _check(request: LoadRegistry) -> None:
    for entry_id in request.entries:
        split_id(entry_id)
    for name in ("author", "comment", "origin"):
        if len(getattr(request, name)) > MAX_TEXT_LENGTH:
            raise Invalid(f"the {name} of a version has at most {MAX_TEXT_LENGTH} characters")


def _conflict(tx: Tx, expected: int, current: int, mine: Changeset) -> Conflict:
    theirs = None
    if 0 <= expected < current:
        since = range(expected + 1, current + 1)
        theirs = compose(layout.read_changes(tx, number) for number in since)
    last = layout.read_version(tx, current)
    return conflict(expected, current, last=last, mine=mine, theirs=theirs)


def _write(tx: Tx, version: Version, changeset: Changeset) -> None:
    number = version.number
    tx.append(layout.REGISTRY_VERSIONS, layout.number_key(number), layout.encode_row(version))
    for change in changeset:
        row = layout.encode_row(layout.ChangeRow(change.old, change.new))
        tx.put(layout.REGISTRY_CHANGES, layout.change_key(number, change.id), row)
        if change.new is None:
            tx.delete(layout.REGISTRY, change.id.encode())
        else:
            entry = layout.EntryRow(change.new, number, version.origin)
            tx.put(layout.REGISTRY, change.id.encode(), layout.encode_row(entry))
