"""Inboxes, topics and events in a select; and plain `def` actors freed from them by an end."""

from __future__ import annotations

import pytest
from actors_world import ActorsWorld

from wippy.core.messages import Cancel, Ended
from wippy.core.reasons import Shutdown

HEAD = "from wippy import channel, errors, sync\n"
SENDS = """
async def main(target):
    process.send(target, 'plain', 1)
    process.send(target, 'news', 2)
    process.send(target, 'plain', 3)
    print('sent', flush=True)
"""
TAKES = """
    inbox, news, ch = process.inbox(), process.listen('news'), channel.new(1)
    ch.send_nowait('from the channel')
    cases = [inbox.case_receive(), news.case_receive(), ch.case_receive()]
    seen = []
    while len(seen) < 4:
        chosen = {wait}select(*cases, timeout='60s')
        assert chosen.channel in (inbox, news, ch), chosen
        seen.append((chosen.index, getattr(chosen.value, 'payload', chosen.value)))
    print(sorted(seen, key=str), flush=True)
    print({wait}select(*cases, default='nothing'), flush=True)
"""
WAITING = {
    "an inbox": "next(process.inbox())",
    "a topic": "next(process.listen('news'))",
    "events": "next(process.events())",
    "a select": "sync.select(process.inbox().case_receive(), process.events().case_receive())",
    "a twin": "sync.receive()",
}


@pytest.mark.parametrize(("keyword", "wait"), [("async def", "await channel."), ("def", "sync.")])
def test_select_takes_from_inbox_topic_and_channel(
    world: ActorsWorld, keyword: str, wait: str
) -> None:
    world.start_actor("app:it", HEAD + f"{keyword} main():\n" + TAKES.replace("{wait}", wait))
    world.start_actor("app:sender", SENDS, "test/app:it.1/0")
    lines = world.wait_line("app:it", "[(0, 1), (0, 3), (1, 2), (2, 'from the channel')]")
    world.wait(lambda: any(name == "app:it" and isinstance(it, Ended) for name, it in world.frames))
    lines = world.lines("app:it")
    assert lines[1] == "Selected(index=-1, channel=None, value='nothing', ok=True)"


def test_select_that_is_cancelled_loses_no_message_and_no_event(world: ActorsWorld) -> None:
    text = (
        "async def main():\n"
        "    inbox, events = process.inbox(), process.events()\n"
        "    mine = process.pid()\n"
        "    async def chooses():\n"
        "        return await channel.select(inbox.case_receive(), events.case_receive())\n"
        "    seen = []\n"
        "    for number in range(200):\n"
        "        task = asyncio.create_task(chooses())\n"
        "        await asyncio.sleep(0)\n"
        "        process.send(mine, 'n', number)\n"
        "        for _ in range(number % 5): await asyncio.sleep(0)\n"
        "        task.cancel()\n"
        "        try: seen.append((await task).value.payload)\n"
        "        except asyncio.CancelledError: pass\n"
        "    while len(seen) < 200: seen.append((await chooses()).value.payload)\n"
        "    print('all' if sorted(seen) == list(range(200)) else seen, flush=True)\n"
        "    print('ordered' if seen == sorted(seen) else seen, flush=True)\n"
    )
    world.start_actor("app:it", HEAD + text)
    assert world.wait_line("app:it", "ordered") == ["all", "ordered"]


def test_messages_given_back_come_first_and_in_their_order(world: ActorsWorld) -> None:
    text = (
        "async def main():\n"
        "    inbox, mine = process.inbox(), process.pid()\n"
        "    tasks = [asyncio.create_task(channel.select(inbox.case_receive()))\n"
        "             for _ in range(3)]\n"
        "    await asyncio.sleep(0)\n"
        "    for number in range(5): process.send(mine, 'n', number)\n"
        "    while not inbox.box.source._tickets: await asyncio.sleep(0)\n"
        "    for task in reversed(tasks): task.cancel()\n"
        "    ends = await asyncio.gather(*tasks, return_exceptions=True)\n"
        "    print([type(end).__name__ for end in ends], flush=True)\n"
        "    print([(await inbox.receive()).payload for _ in range(5)], flush=True)\n"
    )
    world.start_actor("app:it", HEAD + text)
    lines = world.wait_line("app:it", "[0, 1, 2, 3, 4]")
    assert lines[0] == str(["CancelledError"] * 3)


def test_selects_that_go_elsewhere_leave_nothing_behind_in_the_inbox(world: ActorsWorld) -> None:
    text = (
        "async def main():\n"
        "    inbox, ch = process.inbox(), channel.new(1)\n"
        "    for number in range(5000):\n"
        "        asyncio.get_running_loop().call_soon(ch.send_nowait, number)\n"
        "        await channel.select(inbox.case_receive(), ch.case_receive())\n"
        "    source = inbox.box.source\n"
        "    print(len(inbox.box.wakers), len(source._line) < 100, flush=True)\n"
    )
    world.start_actor("app:it", HEAD + text)
    world.wait_line("app:it", "1 True")


@pytest.mark.parametrize("where", WAITING)
def test_link_ends_what_a_plain_actor_waits_for(world: ActorsWorld, where: str) -> None:
    world.start_actor(
        "app:it",
        HEAD
        + "def main():\n"
        + "    print('waiting', flush=True)\n"
        + f"    try: {WAITING[where]}\n"
        + "    finally: print('freed', flush=True)\n",
    )
    world.wait_line("app:it", "waiting")
    world.start_actor(
        "app:other",
        "async def main():\n    process.link('app:it')\n    raise ValueError('broken')\n",
    )
    world.wait_line("app:it", "freed")
    world.wait(lambda: any(name == "app:it" and isinstance(it, Ended) for name, it in world.frames))
    ended = next(it for name, it in world.frames if name == "app:it" and isinstance(it, Ended))
    assert getattr(ended.reason, "message", "") == "broken"


@pytest.mark.parametrize("where", ["an inbox", "a topic", "a twin"])
def test_stop_ends_what_a_plain_actor_waits_for(world: ActorsWorld, where: str) -> None:
    child = world.start_actor(
        "app:it",
        HEAD
        + "def main():\n"
        + "    print('waiting', flush=True)\n"
        + f"    try: {WAITING[where]}\n"
        + "    except errors.Cancelled as error: print('freed', error, flush=True)\n",
    )
    world.wait_line("app:it", "waiting")
    child.tell(Cancel("enough", 60.0))
    assert child.status() == 0
    world.wait(lambda: ("app:it", Ended(1, Shutdown())) in world.frames)
    freed = "freed test/app:it.1/0 is to stop, and so waits for nothing any more"
    assert world.lines("app:it") == ["waiting", freed]
