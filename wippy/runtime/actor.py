"""One actor's life: from its entry function to the reason of its end.

An `async def` is a task; a plain `def` is a daemon thread of its own, watched by a task, so that
the process keeps answering. Asked to stop, an actor that reads its events gets CANCEL, any other
`asyncio.CancelledError`; a plain `def` that never looks cannot be interrupted, and at the deadline
the root kills the process.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from wippy.core.reasons import ExitReason, Killed, Normal, Shutdown, is_abnormal
from wippy.errors import Cancelled
from wippy.runtime import judge
from wippy.runtime.context import (
    ActorContext,
    Event,
    EventKind,
    ExitSignal,
    Newer,
    NotNeededSignal,
    UpgradeSignal,
    current_actor,
)
from wippy.runtime.entering import check_arguments as check_arguments
from wippy.runtime.entering import check_entry, make_coroutine
from wippy.runtime.entering import is_coroutine_function as is_coroutine_function
from wippy.runtime.loader import Entry
from wippy.runtime.threads import run_in_thread as run_in_thread

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

    __slots__ = (
        "_body",
        "_escaped",
        "_is_asked",
        "_is_killed",
        "_ordered",
        "_task",
        "context",
    )

    def __init__(self, context: ActorContext, entry: Entry, args: tuple[Any, ...]) -> None:
        self.context = context
        self._body = self._bind(entry, args)
        self._is_asked = False
        self._is_killed = False
        self._escaped: BaseException | None = None
        self._ordered: ExitReason | None = None
        self._task: asyncio.Task[Any] | None = None

    async def run(self, on_ready: Callable[[], None]) -> Outcome:
        """Live until the end, in a task that nothing but the actor runs in; `on_ready` is called
        right before the first line of user code."""
        variables = copy_context()
        variables.run(current_actor.set, self.context)
        task = asyncio.create_task(self.live(on_ready), context=variables)
        await asyncio.wait([task])
        return self.outcome_of_cancelled() if task.cancelled() else task.result()

    async def live(self, on_ready: Callable[[], None]) -> Outcome:
        """Live until the end in this task, which is the actor's from now on: whoever cancels it
        cancels the actor. `on_ready` as in `run`.

        The actor boundary: nothing that user code raises goes further.
        """
        if self._is_asked or self._ordered is not None:
            # Before there was anything to cancel.
            return self.outcome_of_cancelled()
        self._task = self.context.task = asyncio.current_task()
        begin: Callable[[], object] = on_ready
        # One coroutine for all of it: each that an actor waits within is memory of every actor.
        while True:
            try:
                begin()
                value = await self._body
                return Outcome(self._end_of_obedient(), value=value)
            except UpgradeSignal as signal:
                begin = functools.partial(self._enter_newer, signal.newer, signal.args)
            except (asyncio.CancelledError, Cancelled) as error:
                if self._is_asked or self._escaped is not None or self._ordered is not None:
                    return Outcome(self._end_of_cancelled())
                return self._failed(error)
            except NotNeededSignal:
                return Outcome(Normal(), not_needed=True)
            except ExitSignal as signal:
                return Outcome(self._end_of_obedient(), value=signal.value)
            except BaseException as error:  # noqa: BLE001  # the actor boundary
                return self._failed(error)

    def outcome_of_cancelled(self) -> Outcome:
        """Return how an actor ends that never came to its first line."""
        # Say so to Python, or it warns of a coroutine never awaited.
        self._body.close()
        return Outcome(self._end_of_cancelled())

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

    def _bind(self, entry: Entry, args: tuple[Any, ...]) -> Coroutine[Any, Any, Any]:
        """Return the actor's life as a coroutine; a wrong number of arguments is `Invalid`."""
        if is_coroutine_function(entry):
            return make_coroutine(entry, args)
        check_entry(entry, args)
        return self._in_thread(entry, args)

    async def _in_thread(self, entry: Entry, args: tuple[Any, ...]) -> Any:
        result = await run_in_thread(lambda: entry(*args), name=str(self.context.pid))
        if not inspect.isawaitable(result):
            return result
        # A decorator hid an `async def` in a plain function. What was asked of the thread in vain
        # is asked again.
        if self._is_asked:
            self._ask()
        return await result

    def _enter_newer(self, newer: Newer, args: tuple[Any, ...]) -> None:
        self.context.take_over(newer)
        self._body = self._bind(newer.entry, args)
        if self._is_asked or self._ordered is not None:
            # What was asked of the old code holds for the new one, once it had the chance to say
            # that it reads its events.
            asyncio.get_running_loop().call_soon(self._ask_again)

    def _ask_again(self) -> None:
        if self._ordered is not None and self._task is not None:
            self._task.cancel()
        else:
            self._ask()

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
