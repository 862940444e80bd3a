"""One actor's life: from its entry function to the reason of its end.

An `async def` is a task; a plain `def` is a daemon thread of its own, watched by a task, so that
the process keeps answering. Asked to stop, an actor that reads its events gets CANCEL, any other
`asyncio.CancelledError`; a plain `def` that never looks cannot be interrupted, and at the deadline
the root kills the process.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any

from wippy.core import payload
from wippy.core.ids import Pid
from wippy.core.messages import (
    ActorJob,
    Cancel,
    Ended,
    FromProcess,
    NotNeeded,
    Ready,
    ToProcess,
)
from wippy.core.reasons import ExitReason, Killed, Normal, Shutdown, is_abnormal
from wippy.errors import Cancelled, Invalid, WippyError
from wippy.runtime import judge, loader
from wippy.runtime.beat import Heart
from wippy.runtime.context import (
    ActorContext,
    Event,
    EventKind,
    ExitSignal,
    NotNeededSignal,
    current_actor,
    find_current,
    set_only_actor,
)
from wippy.runtime.control import Control
from wippy.runtime.loader import Entry
from wippy.runtime.local import LocalActor
from wippy.runtime.output import complain
from wippy.runtime.plane import Plane

KILL_TURNS = 20
"""How often a killed task is cancelled, once a turn of the loop: each `except` or `finally` that
awaits costs one, and what swallows more than these does not mean to end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an actor ended; `not_needed` is no failure, and has no reason to speak of. `value` is
    what it returned."""

    reason: ExitReason
    not_needed: bool = False
    value: Any = None


class Actor:
    """One actor in the running loop.

    Args:
        context: Who it is.
        entry: Its entry function.
        args: Its arguments.
    """

    def __init__(self, context: ActorContext, entry: Entry, args: tuple[Any, ...]) -> None:
        self.context = context
        self._entry = entry
        self._args = args
        self._body = self._bind()
        self._is_asked = False
        self._is_killed = False
        self._escaped: BaseException | None = None
        self._ordered: ExitReason | None = None
        self._task: asyncio.Task[Outcome] | None = None

    async def run(self, on_ready: Callable[[], None]) -> Outcome:
        """Live until the end; `on_ready` is called right before the first line of user code."""
        variables = copy_context()
        variables.run(current_actor.set, self.context)
        self._task = asyncio.create_task(self._live(on_ready), context=variables)
        if self._is_asked:
            # Asked to stop before there was anything to cancel.
            self._ask()
        if self._ordered is not None:
            self._task.cancel()
        await asyncio.wait([self._task])
        if self._task.cancelled():
            self._discard_body()
            return Outcome(self._end_of_cancelled())
        return self._task.result()

    def cancel(self, reason: str, deadline_s: float) -> None:
        """Ask the actor to end within `deadline_s` seconds."""
        self._is_asked = True
        self.context.events.put(Event(EventKind.CANCEL, reason, time.monotonic() + deadline_s))
        self._ask()

    async def kill(self) -> bool:
        """Cancel the task turn by turn; say whether it ended. A thread cannot be killed."""
        self._is_asked = self._is_killed = True
        for _ in range(KILL_TURNS):
            if self._task is None or self._task.done():
                break
            self._task.cancel()
            await asyncio.sleep(0)
        return self._task is None or self._task.done()

    def end_with(self, error: BaseException) -> None:
        """End because `error` (a `sys.exit`) left a task that the actor had started."""
        self._escaped = error
        if self._task is not None:
            self._task.cancel()

    def end_for(self, reason: ExitReason) -> None:
        """End for `reason`: that of a linked actor. A thread goes on until it returns."""
        if self._ordered is None:
            self._ordered = reason
        if self._task is not None:
            self._task.cancel()

    def _ask(self) -> None:
        if self._task is not None and not self.context.reads_events:
            self._task.cancel()

    def _bind(self) -> Coroutine[Any, Any, Any]:
        """Return the actor's life as a coroutine; a wrong number of arguments is `Invalid`."""
        if inspect.isasyncgenfunction(self._entry):
            raise Invalid(f"{_name_of(self._entry)} yields: an entry function must not")
        if is_coroutine_function(self._entry):
            try:
                # Runs no user code: only the arguments are looked at.
                coroutine: Coroutine[Any, Any, Any] = self._entry(*self._args)
            except TypeError as error:
                raise Invalid(f"the arguments do not fit: {error}") from None
            return coroutine
        check_arguments(self._entry, self._args)
        return self._in_thread()

    async def _in_thread(self) -> Any:
        result = await run_in_thread(lambda: self._entry(*self._args), name=str(self.context.pid))
        if not inspect.isawaitable(result):
            return result
        # A decorator hid an `async def` in a plain function. What was asked of the thread in vain
        # is asked again.
        if self._is_asked:
            self._ask()
        return await result

    async def _live(self, on_ready: Callable[[], None]) -> Outcome:
        """The actor boundary: nothing that user code raises goes further."""
        try:
            on_ready()
            value = await self._body
        except (asyncio.CancelledError, Cancelled) as error:
            if self._is_asked or self._escaped is not None or self._ordered is not None:
                return Outcome(self._end_of_cancelled())
            return self._failed(error)
        except NotNeededSignal:
            return Outcome(Normal(), not_needed=True)
        except ExitSignal as signal:
            value = signal.value
        except BaseException as error:  # noqa: BLE001  # the actor boundary
            return self._failed(error)
        return Outcome(self._end_of_obedient(), value=value)

    def _failed(self, error: BaseException) -> Outcome:
        judge.report(error)
        reason = judge.error_reason(error)
        # sys.exit(0) when asked to stop is obedience.
        return Outcome(reason if is_abnormal(reason) else self._end_of_obedient())

    def _end_of_obedient(self) -> ExitReason:
        if self._ordered is not None:
            return self._ordered
        if self._is_killed:
            return Killed()
        return Shutdown() if self._is_asked else Normal()

    def _end_of_cancelled(self) -> ExitReason:
        if self._escaped is not None:
            return judge.error_reason(self._escaped)
        return self._end_of_obedient()

    def _discard_body(self) -> None:
        # Cancelled before its first step: say so to Python, or it warns of a coroutine never
        # awaited.
        self._body.close()


