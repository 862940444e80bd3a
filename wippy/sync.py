"""The blocking twins of what is awaited, for actors that are a plain `def`.

from wippy import process, sync

def main(shop):
    price = sync.call(shop, "price", "tea", timeout="2s")
    for message in sync.inbox():
        process.reply(message, price)

A plain `def` runs in a thread of its own beside the event loop. A twin blocks that thread only:
its process keeps answering, and other actors in it go on. What never waits (`process.send`,
`spawn`, `monitor`, ...) needs no twin.

**A stop.** An actor that is asked to stop and does not read `process.events()`, or that is
terminated, or ended by a link, gets `Cancelled` out of the twin it is blocked in, and out of every
one that it calls from then on: nothing blocks any more, not even where a broad `except` swallowed
the first. It ends as asked when `Cancelled` leaves its function; `finally` blocks run, and may
send. One that does read `process.events()` gets CANCEL there instead, and its twins go on: it has
said that it decides itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from wippy import events as awaited_events
from wippy import funcs as awaited_funcs
from wippy import groups as awaited_groups
from wippy import process, registry, resource
from wippy.core.channels import NOTHING, TIMEOUT, Closed
from wippy.core.durations import Duration, seconds
from wippy.core.groups import GroupEvent
from wippy.core.mailbox import Message
from wippy.core.observing import DEFAULT_SIZE
from wippy.core.selecting import Case
from wippy.errors import Cancelled, Invalid, Timeout
from wippy.runtime import inbox as awaited
from wippy.runtime.asking import Reply, begin_now
from wippy.runtime.channels import Channel
from wippy.runtime.context import ActorContext, current, find_current
from wippy.runtime.interruption import cancelled, interruption
from wippy.runtime.selecting import Selected, select_blocking
from wippy.runtime.waiters import refuse_to_block_loop

__all__ = [
    "GroupMonitor",
    "Inbox",
    "Subscription",
    "Watch",
    "acquire",
    "apply",
    "apply_version",
    "call",
    "exec",
    "funcs",
    "inbox",
    "listen",
    "monitor_group",
    "ready",
    "receive",
    "receive_from",
    "select",
    "send_to",
    "sleep",
    "subscribe",
    "wait",
    "watch",
]

T = TypeVar("T")


# --- messages and other actors --------------------------------------------------------------------


def call(
    target: str, topic: str, payload: Any = None, *, timeout: Duration = process.CALL_TIMEOUT_S
) -> Any:
    """Send a message and wait for the reply; see `process.call`.

    Raises:
        Timeout: No reply within `timeout`.
        NotFound, Exited, TypeError, MailboxFull, WippyError: As `process.call`.
        Cancelled: The calling actor is to stop.
        Invalid: As `process.call`; or called on the thread of an event loop.
    """
    refuse_to_block_loop("await process.call(...)")
    timeout_s = seconds(timeout)
    began_s = time.monotonic()
    context = current()
    stop = interruption(context)
    reply = Reply()
    give_up = begin_now(target, topic, payload, reply)
    if give_up is None:
        # A service that is being restarted: the loop waits for it.
        return wait(process.call(target, topic, payload, timeout_s=timeout_s))
    cases = (reply.came.case_receive(), stop.case_receive())
    try:
        with _without_place(context):
            left_s = max(0.0, began_s + timeout_s - time.monotonic())
            chosen = select_blocking(*cases, timeout=left_s)
    finally:
        if not reply.done():
            give_up()
    if chosen.index == 1:
        raise cancelled(context)
    if chosen.index == TIMEOUT:
        raise Timeout(f"{target} has not replied to {topic!r} within {timeout_s:g} s")
    if reply.error is not None:
        raise reply.error
    return reply.value


def exec(process_id: str, host: str = "", *args: Any, timeout: Duration | None = None) -> Any:
    """Start an actor, wait for its end and return what it returned; see `process.exec`.

    It is terminated where the waiting ends before it.

    Raises:
        Exited: It ended otherwise than `normal`.
        Timeout: Not ended within `timeout`.
        Cancelled: The calling actor is to stop.
        Invalid: An id is none, or called on the thread of an event loop.
    """
    refuse_to_block_loop("await process.exec(...)")
    timeout_s = None if timeout is None else seconds(timeout)
    return wait(process.exec(process_id, host, *args, timeout_s=timeout_s))


class BlockingCalls:
    """The blocking twins of `wippy.funcs`: `sync.funcs.call("app:resize", "cat.png", 640)`.

    A future (`wippy.funcs.start`, which never waits) is waited for with `sync.funcs.result`.
    """

    __slots__ = ()

    def call(
        self,
        function: str,
        *args: Any,
        timeout: Duration | None = None,
        retry: awaited_funcs.RetryPolicy | int | None = None,
    ) -> Any:
        """Call a function and return what it returns; see `wippy.funcs.call`.

        A function that is a plain `def` itself gives its place among the threads of its worker up
        meanwhile, so calls within calls never wait for each other.

        Args:
            function: Entry id of a `function.py`.
            args: Data.
            timeout: Limit of one attempt; 0 is none. None as the entry says.
            retry: As for `wippy.funcs.call`.

        Raises:
            Failed, Timeout, Exited, Unavailable, NotFound, TypeError: As `wippy.funcs.call`.
            Cancelled: The calling actor is to stop.
            Invalid: As `wippy.funcs.call`; or called on the thread of an event loop.
        """
        refuse_to_block_loop("await funcs.call(...)")
        timeout_s = None if timeout is None else seconds(timeout)
        return wait(awaited_funcs.call(function, *args, timeout_s=timeout_s, retry=retry))

    def result(self, future: awaited_funcs.Future, *, timeout: Duration | None = None) -> Any:
        """Wait for a call that was started, and return its result.

        Raises:
            Timeout: Not done within `timeout`; the call goes on.
            Cancelled: The calling actor is to stop, or the call was cancelled.
            WippyError: As `wippy.funcs.call`.
            Invalid: Called on the thread of an event loop.
        """
        refuse_to_block_loop("await future")
        with _without_place(current()):
            chosen = select(future.case_done(), timeout=timeout)
        if chosen.index == TIMEOUT:
            raise Timeout(f"{future.function} has not returned within {timeout}")
        return future.result()


funcs = BlockingCalls()
"""The blocking twins of `wippy.funcs`."""


def ready(target: str) -> None:
    """Wait until a `process.send` to `target` would not raise `MailboxFull`.

    Raises:
        Cancelled: The calling actor is to stop.
        Invalid: Called on the thread of an event loop.
    """
    refuse_to_block_loop("await process.ready(...)")
    wait(process.ready(target))


def receive(*, timeout: Duration | None = None) -> Message:
    """Return the next message of the inbox; see `Inbox.receive`."""
    return inbox().receive(timeout=timeout)


def inbox() -> Inbox:
    """Return the calling actor's messages, but for the topics that it listens to."""
    return Inbox(process.inbox())


