"""The registry as a process reads it: LMDB, read-only, without asking anybody.

A `get` is one read transaction and one decode. Nothing is cached, so nothing is ever stale: what
has been committed before the call is seen. The environment is opened once in each process, after
the fork: LMDB's readers must not be shared over one.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

import lmdb
import msgspec

from wippy.core.entry import EntryDoc, decode_doc
from wippy.core.ids import split_id
from wippy.core.pattern import Pattern
from wippy.core.registry import (
    FORMAT_KEY,
    META,
    REGISTRY,
    REGISTRY_BY_KIND,
    STATE_FOLDER,
    STATE_VERSION,
    Version,
    kind_prefix,
)
from wippy.errors import Invalid, NotFound, PermissionDenied, Unavailable
from wippy.runtime.registry_tables import TABLES, Found, Tables, decode_row, snapshot

MAX_READERS = 4096
MAX_TABLES = 64
"""Both as the writer has them (`supervisor.io.lmdb_env`)."""
NEAR_IDS = 1000
"""Ids of a namespace that are looked at for the nearest to one that is not there."""
CLOSED = (
    "a process with a user of its own (user:) has neither the registry nor the keeper: let another "
    "actor of the node read or change it, and send what is needed"
)

T = TypeVar("T")


class RegistryReader:
    """Reads the registry of one node.

    Args:
        state_dir: The node's state folder; the registry is empty before there is anything in it.
    """

    def __init__(self, state_dir: str) -> None:
        self._folder = os.path.join(state_dir, STATE_FOLDER)
        self._opened: tuple[lmdb.Environment, dict[str, lmdb._Database]] | None = None

    def get(self, entry_id: str) -> Found:
        """Return an entry.

        Raises:
            NotFound: There is none; names the nearest.
            Invalid: `entry_id` is no id, or the registry cannot be read.
        """
        key = entry_id.encode(errors="surrogatepass")
        row = self.read(lambda tables: tables.row(key), None) if key else None
        if row is None:
            split_id(entry_id)
            raise NotFound(self._not_there(entry_id))
        found = decode_row(row)
        return found.version, found.doc

    def find(self, kind: str | None, namespace: str | None, pattern: Pattern | None) -> list[Found]:
        """Return entries in the order of their ids; None does not ask."""
        prefix = f"{namespace}:".encode() if namespace is not None else b""

        def look(tables: Tables) -> list[Found]:
            if kind is None:
                rows = tables.scan(REGISTRY, prefix or _fixed(pattern))
            else:
                start = kind_prefix(kind)
                keys = (
                    key[len(start) :] for key, _ in tables.scan(REGISTRY_BY_KIND, start + prefix)
                )
                rows = ((key, tables.row(key) or b"") for key in keys)
            chosen = (row for key, row in rows if pattern is None or pattern.matches(key.decode()))
            return [(found.version, found.doc) for found in map(decode_row, chosen)]

        nothing: list[Found] = []
        return self.read(look, nothing)

    def version(self) -> int:
        """Return the version of the registry; 0 before the first."""
        return self.read(Tables.version, 0)

    def versions(self, limit: int) -> list[Version]:
        """Return the last `limit` versions, newest first."""
        nothing: list[Version] = []
        return self.read(lambda tables: tables.versions(limit), nothing)

    def snapshot_at(self, version: int | None) -> tuple[int, dict[str, tuple[int, bytes]]]:
        """Return (version, (version, encoded document) by id) of one moment: now, or `version`.

        Raises:
            NotFound: There is no such version, or it was forgotten.
        """
        nothing: tuple[int, dict[str, tuple[int, bytes]]] = (0, {})
        return self.read(lambda tables: snapshot(tables, version), nothing)

    def read(self, look: Callable[[Tables], T], missing: T) -> T:
        """Return what `look` sees in one read transaction; `missing` where there is no registry."""
        try:
            opened = self._opened or self._open()
            return missing if opened is None else _run(opened, look)
        except lmdb.Error as error:
            raise Unavailable(f"the registry in {self._folder} cannot be read: {error}") from error
        except msgspec.DecodeError as error:
            raise Invalid(f"the registry in {self._folder} has a malformed row: {error}") from error

    def close(self) -> None:
        """Close it; the next read opens it again."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _not_there(self, entry_id: str) -> str:
        prefix = entry_id.partition(":")[0].encode() + b":"

        def look(tables: Tables) -> list[str]:
            return [key.decode() for key, _ in islice(tables.scan(REGISTRY, prefix), NEAR_IDS)]

        nobody: list[str] = []
        near = difflib.get_close_matches(entry_id, self.read(look, nobody), cutoff=0.75)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"there is no entry {entry_id!r}{hint}"

    def _open(self) -> tuple[lmdb.Environment, dict[str, lmdb._Database]] | None:
        if not os.path.exists(os.path.join(self._folder, "data.mdb")):
            return None
        env = lmdb.open(
            self._folder,
            readonly=True,
            create=False,
            max_dbs=MAX_TABLES,
            max_readers=MAX_READERS,
        )
        try:
            if not self._is_ready(env):
                env.close()
                return None
            tables = {name: env.open_db(name.encode(), create=False) for name in TABLES}
        except (lmdb.NotFoundError, lmdb.ReadonlyError):
            env.close()
            return None
        self._opened = env, tables
        return self._opened

    def _is_ready(self, env: lmdb.Environment) -> bool:
        """Say whether the keeper has made it, or brought it to this format, already."""
        meta = env.open_db(META.encode(), create=False)
        with env.begin(db=meta) as txn:
            found = int(txn.get(FORMAT_KEY) or b"0")
        if found > STATE_VERSION:
            env.close()
            raise Invalid(
                f"the registry in {self._folder} has format {found}, this wippy knows formats up "
                f"to {STATE_VERSION}; install a newer one"
            )
        return found == STATE_VERSION