async def run_in_thread(work: Callable[[], Any], *, name: str) -> Any:
    """Run `work` in a daemon thread with this task's context, and wait for its result.

    Not a pool: a thread that never ends must neither use up a place nor keep the process.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
    variables = copy_context()
    thread = threading.Thread(
        target=_work, args=(variables, work, loop, done), name=name, daemon=True
    )
    thread.start()
    # A cancelled waiter must not end: the thread goes on, and the actor lives as long as it does.
    result, error = await _outlast(done)
    if error is not None:
        raise error
    return result


def _work(
    variables: Context,
    work: Callable[[], Any],
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[tuple[Any, BaseException | None]],
) -> None:
    try:
        outcome: tuple[Any, BaseException | None] = (variables.run(work), None)
    except BaseException as error:  # noqa: BLE001  # carried to the actor boundary
        outcome = (None, error)
    if not loop.is_closed():
        loop.call_soon_threadsafe(_settle, done, outcome)


def _settle(
    done: asyncio.Future[tuple[Any, BaseException | None]],
    outcome: tuple[Any, BaseException | None],
) -> None:
    if not done.done():
        done.set_result(outcome)


async def _outlast(
    done: asyncio.Future[tuple[Any, BaseException | None]],
) -> tuple[Any, BaseException | None]:
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            if (context := find_current()) is not None:
                context.interrupt()
    return done.result()


def is_coroutine_function(entry: Entry) -> bool:
    """Say whether calling `entry` makes a coroutine."""
    return inspect.iscoroutinefunction(entry) or inspect.iscoroutinefunction(
        getattr(entry, "__call__", None)  # noqa: B004  # the method itself is asked, not callable()
    )


def check_arguments(entry: Entry, args: tuple[Any, ...]) -> None:
    """Raise `Invalid` if `entry` does not take so many arguments; run nothing."""
    try:
        signature = inspect.signature(entry)
    except ValueError:
        # A builtin without a signature: the call will tell.
        return
    try:
        signature.bind(*args)
    except TypeError as error:
        raise Invalid(f"the arguments do not fit: {_name_of(entry)}(): {error}") from None


def _name_of(entry: Entry) -> str:
    return str(getattr(entry, "__qualname__", entry))


# --- the process of a single actor ---------------------------------------------------------------


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

    def escaped(self, error: BaseException) -> None:
        """A `sys.exit` in some task ends the process, as it does in any Python program."""
        judge.report(error)
        if self._actor is not None:
            self._actor.end_with(error)

    async def run(self) -> int:
        """Live; return the exit status."""
        job = self._job
        pid = Pid(job.node, job.slot, job.generation)
        context = ActorContext(pid=pid, service=job.slot, process=job.process)
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
        elif self._plane is None or not self._plane.told(message):
            complain(f"a {type(message).__name__} frame is not for a process of one actor")


def last_words(outcome: Outcome, generation: int) -> FromProcess:
    """Return the frame that tells the end of a process."""
    return NotNeeded(generation) if outcome.not_needed else Ended(generation, outcome.reason)
