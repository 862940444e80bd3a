"""A transaction of an LMDB environment, as tables with keys in byte order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import lmdb

MAX_KEY_BYTES = 511
"""LMDB's limit of a key, compiled in."""


class Tx:
    """The tables of one environment within one transaction; of no use after it.

    Args:
        txn: The transaction of LMDB.
        tables: Its named databases.
    """

    __slots__ = ("_tables", "_txn")

    def __init__(self, txn: lmdb.Transaction, tables: Mapping[str, lmdb._Database]) -> None:
        self._txn = txn
        self._tables = tables

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return the value of `key`, or None."""
        value = self._txn.get(key, db=self._tables[table])
        return None if value is None else bytes(value)

    def put(self, table: str, key: bytes, value: bytes = b"") -> None:
        """Store `value`, over what was there."""
        self._txn.put(key, value, db=self._tables[table])

    def append(self, table: str, key: bytes, value: bytes) -> None:
        """Store `value` under a key above all others of the table (cheaper than `put`)."""
        self._txn.put(key, value, db=self._tables[table], append=True)

    def delete(self, table: str, key: bytes) -> bool:
        """Remove `key`; say whether it was there."""
        return self._txn.delete(key, db=self._tables[table])

    def clear(self, table: str) -> None:
        """Remove every row."""
        self._txn.drop(self._tables[table], delete=False)

    def count(self, table: str) -> int:
        """Return the number of rows, without reading them."""
        return int(self._txn.stat(self._tables[table])["entries"])

    def first_key(self, table: str) -> bytes | None:
        """Return the lowest key, or None."""
        with self._txn.cursor(self._tables[table]) as cursor:
            return bytes(cursor.key()) if cursor.first() else None

    def last_key(self, table: str) -> bytes | None:
        """Return the highest key, or None."""
        with self._txn.cursor(self._tables[table]) as cursor:
            return bytes(cursor.key()) if cursor.last() else None

    def scan(
        self, table: str, prefix: bytes = b"", *, start: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with `prefix`, ascending, from `start` on if given."""
        with self._txn.cursor(self._tables[table]) as cursor:
            if not cursor.set_range(prefix if start is None else start):
                return
            for key, value in cursor:
                if not bytes(key).startswith(prefix):
                    return
                yield bytes(key), bytes(value)

    def scan_back(self, table: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with `prefix`, descending."""
        with self._txn.cursor(self._tables[table]) as cursor:
            if not _seek_last(cursor, prefix):
                return
            for key, value in cursor.iterprev():
                if not bytes(key).startswith(prefix):
                    return
                yield bytes(key), bytes(value)


def _seek_last(cursor: lmdb.Cursor, prefix: bytes) -> bool:
    above = _after_prefix(prefix)
    if above is None or not cursor.set_range(above):
        return cursor.last()
    return cursor.prev()


def _after_prefix(prefix: bytes) -> bytes | None:
    """Return the lowest key above every key that begins with `prefix`; None if there is none."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes([head[-1] + 1]) if head else None
