"""Commands that go on until ^C, read as their lines come."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import threading
from collections.abc import Iterator

from real_node import DEADLINE_S, RealNode


class Following:
    """A command that goes on: its lines as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines: queue.Queue[str] = queue.Queue()
        assert process.stdout is not None
        self._stream = process.stdout
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._stream:
            self._lines.put(line.rstrip("\n"))

    def wait_line(self, *words: str) -> str:
        """Wait for a line that has all of `words`."""
        while True:
            line = self._lines.get(timeout=DEADLINE_S)
            if all(word in line for word in words):
                return line


@contextlib.contextmanager
def following(shop: RealNode, *arguments: str) -> Iterator[Following]:
    """Run a command that goes on (`-f`), and end it with ^C: its exit code is then 130."""
    process = subprocess.Popen(
        shop.command(*arguments),
        cwd=shop.folder,
        env=shop.environ({"WIPPY_RUN_DIR": str(shop.run_dir)}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Following(process)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
        assert process.stdout is not None
        process.stdout.close()


@contextlib.contextmanager
def ended(pid: int) -> Iterator[None]:
    """Wait, after the block, for the end of a process that lived before it."""
    descriptor = os.pidfd_open(pid)
    try:
        yield
        assert select.select([descriptor], [], [], DEADLINE_S)[0], f"pid {pid} still runs"
    finally:
        os.close(descriptor)
