"""Entries of the registry as actors see them: copies, one at a time or all of one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from wippy.core.conditions import Fields
from wippy.runtime import guard
from wippy.runtime import registry as reading
from wippy.runtime.context import find_current
from wippy.runtime.registry_tables import Found


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
        return entry_of((version, reading.document(encoded)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<Snapshot of version {self.version}, {len(self)} entries>"


def entry_of(found: Found) -> Entry:
    """Return what was read as an entry."""
    version, doc = found
    return Entry(doc.id, doc.kind, doc.meta, doc.data, version)


def may_read(entry: Entry) -> bool:
    """Say whether the calling actor may read an entry."""
    context = find_current()
    return context is None or guard.is_allowed(context, "registry.get", entry.id, fields_of(entry))


def fields_of(entry: Entry) -> Callable[[], Fields]:
    """Return what conditions of policies may ask of an entry, made when one asks."""
    return lambda: {"kind": entry.kind, "meta": entry.meta, "data": entry.data}
