"""A limit over all attempts of a call is `asyncio.timeout`, as the guide of functions says."""

from __future__ import annotations

import asyncio
import threading

from wippy import errors, funcs, time
from wippy.core.backoff import Backoff
from wippy.core.retry import RetryPolicy
from wippy.testing import World


def policy(*, initial_delay_s: float) -> RetryPolicy:
    return RetryPolicy(attempts=99, backoff=Backoff(initial_delay_s=initial_delay_s))


def test_a_limit_over_all_attempts_ends_the_back_off_and_cancels_the_one_under_way() -> None:
    seen: list[str] = []

    async def fails_then_hangs() -> None:
        seen.append("begun")
        if len(seen) < 3:
            raise errors.Unavailable("not yet")
        try:
            await time.sleep("1h")
        finally:
            seen.append("cancelled")

    async def caller() -> None:
        async with asyncio.timeout(60):
            await funcs.call("app:work", retry=policy(initial_delay_s=1.0))

    async def main(world: World) -> None:
        world.function("app:work", fails_then_hangs)
        pid = world.spawn(caller)
        await world.advance("59s")
        assert seen == ["begun"] * 3
        assert pid not in world.exits
        await world.advance("2s")
        assert seen == ["begun"] * 3 + ["cancelled"]
        assert getattr(world.exits[pid].reason, "type", "") == "TimeoutError"

    World.run(main)


def test_a_limit_that_falls_into_the_back_off_begins_no_further_attempt() -> None:
    begun: list[float] = []

    async def fails() -> None:
        begun.append(time.monotonic_s())
        raise errors.Unavailable("never")

    async def main(world: World) -> None:
        world.function("app:fails", fails)

        async def caller() -> None:
            async with asyncio.timeout(5):
                await funcs.call("app:fails", retry=policy(initial_delay_s=20.0))

        pid = world.spawn(caller)
        await world.advance("1h")
        assert len(begun) == 1
        assert getattr(world.exits[pid].reason, "type", "") == "TimeoutError"

    World.run(main)


def test_a_thread_that_an_earlier_test_has_left_idle_is_waited_for_like_a_new_one() -> None:
    async def main(world: World) -> None:
        is_loop_idle = threading.Event()
        before_block = world.loop._watched._before_block

        def note() -> float | None:
            wait_s = before_block()
            is_loop_idle.set()
            return wait_s

        world.loop._watched._before_block = note
        # It returns only after the loop has found nothing to do.
        world.function("app:waits", lambda: is_loop_idle.wait(60))
        assert await funcs.call("app:waits", timeout_s=0) is True

    for _ in range(3):
        World.run(main)
