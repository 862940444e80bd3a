"""Ends, kills and garbage: what the others notice, and what they do not."""

from __future__ import annotations

import zmq
from actors_world import ActorsWorld

from wippy.core import framing, wire
from wippy.core.ids import socket_name
from wippy.core.messages import WatchProcess
from wippy.core.payload import encode
from wippy.core.reasons import NoProcess, Signal

WAIT = "async def main():\n    await asyncio.Event().wait()\n"


def push(world: ActorsWorld, slot: str, *frames: bytes) -> None:
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.connect(f"ipc://{world.message_dir}/{socket_name(slot, 1)}")
    for frame in frames:
        socket.send(frame)
    socket.close(linger=10_000)
    context.term()


def forged(to_generation: int, target: int, text: str, *, cost: int = 1) -> bytes:
    run = framing.whole_run(framing.run_head(target, 7, "forged"), [encode(text)], cost)
    return framing.whole_frame(framing.frame_head(to_generation, "test", "app:x", 1), [run])


def test_garbage_and_forged_generations_are_dropped_and_counted(world: ActorsWorld) -> None:
    world.start_actor(
        "app:target",
        "from wippy.runtime.context import current\n"
        "async def main():\n"
        "    async for message in process.inbox():\n"
        "        letters = dict(sorted(current().plane.dead_letters.items()))\n"
        "        print(message.payload, letters, flush=True)\n",
    )
    good = forged(1, 0, "last")
    deep = b"\x91" * 100_000
    push(
        world,
        "app:target",
        b"",
        b"\xc1",
        b"garbage" * 1000,
        deep,
        good[:-3],
        forged(2, 0, "other generation"),
        forged(1, 99, "no such actor"),
        forged(1, 0, "cost is a lie", cost=0),
        good,
    )
    expected = (
        "last {'malformed': 5, 'no such actor': 1, 'window ignored': 1, 'wrong generation': 1}"
    )
    world.wait_line("app:target", expected)


def test_killed_process_is_an_exit_event_and_an_error_of_its_calls(world: ActorsWorld) -> None:
    victim = world.start_actor("app:victim", WAIT)
    world.start_actor(
        "app:watcher",
        "async def main():\n"
        "    process.monitor('app:victim'); process.monitor('app:victim')\n"
        "    print('watching', flush=True)\n"
        "    try: await process.call('app:victim', 'ask', timeout_s=60)\n"
        "    except Exception as error: print(type(error).__name__, error.reason, flush=True)\n"
        "    for _ in range(2):\n"
        "        event = await process.events().receive()\n"
        "        print(event.kind, event.exit, event.sender, flush=True)\n"
        "    process.monitor('test/app:victim.1/0')\n"
        "    print((await process.events().receive()).exit, flush=True)\n"
        "    process.send('test/app:victim.1/0', 'to', 'nobody')\n"
        "    await asyncio.Event().wait()\n",
    )
    world.wait_line("app:watcher", "watching")
    world.wait(lambda: any(isinstance(it, WatchProcess) for _, it in world.frames))
    world.kill_child(victim)
    lines = world.wait_line("app:watcher", str(NoProcess()))
    exit_line = f"exit {Signal(9)} test/app:victim.1/0"
    assert lines == ["watching", f"Exited {Signal(9)}", exit_line, exit_line, str(NoProcess())]


def test_linked_actor_ends_with_the_same_reason_unless_it_traps(world: ActorsWorld) -> None:
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define("app:fails", "async def main():\n    raise ValueError('broken')\n")
    world.define(
        "app:parent",
        "async def main():\n"
        "    process.spawn_linked('app:fails', 'app:pool')\n"
        "    await asyncio.Event().wait()\n",
    )
    world.start_actor(
        "app:grandparent",
        "async def main():\n"
        "    process.set_options(trap_links=True)\n"
        "    process.spawn_linked('app:parent', 'app:pool')\n"
        "    event = await process.events().receive()\n"
        "    print(event.kind, event.exit.type, event.exit.message, flush=True)\n"
        "    await asyncio.Event().wait()\n",
    )
    world.wait_line("app:grandparent", "link_down ValueError broken")


