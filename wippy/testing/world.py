"""The world of a test: its actors, what they do, and the time that passes there."""

from __future__ import annotations

import asyncio
import datetime
import linecache
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from types import ModuleType
from typing import Any, Self, TypeVar

from wippy import process
from wippy.core.durations import Duration, seconds
from wippy.core.ids import Pid, split_id
from wippy.core.messages import CodeRef
from wippy.core.reasons import ExitReason
from wippy.core.wire import Frame
from wippy.errors import Invalid
from wippy.runtime.clock import current_clock
from wippy.runtime.context import current_actor
from wippy.runtime.memory_node import MemoryNode
from wippy.runtime.memory_process import GENERATION
from wippy.runtime.virtual_time import VirtualClock, VirtualLoop
from wippy.testing.captured import Exit, Sent, messages_of
from wippy.testing.probe import Probe

T = TypeVar("T")

BEGAN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
"""What `time.now()` says at the start of a test, unless it says otherwise."""
SELF = "test:self"
POOL = "test:pool"
"""Where `World.spawn` places actors."""
ROUNDING_S = 1e-6
"""A sum of durations is no exact number: ten times 100 ms is 1 s."""
CLOSE_TURNS = 100
"""Turns of the loop that actors have to end in when the test is over."""


class Stuck(AssertionError):
    """The test waits for what can never come: nothing is left to be done, and time stands still."""


