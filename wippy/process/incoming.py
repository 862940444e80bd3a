"""What happens to the calling actor, as events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from wippy.core.selecting import Case
from wippy.errors import Invalid
from wippy.process.identity import is_on_loop
from wippy.runtime.context import ActorContext, Event, current
from wippy.runtime.interruption import cancelled, interruption
from wippy.runtime.selecting import select_blocking
from wippy.runtime.sources import EventSource


class Events:
    """The events of the calling actor, in the order in which they came.

    `async for event in process.events()` in an `async def`, `for event in process.events()` in a
    plain `def`. Both wait for the next event and never end by themselves: break out of them. The
    latter gets `Cancelled` when its actor is terminated, or ended by a link.
    """

    def __init__(self, context: ActorContext) -> None:
        self._context = context

    async def receive(self) -> Event:
        """Wait for the next event."""
        if self._context.plane is not None:
            self._context.plane.flush()
        return await self._context.events.receive()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self.receive()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if is_on_loop():
            raise Invalid("this would block the event loop: write 'async for' in an 'async def'")
        stop = interruption(self._context)
        chosen = select_blocking(self.case_receive(), stop.case_receive())
        if chosen.index == 1:
            raise cancelled(self._context)
        event: Event = chosen.value
        return event

    def case_receive(self) -> Case:
        """Return "the next event comes" as a case of `channel.select`; its value is the event."""
        events = self._context.events
        if events.source is None:
            events.source = EventSource(events)
        return Case(events.source, is_send=False, channel=self)


def events() -> Events:
    """Return the calling actor's events; from now on a stop comes as an event.

    An actor that never calls this gets `asyncio.CancelledError` at its next await instead.

    Raises:
        Invalid: Called by code that is no actor's.
    """
    context = current()
    context.reads_events = True
    return Events(context)