def listen(topic: str) -> Inbox:
    """Return the calling actor's messages under `topic`; see `process.listen`."""
    return Inbox(process.listen(topic))


class Inbox:
    """Messages of the calling actor, in the order in which they came.

    `for message in sync.inbox()` waits for each and ends only by `break`, or by `Cancelled`.
    """

    __slots__ = ("_messages",)

    def __init__(self, messages: awaited.Inbox) -> None:
        self._messages = messages

    def receive(self, *, timeout: Duration | None = None) -> Message:
        """Wait for the next message and return it; none is lost by a time-out.

        Args:
            timeout: How long to wait; 0 only looks.

        Raises:
            Timeout: None came within `timeout`.
            Cancelled: The calling actor is to stop.
            Invalid: Called on the thread of an event loop.
        """
        refuse_to_block_loop("await process.inbox().receive()")
        with _without_place(current()):
            return self._messages.receive_blocking(timeout=timeout)

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        refuse_to_block_loop("async for message in process.inbox()")
        with _without_place(current()):
            return self._messages.receive_blocking()

    def case_receive(self) -> Case:
        """Return "the next message comes" as a case of `select`."""
        return self._messages.case_receive()


# --- the registry ---------------------------------------------------------------------------------


def apply(
    changes: registry.Changes, *, comment: str = "", expected_version: int | None = None
) -> int:
    """Apply changes of the registry as one version; return it. See `registry.Changes.apply`.

    Raises:
        Conflict, AlreadyExists, NotFound, Unavailable, Timeout: As there.
        Cancelled: The calling actor is to stop; the change may still happen.
        Invalid: As there, or called on the thread of an event loop.
    """
    refuse_to_block_loop("await registry.changes()....apply()")
    return wait(changes.apply(comment=comment, expected_version=expected_version))


def apply_version(version: int, *, comment: str = "", expected_version: int | None = None) -> int:
    """Make a new version with the entries of `version`; see `registry.apply_version`. Raises as
    `apply`."""
    refuse_to_block_loop("await registry.apply_version(...)")
    work = registry.apply_version(version, comment=comment, expected_version=expected_version)
    return wait(work)


# --- groups and observations ------------------------------------------------------------------


