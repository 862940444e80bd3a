"""The observation bus in one process: its subscriptions, and what its actors publish.

Who subscribes to what is in the directory, so a publisher looks there and sends straight to the
processes that want it: one item for each, whatever their number of subscriptions. What the runtime
itself publishes comes from the root. Nobody ever waits: a process that does not take in what was
sent gets no more until it does, and is told then how much it has not seen.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from wippy.core import wire
from wippy.core.directory import Observers, decode_observers
from wippy.core.messages import Observe, Observed, Observing
from wippy.core.observing import MAX_PATTERNS, Lost, Routes, Unseen, Window, is_wanted
from wippy.core.outgoing import cost_of
from wippy.core.pattern import Pattern
from wippy.errors import Invalid, Unavailable
from wippy.runtime.clock import current_clock
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Account, Peer
from wippy.runtime.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from wippy.runtime.plane import Plane

ROOT = ""
"""Sender of what the runtime publishes."""


class Subscriber:
    """One subscription.

    Attributes:
        pattern: What it wants.
        owner: The actor that has it.
        window: What it has not taken yet.
        waiting: Who waits for something.
        number: Of the `Observe` that tells of it; what comes before the answer is a matter of luck.
    """

    __slots__ = ("number", "owner", "pattern", "waiting", "window")

    def __init__(self, wanted: Pattern, owner: LocalActor, size: int) -> None:
        self.pattern = wanted
        self.owner = owner
        self.window = Window(size)
        self.waiting = Waiting()
        self.number = 0


class Bus:
    """The bus, as one process takes part in it. Used by the thread of its loop only.

    Args:
        plane: Its messages.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._subscribers: list[Subscriber] = []
        self._patterns: tuple[Pattern, ...] = ()
        self._number = 0
        self._answered = 0
        self._answer = Waiting()
        self._row: bytes | None = None
        self._routes = Routes()
        self._lost: dict[Peer, Lost] = {}
        self._untold: dict[Peer, int] = {}
        self._heard_of_root = 0
        self.handlers: dict[type, Callable[[Peer, wire.Item], None]] = {
            wire.Publish: self._publish,
            wire.NotPublished: self._not_published,
        }

    # --- subscriptions ----------------------------------------------------------------------------

    def subscribe(self, local: LocalActor, wanted: Pattern, size: int) -> Subscriber:
        """Begin a subscription of `local`; `Unavailable` past `MAX_PATTERNS`."""
        made = Subscriber(wanted, local, size)
        if self._plane.actors.get(local.number) is not local:
            made.waiting.close()  # it has ended: nobody reads
            return made
        if wanted not in self._patterns and len(self._patterns) >= MAX_PATTERNS:
            raise Unavailable(
                f"this process subscribes to {len(self._patterns)} patterns already: close some, "
                "or take one that stands for more"
            )
        self._subscribers.append(made)
        self._tell_patterns()
        made.number = self._number
        return made

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """End it; what it has not taken can still be taken. Again does nothing."""
        subscriber.waiting.close()
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
            self._tell_patterns()

    def actor_ended(self, local: LocalActor) -> None:
        """An actor has ended, and with it its subscriptions."""
        for it in [it for it in self._subscribers if it.owner is local]:
            self.unsubscribe(it)

    async def ready(self, subscriber: Subscriber) -> None:
        """Wait until every process of the node knows of it."""
        await self._answer.until(
            lambda: self._answered if self._answered >= subscriber.number else None,
            self._plane.flush,
        )

    def announce(self) -> None:
        """Say it again, to a root that knows nothing of it."""
        self._heard_of_root = 0
        if self._patterns:
            self._say_patterns()

    def _tell_patterns(self) -> None:
        patterns = tuple(dict.fromkeys(it.pattern for it in self._subscribers))
        if patterns != self._patterns:
            self._patterns = patterns
            self._say_patterns()

    def _say_patterns(self) -> None:
        self._number += 1
        texts = tuple(it.text for it in self._patterns)
        self._plane.root.send(Observe(texts, self._number))

    # --- publishing -------------------------------------------------------------------------------

    def publish(self, local: LocalActor, topic: str, data: bytes) -> None:
        """Send an observation to all processes that want it; what cannot go now is counted."""
        plane = self._plane
        wanting = [plane.peer(*key) for key in self._find(topic)]
        if self._patterns and is_wanted(topic, self._patterns):
            wanting.append(plane.own)
        if not wanting:
            return
        at_s = current_clock.get().now().timestamp()
        item = wire.Publish(topic, local.number, at_s, data, cost_of(data))
        for peer in wanting:
            if not peer.is_gone:
                self._send(peer, item)

    def _find(self, topic: str) -> list[tuple[str, int]]:
        """Return the other processes that want `topic`."""
        row = self._plane.post.directory.observers()
        if row != self._row:
            self._row, self._routes = row, _routes(row)
        own = (self._plane.slot, self._plane.generation)
        return [key for key in self._routes.of(topic) if key != own]

    def _send(self, peer: Peer, item: wire.Publish) -> None:
        account = peer.account(wire.OBSERVERS)
        if account.credit > 0:
            account.credit -= item.cost
            peer.say(item)
            return
        lost = self._lost.get(peer)
        if lost is None:
            lost = self._lost[peer] = Lost()
            self._tell_later(peer, account)
        lost.note(item.topic)

    def _tell_later(self, peer: Peer, account: Account) -> None:
        """Say how much was dropped when there is credit again, or nobody to say it to."""
        credit: asyncio.Future[None] = self._plane.loop.create_future()
        credit.add_done_callback(lambda _: self._tell_lost(peer))
        account.waiters.append(credit)

    def _tell_lost(self, peer: Peer) -> None:
        lost = self._lost.pop(peer, None)
        if lost is not None:
            peer.say(wire.NotPublished(lost.take()))

    # --- what comes -------------------------------------------------------------------------------

    def _publish(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.Publish)
        self._give_credit(peer, max(1, item.cost))
        sender = f"{peer.prefix}{item.sender}"
        self._hand_out(Unseen(item.topic, item.data, sender, item.at_s))

    def _give_credit(self, peer: Peer, units: int) -> None:
        untold = self._untold.get(peer, 0) + units
        if untold >= wire.RETURN_UNITS:
            peer.say(wire.Credit(wire.OBSERVERS, untold))
            untold = 0
        self._untold[peer] = untold

    def _hand_out(self, unseen: Unseen) -> None:
        for it in self._subscribers:
            if it.pattern.matches(unseen.topic):
                it.window.put(unseen)
                it.waiting.wake()

    def _not_published(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.NotPublished)
        for topic, count in item.counts.items():
            for it in self._subscribers:
                if count > 0 and it.pattern.matches(topic):
                    it.window.dropped += count

    def told(self, message: Observing | Observed) -> None:
        """Take a frame from the root."""
        if isinstance(message, Observing):
            self._answered = message.number
            self._answer.wake()
            return
        missing = message.before - self._heard_of_root
        self._heard_of_root = message.before + len(message.events)
        for it in self._subscribers:
            if missing > 0 and it.pattern.text.split(".")[0] in ("wippy", "*", "**"):
                it.window.dropped += missing
        for topic, at_s, data in message.events:
            self._hand_out(Unseen(topic, data, ROOT, at_s))

    def process_ended(self, peer: Peer) -> None:
        """A process is gone."""
        self._lost.pop(peer, None)
        self._untold.pop(peer, None)


def _routes(row: bytes | None) -> Routes:
    if row is None:
        return Routes()
    try:
        observers: Observers = decode_observers(row)
        return Routes(observers.processes)
    except (msgspec.DecodeError, Invalid) as error:
        raise Invalid(f"the directory has a row of observers that is none: {error}") from error
