"""What is done now and then: figures, memory limits, frozen processes, logs, escaped orphans."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.spec import FORKSERVER_ID, Dedicated, Foreign, PoolWorker
from supervisor.io.figures import Figures, Sampler
from supervisor.io.os_process import OsProcess
from supervisor.io.output import Janitor
from supervisor.io.subreaper import orphans, reap
from supervisor.root.jobs import OWNER_GENERATION, OWNER_ID

if TYPE_CHECKING:
    from supervisor.root.root import Root

ROUND_S = 1.0
"""Memory limits and SIGSTOP are noticed within this."""
UNLIMITED_EVERY = 5
"""Children without a memory limit are sampled every so many rounds while nobody watches."""
ORPHAN_DELAY_S = 0.2
ORPHAN_TERM_WAIT_S = 3.0


class Housekeeping:
    """The regular rounds of one root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._sampler = Sampler()
        self._rounds = 0
        self._timer: asyncio.TimerHandle | None = None
        self._orphan_timer: asyncio.TimerHandle | None = None
        self._told_orphans: set[int] = set()
        self._asked_orphans: dict[int, float] = {}
        self.figures: dict[str, Figures] = {}
        runtime = root.runtime
        self._janitor = Janitor(
            max_bytes=runtime.log_max_bytes,
            backups=runtime.log_backups,
            on_error=self._log_trouble,
        )

    def begin(self) -> None:
        """Begin the rounds."""
        self._janitor.start()
        self._round()

    def end(self) -> None:
        """End the rounds."""
        for timer in (self._timer, self._orphan_timer):
            if timer is not None:
                timer.cancel()
        self._janitor.stop()

    def _log_trouble(self, _path: str, text: str) -> None:
        """Told in the janitor's thread."""
        self._root.loop.call_soon_threadsafe(self._root.alarm, text)

    # --- figures ---

    def _round(self) -> None:
        root = self._root
        self._timer = root.loop.call_later(ROUND_S, self._round)
        self._rounds += 1
        root.growth.round()
        root.stalls.round()
        root.run_folder.look()
        if root.subscribers.is_watched or self._rounds % UNLIMITED_EVERY == 1:
            self.sample()
            root.memory.clear_stale_readers()
            self._janitor.watch(Path(path) for path in root.views.log_paths())
            self._look_for_orphans()
        elif limited := self._limited():
            self._take(self._sampler.sample(limited, root.loop.time()))

    def sample(self) -> None:
        """Take the figures of every process now."""
        root = self._root
        pids = {slot: v.pid for slot, v in root.fleet.by_slot.items() if v.pid}
        if root.performer.server_pid:
            pids[FORKSERVER_ID] = root.performer.server_pid
        self._take(self._sampler.sample({**pids, "": os.getpid()}, root.loop.time()))

    def _limited(self) -> dict[str, int]:
        limited = {}
        for slot, vessel in self._root.fleet.by_slot.items():
            if vessel.pid and self._limit_bytes(slot):
                limited[slot] = vessel.pid
        return limited

    def _limit_bytes(self, slot: str) -> int | None:
        child = self._root.tree.child(slot)
        match child.spec.launch if child is not None else None:
            case Dedicated(limits=limits) | PoolWorker(limits=limits) | Foreign(limits=limits):
                return limits.memory_bytes
        return None

    def _take(self, figures: dict[str, Figures]) -> None:
        self.figures.update(figures)
        for slot in list(figures):
            child = self._root.tree.child(slot)
            if child is None:
                continue
            seen = figures[slot]
            self._root.feed(steps.OsSeen(slot, child.generation, seen.os_state))
            limit = self._limit_bytes(slot)
            if limit is not None and seen.memory_bytes > limit:
                event = steps.OverMemory(slot, child.generation, seen.memory_bytes, limit)
                self._root.feed(event)

    # --- orphans ---

    def look_for_orphans_soon(self) -> None:
        """A process has ended: what it left behind is now a child of ours."""
        if self._orphan_timer is None and not self._root.is_closing:
            self._orphan_timer = self._root.loop.call_later(ORPHAN_DELAY_S, self._look_for_orphans)

    def _look_for_orphans(self) -> None:
        self._orphan_timer = None
        known = self._root.fleet.pids()
        server = self._root.performer.server_pid
        for pid in orphans(known | {server}):
            if reap(pid) is None:
                self._judge_orphan(pid)

    def _judge_orphan(self, pid: int) -> None:
        """End what a dead child left behind; leave what a living child has let go of."""
        owner = _owner(pid)
        if owner is None:
            if pid not in self._told_orphans:
                self._told_orphans.add(pid)
                text = f"pid {pid} was left to the root by an unknown process; it is let alone"
                self._root.chronicle.tell(FactKind.ALARM, text, os_pid=pid)
            return
        id, generation = owner
        child = self._root.tree.child(id)
        if child is not None and child.is_living and child.generation == generation:
            return
        now_s = self._root.loop.time()
        asked_at_s = self._asked_orphans.setdefault(pid, now_s)
        process = OsProcess.open(pid)
        if process is None:
            return
        if asked_at_s == now_s:
            text = f"pid {pid} had left the session of {id} g{generation}, which is gone: ending it"
            self._root.chronicle.tell(FactKind.ALARM, text, id=id, os_pid=pid)
            process.signal(signal.SIGTERM)
        elif now_s - asked_at_s >= ORPHAN_TERM_WAIT_S:
            process.signal(signal.SIGKILL)
        process.close()


def _owner(pid: int) -> tuple[str, int] | None:
    """Return whose descendant an escaped process is, by the environment that it inherited."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    found = dict(v.decode(errors="replace").partition("=")[::2] for v in variables if b"=" in v)
    id, generation = found.get(OWNER_ID, ""), found.get(OWNER_GENERATION, "")
    return (id, int(generation)) if id and generation.isdigit() else None
