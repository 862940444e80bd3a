"""Pools that grow and shrink between the bounds of their spec.

A worker more is started when every worker is as loaded as `grow_at`, or when somebody waits for the
first; one at a time, since the load is known only some seconds later. It is a `temporary` child: it
is replaced by growing again, if it is needed. One above `min` that has had nothing to do
for `idle_timeout` is taken out of the directory and asked to stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from supervisor.core import steps
from supervisor.core.graph import pool_worker
from supervisor.core.spec import ChildSpec, PoolSize, PoolWorker, Restart
from supervisor.core.tree import operators
from supervisor.core.tree.forest import Child
from supervisor.core.view import State
from supervisor.root.vessel import Vessel
from wippy.core.messages import Cancel, HostReady

if TYPE_CHECKING:
    from supervisor.root.root import Root


_HOPEFUL = frozenset({State.IDLE, State.STARTING, State.UP, State.BACKOFF})
"""States of a pool in which who wants a worker of it waits: it has one, or will."""


class Growth:
    """The sizes of all pools of one root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._asking: dict[str, dict[bytes, None]] = {}
        self._idle_since_s: dict[str, float] = {}
        self._to_look: set[str] = set()

    def want(self, peer: bytes, host: str) -> None:
        """A process waits for a worker of a pool that has none."""
        self._asking.setdefault(host, {})[peer] = None
        self._refuse_in_vain(host)
        self.changed(host)

    def changed(self, host: str) -> None:
        """The workers of a pool, what they carry, or who waits for one has changed."""
        if not self._to_look:
            self._root.loop.call_soon(self._look)  # the tree may be in the middle of a step
        self._to_look.add(host)

    def forget(self, peer: bytes) -> None:
        """A process that may have waited has ended."""
        for asking in self._asking.values():
            asking.pop(peer, None)

    def round(self) -> None:
        """Look at the pools that can change: called about every second."""
        for host in [host for host, asking in self._asking.items() if asking]:
            # A pool may have come up, or failed, since it was asked for.
            self._refuse_in_vain(host)
            self.changed(host)
        for child in self._root.tree.forest.children.values():
            size = _size(child.spec)
            if size is not None and size.max > size.min:
                self._shrink(child, size)

    def _refuse_in_vain(self, host: str) -> None:
        """Tell all who wait for a worker that is not to come."""
        pool = self._pool(host)
        if pool is not None and pool.state in _HOPEFUL:
            return
        why = f"no pool {host!r}" if pool is None else f"{host} is {pool.state}"
        for peer in self._asking.pop(host, {}):
            self._root.control.send_process(peer, HostReady(host, why))

    # --- growing ---

    def _pool(self, host: str) -> Child | None:
        child = self._root.tree.child(host)
        return child if child is not None and _size(child.spec) is not None else None

    def _look(self) -> None:
        hosts, self._to_look = self._to_look, set()
        for host in hosts:
            if self._root.pools.workers(host):
                for peer in self._asking.pop(host, {}):
                    self._root.control.send_process(peer, HostReady(host))
            pool = self._pool(host)
            if pool is not None and self._is_short(pool):
                self._grow(pool)

    def _is_short(self, pool: Child) -> bool:
        """Say whether one more worker is needed, and may be."""
        root, size = self._root, _size(pool.spec)
        if size is None or root.is_closing or pool.state not in (State.UP, State.STARTING):
            return False
        workers = list(root.tree.forest.children_of(pool))
        if len(workers) >= size.max or any(it.state is not State.UP for it in workers):
            return False
        if not workers:
            return bool(self._asking.get(pool.id)) or root.pools.is_awaited(pool.id)
        loads = [actors for *_, actors in root.pools.workers(pool.id)]
        return bool(loads) and min(loads) >= size.grow_at

    def _grow(self, pool: Child) -> None:
        template = pool.spec.supervisor.template if pool.spec.supervisor is not None else None
        if template is None:
            return
        id = operators.next_dynamic_id(self._root.tree.forest, pool.id)
        spec = pool_worker(template, int(id.rpartition("#")[2]))
        lifecycle = replace(spec.lifecycle, restart=Restart.TEMPORARY)
        self._root.command(steps.Spawn(pool.id, replace(spec, lifecycle=lifecycle)))

    # --- shrinking ---

    def _shrink(self, pool: Child, size: PoolSize) -> None:
        now_s = self._root.loop.time()
        for child in list(self._root.tree.forest.children_of(pool)):
            vessel = self._root.fleet.by_slot.get(child.id)
            if vessel is None or not _is_extra(child.spec, size):
                continue
            if child.state is not State.UP or self._root.pools.load(vessel):
                self._idle_since_s.pop(child.id, None)
            elif now_s - self._idle_since_s.setdefault(child.id, now_s) >= size.idle_timeout_s:
                del self._idle_since_s[child.id]
                self._retire(pool.id, child, vessel)

    def _retire(self, host: str, child: Child, worker: Vessel) -> None:
        """Nobody is sent there any more; who is on the way there is told as of any end."""
        root = self._root
        if all(slot != child.id for slot, *_ in root.pools.workers(host)):
            return  # it is being retired
        root.pools.worker_closing(host, worker)
        deadline_s = child.spec.lifecycle.stop_timeout_s
        root.fleet.send(worker, Cancel("the pool shrinks", deadline_s))
        root.loop.call_later(deadline_s, self._overdue, worker)

    def _overdue(self, worker: Vessel) -> None:
        if not worker.has_ended:
            self._root.fleet.kill(worker)


def _size(spec: ChildSpec) -> PoolSize | None:
    return spec.supervisor.pool if spec.supervisor is not None else None


def _is_extra(spec: ChildSpec, size: PoolSize) -> bool:
    return isinstance(spec.launch, PoolWorker) and spec.launch.number > size.min
