"""The keeper's loop with a store that the test holds back: groups, bounds, bad frames."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
import zmq.asyncio
from keeper_tools import DEADLINE_S, Folders, facts

from supervisor.core import keeping
from supervisor.core.keeping import (
    Answered,
    Appended,
    AppendHistory,
    BackedUp,
    Backup,
    Committed,
    FromKeeper,
    LoadRegistry,
    Welcome,
)
from supervisor.keeper import loop as loop_module
from supervisor.keeper.loop import KeeperLoop
from supervisor.keeper.store import Stamped
from wippy.core.codec import encode
from wippy.errors import Failure, Invalid, Unavailable, WippyError


class HeldStore:
    """Answers with the number of the commit, when the test lets it."""

    level = "os"

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.groups: list[Sequence[Stamped]] = []
        self.error: WippyError | None = None
        self.cleared = 0

    def apply(self, group: Sequence[Stamped]) -> list[Answered]:
        self.groups.append(group)
        self.entered.release()
        assert self.gate.acquire(timeout=DEADLINE_S)
        if self.error is not None:
            raise self.error
        return [
            Committed(len(self.groups), 1)
            if isinstance(one.request, LoadRegistry)
            else Appended(len(self.groups))
            for one in group
        ]

    def backup(self, request_id: bytes, target: Path) -> BackedUp:
        if target.name == "bug":
            raise ZeroDivisionError
        return BackedUp(7)

    def clear_stale_readers(self) -> int:
        self.cleared += 1
        return 0

    def close(self) -> None: ...


class Scene:
    """A loop, its store, and an asker."""

    def __init__(self, endpoint: str) -> None:
        self.store = HeldStore()
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.context = zmq.asyncio.Context()
        self.plain = zmq.Context()
        router = self.plain.socket(zmq.ROUTER)
        router.bind(endpoint)
        self.loop = KeeperLoop(router, self.store, lambda *said: self.published.append(said))
        self.asker = self.context.socket(zmq.DEALER)
        self.asker.setsockopt(zmq.PROBE_ROUTER, 1)
        self.asker.connect(endpoint)
        self.serving = asyncio.create_task(self.loop.serve())
        self._router = router

    async def ask(self, body: bytes | keeping.Asked, number: int = 0) -> bytes:
        request_id = number.to_bytes(16, "big") if number else os.urandom(16)
        await self.asker.send_multipart(
            [request_id, body if isinstance(body, bytes) else encode(body)]
        )
        return request_id

    async def answer(self) -> tuple[bytes, FromKeeper]:
        async with asyncio.timeout(DEADLINE_S):
            request_id, body = await self.asker.recv_multipart()
        return request_id, keeping.from_keeper.decode(body)

    async def wait_commit(self) -> None:
        """Wait until a commit is under way."""
        assert await asyncio.to_thread(self.store.entered.acquire, timeout=DEADLINE_S)

    def close(self) -> None:
        self.asker.close(linger=0)
        self._router.close(linger=0)
        self.context.term()
        self.plain.term()


def run(folders: Folders, play: Callable[[Scene], Awaitable[None]]) -> None:
    async def scene() -> None:
        it = Scene(f"ipc://{folders.run}/k")
        try:
            assert await it.answer() == (b"", Welcome(os.getpid()))
            await play(it)
            for _ in range(100):
                it.store.gate.release()
            it.loop.stop()
            await asyncio.wait_for(it.serving, DEADLINE_S)
        finally:
            it.close()

    asyncio.run(scene())


APPEND = AppendHistory("r", tuple(facts(1, 1)))


def test_nobody_is_answered_before_the_commit_and_the_next_commit_takes_all_that_waited(
    folders: Folders,
) -> None:
    async def play(it: Scene) -> None:
        await it.ask(APPEND, 1)
        await it.wait_commit()
        for number in range(2, 50):
            await it.ask(APPEND, number)
        # The loop reads on while the commit is under way: a backup asked last is answered first.
        await it.ask(Backup("/b"), 50)
        assert await it.answer() == ((50).to_bytes(16, "big"), BackedUp(7))
        it.store.gate.release()
        assert await it.answer() == ((1).to_bytes(16, "big"), Appended(1))
        await it.wait_commit()  # at once, with nothing new having come
        it.store.gate.release()
        answers = [await it.answer() for _ in range(2, 50)]
        assert [int.from_bytes(request_id, "big") for request_id, _ in answers] == [*range(2, 50)]
        assert {answer for _, answer in answers} == {Appended(2)}
        assert [len(group) for group in it.store.groups] == [1, 48]

    run(folders, play)


def test_past_the_bound_of_the_queue_the_answer_is_unavailable(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "MAX_WAITING", 3)

    async def play(it: Scene) -> None:
        await it.ask(APPEND, 1)
        await it.wait_commit()
        for number in range(2, 7):
            await it.ask(APPEND, number)
        for number in (5, 6):
            request_id, answer = await it.answer()
            assert request_id == number.to_bytes(16, "big")
            assert isinstance(answer, Failure)
            assert answer.kind == "unavailable"
        it.store.gate.release(2)
        assert [type((await it.answer())[1]) for _ in range(4)] == [Appended] * 4

    run(folders, play)


def test_a_commit_is_bounded_in_bytes(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "MAX_GROUP_BYTES", 3 * len(encode(APPEND)))

    async def play(it: Scene) -> None:
        await it.ask(APPEND)
        await it.wait_commit()
        for _ in range(7):
            await it.ask(APPEND)
        await it.ask(Backup("/b"))
        await it.answer()
        it.store.gate.release(5)
        for _ in range(8):
            await it.answer()
        assert [len(group) for group in it.store.groups] == [1, 3, 3, 1]

    run(folders, play)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\xff" * 100,
        encode({"type": "drop_everything"}),
        encode({"type": "append_history", "run_id": 7, "facts": []}),
        encode({"type": "append_history", "run_id": "r", "facts": [{"kind": "no_such"}]}),
        encode({"type": "backup", "path": "abcd"}).replace(b"abcd", b"\x80\x81\xff\xfe"),
        b"\x91" * 10_000,
        msgspec.msgpack.encode([1, 2, 3]),
    ],
)
def test_a_malformed_request_is_counted_and_answered(folders: Folders, body: bytes) -> None:
    async def play(it: Scene) -> None:
        request_id = await it.ask(body)
        answered, answer = await it.answer()
        assert answered == request_id
        assert isinstance(answer, Failure)
        assert answer.kind == "invalid"
        assert it.loop.bad_frames == 1

    run(folders, play)


def test_a_frame_without_a_readable_id_is_counted_and_dropped(folders: Folders) -> None:
    async def play(it: Scene) -> None:
        for parts in ([b"short", b""], [b"x" * 16], [b"x" * 16, b"a", b"b"], [b"", b""]):
            await it.asker.send_multipart(parts)
        it.store.gate.release()
        await it.ask(APPEND, 1)
        assert await it.answer() == ((1).to_bytes(16, "big"), Appended(1))
        assert it.loop.bad_frames == 4

    run(folders, play)


def test_a_full_disk_is_told_to_all_who_wait_and_to_the_root_once(folders: Folders) -> None:
    async def play(it: Scene) -> None:
        it.store.error = Unavailable("no room on the disk")
        it.store.gate.release(2)
        for _ in range(2):
            await it.ask(APPEND)
            _, answer = await it.answer()
            assert answer == Failure("unavailable", "no room on the disk")
        assert it.published == [("alarm", {"text": "no room on the disk"})]
        it.store.error = None
        it.store.gate.release()
        await it.ask(APPEND)
        assert isinstance((await it.answer())[1], Appended)
        assert it.published[1:] == [("alarm", {"text": ""})]

    run(folders, play)


def test_a_store_of_no_use_ends_the_keeper_after_everyone_was_told(folders: Folders) -> None:
    async def scene() -> None:
        it = Scene(f"ipc://{folders.run}/k")
        await it.answer()
        it.store.error = Invalid("data.mdb is damaged")
        it.store.gate.release()
        await it.ask(APPEND)
        assert (await it.answer())[1] == Failure("unavailable", "data.mdb is damaged")
        with pytest.raises(Invalid, match="damaged"):
            await asyncio.wait_for(it.serving, DEADLINE_S)
        it.close()

    asyncio.run(scene())


def test_a_committed_registry_is_published(folders: Folders) -> None:
    async def play(it: Scene) -> None:
        it.store.gate.release()
        await it.ask(LoadRegistry(docs=()))
        await it.answer()
        assert it.published == [("registry.committed", {"version": 1})]

    run(folders, play)


def test_a_backup_that_meets_a_bug_is_answered(folders: Folders) -> None:
    async def play(it: Scene) -> None:
        for path, kind in (("/bug", "internal"), ("relative", "invalid")):
            await it.ask(Backup(path))
            _, answer = await it.answer()
            assert isinstance(answer, Failure)
            assert answer.kind == kind

    run(folders, play)


def test_what_arrived_before_a_stop_is_committed_and_answered(folders: Folders) -> None:
    async def play(it: Scene) -> None:
        await it.ask(APPEND)
        await it.wait_commit()
        for _ in range(20):
            await it.ask(APPEND)
        await it.ask(Backup("/b"))
        await it.answer()
        it.loop.stop()
        it.store.gate.release(2)
        for _ in range(21):
            assert isinstance((await it.answer())[1], Appended)
        await asyncio.wait_for(it.serving, DEADLINE_S)

    run(folders, play)


def test_stale_readers_are_cleared_when_a_death_is_told(folders: Folders) -> None:
    async def play(it: Scene) -> None:
        await it.loop.clear_stale_readers()
        assert it.store.cleared == 1

    run(folders, play)
