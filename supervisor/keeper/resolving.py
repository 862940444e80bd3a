"""What a request makes of the registry as it is: its changeset, before anything is judged or
written. Reads only, so that a dry run in another process does the very same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from supervisor.core.config.problems import did_you_mean
from supervisor.core.keeping import ApplyChanges, ApplyVersion
from supervisor.core.registry.changeset import Change, Changeset, compose, invert
from supervisor.core.registry.version import conflict, entry_conflict
from supervisor.io import state_layout as layout
from supervisor.io.lmdb_tx import Tx
from supervisor.keeper.catalog import with_text
from wippy.core import entry
from wippy.core.entry import EntryChange, EntryDoc, decode_doc, encode_doc
from wippy.errors import AlreadyExists, Conflict, Invalid, NotFound

KEEPABLE = frozenset({"kind", "meta", "data"})


def resolve(tx: Tx, request: ApplyChanges | ApplyVersion) -> Changeset:
    """Return what a request changes.

    Raises:
        Conflict: An entry was not written by the version that its change expects.
        AlreadyExists, NotFound: Of an entry to be created, or to be updated or deleted; or of
            a version that is not there.
        Invalid: An entry that is no document, is changed twice, or whose source cannot be read.
    """
    match request:
        case ApplyChanges():
            return Changeset(tuple(_resolved(tx, request.changes)))
        case ApplyVersion():
            layout.check_version(tx, request.version)
            return invert(compose(layout.changes_since(tx, request.version)))


def check_document(doc: EntryDoc) -> None:
    """Raise `Invalid` for what cannot be an entry of a user."""
    try:
        entry.check(doc)
    except TypeError as error:
        raise Invalid(f"registry: {doc.id}, {error}") from error
    if doc.id.startswith(("wippy:", "wippy.")):
        raise Invalid(f"{doc.id}: the namespace 'wippy' is the runtime's own")


def check_expected(tx: Tx, expected: int | None, mine: Changeset) -> None:
    """Raise `Conflict` where the registry is not at the version that `mine` was made for."""
    current = layout.current_version(tx)
    if expected is None or expected == current:
        return
    theirs = None
    if layout.oldest_version(tx) <= expected < current:
        theirs = compose(layout.changes_since(tx, expected))
    last = layout.read_version(tx, current)
    error: Conflict = conflict(expected, current, last=last, mine=mine, theirs=theirs)
    raise error


def _resolved(tx: Tx, changes: Sequence[EntryChange]) -> Iterator[Change]:
    """Yield what the changes make of the entries as they are, in the order of the ids."""
    ids = [change.id for change in changes]
    twice = {id_ for id_ in ids if ids.count(id_) > 1} if len(set(ids)) != len(ids) else set()
    if twice:
        raise Invalid(f"{min(twice)} is changed twice in one changeset")
    for change in sorted(changes, key=lambda each: each.id):
        row = layout.read_entry(tx, change.id)
        old = None if row is None else bytes(row.doc)
        new = _new(tx, change, old)
        made = Change(change.id, old, new)
        if row is not None:
            _check_written(tx, change, row.version, made)
        if old != new:
            yield made


def _check_written(tx: Tx, change: EntryChange, written: int, mine: Change) -> None:
    expected = change.expected_version
    if expected is not None and expected != written:
        raise entry_conflict(expected, written, by=layout.read_version(tx, written), mine=mine)


def _new(tx: Tx, change: EntryChange, old: bytes | None) -> bytes | None:
    if change.op == "create" and old is not None:
        raise AlreadyExists(f"{change.id} is there already; update it")
    if change.op != "create" and old is None:
        near = did_you_mean(change.id, _near(tx, change.id))
        raise NotFound(
            f"there is no entry {change.id} to {change.op}{f' ({near})' if near else ''}"
        )
    if change.op == "delete":
        return None
    if change.doc is None or change.doc.id != change.id:
        raise Invalid(f"the change of {change.id} has no document of it")
    before = None if old is None else decode_doc(old)
    doc = change.doc if before is None else _with_kept(change, change.doc, before)
    check_document(doc)
    doc = with_text(doc, before)
    check_document(doc)
    return encode_doc(doc)


def _with_kept(change: EntryChange, doc: EntryDoc, before: EntryDoc) -> EntryDoc:
    kept = {name: getattr(before, name) for name in change.keeps if name in KEEPABLE}
    return msgspec.structs.replace(doc, **kept)


def _near(tx: Tx, entry_id: str) -> Iterable[str]:
    """Return some ids of the same namespace."""
    prefix = entry_id.partition(":")[0].encode() + b":"
    rows = zip(range(1000), tx.scan(layout.REGISTRY, prefix), strict=False)
    return [key.decode() for _, (key, _) in rows]
