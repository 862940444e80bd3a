"""How an actor takes its messages: an iterator that does not wait while there are some."""

from __future__ import annotations

import asyncio
import operator
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from wippy.core.durations import Duration
from wippy.core.mailbox import Box, Message, take
from wippy.core.selecting import Case
from wippy.errors import Invalid, Timeout
from wippy.runtime.arrival import wait_for_delivery
from wippy.runtime.context import current
from wippy.runtime.interruption import cancelled, interruption
from wippy.runtime.local import LocalActor
from wippy.runtime.selecting import select_blocking
from wippy.runtime.sources import MessageSource

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane

MESSAGES_A_LOOK = 64
"""Messages taken between two looks at the clock."""
TURN_S = 0.002
"""How long one actor takes messages without giving the loop, and so heartbeats and the other
actors, a turn."""

_monotonic = time.monotonic
_length = operator.length_hint


class Inbox:
    """The messages of the calling actor, in the order in which they came.

    `async for message in process.inbox()` in an `async def`, `for message in process.inbox()` in a
    plain `def`. Both wait for the next message and never end by themselves. Several iterators over
    one inbox share it: each message goes to one of them. The latter gets `Cancelled` when its actor
    is to stop and does not read its events, is terminated, or is ended by a link.

    Attributes:
        box: Where they come from.
    """

    __slots__ = ("_local", "_plane", "box")

    def __init__(self, plane: Plane, local: LocalActor, box: Box) -> None:
        self._plane = plane
        self._local = local
        self.box = box

    async def receive(self) -> Message:
        """Wait for the next message. One that is cancelled loses none."""
        box = self.box
        while True:
            message = self._next(self._take)
            if message is not None:
                return message
            self._plane.about_to_wait()
            await wait_for_delivery(box)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[Message]:
        box = self.box
        turn_ends_s = _monotonic() + TURN_S
        while True:
            run = box.current
            if run is None or not _length(run.rest):
                run = take(box)
                if run is None:
                    self._plane.about_to_wait()
                    await wait_for_delivery(box)
                    turn_ends_s = _monotonic() + TURN_S
                    continue
                self._plane.receiving.taken(self._local, run)
            topic, sender, reference = run.topic, run.sender, run.reference
            for payload in islice(run.rest, MESSAGES_A_LOOK):
                yield Message(topic, payload, sender, reference)
            if _monotonic() > turn_ends_s:
                await asyncio.sleep(0)
                turn_ends_s = _monotonic() + TURN_S

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        if threading.get_ident() == self._plane.thread:
            raise Invalid("this would block the event loop: write 'async for' in an 'async def'")
        return self.receive_blocking()

    def receive_blocking(self, *, timeout: Duration | None = None) -> Message:
        """Wait for the next message in a thread of its own; a time-out loses none.

        Raises:
            Timeout: None came within `timeout`; 0 only looks.
            Cancelled: The calling actor is to stop.
        """
        context = current()
        stop = interruption(context)
        message = self._next(self._take_in_thread)
        if message is not None:
            return message  # what is there already costs no turn of the loop
        chosen = select_blocking(self.case_receive(), stop.case_receive(), timeout=timeout)
        if chosen.index == 0:
            found: Message = chosen.value
            return found
        if chosen.index == 1:
            raise cancelled(context)
        raise Timeout(f"no message within {timeout}")

    def case_receive(self) -> Case:
        """Return "the next message comes" as a case of `channel.select`; its value is the message.

        A select that is cancelled, or chooses another case, loses none.
        """
        source = self.box.source
        if source is None:
            source = self.box.source = MessageSource(self)
        return Case(source, is_send=False, channel=self)

    def take_nowait(self) -> Message | None:
        """Return the next message if there is one; in the loop, or in a thread of its own."""
        is_loop = threading.get_ident() == self._plane.thread
        return self._next(self._take if is_loop else self._take_in_thread)

    def _next(self, take_one: Callable[[], bool]) -> Message | None:
        box = self.box
        while True:
            run = box.current
            if run is not None:
                for payload in run.rest:
                    return Message(run.topic, payload, run.sender, run.reference)
            if not take_one():
                return None

    def _take(self) -> bool:
        run = take(self.box)
        if run is None:
            return False
        self._plane.receiving.taken(self._local, run)
        return True

    def _take_in_thread(self) -> bool:
        run = take(self.box)
        if run is None:
            return False
        self._plane.loop.call_soon_threadsafe(self._plane.receiving.taken, self._local, run)
        return True
