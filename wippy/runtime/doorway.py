"""From user code, on whichever thread, into the loop that the messages of its process belong to."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from threading import get_ident
from typing import TypeVar

from wippy.core.channels import NOTHING
from wippy.errors import Invalid
from wippy.runtime.context import current
from wippy.runtime.local import LocalActor
from wippy.runtime.plane import Plane

T = TypeVar("T")


def here() -> tuple[Plane, LocalActor]:
    """Return the messages of this process, and the calling actor as they see it.

    Raises:
        Invalid: Called by code that is no actor's, or by one without messages.
    """
    context = current()
    if context.plane is None or context.local is None:
        raise Invalid("this actor cannot exchange messages: its process has no run folder")
    return context.plane, context.local


def in_loop(plane: Plane, work: Callable[[], T]) -> T:
    """Do `work` as the loop's thread, from whichever thread: the plane belongs to it.

    While the loop waits, this thread does it itself, and sends at once what that says.
    """
    if get_ident() == plane.thread or plane.is_visited:
        return work()
    if plane.selector is not None:
        done = plane.selector.visit(plane.loop, lambda: plane.visited(work))
        if done is not NOTHING:
            return done
    return _as_loop(plane, work)


def _as_loop(plane: Plane, work: Callable[[], T]) -> T:
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001  # carried to the thread that asked
            done.set_exception(error)

    plane.loop.call_soon_threadsafe(run)
    return done.result()
