"""What a task waits for in the loop of its process: something that others have put there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from wippy.core.channels import Closed

T = TypeVar("T")


class Waiting:
    """The tasks that wait at one place. Used by the thread of the loop only.

    Attributes:
        is_closed: Nothing more will come.
    """

    __slots__ = ("_waiters", "is_closed")

    def __init__(self) -> None:
        self.is_closed = False
        self._waiters: set[asyncio.Future[None]] = set()

    def wake(self) -> None:
        """There is something: let all look."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        """Nothing more will come; what is there can still be taken."""
        self.is_closed = True
        self.wake()

    async def until(self, take: Callable[[], T | None], about_to_wait: Callable[[], None]) -> T:
        """Return what `take` returns as soon as that is not None.

        Raises:
            Closed: Nothing more will come, and nothing is left.
        """
        while True:
            found = take()
            if found is not None:
                return found
            if self.is_closed:
                raise Closed("it was closed; nothing more will come")
            about_to_wait()
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
