"""What comes to an actor, as a case of a select: the messages of a box, and its events.

A source has no line of senders: something else fills it, from another thread perhaps, without
`LOCK`. So a waiter first says that it waits for news, and then looks once more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from wippy.core.channels import NOTHING, Line, Stage, Waiter
from wippy.core.mailbox import Delivery, Message, give_back
from wippy.errors import Invalid
from wippy.runtime.context import Event, EventChannel
from wippy.runtime.waiters import LOCK

if TYPE_CHECKING:
    from wippy.runtime.inbox import Inbox


class Source(ABC):
    """A `Selectable` (`wippy.core.selecting`) that can only be received from."""

    def __init__(self) -> None:
        self.sent_turn = 0
        self.received_turn = 0
        self._line = Line()
        self._listens = False
        self._tickets = 0

    def send(self, value: Any) -> NoReturn:
        """Refuse: who fills it is somebody else."""
        raise Invalid("a select can only receive from an inbox or from events")

    def can_send(self) -> bool:
        """See `Selectable`."""
        return False

    def wait_to_send(self, waiter: Waiter, index: int = 0) -> None:
        """Refuse, as `send`."""
        self.send(None)

    def receive(self) -> Any:
        """Return what came first, or `NOTHING`."""
        return self._take()

    @abstractmethod
    def can_receive(self) -> bool:
        """Say whether anything is there."""

    def wait_to_receive(self, waiter: Waiter, index: int = 0) -> None:
        """Let case `index` of `waiter` have what comes next."""
        self._line.join(waiter, index)
        self._serve()

    def withdraw(self, waiter: Waiter) -> None:
        """Take back what was given to `waiter`, which was cancelled before it looked."""
        was_handed = waiter.stage is Stage.SETTLED and waiter.ticket > 0
        value = waiter.leave()
        if was_handed:
            self._give_back(value, waiter.ticket)
            self._serve()

    def _serve(self) -> None:
        while self._line.has_waiting():
            if not self._listens:
                self._listens = True
                self._wait_for_news(self._news)
            value = self._take()
            if value is NOTHING:
                return
            waiter, index = self._line.popleft()
            self._tickets += 1
            if not waiter.settle(index, value, ok=True, ticket=self._tickets):
                self._give_back(value, self._tickets)

    def _news(self) -> None:
        with LOCK:
            self._listens = False
            self._serve()

    @abstractmethod
    def _take(self) -> Any:
        """Return what came first, or `NOTHING`."""

    @abstractmethod
    def _give_back(self, value: Any, ticket: int) -> None:
        """Put `value` back before all that came later."""

    @abstractmethod
    def _wait_for_news(self, waker: Callable[[], None]) -> None:
        """Have `waker` called once, when something comes from now on; any thread may call it."""


class MessageSource(Source):
    """The messages of one box."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__()
        self._inbox = inbox

    def can_receive(self) -> bool:
        """See `Source`."""
        return self._inbox.box.has_messages()

    def _take(self) -> Any:
        message = self._inbox.take_nowait()
        return NOTHING if message is None else message

    def _give_back(self, value: Message, ticket: int) -> None:
        run = Delivery(value.topic, value.sender, [value.payload], 0, None, value.reference)
        give_back(self._inbox.box, run, ticket)

    def _wait_for_news(self, waker: Callable[[], None]) -> None:
        self._inbox.box.wakers.append(waker)


class EventSource(Source):
    """The events of one actor."""

    def __init__(self, events: EventChannel) -> None:
        super().__init__()
        self._events = events

    def can_receive(self) -> bool:
        """See `Source`."""
        return self._events.has_events()

    def _take(self) -> Any:
        event = self._events.take_nowait()
        return NOTHING if event is None else event

    def _give_back(self, value: Event, ticket: int) -> None:
        self._events.give_back(value, ticket)

    def _wait_for_news(self, waker: Callable[[], None]) -> None:
        self._events.wake_at_next(waker)
