"""A call of an actor: how it begins, and how a thread waits for its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from wippy.core.payload import encode
from wippy.errors import Invalid, MailboxFull
from wippy.runtime import guard
from wippy.runtime.channels import Channel
from wippy.runtime.doorway import here, in_loop
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer
from wippy.runtime.plane import Plane
from wippy.runtime.post import check_size, check_topic, is_open


class Reply:
    """What a thread waits for: the part of a future that whoever answers uses.

    Attributes:
        came: Closed when it is there.
        value: What was replied.
        error: Why nothing was.
    """

    __slots__ = ("came", "error", "value")

    def __init__(self) -> None:
        self.came: Channel[None] = Channel()
        self.value: Any = None
        self.error: BaseException | None = None

    def done(self) -> bool:
        """Return whether it is there."""
        return self.came.is_closed

    def set_result(self, value: Any) -> None:
        """It has come."""
        self.value = value
        self.came.close()

    def set_exception(self, error: BaseException) -> None:
        """None will come."""
        self.error = error
        self.came.close()

    def cancel(self) -> None:
        """Nobody is to answer any more; who waits has its own way to see it."""


def begin_call(
    plane: Plane,
    local: LocalActor,
    target: str,
    where: tuple[Peer, int],
    message: tuple[str, bytes],
    then: asyncio.Future[Any] | Reply,
) -> int:
    """Call the actor at `where`, which is what `target` means; return the reference. In the loop.

    Raises:
        Invalid: It is the caller itself.
        MailboxFull: It has not taken what was sent before.
    """
    peer, actor = where
    if peer is plane.own and actor == local.number:
        raise Invalid("an actor that calls itself would wait for ever")
    if not is_open(plane.outlet(local, peer, actor)):
        raise MailboxFull(f"{target} has not taken what was sent before")
    return plane.bonds.call(local, peer, actor, message, then)


def begin_now(target: str, topic: str, payload: Any, then: Reply) -> Callable[[], None] | None:
    """Call `target`, from a thread, if it can be reached now; return what gives the call up. None:
    it is a service that is to be waited for.

    Raises:
        TypeError, MailboxFull, NotFound, Invalid: As `process.call`.
    """
    plane, local = here()
    check_topic(topic)
    data = encode(payload)
    check_size(data)
    guard.require_send(local, "process.call", target, topic, data)

    def begin() -> int | None:
        where = plane.post.reachable(target)
        if where is None:
            return None
        return begin_call(plane, local, target, where, (topic, data), then)

    reference = in_loop(plane, begin)
    if reference is None:
        return None
    return lambda: in_loop(plane, lambda: plane.bonds.give_up(local, reference))
