"""What a test sees of its actors: what they have sent, and how they have ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wippy.core import payload, wire
from wippy.core.reasons import ExitReason
from wippy.core.wire import Frame


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that somebody sent.

    Attributes:
        sender: Pid.
        target: Pid: where it went, whatever the sender called it.
        topic: What it is about.
        payload: Data, as it arrives.
        is_call: Whether a reply is waited for.
    """

    sender: str
    target: str
    topic: str
    payload: Any
    is_call: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """How an actor ended.

    Attributes:
        reason: Why (`wippy.core.reasons`).
        value: What it returned, if that is data.
        problem: Why it is none, otherwise.
    """

    reason: ExitReason
    value: Any = None
    problem: str = ""


def messages_of(frame: Frame, slot: str, generation: int) -> Iterator[Sent]:
    """Yield the messages of a frame for the process at `slot`, in their order."""
    sender = f"{frame.node}/{frame.slot}.{frame.generation}/"
    target = f"{frame.node}/{slot}.{generation}/"
    for item in frame.items:
        match item:
            case wire.Run():
                for one in item.payloads:
                    yield Sent(f"{sender}{item.sender}", f"{target}{item.target}", item.topic, one)
            case wire.Call():
                whom = f"{target}{item.target}"
                yield Sent(f"{sender}{item.sender}", whom, item.topic, item.payload, is_call=True)
            case wire.Broadcast():
                for number in item.targets:
                    value = payload.decode(item.data)
                    yield Sent(f"{sender}{item.sender}", f"{target}{number}", item.topic, value)
