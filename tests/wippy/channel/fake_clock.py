"""A clock that stands still until the test moves it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import heapq
import itertools
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from wippy.runtime.clock import current_clock

T = TypeVar("T")

TURNS = 20
"""Turns of the loop after which everything that can happen without time passing has happened."""


class FakeTimer:
    is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeClock:
    """See `wippy.runtime.clock.Clock`; `skip` is the passing of time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, FakeTimer, Callable[[], Any]]] = []

    def monotonic_s(self) -> float:
        return self.now_s

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.now_s, datetime.UTC)

    def call_later(self, delay_s: float, callback: Callable[[], Any]) -> FakeTimer:
        timer = FakeTimer()
        heapq.heappush(self._timers, (self.now_s + delay_s, next(self._order), timer, callback))
        return timer

    def wait_blocking(self, gate: threading.Lock, timeout_s: float | None) -> bool:
        late: list[bool] = []

        def expire() -> None:
            late.append(True)
            with contextlib.suppress(RuntimeError):  # it was opened this very moment
                gate.release()

        timer = None if timeout_s is None else self.call_later(timeout_s, expire)
        gate.acquire()
        if timer is not None:
            timer.cancel()
        return not late

    @property
    def pending(self) -> int:
        """How many timers are to come."""
        return sum(not timer.is_cancelled for _, _, timer, _ in self._timers)

    def skip(self, seconds: float) -> None:
        """Let `seconds` pass, calling what falls due on the way, each at its time."""
        end_s = self.now_s + seconds
        while self._timers and self._timers[0][0] <= end_s:
            due_s, _, timer, callback = heapq.heappop(self._timers)
            self.now_s = max(self.now_s, due_s)
            if not timer.is_cancelled:
                callback()
        self.now_s = end_s

    def jump(self, seconds: float) -> None:
        """Let `seconds` pass in one go, as if the loop had been blocked; then call what is due."""
        self.now_s += seconds
        self.skip(0.0)

    def skip_to_next(self) -> bool:
        """Let time pass to the next timer; return False if there is none."""
        live = [due_s for due_s, _, timer, _ in self._timers if not timer.is_cancelled]
        if live:
            self.skip(max(0.0, min(live) - self.now_s))
        return bool(live)


async def settle() -> None:
    """Let happen whatever can happen without time passing."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


def run(main: Callable[[FakeClock], Coroutine[Any, Any, T]]) -> T:
    """Run `main` in a loop of its own, with a clock that it moves."""
    clock = FakeClock()
    token = current_clock.set(clock)
    try:
        return asyncio.run(main(clock))
    finally:
        current_clock.reset(token)


async def skipping(clock: FakeClock, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; whenever nothing can happen, time goes on to the next timer."""
    task = asyncio.ensure_future(work)
    await settle()
    while not task.done():
        assert clock.skip_to_next(), "it waits for what never comes"
        await settle()
    return task.result()
