"""Who is running: the actor that the current task or thread belongs to, and its events."""

from __future__ import annotations

import asyncio
import enum
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wippy.core.ids import Pid
from wippy.core.reasons import ExitReason
from wippy.errors import Invalid

if TYPE_CHECKING:
    from wippy.runtime.channels import Channel
    from wippy.runtime.local import LocalActor
    from wippy.runtime.plane import Plane

MAX_EVENTS = 1000
"""Events that wait unread; past it the oldest is dropped, since the newest decides what to do."""


class EventKind(enum.StrEnum):
    """What an event is about."""

    CANCEL = "cancel"
    EXIT = "exit"
    LINK_DOWN = "link_down"
    NAME_TAKEN = "name_taken"


@dataclass(frozen=True, slots=True)
class Event:
    """Something the runtime tells an actor.

    Attributes:
        kind: What it is about.
        reason: Why, in words.
        deadline: CANCEL: monotonic time by which it must be done, seconds: the clock of
            `time.monotonic()` and of `asyncio.timeout_at()`.
        sender: EXIT, LINK_DOWN: pid of the actor that has ended. NAME_TAKEN: who has the name.
        exit: EXIT, LINK_DOWN: why it ended.
        value: EXIT: what it returned, if it ended normally with data.
    """

    kind: EventKind
    reason: str
    deadline: float
    sender: str = ""
    exit: ExitReason | None = None
    value: Any = None

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, never below 0."""
        return max(0.0, self.deadline - time.monotonic())


class EventChannel:
    """The events of one actor: put by the loop, taken by a task or by a blocking thread."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._lock = threading.Lock()
        self._wakers: deque[Callable[[], None]] = deque()

    def put(self, event: Event) -> None:
        """Add `event` and wake whoever waits; callable from any thread."""
        with self._lock:
            self._events.append(event)
            wakers, self._wakers = self._wakers, deque()
        for wake in wakers:
            wake()

    async def receive(self) -> Event:
        """Wait for the next event in a task."""
        loop = asyncio.get_running_loop()
        while True:
            awake = asyncio.Event()
            event = self._take_or_wait(lambda awake=awake: _wake_on(loop, awake))  # type: ignore[misc]  # a default argument binds this turn's event
            if event is not None:
                return event
            await awake.wait()

    def receive_blocking(self) -> Event:
        """Wait for the next event in a thread of its own."""
        while True:
            awake = threading.Event()
            event = self._take_or_wait(awake.set)
            if event is not None:
                return event
            awake.wait()

    def _take_or_wait(self, wake: Callable[[], None]) -> Event | None:
        with self._lock:
            if self._events:
                return self._events.popleft()
            self._wakers.append(wake)
            return None


def _wake_on(loop: asyncio.AbstractEventLoop, awake: asyncio.Event) -> None:
    # A loop that a user's thread has closed has no waiter any more.
    if not loop.is_closed():
        loop.call_soon_threadsafe(awake.set)


@dataclass(frozen=True, slots=True)
class CallScope:
    """What a call of a function leaves to the calls that it makes itself.

    Attributes:
        deadline_s: When its caller waits no more, by the loop's clock; infinity: never.
        depth: How many calls it is within.
        leave: Gives up the place of its thread while that waits; returns what takes it again. None
            for an `async def`.
    """

    deadline_s: float
    depth: int
    leave: Callable[[], Callable[[], None]] | None = None


@dataclass(slots=True)
class ActorContext:
    """What an actor knows of itself.

    Attributes:
        pid: Where it lives.
        service: Entry id of its service: its place in the tree.
        process: Entry id of its code.
        events: Its events.
        reads_events: Whether it asked for its events, and so wants CANCEL as one of them.
        is_interrupted: Its thread was asked to end, and is to wait for nothing any more.
        interruption: Closed when that happens; None until some thread of it waits.
        tie: Ties the process to the others, where that is left until the first line of user code
            has run; None where it is done.
        call: The call that it is, for a function.
    """

    pid: Pid
    service: str
    process: str
    events: EventChannel = field(default_factory=EventChannel)
    reads_events: bool = False
    is_interrupted: bool = False
    interruption: Channel[None] | None = None
    tie: Callable[[], None] | None = None
    call: CallScope | None = None
    _plane: Plane | None = None
    _local: LocalActor | None = None

    def interrupt(self) -> None:
        """End what the threads of this actor wait for (`wippy.sync`), now and from now on."""
        # In this order: who sees no flag has made its channel before this looks for one.
        self.is_interrupted = True
        if self.interruption is not None:
            self.interruption.close()

    @property
    def plane(self) -> Plane | None:
        """The messages of its process; None where it takes no part (a rehearsal, a test)."""
        if self.tie is not None:
            self.tie()
        return self._plane

    @property
    def local(self) -> LocalActor | None:
        """The actor as the plane sees it; None likewise."""
        if self.tie is not None:
            self.tie()
        return self._local

    def join(self, plane: Plane, local: LocalActor) -> None:
        """Take part in the messages of `plane` as `local`."""
        self._plane, self._local = plane, local


class ExitSignal(BaseException):
    """Leaves the entry function of an actor that ends itself with `value`; no `Exception`, so that
    a broad `except` of user code does not swallow it."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


class NotNeededSignal(BaseException):
    """Leaves the entry function of an actor that is not needed here (OTP's `ignore`).

    No `Exception`, so that a broad `except` of user code does not swallow it.
    """


current_actor: ContextVar[ActorContext] = ContextVar("wippy_actor")
"""Set in the task or the thread of each actor, and inherited by the tasks it makes."""

_only_actor: ActorContext | None = None


def set_only_actor(context: ActorContext | None) -> None:
    """Say that the OS process is dedicated to one actor, so its plain threads are that actor's."""
    global _only_actor
    _only_actor = context


def find_current() -> ActorContext | None:
    """Return the actor of the current task or thread, or None outside of one."""
    return current_actor.get(_only_actor)


def current() -> ActorContext:
    """Return the actor of the current task or thread; `Invalid` outside of one."""
    context = find_current()
    if context is None:
        raise Invalid("not inside an actor: this can only be called by code that wippy runs")
    return context
