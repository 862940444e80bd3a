"""The observation bus: what happens in the node, for who wants to watch.

from wippy import events

async def watcher():
    async for event in events.subscribe("wippy.*"):
        print(event.topic, event.payload)

It is a best effort and never for business messages: nobody waits for a subscriber, and what it
does not take in time is dropped and counted. What must arrive is sent with `process.send` or
`process.call`. The runtime publishes its own facts under `wippy.<kind>`: `wippy.ready`,
`wippy.exited`, `wippy.decided`, `wippy.alarm`, `wippy.registry` ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import msgspec

from wippy.core import observing, pattern
from wippy.core.channels import Closed
from wippy.core.observing import DEFAULT_SIZE
from wippy.core.payload import decode, encode
from wippy.errors import Invalid
from wippy.runtime.bus import Subscriber
from wippy.runtime.doorway import here, in_loop
from wippy.runtime.plane import Plane

__all__ = ["Observation", "Subscription", "publish", "subscribe"]


class Observation(msgspec.Struct, frozen=True):
    """Something that was published.

    Attributes:
        topic: What it is about.
        payload: Data.
        sender: Pid of who published it; empty for what the runtime says itself.
        at_s: When, by the publisher's clock: UTC, seconds since the epoch.
    """

    topic: str
    payload: Any
    sender: str
    at_s: float


class Subscription:
    """What was published under topics that a pattern stands for; made by `subscribe`.

    `async for event in subscription` waits for each and ends when the subscription is closed. It
    belongs to the actor that has made it and ends with it. `with events.subscribe(...) as it:`
    closes it at the end of the block. In a plain `def`: `wippy.sync.subscribe`.
    """

    __slots__ = ("_plane", "_subscriber")

    def __init__(self, plane: Plane, subscriber: Subscriber) -> None:
        self._plane = plane
        self._subscriber = subscriber

    @property
    def pattern(self) -> str:
        """What it was made with."""
        return self._subscriber.pattern.text

    @property
    def dropped(self) -> int:
        """How many observations it has not seen, for want of room here or of time on the way."""
        return self._subscriber.window.dropped

    async def ready(self) -> None:
        """Wait until all of the node knows of it: what is published from then on comes.

        Raises:
            Unavailable: No root answers (the process is about to end).
        """
        await self._plane.bus.ready(self._subscriber)

    async def receive(self) -> Observation:
        """Wait for the next observation. One that is cancelled loses none.

        Raises:
            Closed: The subscription is closed, and all that it had was taken.
        """
        return await self._subscriber.waiting.until(self._take, self._plane.flush)

    def close(self) -> None:
        """End it; again is no error. What it has can still be taken. From any thread."""
        in_loop(self._plane, lambda: self._plane.bus.unsubscribe(self._subscriber))

    def __aiter__(self) -> AsyncIterator[Observation]:
        return self

    async def __anext__(self) -> Observation:
        try:
            return await self.receive()
        except Closed:
            raise StopAsyncIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self) -> Observation | None:
        while True:
            unseen = self._subscriber.window.take()
            if unseen is None:
                return None
            try:
                value = decode(unseen.data)
            except Invalid:
                self._plane.dead_letters["malformed"] += 1
                continue
            return Observation(unseen.topic, value, unseen.sender, unseen.at_s)


def subscribe(pattern_: str, *, size: int = DEFAULT_SIZE) -> Subscription:
    """Observe what is published under the topics that a pattern stands for; never waits.

    Best effort: in the order in which one actor publishes, at most once, from a moment after the
    call (`ready` waits for it). Past `size` the oldest are dropped.

    Args:
        pattern_: Parts with '.' between them: a word, 'word*', '*' (one part), '**' (any number).
        size: How many may wait unread, 1 to 100,000.

    Raises:
        Invalid: The pattern or the size is none, or nobody is calling.
        Unavailable: The process subscribes to too many patterns (256) already.
    """
    wanted = pattern.parse(pattern_)
    observing.check_size(size)
    plane, local = here()
    return Subscription(plane, in_loop(plane, lambda: plane.bus.subscribe(local, wanted, size)))


def publish(topic: str, payload: Any = None) -> None:
    """Tell all who observe `topic`; never waits, and nobody may be there.

    At most once. What a subscriber's process does not take in is dropped for it, and counted there.

    Args:
        topic: Words with '.' between them, at most 255 characters: 'shop.orders.paid'. Those that
            begin with 'wippy' are the runtime's own.
        payload: Data, as in `process.send`, 16 KiB at most.

    Raises:
        TypeError: The payload is no data.
        Invalid: The topic is none, the payload too large, or nobody is calling.
    """
    observing.check_topic(topic)
    data = encode(payload)
    observing.check_event_size(data)
    plane, local = here()
    in_loop(plane, lambda: plane.bus.publish(local, topic, data))