def _run(
    opened: tuple[lmdb.Environment, dict[str, lmdb._Database]], look: Callable[[Tables], T]
) -> T:
    env, dbs = opened
    while True:
        try:
            with env.begin() as txn:
                return look(Tables(txn, dbs))
        except lmdb.MapResizedError:
            env.set_mapsize(0)  # take over the size that the writer has given it


def _fixed(pattern: Pattern | None) -> bytes:
    """Return what every id that a pattern matches begins with."""
    text = "" if pattern is None else pattern.text
    if "*" not in text:
        return text.encode()
    before, _, after = text.partition("*")
    # `app.**` is `app` too: what stands before such a part is not certain.
    return (before.rstrip(".:") if after.startswith("*") else before).encode()


# --- of this process -----------------------------------------------------------------------------


class _ClosedRegistry(RegistryReader):
    """The registry of a process that may not read it."""

    def __init__(self) -> None:
        super().__init__("")

    def version(self) -> int:
        """Return 0: nothing of it is seen here."""
        return 0

    def read(self, look: Callable[[Tables], T], missing: T) -> T:
        """Refuse."""
        raise PermissionDenied(CLOSED)


class _Here:
    """Where this process finds the registry; set once, after the fork."""

    reader: RegistryReader | None = None
    run_dir: str = ""
    is_closed: bool = False


def set_node(state_dir: str, run_dir: str) -> None:
    """Say which node this process belongs to; empty folders are none."""
    if _Here.reader is not None:
        _Here.reader.close()
    _Here.reader = RegistryReader(state_dir) if state_dir else None
    _Here.run_dir = run_dir
    _Here.is_closed = False


def close_to_user() -> None:
    """This process has given up the rights to reach the registry: say so to whoever asks for it."""
    if _Here.reader is not None:
        _Here.reader.close()
        _Here.reader = _ClosedRegistry()
    _Here.is_closed = True


def has_reader() -> bool:
    """Say whether this process belongs to a node."""
    return _Here.reader is not None


def reader() -> RegistryReader:
    """Return the registry of this process's node; `Invalid` where it belongs to none."""
    if _Here.reader is None:
        raise Invalid("this process belongs to no node, so it has no registry")
    return _Here.reader


def run_dir() -> str:
    """Return the run folder of this process's node, for the way to its keeper.

    Raises:
        Invalid: It belongs to none.
        PermissionDenied: It has given up the rights to reach it.
    """
    if _Here.is_closed:
        raise PermissionDenied(CLOSED)
    if not _Here.run_dir:
        raise Invalid("this process belongs to no node, so it has no keeper")
    return _Here.run_dir


def document(encoded: bytes) -> EntryDoc:
    """Return an encoded document."""
    return decode_doc(encoded)
