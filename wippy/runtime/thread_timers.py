"""Timers for threads that have no event loop: one loop of our own, in one daemon thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

_starting = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


class ThreadTimer:
    """A call that a thread without a loop has asked for.

    Args:
        delay_s: When, seconds from now.
        callback: What to call, in the thread of the timers; it must not raise and must not block.
    """

    __slots__ = ("_handle", "_is_cancelled", "_loop")

    def __init__(self, delay_s: float, callback: Callable[[], Any]) -> None:
        self._loop = _timer_loop()
        self._is_cancelled = False
        self._handle: asyncio.TimerHandle | None = None
        due_s = self._loop.time() + delay_s
        self._loop.call_soon_threadsafe(self._start, due_s, callback)

    def cancel(self) -> None:
        """Do not call. From any thread; after the call it does nothing."""
        self._is_cancelled = True
        self._loop.call_soon_threadsafe(self._stop)

    def _start(self, due_s: float, callback: Callable[[], Any]) -> None:
        if not self._is_cancelled:
            self._handle = self._loop.call_at(due_s, callback)

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


def _timer_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _starting:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="wippy timers", daemon=True).start()
        return _loop
