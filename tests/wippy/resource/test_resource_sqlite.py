"""`db.sql.sqlite`, and what is the same for all types: drivers of users, cancelled users."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from resource_world import WrittenRegistry, run, until

from wippy import resource
from wippy.errors import Invalid, NotFound, Unavailable

DB = resource.of("app:db")
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def put(entries: WrittenRegistry, path: Path, **more: Any) -> None:
    entries.put("app:db", "db.sql.sqlite", path=str(path), **more)


async def insert_and_fail() -> None:
    async with DB.acquire() as db:
        await db.execute("INSERT INTO orders VALUES (99)")
        raise ZeroDivisionError


def test_a_block_commits_an_error_rolls_back_and_a_change_leads_to_another_file(
    entries: WrittenRegistry, tmp_path: Path
) -> None:
    async def main() -> None:
        put(entries, tmp_path / "a #1?.db", pragmas={"journal_mode": "wal", "foreign_keys": 1})
        async with DB.acquire() as db:
            await db.executescript("CREATE TABLE orders (n int)")
            assert await db.executemany("INSERT INTO orders VALUES (?)", [(1,), (2,)]) == 2
            assert await db.execute("PRAGMA foreign_keys") == [(1,)]
        with pytest.raises(ZeroDivisionError):
            await insert_and_fail()
        async with DB.acquire() as old:
            put(entries, tmp_path / "b.db")
            async with DB.acquire() as new:
                assert await new.execute("SELECT name FROM sqlite_master") == []
            assert await old.execute("SELECT sum(n) FROM orders") == [(3,)]
        assert (tmp_path / "a #1?.db").exists()

    run(main())


def test_a_cancelled_statement_has_ended_when_its_user_has(
    entries: WrittenRegistry, tmp_path: Path
) -> None:
    async def main() -> None:
        put(entries, tmp_path / "a.db", pool={"max": 1})
        begun = asyncio.Event()

        async def work() -> None:
            async with DB.acquire() as db:
                begun.set()
                await db.execute(ENDLESS)

        task = asyncio.create_task(work())
        await begun.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with DB.acquire() as db:
            assert await db.execute("SELECT 1") == [(1,)]
        assert DB.usage().open == 1

    run(main())


def test_a_file_that_is_none_is_told_with_its_path(
    entries: WrittenRegistry, tmp_path: Path
) -> None:
    async def main() -> None:
        (tmp_path / "text.db").write_text("no database at all, but long enough to be read " * 99)
        for path, more in (
            (tmp_path / "text.db", {}),
            (tmp_path / "nowhere" / "a.db", {}),
            (tmp_path / "missing.db", {"read_only": True}),
        ):
            put(entries, path, **more)
            with pytest.raises(Unavailable, match=f"db.sql.sqlite, {path}"):
                async with DB.acquire():
                    pass
        put(entries, tmp_path / "a.db", pragmas={"x; DROP TABLE y": 1})
        with pytest.raises(Invalid, match="is no pragma"):
            async with DB.acquire():
                pass

    run(main())


def test_threads_get_the_connection_of_sqlite3(entries: WrittenRegistry, tmp_path: Path) -> None:
    async def main() -> None:
        put(entries, tmp_path / "a.db")
        borrowing = resource.Borrowing("app:db", None)
        connection = await borrowing.take()
        assert isinstance(connection, sqlite3.Connection)

        def work() -> None:
            connection.execute("CREATE TABLE t (n int)")
            borrowing.finish()

        await asyncio.to_thread(work)
        async with DB.acquire() as db:
            assert await db.execute("SELECT name FROM sqlite_master") == [("t",)]

    run(main())


def test_what_is_no_connection_is_said_so(entries: WrittenRegistry) -> None:
    async def main() -> None:
        with pytest.raises(NotFound):
            async with DB.acquire():
                pass
        entries.put("app:db", "")
        with pytest.raises(Invalid, match=r"it has no 'meta.type'"):
            async with DB.acquire():
                pass
        entries.put("app:db", "db.sql.postgre")
        with pytest.raises(Invalid, match=r"did you mean 'db.sql.postgres'\?"):
            async with DB.acquire():
                pass
        entries.put("app:db", "db.sql.sqlite", path="x", pool={"mx": 1})
        with pytest.raises(Invalid, match=r"app:db: data.pool: unknown field 'mx'"):
            async with DB.acquire():
                pass

    run(main())


def test_an_id_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(Invalid):
        resource.of("postgres")


# --- a driver of a user's own --------------------------------------------------------------------


class QueueSettings(msgspec.Struct, frozen=True):
    url: str
    token: str = ""

    def __str__(self) -> str:
        return self.url


class Queue:
    """What the driver of a test opens."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.finished: list[bool] = []
        self.is_closed = False
        self.is_alive = True


