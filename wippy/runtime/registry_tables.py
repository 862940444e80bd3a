"""The tables of the registry, as they are read within one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import lmdb
import msgspec

from wippy.core.entry import EntryDoc
from wippy.core.registry import (
    REGISTRY,
    REGISTRY_BY_KIND,
    REGISTRY_CHANGES,
    REGISTRY_VERSIONS,
    Version,
    decode_change_row,
    decode_stored,
    decode_version,
    number_key,
    number_of,
)
from wippy.errors import NotFound

TABLES = (REGISTRY, REGISTRY_BY_KIND, REGISTRY_VERSIONS, REGISTRY_CHANGES)

Found = tuple[int, EntryDoc]
"""The version that wrote an entry, and the entry."""


class Row(msgspec.Struct, array_like=True):
    """A row of `registry`, its document decoded."""

    version: int
    origin: str
    doc: EntryDoc


decode_row = msgspec.msgpack.Decoder(Row).decode


class Tables:
    """The tables of the registry within one read transaction."""

    __slots__ = ("dbs", "txn")

    def __init__(self, txn: lmdb.Transaction, dbs: Mapping[str, lmdb._Database]) -> None:
        self.txn = txn
        self.dbs = dbs

    def scan(self, table: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with `prefix`, ascending."""
        with self.txn.cursor(self.dbs[table]) as cursor:
            if not cursor.set_range(prefix):
                return
            for found, value in cursor:
                key = bytes(found)
                if not key.startswith(prefix):
                    return
                yield key, bytes(value)

    def rows_from(self, table: str, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows from the key `start` on, ascending."""
        with self.txn.cursor(self.dbs[table]) as cursor:
            if cursor.set_range(start):
                for key, value in cursor:
                    yield bytes(key), bytes(value)

    def row(self, entry_id: bytes) -> bytes | None:
        """Return the row of an entry, or None."""
        row = self.txn.get(entry_id, db=self.dbs[REGISTRY])
        return None if row is None else bytes(row)

    def version(self) -> int:
        """Return the version of the registry; 0 before the first."""
        with self.txn.cursor(self.dbs[REGISTRY_VERSIONS]) as cursor:
            return number_of(bytes(cursor.key())) if cursor.last() else 0

    def versions(self, limit: int) -> list[Version]:
        """Return the last versions, newest first."""
        with self.txn.cursor(self.dbs[REGISTRY_VERSIONS]) as cursor:
            if not cursor.last():
                return []
            return [decode_version(row) for _, row in islice(cursor.iterprev(), max(0, limit))]

    def first_kept(self) -> int:
        """Return the first version of which it is known what it changed; 1 before there is any."""
        with self.txn.cursor(self.dbs[REGISTRY_VERSIONS]) as cursor:
            if not cursor.first():
                return 1
            first = decode_version(cursor.value())
            # One without a time stands for what was before the format that knows of changes.
            return first.number if first.at_s > 0 else first.number + 1

    def oldest(self) -> int:
        """Return the oldest version whose entries are known; 0 until one was forgotten."""
        with self.txn.cursor(self.dbs[REGISTRY_VERSIONS]) as cursor:
            if not cursor.first():
                return 0
            first = decode_version(cursor.value())
            return 0 if first.number == 1 and first.at_s > 0 else first.number


def snapshot(tables: Tables, version: int | None) -> tuple[int, dict[str, tuple[int, bytes]]]:
    """Return (version, (version that wrote it, encoded document) by id) as of `version`, or now.

    Raises:
        NotFound: There is no such version, or it was forgotten.
    """
    current = tables.version()
    wanted = current if version is None else version
    if not 0 <= wanted <= current:
        raise NotFound(f"the registry has no version {wanted}; it is at version {current}")
    if wanted < tables.oldest():
        raise NotFound(
            f"version {wanted} of the registry was forgotten; the oldest is {tables.oldest()}"
        )
    entries: dict[str, tuple[int, bytes]] = {}
    for key, row in tables.scan(REGISTRY, b""):
        stored = decode_stored(row)
        entries[key.decode()] = stored.version, bytes(stored.doc)
    for number in range(current, wanted, -1):
        for key, row in tables.scan(REGISTRY_CHANGES, number_key(number)):
            old = decode_change_row(row).old
            entry_id = key[8:].decode()
            entries.pop(entry_id, None)
            if old is not None:
                entries[entry_id] = wanted, old
    return wanted, dict(sorted(entries.items())) if wanted < current else entries
