"""One actor of a worker, from the order to start it until it has ended.

There may be 100,000 of them in a process: it has slots, its ways to end are methods of it, and
whatever most actors never need is None.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from wippy.core.messages import StartActor
from wippy.core.reasons import ExitReason, Killed
from wippy.runtime.actor import Actor, Outcome
from wippy.runtime.context import ActorContext
from wippy.runtime.output import ActorLog, complain

_killing: set[asyncio.Task[None]] = set()
"""A task that nobody holds may be collected in the middle."""


@dataclass(slots=True, eq=False)
class Hosted:
    """An actor of this worker.

    Attributes:
        order: Of the root; None for an actor that another one has spawned.
        context: Who it is.
        process: Entry id of its code.
        args: Of its entry function.
        task: Loads its code and runs it.
        actor: None while its code is being loaded.
        asked: (reason, deadline_s) of the request to stop that came meanwhile.
        is_killed: It is to end now.
        ordered: It is to end for this reason, whatever it does.
        log: Where its output goes; None: to the worker's.
    """

    order: StartActor | None
    context: ActorContext
    process: str
    args: tuple[Any, ...]
    task: asyncio.Task[None] | None = None
    actor: Actor | None = None
    asked: tuple[str, float] | None = None
    is_killed: bool = False
    ordered: ExitReason | None = None
    log: ActorLog | None = None

    def over_before_start(self) -> Outcome | None:
        """Return how it has ended if it was to end before its code was there; else None."""
        if self.is_killed:
            return Outcome(Killed())
        return None if self.ordered is None else Outcome(self.ordered)

    def begin(self, actor: Actor) -> Actor:
        """Its code is there: hand on what it was asked meanwhile."""
        self.actor = actor
        if self.asked is not None:
            actor.cancel(*self.asked)
        return actor

    def cancel(self, reason: str, deadline_s: float) -> None:
        """Ask it to end within `deadline_s` seconds."""
        if self.actor is None:
            self.asked = reason, deadline_s
        else:
            self.actor.cancel(reason, deadline_s)

    def cancel_and_kill(self, reason: str, deadline_s: float) -> None:
        """Ask it to end, as another actor wants; past the deadline, it is killed."""
        self.cancel(reason, deadline_s)
        asyncio.get_running_loop().call_later(deadline_s, self._kill_late)

    def end_for(self, reason: ExitReason) -> None:
        """End it for `reason`: that of a linked actor, which has ended."""
        self.ordered = reason
        if self.actor is not None:
            self.actor.end_for(reason)

    def kill(self) -> None:
        """End it now."""
        self.is_killed = True
        if self.actor is not None:
            task = asyncio.create_task(_kill(self.actor))
            _killing.add(task)
            task.add_done_callback(_killing.discard)

    def _kill_late(self) -> None:
        if self.task is not None and not self.task.done():
            self.kill()


async def _kill(actor: Actor) -> None:
    if not await actor.kill():
        complain(f"{actor.context.pid} does not end; only this worker's death will end it")
