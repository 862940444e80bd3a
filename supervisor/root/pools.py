"""Actors in pools: which worker gets an actor, and what a worker's end means for its actors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from supervisor.core.spec import ChildSpec, PoolActor
from supervisor.root.credentials import Credentials
from supervisor.root.fleet import Fleet
from supervisor.root.jobs import start_actor_for
from supervisor.root.vessel import Vessel
from wippy.core.messages import CancelActor, KillActor, WorkerJob


@dataclass(slots=True, eq=False)
class Seat:
    """An actor's place in a worker."""

    child: str
    generation: int
    actor: int
    worker: Vessel


@dataclass(slots=True)
class Pool:
    """The ready workers of a host, and who waits for one.

    Attributes:
        workers: In the order in which they became ready.
        waiting: Launches that wait for a worker.
        carried: Actors of each worker: what its last heartbeat said, and what was placed since.
    """

    workers: list[Vessel] = field(default_factory=list)
    waiting: deque[tuple[ChildSpec, PoolActor, int]] = field(default_factory=deque)
    carried: dict[Vessel, int] = field(default_factory=dict)


class Pools:
    """All pools of the node.

    Args:
        fleet: For sending to workers.
        on_launched: Told of a seat that an actor was given.
        on_change: Told of a host whose workers, or what they carry, have changed.
        credentials: For the actors.
    """

    def __init__(
        self,
        fleet: Fleet,
        on_launched: Callable[[Seat], None],
        on_change: Callable[[str], None],
        credentials: Credentials,
    ) -> None:
        self._fleet = fleet
        self._credentials = credentials
        self._on_launched = on_launched
        self._on_change = on_change
        self._pools: dict[str, Pool] = {}
        self._seats: dict[str, Seat] = {}
        self._last_actor = 0

    def launch(self, spec: ChildSpec, launch: PoolActor, generation: int) -> None:
        """Start an actor in the worker with the fewest; without a worker it waits for one."""
        pool = self._pools.setdefault(launch.host, Pool())
        pool.waiting.append((spec, launch, generation))
        self._seat_waiting(pool)
        self._on_change(launch.host)

    def worker_ready(self, host: str, worker: Vessel) -> None:
        """A worker takes actors from now on."""
        pool = self._pools.setdefault(host, Pool())
        pool.workers.append(worker)
        self._seat_waiting(pool)
        self._on_change(host)

    def worker_closing(self, host: str, worker: Vessel) -> None:
        """A worker is being stopped: it gets no more actors."""
        pool = self._pools.get(host)
        if pool is not None and worker in pool.workers:
            pool.workers.remove(worker)
            pool.carried.pop(worker, None)
            self._on_change(host)

    def note_beat(self, worker: Vessel, actors: int) -> None:
        """A worker says how many actors live in it, those that other actors spawned included."""
        job = worker.job
        pool = self._pools.get(job.host) if isinstance(job, WorkerJob) else None
        if pool is None or not isinstance(job, WorkerJob) or worker not in pool.workers:
            return
        if pool.carried.get(worker) != actors:
            pool.carried[worker] = actors
            self._on_change(job.host)

    def workers(self, host: str) -> tuple[tuple[str, int, int], ...]:
        """Return the workers of a pool that take actors: slot, generation, actors in it."""
        pool = self._pools.get(host, Pool())
        return tuple(
            (worker.job.slot, worker.job.generation, self.load(worker))
            for worker in pool.workers
            if worker.job is not None
        )

    def is_awaited(self, host: str) -> bool:
        """Say whether a supervised actor waits for a worker of a pool."""
        return bool(self._pools.get(host, Pool()).waiting)

    def load(self, worker: Vessel) -> int:
        """Return how many actors live in a worker, as far as is known."""
        job = worker.job
        pool = self._pools.get(job.host) if isinstance(job, WorkerJob) else None
        return max(self.actors_in(worker), pool.carried.get(worker, 0) if pool is not None else 0)

    def worker_ended(self, host: str, worker: Vessel) -> list[Seat]:
        """A worker has ended: return the seats that are gone with it."""
        self.worker_closing(host, worker)
        gone = [seat for seat in self._seats.values() if seat.worker is worker]
        for seat in gone:
            del self._seats[seat.child]
        return gone

    def seat(self, child: str) -> Seat | None:
        """Return where a child's actor lives."""
        return self._seats.get(child)

    def seats_in(self, worker: Vessel) -> list[Seat]:
        """Return the seats of supervised actors in a worker."""
        return [seat for seat in self._seats.values() if seat.worker is worker]

    def seat_of(self, worker: Vessel, actor: int) -> Seat | None:
        """Return the seat of a supervised actor by its number in a worker."""
        return next((it for it in self.seats_in(worker) if it.actor == actor), None)

    def actors_in(self, worker: Vessel) -> int:
        """Return how many supervised actors live in a worker."""
        return sum(seat.worker is worker for seat in self._seats.values())

    def actors_of(self, host: str) -> int:
        """Return how many actors live in a pool, as far as is known."""
        pool = self._pools.get(host)
        return sum(self.load(worker) for worker in pool.workers) if pool is not None else 0

    def ended(self, child: str, generation: int) -> None:
        """An actor has ended: its seat is free."""
        seat = self._seats.get(child)
        if seat is not None and seat.generation == generation:
            del self._seats[child]

    def cancel(self, child: str, reason: str, deadline_s: float) -> bool:
        """Ask an actor to stop; False if it has no seat."""
        seat = self._seats.get(child)
        if seat is not None:
            self._fleet.send(seat.worker, CancelActor(seat.actor, reason, deadline_s))
        return seat is not None

    def kill(self, child: str) -> Seat | None:
        """End an actor now; return its seat, whose worker must die if it does not obey."""
        seat = self._seats.get(child)
        if seat is not None:
            self._fleet.send(seat.worker, KillActor(seat.actor))
        return seat

    def forget_waiting(self, child: str) -> bool:
        """Forget a launch that has no seat yet; say whether there was one."""
        for pool in self._pools.values():
            kept = [item for item in pool.waiting if item[0].id != child]
            if len(kept) < len(pool.waiting):
                pool.waiting = deque(kept)
                return True
        return False

    def _seat_waiting(self, pool: Pool) -> None:
        while pool.waiting and pool.workers:
            spec, launch, generation = pool.waiting.popleft()
            worker = min(pool.workers, key=self.load)
            pool.carried[worker] = self.load(worker) + 1
            self._last_actor += 1
            seat = Seat(spec.id, generation, self._last_actor, worker)
            self._seats[spec.id] = seat
            order = start_actor_for(spec, launch, generation, seat.actor, self._credentials)
            self._fleet.send(worker, order)
            self._on_launched(seat)
