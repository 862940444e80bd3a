"""Process groups: actors that are spoken to together (OTP's `pg`).

from wippy import groups, process

async def cache():
    groups.join("caches")
    async for message in process.inbox():
        ...

async def editor():
    groups.broadcast("caches", "forget", {"key": 7})

An actor may be in many groups, and several times in one; it leaves as often as it has joined. One
that has ended leaves by itself, before anybody is told of its end. A group is there while it has
members. Reading is local and never waits; a change is seen elsewhere a moment later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from wippy.core.channels import Closed
from wippy.core.groups import Change, GroupEvent, check_group
from wippy.core.outgoing import check_size, check_topic
from wippy.core.payload import encode
from wippy.runtime import guard
from wippy.runtime.doorway import here, in_loop
from wippy.runtime.membership import Watch
from wippy.runtime.plane import Plane

__all__ = [
    "JOIN",
    "LEAVE",
    "GroupEvent",
    "Monitor",
    "broadcast",
    "join",
    "leave",
    "local_members",
    "members",
    "monitor",
]

JOIN, LEAVE = Change.JOIN, Change.LEAVE
"""The kinds of events of a `Monitor`."""


def join(group: str) -> None:
    """Make the calling actor a member of `group`, once more if it is one; never waits.

    This process sees it at once, others a moment later.

    Args:
        group: 1 to 255 bytes of printable text.

    Raises:
        Invalid: It can be no name of a group, or nobody is calling.
        Unavailable: The actors of this process are members 100,000 times already.
    """
    check_group(group)
    plane, local = here()
    guard.require("groups.join", group)
    in_loop(plane, lambda: plane.groups.join(local, group))


def leave(group: str) -> bool:
    """Let the calling actor leave `group` once; never waits.

    Returns:
        False if it is no member: nothing has changed.

    Raises:
        Invalid: As `join`.
    """
    check_group(group)
    plane, local = here()
    return in_loop(plane, lambda: plane.groups.leave(local, group))


def members(group: str) -> list[str]:
    """Return the pids of all members in the node, once for each time that they have joined.

    A local read, some milliseconds behind other processes at most. No dead one is in it once its
    EXIT event has come.

    Raises:
        Invalid: As `join`.
    """
    check_group(group)
    plane, _ = here()
    return _repeated(in_loop(plane, lambda: plane.groups.members(group)))


def local_members(group: str) -> list[str]:
    """Return the pids of the members that live in the calling actor's own OS process.

    Raises:
        Invalid: As `join`.
    """
    check_group(group)
    plane, _ = here()
    return _repeated(in_loop(plane, lambda: plane.groups.local_members(group)))


def broadcast(group: str, topic: str, payload: Any = None) -> list[str]:
    """Send a message to every member, once to each however often it has joined; never waits.

    The caller gets it too, if it is a member. To each member it is a message like those of
    `process.send`: at most once, in order with what else the caller sends to it.

    Args:
        group: Its name.
        topic: What the message is about: 1 to 255 printable characters, not beginning with '@'.
        payload: Data, 4 MiB at most. It is sent once to each OS process, and copied there.

    Returns:
        Members that do not get it, since they have not taken what was sent to them before
        (`await process.ready(pid)`); mostly none.

    Raises:
        TypeError: The payload is no data.
        Invalid: Group or topic is none, the payload is too large, or nobody is calling.
    """
    check_group(group)
    check_topic(topic)
    data = encode(payload)
    check_size(data)
    plane, local = here()
    guard.require("groups.broadcast", group, lambda: {"topic": topic, "payload": payload})
    return in_loop(plane, lambda: plane.groups.broadcast(local, group, topic, data))


class Monitor:
    """The members of a group as they were, and every change since; made by `monitor`.

    `async for event in monitor` waits for each event, without a gap, and ends when the monitor is
    closed. It belongs to the actor that has made it and ends with it. `with await
    groups.monitor(...) as it:` closes it at the end of the block.

    Attributes:
        members: Pids, at the moment of the call; once for each time that they had joined.
    """

    __slots__ = ("_plane", "_watch", "members")

    def __init__(self, plane: Plane, watch: Watch, members: list[str]) -> None:
        self._plane = plane
        self._watch = watch
        self.members = members

    @property
    def group(self) -> str:
        """The name of the group."""
        return self._watch.group

    async def receive(self) -> GroupEvent:
        """Wait for the next JOIN or LEAVE. One that is cancelled loses none.

        Raises:
            Closed: The monitor is closed.
        """
        return await self._watch.waiting.until(self._take, self._plane.flush)

    def close(self) -> None:
        """End it; again is no error. What has come can still be taken. From any thread."""
        in_loop(self._plane, lambda: self._plane.groups.unwatch(self._watch))

    def __aiter__(self) -> AsyncIterator[GroupEvent]:
        return self

    async def __anext__(self) -> GroupEvent:
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

    def _take(self) -> GroupEvent | None:
        return None if self._watch.unread is None else self._watch.unread.take()


async def monitor(group: str) -> Monitor:
    """Return the members of `group` and, from exactly then on, every JOIN and LEAVE in order.

    It waits for the root where this process does not watch the group yet. A member that ends
    leaves before its EXIT event comes. Past 10,000 unread events, those that cancel each other out
    are left out; what is left leads to the same members.

    Raises:
        Invalid: As `join`.
    """
    check_group(group)
    plane, local = here()
    watch = plane.groups.watch(local, group)
    try:
        known = await watch.waiting.until(
            lambda: None if watch.unread is None else watch.unread.seen(), plane.flush
        )
    except BaseException:
        plane.groups.unwatch(watch)
        raise
    return Monitor(plane, watch, _repeated(known))


def _repeated(members: dict[str, int]) -> list[str]:
    return [pid for pid, times in members.items() for _ in range(times)]
