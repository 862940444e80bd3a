"""Threads for plain `def` functions: so many at the same time, first come, first served.

A function that waits for another one in a thread gives its place up meanwhile. So calls within
calls never wait for each other's places, and only threads that do something count.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

MAX_THREADS = 32
"""In one worker: enough for code that waits for disks and networks; more would only take turns at
the interpreter's lock."""


class Slots:
    """Places for threads. Used in the loop's thread, but for `leave` and `retake`.

    Args:
        loop: Of this process.
        limit: How many there are.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int = MAX_THREADS) -> None:
        self._loop = loop
        self._limit = limit
        self._used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def used(self) -> int:
        """How many are taken; more than the limit for the moment in which many come back."""
        return self._used

    async def take(self) -> None:
        """Wait for a place and take it."""
        if self._used < self._limit and not self._waiting:
            self._used += 1
            return
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.free()  # it was given the place, and does not want it any more
            raise

    def free(self) -> None:
        """Give a place back, to whoever waits longest."""
        self._used -= 1
        while self._waiting and self._used < self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._used += 1
                turn.set_result(None)

    def leave(self) -> Callable[[], None]:
        """Give a place up while its thread waits for others; return what takes it again, at once,
        even above the limit: it has been waited for already. From any thread."""
        self._loop.call_soon_threadsafe(self.free)
        return self._come_back

    def _come_back(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._retake)

    def _retake(self) -> None:
        self._used += 1