class QueueDriver:
    """Opens as the test says: `gate` holds openings up."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.opened: list[Queue] = []

    async def open(self, settings: QueueSettings, _pooling: resource.Pooling) -> Queue:
        await self.gate.wait()
        if settings.url == "down":
            raise ConnectionError(f"no queue for {settings.token} at down")
        self.opened.append(Queue(settings.url))
        return self.opened[-1]

    async def close(self, queue: Queue) -> None:
        queue.is_closed = True

    async def check(self, queue: Queue) -> bool:
        if not queue.is_alive:
            raise ConnectionError("gone")
        return True

    async def finish(self, queue: Queue, is_good: bool) -> bool:
        queue.finished.append(is_good)
        return queue.is_alive

    def register(self) -> None:
        calls = resource.Calls(
            open=self.open, close=self.close, check=self.check, finish=self.finish
        )
        resource.register("queue.test", resource.Driver(settings=QueueSettings, awaited=calls))


def test_a_driver_of_a_users_own_is_used_like_ours(entries: WrittenRegistry) -> None:
    async def main() -> None:
        driver = QueueDriver()
        driver.register()
        entries.put("app:q", "queue.test", url="q1", pool={"check_after": 0})
        async with resource.of("app:q").acquire() as queue:
            assert queue.url == "q1"
        queue.is_alive = False
        async with resource.of("app:q").acquire() as other:
            assert other is not queue
        await until(lambda: queue.is_closed)
        assert (queue.finished, other.finished) == ([True], [True])
        with pytest.raises(Invalid, match=r"a queue.test serves only async def actors"):
            await resource.Borrowing("app:q", None).take()
        entries.put("app:q", "queue.test", url="down", token="swordfish")
        with pytest.raises(Unavailable, match=r"no queue for \*\*\* at down"):
            async with resource.of("app:q").acquire():
                pass

    run(main())


def test_who_is_cancelled_while_it_waits_takes_no_connection_with_it(
    entries: WrittenRegistry,
) -> None:
    async def main() -> None:
        driver = QueueDriver()
        driver.register()
        driver.gate.clear()
        entries.put("app:q", "queue.test", url="q1", pool={"max": 1})
        wanted = resource.of("app:q")

        async def work() -> Any:
            async with wanted.acquire() as queue:
                return queue

        waiting = [asyncio.create_task(work()) for _ in range(3)]
        await until(lambda: wanted.usage().waiting == 3)
        waiting[0].cancel()
        driver.gate.set()
        await until(lambda: bool(driver.opened))
        # In the very turn in which it was opened, and so perhaps lent.
        waiting[1].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        assert done[2] is driver.opened[0]
        assert wanted.usage() == resource.Usage(open=1, generation=1)

    run(main())


def test_an_opening_goes_on_when_the_entry_changes_and_is_closed_unused(
    entries: WrittenRegistry,
) -> None:
    async def main() -> None:
        driver = QueueDriver()
        driver.register()
        driver.gate.clear()
        entries.put("app:q", "queue.test", url="q1")
        wanted = resource.of("app:q")

        async def work() -> str:
            async with wanted.acquire() as queue:
                return str(queue.url)

        early = asyncio.create_task(work())
        await until(lambda: wanted.usage().waiting == 1)
        entries.put("app:q", "queue.test", url="q2")
        late = asyncio.create_task(work())
        await until(lambda: wanted.usage().waiting == 2)
        driver.gate.set()
        assert [await early, await late] == ["q2", "q2"]
        await until(lambda: all(it.is_closed for it in driver.opened if it.url == "q1"))
        assert [it.url for it in driver.opened].count("q1") == 1

    run(main())
