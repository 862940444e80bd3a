"""Writes of the registry: one changeset, one version, and what it replaced.

Everything is decided and judged (`supervisor.core.registry`, `catalog`) before anything is
written; what is refused has written nothing.
"""

from __future__ import annotations

import msgspec

from supervisor.core.keeping import (
    MAX_TEXT_LENGTH,
    ApplyChanges,
    ApplyVersion,
    Committed,
    ForgetVersions,
    Forgotten,
    LoadRegistry,
)
from supervisor.core.registry import merge as merging
from supervisor.core.registry.access import ANYBODY, Access, Asker, check_way_back, has_grants
from supervisor.core.registry.changeset import Changeset, compose, diff
from supervisor.core.registry.relocation import relocate
from supervisor.core.registry.retention import FORGET_AT_ONCE, Retention, is_due
from supervisor.core.registry.version import next_version
from supervisor.io import sources
from supervisor.io import state_layout as layout
from supervisor.io.lmdb_env import META
from supervisor.io.lmdb_tx import Tx
from supervisor.keeper.catalog import Catalog, read_catalog
from supervisor.keeper.resolving import check_document, check_expected, resolve
from wippy.core.entry import decode_doc, encode_doc
from wippy.core.registry import Version, decode_version
from wippy.errors import Invalid

SHOWN = 100
"""Entries that an answer names; the version itself has all."""

Request = LoadRegistry | ApplyChanges | ApplyVersion


class Registry:
    """Applies requests to the registry, each within the transaction that it is given.

    Args:
        retention: How much of the history is kept.
        is_strict: What no policy allows is denied.
    """

    def __init__(self, retention: Retention | None = None, *, is_strict: bool = False) -> None:
        self._retention = retention or Retention()
        self._is_strict = is_strict
        self._catalog = Catalog()
        self._access: tuple[Catalog, Access] | None = None

    def perform(
        self, tx: Tx, request: Request, *, at_s: float, asker: Asker = ANYBODY
    ) -> Committed:
        """Apply a request; the same content makes no new version.

        Raises:
            PermissionDenied: `asker` may not; says what, and which policy says so.
            Conflict: It is not at the expected version; says both sides.
            AlreadyExists, NotFound: Of an entry to be created, or to be updated or deleted; or of
                a version that is not there.
            Invalid: An entry that is wrong in itself or with others, a text that is too long.
        """
        _check_texts(request)
        if isinstance(request, LoadRegistry):
            return self._load(tx, request, at_s=at_s)
        changeset = resolve(tx, request)
        self._access_at(tx).check(asker.identity, changeset)
        check_expected(tx, request.expected_version, changeset)
        may_leave_nobody = request.is_forced and asker.is_operator
        if not may_leave_nobody and has_grants(changeset, is_strict=self._is_strict):
            changed = self._judged(tx, changeset, folder=None)
            check_way_back(self._access_at(tx), self._access_of(changed), changeset)
        if asker.author:
            request = msgspec.structs.replace(request, author=asker.author)
        return self._commit(tx, request, changeset, at_s=at_s, is_checked=False)

    def plan(self, tx: Tx, request: ApplyChanges | ApplyVersion) -> Changeset:
        """Return what a request would change, judged as it would be; writes nothing, so `tx` may
        be a reader's. Raises as `perform`."""
        _check_texts(request)
        changeset = resolve(tx, request)
        check_expected(tx, request.expected_version, changeset)
        if changeset:
            self._judged(tx, changeset, folder=_folder(tx))
        return changeset

    def forget(self, tx: Tx, request: ForgetVersions) -> Forgotten:
        """Forget all versions but the last ones, whatever their age.

        Raises:
            Invalid: None would be kept.
        """
        if request.keep < 1:
            raise Invalid("at least the last version is kept")
        count = 0
        while tx.count(layout.REGISTRY_VERSIONS) > request.keep:
            _forget_oldest(tx)
            count += 1
        return Forgotten(count, layout.oldest_version(tx))

    def _load(self, tx: Tx, request: LoadRegistry, *, at_s: float) -> Committed:
        for doc in request.docs:
            check_document(doc)
        files = {doc.id: encode_doc(doc) for doc in request.docs}
        head, base = layout.read_entries(tx), layout.read_files(tx)
        old, new = _folder(tx), sources.folder_of(request.origin)
        is_moved = bool(old and new)
        here = relocate(head, old, new) if is_moved else head
        merged = merging.merge(here, relocate(base, old, new) if is_moved else base, files)
        changeset = compose((diff(head, here), merged.changeset))
        check_expected(tx, request.expected_version, changeset)
        comment = merging.with_overridden(request.comment, merged.overridden)
        done = self._commit(tx, request, changeset, at_s=at_s, comment=comment, is_checked=True)
        tx.put(META, layout.SOURCE_KEY, request.origin.encode())
        tx.put(META, layout.SEEN_KEY, request.seen.encode())
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
        # Of no use if the transaction is not committed: its version then tells (`_catalog_at`).
        self._catalog = self._judged(tx, changeset, folder=None if is_checked else _folder(tx))
        _write(tx, version, changeset)
        self._forget(tx, at_s)
        return Committed(version.number, len(changeset))

    def _judged(self, tx: Tx, changeset: Changeset, *, folder: str | None) -> Catalog:
        """Return the catalog that a changeset makes; `Invalid` says what is wrong with it."""
        current = layout.current_version(tx)
        docs = [decode_doc(change.new) for change in changeset if change.new is not None]
        deleted = [change.id for change in changeset if change.new is None]
        catalog = self._catalog_at(tx, current)
        return catalog.with_changes(current + 1, docs, deleted, folder=folder)

    def _catalog_at(self, tx: Tx, version: int) -> Catalog:
        """Return the catalog of the registry as it is in this transaction."""
        if self._catalog.version != version:
            self._catalog = read_catalog(version, layout.read_structural(tx))
        return self._catalog

    def _access_at(self, tx: Tx) -> Access:
        catalog = self._catalog_at(tx, layout.current_version(tx))
        if self._access is None or self._access[0].drafts is not catalog.drafts:
            self._access = catalog, self._access_of(catalog)
        return self._access[1]

    def _access_of(self, catalog: Catalog) -> Access:
        return Access(catalog.drafts, is_strict=self._is_strict)

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
            _forget_oldest(tx)


# --- before --------------------------------------------------------------------------------------


def _check_texts(request: Request) -> None:
    for name in ("author", "comment", "origin"):
        if len(getattr(request, name, "")) > MAX_TEXT_LENGTH:
            raise Invalid(f"the {name} of a version has at most {MAX_TEXT_LENGTH} characters")


def _folder(tx: Tx) -> str:
    """Return the folder of the configuration that was loaded last; empty where there was none."""
    return sources.folder_of(layout.read_source(tx))


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


def _forget_oldest(tx: Tx) -> None:
    first = tx.first_key(layout.REGISTRY_VERSIONS)
    if first is None:
        return
    for key, _ in list(tx.scan(layout.REGISTRY_CHANGES, first)):
        tx.delete(layout.REGISTRY_CHANGES, key)
    tx.delete(layout.REGISTRY_VERSIONS, first)


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
