"""Messages between real processes."""

from __future__ import annotations

from actors_world import ActorsWorld

from wippy.core.reasons import Normal

COUNT = """
async def main(count):
    seen = []
    async for message in process.inbox():
        seen.append(message.payload)
        if len(seen) == count:
            print("in order" if seen == sorted(set(seen)) else "disorder", flush=True)
            process.send(message.sender, "thanks", len(seen))
"""
SEND = """
async def main(target, count):
    for number in range(count):
        while True:
            try:
                process.send(target, "number", number)
                break
            except Exception as error:
                assert type(error).__name__ == "MailboxFull", error
                await process.ready(target)
    thanks = await process.inbox().receive()
    print("thanked", thanks.topic, thanks.payload, thanks.sender, flush=True)
"""


def test_messages_of_one_sender_keep_their_order_and_none_is_lost(world: ActorsWorld) -> None:
    world.start_actor("app:counter", COUNT, 20_000)
    world.start_actor("app:sender", SEND, "test/app:counter.1/0", 20_000)
    line = "thanked thanks 20000 test/app:counter.1/0"
    assert world.wait_line("app:sender", line) == [line]
    assert world.lines("app:counter") == ["in order"]


def test_service_is_reached_by_its_entry_id(world: ActorsWorld) -> None:
    world.start_actor("app:counter", COUNT, 10)
    world.start_actor("app:sender", SEND, "app:counter", 10)
    world.wait_line("app:sender", "thanked thanks 10 test/app:counter.1/0")


def test_call_is_answered(world: ActorsWorld) -> None:
    world.start_actor(
        "app:adder",
        "async def main():\n"
        "    async for message in process.inbox():\n"
        "        process.reply(message, message.payload + 1)\n",
    )
    world.start_actor(
        "app:asker",
        "async def main():\n"
        "    value = 0\n"
        "    for _ in range(100): value = await process.call('app:adder', 'add', value)\n"
        "    print(value, flush=True)\n"
        "    await process.inbox().receive()\n",
    )
    world.wait_line("app:asker", "100")


def test_actor_spawned_in_a_pool_gets_what_is_sent_right_after_the_spawn(
    world: ActorsWorld,
) -> None:
    world.start_worker("app:pool")
    world.put_host("app:pool", ("app:pool#1", 1, 0))
    world.define(
        "app:double",
        "async def main(factor):\n"
        "    message = await process.inbox().receive()\n"
        "    process.send(message.sender, 'is', message.payload * factor)\n"
        "    return 'bye'\n",
    )
    world.define("app:double2", "async def main(x): return {'x': x}\n")
    world.start_actor(
        "app:parent",
        "async def main():\n"
        "    child = process.spawn_monitored('app:double', 'app:pool', 2)\n"
        "    process.send(child, 'double', 21)\n"
        "    print((await process.inbox().receive()).payload, flush=True)\n"
        "    event = await process.events().receive()\n"
        "    print(event.kind, event.exit, event.value, event.sender == child, flush=True)\n"
        "    print(await process.exec('app:double2', 'app:pool', 1), flush=True)\n"
        "    await process.inbox().receive()\n",
    )
    lines = world.wait_line("app:parent", "{'x': 1}")
    assert lines == ["42", f"exit {Normal()!r} bye True", "{'x': 1}"]
