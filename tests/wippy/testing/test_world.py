"""`wippy.testing`: actors, their messages and their ends, and time that only the test moves."""

from __future__ import annotations

import asyncio
import datetime
import threading
from typing import Any

import pytest

from wippy import channel, funcs, process, sync, time
from wippy.core.messages import CodeRef
from wippy.core.reasons import Error, Killed, NoProcess, Normal, Shutdown, StartFailed
from wippy.errors import AlreadyExists, Exited, Invalid, MailboxFull, NotFound, Timeout, WippyError
from wippy.testing import BEGAN, Sent, Stuck, World


async def echo() -> None:
    async for message in process.inbox():
        if message.topic == "die":
            raise ValueError("told to")
        if message.reference:
            process.reply(message, message.payload)


async def waiter() -> None:
    await asyncio.Event().wait()


# --- messages -------------------------------------------------------------------------------------


def test_the_test_is_an_actor_that_calls_and_is_answered() -> None:
    async def main(world: World) -> Any:
        return process.pid(), await process.call(world.spawn(echo), "say", {"n": [1, b"x"]})

    assert World.run(main) == ("test/test:self.1/0", {"n": [1, b"x"]})


def test_every_message_is_captured_with_who_sent_what_to_whom() -> None:
    async def relay(target: str) -> None:
        for number in range(3):
            process.send(target, "number", number)
        process.send("app:db", "put", {"at": number})

    async def main(world: World) -> None:
        db = world.probe("app:db")
        pid = world.spawn(relay, world.me.pid)
        await world.ended(pid)
        numbers = [Sent(pid, world.me.pid, "number", n) for n in range(3)]
        assert world.sent_by(pid) == [*numbers, Sent(pid, db.pid, "put", {"at": 2})]
        assert world.sent_to(db.pid) == world.sent_by(pid)[3:]

    World.run(main)


def test_what_is_no_data_is_refused_as_in_a_node() -> None:
    async def main(world: World) -> None:
        pid = world.spawn(echo)
        with pytest.raises(TypeError, match=r'payload\["rows"\]\[0\]'):
            process.send(pid, "say", {"rows": [object()]})
        with pytest.raises(TypeError, match="tuple"):
            world.spawn(echo, (1, 2))

    World.run(main)


def test_a_receiver_that_takes_nothing_holds_its_sender_back() -> None:
    async def main(world: World) -> None:
        db = world.probe("app:db")
        for number in range(4096):
            process.send("app:db", "put", number)
        with pytest.raises(MailboxFull):
            process.send("app:db", "put", 4096)
        taken = [(await db.receive()).payload for _ in range(4096)]
        assert taken == list(range(4096))
        await process.ready("app:db")
        process.send("app:db", "put", "again")
        assert (await db.receive()).payload == "again"

    World.run(main)


def test_a_probe_answers_calls_and_speaks_for_itself() -> None:
    async def client() -> Any:
        return await process.call("app:db", "get", "k")

    async def main(world: World) -> None:
        db = world.probe("app:db")
        pid = world.spawn(client)
        asked = await db.receive()
        assert (asked.topic, asked.sender) == ("get", pid)
        db.reply(asked, 7)
        assert (await world.ended(pid)).value == 7
        listener = world.spawn(echo)
        assert await db.run(process.call(listener, "say", 1)) == 1
        assert world.sent_to(listener)[0].sender == db.pid
        db.send(world.me.pid, "hello")
        assert (await world.me.receive()).sender == db.pid

    World.run(main)


def test_a_message_to_a_service_that_is_not_there_is_held_and_then_a_dead_letter() -> None:
    async def main(world: World) -> None:
        process.send("app:db", "put", 1)
        await world.advance("1m")
        assert world.dead_letters == {"service not reached": 1}
        process.send("app:late", "put", 2)
        late = world.probe("app:late")
        await world.advance("1s")
        assert (await late.receive()).payload == 2

    World.run(main)


# --- ends -----------------------------------------------------------------------------------------


def test_how_an_actor_ended_is_known_with_its_value_or_its_error() -> None:
    async def three() -> int:
        return 3

    async def no_data() -> object:
        return object()

    async def main(world: World) -> None:
        good = await world.ended(world.spawn(three))
        assert (good.reason, good.value) == (Normal(), 3)
        assert "object" in (await world.ended(world.spawn(no_data))).problem
        pid = world.spawn(echo)
        process.send(pid, "die")
        bad = (await world.ended(pid)).reason
        assert isinstance(bad, Error)
        assert (bad.type, bad.message) == ("ValueError", "told to")
        assert "test_world.py" in bad.traceback
        assert await world.ended(pid) is world.exits[pid]
        missing = (await world.ended(world.spawn("app:nothing"))).reason
        assert isinstance(missing, StartFailed)
        assert "world.define" in missing.detail

    World.run(main)


