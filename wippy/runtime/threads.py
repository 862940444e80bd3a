"""Plain `def` code: in a thread of its own, beside the event loop, and waited for by a task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from wippy.runtime.context import find_current


async def run_in_thread(work: Callable[[], Any], *, name: str) -> Any:
    """Run `work` in a daemon thread with this task's context, and wait for its result.

    Not a pool: a thread that never ends must neither use up a place nor keep the process.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    variables = copy_context()
    thread = threading.Thread(
        target=_work, args=(variables, work, loop, done), name=name, daemon=True
    )
    thread.start()
    # A cancelled waiter must not end: the thread goes on, and the actor lives as long as it does.
    result, error = await _outlast(done)
    if error is not None:
        raise error
    return result


def _work(
    variables: Context,
    work: Callable[[], Any],
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[tuple[Any, BaseException | None]],
) -> None:
    try:
        outcome: tuple[Any, BaseException | None] = (variables.run(work), None)
    except BaseException as error:  # noqa: BLE001  # carried to the actor boundary
        outcome = (None, error)
    if not loop.is_closed():
        loop.call_soon_threadsafe(_settle, done, outcome)


def _settle(
    done: asyncio.Future[tuple[Any, BaseException | None]],
    outcome: tuple[Any, BaseException | None],
) -> None:
    if not done.done():
        done.set_result(outcome)


async def _outlast(
    done: asyncio.Future[tuple[Any, BaseException | None]],
) -> tuple[Any, BaseException | None]:
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            if (context := find_current()) is not None:
                context.interrupt()
    return done.result()
