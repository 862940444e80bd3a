"""One OS process of a pool: many actors, each a task with its own context.

What one actor does never touches another: an exception ends it alone, a plain `def` runs in a
thread of its own, and code is loaded in a thread too, since a module may wait for anything.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import assert_never

from wippy.core.ids import Pid
from wippy.core.messages import (
    ActorEnded,
    ActorReady,
    Assign,
    Cancel,
    CancelActor,
    Code,
    Ended,
    Gone,
    KillActor,
    NameFreed,
    NameTaken,
    Ready,
    StartActor,
    Told,
    ToProcess,
    WorkerJob,
)
from wippy.core.reasons import Killed, Normal, Shutdown, StartFailed
from wippy.runtime import judge, loader
from wippy.runtime.actor import Actor, Outcome, run_in_thread
from wippy.runtime.beat import Heart
from wippy.runtime.context import ActorContext, NotNeededSignal, current_actor
from wippy.runtime.control import Control
from wippy.runtime.output import ActorLog, complain, printing_to


@dataclass(slots=True)
class _Hosted:
    """An actor of this worker; `actor` is None while its code is being loaded."""

    order: StartActor
    task: asyncio.Task[None] | None = None
    actor: Actor | None = None
    cancel: CancelActor | None = None
    is_killed: bool = False


class Worker:
    """The life of a worker of a pool."""

    def __init__(self, job: WorkerJob, control: Control) -> None:
        self._job = job
        self._control = control
        self._hosted: dict[int, _Hosted] = {}
        self._stop: asyncio.Future[Cancel] = asyncio.get_running_loop().create_future()
        self._helpers: set[asyncio.Task[None]] = set()

    def escaped(self, error: BaseException) -> None:
        """A `sys.exit` in a task that some actor started: nobody knows whose, so nobody ends."""
        judge.report(error)
        complain("the exit above left a task of an actor in this pool; only that task ended")

    async def run(self) -> int:
        """Host actors until asked to stop; return the exit status."""
        job = self._job
        if job.search_path:
            loader.put_first_on_path(job.search_path)
        Heart(
            self._control,
            job.generation,
            interval_s=job.heartbeat_s,
            count_actors=lambda: len(self._hosted),
        ).start()
        self._control.send(Ready(job.generation))
        self._control.set_handler(self._told)
        await self._end_all(await self._stop)
        self._control.send(Ended(job.generation, Shutdown()))
        return 0

    def _told(self, message: ToProcess) -> None:
        match message:
            case StartActor():
                self._start(message)
            case CancelActor():
                self._cancel(message)
            case KillActor():
                self._kill(message)
            case Cancel():
                if not self._stop.done():
                    self._stop.set_result(message)
            case Assign() | Told() | Gone() | NameTaken() | NameFreed() | Code():
                complain(f"a {type(message).__name__} frame is not for a worker")
            case _:
                assert_never(message)

    # --- starting --------------------------------------------------------------------------------

    def _start(self, order: StartActor) -> None:
        if order.actor in self._hosted:
            complain(f"actor {order.actor} is running: {order.child} is not started in its place")
            return
        if self._stop.done():
            self._say_ended(order, Outcome(StartFailed(detail="the worker is stopping")))
            return
        hosted = self._hosted[order.actor] = _Hosted(order)
        hosted.task = asyncio.create_task(self._host(hosted))

    async def _host(self, hosted: _Hosted) -> None:
        order = hosted.order
        log = ActorLog(order.log_path) if order.log_path else None
        outcome = Outcome(Killed())
        try:
            with printing_to(log):
                outcome = await self._life(hosted)
        finally:
            if log is not None:
                log.close()
            loader.unload(_module_name(order))
            if self._hosted.pop(order.actor, None) is not None:
                self._say_ended(order, outcome)

    async def _life(self, hosted: _Hosted) -> Outcome:
        order = hosted.order
        pid = Pid(self._job.node, self._job.slot, self._job.generation, order.actor)
        context = ActorContext(pid=pid, service=order.child, process=order.process)
        current_actor.set(context)
        try:
            load = run_in_thread(
                lambda: loader.load(order.code, _module_name(order)), name=f"load {pid}"
            )
            hosted.actor = Actor(context, await load, order.args)
        except NotNeededSignal:
            return Outcome(Normal(), not_needed=True)
        except Exception as error:  # noqa: BLE001  # the actor boundary: loading is user code too
            judge.report(error.__cause__ or error)
            return Outcome(judge.start_failure(error))
        if hosted.is_killed:
            return Outcome(Killed())
        if hosted.cancel is not None:
            hosted.actor.cancel(hosted.cancel.reason, hosted.cancel.deadline_s)
        return await hosted.actor.run(lambda: self._say_ready(order))

    def _say_ready(self, order: StartActor) -> None:
        self._control.send(ActorReady(order.child, order.generation, order.actor))

    def _say_ended(self, order: StartActor, outcome: Outcome) -> None:
        self._control.send(
            ActorEnded(
                order.child, order.generation, order.actor, outcome.reason, outcome.not_needed
            )
        )

    # --- stopping --------------------------------------------------------------------------------

    def _cancel(self, message: CancelActor) -> None:
        hosted = self._hosted.get(message.actor)
        if hosted is None:
            # It ended while the frame was on its way, and has said so.
            return
        if hosted.actor is None:
            hosted.cancel = message
        else:
            hosted.actor.cancel(message.reason, message.deadline_s)

    def _kill(self, message: KillActor) -> None:
        hosted = self._hosted.get(message.actor)
        if hosted is None:
            return
        hosted.is_killed = True
        if hosted.actor is not None:
            task = asyncio.create_task(self._kill_actor(hosted.actor))
            self._helpers.add(task)
            task.add_done_callback(self._helpers.discard)

    async def _kill_actor(self, actor: Actor) -> None:
        if not await actor.kill():
            complain(f"{actor.context.pid} does not end; only this worker's death will end it")

    async def _end_all(self, stop: Cancel) -> None:
        """Ask all actors at once; those still there at the deadline are reported as killed."""
        for number in list(self._hosted):
            self._cancel(CancelActor(number, stop.reason, stop.deadline_s))
        tasks = [hosted.task for hosted in self._hosted.values() if hosted.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=stop.deadline_s)
        late, self._hosted = self._hosted, {}
        for hosted in late.values():
            self._say_ended(hosted.order, Outcome(Killed()))


def _module_name(order: StartActor) -> str:
    """Each actor has a module of its own: two of one kind share no globals."""
    return f"{order.process}/{order.actor}"
