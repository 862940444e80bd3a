"""The state environment, for any process that only reads: no round trip, no lock.

Works while the keeper writes, after it died, and before there is anything (empty answers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

from supervisor.core.facts import Fact
from supervisor.core.registry.changeset import Changeset, snapshot_at
from supervisor.core.registry.version import Version
from supervisor.io import state_layout as layout
from supervisor.io.lmdb_env import META
from supervisor.io.lmdb_reader import LmdbReader
from supervisor.io.lmdb_tx import Tx
from wippy.core.entry import DATA_KIND, EntryDoc, EntryPlace, decode_doc, encode_doc

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Structure:
    """Entries that are more than plain data: what a tree is made from.

    Attributes:
        version: Of the registry; 0 before the first.
        docs: Documents by id; None is "no longer, or plain data now".
        places: Where those stand that are what their files say.
        is_whole: Whether that is all there is, and not only what was changed.
    """

    version: int
    docs: dict[str, EntryDoc | None] = field(default_factory=dict)
    places: dict[str, EntryPlace] = field(default_factory=dict)
    is_whole: bool = False


class StateReader:
    """Reads the state environment of a node; every answer is one consistent snapshot.

    Any method raises `Invalid` where the environment is damaged or of a newer format,
    `PermissionDenied` where it is another user's. One in each process, not one for each question:
    LMDB forbids a second handle on the same environment.

    Args:
        state_dir: The node's state folder; need not exist yet.
    """

    def __init__(self, state_dir: Path) -> None:
        self._reader = LmdbReader(layout.state_folder(state_dir), layout.STATE_FORMAT)

    def read(self, work: Callable[[Tx], T], *, missing: T) -> T:
        """Return what `work` sees in one snapshot; `missing` where there is nothing yet."""
        return self._reader.read(work, missing=missing)

    def source(self) -> str:
        """Return the configuration that was loaded last, absolute; empty where there was none."""
        return self._reader.read(layout.read_source, missing="")

    def registry_version(self) -> int:
        """Return the version of the registry; 0 before the first."""
        return self._reader.read(layout.current_version, missing=0)

    def entry(self, entry_id: str) -> EntryDoc | None:
        """Return an entry, or None."""
        row = self._reader.read(lambda tx: layout.read_entry(tx, entry_id), missing=None)
        return None if row is None else decode_doc(row.doc)

    def entries(self) -> dict[str, bytes]:
        """Return every entry's encoded document, in the order of the ids."""
        return self._reader.read(layout.read_entries, missing={})

    def documents(self) -> tuple[int, dict[str, EntryDoc], dict[str, EntryPlace]]:
        """Return (version, documents, places of those that are what their files say): what a tree
        is made from."""
        nothing: tuple[int, dict[str, EntryDoc], dict[str, EntryPlace]] = (0, {}, {})
        return self._reader.read(_documents, missing=nothing)

    def structure(self, since: int) -> Structure:
        """Return what the registry has, beyond plain data, that it did not have at version `since`
        (0: all that it has). Costs what has changed; all of it where too much was forgotten."""
        return self._reader.read(lambda tx: _structure(tx, since), missing=Structure(0))

    def files(self) -> dict[str, bytes]:
        """Return every entry's encoded document as its file last said it."""
        return self._reader.read(layout.read_files, missing={})

    def files_seen(self) -> str:
        """Return the digest of the files that were merged last; empty where it is not known."""
        found = self._reader.read(lambda tx: tx.get(META, layout.SEEN_KEY), missing=None)
        return "" if found is None else found.decode()

    def versions(self, limit: int = 100) -> list[Version]:
        """Return the last `limit` versions of the registry, newest first."""
        return self._reader.read(lambda tx: layout.read_versions(tx, limit), missing=[])

    def versions_of(self, entry_id: str, limit: int = 100) -> list[Version]:
        """Return the last `limit` versions that changed an entry, newest first."""
        return self._reader.read(
            lambda tx: list(islice(layout.versions_of(tx, entry_id), max(0, limit))), missing=[]
        )

    def changes(self, version: int) -> Changeset:
        """Return what a version changed, both sides of each entry."""
        return self._reader.read(lambda tx: layout.read_changes(tx, version), missing=Changeset())

    def snapshot_at(self, version: int) -> dict[str, bytes]:
        """Return every entry as it was at `version`; `NotFound` if there is no such version."""
        return self._reader.read(lambda tx: _snapshot_at(tx, version), missing={})

    def history(self, child_id: str = "", limit: int = 100) -> list[Fact]:
        """Return the last `limit` facts (of one child, if given), oldest first."""

        def last(tx: Tx) -> list[Fact]:
            rows = islice(layout.read_facts(tx, child_id), max(0, limit))
            return [row.fact for row in rows][::-1]

        return self._reader.read(last, missing=[])

    def close(self) -> None:
        """Close it; the next question opens it again."""
        self._reader.close()


def _documents(tx: Tx) -> tuple[int, dict[str, EntryDoc], dict[str, EntryPlace]]:
    docs = {id: decode_doc(encoded) for id, encoded in layout.read_entries(tx).items()}
    return layout.current_version(tx), docs, _places(tx, docs)


def _structure(tx: Tx, since: int) -> Structure:
    version = layout.current_version(tx)
    is_whole = not layout.oldest_version(tx) <= since <= version or since == 0
    docs: dict[str, EntryDoc | None] = {}
    if is_whole:
        docs.update((doc.id, doc) for doc in layout.read_structural(tx))
    else:
        ids = dict.fromkeys(layout.changed_structural(tx, since))
        docs.update((id, _structural(tx, id)) for id in ids)
    return Structure(version, docs, _places(tx, docs), is_whole)


def _structural(tx: Tx, entry_id: str) -> EntryDoc | None:
    row = layout.read_entry(tx, entry_id)
    doc = None if row is None else decode_doc(row.doc)
    return None if doc is None or doc.kind == DATA_KIND else doc


def _places(tx: Tx, docs: Mapping[str, EntryDoc | None]) -> dict[str, EntryPlace]:
    """Return where documents stand that are what their files say."""
    places: dict[str, EntryPlace] = {}
    for id, doc in docs.items():
        place = layout.read_place(tx, id)
        if place is not None and doc is not None and layout.read_file(tx, id) == encode_doc(doc):
            places[id] = place
    return places


def _snapshot_at(tx: Tx, version: int) -> dict[str, bytes]:
    layout.check_version(tx, version)
    numbers = range(layout.current_version(tx), version, -1)
    later = (layout.read_changes(tx, number) for number in numbers)
    return snapshot_at(layout.read_entries(tx), later)