def test_monitors_links_and_names_are_those_of_a_node() -> None:
    async def named() -> None:
        process.register("the one")
        await waiter()

    async def linked(peer: str) -> None:
        process.link(peer)
        process.send(peer, "linked")
        await waiter()

    async def main(world: World) -> None:
        first = world.spawn(named)
        await world.settle()
        assert process.lookup("the one") == first
        second = world.spawn(named)
        taken = (await world.ended(second)).reason
        assert isinstance(taken, Error)
        assert taken.type.endswith(AlreadyExists.__name__)
        victim = world.spawn(echo)
        tied = world.spawn(linked, victim)
        await world.settle()
        process.monitor(tied)
        process.monitor(first)
        process.send(victim, "die")
        down = await process.events().receive()
        assert (down.kind, down.sender) == (process.event.EXIT, tied)
        assert down.exit == world.exits[victim].reason
        process.terminate("the one")
        down = await process.events().receive()
        assert (down.sender, down.exit) == (first, Killed())
        assert process.lookup("the one") is None
        process.monitor(first)
        assert isinstance((await process.events().receive()).exit, NoProcess)

    World.run(main)


def test_an_actor_that_ends_before_it_replies_fails_the_call() -> None:
    async def main(world: World) -> None:
        with pytest.raises(Exited, match="told to"):
            await process.call(world.spawn(echo), "die")
        with pytest.raises(NotFound):
            await process.call("nobody", "say")

    World.run(main)


def test_a_cancelled_actor_has_its_deadline_in_virtual_time() -> None:
    async def obeys() -> None:
        async for event in process.events():
            assert event.kind == process.event.CANCEL
            assert 29 < event.left_s <= 30
            await time.sleep("29s")
            return

    async def main(world: World) -> None:
        good, bad = world.spawn(obeys), world.spawn(obeys)
        await world.settle()
        process.cancel(good, "enough", deadline_s=30)
        process.cancel(bad, "enough", deadline_s=30)
        await world.advance("28s")
        assert not world.exits
        process.cancel(bad, "now", deadline_s=0.5)
        await world.advance("500ms")
        assert world.exits[bad].reason == Killed()
        await world.advance("500ms")
        assert world.exits[good].reason == Shutdown()

    World.run(main)


# --- spawning -------------------------------------------------------------------------------------


def test_actors_spawn_others_by_the_ids_of_entries_in_pools_and_on_their_own() -> None:
    async def parent() -> list[Any]:
        own = await process.exec("app:child", "", 1)
        pooled = await process.exec("app:child", "app:pool", 2)
        with_name = process.with_options(name="kid", context={"user": "x"}, first=[("go", 1)])
        await with_name.exec("app:child", "", 3)
        return [own, pooled]

    async def child(number: int) -> list[Any]:
        return [number, process.values(), process.lookup("kid") == process.pid()]

    async def main(world: World) -> None:
        world.define("app:child", child)
        family = await world.ended(world.spawn(parent))
        assert family.value == [[1, {}, False], [2, {}, False]]
        slots = sorted(pid.split("/")[1] for pid in world.exits)
        assert slots[0].startswith("app:child~")
        assert "app:pool#1.1" in slots
        named = next(exit for exit in world.exits.values() if exit.value and 3 in exit.value)
        assert named.value == [3, {"user": "x"}, True]

    World.run(main)


def test_functions_are_fakes_that_the_test_gives() -> None:
    async def broken() -> None:
        raise ValueError("no such picture")

    async def caller() -> Any:
        return await funcs.call("app:add", 1, 2)

    async def main(world: World) -> None:
        world.function("app:add", lambda left, right: left + right)
        world.function("app:broken", broken)
        assert (await world.ended(world.spawn(caller))).value == 3
        with pytest.raises(WippyError, match="no such picture"):
            await funcs.call("app:broken")
        with pytest.raises(NotFound, match=r"world\.function"):
            await funcs.call("app:missing")

    World.run(main)


def test_code_of_an_entry_is_loaded_as_a_node_loads_it() -> None:
    text = "count = 0\ndef main(n):\n    global count\n    count += n\n    return count\n"

    async def main(world: World) -> None:
        world.define("app:counter", CodeRef(method="main", text=text, origin="app.yaml:3"))
        pids = [world.spawn("app:counter", 5) for _ in range(2)]
        assert [(await world.ended(pid)).value for pid in pids] == [5, 5]  # no shared globals

    World.run(main)


