"""Dedicated processes that actors spawn and end.

They are temporary children of `wippy:spawned`. The slot is made by the caller, so a start is never
waited for; what can't be started is told as the end of a process that never was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from supervisor.core import steps
from supervisor.core.linking import code_ref, link
from supervisor.core.spec import (
    SPAWNED_ID,
    ChildSpec,
    Code,
    Dedicated,
    HostEntry,
    Isolation,
    Lifecycle,
    Limits,
    Restart,
    Spawner,
)
from supervisor.core.tree.forest import Child
from supervisor.core.view import State
from supervisor.root.vessel import Vessel
from wippy.core import messages
from wippy.core.ids import SPAWNED_MARK, Pid
from wippy.core.messages import ActorJob, Cancel, EndProcess, Job, SpawnProcess, WorkerJob
from wippy.core.policy import OPERATOR, Identity, bounded
from wippy.core.reasons import ExitReason, Killed, Shutdown, Signal, StartFailed
from wippy.errors import AlreadyExists, Invalid, NotFound, Unavailable, WippyError

if TYPE_CHECKING:
    from supervisor.root.root import Root

MAX_SPAWNED = 4096
"""Spawned processes of a node at the same time: each takes three descriptors of the root."""
MAX_DEADLINE_S = 86_400.0
SIGKILL = 9
BUILT_IN = {"wippy:shell": Code(method="main", module="wippy.shell")}
"""Code that is there without an entry. No entry can have such an id: the namespace is ours."""
_UNIQUE = re.compile(r"[a-zA-Z2-7]{8}\Z")


class Spawns:
    """What actors of one root have spawned."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._doomed: dict[str, str] = {}
        self._terminated: set[tuple[str, int]] = set()

    # --- starting ---

    def spawn(self, peer: bytes, order: SpawnProcess) -> None:
        """Start a process; who may not be started is told as `Gone`. `Invalid`: a bad slot."""
        root = self._root
        unique = order.slot.removeprefix(order.process + SPAWNED_MARK)
        if order.generation != 1 or not _UNIQUE.match(unique):
            raise Invalid(f"{order.slot!r} g{order.generation} is no slot of a new process")
        if root.tree.child(order.slot) is not None or root.watches.has_ended(order.slot, 1):
            raise Invalid(f"{order.slot} has been used")
        if order.monitor or order.link:
            root.watches.add(peer, order.slot, 1)
        pid = Pid(root.runtime.node, order.slot, 1)
        try:
            self._start(peer, order, pid)
        except WippyError as error:
            root.directory.process_gone(order.slot, 1)
            root.watches.add(peer, order.slot, 1)
            root.watches.note_ended(order.slot, 1)
            root.watches.ended(order.slot, 1, StartFailed(detail=str(error)))

    def _start(self, peer: bytes, order: SpawnProcess, pid: Pid) -> None:
        spec = self._spec(peer, order)
        if self._root.is_closing:
            raise Unavailable("the node is stopping")
        if len(self._root.tree.forest.supervision(self._supervisor()).order) >= MAX_SPAWNED:
            raise Unavailable(f"{MAX_SPAWNED} spawned processes are alive; no more are started")
        if order.name:
            holder = self._root.directory.claim(order.name, pid)
            if holder != pid:
                raise AlreadyExists(f"the name {order.name!r} is registered for {holder}")
        self._root.command(steps.Spawn(SPAWNED_ID, spec))

    def _supervisor(self) -> Child:
        child = self._root.tree.child(SPAWNED_ID)
        if child is None:
            raise Unavailable(f"{SPAWNED_ID} is not there")
        return child

    def _spec(self, peer: bytes, order: SpawnProcess) -> ChildSpec:
        code = self.code_of(order.process)
        launch = Dedicated(
            process=order.process,
            code=code,
            args=order.args,
            limits=self._limits(order.host),
            spawner=Spawner(
                order.parent, order.link, order.context, order.terminal, self._identity(peer, order)
            ),
        )
        return ChildSpec(
            id=order.slot,
            parent=SPAWNED_ID,
            kind="process.py",
            lifecycle=Lifecycle(restart=Restart.TEMPORARY),
            launch=launch,
        )

    def _identity(self, peer: bytes, order: SpawnProcess) -> Identity | None:
        """Return as whom it acts: as who spawns it, and never more than the process of that may."""
        root = self._root
        vessel = root.fleet.by_routing_id.get(peer)
        if vessel is None or vessel.job is None:
            return OPERATOR  # a client's: `run`, `shell`
        job = vessel.job
        slot, generation = job.slot, job.generation
        if isinstance(job, WorkerJob) and order.parent:
            seat = root.pools.seat_of(vessel, Pid.parse(order.parent).actor)
            if seat is not None:
                slot, generation = seat.child, seat.generation
        own = root.credentials.identity(slot, generation)
        return own if order.identity is None else bounded(order.identity, own or Identity(id=slot))

    def _limits(self, host: str) -> Limits:
        if not host:
            return Limits()
        entry = self._root.blueprint.entries.get(host)
        if not isinstance(entry, HostEntry):
            raise NotFound(f"no process.host {host!r}")
        if entry.isolation is not Isolation.DEDICATED:
            # An actor that spawns asks a worker; it comes here while the pool has none.
            raise Invalid(
                f"{host} is a pool: its workers are asked to start actors, not the root; who "
                f"spawns at its start waits for them: lifecycle: {{requires: [{host}]}}"
            )
        return entry.limits

    # --- code ---

    def code_of(self, process: str) -> Code:
        """Return the code of an entry, with all that it imports; `NotFound` if it has none."""
        if process in BUILT_IN:
            return BUILT_IN[process]
        code = getattr(self._root.blueprint.entries.get(process), "code", None)
        if not isinstance(code, Code):
            raise NotFound(f"no process {process!r} in the registry: no such entry has code")
        return link(code, self._root.blueprint.entries)

    def answer_code(self, process: str) -> messages.Code:
        """Answer a worker that wants to start an actor."""
        try:
            return messages.Code(process, code_ref(self.code_of(process)))
        except WippyError as error:
            return messages.Code(process, error=str(error))

    # --- ending ---

    def end(self, order: EndProcess) -> None:
        """End a process; one that is not there has ended already, and its watchers know.

        Raises:
            Invalid: It is no actor's own process.
        """
        root = self._root
        child = root.tree.child(order.slot)
        if child is None or not root.peers.is_there(order.slot, order.generation):
            return
        if not isinstance(child.spec.launch, Dedicated):
            raise Invalid(f"{order.slot} is no process of one actor")
        vessel = root.fleet.by_slot.get(order.slot)
        if child.state is State.IDLE:
            self._doomed[order.slot] = order.reason  # its turn to start has not come
        elif vessel is not None:
            self._end_vessel(vessel, order)
        elif root.fleet.cancel_queued(order.slot):
            reason = _never_started(order.reason)
            root.feed(steps.Died(order.slot, order.generation, reason))

    def _end_vessel(self, vessel: Vessel, order: EndProcess) -> None:
        if order.how == "kill":
            self._terminate(vessel)
            return
        deadline_s = min(max(order.deadline_s, 0.0), MAX_DEADLINE_S)
        self._root.fleet.send(vessel, Cancel(order.reason, deadline_s))
        self._root.loop.call_later(deadline_s, self._terminate, vessel)

    def _terminate(self, vessel: Vessel) -> None:
        if vessel.has_ended or not isinstance(vessel.job, ActorJob):
            return
        self._terminated.add((vessel.job.slot, vessel.job.generation))
        self._root.fleet.kill(vessel)

    def doom(self, slot: str) -> StartFailed | None:
        """Return why a launch is not to be, if it was ended before its turn came."""
        reason = self._doomed.pop(slot, None)
        return None if reason is None else _never_started(reason)

    def judged(self, job: Job, reason: ExitReason) -> ExitReason:
        """Return the reason of an end in the light of who asked for it."""
        key = (job.slot, job.generation)
        if key in self._terminated:
            self._terminated.discard(key)
            return Killed() if reason == Signal(SIGKILL) else reason
        return reason

    def forgotten(self, slot: str) -> None:
        """A child is in the tree no more; a spawned one never comes back."""
        if SPAWNED_MARK not in slot:
            return
        root = self._root
        self._doomed.pop(slot, None)
        root.watches.note_ended(slot, 1)
        root.directory.process_gone(slot, 1)
        root.watches.ended(slot, 1, Shutdown())  # who was told already is not told again
        root.memory.forget_generation(slot)


def _never_started(reason: str) -> StartFailed:
    why = f": {reason}" if reason else ""
    return StartFailed(detail=f"it was ended before it started{why}", cause=Shutdown())
