"""The actors of `benchmarks/spawning.py`: run by a node, so they import nothing of the benchmarks.

`main` is the driver: it measures and writes one line of JSON into the FIFO at `path`.
"""

from __future__ import annotations

import asyncio
import json
import os
import time

from wippy import process

POOL, CROWD = "bench:pool", "bench:crowd"
AT_ONCE = 500
"""Spawns under way while the rate is measured."""


async def echo() -> None:
    """Answer every call."""
    async for message in process.inbox():
        process.reply(message, message.payload)


async def hello(parent: str) -> None:
    """Say so, and end."""
    process.send(parent, "hello")


async def weigh() -> list[float]:
    """Return this worker's resident memory, bytes."""
    with open("/proc/self/statm") as statm:  # noqa: ASYNC230  # memory, no disk
        pages = int(statm.read().split()[1])
    return [pages * os.sysconf("SC_PAGE_SIZE")]


async def weigh_coroutines(count: int) -> float:
    """Return what a bare task that waits for a future weighs in this worker, bytes."""
    loop = asyncio.get_running_loop()

    async def wait(future: asyncio.Future[None]) -> None:
        await future

    (before,) = await weigh()
    tasks = [loop.create_task(wait(loop.create_future())) for _ in range(count)]
    await asyncio.sleep(0)
    (after,) = await weigh()
    for task in tasks:
        task.cancel()
    return (after - before) / count


async def main(path: str, trips: int, spawns: int, actors: int) -> None:
    """Measure everything once."""
    result = {
        "trip_us": await _trips(trips),
        "spawn_us": await _first_answers(trips),
        "spawns_per_s": await _rate(spawns),
        **await _weights(actors),
    }
    os.write(os.open(path, os.O_WRONLY), json.dumps(result).encode() + b"\n")


async def _trips(count: int) -> list[float]:
    target = process.spawn("bench:echo", POOL)
    took = []
    for number in range(count):
        began_s = time.perf_counter()
        await process.call(target, "echo", number)
        took.append((time.perf_counter() - began_s) * 1e6)
    process.terminate(target)
    return took


async def _first_answers(count: int) -> list[float]:
    took, me, inbox = [], process.pid(), process.inbox()
    for _ in range(count):
        began_s = time.perf_counter()
        process.spawn("bench:hello", POOL, me)
        await inbox.receive()
        took.append((time.perf_counter() - began_s) * 1e6)
    return took


async def _rate(count: int) -> float:
    me, inbox = process.pid(), process.inbox()
    began_s, begun, answered = time.perf_counter(), 0, 0
    while answered < count:
        while begun < count and begun - answered < AT_ONCE:
            process.spawn("bench:hello", POOL, me)
            begun += 1
        await inbox.receive()
        answered += 1
    return count / (time.perf_counter() - began_s)


async def _weights(count: int) -> dict[str, float]:
    # Each in a process of its own, whose heap has no room left by what was there before.
    bare = await process.exec("bench:weigh_coroutines", "", count, timeout_s=120)
    (before,) = await process.exec("bench:weigh", CROWD)
    for number in range(count):
        process.spawn("bench:idle", CROWD)
        if number % AT_ONCE == AT_ONCE - 1:
            await process.exec("bench:weigh", CROWD, timeout_s=120)
    (after,) = await process.exec("bench:weigh", CROWD, timeout_s=120)
    return {"actor_bytes": (after - before) / count, "coroutine_bytes": bare, "actors": count}
