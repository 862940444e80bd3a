"""Time: sleep, time-outs and tickers as channels, and the date.

from wippy import time

await time.sleep("100ms")
async for at in time.ticker("1m"):
    ...

A duration is text (`"100ms"`, `"5s"`, `"2m"`, `"1h"`), a number of seconds, or a `timedelta`. All
of it goes through the clock of the running code (`wippy.runtime.clock`): in a test that may be a
fake one, in a workflow it is durable and replayed.
"""

from __future__ import annotations

import datetime
import threading
import weakref
from collections.abc import Callable

from wippy.core.channels import Closed, WouldBlock
from wippy.core.durations import Duration, next_tick_s, seconds
from wippy.errors import Invalid
from wippy.runtime.channels import Channel
from wippy.runtime.clock import current_clock
from wippy.runtime.waiters import TaskWaiter, expire, refuse_to_block_loop

__all__ = [
    "Duration",
    "Ticker",
    "Timer",
    "after",
    "monotonic_s",
    "now",
    "parse",
    "sleep",
    "sleep_blocking",
    "ticker",
]


class Timer(Channel[datetime.datetime]):
    """A channel that gets one value, the date, when its time has come.

    A timer that nobody holds any more is cancelled: a select in a loop with `time.after("1h")`
    leaves nothing behind.
    """

    __slots__ = ("_clock", "_due_s", "_timer")

    def __init__(self, delay_s: float) -> None:
        super().__init__(1)
        self._clock = current_clock.get()
        self._due_s = self._clock.monotonic_s() + delay_s
        self._start(delay_s)

    def stop(self) -> None:
        """Never fire, and close the channel; after the value came, or again, it is no error."""
        self._timer.cancel()
        self.close()

    def _start(self, delay_s: float) -> None:
        self._timer = self._clock.call_later(delay_s, _fire_weakly(weakref.ref(self)))

    def _fire(self) -> None:
        self._put()

    def _put(self) -> None:
        try:
            self.send_nowait(self._clock.now())
        except (WouldBlock, Closed):
            # The last tick is still there, or the timer was stopped this very moment.
            return

    def __del__(self) -> None:
        # Absent if the clock refused to start.
        if (timer := getattr(self, "_timer", None)) is not None:
            timer.cancel()


class Ticker(Timer):
    """A channel that gets the date again and again, in step with its start.

    One tick waits; while nobody takes it, further ones are dropped. `async for` over it ends at
    `stop()`.
    """

    __slots__ = ("_interval_s",)

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        super().__init__(interval_s)

    def _fire(self) -> None:
        if self.is_closed:
            return
        self._put()
        now_s = self._clock.monotonic_s()
        self._due_s = next_tick_s(self._due_s, self._interval_s, now_s)
        self._start(self._due_s - now_s)


async def sleep(duration: Duration) -> None:
    """Let others run for `duration`; 0 is one turn of the loop.

    Raises:
        Invalid: `duration` is no duration.
    """
    waiter = TaskWaiter()
    timer = current_clock.get().call_later(seconds(duration), lambda: expire(waiter))
    try:
        await waiter.wait()
    finally:
        timer.cancel()


def sleep_blocking(duration: Duration) -> None:
    """Block this thread for `duration`: for plain `def` code in a thread of its own.

    Raises:
        Invalid: `duration` is no duration, or this is the thread of an event loop.
    """
    refuse_to_block_loop("await time.sleep(...)")
    never_released = threading.Lock()
    never_released.acquire()
    current_clock.get().wait_blocking(never_released, seconds(duration))


def after(duration: Duration) -> Timer:
    """Return a channel that gets one value, the date, after `duration`.

    Raises:
        Invalid: `duration` is no duration.
    """
    return Timer(seconds(duration))


def ticker(interval: Duration) -> Ticker:
    """Return a channel that gets the date every `interval`, until `stop()`.

    Raises:
        Invalid: `interval` is no duration, or 0.
    """
    interval_s = seconds(interval)
    if interval_s <= 0:
        raise Invalid(f"the interval of a ticker is longer than 0, not {interval!r}")
    return Ticker(interval_s)


def now() -> datetime.datetime:
    """Return the date and time in UTC, aware. To show; to measure, take `monotonic_s`."""
    return current_clock.get().now()


def monotonic_s() -> float:
    """Return seconds since some start, which never go back. To measure and to decide."""
    return current_clock.get().monotonic_s()


def parse(duration: Duration) -> float:
    """Return `duration` in seconds.

    Raises:
        Invalid: It is no duration; the message says how one is written.
    """
    return seconds(duration)


def _fire_weakly(timer: weakref.ref[Timer]) -> Callable[[], None]:
    def fire() -> None:
        if (alive := timer()) is not None:
            alive._fire()

    return fire
