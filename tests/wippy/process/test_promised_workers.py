"""Spawns into a pool that has no worker yet."""

from __future__ import annotations

from actors_world import ActorsWorld

from wippy.core import messages

ECHO = (
    "async def main(word):\n"
    "    async for message in process.inbox():\n"
    "        process.send(message.sender, 'echo', [word, message.payload])\n"
)
DRIVER = (
    "async def main():\n"
    "    inbox, events = process.inbox(), process.events()\n"
    "    while True:\n"
    "        one = process.spawn_monitored('app:echo', 'app:pool', 'a')\n"
    "        for number in range(3):\n"
    "            process.send(one, 'say', number)\n"
    "        print('spawned', one.rpartition('/')[0], flush=True)\n"
    "        answer, end = asyncio.create_task(inbox.receive()), asyncio.create_task(\n"
    "            events.receive())\n"
    "        await asyncio.wait([answer, end], return_when='FIRST_COMPLETED')\n"
    "        if end.done():\n"
    "            print('ended', type(end.result().exit).__name__, flush=True)\n"
    "            answer.cancel()\n"
    "            await inbox.receive()  # the test says when to try again\n"
    "            continue\n"
    "        got = [answer.result(), await inbox.receive(), await inbox.receive()]\n"
    "        print([it.payload for it in got], {it.sender for it in got} == {one}, flush=True)\n"
    "        await asyncio.Event().wait()\n"
)
POKE = "async def main():\n    process.send('app:driver', 'again')\n"


def _is_wanted(world: ActorsWorld) -> bool:
    return any(isinstance(frame, messages.WantWorker) for _, frame in world.frames)


def test_a_spawn_before_the_first_worker_is_held_with_all_that_is_said_after_it(
    world: ActorsWorld,
) -> None:
    world.define("app:echo", ECHO)
    world.promise_host("app:pool", ("app:pool#1", 1, 0))
    world.start_actor("app:driver", DRIVER)
    world.wait_line("app:driver", "spawned test/app:pool#1.1")
    world.wait(lambda: _is_wanted(world))
    assert not any(isinstance(frame, messages.SpawnProcess) for _, frame in world.frames)
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.promise_host("app:pool")
    world.wait_line("app:driver", "[['a', 0], ['a', 1], ['a', 2]] True")


def test_a_worker_that_fails_to_come_is_the_end_of_what_was_spawned_there(
    world: ActorsWorld,
) -> None:
    """And who spawns again has the next one, under the same name or another."""
    world.define("app:echo", ECHO)
    world.promise_host("app:pool", ("app:pool#1", 1, 0))
    world.start_actor("app:driver", DRIVER)
    world.wait_line("app:driver", "spawned test/app:pool#1.1")
    world.promise_host("app:pool", ("app:pool#1", 2, 0))
    world.wait_line("app:driver", "ended StartFailed")
    world.start_actor("app:poke", POKE)
    world.wait_line("app:driver", "spawned test/app:pool#1.2")
    world.start_worker("app:pool", generation=2)
    world.put_host("app:pool", ("app:pool#1", 2, 0))
    world.promise_host("app:pool")
    world.wait_line("app:driver", "[['a', 0], ['a', 1], ['a', 2]] True")


def test_a_worker_that_was_given_up_may_still_come(world: ActorsWorld) -> None:
    world.define("app:echo", ECHO)
    world.promise_host("app:pool", ("app:pool#1", 1, 0))
    world.start_actor("app:driver", DRIVER)
    world.wait_line("app:driver", "spawned test/app:pool#1.1")
    world.promise_host("app:pool")
    world.wait_line("app:driver", "ended StartFailed")
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.start_actor("app:poke", POKE)
    world.wait_line("app:driver", "[['a', 0], ['a', 1], ['a', 2]] True")


def test_who_was_promised_the_slower_of_two_workers_waits_for_that_one(world: ActorsWorld) -> None:
    world.define("app:echo", ECHO)
    world.promise_host("app:pool", ("app:pool#1", 1, 0), ("app:pool#2", 1, 0))
    world.start_actor("app:driver", DRIVER)
    world.wait_line("app:driver", "spawned test/app:pool#1.1")
    world.start_worker("app:pool", 2)
    world.put_host("app:pool", ("app:pool#2", 1, 0))
    world.promise_host("app:pool", ("app:pool#1", 1, 0))
    world.start_worker("app:pool", 1)
    world.put_host("app:pool", ("app:pool#1", 1, 0), ("app:pool#2", 1, 0))
    world.promise_host("app:pool")
    for_driver = world.wait_line("app:driver", "[['a', 0], ['a', 1], ['a', 2]] True")
    assert "ended StartFailed" not in for_driver
