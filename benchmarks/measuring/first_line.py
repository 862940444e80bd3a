"""The moment of a process's first line of user code, told by the process itself.

Each program, whoever runs it, begins the same way: read CLOCK_MONOTONIC, write "pid nanoseconds"
into a FIFO that the benchmark holds open. The time is taken before the FIFO is touched, so what
telling costs is not in the figure, and waiting for it takes no polling.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

DEADLINE_S = 60.0
"""A program that has not come back by then never will."""
LINE_BYTES = 65536
"""All that a pipe holds: a read never ends within a line."""


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
        self._unread: deque[bytes] = deque()
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def wait(self) -> Born:
        """Wait for the next first line.

        Raises:
            TimeoutError: None came within `DEADLINE_S`.
        """
        if not self._unread and not self._poll.poll(DEADLINE_S * 1000):
            raise TimeoutError(f"nothing came back at {self.path} within {DEADLINE_S:g} s")
        pid, at_ns = self._line().split()
        return Born(int(pid), int(at_ns))

    def _line(self) -> bytes:
        # Whole lines: a write of less than PIPE_BUF is one piece (pipe(7)).
        if not self._unread:
            self._unread += os.read(self._fd, LINE_BYTES).splitlines()
        return self._unread.popleft()

    def kill(self, pid: int) -> int:
        """SIGKILL `pid`, one of those that write here; return when, CLOCK_MONOTONIC ns."""
        killed_ns = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        return killed_ns

    def close(self) -> None:
        """Let go of the FIFO."""
        os.close(self._fd)