def test_slow_receiver_holds_its_sender_back_at_the_window(world: ActorsWorld) -> None:
    world.start_actor("app:deaf", WAIT)
    world.start_actor(
        "app:sender",
        "from wippy.errors import MailboxFull\n"
        "async def main():\n"
        "    count = 0\n"
        "    try:\n"
        "        while True:\n"
        "            process.send('app:deaf', 'noise', count); count += 1\n"
        "            if count % 100 == 0: await asyncio.sleep(0)\n"
        "    except MailboxFull: print('full at', count, flush=True)\n"
        "    await asyncio.Event().wait()\n",
    )
    world.wait_line("app:sender", f"full at {wire.WINDOW_UNITS}")


def test_messages_for_a_service_that_restarts_wait_for_its_next_generation(
    world: ActorsWorld,
) -> None:
    echo = (
        "async def main():\n"
        "    async for message in process.inbox():\n"
        "        process.send(message.sender, 'echo', [process.pid(), message.payload])\n"
    )
    first = world.start_actor("app:echo", echo)
    world.start_actor(
        "app:asker",
        "async def main():\n"
        "    process.monitor('app:echo'); inbox = process.inbox()\n"
        "    process.send('app:echo', 'ask', 1); print(await text(inbox), flush=True)\n"
        "    await process.events().receive()\n"
        "    for n in (2, 3): process.send('app:echo', 'ask', n)\n"
        "    print('held', flush=True)\n"
        "    for n in (2, 3): print(await text(inbox), flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "async def text(inbox): return (await inbox.receive()).payload\n",
    )
    world.wait_line("app:asker", "['test/app:echo.1/0', 1]")
    world.kill_child(first)
    world.wait_line("app:asker", "held")
    world.start_actor("app:echo", echo, generation=2)
    lines = world.wait_line("app:asker", "['test/app:echo.2/0', 3]")
    assert lines[-2] == "['test/app:echo.2/0', 2]"


def test_after_the_exit_of_a_sender_nothing_more_of_it_is_delivered(world: ActorsWorld) -> None:
    world.start_actor(
        "app:counter",
        "async def main():\n"
        "    last = -1\n"
        "    asyncio.create_task(watch())\n"
        "    async for message in process.inbox():\n"
        "        if message.topic == 'here':\n"
        "            process.monitor(message.sender); continue\n"
        "        assert message.payload == last + 1, (message, last)\n"
        "        last = message.payload\n"
        "        if last == 20_000: print('many', flush=True)\n"
        "async def watch():\n"
        "    from wippy.runtime.context import current\n"
        "    await process.events().receive()\n"
        "    received = current().plane.received\n"
        "    for _ in range(200): await asyncio.sleep(0)\n"
        "    print('exact' if received == current().plane.received else 'more', flush=True)\n",
    )
    sender = world.start_actor(
        "app:sender",
        "async def main():\n"
        "    process.send('app:counter', 'here'); n = 0\n"
        "    while True:\n"
        "        await process.ready('app:counter')\n"
        "        process.send('app:counter', 'n', n); n += 1\n"
        "        if n % 50 == 0: await asyncio.sleep(0)\n",
    )
    world.wait_line("app:counter", "many")
    world.kill_child(sender)
    assert world.wait_line("app:counter", "exact") == ["many", "exact"]


def test_names_are_found_taken_and_freed_before_the_end_is_told(world: ActorsWorld) -> None:
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define(
        "app:named",
        "async def main():\n    await process.inbox().receive()\n",
    )
    world.start_actor(
        "app:user",
        "from wippy.errors import AlreadyExists\n"
        "async def main():\n"
        "    child = process.with_options(name='boss').spawn_monitored('app:named', 'app:pool')\n"
        "    while process.lookup('boss') != child: await asyncio.sleep(0.001)\n"
        "    try: process.register('boss')\n"
        "    except AlreadyExists: print('taken', flush=True)\n"
        "    process.send('boss', 'go')\n"
        "    await process.events().receive()\n"
        "    print(process.lookup('boss'), flush=True)\n"
        "    await asyncio.Event().wait()\n",
    )
    assert world.wait_line("app:user", "None") == ["taken", "None"]
