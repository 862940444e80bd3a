"""The registry: entries that every process reads at once, and that change while everything runs.

from wippy import registry

db = registry.get("app.db:postgres")
connect(db["host"], db["port"])

await registry.changes().update("app.db:postgres", data={**db.data, "port": 5433}).apply()

Reading asks nobody: it is a look into a file that is mapped into the process. Writing goes to the
keeper, which judges, commits, and answers when the change is on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from wippy.core.pattern import parse
from wippy.core.registry import Version
from wippy.runtime import guard
from wippy.runtime import registry as reading
from wippy.runtime.context import find_current
from wippy.runtime.registry_changes import Changes, apply_version
from wippy.runtime.registry_entries import Entry, Snapshot, entry_of, fields_of, may_read
from wippy.runtime.registry_stream import Watch
from wippy.runtime.registry_watch import ChangeDoc, Following, check_since

__all__ = [
    "Change",
    "Changes",
    "Entry",
    "Snapshot",
    "Version",
    "Watch",
    "apply_version",
    "changes",
    "find",
    "get",
    "snapshot",
    "snapshot_at",
    "version",
    "versions",
    "watch",
]

# --- reading -------------------------------------------------------------------------------------


def get(entry_id: str) -> Entry:
    """Return an entry as it is now; never waits.

    Raises:
        NotFound: There is none; names the nearest.
        PermissionDenied: A policy denies it, or none allows it.
        Invalid: `entry_id` is no id, or the process belongs to no node.
    """
    entry = entry_of(reading.reader().get(entry_id))
    guard.require("registry.get", entry_id, fields_of(entry))
    return entry


def find(
    *,
    kind: str | None = None,
    namespace: str | None = None,
    meta: Mapping[str, Any] | None = None,
    pattern: str | None = None,
) -> list[Entry]:
    """Return the entries that are all of what is asked for, and that the caller may read, in the
    order of their ids.

    Args:
        kind: Of this kind.
        namespace: In this namespace.
        meta: With these values in their meta.
        pattern: With an id like `app.db:*` or `app.**`.

    Raises:
        Invalid: The pattern is none, or the process belongs to no node.
    """
    wanted = None if pattern is None else parse(pattern)
    found = map(entry_of, reading.reader().find(kind, namespace, wanted))
    alike = (entry for entry in found if meta is None or _has(entry.meta, meta))
    return [entry for entry in alike if may_read(entry)]


def version() -> int:
    """Return the version of the registry; 0 before the first."""
    return reading.reader().version()


def versions(limit: int = 100) -> list[Version]:
    """Return the last `limit` versions, newest first: number, time, author, comment, counts."""
    return reading.reader().versions(limit)


def snapshot() -> Snapshot:
    """Return all entries that the caller may read as they are now, consistent with each other."""
    return _readable(*reading.reader().snapshot_at(None))


def snapshot_at(version: int) -> Snapshot:
    """Return all entries as they were at `version`.

    Raises:
        NotFound: There is no such version, or it is so old that it was forgotten.
    """
    return _readable(*reading.reader().snapshot_at(version))


# --- watching ------------------------------------------------------------------------------------


class Change(msgspec.Struct, frozen=True):
    """What a version did to an entry.

    Attributes:
        version: The version.
        id: The entry.
        op: What was done to it.
        old: As it was; None if it was created.
        new: As it is since then; None if it was deleted.
    """

    version: int
    id: str
    op: Literal["created", "updated", "deleted"]
    old: Entry | None
    new: Entry | None


def watch(pattern: str = "**", *, since: int | None = None) -> Watch[Change]:
    """Follow the changes of the entries whose ids a pattern stands for; never waits itself.

    Complete and in order, at any distance: nothing is kept in memory for it. Changes of what the
    caller may not read are left out.

    Args:
        pattern: `app.db:postgres`, `app.db:*`, `app.**`; everything by default.
        since: Begin behind this version; None: behind the newest. With `snapshot().version` nothing
            falls in between; one that was remembered goes on where another life of the actor was.

    Raises:
        Invalid: The pattern is none, the process belongs to no node, or nobody is calling.
        NotFound: There is no version `since`, or what came after it was forgotten.
    """
    wanted, reader = parse(pattern), reading.reader()
    begin = reader.version() if since is None else since
    reader.read(lambda tables: check_since(tables, begin), None)
    return Watch(Following(reader, wanted, begin, _may_see), _change)


def _may_see(found: ChangeDoc) -> bool:
    """Say whether the caller may read both sides of a change."""
    context = find_current()
    if context is None or not guard.is_bound(context):
        return True
    sides = (_side(found.version, found.old), _side(found.version, found.new))
    return all(may_read(side) for side in sides if side is not None)


def _change(found: ChangeDoc) -> Change:
    old, new = _side(found.version - 1, found.old), _side(found.version, found.new)
    op: Literal["created", "updated", "deleted"] = "updated"
    if old is None or new is None:
        op = "created" if old is None else "deleted"
    return Change(found.version, found.id, op, old, new)


def _side(version: int, encoded: bytes | None) -> Entry | None:
    return None if encoded is None else entry_of((version, reading.document(encoded)))


# --- writing -------------------------------------------------------------------------------------


def changes() -> Changes:
    """Return an empty set of changes: `registry.changes().update(...).delete(...).apply()`."""
    return Changes()


def _has(meta: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(key in meta and meta[key] == value for key, value in wanted.items())


def _readable(version: int, rows: dict[str, tuple[int, bytes]]) -> Snapshot:
    """Return a snapshot without what the caller may not read."""
    snapshot, context = Snapshot(version, rows), find_current()
    if context is None or not guard.is_bound(context):
        return snapshot
    kept = {id_: row for id_, row in rows.items() if may_read(snapshot[id_])}
    return Snapshot(version, kept)
