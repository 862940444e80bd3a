"""One actor's life: from its entry function to the reason of its end.

An `async def` is a task; a plain `def` is a daemon thread of its own, watched by a task, so that
the process keeps answering. Asked to stop, an actor that reads its events gets CANCEL, any other
`asyncio.CancelledError`; a plain `def` that never looks cannot be interrupted, and at the deadline
the root kills the process.
"""

from __future__ import annotations

import asyncio
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

    def __init__(self, context: ActorContext, entry: Entry, args: tuple[Any, ...]) -> None:
        self.context = context
        self._body = self._bind(entry, args)
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
        self.context.task = self._task
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

    async def _live(self, on_ready: Callable[[], None]) -> Outcome:
        """The actor boundary: nothing that user code raises goes further."""
        try:
            on_ready()
            value = await self._lives()
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

    async def _lives(self) -> Any:
        """Run the entry function, and after it those of newer code that it hands over to."""
        while True:
            try:
                return await self._body
            except UpgradeSignal as signal:
                step = signal
            self.context.take_over(step.newer)
            self._body = self._bind(step.newer.entry, step.args)
            if self._is_asked or self._ordered is not None:
                # What was asked of the old code holds for the new one, once it had the chance to
                # say that it reads its events.
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

    def _discard_body(self) -> None:
        # Cancelled before its first step: say so to Python, or it warns of a coroutine never
        # awaited.
        self._body.close()
