"""Plain `def` actors: they block their own thread, and a stop reaches them there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from actors_world import ActorsWorld

from wippy import channel, process, sync
from wippy.core.messages import Cancel, Ended
from wippy.core.reasons import Shutdown
from wippy.errors import Invalid, Timeout

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "sync.md"
HEAD = "from wippy import channel, errors, sync\n"
ECHO = "async def main():\n    async for it in process.inbox(): process.reply(it, it.payload)\n"
MUTE = "async def main():\n    await asyncio.Event().wait()\n"
BLOCKED = {
    "receive": "sync.receive()",
    "iteration": "next(sync.inbox())",
    "listen": "sync.listen('news').receive(timeout='1h')",
    "call": "sync.call('app:mute', 'ask', timeout='1h')",
    "exec": "sync.exec('app:waits', 'app:pool')",
    "sleep": "sync.sleep('1h')",
    "select": "sync.select(channel.new().case_receive())",
    "send_to": "sync.send_to(channel.new(), 1)",
    "receive_from": "sync.receive_from(channel.new())",
    "wait": "sync.wait(asyncio.sleep(3600))",
}
FULL = (
    "def main():\n"
    "    try:\n"
    "        while True: process.send('app:mute', 'noise')\n"
    "    except errors.MailboxFull: print('waiting', flush=True)\n"
    "    sync.ready('app:mute')\n"
)


@pytest.mark.parametrize("twin", BLOCKED)
def test_stop_ends_what_a_blocked_actor_waits_for(world: ActorsWorld, twin: str) -> None:
    world.start_actor("app:mute", MUTE)
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define("app:waits", MUTE)
    text = (
        "def main():\n"
        "    print('waiting', flush=True)\n"
        f"    try: {BLOCKED[twin]}\n"
        "    except errors.Cancelled as error:\n"
        "        print('first', error, flush=True)\n"
        "    try: sync.sleep('1h')\n"
        "    finally: print('second', flush=True)\n"
    )
    child = world.start_actor("app:it", HEAD + text)
    world.wait_line("app:it", "waiting")
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    world.wait(lambda: ("app:it", Ended(1, Shutdown())) in world.frames)
    said = "first test/app:it.1/0 is to stop, and so waits for nothing any more"
    assert world.lines("app:it") == ["waiting", said, "second"]


def test_stop_ends_waiting_for_room_in_a_mailbox(world: ActorsWorld) -> None:
    world.start_actor("app:mute", MUTE)
    child = world.start_actor("app:it", HEAD + FULL)
    world.wait_line("app:it", "waiting")
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    world.wait(lambda: ("app:it", Ended(1, Shutdown())) in world.frames)


def test_actor_that_reads_its_events_is_not_interrupted(world: ActorsWorld) -> None:
    text = (
        "def main():\n"
        "    events = process.events()\n"
        "    print('waiting', flush=True)\n"
        "    print(next(events).kind, flush=True)\n"
        "    print(sync.call('app:echo', 'ask', 'still here'), flush=True)\n"
    )
    world.start_actor("app:echo", ECHO)
    child = world.start_actor("app:it", HEAD + text)
    world.wait_line("app:it", "waiting")
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    assert world.lines("app:it") == ["waiting", "cancel", "still here"]


def test_terminated_actor_of_a_pool_is_freed_from_its_wait(world: ActorsWorld) -> None:
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define(
        "app:blocked",
        HEAD
        + "def main(boss):\n"
        + "    process.send(boss, 'blocked')\n"
        + "    try: sync.receive()\n"
        + "    finally: process.send(boss, 'freed')\n",
    )
    text = (
        "def main():\n"
        "    pid = process.spawn('app:blocked', 'app:pool', process.pid())\n"
        "    print(sync.receive().topic, flush=True)\n"
        "    process.terminate(pid)\n"
        "    print(sync.receive().topic, flush=True)\n"
    )
    world.start_actor("app:it", HEAD + text).status()
    assert world.lines("app:it") == ["blocked", "freed"]


def test_plain_actors_call_send_and_receive(world: ActorsWorld) -> None:
    world.start_actor(
        "app:echo",
        HEAD + "def main():\n    for it in sync.inbox(): process.reply(it, it.payload * 2)\n",
    )
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define("app:adds", "def main(a, b): return a + b\n")
    text = (
        "def main():\n"
        "    print([sync.call('app:echo', 'ask', n) for n in (1, 2, 3)])\n"
        "    print(sync.exec('app:adds', 'app:pool', 2, 3))\n"
        "    print(sync.wait(process.with_options(name='n').exec('app:adds', 'app:pool', 4, 1)))\n"
        "    print(failure(lambda: sync.receive(timeout='1ms')))\n"
        "    print(failure(lambda: sync.call(process.pid(), 'ask')))\n"
        "    print(failure(lambda: sync.call('app:nobody', 'ask')))\n"
        "    print(failure(lambda: sync.exec('app:unknown', 'app:pool')))\n"
        "    sync.ready('app:echo')\n"
        "    process.send(process.pid(), 'self', 1)\n"
        "    process.send(process.pid(), 'self', 2)\n"
        "    print(sync.receive().payload, sync.receive(timeout=60).payload)\n"
        "def failure(work):\n"
        "    try: work()\n"
        "    except errors.WippyError as error: return type(error).__name__\n"
    )
    assert world.start_actor("app:it", HEAD + text).status() == 0
    expected = ["[2, 4, 6]", "5", "5", "Timeout", "Invalid", "NotFound", "Exited", "1 2"]
    assert world.lines("app:it") == expected


def test_time_out_loses_no_message(world: ActorsWorld) -> None:
    text = (
        "def main():\n"
        "    seen = []\n"
        "    while len(seen) < 2000:\n"
        "        try: seen.append(sync.receive(timeout=0 if len(seen) % 2 else '50us').payload)\n"
        "        except errors.Timeout: pass\n"
        "    print('whole' if seen == list(range(2000)) else seen, flush=True)\n"
    )
    child = world.start_actor("app:it", HEAD + text)
    world.start_actor(
        "app:sender",
        "async def main():\n"
        "    for n in range(2000):\n"
        "        process.send('app:it', 'n', n)\n"
        "        if n % 7 == 0: await asyncio.sleep(0)\n"
        "    await asyncio.Event().wait()\n",
    )
    assert child.status() == 0
    assert world.lines("app:it") == ["whole"]


def test_the_example_of_the_guide_prints_what_it_says(world: ActorsWorld) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    printed = re.findall(r"^ *# -> (.*)$", example, re.MULTILINE)
    world.start_actor("app:shop", f"{example}\nmain = shop\n", {"tea": 3})
    child = world.start_actor("app:it", example)
    world.wait_line("app:it", printed[-2])
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    assert world.lines("app:it") == printed


# --- without a process of its own -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("twin", "instead"),
    [
        (lambda: sync.call("app:x", "ask"), "await process.call"),
        (lambda: sync.exec("app:x"), "await process.exec"),
        (lambda: sync.ready("app:x"), "await process.ready"),
        (lambda: sync.sleep(1), "await time.sleep"),
        (lambda: sync.select(timeout=1), "await channel.select"),
        (lambda: sync.send_to(channel.new(1), 1), "await ch.send"),
        (lambda: sync.receive_from(channel.new()), "await ch.receive"),
        (lambda: sync.wait(process.ready("app:x")), "await ..."),
    ],
)
def test_twin_on_the_thread_of_the_loop_says_what_to_write_instead(
    twin: object, instead: str
) -> None:
    async def main() -> None:
        twin()  # type: ignore[operator]

    with pytest.raises(Invalid, match=f"write '{instead}"):
        asyncio.run(main())


def test_inbox_on_the_thread_of_the_loop_says_what_to_write_instead(world: ActorsWorld) -> None:
    text = (
        "async def main():\n"
        "    for twin in (sync.receive, lambda: next(sync.inbox())):\n"
        "        try: twin()\n"
        "        except errors.Invalid as error: print(error)\n"
    )
    world.start_actor("app:it", HEAD + text).status()
    assert world.lines("app:it") == [
        "this would block the event loop: write 'await process.inbox().receive()'",
        "this would block the event loop: write 'async for message in process.inbox()'",
    ]


def test_channels_and_time_need_no_actor() -> None:
    line = channel.new(1)
    sync.send_to(line, "one")
    with pytest.raises(Timeout, match="nobody received within 1ms"):
        sync.send_to(line, "two", timeout="1ms")
    assert sync.receive_from(line) == "one"
    with pytest.raises(Timeout, match="nothing came within 0"):
        sync.receive_from(line, timeout=0)
    assert sync.select(line.case_receive(), default="none").value == "none"
    sync.sleep("1ms")
    line.close()
    with pytest.raises(channel.Closed):
        sync.receive_from(line)


def test_waiting_for_others_needs_an_actor() -> None:
    with pytest.raises(Invalid, match="not inside an actor"):
        sync.call("app:x", "ask")
