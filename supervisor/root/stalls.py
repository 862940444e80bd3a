"""Event loops that are blocked, seen long before they count as hung, and who blocks them.

A loop that runs beats. One that has missed a beat is asked for its stacks, which the process writes
to its log also while Python code runs on (`DUMP_SIGNAL`); the innermost frame of user code says
where it stands, and an entry function on the stack says whose it is.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.core.facts import Fact, FactKind
from supervisor.core.lifecycle import Watch
from supervisor.core.spec import Code, Dedicated, PoolActor, PoolWorker
from supervisor.core.stacks import StackFrame, loop_stack, users_frames
from supervisor.core.tree.forest import Child
from supervisor.core.tree.watching import STOPPED_STATES
from supervisor.core.view import State
from supervisor.io.output import tail_lines
from supervisor.root.vessel import Vessel
from wippy.core.messages import DUMP_SIGNAL
from wippy.core.units import format_duration

if TYPE_CHECKING:
    from supervisor.root.root import Root

LATE_S = 2.0
"""A beat may be this late on a busy machine."""
DUMP_WAIT_S = 0.5
MAX_DUMP_BYTES = 64 * 1024
MAX_DUMP_LINES = 500


@dataclass(slots=True)
class Stall:
    """A loop that does not run.

    Attributes:
        generation: Of the process.
        since_s: Its last beat.
        blocker: The actor, or the entry of its code where it has no id; empty if not known.
        where: The innermost frame of user code, in words.
    """

    generation: int
    since_s: float
    blocker: str = ""
    where: str = ""

    def sentence(self, now_s: float) -> str:
        """Return it in words."""
        text = f"event loop blocked for {format_duration(now_s - self.since_s)}"
        by = f" by {self.blocker}" if self.blocker else ""
        return text + by + (f": {self.where}" if self.where else "")


class Stalls:
    """The blocked loops of one root's processes."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._stalls: dict[str, Stall] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def detail(self, id: str) -> str:
        """Return what to show in the row of a process, or of the actor that blocks one."""
        now_s = self._root.loop.time()
        if stall := self._stalls.get(id):
            return stall.sentence(now_s)
        for slot, stall in self._stalls.items():
            if stall.blocker == id:
                return f"blocks {slot} for {format_duration(now_s - stall.since_s)}: {stall.where}"
        return ""

    def round(self) -> None:
        """Look at all processes: called about every second."""
        for slot, stall in list(self._stalls.items()):
            self._look_again(slot, stall)
        if self._root.runtime.heartbeat_s <= 0:
            return
        for slot, vessel in list(self._root.fleet.by_slot.items()):
            child = self._root.tree.child(slot)
            if child is not None and slot not in self._stalls and self._is_late(child):
                self._ask(vessel, child)

    def _is_late(self, child: Child) -> bool:
        if child.state is not State.UP or child.watch is not Watch.ALIVE:
            return False
        if not isinstance(child.spec.launch, Dedicated | PoolWorker):
            return False
        silent_s = self._root.loop.time() - child.beaten_at_s
        return silent_s > self._root.runtime.heartbeat_s + LATE_S

    def _look_again(self, slot: str, stall: Stall) -> None:
        child = self._root.tree.child(slot)
        if child is None or child.generation != stall.generation or child.state is not State.UP:
            del self._stalls[slot]
        elif child.beaten_at_s > stall.since_s:
            del self._stalls[slot]
            text = (
                f"event loop runs again after {format_duration(child.beaten_at_s - stall.since_s)}"
            )
            self._tell(FactKind.THAWED, child, text)

    def _ask(self, vessel: Vessel, child: Child) -> None:
        if vessel.process is None or vessel.process.os_state() in STOPPED_STATES:
            return  # frozen by a signal: it could not answer, and nobody blocks it
        stall = self._stalls[child.id] = Stall(child.generation, child.beaten_at_s)
        path = self._root.views.log_path(child.spec)
        offset = _size(path)
        self._root.fleet.signal(vessel, DUMP_SIGNAL)
        task = self._root.loop.create_task(self._find_out(child, stall, path, offset))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _find_out(self, child: Child, stall: Stall, path: str, offset: int) -> None:
        await asyncio.sleep(DUMP_WAIT_S)
        frames = users_frames(loop_stack(await asyncio.to_thread(_lines_since, path, offset)))
        if self._stalls.get(child.id) is not stall:
            return
        stall.where = str(frames[0]) if frames else ""
        stall.blocker = self._blocker(child, frames)
        self._tell(FactKind.HUNG, child, stall.sentence(self._root.loop.time()))

    def _tell(self, kind: FactKind, child: Child, text: str) -> None:
        about = Fact(
            kind=kind, id=child.id, generation=child.generation, os_pid=child.os_pid, text=text
        )
        self._root.chronicle.note(about)

    # --- whose code it is ---

    def _blocker(self, worker: Child, frames: tuple[StackFrame, ...]) -> str:
        if isinstance(worker.spec.launch, Dedicated):
            return ""  # it is its own
        entries = [
            id
            for id, entry in self._root.blueprint.entries.items()
            if isinstance(code := getattr(entry, "code", None), Code) and _is_on(code, frames)
        ]
        if len(entries) != 1:
            return " or ".join(entries)
        here = [
            it.id
            for it in self._root.tree.forest.children.values()
            if isinstance(it.spec.launch, PoolActor)
            and it.spec.launch.process == entries[0]
            and (seat := self._root.pools.seat(it.id)) is not None
            and seat.worker.job is not None
            and seat.worker.job.slot == worker.id
        ]
        return here[0] if len(here) == 1 else entries[0]


def _is_on(code: Code, frames: tuple[StackFrame, ...]) -> bool:
    """Say whether the entry function of `code` is on the stack."""
    if code.module is not None:
        tail = code.module.replace(".", "/")
        files: tuple[str, ...] = (f"/{tail}.py", f"/{tail}/__init__.py")
    else:
        files = (code.path or code.origin.rpartition(":")[0],)
    return any(it.function == code.method and it.file.endswith(files) for it in frames)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0  # no log yet


def _lines_since(path: str, offset: int) -> tuple[str, ...]:
    own_bytes = min(max(0, _size(path) - offset), MAX_DUMP_BYTES)
    if not own_bytes or not Path(path).is_file():
        return ()
    return tuple(tail_lines(path, MAX_DUMP_LINES, max_bytes=own_bytes + 1))
