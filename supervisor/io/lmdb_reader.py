"""The readers' side of an LMDB environment: any process, any time, whoever writes."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import lmdb

from supervisor.io.lmdb_env import MAX_READERS, MAX_TABLES, META, Format, check_format, found_format
from supervisor.io.lmdb_errors import DATA, check_length, explain
from supervisor.io.lmdb_tx import Tx

T = TypeVar("T")


class LmdbReader:
    """A read-only environment, opened at the first read that finds one.

    May be used from several threads; reads take turns.

    Args:
        folder: Where `data.mdb` is, or will be.
        form: What it holds.
    """

    def __init__(self, folder: Path, form: Format) -> None:
        self.folder = folder
        self._form = form
        self._lock = threading.Lock()
        self._opened: tuple[lmdb.Environment, dict[str, lmdb._Database]] | None = None

    def read(self, work: Callable[[Tx], T], *, missing: T) -> T:
        """Run `work` on a consistent snapshot; return `missing` where there is no environment.

        Raises:
            Invalid: Damaged, or of another format.
            PermissionDenied: Not this user's.
            Unavailable: No reader slot is free.
        """
        with self._lock:
            try:
                opened = self._opened or self._open()
                return missing if opened is None else _run(opened, work)
            except (lmdb.Error, OSError) as error:
                raise explain(error, self.folder) from error

    def close(self) -> None:
        """Close it; the next read opens it again."""
        with self._lock:
            if self._opened is not None:
                self._opened[0].close()
                self._opened = None

    def _open(self) -> tuple[lmdb.Environment, dict[str, lmdb._Database]] | None:
        if not _has_content(self.folder / DATA):
            return None
        env = lmdb.open(
            str(self.folder),
            readonly=True,
            create=False,
            max_dbs=MAX_TABLES,
            max_readers=MAX_READERS,
        )
        try:
            check_length(env, self.folder)
            tables = self._open_tables(env)
        except BaseException:
            env.close()
            raise
        if tables is None:
            env.close()
            return None
        self._opened = env, tables
        return self._opened

    def _open_tables(self, env: lmdb.Environment) -> dict[str, lmdb._Database] | None:
        """Return the tables; None while the writer has not yet made them (one transaction)."""
        try:
            tables = {META: env.open_db(META.encode(), create=False)}
            with env.begin() as txn:
                found = found_format(Tx(txn, tables))
            if found is None:
                return None
            check_format(found, self._form, self.folder)
            if found < self._form.version:
                return None  # its writer migrates it before it serves anyone
            for name in self._form.tables:
                tables[name] = env.open_db(name.encode(), create=False)
        except (lmdb.NotFoundError, lmdb.ReadonlyError):
            return None
        return tables


def _run(opened: tuple[lmdb.Environment, dict[str, lmdb._Database]], work: Callable[[Tx], T]) -> T:
    env, tables = opened
    while True:
        try:
            with env.begin() as txn:
                return work(Tx(txn, tables))
        except lmdb.MapResizedError:
            env.set_mapsize(0)  # take over the size that the writer has given it


def _has_content(data: Path) -> bool:
    try:
        return data.stat().st_size > 0
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return False
        raise
