"""The process of a single actor: its way to the root and to its peers, and its last words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from wippy.core import payload
from wippy.core.ids import Pid
from wippy.core.messages import (
    ActorJob,
    Cancel,
    Ended,
    FromProcess,
    NotNeeded,
    Outdated,
    Ready,
    ToProcess,
)
from wippy.core.reasons import ExitReason, Killed, Normal
from wippy.errors import WippyError
from wippy.runtime import judge, loader
from wippy.runtime.actor import Actor, Outcome
from wippy.runtime.beat import Heart
from wippy.runtime.context import ActorContext, NotNeededSignal, set_only_actor
from wippy.runtime.control import Control
from wippy.runtime.local import LocalActor
from wippy.runtime.output import complain
from wippy.runtime.plane import Plane
from wippy.runtime.upgrade import Upgrades


class DedicatedActor:
    """The life of a process with one actor.

    Args:
        job: What to be.
        control: The way to the root.
        tie: Ties the process to the root and to its peers; returns its plane, or None where it
            takes no part in messages. Called once, in the loop's thread.
        is_tied_late: Whether that waits until the first line of user code has run.
    """

    def __init__(
        self,
        job: ActorJob,
        control: Control,
        tie: Callable[[], Plane | None],
        *,
        is_tied_late: bool = False,
    ) -> None:
        self._job = job
        self._control = control
        self._tie = tie
        self._is_tied_late = is_tied_late
        self._is_tying = False
        self._plane: Plane | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._actor: Actor | None = None
        self._context: ActorContext | None = None
        self._upgrades = Upgrades(control)

    def escaped(self, error: BaseException) -> None:
        """A `sys.exit` in some task ends the process, as it does in any Python program."""
        judge.report(error)
        if self._actor is not None:
            self._actor.end_with(error)

    async def run(self) -> int:
        """Live; return the exit status."""
        job = self._job
        pid = Pid(job.node, job.slot, job.generation)
        context = ActorContext(pid=pid, service=job.slot, process=job.process, module=job.process)
        context.identity, context.credential = job.identity, job.credential
        self._context = context
        context.tie = lambda: self._tie_up(context)
        set_only_actor(context)
        if not self._is_tied_late:
            context.tie()
        outcome = await self._life(context)
        self._tie_up(context)
        if self._plane is not None and context.local is not None:
            await self._plane.farewell(context.local, outcome.reason, outcome.value)
        self._control.send(last_words(outcome, job.generation))
        return judge.status_of(outcome.reason)

    async def _life(self, context: ActorContext) -> Outcome:
        job = self._job
        try:
            entry = loader.load(job.code, job.process)
            self._actor = Actor(context, entry, tuple(payload.restore(job.args)))
        except NotNeededSignal:
            return Outcome(Normal(), not_needed=True)
        except Exception as error:  # noqa: BLE001  # the actor boundary: loading is user code too
            judge.report(error.__cause__ or error)
            return Outcome(judge.start_failure(error))
        self._control.set_handler(self._told)
        return await self._actor.run(lambda: self._say_ready(context))

    def _tie_up(self, context: ActorContext) -> None:
        """Tie the process to the others, if that has not been done; from any thread."""
        if context.tie is None:
            return
        if threading.get_ident() == self._thread:
            if not self._is_tying:
                self._is_tying = True
                self._join(context)
                # Last: a thread that sees it gone finds everything in its place.
                context.tie = None
        else:
            asyncio.run_coroutine_threadsafe(self._tie_in_loop(context), self._loop).result()

    async def _tie_in_loop(self, context: ActorContext) -> None:
        self._tie_up(context)

    def _join(self, context: ActorContext) -> None:
        job = self._job
        plane = self._plane = self._tie()
        Heart(
            self._control,
            job.generation,
            interval_s=job.heartbeat_s,
            count_actors=lambda: 1,
            plane=plane,
        ).start()
        if plane is None:
            return
        local = LocalActor(
            0,
            str(context.pid),
            context.events,
            end=self._end_for,
            cancel=self._cancel,
            kill=self._kill,
        )
        local.mailbox.bound = job.code.mailbox_messages
        local.values.update(payload.restore(job.context))
        context.join(plane, local)
        plane.add(local)
        if job.parent:
            parent = Pid.parse(job.parent)
            peer = plane.peer(parent.slot, parent.generation)
            plane.bonds.spawned(local, peer, parent.actor, is_linked=job.is_linked)

    def _end_for(self, reason: ExitReason) -> None:
        if self._actor is not None:
            self._actor.end_for(reason)

    def _cancel(self, reason: str, deadline_s: float) -> None:
        if self._actor is not None:
            self._actor.cancel(reason, deadline_s)

    def _kill(self) -> None:
        self._end_for(Killed())

    def _say_ready(self, context: ActorContext) -> None:
        self._control.send(Ready(self._job.generation))
        if context.tie is not None:
            # After the first step of user code, which is what somebody waits for.
            self._loop.call_soon(self._tie_or_end, context)

    def _tie_or_end(self, context: ActorContext) -> None:
        try:
            self._tie_up(context)
        except WippyError as error:
            complain(f"cannot take part in messages: {error}")
            self._end_for(judge.start_failure(error))

    def _told(self, message: ToProcess) -> None:
        if isinstance(message, Cancel):
            self._cancel(message.reason, message.deadline_s)
        elif isinstance(message, Outdated) and self._context is not None:
            self._upgrades.offer(message, self._context)
        elif self._plane is None or not self._plane.told(message):
            complain(f"a {type(message).__name__} frame is not for a process of one actor")


def last_words(outcome: Outcome, generation: int) -> FromProcess:
    """Return the frame that tells the end of a process."""
    return NotNeeded(generation) if outcome.not_needed else Ended(generation, outcome.reason)
