"""The registry when things go wrong: keepers killed in mid-commit, lost answers, writers that
collide, a full disk, forgotten history. Nothing is half-applied, lost, or made twice."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
from keeper_tools import DEADLINE_S, REPOSITORY, Folders, KeeperProcess, doc, wait_until
from registry_writer import request as writers_request
from small_disks import small_disk

from supervisor.core import keeping
from supervisor.core.keeping import ApplyChanges, Committed, Welcome
from supervisor.core.registry.changeset import apply
from supervisor.io.keeper_client import KeeperClient
from supervisor.io.state_reader import StateReader
from wippy.core.codec import encode
from wippy.core.entry import EntryChange, decode_doc
from wippy.errors import Conflict, NotFound, Unavailable
from wippy.runtime.keeper_link import KeeperLink

Start = Callable[..., KeeperProcess]
ENTRIES = 1000


def create(entry_id: str, **data: object) -> EntryChange:
    return EntryChange("create", entry_id, doc(entry_id, **data))


def update(entry_id: str, *, expected: int | None = None, **data: object) -> EntryChange:
    return EntryChange("update", entry_id, doc(entry_id, **data), expected_version=expected)


def changes(*each: EntryChange, expected: int | None = None, author: str = "") -> ApplyChanges:
    return ApplyChanges(changes=each, expected_version=expected, author=author)


async def ask(run_dir: Path, request: ApplyChanges) -> Committed:
    link = KeeperLink(str(run_dir), resend_s=0.05)
    try:
        return await link.ask(request, DEADLINE_S)
    finally:
        link.close()


@contextmanager
def reading(folders: Folders) -> Iterator[StateReader]:
    reader = StateReader(folders.state)
    yield reader
    reader.close()


def check_history(reader: StateReader) -> None:
    """Every version is there, and each begins with what the one before has left."""
    numbers = [version.number for version in reader.versions(100_000)][::-1]
    assert numbers == list(range(1, len(numbers) + 1))
    entries: dict[str, bytes] = {}
    for version in reader.versions(100_000)[::-1]:
        changeset = reader.changes(version.number)
        assert len(changeset) == version.created + version.updated + version.deleted
        entries = apply(entries, changeset)  # refuses what does not fit
    assert entries == reader.entries()


# --- killed in mid-commit ------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["write:1", "write:500", "write:1000", "commit", "answer"])
def test_a_thousand_entries_are_one_version_or_none_wherever_the_keeper_dies(
    folders: Folders, keeper: Start, moment: str
) -> None:
    entries = [create(f"app:e{n}", n=n) for n in range(ENTRIES)]

    async def change() -> Committed:
        dying = keeper(script="dying_keeper.py", environ={"DIES_AT": moment})
        asking = asyncio.create_task(ask(folders.run, changes(*entries)))
        assert await asyncio.to_thread(dying.wait) < 0
        with reading(folders) as reader:
            found = len(reader.entries()), reader.registry_version()
        assert found == ((ENTRIES, 1) if moment == "answer" else (0, 0))
        keeper()
        return await asking

    assert asyncio.run(change()) == Committed(1, ENTRIES)
    with reading(folders) as reader:
        check_history(reader)
        assert (len(reader.entries()), reader.registry_version()) == (ENTRIES, 1)


def test_changes_of_many_writers_survive_keepers_killed_at_random_moments(
    folders: Folders, keeper: Start
) -> None:
    dice = random.Random()

    async def kill_again_and_again() -> None:
        for _ in range(8):
            running = keeper()
            if dice.random() < 0.8:  # else it dies while it starts
                await asyncio.to_thread(running.wait_ready)
            # Not a wait for anything: the instant of the kill is drawn.
            await asyncio.sleep(dice.random() * 0.1)
            await asyncio.to_thread(running.kill)
        await asyncio.to_thread(keeper().wait_ready)

    async def write(name: str, killing: asyncio.Task[None]) -> list[int]:
        link = KeeperLink(str(folders.run), resend_s=0.1)
        versions = []
        try:
            while not killing.done():
                wanted = writers_request(name, len(versions))
                versions.append((await link.ask(wanted, DEADLINE_S)).version)
        finally:
            link.close()
        return versions

    async def all_of_it() -> dict[str, list[int]]:
        first = keeper().wait_ready()
        await ask(folders.run, changes(create("app:shared")))
        first.kill()
        killing = asyncio.create_task(kill_again_and_again())
        names = [f"w{n}-" for n in range(6)]
        found = await asyncio.gather(*(write(name, killing) for name in names))
        await killing
        return dict(zip(names, found, strict=True))

    made = asyncio.run(all_of_it())
    with reading(folders) as reader:
        check_history(reader)
        by_number = {version.number: version for version in reader.versions(100_000)}
    assert len(by_number) == 1 + sum(map(len, made.values()))
    for name, versions in made.items():
        assert versions == sorted(versions)
        for number, version in enumerate(versions):
            told = by_number[version]
            assert (told.author, told.comment) == (name, str(number))


# --- lost answers --------------------------------------------------------------------------------


class Losing(threading.Thread):
    """Stands between writers and a keeper, and loses the first answer to each request.

    Attributes:
        asked: How often each request has come.
    """

    def __init__(self, front: Path, keeper: Path) -> None:
        super().__init__()
        self.asked: dict[bytes, int] = {}
        self._context = zmq.Context()
        self._front = self._context.socket(zmq.ROUTER)
        self._front.bind(f"ipc://{front}")
        self._back = self._context.socket(zmq.DEALER)
        self._back.connect(f"ipc://{keeper}")
        self._over = self._context.socket(zmq.PAIR)
        self._over.bind("inproc://over")
        self._clients: dict[bytes, bytes] = {}

    def run(self) -> None:
        poller = zmq.Poller()
        for socket in (self._front, self._back, self._over):
            poller.register(socket, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._over in ready:
                break
            if self._front in ready:
                self._to_keeper(*self._front.recv_multipart())
            if self._back in ready:
                self._from_keeper(*self._back.recv_multipart())
        for socket in (self._front, self._back, self._over):
            socket.close(linger=0)

    def stop(self) -> None:
        with self._context.socket(zmq.PAIR) as over:
            over.connect("inproc://over")
            over.send(b"")
            self.join()
        self._context.term()

    def _to_keeper(self, client: bytes, *parts: bytes) -> None:
        if len(parts) == 1:
            welcome = [client, keeping.WELCOME_ID, encode(Welcome(os.getpid()))]
            self._front.send_multipart(welcome)
            return
        self._clients[parts[0]] = client
        self.asked[parts[0]] = self.asked.get(parts[0], 0) + 1
        self._back.send_multipart(parts)

    def _from_keeper(self, request_id: bytes, answer: bytes) -> None:
        if request_id in self._clients and self.asked[request_id] > 1:
            self._front.send_multipart([self._clients[request_id], request_id, answer])


def test_a_change_whose_answer_is_lost_is_asked_for_again_and_made_once(
    folders: Folders, keeper: Start
) -> None:
    keeper().wait_ready()
    there = folders.base / "lossy"
    there.mkdir()
    losing = Losing(there / keeping.KEEPER_SOCKET, folders.run / keeping.KEEPER_SOCKET)
    losing.start()

    async def write() -> list[Committed]:
        link = KeeperLink(str(there), resend_s=0.02)
        try:
            wanted = (changes(create(f"app:e{n}")) for n in range(20))
            return await asyncio.gather(*(link.ask(each, DEADLINE_S) for each in wanted))
        finally:
            link.close()

    try:
        done = asyncio.run(write())
    finally:
        losing.stop()
    assert sorted(each.version for each in done) == list(range(1, 21))
    assert set(losing.asked.values()) > {1} or min(losing.asked.values()) > 1
    with reading(folders) as reader:
        check_history(reader)
        assert reader.registry_version() == 20


# --- writers that collide ------------------------------------------------------------------------


def test_of_two_writers_with_the_same_expected_version_one_wins_and_one_sees_both_sides(
    folders: Folders, keeper: Start
) -> None:
    async def race(links: list[KeeperLink], version: int) -> list[Committed | BaseException]:
        wanted = [
            changes(update("app:x", by=name, n=version), expected=version, author=name)
            for name in ("ann", "bob")
        ]
        asking = (link.ask(each, DEADLINE_S) for link, each in zip(links, wanted, strict=True))
        return await asyncio.gather(*asking, return_exceptions=True)

    async def rounds() -> None:
        await ask(folders.run, changes(create("app:x")))
        links = [KeeperLink(str(folders.run)) for _ in range(2)]
        for version in range(1, 31):
            won, lost = sorted(await race(links, version), key=lambda it: isinstance(it, Conflict))
            assert won == Committed(version + 1, 1)
            assert isinstance(lost, Conflict)
            assert "ann" in str(lost)
            assert "bob" in str(lost)
        for link in links:
            link.close()

    keeper().wait_ready()
    asyncio.run(rounds())
    with reading(folders) as reader:
        check_history(reader)


def test_changes_that_expect_the_version_of_their_entry_collide_only_over_that_entry(
    folders: Folders, keeper: Start
) -> None:
    async def collide() -> None:
        await ask(folders.run, changes(create("app:x"), create("app:y")))
        assert (await ask(folders.run, changes(update("app:y", expected=1, n=1)))).version == 2
        assert (await ask(folders.run, changes(update("app:x", expected=1, n=1)))).version == 3
        with pytest.raises(Conflict, match=r"app:x was written by version 3.*for 1.*'n': 2"):
            await ask(folders.run, changes(update("app:x", expected=1, n=2), update("app:y", n=9)))
        gone = EntryChange("delete", "app:y", expected_version=1)
        with pytest.raises(Conflict, match="app:y was written by version 2"):
            await ask(folders.run, changes(gone))

    keeper().wait_ready()
    asyncio.run(collide())
    with reading(folders) as reader:
        assert reader.registry_version() == 3
        found = reader.entry("app:y")
        assert found is not None
        assert found.data == {"n": 1}


def test_a_thousand_changes_of_each_of_two_processes_leave_no_gap_and_lose_nothing(
    folders: Folders, keeper: Start
) -> None:
    keeper().wait_ready()
    asyncio.run(ask(folders.run, changes(create("app:shared"))))
    script = Path(__file__).with_name("registry_writer.py")
    writers = {
        name: subprocess.Popen(
            [sys.executable, str(script), str(folders.run), name, "1000"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        for name in ("a", "b")
    }
    said = {name: writer.communicate(timeout=DEADLINE_S)[0] for name, writer in writers.items()}
    made = {
        int(version): (name, number)
        for name, lines in said.items()
        for number, version in map(str.split, lines.splitlines())
    }
    assert sorted(made) == list(range(2, 2002))
    with reading(folders) as reader:
        check_history(reader)
        for version in reader.versions(2000):
            assert made[version.number] == (version.author, version.comment)
        shared = decode_doc(reader.entries()["app:shared"]).data
        assert (shared["by"], str(shared["n"])) == made[2001]


# --- no room, no history -------------------------------------------------------------------------


def test_a_change_on_a_full_disk_is_refused_in_words_and_made_when_there_is_room(
    folders: Folders, keeper: Start
) -> None:
    async def fill() -> None:
        await ask(folders.run, changes(create("app:before")))
        ballast = folders.state / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(b"x" * 4 * 2**20)
        large = [create(f"app:e{n}", text="x" * 500) for n in range(ENTRIES)]
        with pytest.raises(Unavailable, match="no room") as raised:
            await ask(folders.run, changes(*large))
        assert str(folders.state) in str(raised.value)
        with reading(folders) as reader:
            assert list(reader.entries()) == ["app:before"]
        ballast.unlink()
        assert (await ask(folders.run, changes(*large))) == Committed(2, ENTRIES)

    folders.state.mkdir()
    with small_disk(folders.state, 4 * 2**20):
        keeper().wait_ready()
        asyncio.run(fill())
        with reading(folders) as reader:
            check_history(reader)


def test_forgotten_versions_are_refused_and_the_others_stay_as_they_were(
    folders: Folders, keeper: Start
) -> None:
    async def forget() -> None:
        client = KeeperClient(folders.run, "")
        await ask(folders.run, changes(create("app:x", n=1)))
        writing = [
            asyncio.create_task(ask(folders.run, changes(update("app:x", n=n))))
            for n in range(2, 41)
        ]
        await wait_until(lambda: any(task.done() for task in writing))
        await client.forget_versions(5)  # while they write
        await asyncio.gather(*writing)
        done = await client.forget_versions(5)
        assert done.oldest == 36
        assert (await client.forget_versions(5)) == keeping.Forgotten(0, 36)
        client.close()

    keeper().wait_ready()
    asyncio.run(forget())
    with reading(folders) as reader:
        assert [version.number for version in reader.versions(100)] == [40, 39, 38, 37, 36]
        for number in range(36, 41):
            (change,) = reader.changes(number)
            assert reader.snapshot_at(number) == {"app:x": change.new}
        with pytest.raises(NotFound, match="version 35 of the registry was forgotten"):
            reader.snapshot_at(35)
