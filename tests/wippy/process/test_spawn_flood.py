"""Spawns into a pool are bounded: what has not begun, for each process that spawns."""

from __future__ import annotations

from typing import cast

import pytest
from actors_world import ActorsWorld

from wippy import process
from wippy.core import wire
from wippy.errors import MailboxFull
from wippy.runtime.admission import Admission
from wippy.runtime.peer import Peer
from wippy.testing import World

POOL = "test:pool"
FLOODER = """
from wippy.errors import MailboxFull
async def main():
    refused = begun = 0
    while begun < 10_000:
        try:
            process.spawn("app:hello", "app:pool", process.pid())
            begun += 1
        except MailboxFull as error:
            if not refused:
                print("refused after", begun, "ready('app:pool')" in str(error), flush=True)
            refused += 1
            await process.ready("app:pool")
    seen = set()
    async for message in process.inbox():
        seen.add(message.sender)
        if len(seen) == begun:
            break
    print("all", len(seen), refused > 0, flush=True)
"""
HELLO = """
async def main(parent):
    while True:
        try:
            process.send(parent, "hello")
            return
        except Exception:
            await process.ready(parent)
"""


begun: list[None] = []


async def idle() -> None:
    begun.append(None)


def test_a_flood_of_spawns_is_held_back_and_none_of_those_taken_is_lost(world: ActorsWorld) -> None:
    world.define("app:hello", HELLO)
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.start_actor("app:flooder", FLOODER)
    assert world.wait_line("app:flooder", "all 10000 True") == [
        "refused after 4096 True",
        "all 10000 True",
    ]


def test_a_spawn_without_room_raises_until_others_have_begun_and_ready_waits_for_that() -> None:
    async def main(world: World) -> None:
        begun.clear()
        world.define("app:idle", idle)
        for _ in range(wire.WINDOW_UNITS):
            process.spawn("app:idle", POOL)
        with pytest.raises(MailboxFull, match=r"process\.ready\('test:pool'\)"):
            process.spawn("app:idle", POOL)
        assert not begun
        await process.ready(POOL)
        assert len(begun) >= wire.RETURN_UNITS - 1
        last = process.spawn("app:idle", POOL)
        await world.ended(last)
        await process.ready(POOL)  # there is room: at once

    World.run(main)


def test_living_actors_and_failed_starts_take_no_credit() -> None:
    async def waits() -> None:
        await process.inbox().receive()

    async def main(world: World) -> None:
        world.define("app:waits", waits)
        for code in ("app:waits", "app:missing"):
            for _ in range(2 * wire.WINDOW_UNITS // 512):
                for _ in range(512):
                    process.spawn(code, POOL)
                await world.settle()
        assert world.dead_letters == {}

    World.run(main)


def test_arguments_take_credit_by_their_size() -> None:
    async def main(world: World) -> None:
        world.define("app:idle", lambda data: None)
        for _ in range(4):
            process.spawn("app:idle", POOL, b"x" * 2**20)
        with pytest.raises(MailboxFull):
            process.spawn("app:idle", POOL, b"")
        await process.ready(POOL)
        process.spawn("app:idle", POOL, b"")

    World.run(main)


def test_a_spawn_into_a_pool_that_has_nobody_else_waiting_is_ready_at_once() -> None:
    async def main(_world: World) -> None:
        await process.ready(POOL)

    World.run(main)


class SaidPeer:
    """A process that keeps what it is told."""

    def __init__(self) -> None:
        self.is_gone = False
        self.said: list[wire.Item] = []

    def say(self, item: wire.Item) -> None:
        self.said.append(item)


def test_credit_of_spawns_comes_back_in_parcels_and_who_ignores_it_is_cut_off() -> None:
    admission, said = Admission(), SaidPeer()
    peer = cast("Peer", said)
    for _ in range(wire.FLOOD_UNITS):
        assert admission.admit(peer, 1)
    assert not admission.admit(peer, 1)
    for _ in range(wire.RETURN_UNITS - 1):
        admission.begun(peer, 1)
    assert said.said == []
    admission.begun(peer, 1)
    assert said.said == [wire.Credit(wire.WORKER, wire.RETURN_UNITS)]
    assert admission.admit(peer, 1)


@pytest.mark.parametrize("cost", [0, -1, wire.FLOOD_UNITS + 1, 2**62])
def test_a_cost_that_can_be_none_is_refused(cost: int) -> None:
    assert not Admission().admit(cast("Peer", SaidPeer()), cost)


def test_a_process_that_is_gone_leaves_nothing_behind() -> None:
    admission, said = Admission(), SaidPeer()
    peer = cast("Peer", said)
    assert admission.admit(peer, 7)
    admission.process_ended(peer)
    said.is_gone = True
    admission.begun(peer, 7)
    assert said.said == []
    assert not admission._waiting
    assert not admission._untold
