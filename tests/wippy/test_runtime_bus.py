"""The observation bus of one process: limits, credit, what is dropped, and frames that make no
sense. The processes are those of a world in memory: real planes, no sockets."""

from __future__ import annotations

import pytest

from wippy import events
from wippy.core import framing, wire
from wippy.core.messages import Observed
from wippy.core.observing import MAX_PATTERNS
from wippy.core.pattern import parse
from wippy.core.payload import encode
from wippy.errors import Invalid, Unavailable
from wippy.runtime import bus
from wippy.runtime.plane import Plane
from wippy.testing import Probe, World


def plane_of(world: World, probe: Probe) -> Plane:
    return world._node.process(probe.context.pid.slot).plane


def inject(world: World, plane: Plane, *items: wire.Item) -> None:
    """Have a process that we are not say this to `plane`."""
    head = framing.frame_head(plane.generation, world._node.name, "test:stranger", 1)
    plane.take(framing.whole_frame(head, [framing.item(it) for it in items]))


def test_a_process_has_a_bounded_number_of_patterns_but_not_of_subscriptions() -> None:
    async def main(_world: World) -> None:
        kept = [events.subscribe(f"t.{number}") for number in range(MAX_PATTERNS)]
        with pytest.raises(Unavailable, match="256 patterns"):
            events.subscribe("one.more")
        events.subscribe("t.7")  # a pattern that it has
        kept[0].close()
        with events.subscribe("one.more") as last:
            events.publish("one.more", 1)
            assert (await last.receive()).payload == 1

    World.run(main)


def test_a_process_that_takes_nothing_in_is_told_how_much_it_missed_when_it_does() -> None:
    async def main(world: World) -> None:
        other = world.probe()
        plane = plane_of(world, other)
        subscription = await other.run(_subscribe("flood.*"))
        await subscription.ready()
        mine = plane_of(world, world.me)
        peer = mine.peer(plane.slot, plane.generation)
        for number in range(wire.WINDOW_UNITS + 500):
            events.publish("flood.water", number)
        assert peer.account(wire.OBSERVERS).credit == 0
        await world.settle()
        # Its first credit brings the number of those that were dropped here.
        assert peer.account(wire.OBSERVERS).credit > 0
        assert subscription.dropped == wire.WINDOW_UNITS + 500 - 1000
        events.publish("flood.water", "last")
        await world.settle()
        taken = [(await subscription.receive()).payload for _ in range(1000)]
        assert taken == [*range(wire.WINDOW_UNITS - 999, wire.WINDOW_UNITS), "last"]

    World.run(main)


async def _subscribe(pattern: str) -> events.Subscription:
    return events.subscribe(pattern)


def test_frames_that_make_no_sense_are_counted_and_reach_nobody() -> None:
    async def main(world: World) -> None:
        plane = plane_of(world, world.me)
        with events.subscribe("**") as everything:
            await everything.ready()
            no_payload = wire.Publish("t", 0, 1.0, b"\xc1", 1)
            counts = wire.NotPublished({"t": -5, "": 3, "a b": 0})
            huge = wire.Publish("t", 0, 1.0, encode("x"), -(2**62))
            inject(world, plane, no_payload, counts, huge)
            seen = await everything.receive()
            assert (seen.payload, seen.sender) == ("x", "test/test:stranger.1/0")
            assert plane.dead_letters["malformed"] == 1
            assert everything.dropped == 3

    World.run(main)


def test_facts_that_were_lost_on_the_way_are_counted_for_those_who_could_have_wanted_them() -> None:
    async def main(world: World) -> None:
        plane = plane_of(world, world.me)
        facts, everything = events.subscribe("wippy.*"), events.subscribe("**")
        own = events.subscribe("shop.*")
        plane.bus.told(Observed((("wippy.ready", 1.0, encode({})),), before=0))
        plane.bus.told(Observed((("wippy.ready", 1.0, encode({})),), before=4))
        assert [it.dropped for it in (facts, everything, own)] == [3, 3, 0]

    World.run(main)


def test_a_dead_actor_subscribes_to_nothing() -> None:
    async def main(world: World) -> None:
        plane = plane_of(world, world.me)
        ghost = world._node.process("test:ghost").add_actor(4)
        before = len(plane.bus._subscribers)
        made = plane.bus.subscribe(ghost, parse("t"), 5)
        assert len(plane.bus._subscribers) == before
        plane.bus.unsubscribe(made)

    World.run(main)


@pytest.mark.parametrize("row", [b"\xc1", b"", encode({"processes": 7}), encode(["x"])])
def test_a_row_of_observers_that_is_none_is_an_error_that_says_so(row: bytes) -> None:
    with pytest.raises(Invalid, match="row of observers"):
        bus._routes(row)
