"""One OS process of a pool: many actors, each a task with its own context.

What one actor does never touches another: an exception ends it alone, a plain `def` runs in a
thread of its own, and code is loaded in a thread too, since a module may wait for anything.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import Any

from wippy.core import payload
from wippy.core.ids import Pid
from wippy.core.mailbox import Delivery
from wippy.core.messages import (
    EVERY_ACTOR,
    ActorEnded,
    ActorReady,
    Cancel,
    CancelActor,
    Code,
    Ended,
    KillActor,
    Outdated,
    Ready,
    RegisterName,
    StartActor,
    ToProcess,
    WorkerJob,
)
from wippy.core.reasons import ExitReason, Killed, Normal, Shutdown, StartFailed
from wippy.core.wire import SpawnActor
from wippy.runtime import judge, loader
from wippy.runtime.actor import Actor, Outcome
from wippy.runtime.beat import Heart
from wippy.runtime.codes import Codes
from wippy.runtime.context import ActorContext, NotNeededSignal, current_actor
from wippy.runtime.control import Control
from wippy.runtime.local import LocalActor
from wippy.runtime.output import ActorLog, complain, printing_to
from wippy.runtime.peer import Peer
from wippy.runtime.plane import Plane
from wippy.runtime.serving import Serving
from wippy.runtime.threads import run_in_thread
from wippy.runtime.upgrade import Upgrades


@dataclass(slots=True, eq=False)
class _Hosted:
    """An actor of this worker; `actor` is None while its code is being loaded.

    Attributes:
        order: Of the root; None for an actor that another one has spawned.
        context: Who it is.
        process: Entry id of its code.
        args: Of its entry function.
        ordered: It is to end for this reason, whatever it does.
    """

    order: StartActor | None
    context: ActorContext
    process: str
    args: tuple[Any, ...]
    task: asyncio.Task[None] | None = None
    actor: Actor | None = None
    cancel: CancelActor | None = None
    is_killed: bool = False
    ordered: ExitReason | None = None


class Worker:
    """The life of a worker of a pool.

    Args:
        job: What to be.
        control: The way to the root.
        plane: The messages; None where it takes no part.
    """

    def __init__(self, job: WorkerJob, control: Control, plane: Plane | None = None) -> None:
        self._job = job
        self._control = control
        self._plane = plane
        self._codes = Codes(control)
        self._serving: Serving | None = None
        self._upgrades = Upgrades(control)
        if plane is not None:
            plane.on_spawn = self._spawn
            pid = Pid(job.node, job.slot, job.generation)
            plane.serving = self._serving = Serving(plane, self._codes, pid)
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
            plane=self._plane,
            count_calls=None if self._serving is None else self._serving.peak,
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
            case Outdated():
                self._outdated(message)
            case Cancel():
                if not self._stop.done():
                    self._stop.set_result(message)
            case Code():
                self._codes.take(message)
            case _ if self._plane is None or not self._plane.told(message):
                complain(f"a {type(message).__name__} frame is not for a worker")

    # --- starting --------------------------------------------------------------------------------

    def _start(self, order: StartActor) -> None:
        if order.actor in self._hosted:
            complain(f"actor {order.actor} is running: {order.child} is not started in its place")
            return
        if self._stop.done():
            self._say_ended(order, Outcome(StartFailed(detail="the worker is stopping")))
            return
        context = self._context(order.actor, order.child, order.process)
        hosted = _Hosted(order, context, order.process, tuple(payload.restore(order.args)))
        self._begin(order.actor, hosted)

    def _spawn(self, peer: Peer, order: SpawnActor) -> None:
        """Start an actor for another one: it can be sent to from now on."""
        assert self._plane is not None
        context = self._context(order.actor, order.process, order.process)
        local = context.local
        assert local is not None
        local.values.update(order.context)
        self._plane.bonds.spawned(local, peer, order.parent, is_linked=order.link)
        for topic, value in order.first:
            local.mailbox.put(Delivery(topic, f"{peer.prefix}{order.parent}", [value], 1, peer))
        hosted = _Hosted(None, context, order.process, tuple(order.args))
        if self._stop.done():
            hosted.ordered = StartFailed(detail="the worker is stopping")
        if order.name:
            local.names.add(order.name)
            self._plane.names[order.name] = local.pid
            self._control.send(RegisterName(order.name, local.pid))
        self._begin(order.actor, hosted)

    def _begin(self, number: int, hosted: _Hosted) -> None:
        self._hosted[number] = hosted
        local = hosted.context.local
        if local is not None:
            local.end = functools.partial(self._end_for, number)
            local.cancel = functools.partial(self._cancel_and_kill, number)
            local.kill = lambda: self._kill(KillActor(number))
        hosted.task = asyncio.create_task(self._host(number, hosted))

    def _context(self, number: int, child: str, process: str) -> ActorContext:
        pid = Pid(self._job.node, self._job.slot, self._job.generation, number)
        context = ActorContext(
            pid=pid, service=child, process=process, module=_module_name(process, number)
        )
        if self._plane is not None:
            local = LocalActor(number, str(pid), context.events)
            context.join(self._plane, local)
            self._plane.add(local)
        return context

    async def _host(self, number: int, hosted: _Hosted) -> None:
        order = hosted.order
        log = ActorLog(order.log_path) if order is not None and order.log_path else None
        outcome = Outcome(Killed())
        try:
            with printing_to(log):
                outcome = await self._life(number, hosted)
        finally:
            if log is not None:
                log.close()
            self._upgrades.forget(hosted.context)
            self._ended(number, hosted, outcome)

    def _ended(self, number: int, hosted: _Hosted, outcome: Outcome) -> None:
        if self._hosted.pop(number, None) is None:
            return
        if hosted.context.local is not None and self._plane is not None:
            local = hosted.context.local
            self._plane.bonds.actor_ended(local, outcome.reason, outcome.value)
        if hosted.order is not None:
            self._say_ended(hosted.order, outcome)

    async def _life(self, number: int, hosted: _Hosted) -> Outcome:
        context = hosted.context
        current_actor.set(context)
        try:
            entry = await self._entry(number, hosted)
            hosted.actor = Actor(context, entry, hosted.args)
        except NotNeededSignal:
            return Outcome(Normal(), not_needed=True)
        except Exception as error:  # noqa: BLE001  # the actor boundary: loading is user code too
            judge.report(error.__cause__ or error)
            return Outcome(judge.start_failure(error))
        if hosted.is_killed:
            return Outcome(Killed())
        if hosted.ordered is not None:
            return Outcome(hosted.ordered)
        if hosted.cancel is not None:
            hosted.actor.cancel(hosted.cancel.reason, hosted.cancel.deadline_s)
        return await hosted.actor.run(lambda: self._say_ready(hosted.order))

    async def _entry(self, number: int, hosted: _Hosted) -> loader.Entry:
        name = hosted.context.module
        if hosted.order is not None:
            code = hosted.order.code
        else:
            code = await self._codes.find(hosted.process)
        if hosted.context.local is not None:
            hosted.context.local.mailbox.bound = code.mailbox_messages
        if loader.is_quick(code):
            return loader.load(code, name)
        work = run_in_thread(lambda: loader.load(code, name), name=f"load {hosted.context.pid}")
        entry: loader.Entry = await work
        return entry

    def _say_ready(self, order: StartActor | None) -> None:
        if order is not None:
            self._control.send(ActorReady(order.child, order.generation, order.actor))

    def _say_ended(self, order: StartActor, outcome: Outcome) -> None:
        self._control.send(
            ActorEnded(
                order.child, order.generation, order.actor, outcome.reason, outcome.not_needed
            )
        )

    # --- newer code ------------------------------------------------------------------------------

    def _outdated(self, order: Outdated) -> None:
        if order.actor == EVERY_ACTOR:
            concerned = [
                hosted.context
                for hosted in self._hosted.values()
                if hosted.order is None and hosted.process == order.process
            ]
        else:
            hosted = self._hosted.get(order.actor)
            # None: it ended while the frame was on its way, and has said so.
            concerned = [] if hosted is None else [hosted.context]
        self._codes.replace(order.process or next((it.process for it in concerned), ""), order.code)
        for context in concerned:
            self._upgrades.offer(order, context)
        if order.code.module is not None and not any(it.is_upgradable for it in concerned):
            # A restart in this worker imports it again; one that is upgraded does so itself.
            loader.forget_module(order.code.module)

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

    def _end_for(self, number: int, reason: ExitReason) -> None:
        """A linked actor has ended: this one does too."""
        hosted = self._hosted.get(number)
        if hosted is None:
            return
        hosted.ordered = reason
        if hosted.actor is not None:
            hosted.actor.end_for(reason)

    def _cancel_and_kill(self, number: int, reason: str, deadline_s: float) -> None:
        self._cancel(CancelActor(number, reason, deadline_s))
        if (hosted := self._hosted.get(number)) is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(deadline_s, self._kill_late, number, hosted)

    def _kill_late(self, number: int, hosted: _Hosted) -> None:
        if self._hosted.get(number) is hosted:
            self._kill(KillActor(number))

    async def _kill_actor(self, actor: Actor) -> None:
        if not await actor.kill():
            complain(f"{actor.context.pid} does not end; only this worker's death will end it")

    async def _end_all(self, stop: Cancel) -> None:
        """Ask all actors at once; those still there at the deadline are reported as killed."""
        for number in list(self._hosted):
            self._cancel(CancelActor(number, stop.reason, stop.deadline_s))
        tasks = [hosted.task for hosted in self._hosted.values() if hosted.task is not None]
        if self._serving is not None:
            tasks += self._serving.stop(stop.deadline_s)
        if tasks:
            await asyncio.wait(tasks, timeout=stop.deadline_s)
        for number, hosted in list(self._hosted.items()):
            self._ended(number, hosted, Outcome(Killed()))


def _module_name(process: str, number: int) -> str:
    """Each actor has a module of its own: two of one kind share no globals."""
    return f"{process}/{number}"
