"""`db.sql.sqlite`: connections of sqlite3; code that awaits has its statements run in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from wippy.core.resources import Pooling
from wippy.errors import Invalid
from wippy.runtime.resources.drivers import Calls, Driver

T = TypeVar("T")

_INTERRUPT_S = 0.02
"""How often a statement is interrupted whose caller was cancelled, until it has ended."""


class SqliteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry says of a database.

    Attributes:
        path: Its file; a relative one is looked for in the folder that the process works in. One
            that is not there is made, but for its folder.
        read_only: Nothing can be written; the file must be there.
        busy_timeout_s: How long a statement waits for another process that writes, seconds.
        pragmas: Set on each connection: `{journal_mode: wal, foreign_keys: 1}`.
    """

    path: str
    read_only: bool = False
    busy_timeout_s: float = 5.0
    pragmas: dict[str, str | int] = {}

    def __str__(self) -> str:
        return self.path


class AwaitedSqlite:
    """A connection of sqlite3 for code that awaits: each statement runs in a thread of its own
    connection, so that the event loop goes on meanwhile.

    Attributes:
        raw: The `sqlite3.Connection`, for `run`.
    """

    def __init__(self, raw: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self.raw = raw
        self._thread = thread

    async def execute(self, sql: str, parameters: Any = ()) -> list[Any]:
        """Run one statement; return all its rows. Raises what sqlite3 raises."""
        return await self.run(lambda raw: raw.execute(sql, parameters).fetchall())

    async def executemany(self, sql: str, rows: Iterable[Any]) -> int:
        """Run a statement for each of `rows`; return how many rows it changed."""
        return await self.run(lambda raw: raw.executemany(sql, rows).rowcount)

    async def executescript(self, sql: str) -> None:
        """Run several statements; what was begun is committed before."""
        await self.run(lambda raw: raw.executescript(sql))

    async def commit(self) -> None:
        """Make what was done lasting, before the end of the block."""
        await self.run(sqlite3.Connection.commit)

    async def rollback(self) -> None:
        """Undo what was done since the last commit."""
        await self.run(sqlite3.Connection.rollback)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work(raw)` returns, run in the thread of the connection.

        A cancelled caller interrupts the statement and waits for its end: nothing goes on behind
        the back of who gets the connection next.
        """
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, work, self.raw)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await self._interrupt(done)
            raise

    async def _interrupt(self, done: asyncio.Future[T]) -> None:
        while not done.done():
            # Again and again: one that has not begun yet is not interrupted by it.
            self.raw.interrupt()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([done], timeout=_INTERRUPT_S)
        if not done.cancelled():
            done.exception()  # seen: nobody else will look at it

    async def close(self) -> None:
        """Close it and end its thread."""
        await self.run(sqlite3.Connection.close)
        self._thread.shutdown(wait=False)


async def _open(settings: SqliteSettings, pooling: Pooling) -> AwaitedSqlite:
    thread = ThreadPoolExecutor(1, thread_name_prefix=f"sqlite {settings.path}")
    work = functools.partial(_open_blocking, settings, pooling)
    try:
        raw = await asyncio.get_running_loop().run_in_executor(thread, work)
    except BaseException:
        thread.shutdown(wait=False)
        raise
    return AwaitedSqlite(raw, thread)


def _open_blocking(settings: SqliteSettings, _pooling: Pooling) -> sqlite3.Connection:
    for name in settings.pragmas:
        if not name.isidentifier():
            raise Invalid(f"pragmas: {name!r} is no pragma")
    mode = "ro" if settings.read_only else "rwc"
    path = os.path.abspath(settings.path).replace("%", "%25").replace("?", "%3f")
    connection = sqlite3.connect(
        f"file:{path.replace('#', '%23')}?mode={mode}",
        uri=True,
        timeout=settings.busy_timeout_s,
        # One user at a time has it; which thread that is changes.
        check_same_thread=False,
    )
    try:
        for name, value in settings.pragmas.items():
            connection.execute(f"PRAGMA {name} = {value}")
        # Opening reads nothing; this says whether it is a database at all.
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


async def _check(connection: AwaitedSqlite) -> bool:
    await connection.execute("SELECT 1")
    return True


def _check_blocking(connection: sqlite3.Connection) -> bool:
    connection.execute("SELECT 1")
    return True


async def _finish(connection: AwaitedSqlite, is_good: bool) -> bool:
    await (connection.commit() if is_good else connection.rollback())
    return True


def _finish_blocking(connection: sqlite3.Connection, is_good: bool) -> bool:
    (connection.commit if is_good else connection.rollback)()
    return True


DRIVER = Driver(
    settings=SqliteSettings,
    awaited=Calls(open=_open, close=AwaitedSqlite.close, check=_check, finish=_finish),
    blocking=Calls(
        open=_open_blocking,
        close=sqlite3.Connection.close,
        check=_check_blocking,
        finish=_finish_blocking,
    ),
)
"""The driver of `db.sql.sqlite`."""
