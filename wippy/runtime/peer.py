"""Another process, as this one sees it: what is to be sent to it, and how much it may still get.

Everything that the actors of this process say to another in one turn of the loop becomes one frame
(or several, where it is much). An *outlet* is the way from one actor to one target: while it is
open, a message is one `append`. It is closed, and becomes a run, when its topic changes, when its
actor says something else to the same process, and when the frame is sent: so everything between
two actors keeps its order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from wippy.core import framing
from wippy.core.wire import CREDIT_UNIT_BYTES, SPLIT_FRAME_BYTES, WINDOW_UNITS, Item
from wippy.errors import MailboxFull

RUN_LENGTH = 256
"""Messages of at most a credit unit in one run: their frame is sent early if it is long enough."""


class Transport(Protocol):
    """Where the frames for one process go."""

    def send(self, frame: bytes) -> None:
        """Send a frame; never blocks, never fails."""

    def close(self, *, linger_ms: int) -> None:
        """Close, giving what is queued `linger_ms` milliseconds."""


class Account:
    """What may still be sent to one actor before it takes something.

    Attributes:
        actor: Its number.
        credit: Units left.
        is_absent: There is no such actor (any more).
        waiters: Woken when there is credit again, or the actor or its process is gone.
    """

    __slots__ = ("actor", "credit", "is_absent", "waiters")

    def __init__(self, actor: int) -> None:
        self.actor = actor
        self.credit = WINDOW_UNITS
        self.is_absent = False
        self.waiters: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """Wake all who wait for credit."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Outlet:
    """The way from one actor to one target.

    Attributes:
        peer: The process of the target.
        account: Of the target.
        topic: Of the messages in `payloads`; None while it is closed.
        payloads: Encoded, none larger than a credit unit.
        room: How many more may be appended; at 0 it is to be closed.
        thread: The only one that may.
    """

    __slots__ = (
        "_head",
        "_head_topic",
        "account",
        "payloads",
        "peer",
        "room",
        "sender",
        "thread",
        "topic",
    )

    def __init__(self, peer: Peer, account: Account, sender: int, thread: int) -> None:
        self.thread = thread
        self.peer = peer
        self.account = account
        self.sender = sender
        self.topic: str | None = None
        self.payloads: list[bytes] = []
        self.room = 0
        self._head = b""
        self._head_topic: str | None = None

    def open(self, topic: str) -> None:
        """Begin a run under `topic`; `MailboxFull` if there is no credit."""
        credit = self.account.credit
        if credit <= 0:
            raise MailboxFull(
                f"{self.peer.prefix}{self.account.actor} has not taken the last {WINDOW_UNITS} KiB "
                "or messages; wait for it: await process.ready(pid)"
            )
        self.topic = topic
        self.payloads = []
        self.room = credit if credit < RUN_LENGTH else RUN_LENGTH
        self.peer.opened(self)

    def reopen(self, topic: str) -> bool:
        """Open it again under the topic that it had; False if that is not the simple case."""
        if (
            topic != self._head_topic
            or self.topic is not None
            or self.peer.is_gone
            or self.account.is_absent
            or self.account.credit <= 0
        ):
            return False
        self.open(topic)
        return True

    def close(self) -> None:
        """Make a run of what there is; a closed one stays closed."""
        if self.topic is None:
            return
        topic, payloads = self.topic, self.payloads
        self.topic = None
        if payloads:
            self._write(topic, payloads, len(payloads))

    def write_large(self, topic: str, payload: bytes) -> None:
        """Make a run of one message that may be larger than a credit unit."""
        self.open(topic)
        self.topic = None
        self._write(topic, [payload], -(-len(payload) // CREDIT_UNIT_BYTES) or 1)

    def _write(self, topic: str, payloads: list[bytes], cost: int) -> None:
        if topic != self._head_topic:
            self._head = framing.run_head(self.account.actor, self.sender, topic)
            self._head_topic = topic
        self.account.credit -= cost
        self.peer.plane_sent(len(payloads))
        self.peer.write(framing.whole_run(self._head, payloads, cost))


class Peer:
    """A process (slot, generation) that this one has something to do with.

    Attributes:
        slot: Its slot.
        generation: Its generation.
        prefix: Of its pids: `node/slot.generation/`.
        accounts: By actor number.
        linked: Numbers of the actors here that are linked to one there.
        is_gone: It has ended.
        is_promised: It is to come (`wippy.runtime.promised`): what is said to it waits.
        used_at_s: When something was last sent to it, by the loop's clock.
        frames: Sent to it so far.

    Args:
        head: What its frames begin with.
        schedule: Called when it has something to send, once until it is flushed.
        plane_sent: Counts messages.
        connect: Makes its transport, at the first frame; None if there is no socket for it now:
            `connected` is called when there is.
    """

    def __init__(
        self,
        slot: str,
        generation: int,
        *,
        prefix: str,
        head: bytes,
        schedule: Callable[[Peer], None],
        plane_sent: Callable[[int], None],
        connect: Callable[[Peer], Transport | None],
    ) -> None:
        self.slot = slot
        self.generation = generation
        self.prefix = prefix
        self.accounts: dict[int, Account] = {}
        self.linked: set[int] = set()
        self.is_gone = False
        self.is_promised = False
        self.is_watched = False
        self.used_at_s = 0.0
        self.frames = 0
        self.plane_sent = plane_sent
        self._head = head
        self._schedule = schedule
        self._connect = connect
        self._transport: Transport | None = None
        self._open: list[Outlet] = []
        self._items: list[bytes] = []
        self._size_bytes = 0
        self._is_scheduled = False

    @property
    def is_connected(self) -> bool:
        """Whether it has a socket."""
        return self._transport is not None

    def account(self, actor: int) -> Account:
        """Return the account of one of its actors."""
        account = self.accounts.get(actor)
        if account is None:
            account = self.accounts[actor] = Account(actor)
        return account

    def opened(self, outlet: Outlet) -> None:
        """An outlet has been opened: it is closed at the next flush."""
        self._open.append(outlet)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._schedule(self)

    def write(self, item: bytes) -> None:
        """Add an encoded item behind all that stands there."""
        if self.is_gone:
            return
        self._items.append(item)
        self._size_bytes += len(item)
        if self._size_bytes >= SPLIT_FRAME_BYTES:
            self._send()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._schedule(self)

    def say(self, item: Item, *, after: Outlet | None = None) -> None:
        """Add an item; behind the messages of the open outlet `after`, if one is given."""
        if after is not None:
            after.close()
        self.write(framing.item(item))

    def flush(self) -> None:
        """Send all there is as a frame."""
        self._is_scheduled = False
        opened, self._open = self._open, []
        for outlet in opened:
            outlet.close()
        if self._items:
            self._send()

    def bury(self) -> None:
        """It has ended: drop what was to be sent, wake who waits for credit."""
        self.is_gone = True
        self._items, self._size_bytes = [], 0
        for outlet in self._open:
            outlet.topic = None
        self._open = []
        for account in self.accounts.values():
            account.wake()
        self.disconnect(linger_ms=0)

    def disconnect(self, *, linger_ms: int) -> None:
        """Close its socket; the next frame makes a new one."""
        if self._transport is not None:
            self._transport.close(linger_ms=linger_ms)
            self._transport = None

    def prune(self) -> None:
        """Forget accounts that nobody has sent to since all was taken."""
        self.accounts = {
            actor: account
            for actor, account in self.accounts.items()
            if account.credit < WINDOW_UNITS or account.waiters
        }

    def connected(self, transport: Transport) -> None:
        """Take the socket that there was none of, and send what has waited for it."""
        self._transport = transport
        for items in _parcels(self._items):
            self._items = items
            self._send()

    def _send(self) -> None:
        if self._transport is None:
            self._transport = self._connect(self)
            if self._transport is None:
                return  # credit bounds what waits
        items, self._items, self._size_bytes = self._items, [], 0
        self.frames += 1
        self._transport.send(framing.whole_frame(self._head, items))


def _parcels(items: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the items in parts that make frames of the usual size."""
    part: list[bytes] = []
    size_bytes = 0
    for item in items:
        part.append(item)
        size_bytes += len(item)
        if size_bytes >= SPLIT_FRAME_BYTES:
            yield part
            part, size_bytes = [], 0
    if part:
        yield part
