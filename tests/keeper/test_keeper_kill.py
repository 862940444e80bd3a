"""The keeper in a process of its own, killed, stopped, doubled and starved while it works."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from keeper_tools import (
    DEADLINE_S,
    Folders,
    KeeperProcess,
    doc,
    encoded,
    entries,
    facts,
    wait_until,
)
from small_disks import small_disk

from supervisor.core.keeping import AppendHistory
from supervisor.io.keeper_client import KeeperClient
from supervisor.io.state_reader import StateReader
from wippy.core.codec import encode
from wippy.errors import AlreadyExists, Conflict, Invalid, Timeout

Start = Callable[..., KeeperProcess]
KILLS = 12
LOADS_AT_A_TIME = 4


async def load(client: KeeperClient, number: int) -> int:
    done = await client.load_registry(
        entries(number), author="t", comment=str(number), origin="o", timeout_s=DEADLINE_S
    )
    return done.version


async def kill_again_and_again(keeper: Start) -> None:
    dice = random.Random()
    for _ in range(KILLS):
        running = keeper()
        if dice.random() < 0.8:  # else it dies while it starts
            await asyncio.to_thread(running.wait_ready)
        # Not a wait for anything: the instant of the kill is drawn.
        await asyncio.sleep(dice.random() * 0.1)
        await asyncio.to_thread(running.kill)
    await asyncio.to_thread(keeper().wait_ready)


def test_a_keeper_killed_at_random_moments_loses_and_doubles_nothing(
    folders: Folders, keeper: Start
) -> None:
    async def stream() -> tuple[int, list[int]]:
        client = KeeperClient(folders.run, "run-1", resend_s=0.2)
        killing = asyncio.create_task(kill_again_and_again(keeper))
        seq, versions = 1, []
        try:
            while not killing.done():
                client.append_facts(facts(seq, 5))
                seq += 5
                if client.lag > 2000:
                    await wait_until(lambda: client.lag < 1000)
                # Several at a time, each unlike all others: one that was applied before its keeper
                # died, and again after those that follow it, would make a version too many.
                numbers = range(len(versions) + 1, len(versions) + LOADS_AT_A_TIME + 1)
                versions += await asyncio.gather(*(load(client, number) for number in numbers))
            await killing
            assert await client.flush(DEADLINE_S)
            assert (client.dropped, client.refused, client.bad_frames) == (0, 0, 0)
        finally:
            client.close()
            killing.cancel()
        return seq - 1, versions

    last_seq, versions = asyncio.run(stream())
    reader = StateReader(folders.state)
    assert [f.seq for f in reader.history(limit=10 * last_seq)] == list(range(1, last_seq + 1))
    assert sorted(versions) == list(range(1, len(versions) + 1))
    assert reader.registry_version() == len(versions)
    for version in reader.versions(len(versions)):
        number = int(version.comment)
        assert versions[number - 1] == version.number
        assert reader.snapshot_at(version.number) == encoded(entries(number))
    reader.close()


def test_what_was_acknowledged_before_a_kill_is_there_after_it(
    folders: Folders, keeper: Start
) -> None:
    async def acknowledged(running: KeeperProcess) -> None:
        client = KeeperClient(folders.run, "run-1")
        client.append_facts(facts(1, 50))
        assert await client.flush(DEADLINE_S)
        assert await load(client, 1) == 1
        running.kill()
        client.close()

    asyncio.run(acknowledged(keeper().wait_ready()))
    reader = StateReader(folders.state)
    assert len(reader.history(limit=1000)) == 50
    assert reader.entries() == encoded(entries(1))
    reader.close()


def test_requests_of_before_the_keeper_was_there_are_served_when_it_comes(
    folders: Folders, keeper: Start
) -> None:
    async def ask_first() -> None:
        client = KeeperClient(folders.run, "run-1")
        client.append_facts(facts(1, 3))
        loading = asyncio.create_task(load(client, 1))
        await asyncio.sleep(0)
        keeper()
        assert await loading == 1
        assert await client.flush(DEADLINE_S)
        client.close()

    asyncio.run(ask_first())


def test_a_stopped_keeper_delays_and_its_waking_doubles_nothing(
    folders: Folders, keeper: Start
) -> None:
    async def stop_and_go(running: KeeperProcess) -> None:
        client = KeeperClient(folders.run, "run-1", resend_s=0.02)
        client.append_facts(facts(1, 1))
        assert await client.flush(DEADLINE_S)
        running.send(signal.SIGSTOP)
        client.append_facts(facts(2, 30))
        with pytest.raises(Timeout, match="may still happen"):
            await client.load_registry(entries(1), author="", comment="", origin="", timeout_s=0.3)
        assert not await client.flush(0.1)
        assert client.lag == 30
        running.send(signal.SIGCONT)
        assert await client.flush(DEADLINE_S)
        assert await load(client, 1) == 1  # the one that timed out did happen: no new version
        client.close()

    asyncio.run(stop_and_go(keeper().wait_ready()))
    reader = StateReader(folders.state)
    assert [fact.seq for fact in reader.history(limit=100)] == list(range(1, 32))
    assert len(reader.versions()) == 1
    reader.close()


def test_readers_go_on_while_the_keeper_is_stopped(folders: Folders, keeper: Start) -> None:
    running = keeper().wait_ready()
    running.send(signal.SIGSTOP)
    reader = StateReader(folders.state)
    assert reader.history() == []
    assert reader.registry_version() == 0
    reader.close()


def test_a_second_keeper_waits_for_the_first_and_takes_over(
    folders: Folders, keeper: Start
) -> None:
    first = keeper().wait_ready()
    second = keeper()
    first.kill()
    second.wait_ready()


def test_a_second_keeper_that_waited_in_vain_names_the_first(
    folders: Folders, keeper: Start
) -> None:
    first = keeper().wait_ready()
    failure = keeper().wait_line("failed")
    assert failure.startswith("already_exists")
    assert f"pid {first.pid}" in failure
    assert str(folders.state) in failure

    async def first_still_serves() -> None:
        client = KeeperClient(folders.run, "run-1")
        assert await load(client, 1) == 1
        client.close()

    asyncio.run(first_still_serves())


def test_a_keeper_asked_to_stop_commits_what_it_has_and_exits_in_order(
    folders: Folders, keeper: Start
) -> None:
    async def fill(running: KeeperProcess) -> None:
        client = KeeperClient(folders.run, "run-1")
        client.append_facts(facts(1, 100))
        assert await client.flush(DEADLINE_S)
        client.close()
        assert await asyncio.to_thread(running.stop) == 0

    asyncio.run(fill(keeper().wait_ready()))
    reader = StateReader(folders.state)
    assert len(reader.history(limit=1000)) == 100
    reader.close()


def test_a_conflict_arrives_as_a_conflict_that_shows_both_sides(
    folders: Folders, keeper: Start
) -> None:
    async def collide() -> None:
        client = KeeperClient(folders.run, "run-1")
        await load(client, 1)
        await client.load_registry(
            [doc("app:number", is_="theirs")], author="bob", comment="", origin=""
        )
        with pytest.raises(Conflict, match=r"version 2 by bob.*for 1.*theirs.*mine"):
            await client.load_registry(
                [doc("app:number", is_="mine")],
                author="",
                comment="",
                origin="",
                expected_version=1,
            )
        with pytest.raises(Invalid, match="no entry id"):
            await client.load_registry([doc("nonsense")], author="", comment="", origin="")
        client.close()

    keeper().wait_ready()
    asyncio.run(collide())


def test_a_backup_taken_while_facts_stream_in_can_be_started_from(
    folders: Folders, keeper: Start, tmp_path: Path
) -> None:
    async def copy() -> None:
        client = KeeperClient(folders.run, "run-1")
        await load(client, 1)
        client.append_facts(facts(1, 500))
        assert await client.flush(DEADLINE_S)
        copying = asyncio.create_task(client.backup(tmp_path / "copy"))
        client.append_facts(facts(501, 5000))
        assert await copying > 0
        with pytest.raises(AlreadyExists, match="copy"):
            await client.backup(tmp_path / "copy")
        assert await client.flush(DEADLINE_S)
        client.close()

    keeper().wait_ready()
    asyncio.run(copy())
    reader = StateReader(tmp_path / "copy")
    stored = [fact.seq for fact in reader.history(limit=10_000)]
    assert stored == list(range(1, len(stored) + 1))
    assert len(stored) >= 500
    assert reader.entries() == encoded(entries(1))
    reader.close()


def test_every_request_of_a_flood_from_one_asker_is_answered_without_asking_again(
    folders: Folders, keeper: Start
) -> None:
    keeper().wait_ready()
    context = zmq.Context()
    asker = context.socket(zmq.DEALER)
    asker.setsockopt(zmq.RCVTIMEO, int(DEADLINE_S * 1000))
    asker.setsockopt(zmq.SNDHWM, 0)
    asker.connect(f"ipc://{folders.run}/keeper")
    ids = {number.to_bytes(16, "big") for number in range(5000)}
    for number, request_id in enumerate(sorted(ids), start=1):
        asker.send_multipart([request_id, encode(AppendHistory("r", tuple(facts(number, 1))))])
    assert {asker.recv_multipart()[0] for _ in ids} == ids
    asker.close(linger=0)
    context.term()


def test_the_root_is_told_of_new_versions(folders: Folders, keeper: Start) -> None:
    async def once() -> None:
        client = KeeperClient(folders.run, "run-1")
        await load(client, 1)
        client.close()

    running = keeper().wait_ready()
    asyncio.run(once())
    assert running.wait_line("published registry.committed") == '{"version": 1}'


def test_a_state_folder_that_is_a_file_is_refused_in_words(folders: Folders, keeper: Start) -> None:
    folders.state.write_text("")
    failure = keeper().wait_line("failed")
    assert failure.startswith("invalid")
    assert str(folders.state) in failure


def test_a_full_disk_is_an_alarm_and_the_keeper_goes_on_when_there_is_room(
    folders: Folders, keeper: Start
) -> None:
    folders.state.mkdir()
    with small_disk(folders.state, 2 * 2**20):
        asyncio.run(_fill_the_disk(folders, keeper().wait_ready()))


async def _fill_the_disk(folders: Folders, running: KeeperProcess) -> None:
    client = KeeperClient(folders.run, "run-1", resend_s=0.05)
    assert await load(client, 1) == 1
    ballast = folders.state / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(b"x" * 4 * 2**20)
    client.append_facts(facts(1, 2000))
    await wait_until(lambda: "no room" in client.alarm)
    assert str(folders.state) in client.alarm
    alarm = await asyncio.to_thread(running.wait_line, "published alarm")
    assert "no room" in alarm
    ballast.unlink()
    assert await client.flush(DEADLINE_S)
    assert client.alarm == ""
    assert await asyncio.to_thread(running.wait_line, "published alarm") == '{"text": ""}'
    assert await load(client, 2) == 2
    client.close()
    reader = StateReader(folders.state)
    assert len(reader.history(limit=10_000)) == 2000
    reader.close()