class _Stream(Generic[T]):
    """What comes one after another, until it is closed."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._receive = receive

    def receive(self, *, timeout: Duration | None = None) -> T:
        """Wait for the next one and return it; none is lost by a time-out.

        Raises:
            Timeout: None came within `timeout`.
            Closed: It is closed, and all was taken.
            Cancelled: The calling actor is to stop.
            Invalid: Called on the thread of an event loop.
        """
        refuse_to_block_loop("await ....receive()")
        return wait(self._receive(), timeout=timeout)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return self.receive()
        except Closed:
            raise StopIteration from None


class GroupMonitor(_Stream[GroupEvent]):
    """The blocking twin of `groups.Monitor`: `for event in monitor` waits for each change.

    Attributes:
        members: Pids, at the moment of the call; once for each time that they had joined.
    """

    __slots__ = ("_monitor", "members")

    def __init__(self, monitor: awaited_groups.Monitor) -> None:
        super().__init__(monitor.receive)
        self._monitor = monitor
        self.members = monitor.members

    def close(self) -> None:
        """End it; again is no error."""
        self._monitor.close()


class Subscription(_Stream[awaited_events.Observation]):
    """The blocking twin of `events.Subscription`: `for event in subscription` waits for each."""

    __slots__ = ("_subscription",)

    def __init__(self, subscription: awaited_events.Subscription) -> None:
        super().__init__(subscription.receive)
        self._subscription = subscription

    @property
    def dropped(self) -> int:
        """How many observations it has not seen."""
        return self._subscription.dropped

    def ready(self, *, timeout: Duration | None = None) -> None:
        """Wait until all of the node knows of it; see `events.Subscription.ready`."""
        refuse_to_block_loop("await subscription.ready()")
        wait(self._subscription.ready(), timeout=timeout)

    def close(self) -> None:
        """End it; again is no error."""
        self._subscription.close()


def monitor_group(group: str, *, timeout: Duration | None = None) -> GroupMonitor:
    """Return the members of `group` and, from then on, every change; see `groups.monitor`.

    Raises:
        Timeout: The root has not answered within `timeout`.
        Cancelled: The calling actor is to stop.
        Invalid: It can be no name of a group, or called on the thread of an event loop.
    """
    refuse_to_block_loop("await groups.monitor(...)")
    return GroupMonitor(wait(awaited_groups.monitor(group), timeout=timeout))


def subscribe(pattern: str, *, size: int = DEFAULT_SIZE) -> Subscription:
    """Observe what is published; see `events.subscribe`. Does not block itself."""
    return Subscription(awaited_events.subscribe(pattern, size=size))


class Watch(_Stream[registry.Change]):
    """The blocking twin of `registry.Watch`: `for change in watch` waits for each."""

    __slots__ = ("_watch",)

    def __init__(self, watch: registry.Watch[registry.Change]) -> None:
        super().__init__(watch.receive)
        self._watch = watch

    @property
    def version(self) -> int:
        """The last version of which every change was taken."""
        return self._watch.version

    def close(self) -> None:
        """End it; again is no error."""
        self._watch.close()


def watch(pattern: str = "**", *, since: int | None = None) -> Watch:
    """Follow the changes of entries; see `registry.watch`. Does not block itself."""
    return Watch(registry.watch(pattern, since=since))


@contextlib.contextmanager
def acquire(wanted: str | resource.Resource, *, timeout: Duration | None = None) -> Iterator[Any]:
    """Have a connection for the length of a `with`: `with sync.acquire("app.db:postgres") as db`.

    The blocking twin of `resource.of(...).acquire()`: the driver's blocking connection. The end of
    the block commits, or rolls back where an exception leaves it, in this thread.

    Args:
        wanted: Entry id, or what `resource.of` returned.
        timeout: How long to wait for one; None as the entry says.

    Raises:
        NotFound, PermissionDenied, Timeout, Unavailable: As there.
        Cancelled: The calling actor is to stop.
        Invalid: As there, or called on the thread of an event loop.
    """
    refuse_to_block_loop("async with resource.of(...).acquire()")
    entry_id = wanted if isinstance(wanted, str) else wanted.id
    borrowing = resource.Borrowing(entry_id, None if timeout is None else seconds(timeout))
    try:
        connection = wait(borrowing.take())
    except BaseException:
        borrowing.give_back_unused()
        raise
    try:
        yield connection
    except BaseException:
        borrowing.finish_failed()
        raise
    borrowing.finish()


# --- time and channels ----------------------------------------------------------------------------


def sleep(duration: Duration) -> None:
    """Block this thread for `duration`.

    Raises:
        Cancelled: The calling actor is to stop.
        Invalid: `duration` is none, or called on the thread of an event loop.
    """
    refuse_to_block_loop("await time.sleep(...)")
    select(timeout=max(0.0, seconds(duration)))


def select(*cases: Case, default: Any = NOTHING, timeout: Duration | None = None) -> Selected:
    """Let exactly one of `cases` happen: the first that can; see `channel.select`.

    Raises:
        Closed: A case sends on a channel that is closed.
        Cancelled: The calling actor is to stop.
        Invalid: As `channel.select`, or called on the thread of an event loop.
    """
    refuse_to_block_loop("await channel.select(...)")
    context = find_current()
    if context is None:
        return select_blocking(*cases, default=default, timeout=timeout)
    stop = interruption(context)
    if default is not NOTHING or (not cases and timeout is None):
        # It does not wait, or is refused.
        return select_blocking(*cases, default=default, timeout=timeout)
    chosen = select_blocking(*cases, stop.case_receive(), timeout=timeout)
    if chosen.index == len(cases):
        raise cancelled(context)
    return chosen


def send_to(channel: Channel[T], value: T, *, timeout: Duration | None = None) -> None:
    """Send `value` on a channel; see `Channel.send`.

    Raises:
        Timeout: It could not be sent within `timeout`; then it never will be.
        Closed: The channel is closed.
        Cancelled: The calling actor is to stop.
        Invalid: Called on the thread of an event loop.
    """
    refuse_to_block_loop("await ch.send(...)")
    if select(channel.case_send(value), timeout=timeout).index == TIMEOUT:
        raise Timeout(f"nobody received within {timeout}: {channel!r}")


def receive_from(channel: Channel[T], *, timeout: Duration | None = None) -> T:
    """Return the next value of a channel; see `Channel.receive`.

    Raises:
        Timeout: None came within `timeout`.
        Closed: The channel is closed and drained.
        Cancelled: The calling actor is to stop.
        Invalid: Called on the thread of an event loop.
    """
    refuse_to_block_loop("await ch.receive()")
    chosen = select(channel.case_receive(), timeout=timeout)
    if chosen.index == TIMEOUT:
        raise Timeout(f"nothing came within {timeout}: {channel!r}")
    if not chosen.ok:
        raise Closed("the channel was closed; nothing more will come")
    value: T = chosen.value
    return value


# --- anything else --------------------------------------------------------------------------------


def wait(work: Coroutine[Any, Any, T], *, timeout: Duration | None = None) -> T:
    """Run `work` in the event loop of this process, block this thread until it ends, and return
    its result: `sync.wait(process.with_options(name="tea").exec("app:brewer"))`.

    Where the waiting ends first, `work` is cancelled, and has ended when this returns; a result
    that it has by then in spite of a time-out is returned.

    Raises:
        Timeout: Not ended within `timeout`.
        Cancelled: The calling actor is to stop.
        Invalid: Called on the thread of an event loop, or by code that is no actor's.
    """
    try:
        refuse_to_block_loop("await ...")
        context = current()
        stop = interruption(context)
        deed = _Deed(context, work)
    except BaseException:
        # Nobody will await it: say so to Python, or it warns.
        work.close()
        raise
    with _without_place(context):
        deed.start()
        chosen = select_blocking(deed.over.case_receive(), stop.case_receive(), timeout=timeout)
        if chosen.index != 0:
            deed.give_up()
    if chosen.index == 1:
        raise cancelled(context)
    if deed.task.cancelled():
        if chosen.index == TIMEOUT:
            raise Timeout(f"not done within {timeout}")
        raise Cancelled("what was waited for was cancelled in the event loop")
    result: T = deed.task.result()
    return result


class _Deed:
    """A coroutine that a thread waits for; its task belongs to the loop.

    Attributes:
        over: Closed when the task has ended.
        task: Set once the loop has started it.
    """

    __slots__ = ("_loop", "_work", "over", "task")

    task: asyncio.Task[Any]

    def __init__(self, context: ActorContext, work: Coroutine[Any, Any, Any]) -> None:
        if context.plane is None:
            raise Invalid("this actor cannot wait for others: its process has no run folder")
        self._loop = context.plane.loop
        self._work = work
        self.over: Channel[None] = Channel()

    def start(self) -> None:
        """Have the loop begin, as this thread's actor."""
        self._loop.call_soon_threadsafe(self._begin, context=copy_context())

    def give_up(self) -> None:
        """Cancel it, and wait for its `finally` blocks."""
        # A turn later, so that it has had its first step: a time-out of 0 still looks.
        self._loop.call_soon_threadsafe(lambda: self._loop.call_soon(self.task.cancel))
        select_blocking(self.over.case_receive())

    def _begin(self) -> None:
        self.task = self._loop.create_task(self._work)
        self.task.add_done_callback(lambda _: self.over.close())


@contextlib.contextmanager
def _without_place(context: ActorContext) -> Iterator[None]:
    """Give up the place among the threads of its worker that a function has, while it waits."""
    leave = None if context.call is None else context.call.leave
    come_back = None if leave is None else leave()
    try:
        yield
    finally:
        if come_back is not None:
            come_back()
