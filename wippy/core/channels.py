"""Channels: whose value goes to whom, without a loop, a thread or a clock.

A channel is a buffer of `size` values with a line of waiting senders and a line of waiting
receivers. The shell tries (`send`, `receive`), and where that must wait puts a `Waiter` into a
line; it is *settled* exactly once: by a counterpart, by `close`, or by the shell (a time-out).

- Senders wait only while the buffer is full, receivers only while there is nothing to receive.
  Both lines are first come, first served, and a newcomer never overtakes a line.
- One waiter may stand in many lines (a select). The first to settle it wins; its places in the
  other lines are stale, and are skipped, and swept before they are more than those that wait.
- A settled receiver that is gone before it has looked (it was cancelled) gives the value back: to
  the first receiver in line, else to the front, in the order in which the values were sent. So
  nothing is lost, nothing comes twice, and one receiver sees all values in order.

Nothing here is safe for threads: the shell holds one lock over each call. A waiter may be withdrawn
in the middle of any call (a garbage collection may end a task), which only makes its places stale.
"""

from __future__ import annotations

import bisect
import enum
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Final

from wippy.errors import Invalid, Unavailable

SWEEP_FROM = 16
"""Lines shorter than this keep their stale places; longer ones are swept when they have doubled."""


class Closed(Invalid):
    """The channel is closed: nothing can be sent, and all that was sent has been received."""


class WouldBlock(Unavailable):
    """The operation would have to wait: the channel is full, or empty."""


class Missing(enum.Enum):
    """Stands for "no value", since None is one."""

    NOTHING = enum.auto()


NOTHING: Final = Missing.NOTHING
TIMEOUT: Final = -2
"""`Waiter.index` where the time-out came first."""


class Stage(enum.Enum):
    """WAITING, then once and for ever SETTLED (there is an outcome) or LEFT (withdrawn)."""

    WAITING = enum.auto()
    SETTLED = enum.auto()
    LEFT = enum.auto()


_WAITING, _SETTLED, _LEFT = Stage.WAITING, Stage.SETTLED, Stage.LEFT


class Waiter(ABC):
    """One suspended operation: a send, a receive, or a select of several.

    Args:
        offers: What it wants to send, by case; None for a receive.

    Attributes:
        stage: Whether it still waits.
        index: Which case happened (negative: none of them, the shell's own outcome).
        value: What was received or sent.
        ok: False if the channel was closed.
        ticket: Order in which the value was handed out by its channel, 0 if it cannot be given
            back.
    """

    __slots__ = ("index", "offers", "ok", "stage", "ticket", "value")

    def __init__(self, offers: tuple[Any, ...] = (None,)) -> None:
        self.stage = _WAITING
        self.offers = offers
        self.index = 0
        self.value: Any = None
        self.ok = True
        self.ticket = 0

    @abstractmethod
    def is_there(self) -> bool:
        """Say whether anybody is left to be woken: a cancelled task is not."""

    @abstractmethod
    def wake(self) -> bool:
        """Let the operation go on; return False if nobody is left."""

    def is_waiting(self) -> bool:
        """Say whether it can be settled."""
        return self.stage is _WAITING and self.is_there()

    def settle(self, index: int, value: Any, *, ok: bool, ticket: int = 0) -> bool:
        """Decide the operation and wake it; return False, and change nothing, if it is too late."""
        if not self.is_waiting():
            return False
        self.stage = _SETTLED
        self.index, self.value, self.ok, self.ticket = index, value, ok, ticket
        if self.wake():
            return True
        self.stage, self.value = _LEFT, None
        return False

    def finish(self) -> Any:
        """Return the outcome's value, and hold none any more: stale places may hold the waiter."""
        value, self.value, self.offers = self.value, None, ()
        return value

    def leave(self) -> Any:
        """End without looking at the outcome; return its value, which is somebody else's again."""
        self.stage = _LEFT
        return self.finish()


class Line(deque[tuple[Waiter, int]]):
    """Waiters on one side of one channel, longest first: (waiter, index of its case)."""

    __slots__ = ("_sweep_at",)

    def __init__(self) -> None:
        super().__init__()
        self._sweep_at = SWEEP_FROM

    def join(self, waiter: Waiter, index: int) -> None:
        """Put case `index` of `waiter` at the end."""
        if len(self) >= self._sweep_at:
            waiting = [place for place in self if place[0].is_waiting()]
            self.clear()
            self.extend(waiting)
            self._sweep_at = max(SWEEP_FROM, 2 * len(waiting))
        self.append((waiter, index))

    def has_waiting(self) -> bool:
        """Say whether anyone in the line still waits; drop the stale places before it."""
        while self:
            if self[0][0].is_waiting():
                return True
            self.popleft()
        return False

    def count_waiting(self) -> int:
        """Return how many still wait."""
        return sum(waiter.is_waiting() for waiter, _ in self)


