"""Who waits at a channel: a task for a future of its loop, a thread for a gate of its own.

Whoever settles a waiter of another loop wakes it through `call_soon_threadsafe`. What needs no
waiting makes no waiter, and so no future.

One lock serves all channels of the OS process, since a select touches several of them at once. It
is held for microseconds and never over user code; it is reentrant because a garbage collection
in the middle may end a task, which then withdraws from its channel.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from wippy.core.channels import TIMEOUT, Waiter
from wippy.errors import Invalid
from wippy.runtime.clock import current_clock

LOCK = threading.RLock()
_running_loop = asyncio._get_running_loop


class TaskWaiter(Waiter):
    """An operation that a task waits for."""

    __slots__ = ("_future", "_loop")

    def __init__(self, offers: tuple[Any, ...] = (None,)) -> None:
        super().__init__(offers)
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def is_there(self) -> bool:
        """See `Waiter`: a cancelled task and one of a closed loop are not."""
        return not self._future.done() and not self._loop.is_closed()

    def wake(self) -> bool:
        """See `Waiter`."""
        if _running_loop() is self._loop:
            self._future.set_result(None)
            return True
        try:
            self._loop.call_soon_threadsafe(self._resume)
        except RuntimeError:
            # The loop was closed this very moment.
            return False
        return True

    async def wait(self) -> None:
        """Wait until it is settled."""
        await self._future

    def _resume(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class ThreadWaiter(Waiter):
    """An operation that a thread waits for."""

    __slots__ = ("_gate",)

    def __init__(self, offers: tuple[Any, ...] = (None,)) -> None:
        super().__init__(offers)
        self._gate = threading.Lock()
        self._gate.acquire()

    def is_there(self) -> bool:
        """See `Waiter`: a thread always is."""
        return True

    def wake(self) -> bool:
        """See `Waiter`."""
        self._gate.release()
        return True

    def wait(self, timeout_s: float | None) -> None:
        """Block until it is settled, at the latest after `timeout_s`, with `TIMEOUT`."""
        if not current_clock.get().wait_blocking(self._gate, timeout_s):
            expire(self)


def expire(waiter: Waiter) -> None:
    """Settle `waiter` with `TIMEOUT`, unless it is settled by now."""
    with LOCK:
        waiter.settle(TIMEOUT, None, ok=False)


def refuse_to_block_loop(instead: str) -> None:
    """Raise `Invalid` in a thread whose event loop is running."""
    if _running_loop() is not None:
        raise Invalid(f"this would block the event loop: write '{instead}'")
