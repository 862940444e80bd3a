"""What the next root must know, written to the run environment as it happens.

A full run folder must not stop anything: what could not be written is an alarm, and the root goes
on with what it has in its own memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from supervisor.core.spec import ChildSpec, Foreign
from supervisor.io.os_process import OsProcess
from supervisor.io.process_table import ProcessRow, ProcessTable
from wippy.errors import WippyError

T = TypeVar("T")


class Memory:
    """The run environment, as the root uses it.

    Args:
        table: The process table.
        on_alarm: Told once of each kind of trouble.

    Attributes:
        held: Children that an operator holds down.
        generations: Last generation of each child.
        restarts: Automatic restarts since the node was started.
        started_at_s: UTC start of the node, seconds since the epoch.
    """

    def __init__(self, table: ProcessTable, on_alarm: Callable[[str], None]) -> None:
        self._table = table
        self._on_alarm = on_alarm
        self._told: set[str] = set()
        node = table.node()
        self.generations = table.generations()
        self.held = set(node.held)
        self.restarts = node.restarts
        self.started_at_s = node.started_at_s

    def process_started(self, spec: ChildSpec, generation: int, process: OsProcess) -> None:
        """Remember a process: who it is, so that nobody else is ever taken for it."""
        launch = spec.launch
        row = ProcessRow(
            child_id=spec.id,
            generation=generation,
            boot_id=process.identity.boot_id,
            pid=process.pid,
            start_ticks=process.identity.start_ticks,
            kind=spec.kind,
            stop_signal=launch.stop_signal if isinstance(launch, Foreign) else 15,
            started_at_s=time.time(),
            is_foreign=isinstance(launch, Foreign),
            stop_timeout_s=spec.lifecycle.stop_timeout_s,
        )
        self._write(lambda: self._table.put(row))

    def process_ended(self, child_id: str, generation: int) -> None:
        """Forget a process that is confirmed dead."""
        self._write(lambda: self._table.delete(child_id, generation))

    def note_generation(self, child_id: str, generation: int) -> None:
        """Remember a start that has no process of its own."""
        self._write(lambda: self._table.note_generation(child_id, generation))

    def note_restart(self) -> None:
        """Count an automatic restart."""
        self.restarts += 1
        self._write(self._table.note_restart)

    def note_held(self, child_id: str, *, is_held: bool) -> None:
        """Remember that an operator holds a child down, or no longer does."""
        if is_held == (child_id in self.held):
            return
        if is_held:
            self.held.add(child_id)
        else:
            self.held.discard(child_id)
        self._write(lambda: self._table.set_held(self.held))

    def forget_generation(self, child_id: str) -> None:
        """Forget a child whose id is never used again."""
        self._write(lambda: self._table.forget_generation(child_id))

    def write_directory(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Store rows of the directory; None removes."""
        self._write(lambda: self._table.write_directory(rows))

    def clear_directory(self) -> None:
        """Begin the directory anew: nobody lives yet."""
        self._write(self._table.clear_directory)

    def clear_stale_readers(self) -> None:
        """Free what killed readers of the directory hold back."""
        self._write(self._table.clear_stale_readers)

    def close(self) -> None:
        """Close the environment."""
        self._table.close()

    def _write(self, work: Callable[[], T]) -> None:
        try:
            work()
        except WippyError as error:
            if str(error) not in self._told:
                self._told.add(str(error))
                self._on_alarm(f"the process table could not be written: {error}")
