"""Bounds of the message plane, between real processes: many ends at once, many peers, nonsense."""

from __future__ import annotations

from actors_world import ActorsWorld

from wippy.core.messages import Ended
from wippy.core.reasons import Signal

WAIT = "async def main():\n    await asyncio.Event().wait()\n"
ACTORS = 3000


def test_every_monitor_of_a_killed_worker_gets_its_end_with_the_right_reason(
    world: ActorsWorld,
) -> None:
    """None may be lost because too many come at once: who waits for it would wait for ever."""
    worker = world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define("app:idle", "async def main(): await process.inbox().receive()\n")
    world.start_actor(
        "app:watcher",
        "async def main():\n"
        f"    left = {{process.spawn_monitored('app:idle', 'app:pool') for _ in range({ACTORS})}}\n"
        "    last = process.spawn('app:idle', 'app:pool')\n"
        "    process.set_options(trap_links=True)\n"
        "    process.link(last)\n"
        "    print('watching', flush=True)\n"
        "    events, reasons = process.events(), set()\n"
        "    while left:\n"
        "        event = await events.receive()\n"
        "        reasons.add(str(event.exit)); left.discard(event.sender)\n"
        "    print(reasons, flush=True)\n"
        "    await asyncio.Event().wait()\n",
    )
    world.wait_line("app:watcher", "watching")
    world.kill_child(worker)
    line = str({str(Signal(9))})
    assert world.wait_line("app:watcher", line) == ["watching", line]


def test_more_peers_than_zeromq_has_sockets_are_all_told_and_nobody_is_lost(
    world: ActorsWorld,
) -> None:
    """Most of them are not there: what was said to them are dead letters; who lives is reached."""
    world.start_actor(
        "app:real",
        "async def main():\n"
        "    async for message in process.inbox():\n"
        "        process.send(message.sender, 'got', message.payload)\n",
    )
    world.start_actor(
        "app:talker",
        "async def main():\n"
        "    for number in range(1500):\n"
        "        process.send(f'test/app:ghost{number}.1/0', 'anybody?')\n"
        "    process.send('app:real', 'hello', 1)\n"
        "    print('got', (await process.inbox().receive()).payload, flush=True)\n"
        "    process.monitor('test/app:ghost7.1/0')\n"
        "    print(type((await process.events().receive()).exit).__name__, flush=True)\n"
        "    await asyncio.Event().wait()\n",
    )
    assert world.wait_line("app:talker", "NoProcess") == ["got 1", "NoProcess"]
    assert not [frame for _, frame in world.frames if isinstance(frame, Ended)]


def test_a_flood_of_calls_is_held_back_and_each_call_has_its_answer_or_its_error(
    world: ActorsWorld,
) -> None:
    world.start_actor(
        "app:echo",
        "async def main():\n"
        "    async for message in process.inbox():\n"
        "        process.reply(message, message.payload)\n",
    )
    world.start_actor(
        "app:flooder",
        "from wippy.errors import MailboxFull\n"
        "async def ask(number):\n"
        "    while True:\n"
        "        try: return await process.call('app:echo', 'x', number, timeout_s=60) == number\n"
        "        except MailboxFull: await process.ready('app:echo')\n"
        "async def main():\n"
        "    answers = await asyncio.gather(*(ask(n) for n in range(20_000)))\n"
        "    print(len(answers), all(answers), flush=True)\n"
        "    await asyncio.Event().wait()\n",
    )
    assert world.wait_line("app:flooder", "20000 True") == ["20000 True"]


def test_a_process_without_descriptors_reaches_more_peers_than_it_can_be_connected_to(
    world: ActorsWorld,
) -> None:
    """Connections that are idle are given up, and made again: nothing is lost, and all of it comes
    in order."""
    workers = 30
    for number in range(1, workers + 1):
        world.start_worker("app:pool", number)
    world.define(
        "app:echo",
        "async def main():\n"
        "    async for message in process.inbox():\n"
        "        process.send(message.sender, 'echo', message.payload)\n",
    )
    for number in range(1, workers + 1):
        world.put_host(f"app:pool{number}", (f"app:pool#{number}", 1, 0))
    world.start_actor(
        "app:poor",
        "import resource\n"
        "async def main():\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))\n"
        f"    hosts = [f'app:pool{{n}}' for n in range(1, {workers + 1})]\n"
        "    pids = [process.spawn('app:echo', host) for host in hosts]\n"
        "    seen = {pid: [] for pid in pids}\n"
        "    for part in range(3):\n"
        "        for number in range(20 * part, 20 * part + 20):\n"
        "            for pid in pids: process.send(pid, 'n', number)\n"
        "        for _ in range(20 * len(pids)):\n"
        "            message = await process.inbox().receive()\n"
        "            seen[message.sender].append(message.payload)\n"
        "    print(all(it == list(range(60)) for it in seen.values()), flush=True)\n"
        "    await asyncio.Event().wait()\n",
    )
    assert world.wait_line("app:poor", "True") == ["True"]
