"""Messages: sent and taken, calls and replies."""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import Any

from ormsgpack import packb

from wippy.core import framing, wire
from wippy.core.ids import Pid
from wippy.core.mailbox import Message
from wippy.core.outgoing import cost_of
from wippy.core.payload import OPTIONS, encode, extend
from wippy.errors import Failure, Invalid, Timeout, WippyError
from wippy.runtime import guard
from wippy.runtime.asking import begin_call
from wippy.runtime.context import current, current_actor
from wippy.runtime.doorway import here as _here
from wippy.runtime.doorway import in_loop as _in_loop
from wippy.runtime.inbox import Inbox
from wippy.runtime.local import LocalActor
from wippy.runtime.plane import Plane
from wippy.runtime.post import check_size, check_topic

CALL_TIMEOUT_S = 5.0
"""How long `call` waits unless told otherwise (OTP's default too)."""
_SMALL = wire.CREDIT_UNIT_BYTES


def send(target: str, topic: str, payload: Any = None) -> None:
    """Send a message; never waits.

    Messages from one actor to another keep their order. It arrives at most once: what must not be
    lost goes through a call, a monitor or the journal. To one that is not there it goes nowhere,
    and is counted as a dead letter. A service that is being restarted gets it when it is back.

    Args:
        target: A pid, the entry id of a service, or a registered name.
        topic: What it is about: 1 to 255 printable characters, not beginning with '@'.
        payload: Data: None, bool, int of 64 bits, float, str, bytes, list, dict, datetime, UUID,
            Decimal; 4 MiB at most. It is copied now.

    Raises:
        TypeError: The payload is no data; the message names the place: `payload["rows"][3]: a
            socket object`.
        MailboxFull: The target has not taken what was sent before; `await process.ready(target)`.
        NotFound: Nobody has registered that name.
        PermissionDenied: A policy denies it, or none allows it.
        Invalid: Target or topic is none, the payload is too large, or nobody is calling.
    """
    context = current_actor.get(None) or current()
    try:
        data = packb(payload, extend, OPTIONS)
    except TypeError:
        data = encode(payload)
    # The fast path: one more message for an open run costs an append.
    outlet = context.outlets.get(target)
    if (
        outlet is not None
        and len(data) <= _SMALL
        and get_ident() == outlet.thread
        and (outlet.topic == topic or outlet.reopen(topic))
    ):
        outlet.payloads.append(data)
        outlet.room -= 1
        if not outlet.room:
            outlet.close()
        return
    _send_slowly(target, topic, data)


def _send_slowly(target: str, topic: str, data: bytes) -> None:
    # No closure in `send`: it would make cells of its variables, 100 ns of each message.
    plane, local = _here()
    guard.require_send(local, "process.send", target, topic, data)
    _in_loop(plane, lambda: plane.post.send(local, target, topic, data))


async def ready(target: str) -> None:
    """Wait until a `send` to `target`, or a `spawn` into it where it is a pool, would not raise
    `MailboxFull`, or goes nowhere anyway."""
    plane, local = _here()
    await plane.post.ready(local, target)


def inbox() -> Inbox:
    """Return the calling actor's messages, but for the topics that it listens to."""
    plane, local = _here()
    return Inbox(plane, local, local.mailbox.inbox)


def listen(topic: str) -> Inbox:
    """Return the calling actor's messages under `topic`, which leave its inbox from now on; those
    that wait there already too."""
    check_topic(topic)
    plane, local = _here()
    return Inbox(plane, local, _in_loop(plane, lambda: local.mailbox.listen(topic)))


async def call(
    target: str, topic: str, payload: Any = None, *, timeout_s: float = CALL_TIMEOUT_S
) -> Any:
    """Send a message and wait for the reply to it.

    The receiver sees a message like others and answers with `process.reply`. A reply that comes
    after the time-out is dropped; what was asked for may have happened.

    Raises:
        Timeout: No reply within `timeout_s` seconds, waiting for a service that is being restarted
            included.
        NotFound: The target is not there.
        Exited: It ended before it replied.
        WippyError: The error that it replied with.
        TypeError, MailboxFull, Invalid: As `send`; a call of oneself is `Invalid`.
    """
    plane, local = _here()
    check_topic(topic)
    data = encode(payload)
    check_size(data)
    guard.require_send(local, "process.call", target, topic, data)
    give_up_at_s = plane.loop.time() + timeout_s
    where = await plane.post.reach(target, cost_of(data), timeout_s)
    answer: asyncio.Future[Any] = plane.loop.create_future()
    reference = begin_call(plane, local, target, where, (topic, data), answer)
    timer = plane.loop.call_at(give_up_at_s, _time_out, answer, target, topic, timeout_s)
    plane.about_to_wait()
    try:
        return await answer
    finally:
        timer.cancel()
        plane.bonds.give_up(local, reference)


def reply(message: Message, payload: Any = None, *, error: WippyError | None = None) -> None:
    """Answer a call; never waits. The caller gets `payload`, or `error` raised.

    Raises:
        TypeError: The payload is no data.
        Invalid: The message is no call, or the payload is too large.
    """
    if not message.reference:
        raise Invalid(f"the message {message.topic!r} is no call: nobody waits for a reply")
    plane, local = _here()
    data = encode(payload)
    check_size(data)
    failure = None if error is None else _failure(error)
    _in_loop(plane, lambda: _answer(plane, local, message, data, failure))


def _time_out(answer: asyncio.Future[Any], target: str, topic: str, timeout_s: float) -> None:
    if not answer.done():
        answer.set_exception(
            Timeout(f"{target} has not replied to {topic!r} within {timeout_s:g} s")
        )


def _answer(
    plane: Plane, local: LocalActor, message: Message, data: bytes, failure: dict[str, Any] | None
) -> None:
    caller = Pid.parse(message.sender)
    peer = plane.peer(caller.slot, caller.generation)
    if local.unanswered.pop((peer, message.reference), None) is None:
        return  # answered before, or its caller waits no more
    answer = wire.Answer(caller.actor, message.reference, framing.raw(data), failure)
    peer.say(answer, after=local.outlets.get(message.sender))


def _failure(error: WippyError) -> dict[str, Any]:
    form = Failure.of(error)
    return {"kind": form.kind, "message": form.message}
