"""Writes of the registry: one changeset, one version, and what it replaced.

Everything is decided and judged (`supervisor.core.registry`, `catalog`) before anything is
written; what is refused has written nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from supervisor.core.config.problems import did_you_mean
from supervisor.core.keeping import (
    MAX_TEXT_LENGTH,
    ApplyChanges,
    ApplyVersion,
    Committed,
    LoadRegistry,
)
from supervisor.core.registry import merge as merging
from supervisor.core.registry.changeset import Change, Changeset, compose, invert
from supervisor.core.registry.retention import FORGET_AT_ONCE, Retention, is_due
from supervisor.core.registry.version import conflict, next_version
from supervisor.io import state_layout as layout
from supervisor.io.lmdb_env import META
from supervisor.io.lmdb_tx import Tx
from supervisor.keeper.catalog import Catalog, read_catalog, with_text
from wippy.core import entry
from wippy.core.entry import DATA_KIND, EntryChange, EntryDoc, decode_doc, encode_doc
from wippy.core.registry import Version, decode_version
from wippy.errors import AlreadyExists, Conflict, Invalid, NotFound

SHOWN = 100
"""Entries that an answer names; the version itself has all."""

KEEPABLE = frozenset({"kind", "meta", "data"})

Request = LoadRegistry | ApplyChanges | ApplyVersion


class Registry:
    """Applies requests to the registry, each within the transaction that it is given.

    Args:
        retention: How much of the history is kept.
    """

    def __init__(self, retention: Retention | None = None) -> None:
        self._retention = retention or Retention()
        self._catalog = Catalog()

    def perform(self, tx: Tx, request: Request, *, at_s: float) -> Committed:
        """Apply a request; the same content makes no new version.

        Raises:
            Conflict: It is not at the expected version; says both sides.
            AlreadyExists, NotFound: Of an entry to be created, or to be updated or deleted; or of
                a version that is not there.
            Invalid: An entry that is wrong in itself or with others, a text that is too long.
        """
        _check_texts(request)
        match request:
            case LoadRegistry():
                return self._load(tx, request, at_s=at_s)
            case ApplyChanges():
                changeset = Changeset(tuple(_resolved(tx, request.changes)))
            case ApplyVersion():
                layout.check_version(tx, request.version)
                changeset = invert(compose(layout.changes_since(tx, request.version)))
        _check_expected(tx, request, changeset)
        return self._commit(tx, request, changeset, at_s=at_s, is_checked=False)

    def _load(self, tx: Tx, request: LoadRegistry, *, at_s: float) -> Committed:
        for doc in request.docs:
            _check(doc)
        files = {doc.id: encode_doc(doc) for doc in request.docs}
        base = layout.read_files(tx)
        merged = merging.merge(layout.read_entries(tx), base, files)
        _check_expected(tx, request, merged.changeset)
        comment = merging.with_overridden(request.comment, merged.overridden)
        done = self._commit(
            tx, request, merged.changeset, at_s=at_s, comment=comment, is_checked=True
        )
        tx.put(META, layout.SOURCE_KEY, request.origin.encode())
        _note_files(tx, base, files)
        _note_places(tx, request)
        return Committed(done.version, done.changed, merged.overridden[:SHOWN], merged.kept[:SHOWN])

    def _commit(
        self,
        tx: Tx,
        request: Request,
        changeset: Changeset,
        *,
        at_s: float,
        is_checked: bool,
        comment: str = "",
    ) -> Committed:
        current = layout.current_version(tx)
        if not changeset:
            return Committed(current, 0)
        version = next_version(
            current,
            changeset,
            at_s=at_s,
            author=request.author,
            comment=comment or request.comment,
            origin=getattr(request, "origin", ""),
        )
        folder = None if is_checked else layout.read_source(tx)
        catalog = self._catalog_at(tx, current)
        docs = [decode_doc(change.new) for change in changeset if change.new is not None]
        deleted = [change.id for change in changeset if change.new is None]
        # Of no use if the transaction is not committed: its version then tells (`_catalog_at`).
        self._catalog = catalog.with_changes(version.number, docs, deleted, folder=folder)
        _write(tx, version, changeset)
        self._forget(tx, at_s)
        return Committed(version.number, len(changeset))

    def _catalog_at(self, tx: Tx, version: int) -> Catalog:
        """Return the catalog of the registry as it is in this transaction."""
        if self._catalog.version != version:
            self._catalog = read_catalog(version, _structural(tx))
        return self._catalog

    def _forget(self, tx: Tx, now_s: float) -> None:
        """Forget the oldest versions, a few at a time."""
        for _ in range(FORGET_AT_ONCE):
            first = tx.first_key(layout.REGISTRY_VERSIONS)
            row = None if first is None else tx.get(layout.REGISTRY_VERSIONS, first)
            if first is None or row is None:
                return
            count = tx.count(layout.REGISTRY_VERSIONS)
            if not is_due(self._retention, count, decode_version(row).at_s, now_s):
                return
            for key, _ in list(tx.scan(layout.REGISTRY_CHANGES, first)):
                tx.delete(layout.REGISTRY_CHANGES, key)
            tx.delete(layout.REGISTRY_VERSIONS, first)


# --- before --------------------------------------------------------------------------------------


def _check_texts(request: Request) -> None:
    for name in ("author", "comment", "origin"):
        if len(getattr(request, name, "")) > MAX_TEXT_LENGTH:
            raise Invalid(f"the {name} of a version has at most {MAX_TEXT_LENGTH} characters")


def _check(doc: EntryDoc) -> None:
    try:
        entry.check(doc)
    except TypeError as error:
        raise Invalid(f"registry: {doc.id}, {error}") from error
    if doc.id.startswith(("wippy:", "wippy.")):
        raise Invalid(f"{doc.id}: the namespace 'wippy' is the runtime's own")


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
        if old != new:
            yield Change(change.id, old, new)


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
    _check(doc)
    doc = with_text(doc, before)
    _check(doc)
    return encode_doc(doc)


def _with_kept(change: EntryChange, doc: EntryDoc, before: EntryDoc) -> EntryDoc:
    kept = {name: getattr(before, name) for name in change.keeps if name in KEEPABLE}
    return msgspec.structs.replace(doc, **kept)


def _near(tx: Tx, entry_id: str) -> Iterable[str]:
    """Return some ids of the same namespace."""
    prefix = entry_id.partition(":")[0].encode() + b":"
    rows = zip(range(1000), tx.scan(layout.REGISTRY, prefix), strict=False)
    return [key.decode() for _, (key, _) in rows]


def _check_expected(tx: Tx, request: Request, mine: Changeset) -> None:
    current, expected = layout.current_version(tx), request.expected_version
    if expected is None or expected == current:
        return
    theirs = None
    if layout.oldest_version(tx) <= expected < current:
        theirs = compose(layout.changes_since(tx, expected))
    last = layout.read_version(tx, current)
    error: Conflict = conflict(expected, current, last=last, mine=mine, theirs=theirs)
    raise error


def _structural(tx: Tx) -> Iterator[EntryDoc]:
    plain = layout.kind_prefix(DATA_KIND)
    for key, _ in tx.scan(layout.REGISTRY_BY_KIND):
        if key.startswith(plain):
            continue
        row = layout.read_entry(tx, key.partition(b"\0")[2].decode())
        if row is not None:
            yield decode_doc(row.doc)


# --- writing -------------------------------------------------------------------------------------


def _write(tx: Tx, version: Version, changeset: Changeset) -> None:
    number = version.number
    tx.append(layout.REGISTRY_VERSIONS, layout.number_key(number), layout.encode_row(version))
    for change in changeset:
        row = layout.encode_row(layout.ChangeRow(change.old, change.new))
        tx.put(layout.REGISTRY_CHANGES, layout.change_key(number, change.id), row)
        key = change.id.encode()
        if change.old is not None:
            tx.delete(layout.REGISTRY_BY_KIND, _kind_key(change.old, key))
        if change.new is None:
            tx.delete(layout.REGISTRY, key)
        else:
            tx.put(layout.REGISTRY_BY_KIND, _kind_key(change.new, key))
            stored = layout.StoredEntry(number, version.origin, msgspec.Raw(change.new))
            tx.put(layout.REGISTRY, key, layout.encode_row(stored))


def _kind_key(doc: bytes, entry_id: bytes) -> bytes:
    return layout.kind_prefix(_decode_kind(doc).kind) + entry_id


class _Kind(msgspec.Struct):
    kind: str


_decode_kind = msgspec.msgpack.Decoder(_Kind).decode


def _note_files(tx: Tx, base: dict[str, bytes], files: dict[str, bytes]) -> None:
    for entry_id in base.keys() - files.keys():
        tx.delete(layout.REGISTRY_FILES, entry_id.encode())
    for entry_id, doc in files.items():
        if base.get(entry_id) != doc:
            tx.put(layout.REGISTRY_FILES, entry_id.encode(), doc)


def _note_places(tx: Tx, request: LoadRegistry) -> None:
    known = dict(tx.scan(layout.REGISTRY_PLACES))
    places = {id_.encode(): layout.encode_row(place) for id_, place in request.places.items()}
    for key in known.keys() - places.keys():
        tx.delete(layout.REGISTRY_PLACES, key)
    for key, place in places.items():
        if known.get(key) != place:
            tx.put(layout.REGISTRY_PLACES, key, place)
