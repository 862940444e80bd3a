"""The moment of a process's first line of user code, told by the process itself.

Each program, whoever runs it, begins the same way: read CLOCK_MONOTONIC, write "pid nanoseconds"
into a FIFO that the benchmark holds open. The time is taken before the FIFO is touched, so what
telling costs is not in the figure, and waiting for it takes no polling.
"""

from __future__ import annotations

import os
import select
from dataclasses import dataclass
from pathlib import Path

DEADLINE_S = 60.0
"""A program that has not come back by then never will."""
LINE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Born:
    """A process at its first line."""

    pid: int
    at_ns: int


class FirstLines:
    """The FIFO at `path`, made here; the program of one contender writes into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        # Both ways: writers find a reader at once, and a dead writer is no end of file.
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def wait(self) -> Born:
        """Wait for the next first line.

        Raises:
            TimeoutError: None came within `DEADLINE_S`.
        """
        if not self._poll.poll(DEADLINE_S * 1000):
            raise TimeoutError(f"nothing came back at {self.path} within {DEADLINE_S:g} s")
        # Whole lines: a write of less than PIPE_BUF is one piece (pipe(7)).
        pid, at_ns = os.read(self._fd, LINE_BYTES).split(b"\n")[0].split()
        return Born(int(pid), int(at_ns))

    def close(self) -> None:
        """Let go of the FIFO."""
        os.close(self._fd)
