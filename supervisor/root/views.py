"""What the node looks like: the tree's rows with what the kernel and the processes say of them."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from supervisor.core.spec import ChildSpec, PoolActor, PoolWorker
from supervisor.core.tree.rows import row, rows
from supervisor.core.view import NodeView, Row, RowKind, State
from supervisor.root.jobs import log_name

if TYPE_CHECKING:
    from supervisor.root.root import Root

FIGURES_MAX_AGE_S = 0.9
OWN_LOGS = ("node.log", "wippy.forkserver.log")
"""Logs of the runtime itself, rotated as the children's are."""
ALARMS_KEPT_S = 300.0
"""An alarm of the past is shown for five minutes; it stays in the history."""


class Views:
    """Makes views of one root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._sampled_at_s = 0.0
        self.pid = os.getpid()
        self.version = _version()

    def node(self) -> NodeView:
        """Return the view of the whole node."""
        return self._node(tuple(self._rows()))

    def of_child(self, id: str) -> NodeView:
        """Return the view reduced to one child and its ancestors."""
        forest, now_s = self._root.tree.forest, self._root.loop.time()
        line = []
        child = forest.children.get(id)
        while child is not None:
            line.append(child)
            child = forest.parent(child)
        return self._node(
            tuple(
                self._complete(row(forest, child, depth, now_s), child.spec)
                for depth, child in enumerate(reversed(line))
            )
        )

    def log_path(self, spec: ChildSpec) -> str:
        """Return the log file of a child; an actor of a pool writes to its worker's."""
        root = self._root
        if isinstance(spec.launch, PoolActor):
            seat = root.pools.seat(spec.id)
            if seat is None or seat.worker.job is None:
                return ""
            return seat.worker.job.log_path
        return str(Path(root.runtime.log_dir) / log_name(spec.id)) if spec.launch else ""

    def log_paths(self) -> set[str]:
        """Return the log files of all children."""
        children = self._root.tree.forest.children.values()
        own = {os.path.join(self._root.runtime.log_dir, name) for name in OWN_LOGS}
        return own | {path for child in children if (path := self.log_path(child.spec))}

    def _node(self, of_rows: tuple[Row, ...]) -> NodeView:
        root = self._root
        own = root.housekeeping.figures.get("")
        top = root.tree.child("wippy:root")
        state = "running" if top is not None and top.state is State.UP else "starting"
        return NodeView(
            node=root.runtime.node,
            state="stopping" if root.is_closing else state,
            version=self.version,
            source=root.blueprint.source,
            run_dir=root.runtime.run_dir,
            state_dir=root.runtime.state_dir,
            root_pid=self.pid,
            guardian_pid=root.guardian_pid,
            root_starts=root.root_starts,
            uptime_s=max(0.0, time.time() - root.memory.started_at_s),
            root_uptime_s=root.loop.time() - root.started_s,
            at_s=time.time(),
            registry_version=root.registry_version,
            restarts=root.memory.restarts,
            restarts_last_minute=sum(one.restarts_last_minute for one in of_rows),
            bad_frames=root.control.bad_frames,
            spares=root.fleet.spare_count,
            root_cpu_percent=(own.cpu_percent or 0.0) if own else 0.0,
            root_memory_bytes=own.memory_bytes if own else 0,
            alarms=root.chronicle.alarms(time.time() - ALARMS_KEPT_S)
            + ((root.keeper.alarm,) if root.keeper.alarm else ()),
            broken=root.live_files.broken.first,
            broken_text=root.live_files.broken.text,
            rows=of_rows,
            facts=root.chronicle.latest(),
        )

    def _rows(self) -> Iterator[Row]:
        root = self._root
        now_s = root.loop.time()
        if now_s - self._sampled_at_s > FIGURES_MAX_AGE_S:
            self._sampled_at_s = now_s
            root.housekeeping.sample()
        for one in rows(root.tree.forest, now_s):
            yield self._complete(one, root.tree.forest.children[one.id].spec)

    def _complete(self, one: Row, spec: ChildSpec) -> Row:
        """Add what only the kernel, the worker and the shell know."""
        root = self._root
        beat = root.frames.beats.get(one.id)
        figures = root.housekeeping.figures.get(one.id) if one.os_pid else None
        actors = beat.actors if beat is not None else 0
        if isinstance(spec.launch, PoolWorker):
            vessel = root.fleet.by_slot.get(one.id)
            actors = root.pools.load(vessel) if vessel is not None else 0
        elif one.kind is RowKind.POOL:
            actors = root.pools.actors_of(one.id)
        return msgspec.structs.replace(
            one,
            detail=one.detail or root.stalls.detail(one.id),
            cpu_percent=figures.cpu_percent if figures is not None else None,
            memory_bytes=figures.memory_bytes if figures is not None else None,
            actors=actors,
            inbox=beat.inbox if beat is not None else 0,
            dead_letters=beat.dead_letters if beat and beat.generation == one.generation else {},
            log_path=self.log_path(spec),
        )


def _version() -> str:
    try:
        return importlib.metadata.version("wippy-supervisor")
    except importlib.metadata.PackageNotFoundError:
        return "from source"
