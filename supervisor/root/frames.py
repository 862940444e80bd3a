"""Frames of processes: what each means for the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.identity import IDENTITY, IDENTITY_WANTED, as_payload
from supervisor.core.spec import FILES_ID, FORKSERVER_ID, KEEPER_ID
from supervisor.core.view import State
from supervisor.root.peers import PEER_FRAMES
from supervisor.root.vessel import Vessel
from wippy.core import messages
from wippy.core.messages import PROTOCOL, FromProcess, WorkerJob
from wippy.errors import Invalid

if TYPE_CHECKING:
    from supervisor.root.root import Root

UpgradeAnswer = messages.Upgraded | messages.NotUpgradable | messages.UpgradeFailed


class Frames:
    """Takes the frames of processes.

    Attributes:
        beats: Last heartbeat of each slot.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self.beats: dict[str, messages.Beat] = {}
        self._complained_server_pid = 0

    def take(self, peer: bytes, frame: FromProcess) -> None:
        """Take a valid frame; `Invalid` if it comes from one who may not send it."""
        vessel = self._root.fleet.by_routing_id[peer]
        if isinstance(frame, messages.Hello):
            self._hello(vessel, frame)
        elif not vessel.has_greeted:
            raise Invalid(f"{type(frame).__name__} before Hello")
        elif vessel.job is None:
            raise Invalid(f"{type(frame).__name__} from a spare")
        elif isinstance(frame, PEER_FRAMES):
            self._root.peers.take(vessel, frame)
        else:
            self._of_child(vessel, vessel.job, frame)

    def _hello(self, vessel: Vessel, frame: messages.Hello) -> None:
        if frame.token != vessel.token or vessel.has_greeted:
            raise Invalid("a Hello that is not the process's own")
        if frame.protocol != PROTOCOL:
            raise Invalid(f"protocol {frame.protocol}; this root speaks {PROTOCOL}")
        root = self._root
        if not frame.preloaded:
            root.alarm(
                "the forkserver could not preload wippy: starts are slow; see "
                f"{root.runtime.log_dir}/wippy.forkserver.log"
            )
        if frame.not_preloaded and vessel.server_pid != self._complained_server_pid:
            self._complained_server_pid = vessel.server_pid
            root.alarm(
                f"could not preload {', '.join(frame.not_preloaded)}: imported at each start; see "
                f"{root.runtime.log_dir}/wippy.forkserver.log"
            )
        root.fleet.greeted(vessel)
        server = root.tree.child(FORKSERVER_ID)
        if server is not None and server.state is State.STARTING:
            root.feed(steps.BecameReady(FORKSERVER_ID, server.generation))

    def _of_child(self, vessel: Vessel, job: messages.Job, frame: FromProcess) -> None:
        root = self._root
        match frame:
            case messages.Ready(generation) if generation == job.generation:
                self._ready(vessel, job)
            case messages.Beat(generation=generation) if generation == job.generation:
                self.beats[job.slot] = frame
                root.feed(steps.Beat(job.slot, generation))
                root.pools.note_beat(vessel, frame.actors + frame.calls)
            case messages.NotNeeded(generation) if generation == job.generation:
                root.feed(steps.SaidNotNeeded(job.slot, generation))
            case messages.Ended(generation, reason) if generation == job.generation:
                vessel.last_words = reason
            case messages.Upgraded() | messages.NotUpgradable() | messages.UpgradeFailed():
                self._of_upgrade(vessel, job, frame)
            case messages.ActorReady() | messages.ActorEnded():
                self._of_actor(vessel, frame)
            case messages.Stale(module):
                root.chronicle.tell(
                    FactKind.ALARM,
                    f"{module} changed since it was preloaded; restarting the forkserver",
                    id=job.slot,
                )
                root.performer.relaunch_fresh(vessel, job)
            case messages.Published("alarm", payload):
                text = str(payload.get("text") or "all is well again")
                root.chronicle.tell(FactKind.ALARM, text, id=job.slot)
            case messages.Published(topic, payload) if topic == IDENTITY_WANTED:
                self._explain(vessel, job, payload)
            case messages.Published(topic, payload) if job.slot == FILES_ID:
                root.live_files.heard(topic, payload)
            case messages.Published("registry.committed", {"version": int(version)}):
                root.adopting.committed(version)
            case _:
                raise Invalid(f"{type(frame).__name__} of another generation than {job.generation}")

    def _explain(self, vessel: Vessel, job: messages.Job, payload: dict[str, Any]) -> None:
        """The keeper has been shown a credential that it does not know."""
        credential = payload.get("credential")
        if job.slot != KEEPER_ID or not isinstance(credential, bytes):
            raise Invalid("only the keeper asks whose a credential is")
        standing = self._root.credentials.explain(credential)
        self._root.fleet.send(vessel, messages.Told(IDENTITY, as_payload(standing)))

    def _ready(self, vessel: Vessel, job: messages.Job) -> None:
        root = self._root
        if job.slot == KEEPER_ID:
            if root.registry_version == 0:
                root.loop.create_task(root.load_registry(job.generation))
                return
            # The one before may have died between a commit and its announcement.
            root.adopting.look()
        elif isinstance(job, WorkerJob):
            root.pools.worker_ready(job.host, vessel)
        root.feed(steps.BecameReady(job.slot, job.generation))
        if job.slot == FILES_ID:
            root.live_files.ready()

    def _of_upgrade(self, vessel: Vessel, job: messages.Job, frame: UpgradeAnswer) -> None:
        """An actor answers that it was told of newer code; one that has ended says nothing new."""
        id, generation = job.slot, job.generation
        if frame.actor:
            seat = self._root.pools.seat_of(vessel, frame.actor)
            if seat is None:
                return
            id, generation = seat.child, seat.generation
        match frame:
            case messages.Upgraded(version=version):
                self._root.feed(steps.Upgraded(id, generation, version))
            case messages.NotUpgradable(version=version):
                self._root.feed(steps.NotUpgradable(id, generation, version))
            case messages.UpgradeFailed(version=version, detail=detail):
                self._root.feed(steps.UpgradeFailed(id, generation, version, detail))

    def _of_actor(self, worker: Vessel, frame: messages.ActorReady | messages.ActorEnded) -> None:
        root = self._root
        seat = root.pools.seat(frame.child)
        if seat is None or seat.worker is not worker or seat.generation != frame.generation:
            raise Invalid(f"an actor {frame.child} that has no seat here")
        if isinstance(frame, messages.ActorReady):
            root.feed(steps.BecameReady(frame.child, frame.generation))
            return
        if frame.not_needed:
            root.feed(steps.SaidNotNeeded(frame.child, frame.generation))
        root.peers.actor_ended(seat)
        root.revoke(frame.child, frame.generation)
        root.pools.ended(frame.child, frame.generation)
        root.feed(steps.Died(frame.child, frame.generation, frame.reason))
