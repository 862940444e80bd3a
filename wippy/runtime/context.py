"""Who is running: the actor that the current task or thread belongs to, and its events."""

from __future__ import annotations

import asyncio
import enum
import functools
import operator
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wippy.core.ids import Pid
from wippy.core.policy import Identity
from wippy.core.reasons import ExitReason
from wippy.errors import Invalid

if TYPE_CHECKING:
    from wippy.runtime.channels import Channel
    from wippy.runtime.local import LocalActor
    from wippy.runtime.peer import Outlet
    from wippy.runtime.plane import Plane

MAX_EVENTS = 1000
"""Events about the actor itself that wait unread; past it the oldest of them is dropped, since the
newest decides what to do. Ends of others are never dropped: each was asked for, once."""
MAX_UNREAD = 100_000
"""Events that wait unread, ends of others with them; past it nothing new may be monitored or
linked, so that an actor that never looks does not fill the memory."""


class EventKind(enum.StrEnum):
    """What an event is about."""

    CANCEL = "cancel"
    EXIT = "exit"
    LINK_DOWN = "link_down"
    OUTDATED = "outdated"
    NAME_TAKEN = "name_taken"


ENDS = frozenset({EventKind.EXIT, EventKind.LINK_DOWN})
"""What is told of others, because it was asked for."""


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
        version: OUTDATED: of the code that `process.upgrade` would enter.
    """

    kind: EventKind
    reason: str
    deadline: float
    sender: str = ""
    exit: ExitReason | None = None
    value: Any = None
    version: int = 0

    @property
    def left_s(self) -> float:
        """Seconds until the deadline, never below 0."""
        return max(0.0, self.deadline - time.monotonic())


class EventChannel:
    """The events of one actor: put by the loop, taken by a task or by a blocking thread.

    Attributes:
        source: What a select sees of it; None before the first one.
    """

    __slots__ = ("_events", "_lock", "_own", "_returned", "_wakers", "source")

    def __init__(self) -> None:
        # Most actors never get an event: what it takes to keep some is made for the first one.
        self._events: deque[Event] | None = None
        self._own = 0
        self.source: Any = None
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] | None = None
        self._returned: list[tuple[int, Event]] | None = None

    def put(self, event: Event) -> None:
        """Add `event` and wake whoever waits; callable from any thread."""
        with self._lock:
            self._add(event)
            wakers, self._wakers = self._wakers, None
        for wake in wakers or ():
            wake()

    async def receive(self) -> Event:
        """Wait for the next event in a task."""
        loop = asyncio.get_running_loop()
        while True:
            awake = asyncio.Event()
            event = self._take_or_wait(functools.partial(_wake_on, loop, awake))
            if event is not None:
                return event
            await awake.wait()

    @property
    def unread(self) -> int:
        """How many wait."""
        return len(self._events or ()) + len(self._returned or ())

    def has_events(self) -> bool:
        """Say whether one can be taken."""
        with self._lock:
            return bool(self._returned or self._events)

    def take_nowait(self) -> Event | None:
        """Return the next event, if there is one."""
        with self._lock:
            return self._first()

    def wake_at_next(self, wake: Callable[[], None]) -> None:
        """Call `wake` once, at the next event that comes, from the thread that puts it."""
        with self._lock:
            self._wake_at_next(wake)

    def give_back(self, event: Event, ticket: int) -> None:
        """Put an event that was taken, and that nobody has seen, before all others; `ticket` tells
        the order of several."""
        with self._lock:
            returned = [*(self._returned or ()), (ticket, event)]
            self._returned = sorted(returned, key=operator.itemgetter(0))

    def _take_or_wait(self, wake: Callable[[], None]) -> Event | None:
        with self._lock:
            event = self._first()
            if event is None:
                self._wake_at_next(wake)
            return event

    def _wake_at_next(self, wake: Callable[[], None]) -> None:
        if self._wakers is None:
            self._wakers = []
        self._wakers.append(wake)

    def _add(self, event: Event) -> None:
        if self._events is None:
            self._events = deque()
        self._events.append(event)
        if event.kind in ENDS:
            return
        self._own += 1
        if self._own > MAX_EVENTS:
            self._events.remove(next(it for it in self._events if it.kind not in ENDS))
            self._own -= 1

    def _first(self) -> Event | None:
        if self._returned:
            return self._returned.pop(0)[1]
        if not self._events:
            return None
        event = self._events.popleft()
        self._own -= event.kind not in ENDS
        return event


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


@dataclass(frozen=True, slots=True, eq=False)
class Newer:
    """Newer code of an actor, loaded and ready to be entered.

    Attributes:
        version: Of the registry, as the root gave it.
        module: Name of its module.
        entry: Its entry function.
        entered: Called when it takes over, with the name of the module that it takes over from.
    """

    version: int
    module: str
    entry: Callable[..., Any]
    entered: Callable[[str], None]


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
        module: Name of the module of its code.
        is_upgradable: Newer code is offered to it as an OUTDATED event.
        newer: The newest code that was offered.
        version: Of the code that it runs, where that was once newer; 0 for what it started with.
        is_over: It has ended.
        task: Runs its entry function.
        identity: As whom it acts; None is the default identity.
        credential: Shows the keeper that it does.
        outlets: Those of its `LocalActor`, for `send`; none before it is tied.
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
    module: str = ""
    is_upgradable: bool = False
    newer: Newer | None = None
    version: int = 0
    is_over: bool = False
    task: asyncio.Task[Any] | None = None
    identity: Identity | None = None
    credential: bytes = b""
    outlets: dict[str, Outlet] = field(default_factory=dict)
    _plane: Plane | None = None
    _local: LocalActor | None = None

    def interrupt(self) -> None:
        """End what the threads of this actor wait for (`wippy.sync`), now and from now on."""
        # In this order: who sees no flag has made its channel before this looks for one.
        self.is_interrupted = True
        if self.interruption is not None:
            self.interruption.close()

    def take_over(self, newer: Newer) -> None:
        """Newer code is entered next. It has not said yet that it reads its events."""
        self.reads_events = False
        self.version = newer.version
        if self.newer is newer:
            self.newer = None
        left, self.module = self.module, newer.module
        newer.entered(left)

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
        self._plane, self._local, self.outlets = plane, local, local.outlets


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


class UpgradeSignal(BaseException):
    """Leaves the entry function of an actor whose newer code is entered next, with `args`."""

    def __init__(self, newer: Newer, args: tuple[Any, ...]) -> None:
        super().__init__()
        self.newer = newer
        self.args = args


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
