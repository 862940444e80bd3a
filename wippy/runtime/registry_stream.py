"""The changes of the registry as an actor takes them: `wippy.registry.Watch`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from wippy.core.channels import Closed
from wippy.runtime.doorway import here, in_loop
from wippy.runtime.registry_watch import Again, ChangeDoc, Following, news

T = TypeVar("T")


class Watch(Generic[T]):
    """The changes of entries, version after version; made by `registry.watch`.

    `async for change in watch` waits for each, and ends when the watch is closed. Each change comes
    once, in the order of the versions and, within one, of the ids; none is left out, whoever dies:
    they are read from the disk when they are asked for. `with registry.watch(...) as it:` closes it
    at the end of the block. In a plain `def`: `wippy.sync.watch`.

    Args:
        following: Where it reads.
        make: What is handed out for a change.
    """

    __slots__ = ("_following", "_is_closed", "_make", "_plane")

    def __init__(self, following: Following, make: Callable[[ChangeDoc], T]) -> None:
        self._plane, _ = here()
        self._following = following
        self._make = make
        self._is_closed = False

    @property
    def version(self) -> int:
        """The last version of which every change was taken: `registry.watch(..., since=version)`
        goes on behind it."""
        return self._following.version

    async def receive(self) -> T:
        """Wait for the next change. One that is cancelled loses none.

        Raises:
            NotFound: It is so far behind that the next versions were forgotten.
            Closed: It is closed.
            Unavailable: The registry cannot be read.
        """
        while True:
            found: ChangeDoc | Again = await news.waiting.until(self._take, self._about_to_wait)
            if not isinstance(found, Again):
                return self._make(found)
            await asyncio.sleep(0)

    def close(self) -> None:
        """End it; again is no error. From any thread."""
        self._is_closed = True
        in_loop(self._plane, news.wake)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except Closed:
            raise StopAsyncIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self) -> ChangeDoc | Again | None:
        if self._is_closed:
            raise Closed("the watch is closed; nothing more will come")
        return self._following.take()

    def _about_to_wait(self) -> None:
        self._plane.flush()
        news.about_to_wait()
