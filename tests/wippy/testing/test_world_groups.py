"""Groups and the observation bus in a test without a supervisor: as in a node."""

from __future__ import annotations

import asyncio

import pytest

from wippy import events, groups, process
from wippy.core.channels import Closed
from wippy.core.reasons import Killed
from wippy.errors import Invalid, NotFound
from wippy.testing import BEGAN, Sent, World


async def cache() -> None:
    groups.join("caches")
    async for message in process.inbox():
        if message.topic == "leave":
            groups.leave("caches")


# --- groups ---------------------------------------------------------------------------------------


def test_members_are_seen_by_all_processes_and_a_broadcast_reaches_each_once() -> None:
    async def main(world: World) -> None:
        world.define("app:cache", cache)
        pids = [world.spawn(cache), process.spawn("app:cache"), process.spawn("app:cache")]
        await world.settle()
        assert sorted(groups.members("caches")) == sorted(pids)
        assert groups.local_members("caches") == []
        groups.join("caches")
        groups.join("caches")
        assert groups.members("caches").count(process.pid()) == 2
        assert groups.broadcast("caches", "forget", {"key": 7}) == []
        assert (await world.me.receive()).payload == {"key": 7}
        await world.settle()
        sent = [Sent(process.pid(), pid, "forget", {"key": 7}) for pid in [*pids, process.pid()]]
        assert sorted(world.sent, key=str) == sorted(sent, key=str)
        assert world.dead_letters == {}

    World.run(main)


def test_a_monitor_sees_every_join_and_leave_in_order_and_a_dead_one_leaves_by_itself() -> None:
    async def main(world: World) -> None:
        with await groups.monitor("caches") as monitor:
            assert monitor.members == []
            world.define("app:cache", cache)
            first, second = world.spawn(cache), process.spawn_monitored("app:cache")
            seen = {(await monitor.receive()).pid, (await monitor.receive()).pid}
            assert seen == {first, second}
            process.send(first, "leave")
            event = await monitor.receive()
            assert (event.kind, event.pid) == (groups.LEAVE, first)
            process.terminate(second)
            event = await monitor.receive()
            assert (event.kind, event.pid) == (groups.LEAVE, second)
            assert groups.members("caches") == []
            down = await process.events().receive()
            assert (down.sender, down.exit) == (second, Killed())
        with pytest.raises(Closed):
            await monitor.receive()

    World.run(main)


def test_a_member_is_in_no_group_when_its_end_is_told_and_no_time_passes_for_it() -> None:
    async def member() -> None:
        groups.join("short")
        await process.inbox().receive()

    async def main(world: World) -> None:
        pid = world.spawn(member)
        process.monitor(pid)
        await world.settle()
        assert groups.members("short") == [pid]
        began_s = world.loop.time()
        process.send(pid, "go")
        await process.events().receive()
        assert groups.members("short") == []
        assert world.loop.time() == began_s

    World.run(main)


def test_a_monitor_begins_with_who_is_there_and_probes_are_members_like_others() -> None:
    async def main(world: World) -> None:
        db = world.probe("app:db")
        await db.run(_join("stores", times=2))
        await world.settle()
        monitor = await groups.monitor("stores")
        assert monitor.members == [db.pid, db.pid]
        groups.broadcast("stores", "flush")
        assert (await db.receive()).topic == "flush"
        with pytest.raises(Invalid):
            groups.join("")

    World.run(main)


async def _join(group: str, *, times: int) -> None:
    for _ in range(times):
        groups.join(group)


# --- the observation bus --------------------------------------------------------------------------


def test_what_is_published_reaches_who_wants_it_in_every_process() -> None:
    async def watcher(test: str) -> list[object]:
        with events.subscribe("shop.*") as shop:
            await shop.ready()
            process.send(test, "ready")
            event = await shop.receive()
            return [event.topic, event.payload, event.sender, event.at_s]

    async def main(world: World) -> None:
        pid = world.spawn(watcher, world.me.pid)
        await world.me.receive()
        with events.subscribe("shop.**", size=1) as own:
            events.publish("weather.rain")
            events.publish("shop.paid", {"id": 1})
            events.publish("shop.orders.paid", 2)
            seen = await own.receive()
            assert (seen.topic, seen.payload, own.dropped) == ("shop.orders.paid", 2, 1)
        expected = ["shop.paid", {"id": 1}, process.pid(), BEGAN.timestamp()]
        assert (await world.ended(pid)).value == expected
        events.publish("shop.closed")  # nobody is left who would want it

    World.run(main)


def test_a_subscription_ends_with_its_actor_and_leaves_nothing_behind() -> None:
    async def watcher() -> None:
        events.subscribe("**")
        await process.inbox().receive()

    async def main(world: World) -> None:
        world.define("app:watcher", watcher)
        pooled, own = world.spawn(watcher), process.spawn("app:watcher")
        await world.settle()
        for pid in (pooled, own):
            process.send(pid, "go")
            await world.ended(pid)
        await world.settle()
        events.publish("any.thing")
        await world.settle()
        assert world.dead_letters == {}

    World.run(main)


def test_facts_of_the_runtime_are_what_the_test_says_has_happened() -> None:
    async def main(world: World) -> None:
        with events.subscribe("wippy.*") as facts:
            await facts.ready()
            world.happen("exited", {"id": "app:db"})
            world.happen("ready", {"id": "app:db"})
            seen = [await facts.receive(), await facts.receive()]
            assert [it.topic for it in seen] == ["wippy.exited", "wippy.ready"]
            assert seen[0].payload == {"kind": "exited", "id": "app:db"}
            assert (seen[0].sender, seen[0].at_s, facts.dropped) == ("", BEGAN.timestamp(), 0)
        with pytest.raises(Invalid):
            events.publish("wippy.exited")

    World.run(main)


# --- services that come back ----------------------------------------------------------------------


def test_a_call_of_a_service_that_was_there_waits_for_it_and_of_another_does_not() -> None:
    async def echo() -> None:
        message = await process.inbox().receive()
        process.reply(message, message.payload)

    async def main(world: World) -> None:
        with pytest.raises(NotFound):
            await process.call("app:never", "say")
        first = world.spawn(echo, service="app:echo")
        assert await process.call("app:echo", "say", 1) == 1
        await world.ended(first)
        waiting = asyncio.create_task(process.call("app:echo", "say", 2))
        await world.advance("100ms")
        world.spawn(echo, service="app:echo")
        await world.advance("1s")
        assert await waiting == 2

    World.run(main)
