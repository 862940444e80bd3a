"""The actions that only read: they work on a stopped node too."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from supervisor.cli.output import put, wants_colour
from supervisor.cli.registry.access import Where, reading
from supervisor.cli.registry.shown import (
    change_data,
    entry_data,
    entry_text,
    put_changes,
    put_data,
    put_entries,
    put_versions,
    version_data,
)
from supervisor.core.registry.changeset import diff as differ
from supervisor.io import state_layout as layout
from supervisor.io.lmdb_tx import Tx
from supervisor.io.state_reader import StateReader
from wippy.core.entry import EntryDoc, EntryPlace, decode_doc
from wippy.core.pattern import parse
from wippy.errors import NotFound


def get(where: Where, entry_id: str, *, at: int | None, is_json: bool) -> None:
    """Show an entry, as it is or as it was at version `at`; `NotFound` names the nearest id."""
    with reading(where) as reader:
        if at is not None:
            put_old(reader, entry_id, at, is_json=is_json)
            return
        found = reader.read(lambda tx: _stored(tx, entry_id), missing=None)
        if found is None:
            raise unknown(entry_id, reader.entries())
    doc, version, place = found
    at_place = f"{place.file}:{place.line}" if place is not None else ""
    if is_json:
        more = {"version": version, "place": at_place or None}
        put_data({"entry": {**entry_data(doc), **more}})
        return
    put(entry_text(doc))
    put(f"# version {version}, {at_place or 'in no file, or other than in its file'}")


def put_old(reader: StateReader, entry_id: str, at: int, *, is_json: bool) -> None:
    """Show an entry as it was at a version."""
    entries = reader.snapshot_at(at)
    if entry_id not in entries:
        raise unknown(entry_id, entries)
    doc = decode_doc(entries[entry_id])
    if is_json:
        put_data({"entry": entry_data(doc)})
        return
    put(entry_text(doc))


def find(
    where: Where,
    *,
    pattern: str = "",
    kind: str = "",
    namespace: str = "",
    meta: Mapping[str, Any],
    at: int | None = None,
    is_json: bool,
) -> None:
    """Show the entries that are all of what is asked for; what is empty does not ask."""
    wanted = parse(pattern) if pattern else None
    with reading(where) as reader:
        entries = reader.entries() if at is None else reader.snapshot_at(at)
    found = [
        doc
        for doc in map(decode_doc, entries.values())
        if (not kind or doc.kind == kind)
        and (not namespace or doc.id.partition(":")[0] == namespace)
        and (wanted is None or wanted.matches(doc.id))
        and all(key in doc.meta and doc.meta[key] == value for key, value in meta.items())
    ]
    if is_json:
        put_data({"entries": [entry_data(doc) for doc in found]})
    else:
        put_entries(found)


def history(where: Where, entry_id: str, *, limit: int, is_json: bool) -> None:
    """Show the last versions, newest first; those that changed one entry, if it is given."""
    with reading(where) as reader:
        versions = reader.versions_of(entry_id, limit) if entry_id else reader.versions(limit)
        if entry_id and not versions and reader.entry(entry_id) is None:
            raise unknown(entry_id, reader.entries())
    if is_json:
        put_data({"versions": [version_data(version) for version in versions]})
    else:
        put_versions(versions)


def diff(where: Where, old: int | None, new: int | None, *, color: str, is_json: bool) -> None:
    """Show what differs from version `old` to `new` (now); from the files, if neither is given."""
    with reading(where) as reader:
        before = reader.files() if old is None else reader.snapshot_at(old)
        after = reader.entries() if new is None else reader.snapshot_at(new)
    changes = differ(before, after)
    if is_json:
        put_data({"changes": [change_data(change) for change in changes]})
    else:
        put_changes(changes, is_coloured=wants_colour(color, sys.stdout))


def unknown(entry_id: str, ids: Iterable[str]) -> NotFound:
    """Return the error for an id that there is not; names the nearest."""
    near = _nearest(entry_id, list(ids))
    hint = f"did you mean {near!r}?" if near else "see wippy-supervisor registry list"
    return NotFound(f"there is no entry {entry_id}; {hint}")


def _nearest(entry_id: str, ids: list[str]) -> str:
    """Return the id that was meant, most likely; a namespace in common makes two names no alike."""
    close = difflib.get_close_matches(entry_id, ids, n=1, cutoff=0.8)
    if not close:
        by_name = {full.partition(":")[2]: full for full in reversed(ids)}
        name = entry_id.rpartition(":")[2]
        close = [by_name[it] for it in difflib.get_close_matches(name, by_name, n=1, cutoff=0.7)]
    return close[0] if close else ""


def _stored(tx: Tx, entry_id: str) -> tuple[EntryDoc, int, EntryPlace | None] | None:
    """Return (document, version that wrote it, its place if it is what its file says)."""
    row = layout.read_entry(tx, entry_id)
    if row is None:
        return None
    said = tx.get(layout.REGISTRY_FILES, entry_id.encode())
    place = layout.read_place(tx, entry_id) if said == bytes(row.doc) else None
    return decode_doc(row.doc), row.version, place
