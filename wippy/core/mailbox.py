"""The mailbox of an actor: runs of messages, in the order in which they came. Pure.

What is delivered and taken is a *delivery*, a whole run, so that a message costs its receiver a
step of an iterator. An actor may have several boxes: the inbox, and one for each topic that it
listens to. Credit is counted here and given back by the shell: the units of a delivery become due
to its sender when it is taken.

A mailbox is bounded by what its senders may have in it. Each process takes a window of
`WINDOW_UNITS` for granted; with its first message it becomes one of n, and all of them get windows
of a share of the bound: what is too much is taken back as negative credit, at once. So nothing is
lost, and only what was on its way when a new sender came can lie over the bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from operator import length_hint
from typing import Any

import msgspec

from wippy.core.wire import FLOOD_UNITS, RETURN_UNITS, WINDOW_UNITS

BOUND_UNITS = 10_000
"""Of a mailbox that nobody has given another (`wippy.core.messages.MAILBOX_MESSAGES`)."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """What one actor has sent to another.

    Attributes:
        topic: What it is about.
        payload: Data, as it was sent.
        sender: Pid of the actor that sent it.
        reference: Not 0 if it is a call, which wants a `process.reply(message, ...)`.
    """

    topic: str
    payload: Any
    sender: str
    reference: int = 0


class Delivery:
    """Messages under one topic from one actor.

    Attributes:
        topic: Of them all.
        sender: Pid.
        rest: Iterator over the payloads that were not taken yet.
        count: How many there were.
        cost: Units of credit that they took.
        origin: The process that is to get them back.
        reference: Of a call.
        ticket: In which order it was handed out, for one that was given back; else 0.
    """

    __slots__ = ("cost", "count", "origin", "reference", "rest", "sender", "ticket", "topic")

    def __init__(
        self,
        topic: str,
        sender: str,
        payloads: list[Any],
        cost: int,
        origin: Hashable,
        reference: int = 0,
    ) -> None:
        self.topic = topic
        self.sender = sender
        self.rest: Iterator[Any] = iter(payloads)
        self.count = len(payloads)
        self.cost = cost
        self.origin = origin
        self.reference = reference
        self.ticket = 0


class Box:
    """One queue of deliveries.

    Any thread takes from it; what is delivered is added by one thread, the loop's. That one alone
    makes and drops the line, so nobody adds to one that has just been dropped.

    Attributes:
        deliveries: In the order in which they came; None while there are none, since an empty
            deque has 760 bytes and most actors of a pool wait.
        returned: Deliveries that were given back, before all others, by ticket.
        current: The delivery whose messages are being taken.
        wakers: Called, and forgotten, at the next delivery.
        source: What a select sees of it: the shell's own; None before the first one.
    """

    __slots__ = ("current", "deliveries", "returned", "source", "wakers")

    def __init__(self) -> None:
        self.deliveries: deque[Delivery] | None = None
        self.returned: list[Delivery] | None = None
        self.current: Delivery | None = None
        self.wakers: list[Callable[[], None]] = []
        self.source: Any = None

    def add(self, delivery: Delivery) -> None:
        """Add what was delivered, behind all that is there. In the loop's thread."""
        if self.deliveries is None:
            self.deliveries = deque((delivery,))
        else:
            self.deliveries.append(delivery)

    def drop_empty_line(self) -> None:
        """Its actor waits: keep no memory for what is not there. In the loop's thread."""
        if not self.deliveries:
            self.deliveries = None

    def clear(self) -> list[Delivery]:
        """Empty it; return the deliveries that nobody has begun to take. In the loop's thread."""
        rest = [*(self.returned or ()), *(self.deliveries or ())]
        self.returned = self.deliveries = None
        return rest

    def has_messages(self) -> bool:
        """Say whether one can be taken."""
        current = self.current
        return bool(self.deliveries or self.returned) or (
            current is not None and length_hint(current.rest) > 0
        )


