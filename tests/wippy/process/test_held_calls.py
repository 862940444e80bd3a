"""Calls of services that are down, and what may not be sent at all."""

from __future__ import annotations

from actors_world import ActorsWorld

from wippy.core.directory import Address, known_key
from wippy.core.reasons import Signal

ANSWERS = """
async def main(word):
    async for message in process.inbox(): process.reply(message, word)
"""
CALLS = """
async def main(timeout_s):
    print('calling', flush=True)
    try: print(await process.call('app:shop', 'price', timeout_s=timeout_s), flush=True)
    except Exception as error: print(type(error).__name__, error, flush=True)
    await process.inbox().receive()
"""


def test_call_of_a_service_that_is_being_restarted_waits_for_it(world: ActorsWorld) -> None:
    first = world.start_actor("app:shop", ANSWERS, "first")
    world.put(known_key("app:shop"), Address("test/app:shop.1/0", 1))
    world.kill_child(first, Signal(9))
    world.start_actor("app:it", CALLS, 60.0)
    world.wait_line("app:it", "calling")
    world.start_actor("app:shop", ANSWERS, "second", generation=2)
    assert world.wait_line("app:it", "second") == ["calling", "second"]


def test_call_of_a_service_that_does_not_come_back_times_out(world: ActorsWorld) -> None:
    world.put(known_key("app:shop"), Address("test/app:shop.1/0", 1))
    world.start_actor("app:it", CALLS, 0.05)
    world.wait_line("app:it", "Timeout app:shop is not back within 0.05 s")


def test_call_of_an_unknown_id_is_an_error_at_once(world: ActorsWorld) -> None:
    world.start_actor("app:it", CALLS, 3600.0)
    world.wait_line("app:it", "NotFound app:shop cannot be reached: it is not running")


def test_calls_that_are_held_are_bounded(world: ActorsWorld) -> None:
    world.put(known_key("app:shop"), Address("test/app:shop.1/0", 1))
    text = (
        "async def main():\n"
        "    big = 'x' * 1_000_000\n"
        "    tasks = [asyncio.create_task(process.call('app:shop', 'keep', big, timeout_s=3600))"
        " for _ in range(6)]\n"
        "    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)\n"
        "    print([type(it.exception()).__name__ for it in done], flush=True)\n"
    )
    world.start_actor("app:it", text)
    world.wait_line("app:it", "['MailboxFull']")


def test_what_cannot_be_sent_has_an_error_that_says_why_and_where(world: ActorsWorld) -> None:
    text = (
        "import socket\n"
        "def said(work):\n"
        "    try: work()\n"
        "    except Exception as error: print(type(error).__name__, error, flush=True)\n"
        "async def main():\n"
        "    me, end = process.pid(), socket.socket()\n"
        "    said(lambda: process.send(me, 'x', {'rows': [1, 2, 3, end]}))\n"
        "    said(lambda: process.send(me, '@x'))\n"
        "    said(lambda: process.send('nobody', 'x'))\n"
        "    try: await process.call(me, 'x')\n"
        "    except Exception as error: print(type(error).__name__, error, flush=True)\n"
        "    process.send(me, 'x', 'from myself')\n"
        "    print((await process.inbox().receive()).payload, flush=True)\n"
    )
    world.start_actor("app:it", text)
    assert world.wait_line("app:it", "from myself") == [
        'TypeError payload["rows"][3]: a socket object',
        "Invalid '@x': topics that begin with '@' are the runtime's own",
        "NotFound nobody has registered the name 'nobody'",
        "Invalid an actor that calls itself would wait for ever",
        "from myself",
    ]
