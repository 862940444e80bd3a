"""Process groups of one process: limits, late frames, and broadcasts that make no sense."""

from __future__ import annotations

import pytest

from wippy import groups, process
from wippy.core import framing, wire
from wippy.core.messages import GroupChanged, GroupMembers
from wippy.core.payload import encode
from wippy.errors import Invalid, Unavailable
from wippy.runtime import membership
from wippy.runtime.plane import Plane
from wippy.testing import World


def own_plane(world: World) -> Plane:
    return world._node.process(world.me.context.pid.slot).plane


def inject(world: World, *items: wire.Item) -> None:
    """Have a process that we are not say this to the test's own."""
    plane = own_plane(world)
    head = framing.frame_head(plane.generation, world._node.name, "test:stranger", 1)
    plane.take(framing.whole_frame(head, [framing.item(it) for it in items]))


def test_past_the_limit_nobody_joins_until_somebody_has_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(membership, "MAX_MEMBERSHIPS", 3)

    async def main(_world: World) -> None:
        for group in ("a", "a", "b"):
            groups.join(group)
        with pytest.raises(Unavailable, match="3 times"):
            groups.join("c")
        assert groups.members("c") == []
        assert groups.leave("a")
        groups.join("c")
        assert groups.members("c") == [process.pid()]

    World.run(main)


def test_an_ended_actor_gives_back_all_its_memberships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "MAX_MEMBERSHIPS", 4)

    async def joins() -> None:
        for group in ("a", "a", "b", "c"):
            groups.join(group)

    async def main(world: World) -> None:
        for _ in range(3):
            end = await world.ended(world.spawn(joins))
            assert end.reason.__class__.__name__ == "Normal"
        assert groups.members("a") == []

    World.run(main)


def test_a_broadcast_that_makes_no_sense_is_counted_and_hurts_nobody() -> None:
    async def main(world: World) -> None:
        dead = own_plane(world).dead_letters
        own = world.me.context.pid.actor
        inject(world, wire.Broadcast([own, own], 3, "t", b"\xc1", 1))
        assert dead == {"malformed": 2}
        inject(world, wire.Broadcast([99, -1, 2**62], 3, "t", encode(1), 1))
        assert dead == {"malformed": 2, "no such actor": 3}
        inject(world, wire.Broadcast([], 3, "t", encode(1), 1))
        inject(world, wire.Broadcast([own], 3, "t", encode("good"), 1))
        message = await world.me.receive()
        assert (message.topic, message.payload) == ("t", "good")
        assert message.sender == "test/test:stranger.1/3"

    World.run(main)


def test_a_flood_of_broadcasts_is_cut_off_and_counted() -> None:
    async def main(world: World) -> None:
        own = world.me.context.pid.actor
        data = encode(1)
        for _ in range(2 * wire.FLOOD_UNITS // 1000):
            items = [wire.Broadcast([own] * 1000, 3, "t", data, 1)]
            inject(world, *items)
        cut_off = own_plane(world).dead_letters["window ignored"]
        assert cut_off > 0
        inbox = own_plane(world).actors[own].mailbox.waiting
        assert inbox + cut_off == 2 * wire.FLOOD_UNITS // 1000 * 1000
        assert inbox <= wire.FLOOD_UNITS + 1000

    World.run(main)


def test_members_without_room_are_named_and_the_others_get_it() -> None:
    async def main(world: World) -> None:
        full, free = world.probe(), world.probe()
        for probe in (full, free):
            await probe.run(_join("g"))
        await world.settle()
        for number in range(wire.WINDOW_UNITS):
            process.send(full.pid, "noise", number)
        assert groups.broadcast("g", "news", 1) == [full.pid]
        assert (await free.receive()).topic == "news"

    World.run(main)


async def _join(group: str) -> None:
    groups.join(group)


def test_what_the_root_says_of_groups_that_nobody_watches_changes_nothing() -> None:
    async def main(world: World) -> None:
        plane = own_plane(world)
        plane.groups.told(GroupMembers("g", 5, {"test/x.1/0": 1}))
        plane.groups.told(GroupChanged("g", 6, "test/x.1/0", 2))
        assert groups.members("g") == []
        with await groups.monitor("g") as monitor:
            plane.groups.told(GroupChanged("g", 9, "test/x.1/0", 2))  # a gap: it asks anew
            await world.settle()
            groups.join("g")
            assert (await monitor.receive()).pid == process.pid()

    World.run(main)


@pytest.mark.parametrize("group", ["", "x" * 256, "a\nb", "ä" * 128])
def test_what_can_be_no_group_is_refused_everywhere(group: str) -> None:
    async def main(_world: World) -> None:
        for work in (groups.join, groups.leave, groups.members, groups.local_members):
            with pytest.raises(Invalid):
                work(group)
        with pytest.raises(Invalid):
            groups.broadcast(group, "t")
        with pytest.raises(Invalid):
            await groups.monitor(group)

    World.run(main)
