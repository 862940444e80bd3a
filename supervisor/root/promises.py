"""Which workers a pool is about to have.

A spawn names its actor at once, and so the worker it will live in: slot and generation. The
directory says which ones are to come; who spawns into a pool that has none yet holds what it has to
say until they are there, or are not to come (`wippy.runtime.promised`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core.facts import Fact
from supervisor.core.spec import PoolWorker
from supervisor.core.tree.forest import Child
from supervisor.core.view import State
from wippy.core.ids import worker_slot

if TYPE_CHECKING:
    from supervisor.root.root import Root

COMING = frozenset({State.IDLE, State.STARTING, State.BACKOFF})
"""States of a worker that will be there."""
HOPEFUL = COMING | {State.UP}
"""States of a pool that has workers, or will."""


class Promises:
    """The workers to come of all pools of one root."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def begin(self) -> None:
        """Say it of all pools: called before anything is started."""
        for child in self._root.tree.forest.children.values():
            if _is_pool(child):
                self.changed(child.id)

    def heed(self, fact: Fact) -> None:
        """Something happened to a child: a worker, perhaps."""
        child = self._root.tree.child(fact.id)
        if child is None:
            return
        if isinstance(child.spec.launch, PoolWorker):
            self.changed(child.spec.launch.host)
        elif _is_pool(child):
            self.changed(child.id)

    def changed(self, host: str) -> None:
        """The workers of a pool have changed. What is there must be in the directory by now: a
        worker that is neither there nor to come is given up."""
        self._root.directory.put_promised(host, self._coming(host))

    def _coming(self, host: str) -> tuple[tuple[str, int, int], ...]:
        root = self._root
        pool = root.tree.child(host)
        if pool is None or pool.supervision is None or not _is_pool(pool):
            return ()
        if root.is_closing or pool.state not in HOPEFUL:
            return ()
        # Also when others are there by now: something may have been said to these before.
        workers = [it for it in root.tree.forest.children_of(pool) if it.state in COMING]
        if workers or root.pools.workers(host):
            return tuple((it.id, it.generation + (not it.is_living), 0) for it in workers)
        # It grows by the first one, which `WantWorker` asks for.
        first = worker_slot(host, pool.supervision.last_number + 1)
        return ((first, root.tree.forest.generations.get(first, 0) + 1, 0),)


def _is_pool(child: Child) -> bool:
    supervisor = child.spec.supervisor
    return supervisor is not None and supervisor.pool is not None
