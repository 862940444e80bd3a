"""Time that stands still until a test moves it, for everything that waits in one event loop.

The loop's own clock is virtual, so `asyncio.sleep`, `asyncio.timeout`, the time-outs of calls, the
back-offs of the runtime and `wippy.time` all run on it, and none of them waits for real. A loop
that has nothing left to do says so, instead of blocking: that is how a test knows that everything
that can happen without time passing has happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import heapq
import itertools
import selectors
import threading
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple

from wippy.runtime import threads
from wippy.runtime.clock import Timer

_Args = TypeVarTuple("_Args")

PATIENCE_S = 5.0
"""Real seconds that threads, sockets and child processes of a test may take before it is said that
nothing happens any more."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is moved by `move_to`.

    Attributes:
        on_idle: Called when nothing is ready; True says that something is now. By default nothing
            ever is, and the loop waits for threads and descriptors, `PATIENCE_S` at most.
        on_stuck: Called when nothing can happen any more; raises.
    """

    def __init__(self) -> None:
        # The machine's own monotonic time at first: a deadline made of `time.monotonic()` means
        # here what it means in a node.
        self._now_s = time.monotonic()
        self._order = itertools.count()
        self._due: list[tuple[float, int, asyncio.TimerHandle]] = []
        # A kept thread may be given work of this loop, whenever it was made.
        self._threads_before = {it for it in threading.enumerate() if not threads.is_kept(it)}
        self.on_idle: Callable[[], bool] = lambda: False
        self.on_stuck: Callable[[], None] = lambda: None
        self._watched = _IdleSelector(self._wait_really, lambda: self.on_stuck())
        super().__init__(self._watched)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._now_s

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Args], object],
        *args: *_Args,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """See asyncio; `when` is virtual."""
        handle = super().call_at(when, callback, *args, context=context)
        heapq.heappush(self._due, (when, next(self._order), handle))
        return handle

    def next_due_s(self) -> float | None:
        """Return when the next timer is due, in virtual seconds; None if there is none."""
        while self._due and (self._due[0][2].cancelled() or self._due[0][0] <= self._now_s):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def move_to(self, at_s: float) -> None:
        """Let it be `at_s`; never goes back. What is due runs in the next turns of the loop."""
        self._now_s = max(self._now_s, at_s)

    def _wait_really(self) -> float | None:
        """Nothing is ready: return how many real seconds to wait for what comes from outside, 0 if
        nothing can come but what has come already; None: something is ready now."""
        if self.on_idle():
            return None
        if self._watched.is_alone(own=1) and not self._has_threads():
            return 0.0
        return PATIENCE_S

    def _has_threads(self) -> bool:
        now = set(threading.enumerate()) - self._threads_before
        return not all(map(threads.is_idle, now))


class _IdleSelector(selectors.DefaultSelector):
    """A selector that asks before it blocks."""

    def __init__(
        self, before_block: Callable[[], float | None], in_vain: Callable[[], None]
    ) -> None:
        super().__init__()
        self._before_block = before_block
        self._in_vain = in_vain

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        wait_s = self._before_block()
        if wait_s is None:
            return events
        # Also without waiting: a thread may have said its last word since we looked.
        events = super().select(wait_s)
        if not events:
            self._in_vain()
        return events

    def is_alone(self, *, own: int) -> bool:
        """Say whether only the loop's own descriptors are looked at."""
        return len(self.get_map()) <= own


class VirtualClock:
    """The clock of the code that a `VirtualLoop` runs (see `wippy.runtime.clock.Clock`).

    Args:
        loop: Whose time it shows.
        began: The date and time at which it begins, aware.
    """

    def __init__(self, loop: VirtualLoop, began: datetime.datetime) -> None:
        self._loop = loop
        self._began = began.astimezone(datetime.UTC)
        self._began_s = loop.time()

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return self._loop.time()

    def now(self) -> datetime.datetime:
        """See `Clock`: it goes on with the virtual time."""
        return self._began + datetime.timedelta(seconds=self._loop.time() - self._began_s)

    def call_later(self, delay_s: float, callback: Callable[[], Any]) -> Timer:
        """See `Clock`."""
        if asyncio._get_running_loop() is self._loop:
            return _Timer(self._loop, self._loop.call_later(delay_s, callback))
        timer = _Timer(self._loop, None)
        self._loop.call_soon_threadsafe(timer.start, delay_s, callback)
        return timer

    def wait_blocking(self, gate: threading.Lock, timeout_s: float | None) -> bool:
        """See `Clock`."""
        if timeout_s is None:
            return gate.acquire()
        is_late = threading.Event()

        def expire() -> None:
            is_late.set()
            with contextlib.suppress(RuntimeError):  # it was opened this very moment
                gate.release()

        timer = self.call_later(timeout_s, expire)
        gate.acquire()
        timer.cancel()
        return not is_late.is_set()


class _Timer:
    """A timer of the loop that any thread may start or cancel."""

    def __init__(self, loop: VirtualLoop, handle: asyncio.TimerHandle | None) -> None:
        self._loop = loop
        self._handle = handle
        self._is_cancelled = False

    def start(self, delay_s: float, callback: Callable[[], Any]) -> None:
        """In the loop: begin, unless it was cancelled meanwhile."""
        if not self._is_cancelled:
            self._handle = self._loop.call_later(delay_s, callback)

    def cancel(self) -> None:
        """See `wippy.runtime.clock.Timer`."""
        self._is_cancelled = True
        if asyncio._get_running_loop() is self._loop:
            self._stop()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
