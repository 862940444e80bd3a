"""One OS process of a pool: many actors, each a task with its own context.

What one actor does never touches another: an exception ends it alone, a plain `def` runs in a
thread of its own, and code is loaded in a thread too, since a module may wait for anything.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextvars import copy_context

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
from wippy.core.reasons import Killed, Normal, Shutdown, StartFailed
from wippy.core.wire import SpawnActor
from wippy.runtime import judge, loader
from wippy.runtime.actor import Actor, Outcome
from wippy.runtime.beat import Heart
from wippy.runtime.codes import Codes
from wippy.runtime.context import ActorContext, NotNeededSignal, current_actor
from wippy.runtime.control import Control
from wippy.runtime.hosted import Hosted
from wippy.runtime.local import LocalActor
from wippy.runtime.output import ActorLog, complain, print_to
from wippy.runtime.peer import Peer
from wippy.runtime.plane import Plane
from wippy.runtime.serving import Serving
from wippy.runtime.threads import run_in_thread
from wippy.runtime.upgrade import Upgrades

_Charge = tuple[Peer, int]
"""Whose credit a spawn has taken until it begins, and how much."""


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
            self._serving.credential = job.credential
        self._hosted: dict[int, Hosted] = {}
        # Not in what an actor keeps for its life: there may be 100,000 of them.
        self._charges: dict[int, _Charge] = {}
        self._stop: asyncio.Future[Cancel] = asyncio.get_running_loop().create_future()

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
                if message.code is None:
                    self._renew(message.process)
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
        context.identity, context.credential = order.identity, order.credential
        hosted = Hosted(order, context, order.process, tuple(payload.restore(order.args)))
        hosted.log = ActorLog(order.log_path) if order.log_path else None
        self._begin(order.actor, hosted)

    def _spawn(self, peer: Peer, order: SpawnActor) -> None:
        """Start an actor for another one: it can be sent to from now on."""
        assert self._plane is not None
        context = self._context(order.actor, order.process, order.process)
        context.identity, context.credential = order.identity, self._job.credential
        local = context.local
        assert local is not None
        if order.context:
            local.values.update(order.context)
        self._plane.bonds.spawned(local, peer, order.parent, is_linked=order.link)
        for topic, value in order.first:
            local.mailbox.put(Delivery(topic, f"{peer.prefix}{order.parent}", [value], 1, peer))
        hosted = Hosted(None, context, order.process, tuple(order.args))
        if self._stop.done():
            hosted.ordered = StartFailed(detail="the worker is stopping")
        if order.name:
            local.names.add(order.name)
            self._plane.names[order.name] = local.pid
            self._control.send(RegisterName(order.name, local.pid))
        self._charges[order.actor] = peer, order.cost
        self._begin(order.actor, hosted)

    def _begin(self, number: int, hosted: Hosted) -> None:
        self._hosted[number] = hosted
        local = hosted.context.local
        if local is not None:
            # Methods: a partial has three times their size, for each actor.
            local.end = hosted.end_for
            local.cancel = hosted.cancel_and_kill
            local.kill = hosted.kill
        variables = copy_context()
        variables.run(current_actor.set, hosted.context)
        if hosted.log is not None:
            variables.run(print_to, hosted.log)
        hosted.task = asyncio.create_task(self._host(number, hosted), context=variables)

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

    async def _host(self, number: int, hosted: Hosted) -> None:
        """Be the one task of an actor: load its code, and live."""
        outcome = Outcome(Killed())
        try:
            started = await self._prepare(number, hosted)
            if isinstance(started, Outcome):
                outcome = started
            else:
                outcome = await started.live(self._ready_of(hosted))
        finally:
            if hosted.log is not None:
                hosted.log.close()
            self._upgrades.forget(hosted.context)
            self._ended(number, hosted, outcome)

    def _ended(self, number: int, hosted: Hosted, outcome: Outcome) -> None:
        if self._hosted.pop(number, None) is None:
            return
        if hosted.context.local is not None and self._plane is not None:
            local = hosted.context.local
            self._plane.bonds.actor_ended(local, outcome.reason, outcome.value)
        if hosted.order is not None:
            self._say_ended(hosted.order, outcome)

    async def _prepare(self, number: int, hosted: Hosted) -> Actor | Outcome:
        """Load an actor's code; return the actor, or how it ended before its first line."""
        try:
            entry = await self._entry(number, hosted)
            return hosted.over_before_start() or hosted.begin(
                Actor(hosted.context, entry, hosted.args)
            )
        except NotNeededSignal:
            return Outcome(Normal(), not_needed=True)
        except Exception as error:  # noqa: BLE001  # the actor boundary: loading is user code too
            judge.report(error.__cause__ or error)
            return Outcome(judge.start_failure(error))
        finally:
            charge = self._charges.pop(number, None)
            if charge is not None and self._plane is not None:
                self._plane.admission.begun(*charge)

    async def _entry(self, number: int, hosted: Hosted) -> loader.Entry:
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

    def _ready_of(self, hosted: Hosted) -> Callable[[], None]:
        order = hosted.order
        if order is None:
            return _tell_nobody
        ready = ActorReady(order.child, order.generation, order.actor)
        return functools.partial(self._control.send, ready)

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
        self._renew(order.process)
        for context in concerned:
            self._upgrades.offer(order, context)
        if order.code.module is not None and not any(it.is_upgradable for it in concerned):
            # A restart in this worker imports it again; one that is upgraded does so itself.
            loader.forget_module(order.code.module)

    def _renew(self, function: str) -> None:
        if self._serving is not None:
            self._serving.renew(function)

    # --- stopping --------------------------------------------------------------------------------

    def _cancel(self, message: CancelActor) -> None:
        hosted = self._hosted.get(message.actor)
        # None: it ended while the frame was on its way, and has said so.
        if hosted is not None:
            hosted.cancel(message.reason, message.deadline_s)

    def _kill(self, message: KillActor) -> None:
        hosted = self._hosted.get(message.actor)
        if hosted is not None:
            hosted.kill()

    async def _end_all(self, stop: Cancel) -> None:
        """Ask all actors at once; those still there at the deadline are reported as killed."""
        for hosted in list(self._hosted.values()):
            hosted.cancel(stop.reason, stop.deadline_s)
        tasks = [hosted.task for hosted in self._hosted.values() if hosted.task is not None]
        if self._serving is not None:
            tasks += self._serving.stop(stop.deadline_s)
        if tasks:
            await asyncio.wait(tasks, timeout=stop.deadline_s)
        for number, hosted in list(self._hosted.items()):
            self._ended(number, hosted, Outcome(Killed()))


def _tell_nobody() -> None:
    """The root knows nothing of an actor that another one has spawned."""


def _module_name(process: str, number: int) -> str:
    """Each actor has a module of its own: two of one kind share no globals."""
    return f"{process}/{number}"