class World:
    """What a test and its actors live in. Use `World.run`, or the fixture `world`.

    Args:
        now: The date and time at the start, aware.

    Attributes:
        sent: All messages so far, in the order in which they left their processes.
        exits: How actors have ended, by pid.
        me: The test's own actor.
        loop: What everything runs in.
    """

    def __init__(self, *, now: datetime.datetime = BEGAN) -> None:
        self.sent: list[Sent] = []
        self.exits: dict[str, Exit] = {}
        self.loop = VirtualLoop()
        self._ending: dict[str, list[asyncio.Future[Exit]]] = {}
        self._settling: list[asyncio.Future[None]] = []
        self._main: asyncio.Task[Any] | None = None
        self._module = ModuleType(f"wippy_test_world_{id(self)}")
        sys.modules[self._module.__name__] = self._module
        self._variables = copy_context()
        self._variables.run(current_clock.set, VirtualClock(self.loop, now))
        self._node = MemoryNode(
            self.loop, self._variables.copy(), on_frame=self._note_frame, on_end=self._note_end
        )
        self.loop.on_idle = self._settled
        self.loop.on_stuck = self._stuck
        self.me = Probe(self._node, SELF, SELF)
        self._variables.run(current_actor.set, self.me.context)

    @classmethod
    def run(
        cls, main: Callable[[World], Coroutine[Any, Any, T]], *, now: datetime.datetime = BEGAN
    ) -> T:
        """Run `main(world)` in a world of its own; return what it returns.

        Raises:
            Stuck: It waits for what can never come.
        """
        with cls(now=now) as world:
            return world.complete(main(world))

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the test `work` as `me`, to its end."""
        self._main = task = self.loop.create_task(work, context=self._variables.copy())
        return self.loop.run_until_complete(task)

    # --- actors -----------------------------------------------------------------------------------

    def define(self, process_id: str, code: Callable[..., Any] | CodeRef) -> None:
        """Say what the code of an entry is: a function, or code as `supervisor.testing.codes`
        finds it in a configuration. Actors can then spawn it by its id.

        Raises:
            Invalid: `process_id` is no entry id.
        """
        split_id(process_id)
        self._node.codes[process_id] = code if isinstance(code, CodeRef) else self._ref(code)

    def define_all(self, codes: Mapping[str, CodeRef]) -> None:
        """Define many entries."""
        for process_id, code in codes.items():
            self.define(process_id, code)

    def function(self, function_id: str, code: Callable[..., Any] | CodeRef) -> None:
        """Say what `funcs.call(function_id, ...)` runs: a fake, or the function itself.

        Raises:
            Invalid: `function_id` is no entry id.
        """
        self.define(function_id, code)
        self._node.functions.add(function_id)

    def spawn(self, code: Callable[..., Any] | str, *args: Any, service: str = "") -> str:
        """Start an actor; return its pid.

        Args:
            code: A function, or the id of an entry that was defined.
            args: Data for it.
            service: Entry id under which others reach it (`process.send("app:db", ...)`).

        Raises:
            TypeError: An argument is no data.
            Invalid: An id is none.
        """
        if not isinstance(code, str):
            process_id = f"test:{getattr(code, '__name__', 'actor').strip('<>')}"
            self.define(process_id, code)
            code = process_id
        pid = self._as_me(process.spawn, code, POOL, *args)
        if service:
            self._serve(service, pid)
        return pid

    def probe(self, service: str = "") -> Probe:
        """Return an actor that the test plays, reached as the service `service`.

        Raises:
            Invalid: `service` is no entry id, or is there already.
        """
        slot = service or f"test:probe{len(self._node.processes)}"
        if slot in self._node.processes:
            raise Invalid(f"{slot} is there already")
        made = Probe(self._node, slot, slot)
        if service:
            self._serve(service, made.pid)
        return made

    async def ended(self, pid: str) -> Exit:
        """Wait for the end of an actor; it may have been before."""
        known = self.exits.get(pid)
        if known is not None:
            return known
        waiter: asyncio.Future[Exit] = self.loop.create_future()
        self._ending.setdefault(pid, []).append(waiter)
        return await waiter

    def sent_by(self, pid: str) -> list[Sent]:
        """Return what an actor has sent so far."""
        return [message for message in self.sent if message.sender == pid]

    def sent_to(self, pid: str) -> list[Sent]:
        """Return what an actor was sent so far."""
        return [message for message in self.sent if message.target == pid]

    def happen(self, kind: str, fact: Mapping[str, Any]) -> None:
        """Publish what the runtime of a node would: `world.happen("exited", {"id": "app:db"})` is
        an observation `wippy.exited` for those that subscribe to it."""
        now = self._variables[current_clock].now()
        self._node.observers.happened(kind, now.timestamp(), {"kind": kind, **fact})

    @property
    def dead_letters(self) -> dict[str, int]:
        """What could not be delivered, by reason, in all processes."""
        counts: dict[str, int] = {}
        for home in self._node.processes.values():
            for reason, count in home.plane.dead_letters.items():
                counts[reason] = counts.get(reason, 0) + count
        return counts

    # --- time -------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until everything has happened that can happen without time passing.

        Threads are not waited for: of a plain `def` actor, wait for a message or its end.
        """
        done: asyncio.Future[None] = self.loop.create_future()
        self._settling.append(done)
        await done

    async def advance(self, duration: Duration) -> None:
        """Let `duration` pass: what falls due on the way happens, each at its time, and all that
        follows from it before the next."""
        end_s = self.loop.time() + seconds(duration)
        await self.settle()
        while (due_s := self.loop.next_due_s()) is not None and due_s <= end_s + ROUNDING_S:
            self.loop.move_to(due_s)
            await self.settle()
        self.loop.move_to(end_s)
        await self.settle()

    # --- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """End all actors and forget the world; again does nothing."""
        if self.loop.is_closed():
            return
        self.loop.on_idle = lambda: True
        for _ in range(CLOSE_TURNS):
            if not self._cancel_all():
                break
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        sys.modules.pop(self._module.__name__, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cancel_all(self) -> bool:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        return bool(tasks)

    # --- helpers of the above ---------------------------------------------------------------------

    def _ref(self, code: Callable[..., Any]) -> CodeRef:
        """Return code that a worker finds: an attribute of a module of this world's own."""
        name = f"entry_{len(vars(self._module))}"
        setattr(self._module, name, code)
        return CodeRef(method=name, module=self._module.__name__)

    def _serve(self, service: str, pid: str) -> None:
        split_id(service)
        self._node.serve(service, Pid.parse(pid))

    def _as_me(self, work: Callable[..., T], *args: Any) -> T:
        return self._variables.copy().run(work, *args)

    def _note_frame(self, frame: Frame, slot: str) -> None:
        self.sent += messages_of(frame, slot, GENERATION)

    def _note_end(self, pid: str, reason: ExitReason, value: Any, problem: str) -> None:
        exit = self.exits[pid] = Exit(reason, value, problem)
        for waiter in self._ending.pop(pid, []):
            if not waiter.done():
                waiter.set_result(exit)

    def _settled(self) -> bool:
        settling, self._settling = self._settling, []
        for done in settling:
            if not done.done():
                done.set_result(None)
        return bool(settling)

    def _stuck(self) -> None:
        main = self._main
        if main is None or main.done():
            return
        due_s = self.loop.next_due_s()
        next_ = "no timer is set"
        if due_s is not None:
            next_ = f"the next timer is due in {due_s - self.loop.time():g} s: await world.advance"
        raise Stuck(
            f"nothing is left to be done, and the test still waits{_place_of(main)}; time stands "
            f"still, and {next_}"
        )


def _place_of(task: asyncio.Task[Any]) -> str:
    """Return where the test itself waits, in words."""
    frames = task.get_stack(limit=1)
    if not frames:
        return ""
    path, line = frames[0].f_code.co_filename, frames[0].f_lineno
    return f" at {path}:{line}: {linecache.getline(path, line).strip()}"