class ChannelCore:
    """The state of one channel.

    Args:
        size: How many values wait in it while nobody receives; 0 is a rendezvous.

    Attributes:
        is_closed: Whether it takes no more values.
        sent_turn, received_turn: When a select last chose to send or receive here, as a number
            that only has an order; see `wippy.core.selecting.choose`.
    """

    __slots__ = (
        "_buffer",
        "_receivers",
        "_returned",
        "_senders",
        "_tickets",
        "is_closed",
        "received_turn",
        "sent_turn",
        "size",
    )

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self.is_closed = False
        self.sent_turn = 0
        self.received_turn = 0
        self._buffer: deque[Any] = deque()
        # Values that receivers gave back, by ticket. They are older than all in the buffer, and
        # over its bound by at most as many as there were receivers.
        self._returned: list[tuple[int, Any]] = []
        self._tickets = 0
        self._senders = Line()
        self._receivers = Line()

    def __len__(self) -> int:
        """Return the number of values that can be received without a sender."""
        return len(self._buffer) + len(self._returned)

    @property
    def waiting(self) -> tuple[int, int]:
        """How many senders and how many receivers wait."""
        return self._senders.count_waiting(), self._receivers.count_waiting()

    # --- now or never ----------------------------------------------------------------------------

    def send(self, value: Any) -> bool:
        """Send `value` if that needs no waiting; say whether it was sent.

        Raises:
            Closed: The channel is closed.
        """
        if self.is_closed:
            raise Closed("this channel is closed: nothing can be sent on it any more")
        if self._receivers and self._hand_out(self._tickets + 1, value):
            self._tickets += 1
            return True
        if len(self._buffer) < self.size:
            self._buffer.append(value)
            return True
        return False

    def receive(self) -> Any:
        """Return the next value, or `NOTHING` if it must be waited for.

        Raises:
            Closed: The channel is closed and drained.
        """
        if self._returned:
            return self._returned.pop(0)[1]
        if self._buffer:
            value = self._buffer.popleft()
            if self._senders:
                self._refill()
            return value
        if self._senders and (value := self._take_offer()) is not NOTHING:
            return value
        if self.is_closed:
            raise Closed("this channel is closed, and all that was sent on it has been received")
        return NOTHING

    def can_send(self) -> bool:
        """Say whether `send` would not wait; a closed channel is ready to refuse."""
        if len(self._buffer) < self.size or self.is_closed:
            return True
        return bool(self._receivers) and self._receivers.has_waiting()

    def can_receive(self) -> bool:
        """Say whether `receive` would not wait; a closed channel is ready to say so."""
        if self._buffer or self._returned or self.is_closed:
            return True
        return bool(self._senders) and self._senders.has_waiting()

    # --- waiting ---------------------------------------------------------------------------------

    def wait_to_send(self, waiter: Waiter, index: int = 0) -> None:
        """Let case `index` of `waiter` wait to send `waiter.offers[index]`."""
        self._senders.join(waiter, index)

    def wait_to_receive(self, waiter: Waiter, index: int = 0) -> None:
        """Let case `index` of `waiter` wait for a value."""
        self._receivers.join(waiter, index)

    def withdraw(self, waiter: Waiter) -> None:
        """End an operation that will not look at its outcome; a value it was handed goes back."""
        was_handed = waiter.stage is _SETTLED and waiter.ticket > 0
        value = waiter.leave()
        if was_handed and not self._hand_out(waiter.ticket, value):
            bisect.insort(self._returned, (waiter.ticket, value), key=_ticket_of)

    def close(self) -> None:
        """Take no more values; wake all who wait. Again is no error.

        Waiting senders keep their values and get `Closed`; receivers get what is in the buffer.
        """
        if self.is_closed:
            return
        self.is_closed = True
        for line in (self._senders, self._receivers):
            while line:
                waiter, index = line.popleft()
                waiter.settle(index, None, ok=False)

    def _hand_out(self, ticket: int, value: Any) -> bool:
        """Give `value` to the first receiver that takes it."""
        while self._receivers:
            waiter, index = self._receivers.popleft()
            if waiter.settle(index, value, ok=True, ticket=ticket):
                return True
        return False

    def _take_offer(self) -> Any:
        """Take the value of the first sender that is still there, or `NOTHING`."""
        while self._senders:
            waiter, index = self._senders.popleft()
            if waiter.is_waiting():
                value = waiter.offers[index]
                if waiter.settle(index, value, ok=True):
                    return value
        return NOTHING

    def _refill(self) -> None:
        while len(self._buffer) < self.size:
            value = self._take_offer()
            if value is NOTHING:
                return
            self._buffer.append(value)


def _ticket_of(returned: tuple[int, Any]) -> int:
    return returned[0]
