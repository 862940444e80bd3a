"""While the loop waits, another thread may do what belongs to the loop's thread.

A plain `def` actor sends, replies and calls from a thread of its own; the plane belongs to the
loop's. To have the loop do it costs two switches between threads, 100 µs and more where they lie on
two cores. But mostly the loop waits in `select`, and touches nothing: who takes its lock then may
do the work itself. The lock is the loop's whenever it runs Python; nobody else waits for it, so it
can be part of no deadlock and keeps nobody from his turn: where it cannot be had at once, the loop
is asked as before.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from wippy.core.channels import NOTHING, Missing

T = TypeVar("T")

_running_loop = asyncio._get_running_loop
_set_running_loop = asyncio._set_running_loop


class RestingSelector(selectors.DefaultSelector):
    """A loop's selector, which lends its thread's place out while it waits."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._is_awake = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, and let others in meanwhile."""
        if self._is_awake:
            # First: a signal handler that raises in here must not leave it said and not so.
            self._is_awake = False
            self._lock.release()
        try:
            return super().select(timeout)
        finally:
            self._lock.acquire()
            self._is_awake = True

    def visit(self, loop: asyncio.AbstractEventLoop, work: Callable[[], T]) -> T | Missing:
        """Do `work` as if in the loop's thread, and return its result; `NOTHING`, and nothing was
        done, if the loop is busy."""
        if not self._lock.acquire(blocking=False):
            return NOTHING
        before, first = _running_loop(), _first_timer(loop)
        _set_running_loop(loop)
        try:
            return work()
        finally:
            _set_running_loop(before)
            if _is_earlier_due(loop, first):
                loop.call_soon_threadsafe(_do_nothing)
            self._lock.release()


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop that can be visited."""
    return asyncio.SelectorEventLoop(RestingSelector())


def selector_of(loop: asyncio.AbstractEventLoop) -> RestingSelector | None:
    """Return what lets others into `loop`; None where it cannot be visited, as one in debug mode,
    which looks at who calls it."""
    selector: Any = getattr(loop, "_selector", None)
    return selector if isinstance(selector, RestingSelector) and not loop.get_debug() else None


def _first_timer(loop: Any) -> object:
    return loop._scheduled[0] if loop._scheduled else None


def _is_earlier_due(loop: Any, first: object) -> bool:
    """Say whether the loop, which sleeps until its first timer, has something to do before."""
    return bool(loop._ready) or _first_timer(loop) is not first


def _do_nothing() -> None:
    """The loop has looked at its timers when it comes here."""