# --- time -----------------------------------------------------------------------------------------


def test_time_passes_only_when_the_test_says_so_and_then_at_once() -> None:
    ticks: list[float] = []

    async def main(world: World) -> None:
        began_s = time.monotonic_s()

        async def sleeper() -> str:
            await time.sleep("30m")
            await asyncio.sleep(1800)
            async with asyncio.timeout(3601):
                await time.after("1h").receive()
            return time.now().isoformat()

        async def ticker() -> None:
            async for _ in time.ticker("20m"):
                ticks.append(time.monotonic_s() - began_s)

        pid = world.spawn(sleeper)
        world.spawn(ticker)
        await world.advance("119m")
        assert pid not in world.exits
        await world.advance("1m")
        exit = world.exits[pid]
        assert exit.value == (BEGAN + datetime.timedelta(hours=2)).isoformat()
        assert ticks == pytest.approx([1200 * n for n in range(1, 7)])

    World.run(main)


def test_timeouts_of_calls_and_selects_are_virtual_and_come_in_their_order() -> None:
    happened: list[str] = []

    async def caller(target: str, timeout_s: float) -> None:
        try:
            await process.call(target, "q", timeout_s=timeout_s)
        except Timeout:
            happened.append(f"call {timeout_s:g}")

    async def selecting() -> None:
        chosen = await channel.select(channel.new().case_receive(), timeout="2s")
        assert chosen.index is channel.TIMEOUT
        happened.append("select 2")

    async def main(world: World) -> None:
        mute = world.probe()
        for timeout_s in (3.0, 1.0):
            world.spawn(caller, mute.pid, timeout_s)
        world.spawn(selecting)
        await world.advance("10s")
        assert happened == ["call 1", "select 2", "call 3"]

    World.run(main)


def test_a_thread_of_a_plain_def_sleeps_in_virtual_time_too() -> None:
    asleep = threading.Event()

    def plain() -> str:
        with pytest.raises(Timeout):
            sync.receive(timeout="10s")
        asleep.set()
        sync.sleep("1h")
        return sync.receive().topic

    async def main(world: World) -> None:
        pid = world.spawn(plain)
        while not asleep.is_set():
            await world.advance("10s")
        while pid not in world.exits:
            process.send(pid, "wake")
            await world.advance("1h")
        assert world.exits[pid].value == "wake"

    World.run(main)


# --- failing well ---------------------------------------------------------------------------------


def test_a_test_that_waits_for_what_never_comes_fails_at_once_and_says_where() -> None:
    async def main(world: World) -> None:
        await world.me.receive()

    with pytest.raises(
        Stuck, match=r"(?s)test_world\.py:\d+: await world\.me\.receive\(\).*no timer"
    ):
        World.run(main)


def test_a_test_that_forgot_to_advance_is_told_of_the_next_timer() -> None:
    async def sleeper() -> None:
        await time.sleep("5s")

    async def main(world: World) -> None:
        await world.ended(world.spawn(sleeper))

    with pytest.raises(Stuck, match=r"due in 5 s: await world\.advance"):
        World.run(main)


def test_an_assertion_that_fails_is_the_tests_and_nothing_is_left_running() -> None:
    ended: list[str] = []

    async def tidy() -> None:
        try:
            await waiter()
        finally:
            ended.append("tidied")

    async def main(world: World) -> None:
        world.spawn(tidy)
        await world.settle()
        raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine"):
        World.run(main)
    assert ended == ["tidied"]


def test_two_runs_of_one_test_go_the_same_way() -> None:
    async def main(world: World) -> list[tuple[str, Any]]:
        async def chatter(name: str, peer: str) -> None:
            for number in range(5):
                await time.sleep("10ms")
                process.send(peer, name, number)

        for name in "abc":
            world.spawn(chatter, name, world.me.pid)
        await world.advance("1s")
        return [(message.topic, message.payload) for message in world.sent]

    first = World.run(main)
    assert len(first) == 15
    assert all(World.run(main) == first for _ in range(5))


def test_a_service_that_is_there_is_not_made_again() -> None:
    async def main(world: World) -> None:
        world.probe("app:db")
        with pytest.raises(Invalid, match="is there already"):
            world.probe("app:db")
        with pytest.raises(Invalid, match="no entry id"):
            world.define("nonsense", echo)

    World.run(main)
