"""The client of the keeper, against a ROUTER that the test plays."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from supervisor.core import keeping
from supervisor.core.facts import Fact, FactKind
from supervisor.core.keeping import Appended, AppendHistory, Asked, Committed, FromKeeper, Welcome
from supervisor.io.keeper_client import KeeperClient
from wippy.core.codec import encode
from wippy.core.entry import EntryDoc
from wippy.errors import Cancelled, Conflict, Failure, Internal, Invalid, Timeout

DOC = EntryDoc(id="a:b", kind="registry.entry")
DEADLINE_S = 60.0


def facts(first: int, count: int = 1, text: str = "") -> list[Fact]:
    return [Fact(seq=s, kind=FactKind.READY, text=text) for s in range(first, first + count)]


class FakeKeeper:
    """Greets, and says and hears what the test wants."""

    def __init__(self, run_dir: Path) -> None:
        self.context = zmq.asyncio.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.bind(f"ipc://{run_dir}/keeper")
        self.client = b""

    async def greet(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            self.client, empty = await self.socket.recv_multipart()
        assert empty == b""
        await self.say(b"", Welcome(1))

    async def hear(self) -> tuple[bytes, Asked]:
        async with asyncio.timeout(DEADLINE_S):
            self.client, request_id, body = await self.socket.recv_multipart()
        return request_id, keeping.to_keeper.decode(body)

    async def hear_seqs(self) -> tuple[bytes, list[int]]:
        request_id, request = await self.hear()
        assert isinstance(request, AppendHistory)
        return request_id, [fact.seq for fact in request.facts]

    async def say(self, request_id: bytes, answer: FromKeeper) -> None:
        await self.socket.send_multipart([self.client, request_id, encode(answer)])

    def close(self) -> None:
        self.socket.close(linger=0)
        self.context.term()


@pytest.fixture
def run_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="w-"))
    yield folder
    shutil.rmtree(folder)


def play(
    run_dir: Path,
    scene: Callable[[KeeperClient, FakeKeeper], Awaitable[None]],
    *,
    capacity: int = 1000,
    resend_s: float = 300.0,
) -> None:
    async def run() -> None:
        client = KeeperClient(run_dir, "run-1", capacity=capacity, resend_s=resend_s)
        keeper = FakeKeeper(run_dir)
        try:
            await keeper.greet()
            await scene(client, keeper)
        finally:
            client.close()
            keeper.close()

    asyncio.run(run())


def test_facts_gather_while_a_batch_is_under_way(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(1))
        client.append_facts(facts(2))
        client.append_facts(facts(3, 5))
        first, seqs = await keeper.hear_seqs()
        assert seqs == [1]
        assert client.lag == 7
        await keeper.say(first, Appended(1))
        second, seqs = await keeper.hear_seqs()
        assert seqs == [2, 3, 4, 5, 6, 7]
        await keeper.say(second, Appended(6))
        assert await client.flush(DEADLINE_S)
        assert (client.lag, client.alarm) == (0, "")

    play(run_dir, scene)


def test_a_new_keeper_gets_what_the_old_one_left_unanswered_under_the_same_id(
    run_dir: Path,
) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(1, 3))
        before, seqs = await keeper.hear_seqs()
        keeper.close()
        again = FakeKeeper(run_dir)
        try:
            await again.greet()
            assert await again.hear_seqs() == (before, seqs)
            await again.say(before, Appended(3))
            assert await client.flush(DEADLINE_S)
        finally:
            again.close()

    play(run_dir, scene)


def test_an_unanswered_request_is_sent_again_with_the_same_id_after_a_while(
    run_dir: Path,
) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(1))
        first = await keeper.hear_seqs()
        assert await keeper.hear_seqs() == first
        assert await keeper.hear_seqs() == first
        await keeper.say(first[0], Appended(1))
        await keeper.say(first[0], Appended(0))  # the answer to the copy: nobody waits for it
        assert await client.flush(DEADLINE_S)
        client.append_facts(facts(2))
        request_id, seqs = await keeper.hear_seqs()
        while request_id == first[0]:  # copies that were still under way
            request_id, seqs = await keeper.hear_seqs()
        assert seqs == [2]

    play(run_dir, scene, resend_s=0.01)


def test_beyond_its_capacity_the_oldest_facts_are_dropped_counted_and_alarmed(
    run_dir: Path,
) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(1))
        client.append_facts(facts(2, 15))
        assert client.dropped == 5
        assert "5 facts of the history were dropped" in client.alarm
        first, seqs = await keeper.hear_seqs()
        assert seqs == [1]  # what is under way is not dropped
        await keeper.say(first, Appended(1))
        _, seqs = await keeper.hear_seqs()
        assert seqs == list(range(7, 17))

    play(run_dir, scene, capacity=10)


def test_a_full_disk_keeps_the_facts_and_says_so_until_it_is_over(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(1))
        first, _ = await keeper.hear_seqs()
        await keeper.say(first, Failure("unavailable", "no room on the disk"))
        second, seqs = await keeper.hear_seqs()
        assert seqs == [1]
        assert client.alarm == "no room on the disk"
        assert client.lag == 1
        await keeper.say(second, Appended(1))
        assert await client.flush(DEADLINE_S)
        assert client.alarm == ""

    play(run_dir, scene, resend_s=0.05)


def test_facts_that_the_keeper_refuses_do_not_hold_up_those_that_follow(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(0, 2))
        first, _ = await keeper.hear_seqs()
        await keeper.say(first, Failure("invalid", "no sequence number"))
        client.append_facts(facts(2))
        second, seqs = await keeper.hear_seqs()
        assert seqs == [2]
        await keeper.say(second, Appended(1))
        assert await client.flush(DEADLINE_S)
        assert client.refused == 2
        assert "2 facts were refused" in client.alarm

    play(run_dir, scene)


def test_a_fact_that_fits_no_frame_or_is_no_utf8_goes_alone(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(1))
        strange = [*facts(2, text="\udcff"), *facts(3, text="x" * (17 * 2**20)), *facts(4)]
        client.append_facts(strange)
        for expected in ([1], [4]):
            request_id, seqs = await keeper.hear_seqs()
            assert seqs == expected
            await keeper.say(request_id, Appended(1))
        assert await client.flush(DEADLINE_S)
        assert client.refused == 2

    play(run_dir, scene)


def test_answers_to_a_load_are_its_version_or_its_error(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        async def load() -> int:
            return await client.load_registry(
                [DOC], author="ann", comment="why", origin="/c", timeout_s=DEADLINE_S
            )

        for answer, error in (
            (Committed(3, 1), None),
            (Failure("conflict", "both sides"), Conflict),
            (Appended(1), Internal),
        ):
            loading = asyncio.create_task(load())
            request_id, request = await keeper.hear()
            assert isinstance(request, keeping.LoadRegistry)
            assert (request.docs, request.author) == ((DOC,), "ann")
            await keeper.say(request_id, answer)
            if error is None:
                assert await loading == answer
            else:
                with pytest.raises(error):
                    await loading

    play(run_dir, scene)


def test_a_load_without_an_answer_times_out_and_says_that_it_may_have_happened(
    run_dir: Path,
) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        with pytest.raises(Timeout, match="it may still happen"):
            await client.load_registry([], author="", comment="", origin="", timeout_s=0.05)

    play(run_dir, scene)


def test_a_registry_larger_than_a_frame_is_refused_at_once(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        with pytest.raises(Invalid, match="bytes, more than"):
            await client.load_registry(
                [EntryDoc(id="a:b", kind="registry.entry", data={"x": "x" * (257 * 2**20)})],
                author="",
                comment="",
                origin="",
            )

    play(run_dir, scene)


def test_frames_that_make_no_sense_are_counted(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(1))
        request_id, _ = await keeper.hear_seqs()
        for parts in ([b"x"], [b"x", b"\xc1"], [b"x", b"", b""], [b"x", encode({"type": "a"})]):
            await keeper.socket.send_multipart([keeper.client, *parts])
        await keeper.say(b"\0" * 16, Appended(1))  # an answer that nobody asked for
        await keeper.say(request_id, Appended(1))
        assert await client.flush(DEADLINE_S)
        assert client.bad_frames == 4

    play(run_dir, scene)


def test_closing_ends_those_who_wait(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        client.append_facts(facts(1))
        loading = asyncio.create_task(
            client.load_registry([], author="", comment="", origin="", timeout_s=DEADLINE_S)
        )
        flushing = asyncio.create_task(client.flush(DEADLINE_S))
        await keeper.hear()
        await keeper.hear()
        client.close()
        with pytest.raises(Cancelled):
            await loading
        assert await flushing is False
        client.close()
        client.append_facts(facts(2))

    play(run_dir, scene)


def test_flush_says_that_it_was_in_vain(run_dir: Path) -> None:
    async def scene(client: KeeperClient, keeper: FakeKeeper) -> None:
        assert await client.flush(0.01)
        client.append_facts(facts(1))
        assert not await client.flush(0.01)

    play(run_dir, scene)


def test_a_path_too_long_for_a_socket_is_invalid() -> None:
    async def connect() -> None:
        with pytest.raises(Invalid, match="keeper"):
            KeeperClient(Path("/tmp/" + "x" * 120), "run-1")

    asyncio.run(connect())
