"""How a stop reaches the threads of an actor: out of what they are blocked in."""

from __future__ import annotations

from wippy.errors import Cancelled
from wippy.runtime.channels import Channel
from wippy.runtime.context import ActorContext
from wippy.runtime.waiters import LOCK


def interruption(context: ActorContext) -> Channel[None]:
    """Return the channel that is closed when the actor is to stop.

    Raises:
        Cancelled: It is to stop.
    """
    if context.interruption is None:
        with LOCK:
            context.interruption = context.interruption or Channel()
    if context.is_interrupted:
        raise cancelled(context)
    return context.interruption


def cancelled(context: ActorContext) -> Cancelled:
    """Return what leaves every blocking call of an actor that is to stop."""
    return Cancelled(f"{context.pid} is to stop, and so waits for nothing any more")
