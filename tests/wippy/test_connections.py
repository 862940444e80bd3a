"""Connections: no more than allowed, idle ones given up without a loss, those that wait served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wippy.core import framing, wire
from wippy.errors import Unavailable
from wippy.runtime import connections
from wippy.runtime.connections import IDLE_S, RETRY_S, Connections
from wippy.runtime.peer import Peer

LIMIT = 4


class Clock:
    """A loop's clock and timers, moved by the test."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.timers: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, work: Callable[..., object], *args: Any) -> Any:
        self.timers.append((self.now_s + delay_s, work, args))
        return self

    def call_soon(self, work: Callable[..., object], *args: Any) -> Any:
        return self.call_later(0.0, work, *args)

    def cancel(self) -> None:
        self.timers.clear()

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        while due := [it for it in self.timers if it[0] <= self.now_s]:
            self.timers.remove(due[0])
            due[0][1](*due[0][2])


class Wire:
    """The transport to one process: keeps what was sent."""

    def __init__(self, frames: list[bytes]) -> None:
        self.frames = frames
        self.is_open = True

    def send(self, frame: bytes) -> None:
        assert self.is_open
        self.frames.append(frame)

    def close(self, *, linger_ms: int) -> None:
        self.is_open = False


class World:
    """Peers of one process, their connections, and how many sockets there are."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sockets = 100
        self.wires: list[Wire] = []
        self.got: dict[str, list[bytes]] = {}
        loop: Any = self.clock
        self.connections = Connections(loop, self._make)

    def _make(self, peer: Peer) -> Wire:
        if sum(it.is_open for it in self.wires) >= self.sockets:
            raise Unavailable("no socket")
        self.wires.append(Wire(self.got.setdefault(peer.slot, [])))
        return self.wires[-1]

    def peer(self, slot: str) -> Peer:
        return Peer(
            slot,
            1,
            prefix=f"n/{slot}.1/",
            head=framing.frame_head(1, "n", "me", 1),
            schedule=lambda _peer: None,
            plane_sent=lambda _count: None,
            connect=self.connections.connect,
        )

    def say(self, peer: Peer, number: int) -> None:
        peer.used_at_s = self.clock.now_s
        peer.say(wire.CancelCall(number))
        peer.flush()

    def heard(self, peer: Peer) -> list[int]:
        """Return the numbers that have arrived, without the probes."""
        frames = [framing.decode(it) for it in self.got.get(peer.slot, [])]
        items = [item for frame in frames for item in frame.items]
        return [item.reference for item in items if isinstance(item, wire.CancelCall)]

    def is_probed(self, peer: Peer) -> bool:
        frames = [framing.decode(it) for it in self.got.get(peer.slot, [])]
        return any(isinstance(item, wire.Probe) for it in frames for item in it.items)

    def open(self) -> int:
        return sum(it.is_open for it in self.wires)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", LIMIT)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", LIMIT)
    return World()


def filled(world: World) -> list[Peer]:
    peers = [world.peer(f"p{number}") for number in range(LIMIT)]
    for peer in peers:
        world.say(peer, 1)
        world.clock.pass_s(0.01)
    return peers


def test_who_finds_no_socket_waits_and_is_served_in_order_when_one_is_closed(world: World) -> None:
    peers = filled(world)
    late = world.peer("late")
    for number in range(3):
        world.say(late, number)
    assert world.heard(late) == []
    world.clock.pass_s(IDLE_S + RETRY_S)
    assert world.is_probed(peers[0])
    assert not world.is_probed(peers[3])
    assert world.open() == LIMIT
    world.connections.answered(peers[0])
    world.clock.pass_s(0.0)
    assert world.heard(late) == [0, 1, 2]
    assert (world.open(), peers[0].is_connected) == (LIMIT, False)


def test_a_connection_that_was_used_since_it_was_asked_about_stays(world: World) -> None:
    peers = filled(world)
    late = world.peer("late")
    world.say(late, 1)
    world.clock.pass_s(IDLE_S + RETRY_S)
    world.say(peers[0], 2)
    world.connections.answered(peers[0])
    assert peers[0].is_connected
    assert world.heard(peers[0]) == [1, 2]


def test_a_receiver_that_does_not_answer_keeps_its_connection_and_others_are_asked(
    world: World,
) -> None:
    """It may be stopped, with all of it unread."""
    peers = filled(world)
    late = world.peer("late")
    world.say(late, 1)
    for _ in range(30):
        world.clock.pass_s(RETRY_S)
    assert all(world.is_probed(peer) for peer in peers)
    assert all(peer.is_connected for peer in peers)
    world.connections.answered(peers[2])
    world.clock.pass_s(0.0)
    assert [peer.is_connected for peer in peers] == [True, True, False, True]
    assert world.heard(late) == [1]


def test_the_end_of_a_process_frees_its_socket_for_who_waits(world: World) -> None:
    peers = filled(world)
    late = world.peer("late")
    world.say(late, 1)
    peers[1].bury()
    world.connections.gone(peers[1])
    world.clock.pass_s(0.0)
    assert world.heard(late) == [1]


def test_where_the_system_has_no_socket_it_is_tried_again(world: World) -> None:
    world.sockets = 0
    late = world.peer("late")
    world.say(late, 1)
    world.sockets = 1
    world.clock.pass_s(RETRY_S)
    assert world.heard(late) == [1]


def test_who_waited_long_is_sent_in_frames_of_the_usual_size(world: World) -> None:
    world.sockets = 0
    late = world.peer("late")
    for number in range(200):
        late.say(wire.CancelCall(number, "x" * 10_000))
        late.flush()
    world.sockets = 1
    world.clock.pass_s(RETRY_S)
    assert world.heard(late) == list(range(200))
    assert max(map(len, world.got["late"])) < wire.SPLIT_FRAME_BYTES + 20_000


def test_a_closed_process_does_not_try_any_more(world: World) -> None:
    world.sockets = 0
    late = world.peer("late")
    world.say(late, 1)
    world.connections.close()
    world.sockets = 1
    world.clock.pass_s(10.0)
    assert world.heard(late) == []