class Mailbox:
    """All boxes of one actor, and what its senders are owed.

    Attributes:
        inbox: For topics that nobody listens to.
        waiting: Messages in deliveries that were not taken yet.
        is_closed: The actor has ended; nothing is delivered any more.
        bound: Units that may wait: messages, of which each counts once for each begun KiB.
        changes: What the windows of processes have changed by, units: to be told to them.
    """

    __slots__ = (
        "_outstanding",
        "_topics",
        "_untold",
        "_windows",
        "bound",
        "changes",
        "inbox",
        "is_closed",
        "waiting",
    )

    def __init__(self, bound: int = BOUND_UNITS) -> None:
        self.bound = bound
        self.changes: Sequence[tuple[Hashable, int]] = ()
        self._windows: dict[Hashable, int] = {}
        self.inbox = Box()
        self.waiting = 0
        self.is_closed = False
        self._topics: dict[str, Box] | None = None
        self._outstanding: dict[Hashable, int] = {}
        self._untold: dict[Hashable, int] = {}

    def put(self, delivery: Delivery) -> Box | None:
        """Add a delivery and return its box; None if its sender has ignored its window, or the
        mailbox is closed: it is a dead letter then."""
        owed = self._outstanding.get(delivery.origin, 0)
        if self.is_closed or owed > FLOOD_UNITS or delivery.cost < delivery.count:
            return None
        if delivery.origin not in self._windows:
            self._windows[delivery.origin] = WINDOW_UNITS
            self._narrow()
        self._outstanding[delivery.origin] = owed + delivery.cost
        box = self._topics.get(delivery.topic, self.inbox) if self._topics else self.inbox
        box.add(delivery)
        self.waiting += delivery.count
        return box

    def listen(self, topic: str) -> Box:
        """Return the box of `topic`, which gets what is there of it already."""
        if self._topics is None:
            self._topics = {}
        box = self._topics.get(topic)
        if box is None:
            box = self._topics[topic] = Box()
            for delivery in self.inbox.clear():
                (box if delivery.topic == topic else self.inbox).add(delivery)
        return box

    def unlisten(self, topic: str) -> None:
        """Let messages of `topic` go to the inbox again, behind what is there."""
        box = None if self._topics is None else self._topics.pop(topic, None)
        if box is not None:
            left = [box.current] if box.current is not None else []
            for delivery in (*left, *box.clear()):
                self.inbox.add(delivery)

    def taken(self, delivery: Delivery) -> int:
        """Count a delivery as taken; return the units to give back to its origin now, or 0."""
        self.waiting -= delivery.count
        origin, cost = delivery.origin, delivery.cost
        if origin not in self._outstanding:
            return 0
        untold = self._untold.get(origin, 0) + cost
        window = self._windows[origin]
        # A quarter of the window: a sender that waits always has some to come.
        if untold < min(RETURN_UNITS, window // 4 or 1):
            self._untold[origin] = untold
            return 0
        self._untold.pop(origin, None)
        self._settle(origin, untold)
        wider = max(window, self._share())
        self._windows[origin] = wider
        return untold + wider - window

    def forget(self, origin: Hashable) -> None:
        """The process `origin` is gone: it is owed nothing."""
        self._outstanding.pop(origin, None)
        self._untold.pop(origin, None)
        self._windows.pop(origin, None)

    def close(self) -> tuple[int, dict[Hashable, int]]:
        """The actor has ended: return how many messages nobody took, and what is owed to whom."""
        self.is_closed = True
        unread, owed = self.waiting, self._outstanding
        for box in (self.inbox, *(self._topics or {}).values()):
            box.clear()
        self.waiting, self._outstanding, self._untold = 0, {}, {}
        return unread, owed

    def _share(self) -> int:
        """Return how much each process may have here, now that there are so many."""
        share = self.bound // max(1, len(self._windows))
        return min(WINDOW_UNITS, share or 1)

    def _narrow(self) -> None:
        share = self._share()
        changes = list(self.changes)
        for origin, window in self._windows.items():
            if window > share:
                self._windows[origin] = share
                changes.append((origin, share - window))
        self.changes = changes or ()

    def _settle(self, origin: Hashable, units: int) -> None:
        left = self._outstanding[origin] - units
        if left > 0:
            self._outstanding[origin] = left
        else:
            del self._outstanding[origin]


def take(box: Box) -> Delivery | None:
    """Make the next delivery of `box` its current one and return it; None if there is none."""
    while True:
        try:
            if box.returned:
                box.current = box.returned.pop(0)
            else:
                deliveries = box.deliveries
                box.current = deliveries.popleft() if deliveries else None
        except IndexError:
            continue  # another thread was faster: look what else there is
        return box.current


def give_back(box: Box, delivery: Delivery, ticket: int) -> None:
    """Put a message that was taken, and that nobody has seen, before all that came later.

    It has been counted as taken, and so has what is left of the current delivery, which goes back
    behind it: neither is counted again. `ticket` tells the order of several that are given back.
    """
    delivery.count = delivery.cost = 0
    delivery.ticket = ticket
    returned = [] if box.returned is None else box.returned
    current, box.current = box.current, None
    if current is not None and length_hint(current.rest) > 0:
        current.count = current.cost = 0
        returned.insert(0, current)
    place = 0
    while place < len(returned) and 0 < returned[place].ticket < ticket:
        place += 1
    returned.insert(place, delivery)
    box.returned = returned
