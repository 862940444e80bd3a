"""The directory as every process reads it: LMDB, read-only, without asking anybody.

A lookup is one read transaction, about two microseconds. The environment is opened once in each
process, after the fork: LMDB's readers must not be shared over one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import lmdb
import msgspec

from wippy.core.directory import (
    OBSERVERS_KEY,
    RUN_FOLDER,
    TABLE,
    Address,
    HostAddress,
    decode_address,
    decode_host,
    decode_times,
    group_prefix,
    host_key,
    known_key,
    name_key,
    promised_key,
    service_key,
)
from wippy.core.ids import Pid
from wippy.errors import Invalid, Unavailable, WippyError

MAX_READERS = 4096
MAX_TABLES = 64
"""Both as the writer has them (`supervisor.io.lmdb_env`)."""

MAX_LOOKS = 100
"""A look takes microseconds, a version of the directory at least ten times that."""
VERSIONS_KEPT = 2

T = TypeVar("T")
_Opened = tuple[lmdb.Environment, lmdb._Database]


class Directory:
    """Looks up services, names and pools.

    Args:
        run_dir: The node's run folder; nothing is found before there is a directory in it.
        is_kept: It is opened now, for a process that gives up the rights to open it later. It takes
            no lock then: who holds the file of locks can hold up the root.
    """

    def __init__(self, run_dir: str, *, is_kept: bool = False) -> None:
        self._folder = os.path.join(run_dir, RUN_FOLDER)
        self._is_kept = is_kept
        self._opened: _Opened | None = None
        if is_kept:
            self._look(lambda _opened: None)

    def service(self, entry_id: str) -> Pid | None:
        """Return where a service is, or None while it cannot be reached."""
        return self._pid(service_key(entry_id))

    def is_known(self, entry_id: str) -> bool:
        """Say whether a service is there, or was and may come back."""
        return self._pid(known_key(entry_id)) is not None

    def name(self, name: str) -> Pid | None:
        """Return who has registered `name`, or None; `Invalid` if it can be no name."""
        return self._pid(name_key(name))

    def host(self, entry_id: str) -> HostAddress | None:
        """Return the workers of a pool, or None where it has none (or is no pool)."""
        return self._row(host_key(entry_id), decode_host)

    def promised(self, entry_id: str) -> HostAddress | None:
        """Return the workers that a pool is about to have, or None."""
        return self._row(promised_key(entry_id), decode_host)

    def members(self, group: str) -> dict[str, int]:
        """Return the members of a group: `<slot>.<generation>/<actor>` to times."""
        prefix = group_prefix(group)
        rows = self._look(lambda opened: _scan(opened, prefix)) or {}
        return {key[len(prefix) :].decode(): decode_times(row) for key, row in rows.items()}

    def observers(self) -> bytes | None:
        """Return the row of who observes what (`decode_observers`); None if nobody does."""
        return self._look(lambda opened: _read(opened, OBSERVERS_KEY))

    def close(self) -> None:
        """Close it."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _pid(self, key: bytes) -> Pid | None:
        address: Address | None = self._row(key, decode_address)
        return None if address is None else Pid.parse(address.pid)

    def _row(self, key: bytes, decode: Callable[[bytes], T]) -> T | None:
        row = self._look(lambda opened: _read(opened, key))
        try:
            return None if row is None else decode(row)
        except msgspec.DecodeError as error:
            raise Invalid(
                f"the directory in {self._folder} has a row that is none: {error}"
            ) from error

    def _look(self, look: Callable[[_Opened], T | None]) -> T | None:
        try:
            opened = self._opened or self._open()
            if opened is None:
                return None
            return _look_unlocked(opened, look) if self._is_kept else look(opened)
        except (lmdb.Error, OSError) as error:
            raise _explained(error, self._folder) from error

    def _open(self) -> _Opened | None:
        if not os.path.exists(os.path.join(self._folder, "data.mdb")):
            return None
        env = lmdb.open(
            self._folder,
            readonly=True,
            lock=not self._is_kept,
            create=False,
            max_dbs=MAX_TABLES,
            max_readers=MAX_READERS,
        )
        try:
            self._opened = env, env.open_db(TABLE.encode(), create=False)
        except (lmdb.NotFoundError, lmdb.ReadonlyError):
            env.close()
            return None
        return self._opened


def _look_unlocked(opened: _Opened, look: Callable[[_Opened], T | None]) -> T | None:
    """Look without a lock, again if the writer may have changed what was looked at.

    It uses pages of a version again two versions later, since it knows of no reader (lmdb.h,
    MDB_NOLOCK); so what was read while less than two were written is as it was.
    """
    for _ in range(MAX_LOOKS):
        version = _version(opened)
        try:
            found = look(opened)
        except lmdb.Error:
            if _version(opened) - version < VERSIONS_KEPT:
                raise
            continue
        if _version(opened) - version < VERSIONS_KEPT:
            return found
    raise Unavailable(f"the directory was written to during each of {MAX_LOOKS} looks")


def _version(opened: _Opened) -> int:
    return int(opened[0].info()["last_txnid"])


def _read(opened: _Opened, key: bytes) -> bytes | None:
    env, table = opened
    while True:
        try:
            with env.begin(db=table) as txn:
                return txn.get(key)
        except lmdb.MapResizedError:
            env.set_mapsize(0)  # take over the size that the writer has given it


def _scan(opened: _Opened, prefix: bytes) -> dict[bytes, bytes]:
    env, table = opened
    while True:
        try:
            with env.begin(db=table, buffers=False) as txn, txn.cursor() as cursor:
                found = {}
                at_row = cursor.set_range(prefix)
                while at_row and cursor.key().startswith(prefix):
                    found[cursor.key()] = cursor.value()
                    at_row = cursor.next()
                return found
        except lmdb.MapResizedError:
            env.set_mapsize(0)  # take over the size that the writer has given it


def _explained(error: Exception, folder: str) -> WippyError:
    return Unavailable(f"the directory in {folder} cannot be read: {error}")
