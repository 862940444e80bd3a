"""Those who bring a killed program back: one interface for ours, the floors and the peers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from measuring.first_line import Born, FirstLines
from measuring.node import OurNode

STOP_WAIT_S = 10.0


class Contender:
    """Keeps one program running, which tells its first line.

    Args:
        name: Shown in the results.
        folder: Private, made here.
        min_life_s: A life must last this long before its end is fair: `supervise` and `runsv`
            sleep a second after a start, and would be measured at that.

    Attributes:
        samples_ms: Times from `kill -9` to the replacement's first line, milliseconds.
    """

    def __init__(self, name: str, folder: Path, *, min_life_s: float = 0.0) -> None:
        self.name = name
        self.folder = folder
        self.samples_ms: list[float] = []
        self._min_life_s = min_life_s
        folder.mkdir()
        self.lines = FirstLines(folder / "first-lines")
        self.last = Born(0, 0)

    def begin(self) -> None:
        """Wait for the first life."""
        self.last = self.lines.wait()

    def settle(self) -> None:
        """Wait until a kill is fair."""
        age_s = (time.monotonic_ns() - self.last.at_ns) / 1e9
        time.sleep(max(0.0, self._min_life_s - age_s))

    def kill(self) -> None:
        """Kill the program and wait for the next one's first line."""
        killed_ns = self.lines.kill(self.last.pid)
        self.last = self.lines.wait()
        self.samples_ms.append((self.last.at_ns - killed_ns) / 1e6)

    def stop(self) -> None:
        """End everything."""
        self.lines.close()


class ForeignContender(Contender):
    """A peer or a floor: a foreground command that keeps `program` running.

    Args:
        command: Makes the command from the folder and the path of the FIFO.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Callable[[Path, Path], list[str]],
        *,
        min_life_s: float = 0.0,
    ) -> None:
        super().__init__(name, folder, min_life_s=min_life_s)
        self._out = open(folder / "out", "wb")  # noqa: SIM115  # closed by `stop`
        self._process = subprocess.Popen(
            command(folder, self.lines.path),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._out,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Kill the supervisor, then what it kept alive."""
        self._process.kill()
        self._process.wait(STOP_WAIT_S)
        if self.last.pid:
            os.kill(self.last.pid, signal.SIGKILL)
        self._out.close()
        super().stop()


class OurContender(Contender):
    """A node of ours with one dedicated actor (or foreign program).

    Args:
        entries: YAML of the entries, from the path of the FIFO.
        spares: Warm processes to keep; `settle` waits until they are there.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        entries: Callable[[Path], str],
        *,
        spares: int,
    ) -> None:
        super().__init__(name, folder)
        self._spares = spares
        self.node = OurNode(folder / "n", _runtime(spares) + entries(self.lines.path))

    def begin(self) -> None:
        """Wait for the first life and the first spares."""
        super().begin()
        self.node.wait(lambda view: view.state == "running" and view.spares >= self._spares)

    def settle(self) -> None:
        """Wait until the spares are refilled."""
        self.node.wait(lambda view: view.spares >= self._spares)

    def stop(self) -> None:
        """Stop the node in order."""
        self.node.stop()
        super().stop()


def _runtime(spares: int) -> str:
    """Return a configuration that never gives up: this is about speed."""
    return (
        'version: "1.0"\nnamespace: bench\n'
        f"runtime: {{node: bench, spares: {spares}, "
        "intensity: {max_restarts: 1000000, within: 1s}}\n"
    )
