"""A task that waits for a delivery: stepped at once, cancelled like any other, stepped once."""

from __future__ import annotations

import asyncio

import pytest

from wippy.core.mailbox import Box
from wippy.runtime.arrival import Arrival, wait_for_delivery

DEADLINE_S = 30.0


def _wake(box: Box) -> None:
    wakers, box.wakers = box.wakers, []
    for waker in wakers:
        waker()


def test_the_waiter_has_run_when_its_waking_returns() -> None:
    async def main() -> list[str]:
        box, seen = Box(), list[str]()

        async def wait() -> None:
            await wait_for_delivery(box)
            seen.append(f"{asyncio.current_task() is task}")

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)

        def deliver() -> None:
            _wake(box)
            seen.append("after")

        asyncio.get_running_loop().call_soon(deliver)
        await asyncio.wait_for(task, DEADLINE_S)
        return seen

    assert asyncio.run(main()) == ["True", "after"]


def test_a_cancelled_waiter_gets_cancelled_error_and_leaves_no_waker() -> None:
    async def main() -> Box:
        box = Box()
        task = asyncio.create_task(wait_for_delivery(box))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return box

    assert asyncio.run(main()).wakers == []


def test_a_delivery_after_a_cancellation_does_not_step_the_task_again() -> None:
    async def main() -> None:
        box = Box()
        task = asyncio.create_task(wait_for_delivery(box))
        await asyncio.sleep(0)
        task.cancel()
        # Cancelled, but not stepped yet: its waker is still there.
        asyncio.get_running_loop().call_soon(_wake, box)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_cancellation_after_a_delivery_comes_too_late_for_this_wait() -> None:
    async def main() -> None:
        arrival = Arrival()
        arrival.wake()
        assert arrival.done()
        assert not arrival.cancel()
        assert not arrival.cancelled()
        await asyncio.wait_for(_wait(arrival), DEADLINE_S)

    asyncio.run(main())


def test_a_time_out_around_a_wait_ends_it() -> None:
    async def main() -> Box:
        box = Box()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await wait_for_delivery(box)
        return box

    assert asyncio.run(main()).wakers == []


def test_an_error_of_the_waiter_stays_in_its_task() -> None:
    async def main() -> None:
        box = Box()

        async def fail() -> None:
            await wait_for_delivery(box)
            raise ValueError("mine")

        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(_wake, box)
        with pytest.raises(ValueError, match="mine"):
            await asyncio.wait_for(task, DEADLINE_S)

    asyncio.run(main())


async def _wait(arrival: Arrival) -> None:
    await arrival


def test_a_waiter_is_cancelled_while_its_loop_does_not_run() -> None:
    """As `asyncio.run` does with what is left at the end."""
    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(wait_for_delivery(Box()))
        loop.run_until_complete(asyncio.sleep(0))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    finally:
        loop.close()
