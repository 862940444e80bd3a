"""The registry: entries that every process reads at once, and that change while everything runs.

from wippy import registry

db = registry.get("app.db:postgres")
connect(db["host"], db["port"])

await registry.changes().update("app.db:postgres", data={**db.data, "port": 5433}).apply()

Reading asks nobody: it is a look into a file that is mapped into the process. Writing goes to the
keeper, which judges, commits, and answers when the change is on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from wippy.core import entry as entries
from wippy.core.conditions import Fields
from wippy.core.entry import DATA_KIND, EntryChange, EntryDoc
from wippy.core.pattern import parse
from wippy.core.registry import ApplyChanges, ApplyVersion, Version
from wippy.errors import Invalid
from wippy.runtime import guard, keeper_link
from wippy.runtime import registry as reading
from wippy.runtime.context import find_current
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

APPLY_TIMEOUT_S = 30.0
"""How long a change waits for the keeper unless told otherwise: longer than its restart takes."""


class Entry(msgspec.Struct, frozen=True):
    """An entry, as it was when it was read: a copy, which changing changes nothing else.

    `entry["host"]` and `entry.host` are `entry.data["host"]`, where the name is none of these:

    Attributes:
        id: `namespace:name`.
        kind: What it is: `registry.entry`, `process.service`, ...
        meta: Free data.
        data: The kind's own fields, as they are written; of a `registry.entry` the data itself.
        version: The version of the registry that wrote it (in `snapshot_at`, where that is not
            known: the version of the snapshot).
    """

    id: str
    kind: str
    meta: dict[str, Any]
    data: dict[str, Any]
    version: int

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self.data:
            raise AttributeError(f"{self.id} has no {name!r} in its data")
        return self.data[name]

    def get(self, key: str, default: Any = None) -> Any:
        """Return `data[key]`, or `default` where it is not there."""
        return self.data.get(key, default)


class Snapshot(Mapping[str, Entry]):
    """All entries at one moment, by id, in the order of the ids.

    Attributes:
        version: The version of the registry.
    """

    def __init__(self, version: int, rows: dict[str, tuple[int, bytes]]) -> None:
        self.version = version
        self._rows = rows

    def __getitem__(self, entry_id: str) -> Entry:
        version, encoded = self._rows[entry_id]
        return _entry((version, reading.document(encoded)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Snapshot of version {self.version}, {len(self)} entries>"


# --- reading -------------------------------------------------------------------------------------


def get(entry_id: str) -> Entry:
    """Return an entry as it is now; never waits.

    Raises:
        NotFound: There is none; names the nearest.
        PermissionDenied: A policy denies it, or none allows it.
        Invalid: `entry_id` is no id, or the process belongs to no node.
    """
    entry = _entry(reading.reader().get(entry_id))
    guard.require("registry.get", entry_id, _fields(entry))
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
    found = map(_entry, reading.reader().find(kind, namespace, wanted))
    alike = (entry for entry in found if meta is None or _has(entry.meta, meta))
    return [entry for entry in alike if _may_read(entry)]


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
    return all(_may_read(side) for side in sides if side is not None)


def _change(found: ChangeDoc) -> Change:
    old, new = _side(found.version - 1, found.old), _side(found.version, found.new)
    op: Literal["created", "updated", "deleted"] = "updated"
    if old is None or new is None:
        op = "created" if old is None else "deleted"
    return Change(found.version, found.id, op, old, new)


def _side(version: int, encoded: bytes | None) -> Entry | None:
    return None if encoded is None else _entry((version, reading.document(encoded)))


# --- writing -------------------------------------------------------------------------------------


class Changes:
    """Changes of entries that are applied together, or not at all."""

    def __init__(self) -> None:
        self._changes: list[EntryChange] = []

    def create(
        self,
        entry_id: str,
        *,
        data: Mapping[str, Any] | None = None,
        kind: str = DATA_KIND,
        meta: Mapping[str, Any] | None = None,
    ) -> Changes:
        """Make an entry; with `apply`, `AlreadyExists` if there is one.

        Args:
            entry_id: `namespace:name`.
            data: The fields of its kind, as they are written in a file.
            kind: Plain data by default.
            meta: Free data.

        Raises:
            TypeError: Something is no plain data; the message names the place.
            Invalid: The id or the kind is none, or it is too large.
        """
        doc = EntryDoc(id=entry_id, kind=kind, data=_copy(data), meta=_copy(meta))
        return self._add("create", doc)

    def update(
        self,
        entry_id: str,
        *,
        data: Mapping[str, Any] | None = None,
        kind: str | None = None,
        meta: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
    ) -> Changes:
        """Replace data, meta or kind of an entry; what is None stays. With `apply`, `NotFound` if
        there is no such entry, and `Conflict` if another version has written it than
        `expected_version` (`entry.version` of the entry that the change was made from): changes
        of other entries are no conflict. Raises as `create`."""
        given = {"data": data, "kind": kind, "meta": meta}
        doc = EntryDoc(
            id=entry_id,
            kind=DATA_KIND if kind is None else kind,
            data=_copy(data),
            meta=_copy(meta),
        )
        keeps = tuple(name for name, it in given.items() if it is None)
        return self._add("update", doc, keeps, expected_version)

    def delete(self, entry_id: str, *, expected_version: int | None = None) -> Changes:
        """Remove an entry; with `apply`, `NotFound` if there is none, `Invalid`, with who needs
        it, while others do, and `Conflict` as of `update`."""
        change = EntryChange("delete", entry_id, expected_version=expected_version)
        self._changes.append(change)
        return self

    async def apply(
        self,
        *,
        comment: str = "",
        expected_version: int | None = None,
        timeout_s: float = APPLY_TIMEOUT_S,
    ) -> int:
        """Apply the changes as one version; return it. On the disk when this returns; applied at
        most once, whoever dies meanwhile. The same content makes no new version.

        Args:
            comment: Why; part of the version.
            expected_version: The version that the changes are based on (`registry.version()`).
            timeout_s: How long to wait for the keeper, seconds.

        Raises:
            PermissionDenied: A policy denies it, or none allows it (the keeper says so).
            Conflict: The registry is not at `expected_version`, or an entry not at its own; shows
                both sides.
            AlreadyExists, NotFound: As said at `create`, `update` and `delete`.
            Invalid: An entry would be wrong in itself or with others; all that is wrong is said.
            Unavailable: No room on the disk.
            Timeout: No answer in time; it may still happen.
        """
        request = ApplyChanges(
            changes=tuple(self._changes),
            author=_author(),
            credential=_credential(),
            identity=guard.acting(),
            comment=comment,
            expected_version=expected_version,
        )
        return (await keeper_link.link().ask(request, timeout_s)).version

    def _add(
        self,
        op: Literal["create", "update"],
        doc: EntryDoc,
        keeps: tuple[str, ...] = (),
        expected_version: int | None = None,
    ) -> Changes:
        entries.check(doc)
        self._changes.append(EntryChange(op, doc.id, doc, keeps, expected_version))
        return self

    def __len__(self) -> int:
        return len(self._changes)


def changes() -> Changes:
    """Return an empty set of changes: `registry.changes().update(...).delete(...).apply()`."""
    return Changes()


async def apply_version(
    version: int,
    *,
    comment: str = "",
    expected_version: int | None = None,
    timeout_s: float = APPLY_TIMEOUT_S,
) -> int:
    """Make a new version that has the entries of `version`; return it. Raises as `Changes.apply`,
    and `NotFound` for a version that is not there, or was forgotten."""
    request = ApplyVersion(
        version=version,
        author=_author(),
        credential=_credential(),
        identity=guard.acting(),
        comment=comment or f"version {version} restored",
        expected_version=expected_version,
    )
    return (await keeper_link.link().ask(request, timeout_s)).version


def _entry(found: reading.Found) -> Entry:
    version, doc = found
    return Entry(doc.id, doc.kind, doc.meta, doc.data, version)


def _has(meta: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(key in meta and meta[key] == value for key, value in wanted.items())


def _copy(data: Mapping[str, Any] | None) -> dict[str, Any]:
    if data is not None and not isinstance(data, Mapping):
        raise TypeError(f"data and meta are dicts, not {type(data).__name__}")
    return {} if data is None else dict(data)


def _credential() -> bytes:
    context = find_current()
    return b"" if context is None else context.credential


def _may_read(entry: Entry) -> bool:
    context = find_current()
    return context is None or guard.is_allowed(context, "registry.get", entry.id, _fields(entry))


def _readable(version: int, rows: dict[str, tuple[int, bytes]]) -> Snapshot:
    """Return a snapshot without what the caller may not read."""
    snapshot, context = Snapshot(version, rows), find_current()
    if context is None or not guard.is_bound(context):
        return snapshot
    kept = {id_: row for id_, row in rows.items() if _may_read(snapshot[id_])}
    return Snapshot(version, kept)


def _fields(entry: Entry) -> Callable[[], Fields]:
    return lambda: {"kind": entry.kind, "meta": entry.meta, "data": entry.data}


def _author() -> str:
    context = find_current()
    if context is None:
        raise Invalid("not inside an actor: only actors change the registry from here")
    return context.service
