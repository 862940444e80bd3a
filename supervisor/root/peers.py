"""What processes ask of the root about one another: ends, names, spawns, code.

Messages between actors never come here. The root knows what no process can: which OS process is
alive, and who asked for a name first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core import functions
from supervisor.core.facts import Fact, FactKind
from supervisor.core.spec import Dedicated, PoolActor
from supervisor.core.view import State
from supervisor.root.pools import Seat
from supervisor.root.vessel import Vessel
from wippy.core import messages
from wippy.core.ids import SPAWNED_MARK, Pid
from wippy.core.messages import FromProcess, Job, ToProcess
from wippy.errors import Invalid, WippyError

if TYPE_CHECKING:
    from supervisor.root.root import Root

SPAWN_GRACE_S = 0.25
"""A pid travels on its own way, and may be watched before its `SpawnProcess` has arrived here."""


PEER_FRAMES = (
    messages.WatchProcess,
    messages.Unwatch,
    messages.SpawnProcess,
    messages.RegisterName,
    messages.UnregisterName,
    messages.EndProcess,
    messages.WantCode,
    messages.WantWorker,
    messages.WantFunction,
    messages.SetMember,
    messages.LeaveAll,
    messages.WatchGroup,
    messages.UnwatchGroup,
    messages.MembersSaid,
    messages.Observe,
)


class Peers:
    """Takes what processes of one root say about one another."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def take(self, vessel: Vessel, frame: FromProcess) -> None:
        """Take a valid frame of a process that has a job; `Invalid` if it may not say that."""
        root, peer = self._root, vessel.routing_id
        match frame:
            case messages.WatchProcess(slot, generation):
                self._watch(vessel, slot, generation)
            case messages.Unwatch(slot, generation):
                root.watches.remove(peer, slot, generation)
            case messages.SpawnProcess():
                root.spawns.spawn(peer, frame)
            case messages.RegisterName(name, pid):
                self._register(vessel, name, pid)
            case messages.UnregisterName(name, pid):
                root.directory.free(name, self._own_pid(pid))
                self._send(peer, messages.NameFreed(name, pid))
            case messages.EndProcess():
                root.spawns.end(frame)
            case messages.WantCode(process):
                self._send(peer, root.spawns.answer_code(process))
            case messages.WantWorker(host):
                root.growth.want(peer, host)
            case messages.WantFunction(function):
                entries = root.blueprint.entries
                self._send(peer, functions.answer(function, entries))
            case messages.SetMember(group, pid, times):
                root.groups.set_member(group, self._pid_of_its_own(vessel, pid), times)
            case messages.LeaveAll(pid):
                root.groups.leave_all(peer, self._pid_of_its_own(vessel, pid))
            case messages.WatchGroup(group):
                root.groups.watch(peer, group)
            case messages.UnwatchGroup(group):
                root.groups.unwatch(peer, group)
            case messages.MembersSaid():
                root.groups.heard(peer)
            case messages.Observe():
                self._observe(vessel, frame)
            case _:
                raise Invalid(f"{type(frame).__name__} is not for the root now")

    def _send(self, peer: bytes, frame: ToProcess) -> None:
        self._root.control.send_process(peer, frame)

    # --- who is alive ---

    def is_there(self, slot: str, generation: int) -> bool:
        """Say whether an OS process lives, is being started, or waits for its turn to start."""
        child = self._root.tree.child(slot)
        if child is None or child.supervision is not None:
            return False
        if isinstance(child.spec.launch, PoolActor):
            return False  # it has a seat in a process, and is none
        if child.generation == generation:
            return child.is_living
        is_new = SPAWNED_MARK in slot and child.generation == 0 and generation == 1
        return is_new and child.state is State.IDLE

    def _watch(self, vessel: Vessel, slot: str, generation: int) -> None:
        root, peer = self._root, vessel.routing_id
        if root.watches.is_watching(peer, slot, generation):
            return
        if self.is_there(slot, generation) or root.clients.hold(slot, generation):
            root.watches.add(peer, slot, generation)
        elif SPAWNED_MARK in slot and generation == 1 and not root.watches.has_ended(slot, 1):
            root.watches.add(peer, slot, generation)
            root.loop.call_later(SPAWN_GRACE_S, self._look_again, vessel, slot, generation)
        else:
            root.watches.absent(peer, slot, generation)

    def _look_again(self, vessel: Vessel, slot: str, generation: int) -> None:
        watches, peer = self._root.watches, vessel.routing_id
        if watches.is_watching(peer, slot, generation) and not self.is_there(slot, generation):
            watches.absent(peer, slot, generation)

    # --- names ---

    def _own_pid(self, text: str) -> Pid:
        pid = Pid.parse(text)
        if pid.node != self._root.runtime.node:
            raise Invalid(f"{text} is no pid of this node")
        return pid

    def _pid_of_its_own(self, vessel: Vessel, text: str) -> Pid:
        """Return a pid that a process may speak for: one of its own actors'."""
        pid, job = self._own_pid(text), vessel.job
        if job is None or (pid.slot, pid.generation) != (job.slot, job.generation):
            raise Invalid(f"{text} is no actor of the process that speaks for it")
        return pid

    def _observe(self, vessel: Vessel, frame: messages.Observe) -> None:
        job, observers = vessel.job, self._root.observers
        if job is not None:
            observers.observe(vessel.routing_id, job.slot, job.generation, frame.patterns)
            observers.answer(vessel.routing_id, frame.number)

    def _register(self, vessel: Vessel, name: str, text: str) -> None:
        pid = self._own_pid(text)
        taken = messages.NameTaken(name, "")
        # An entry id `name:x` and the name `x` would be one row.
        if (
            self.is_there(pid.slot, pid.generation)
            and self._root.tree.child(f"name:{name}") is None
        ):
            try:
                holder = self._root.directory.claim(name, pid)
            except Invalid:
                self._send(vessel.routing_id, taken)
                raise
            except WippyError as error:
                self._root.alarm(str(error))
            else:
                if holder == pid:
                    return
                taken = messages.NameTaken(name, str(holder))
        self._send(vessel.routing_id, taken)

    # --- lives and ends ---

    def heed(self, fact: Fact) -> None:
        """Something happened, and nothing has followed from it yet."""
        if fact.kind is FactKind.EXITED and fact.reason is not None:
            self._root.watches.ended(fact.id, fact.generation, fact.reason)
        elif fact.kind is FactKind.READY:
            self._ready(fact.id, fact.generation)
        self._root.promises.heed(fact)

    def _ready(self, id: str, generation: int) -> None:
        """A child has become READY: from now on it is found under its id."""
        root = self._root
        child = root.tree.child(id)
        launch = child.spec.launch if child is not None else None
        if isinstance(launch, Dedicated) and launch.spawner is None:
            root.directory.put_service(id, Pid(root.runtime.node, id, generation), generation)
        elif isinstance(launch, PoolActor):
            seat = root.pools.seat(id)
            pid = self._pid_of(seat) if seat is not None else None
            if pid is not None and seat is not None and seat.generation == generation:
                root.directory.put_service(id, pid, generation)

    def _pid_of(self, seat: Seat) -> Pid | None:
        job = seat.worker.job
        if job is None:
            return None
        return Pid(self._root.runtime.node, job.slot, job.generation, seat.actor)

    def actor_ended(self, seat: Seat) -> None:
        """A supervised actor of a pool has ended; its worker tells who watches it."""
        pid = self._pid_of(seat)
        if pid is not None:
            self._root.directory.actor_gone(seat.child, pid)
            self._root.groups.actor_gone(pid)

    def after_end(self, vessel: Vessel, job: Job) -> None:
        """An OS process has ended: see to what is left of it."""
        root = self._root
        root.watches.watcher_ended(vessel.routing_id)
        root.growth.forget(vessel.routing_id)
        try:
            root.message_folder.remove(job.slot, job.generation)
        except WippyError as error:
            root.alarm(str(error))

    def host_changed(self, host: str) -> None:
        """The workers of a pool, or what they carry, have changed."""
        self._root.directory.put_host(host, self._root.pools.workers(host))
        self._root.promises.changed(host)
        self._root.growth.changed(host)
