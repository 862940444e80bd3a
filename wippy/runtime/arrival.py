"""How a task waits for a message: it is stepped by whoever delivers, not a turn of the loop later.

asyncio's own future puts its waiter at the end of the loop's queue; between a message and its
receiver lies a turn of the loop then, 8 µs of a round trip. An `Arrival` follows the protocol by
which a task waits for what is no future of asyncio's (`asyncio.isfuture`), and calls the waiter
itself. So it may only be woken where no task is running: in a callback of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

from wippy.core.mailbox import Box

_running_loop = asyncio.get_running_loop


class Arrival:
    """One wait of one task. Await it once."""

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_context",
        "_is_cancelled",
        "_is_done",
        "_loop",
    )

    def __init__(self) -> None:
        self._asyncio_future_blocking = False
        self._callback: Callable[[Arrival], object] | None = None
        self._context: Context | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_done = False
        self._is_cancelled = False

    def __await__(self) -> Generator[Arrival, None, None]:
        if not self._is_done:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def wake(self) -> None:
        """Let the task go on, now; nothing if it does not wait any more."""
        if self._is_done:
            return
        self._is_done = True
        callback, context = self._callback, self._context
        if callback is not None and context is not None:
            context.run(callback, self)

    # --- what a task asks of what it waits for ----------------------------------------------------

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop of the task."""
        return _running_loop()

    def add_done_callback(
        self, callback: Callable[[Arrival], object], *, context: Context | None = None
    ) -> None:
        """Take what goes on with the task."""
        self._callback, self._context = callback, context
        self._loop = _running_loop()

    def remove_done_callback(self, callback: Callable[[Arrival], object]) -> int:
        """Forget it."""
        was_there = self._callback == callback
        if was_there:
            self._callback = None
        return int(was_there)

    def cancel(self, msg: Any = None) -> bool:
        """Let the task go on with `CancelledError`, a turn of the loop later: who cancels runs."""
        if self._is_done:
            return False
        self._is_done = self._is_cancelled = True
        if self._callback is not None and self._loop is not None:
            # Not the running one: who ends a loop cancels what is left while it does not run.
            self._loop.call_soon(self._callback, self, context=self._context)
        return True

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._is_cancelled

    def done(self) -> bool:
        """Return whether the wait is over."""
        return self._is_done

    def result(self) -> None:
        """Return nothing, or raise as the task is to."""
        if self._is_cancelled:
            raise asyncio.CancelledError


async def wait_for_delivery(box: Box) -> None:
    """Return once something was delivered to `box`; wait for it in a task."""
    box.drop_empty_line()
    wake = (arrival := Arrival()).wake
    box.wakers.append(wake)
    try:
        await arrival
    except BaseException:
        if wake in box.wakers:
            box.wakers.remove(wake)
        raise
