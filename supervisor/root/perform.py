"""What the tree asks for, done at once."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from supervisor.core import steps
from supervisor.core.facts import Fact, FactKind
from supervisor.core.lifecycle import Intent
from supervisor.core.spec import (
    FORKSERVER_ID,
    FORKSERVER_TARGET,
    KEEPER_ID,
    Foreign,
    PoolActor,
    System,
)
from supervisor.core.tree.forest import Child
from supervisor.core.view import State
from supervisor.io.os_process import OsProcess
from supervisor.io.output import tail_lines
from supervisor.io.subreaper import reap
from supervisor.root.jobs import job_for
from supervisor.root.pools import Seat
from supervisor.root.vessel import Vessel
from wippy.core.messages import DUMP_SIGNAL, Cancel, ExecJob, Job, WorkerJob
from wippy.core.reasons import (
    OUTPUT_LINES,
    ExitReason,
    Lost,
    Shutdown,
    StartFailed,
    from_returncode,
    is_abnormal,
)
from wippy.errors import WippyError

if TYPE_CHECKING:
    from supervisor.root.root import Root

ACTOR_KILL_WAIT_S = 2.0
"""An actor that ignores even `KillActor` for this long costs its worker the life."""
FLUSH_WAIT_S = 2.0
"""History is given this long to reach the disk before the keeper is asked to stop."""
STACK_LINES = 200
TAIL_BYTES = 64 * 1024


class Performer:
    """Performs the tree's actions for one root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._server: OsProcess | None = None
        self.log_offsets: dict[str, int] = {}
        root.fleet.on_pid = self._pid_known
        root.fleet.on_end = self._process_ended

    @property
    def server_pid(self) -> int:
        """OS pid of the forkserver; 0 if there is none."""
        return self._server.pid if self._server is not None else 0

    def signal_server(self, number: int) -> None:
        """Send a signal to the forkserver."""
        if self._server is not None:
            self._server.signal(number)

    def perform(self, action: steps.Action) -> None:
        """Do what `action` says; never waits."""
        match action:
            case steps.Launch(id, generation):
                self._launch(id, generation)
            case steps.AskStop(id, _, reason, deadline_s):
                self._ask_stop(id, reason, deadline_s)
            case steps.Kill(id):
                self._kill(id)
            case steps.DumpStacks(id):
                self._dump(id)
            case steps.CheckOs(id, generation):
                vessel = self._root.fleet.by_slot.get(id)
                if vessel is not None and vessel.process is not None:
                    os_state = vessel.process.os_state()
                    self._root.feed(steps.OsSeen(id, generation, os_state))
            case steps.AskUpgrade(id, _, version):
                self._root.adopting.ask_upgrade(id, version)
            case steps.AdoptionSettled(version, failed):
                self._root.adopting.settled(version, failed)
            case steps.Note(fact):
                self._note(fact)
            case steps.Forget(id):
                self._root.frames.beats.pop(id, None)
                self.log_offsets.pop(id, None)
                self._root.spawns.forgotten(id)
                self._root.revoke(id)
            case steps.Finish(code):
                self._root.finish(code)

    # --- launching ---

    def _child(self, id: str) -> Child:
        child = self._root.tree.child(id)
        if child is None:
            raise LookupError(f"{id} is not in the tree")
        return child

    def _launch(self, id: str, generation: int) -> None:
        spec = self._child(id).spec
        self._root.frames.beats.pop(id, None)
        doom = self._root.spawns.doom(id)
        if doom is not None:
            self._root.loop.call_soon(self._root.feed, steps.Died(id, generation, doom))
            return
        match spec.launch:
            case System(target=target) if target == FORKSERVER_TARGET:
                self._start_forkserver(generation)
            case PoolActor() as launch:
                self._root.pools.launch(spec, launch, generation)
            case launch:
                log_path = self._root.views.log_path(spec)
                self.log_offsets[id] = _size(log_path)
                notify_path = ""
                if isinstance(launch, Foreign):
                    notify_path = self._root.probing.prepare(id, generation, launch)
                self._root.fleet.launch(
                    job_for(
                        spec,
                        generation,
                        self._root.runtime,
                        log_path=log_path,
                        notify_path=notify_path,
                        credentials=self._root.credentials,
                    )
                )

    def _start_forkserver(self, generation: int) -> None:
        root = self._root
        root.fleet.discard_spares()
        try:
            pid = root.forkserver.start()
        except WippyError as error:
            reason = StartFailed(detail=str(error))
            root.loop.call_soon(root.feed, steps.Died(FORKSERVER_ID, generation, reason))
            return
        self._server = OsProcess.open(pid)
        if self._server is None:
            root.loop.call_soon(root.feed, steps.Died(FORKSERVER_ID, generation, Lost()))
            return
        root.loop.add_reader(self._server.fileno(), self._server_ended, self._server, generation)
        spec = self._child(FORKSERVER_ID).spec
        root.memory.process_started(spec, generation, self._server)
        root.loop.call_soon(root.feed, steps.Launched(FORKSERVER_ID, generation, pid))
        root.fleet.make_spare()  # its Hello says that the server serves

    def _server_ended(self, server: OsProcess, generation: int) -> None:
        root = self._root
        root.loop.remove_reader(server.fileno())
        code = reap(server)
        server.close()
        if self._server is server:
            self._server = None
        root.memory.process_ended(FORKSERVER_ID, generation)
        reason = Lost() if code is None else from_returncode(code)
        root.feed(steps.Died(FORKSERVER_ID, generation, reason))

    def _pid_known(self, vessel: Vessel) -> None:
        job, root = vessel.job, self._root
        if job is None:
            return
        child = root.tree.child(job.slot)
        if vessel.process is not None and child is not None:
            root.memory.process_started(child.spec, job.generation, vessel.process)
        root.feed(steps.Launched(job.slot, job.generation, vessel.pid))
        if isinstance(job, ExecJob) and child is not None:
            root.probing.begin(vessel, job, self.log_offsets.get(job.slot, 0))

    def relaunch_fresh(self, vessel: Vessel, job: Job) -> None:
        """A spare held old code: start the job from a new forkserver; nothing of it had run."""
        fleet = self._root.fleet
        vessel.job = None  # its end is nobody's
        if fleet.by_slot.get(job.slot) is vessel:
            del fleet.by_slot[job.slot]
        # Several may say so at once: the server that one of them had replaced is fresh already.
        if self._server is not None and vessel.server_pid == self._server.pid:
            fleet.discard_spares()
            self._root.forkserver.stop()
            self._server.signal(signal.SIGKILL)
        fleet.launch(job)

    # --- stopping ---

    def _ask_stop(self, id: str, reason: str, deadline_s: float) -> None:
        root = self._root
        launch = self._child(id).spec.launch
        vessel = root.fleet.by_slot.get(id)
        if isinstance(launch, PoolActor):
            if not root.pools.cancel(id, reason, deadline_s):
                self._never_launched(id, root.pools.forget_waiting(id))
        elif id == FORKSERVER_ID:
            if self._server is not None:
                self._server.signal(signal.SIGTERM)
        elif vessel is None:
            self._never_launched(id, root.fleet.cancel_queued(id))
        elif id == KEEPER_ID:
            root.loop.create_task(self._stop_keeper(vessel, reason, deadline_s))
        elif isinstance(launch, Foreign):
            if vessel.process is None:
                root.fleet.kill(vessel)
            else:
                root.fleet.signal(vessel, launch.stop_signal)
        else:
            if isinstance(vessel.job, WorkerJob):
                self._clear_worker(id, vessel, vessel.job.host)
            root.fleet.send(vessel, Cancel(reason, deadline_s))

    def _clear_worker(self, id: str, worker: Vessel, host: str) -> None:
        """Nobody is sent to a worker that is being stopped; if that is for a change of the
        configuration, its actors go on elsewhere, and no end of theirs is counted."""
        root = self._root
        root.pools.worker_closing(host, worker)
        if self._child(id).intent in (Intent.CHANGED, Intent.LEFT_OUT):
            for seat in root.pools.seats_in(worker):
                root.feed(steps.Displaced(seat.child, seat.generation))

    def _never_launched(self, id: str, was_waiting: bool) -> None:
        """It was waiting for the forkserver or for a worker: there is nobody to ask."""
        if was_waiting:
            child = self._child(id)
            self._root.feed(steps.Died(id, child.generation, Shutdown()))

    async def _stop_keeper(self, vessel: Vessel, reason: str, deadline_s: float) -> None:
        self._root.chronicle.pass_on()
        await self._root.keeper.flush(min(FLUSH_WAIT_S, deadline_s / 2))
        self._root.fleet.send(vessel, Cancel(reason, deadline_s))

    def _kill(self, id: str) -> None:
        root = self._root
        launch = self._child(id).spec.launch
        vessel = root.fleet.by_slot.get(id)
        if isinstance(launch, PoolActor):
            seat = root.pools.kill(id)
            if seat is None:
                self._never_launched(id, root.pools.forget_waiting(id))
            else:
                root.loop.call_later(ACTOR_KILL_WAIT_S, self._kill_worker_of, seat)
        elif id == FORKSERVER_ID:
            if self._server is not None:
                self._server.signal(signal.SIGKILL)
        elif vessel is None:
            self._never_launched(id, root.fleet.cancel_queued(id))
        else:
            root.fleet.kill(vessel)

    def _kill_worker_of(self, seat: Seat) -> None:
        if self._root.pools.seat(seat.child) is seat:
            slot = seat.worker.job.slot if seat.worker.job is not None else "its worker"
            text = f"{seat.child} did not end when killed; killing {slot}"
            self._root.chronicle.tell(FactKind.ALARM, text, id=seat.child)
            self._root.fleet.kill(seat.worker)

    def _dump(self, id: str) -> None:
        vessel = self._root.fleet.by_slot.get(id)
        if vessel is not None:
            self.log_offsets[id] = _size(self._root.views.log_path(self._child(id).spec))
            self._root.fleet.signal(vessel, DUMP_SIGNAL)

    # --- ends ---

    def _process_ended(self, vessel: Vessel, reason: ExitReason) -> None:
        root, job = self._root, vessel.job
        if job is None:
            return
        root.probing.end(job.slot)
        root.frames.beats.pop(job.slot, None)
        reason = root.spawns.judged(job, reason)
        root.revoke(job.slot, job.generation)
        # Nobody is told of an end before the directory has forgotten it.
        root.directory.process_gone(job.slot, job.generation)
        root.groups.process_gone(vessel.routing_id, job.slot, job.generation)
        root.observers.process_gone(vessel.routing_id)
        child = root.tree.child(job.slot)
        if child is not None and _wants_output(child, reason):
            root.loop.create_task(self._died_with_output(job, child, reason))
        else:
            self._died(job, reason)
        if isinstance(job, WorkerJob):
            for seat in root.pools.worker_ended(job.host, vessel):
                root.revoke(seat.child, seat.generation)
                root.feed(steps.Died(seat.child, seat.generation, reason))
        # After the replacement is on its way: rows are told apart by their generation, and that of
        # a dead process is no danger to anybody.
        root.memory.process_ended(job.slot, job.generation)
        root.peers.after_end(vessel, job)
        root.housekeeping.look_for_orphans_soon()

    def _died(self, job: Job, reason: ExitReason, output: tuple[str, ...] = ()) -> None:
        root = self._root
        root.feed(steps.Died(job.slot, job.generation, reason, output))
        # The tree's `EXITED` has told those who watch, but only of an end that it knew of.
        root.loop.call_soon(root.watches.ended, job.slot, job.generation, reason)

    async def _died_with_output(self, job: Job, child: Child, reason: ExitReason) -> None:
        """A failed start and a hung process are explained by what they wrote last."""
        count = STACK_LINES if child.intent is Intent.HUNG else OUTPUT_LINES
        output: tuple[str, ...] = ()
        if job.log_path:
            offset = self.log_offsets.get(job.slot, 0)
            output = await asyncio.to_thread(_tail_since, job.log_path, count, offset)
        self._died(job, reason, output)

    # --- facts ---

    def _note(self, fact: Fact) -> None:
        root = self._root
        match fact.kind:
            case FactKind.DECIDED:
                root.memory.note_restart()
            case FactKind.HELD:
                root.memory.note_held(fact.id, is_held=True)
            case FactKind.STARTING:
                root.memory.note_held(fact.id, is_held=False)
                if self._child(fact.id).supervision is not None:
                    root.memory.note_generation(fact.id, fact.generation)
        root.chronicle.note(fact)
        if fact.kind is FactKind.READY and fact.id == "wippy:root":
            root.chronicle.tell(FactKind.NODE_READY, "everything is up")


def _wants_output(child: Child, reason: ExitReason) -> bool:
    if child.intent is Intent.HUNG:
        return True
    return (child.state is State.STARTING and child.intent is Intent.NONE) or (
        child.intent is Intent.START_TIMEOUT and is_abnormal(reason)
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _tail_since(path: str, count: int, offset: int) -> tuple[str, ...]:
    """Return the last lines written since `offset`; all if it was rotated since."""
    size = _size(path)
    if size == offset:
        return ()
    # One byte more: the newline before shows that the first line is a whole one.
    own_bytes = size - offset + 1 if size > offset else TAIL_BYTES
    try:
        return tuple(tail_lines(path, count, max_bytes=min(own_bytes, TAIL_BYTES)))
    except OSError:
        return ()
