"""Channels as tasks and threads use them: the core under the lock of `wippy.runtime.waiters`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Generic, NoReturn, TypeVar

from wippy.core.channels import NOTHING, TIMEOUT, ChannelCore, Closed, Waiter, WouldBlock
from wippy.core.selecting import Case
from wippy.errors import Invalid, Timeout
from wippy.runtime.waiters import LOCK, TaskWaiter, ThreadWaiter, refuse_to_block_loop

T = TypeVar("T")

_acquire, _release = LOCK.acquire, LOCK.release
# `with` costs 150 ns where these two cost 75 (Python 3.11): as much as the rest of a fast path.


class Channel(Generic[T]):
    """A line of values between the tasks and threads of one OS process.

    Values go from hand to hand, nothing is copied. Senders and receivers are served first come,
    first served. A receive that is cancelled loses no value; a send that is cancelled may have
    happened, at most once.

    Args:
        size: How many values may wait; 0 makes each sender wait for its receiver.
    """

    __slots__ = ("__weakref__", "_core")

    def __init__(self, size: int = 0) -> None:
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise Invalid(f"the size of a channel is a whole number from 0, not {size!r}")
        self._core = ChannelCore(size)

    async def send(self, value: T) -> None:
        """Send `value`; wait until it is received or has a place in the buffer.

        Raises:
            Closed: The channel is closed, or was closed before the value had a place.
        """
        _acquire()
        try:
            if self._core.send(value):
                return
            waiter = TaskWaiter((value,))
            self._core.wait_to_send(waiter)
        finally:
            _release()
        await self._settled(waiter)
        self._sent(waiter)

    async def receive(self) -> T:
        """Wait for the next value and return it.

        Raises:
            Closed: The channel is closed and all values have been received.
        """
        _acquire()
        try:
            value = self._core.receive()
            if value is not NOTHING:
                return value  # type: ignore[no-any-return]  # the core knows no types
            waiter = TaskWaiter()
            self._core.wait_to_receive(waiter)
        finally:
            _release()
        await self._settled(waiter)
        return self._received(waiter)

    def send_nowait(self, value: T) -> None:
        """Send `value` if that needs no waiting. From any thread.

        Raises:
            WouldBlock: The channel is full, or without a buffer and nobody is receiving.
            Closed: The channel is closed.
        """
        _acquire()
        try:
            is_sent = self._core.send(value)
        finally:
            _release()
        if not is_sent:
            raise WouldBlock(f"nothing can be sent without waiting: {self!r}")

    def receive_nowait(self) -> T:
        """Return the next value if there is one. From any thread.

        Raises:
            WouldBlock: There is none.
            Closed: The channel is closed and all values have been received.
        """
        _acquire()
        try:
            value = self._core.receive()
        finally:
            _release()
        if value is NOTHING:
            raise WouldBlock(f"nothing can be received without waiting: {self!r}")
        return value  # type: ignore[no-any-return]  # the core knows no types

    def send_blocking(self, value: T, timeout_s: float | None = None) -> None:
        """Send `value`, blocking this thread: for plain `def` code in a thread of its own.

        Raises:
            Timeout: It could not be sent within `timeout_s`; then it never will be.
            Closed: The channel is closed, or was closed before the value had a place.
            Invalid: Called in an event loop, which it would stop.
        """
        refuse_to_block_loop("await ch.send(...)")
        with LOCK:
            if self._core.send(value):
                return
            waiter = ThreadWaiter((value,))
            self._core.wait_to_send(waiter)
        self._settled_blocking(waiter, timeout_s, "nobody received")
        self._sent(waiter)

    def receive_blocking(self, timeout_s: float | None = None) -> T:
        """Return the next value, blocking this thread: for plain `def` code.

        Raises:
            Timeout: None came within `timeout_s`.
            Closed: The channel is closed and all values have been received.
            Invalid: Called in an event loop, which it would stop.
        """
        refuse_to_block_loop("await ch.receive()")
        with LOCK:
            value = self._core.receive()
            if value is not NOTHING:
                return value  # type: ignore[no-any-return]  # the core knows no types
            waiter = ThreadWaiter()
            self._core.wait_to_receive(waiter)
        self._settled_blocking(waiter, timeout_s, "nothing came")
        return self._received(waiter)

    def close(self) -> None:
        """Take no more values; again is no error. From any thread.

        What is in the buffer can still be received. Who waits to send or to receive gets `Closed`.
        """
        with LOCK:
            self._core.close()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called; values may be left in the buffer."""
        return self._core.is_closed

    @property
    def size(self) -> int:
        """How many values may wait in the buffer."""
        return self._core.size

    def case_send(self, value: T) -> Case:
        """Return the case of a `select` that sends `value`."""
        return Case(self._core, True, value, self)

    def case_receive(self) -> Case:
        """Return the case of a `select` that receives; it can be used again and again."""
        return Case(self._core, False, None, self)

    def __len__(self) -> int:
        """Return how many values wait in the buffer."""
        return len(self._core)

    def __bool__(self) -> bool:
        """Return True: an empty channel is a channel too."""
        return True

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except Closed:
            raise StopAsyncIteration from None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        refuse_to_block_loop("async for ... in ch")
        try:
            return self.receive_blocking()
        except Closed:
            raise StopIteration from None

    def __repr__(self) -> str:
        with LOCK:
            count, (senders, receivers) = len(self._core), self._core.waiting
        state = "closed, " if self._core.is_closed else ""
        return (
            f"<{type(self).__name__} {state}{count} of {self.size}, "
            f"waiting: {senders} to send, {receivers} to receive>"
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError("a channel lives in one OS process; between processes, send messages")

    async def _settled(self, waiter: TaskWaiter) -> None:
        try:
            await waiter.wait()
        except BaseException:
            # Cancelled, or closed by the garbage collector.
            with LOCK:
                self._core.withdraw(waiter)
            raise

    def _settled_blocking(self, waiter: ThreadWaiter, timeout_s: float | None, what: str) -> None:
        try:
            waiter.wait(timeout_s)
        except BaseException:
            # KeyboardInterrupt, in the main thread of a script.
            with LOCK:
                self._core.withdraw(waiter)
            raise
        if waiter.index == TIMEOUT:
            waiter.finish()
            raise Timeout(f"{what} within {timeout_s:g} s: {self!r}")

    def _sent(self, waiter: Waiter) -> None:
        waiter.finish()
        if not waiter.ok:
            raise Closed("the channel was closed before anyone received this value")

    def _received(self, waiter: Waiter) -> T:
        value = waiter.finish()
        if not waiter.ok:
            raise Closed("the channel was closed; nothing more will come")
        return value  # type: ignore[no-any-return]  # the core knows no types
