"""The writer's side of an LMDB environment: opening it, growing it, outliving a full disk.

Both environments of a node are opened here: the *state* environment (synced; the keeper alone
writes it) and the *run* environment (not synced; the root alone writes it). WRITEMAP is used for
neither: with it a full disk is a SIGBUS, and run folders often lie on a small tmpfs. Without it
every commit is written with pwrite(2), so it is in the kernel's hands when `write` returns, and
a `kill -9` of the writer loses nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import lmdb

from supervisor.io.lmdb_errors import DATA, check_length, damaged, explain
from supervisor.io.lmdb_tx import Tx
from wippy.errors import Internal, Invalid, PermissionDenied

T = TypeVar("T")
Migration = Callable[[Tx], None]

META = "meta"
FORMAT_KEY = b"format"
MAX_TABLES = 64
MAX_READERS = 4096
"""Reader slots, 64 bytes each: more than the processes of one node."""
FIRST_MAP_BYTES = 64 * 2**20
GROWTH_STEP_BYTES = 4 * 2**30
"""The map doubles up to this size and then grows by it; it is address space, not memory."""


@dataclass(frozen=True, slots=True)
class Format:
    """What an environment holds.

    Attributes:
        name: What to call it in messages, for instance `state database`.
        version: Of the layout, from 1.
        tables: Its tables, besides `meta`.
        migrations: Version n to what makes it n + 1; all needed run in one transaction.
    """

    name: str
    version: int
    tables: tuple[str, ...]
    migrations: Mapping[int, Migration] = field(default_factory=dict)


class LmdbEnv:
    """An open environment, for its one writer.

    `write` belongs to one thread at a time; `read` and `copy` may run beside it in others.

    Args:
        folder: Where `data.mdb` is; made, with mode 0700, if it is not there.
        form: What it holds.
        is_synced: Whether a commit is on the disk when `write` returns.
        map_bytes: First size of the map.

    Raises:
        Invalid: Damaged, no folder, or of another format.
        PermissionDenied: Another user's, or not writable.
        Unavailable: No room on the disk.
    """

    def __init__(
        self, folder: Path, form: Format, *, is_synced: bool, map_bytes: int = FIRST_MAP_BYTES
    ) -> None:
        self.folder = folder
        self._form = form
        self._is_synced = is_synced
        self._map_bytes = map_bytes
        # mdb_env_set_mapsize demands that this process has no transaction open.
        self._pins = 0
        self._pins_changed = threading.Condition()
        _make_folder(folder)
        self._env, self._tables = self._open()

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one write transaction, commit, and return its result.

        `work` runs again, in a new transaction, when the map had to grow: it must change nothing
        but what its transaction changes. If it raises, nothing is committed. After an error of
        the disk the environment can still be used.
        """
        while True:
            try:
                with self._env.begin(write=True) as txn:
                    return work(Tx(txn, self._tables))
            except (lmdb.MapFullError, lmdb.MapResizedError):
                self._grow()
            except lmdb.PanicError:
                # A meta page could not be written: LMDB refuses this handle from now on.
                self._reopen()
            except lmdb.Error as error:
                raise explain(error, self.folder) from error

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on a consistent snapshot and return its result."""
        try:
            with self._pinned(), self._env.begin() as txn:
                return work(Tx(txn, self._tables))
        except lmdb.Error as error:
            raise explain(error, self.folder) from error

    def copy(self, target: Path) -> int:
        """Write a consistent copy into the empty folder `target`; return its size in bytes.

        The copy is on the disk when this returns. Writes go on meanwhile, except one that needs
        a larger map: it waits.
        """
        try:
            with self._pinned():
                self._env.copy(str(target))
            sync_path(target / DATA)
            sync_path(target)
            return (target / DATA).stat().st_size
        except (lmdb.Error, OSError) as error:
            raise explain(error, target) from error

    def clear_stale_readers(self) -> int:
        """Free the reader slots of dead processes (they hold back old pages); return how many."""
        return int(self._env.reader_check())

    def close(self) -> None:
        """Close it; a second call does nothing."""
        self._env.close()

    def _open(self) -> tuple[lmdb.Environment, dict[str, lmdb._Database]]:
        try:
            env = lmdb.open(
                str(self.folder),
                map_size=self._map_bytes,
                sync=self._is_synced,
                metasync=self._is_synced,
                mode=0o600,
                create=False,
                max_dbs=MAX_TABLES,
                max_readers=MAX_READERS,
            )
        except lmdb.Error as error:
            raise explain(error, self.folder) from error
        try:
            check_length(env, self.folder)
            env.reader_check()
            return env, _prepare(env, self._form, self.folder)
        except lmdb.Error as error:
            env.close()
            raise explain(error, self.folder) from error
        except BaseException:
            env.close()
            raise

    def _reopen(self) -> None:
        self._env.close()
        self._env, self._tables = self._open()

    @contextmanager
    def _pinned(self) -> Iterator[None]:
        with self._pins_changed:
            self._pins += 1
        try:
            yield
        finally:
            with self._pins_changed:
                self._pins -= 1
                self._pins_changed.notify_all()

    def _grow(self) -> None:
        with self._pins_changed:
            self._pins_changed.wait_for(lambda: self._pins == 0)
            size_bytes = int(self._env.info()["map_size"])
            self._map_bytes = size_bytes + min(size_bytes, GROWTH_STEP_BYTES)
            try:
                self._env.set_mapsize(self._map_bytes)
            except lmdb.Error as error:
                raise explain(error, self.folder) from error


def found_format(tx: Tx) -> int | None:
    """Return the format version that an environment says it has, or None."""
    value = tx.get(META, FORMAT_KEY)
    return None if value is None else int(value)


def check_format(found: int, form: Format, folder: Path) -> None:
    """Raise `Invalid` if this version of the program cannot read format `found`."""
    if found > form.version:
        raise Invalid(
            f"the {form.name} in {folder} has format {found}, this wippy-supervisor knows formats "
            f"up to {form.version}; install a newer wippy-supervisor, or choose another folder"
        )


def _prepare(env: lmdb.Environment, form: Format, folder: Path) -> dict[str, lmdb._Database]:
    """Open the tables; make them, or bring them to this format, in one transaction."""
    found = _peek_format(env, folder)
    if found is not None:
        check_format(found, form, folder)
    if found == form.version:
        return {name: env.open_db(name.encode(), create=False) for name in (META, *form.tables)}
    with env.begin(write=True) as txn:
        tables = {name: env.open_db(name.encode(), txn=txn) for name in (META, *form.tables)}
        tx = Tx(txn, tables)
        if found is not None:
            _migrate(tx, form, found, folder)
        tx.put(META, FORMAT_KEY, str(form.version).encode())
    return tables


def _peek_format(env: lmdb.Environment, folder: Path) -> int | None:
    if env.stat()["entries"] == 0:
        return None
    try:
        meta = env.open_db(META.encode(), create=False)
    except lmdb.NotFoundError:
        raise Invalid(f"{folder / DATA} is an LMDB file, but none of ours; move it away") from None
    with env.begin() as txn:
        found = txn.get(FORMAT_KEY, db=meta)
    if found is None or not bytes(found).isdigit():
        raise damaged(folder, "it does not say its format")
    return int(found)


def _migrate(tx: Tx, form: Format, found: int, folder: Path) -> None:
    for version in range(found, form.version):
        step = form.migrations.get(version)
        if step is None:
            raise Internal(f"{folder}: no migration from format {version} to {version + 1}")
        step(tx)


def _make_folder(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.stat().st_uid
        if owner == os.geteuid():
            folder.chmod(0o700)
    except OSError as error:
        raise explain(error, folder) from error
    if owner != os.geteuid():
        # The superuser could write it, and would leave files its owner can no longer open.
        raise PermissionDenied(
            f"{folder} belongs to uid {owner}, this runtime runs as uid {os.geteuid()}; "
            "start it as that user, or choose another folder"
        )


def sync_path(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
