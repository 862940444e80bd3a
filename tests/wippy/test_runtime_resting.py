"""A thread does the loop's work while the loop waits, and only then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from wippy.core.channels import NOTHING
from wippy.runtime.resting import RestingSelector, new_loop, selector_of

DEADLINE_S = 30.0


def in_other_thread(work: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    return found[0]


def visit(selector: RestingSelector, loop: asyncio.AbstractEventLoop, work: Any) -> Any:
    """Visit as soon as the loop rests."""
    while (found := selector.visit(loop, work)) is NOTHING:
        pass
    return found


@pytest.fixture
def loop() -> Any:
    made = new_loop()
    yield made
    made.close()


def run_beside(loop: asyncio.AbstractEventLoop, work: Callable[[RestingSelector], Any]) -> Any:
    """Do `work` in a thread while `loop` has nothing to do."""
    selector = selector_of(loop)
    assert selector is not None

    async def main() -> Any:
        return await asyncio.wait_for(asyncio.to_thread(work, selector), DEADLINE_S)

    return loop.run_until_complete(main())


def test_a_visitor_is_in_the_loop_and_its_result_is_returned(
    loop: asyncio.AbstractEventLoop,
) -> None:
    def work(selector: RestingSelector) -> Any:
        return visit(selector, loop, asyncio.get_running_loop)

    assert run_beside(loop, work) is loop


def test_what_a_visit_raises_leaves_it_and_the_next_one_works(
    loop: asyncio.AbstractEventLoop,
) -> None:
    def fail() -> None:
        raise ValueError("mine")

    def work(selector: RestingSelector) -> Any:
        with pytest.raises(ValueError, match="mine"):
            visit(selector, loop, fail)
        return visit(selector, loop, lambda: 1)

    assert run_beside(loop, work) == 1


def test_the_loop_wakes_for_what_a_visitor_has_scheduled(loop: asyncio.AbstractEventLoop) -> None:
    """It sleeps for half a minute otherwise: nothing else is there to wake it."""
    for schedule in (loop.call_soon, lambda done: loop.call_later(0.0, done)):
        happened = threading.Event()

        def work(selector: RestingSelector, schedule: Any = schedule, it: Any = happened) -> bool:
            visit(selector, loop, lambda: schedule(it.set))
            return bool(it.wait(DEADLINE_S / 2))

        assert run_beside(loop, work)


def test_nobody_is_let_in_while_the_loop_runs_something(loop: asyncio.AbstractEventLoop) -> None:
    selector = selector_of(loop)
    assert selector is not None

    async def main() -> Any:
        await asyncio.sleep(0)  # it has been round once
        return in_other_thread(lambda: selector.visit(loop, lambda: 1))

    assert loop.run_until_complete(main()) is NOTHING


def test_a_loop_in_debug_mode_is_not_visited(loop: asyncio.AbstractEventLoop) -> None:
    loop.set_debug(True)
    assert selector_of(loop) is None
