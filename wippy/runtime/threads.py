"""Plain `def` code: in a thread, beside the event loop, and waited for by a task.

An actor's thread is its own and ends with it. Those of calls of functions are kept for a while: a
start costs more than most functions do.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from wippy.runtime.context import find_current

MAX_KEPT = 32
"""Threads that wait for work; more of them end at once. As many as may be busy in one worker."""
KEPT_S = 5.0
"""How long a thread waits for work before it ends."""

_idle: list[_Kept] = []
os.register_at_fork(after_in_child=_idle.clear)


async def run_in_thread(work: Callable[[], Any], *, name: str, is_kept: bool = False) -> Any:
    """Run `work` in a daemon thread with this task's context, and wait for its result.

    Args:
        work: What to run.
        name: Of the thread meanwhile.
        is_kept: A thread that has done its work may do it, and this one may do other work later;
            its thread-local values are then those of whoever was there before.

    Not a pool: a thread that never ends must neither use up a place nor keep the process.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    variables = copy_context()
    job = functools.partial(_work, variables, work, loop, done)
    if is_kept:
        _do(job, name)
    else:
        threading.Thread(target=job, name=name, daemon=True).start()
    # A cancelled waiter must not end: the thread goes on, and the actor lives as long as it does.
    result, error = await _outlast(done)
    if error is not None:
        raise error
    return result


def is_kept(thread: threading.Thread) -> bool:
    """Say whether a thread does one job of calls after another."""
    return isinstance(thread, _Kept)


def is_idle(thread: threading.Thread) -> bool:
    """Say whether a kept thread waits for work; what it has done before is on its way by then."""
    return thread in _idle


class _Kept(threading.Thread):
    """A thread that does one job after another, until none comes for a while."""

    def __init__(self, job: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._job: Callable[[], None] | None = job
        self._given = threading.Semaphore(0)

    def give(self, job: Callable[[], None], name: str) -> None:
        """Give it a job; it must have been taken out of the idle ones."""
        self._job, self.name = job, name
        self._given.release()

    def run(self) -> None:
        """Do jobs."""
        while (job := self._job) is not None:
            self._job = None
            job()
            del job  # what it holds is not to live as long as the thread waits
            if len(_idle) >= MAX_KEPT:
                return
            self.name = "idle"
            _idle.append(self)
            if not self._given.acquire(timeout=KEPT_S) and not self._leave():
                self._given.acquire()

    def _leave(self) -> bool:
        """Be idle no more; False if somebody has taken it in the same moment, with a job."""
        try:
            _idle.remove(self)
        except ValueError:
            return False
        return True


def _do(job: Callable[[], None], name: str) -> None:
    """Have a kept thread do `job`: the one that was busy last, or a new one."""
    try:
        thread = _idle.pop()
    except IndexError:
        _Kept(job, name).start()
    else:
        thread.give(job, name)


def _work(
    variables: Context,
    work: Callable[[], Any],
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[tuple[Any, BaseException | None]],
) -> None:
    try:
        outcome: tuple[Any, BaseException | None] = (variables.run(work), None)
    except BaseException as error:  # noqa: BLE001  # carried to the actor boundary
        outcome = (None, error)
    if not loop.is_closed():
        loop.call_soon_threadsafe(_settle, done, outcome)


def _settle(
    done: asyncio.Future[tuple[Any, BaseException | None]],
    outcome: tuple[Any, BaseException | None],
) -> None:
    if not done.done():
        done.set_result(outcome)


async def _outlast(
    done: asyncio.Future[tuple[Any, BaseException | None]],
) -> tuple[Any, BaseException | None]:
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            if (context := find_current()) is not None:
                context.interrupt()
    return done.result()
