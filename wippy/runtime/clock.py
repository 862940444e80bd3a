"""The clock of the running code: the one seam through which time comes to actors.

Everything in `wippy.time`, and the time-outs of channels, ask `current_clock.get()`. It is a
context variable, so it holds for a task, the tasks it makes, and the thread of a plain `def`. Who
wants another time sets another `Clock`:

    token = current_clock.set(FakeClock())      # wippy.testing: time that is skipped by the test
    token = current_clock.set(DurableClock())   # a workflow: time from the journal

A clock has two faces. `monotonic_s` and `call_later` decide: durations, timers, deadlines. `now`
shows: the date. Timers are one-shot; tickers and sleeps are built on them, so a fake needs no more
than these four methods.
"""

from __future__ import annotations

import asyncio
import datetime
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from wippy.runtime.thread_timers import ThreadTimer


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Do not call. From any thread; after the call, or again, it does nothing."""


class Clock(Protocol):
    """Where time comes from; see the module."""

    def monotonic_s(self) -> float:
        """Return seconds since some start; they never go back."""

    def now(self) -> datetime.datetime:
        """Return the date and time, in UTC, aware."""

    def call_later(self, delay_s: float, callback: Callable[[], Any]) -> Timer:
        """Call `callback` once, `delay_s` seconds from now, in the loop of the caller.

        Out of a thread without a loop: in some thread. `callback` must not raise and must not
        block.
        """

    def wait_blocking(self, gate: threading.Lock, timeout_s: float | None) -> bool:
        """Block this thread until `gate` can be acquired; return False after `timeout_s`."""


class SystemClock:
    """The time of the machine, and the timers of asyncio."""

    def monotonic_s(self) -> float:
        """See `Clock`: the clock of `time.monotonic()` and of the loop."""
        return time.monotonic()

    def now(self) -> datetime.datetime:
        """See `Clock`."""
        return datetime.datetime.now(datetime.UTC)

    def call_later(self, delay_s: float, callback: Callable[[], Any]) -> Timer:
        """See `Clock`."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return ThreadTimer(delay_s, callback)
        return _LoopTimer(loop, loop.call_later(delay_s, callback))

    def wait_blocking(self, gate: threading.Lock, timeout_s: float | None) -> bool:
        """See `Clock`."""
        if timeout_s is None:
            return gate.acquire()
        return gate.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX))


current_clock: ContextVar[Clock] = ContextVar("wippy_clock", default=SystemClock())  # noqa: B039  # it has no state
"""The clock of the running code."""


class _LoopTimer:
    """A timer of a loop that can be cancelled from another thread."""

    __slots__ = ("_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: asyncio.TimerHandle) -> None:
        self._loop = loop
        self._handle = handle

    def cancel(self) -> None:
        if asyncio._get_running_loop() is self._loop:
            self._handle.cancel()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._handle.cancel)
