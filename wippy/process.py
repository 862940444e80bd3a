"""The actor itself: who it is, and what the runtime tells it.

from wippy import process

async def handler():
    async for event in process.events():
        if event.kind == process.event.CANCEL:
            break
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NoReturn

from wippy.errors import Invalid
from wippy.runtime.context import (
    ActorContext,
    Event,
    EventKind,
    NotNeededSignal,
    current,
)

__all__ = ["Event", "Events", "event", "events", "id", "not_needed", "pid"]

event = EventKind
"""The kinds of events: `process.event.CANCEL`."""


class Events:
    """The events of the calling actor, in the order in which they came.

    `async for event in process.events()` in an `async def`, `for event in process.events()` in a
    plain `def`. Both wait for the next event and never end by themselves: break out of them.
    """

    def __init__(self, context: ActorContext) -> None:
        self._context = context

    async def receive(self) -> Event:
        """Wait for the next event."""
        return await self._context.events.receive()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self.receive()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if _is_on_loop():
            raise Invalid("this would block the event loop: write 'async for' in an 'async def'")
        return self._context.events.receive_blocking()


def pid() -> str:
    """Return the calling actor's pid, `node/slot.generation/actor`.

    Raises:
        Invalid: Called by code that is no actor's.
    """
    return str(current().pid)


def id() -> str:
    """Return the entry id of the calling actor's service, for instance `app:worker`.

    Raises:
        Invalid: Called by code that is no actor's.
    """
    return current().service


def events() -> Events:
    """Return the calling actor's events; from now on a stop comes as an event.

    An actor that never calls this gets `asyncio.CancelledError` at its next await instead.

    Raises:
        Invalid: Called by code that is no actor's.
    """
    context = current()
    context.reads_events = True
    return Events(context)


def not_needed() -> NoReturn:
    """End the calling actor as "not needed here": it is kept without a process, as no failure.

    It leaves the entry function as an exception that `except Exception` does not catch; `finally`
    blocks run (OTP's `ignore`).
    """
    raise NotNeededSignal


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
