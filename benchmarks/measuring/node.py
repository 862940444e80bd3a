"""A node of ours in a private folder, started as a user starts it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from supervisor.core.requests import GetView, StopNode, ViewAnswer
from supervisor.core.view import NodeView
from supervisor.io.control_client import ControlClient
from wippy.errors import NotFound, Timeout, Unavailable

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE_S = 300.0
LOOK_S = 0.02


class OurNode:
    """A node whose whole configuration is the text `config`.

    Args:
        folder: Private and short: sockets lie below it.
        config: YAML with a `runtime` section and entries.
    """

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.run_dir = folder / "r"
        self.started_s = time.monotonic()
        (folder / "app.yaml").write_text(config)
        places = ["--state-dir", str(folder / "s"), "--run-dir", str(self.run_dir)]
        self._out = open(folder / "out", "wb")  # noqa: SIM115  # closed by `stop`
        self._process = subprocess.Popen(
            [*command(), "start", str(folder / "app.yaml"), "--no-tui", *places],
            env=environ(),
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._out,
            start_new_session=True,
        )
        self._client: ControlClient | None = None

    def view(self) -> NodeView:
        """Return the node's view."""
        answer = self._connected().ask(GetView(), DEADLINE_S)
        assert isinstance(answer, ViewAnswer)
        return answer.view

    def wait(self, is_so: Callable[[NodeView], bool], look_s: float = LOOK_S) -> NodeView:
        """Ask every `look_s` seconds until the view is as wanted; return it."""
        end_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < end_s:
            try:
                view = self.view()
            except (Timeout, Unavailable):
                continue  # the root is only just beginning
            if is_so(view):
                return view
            time.sleep(look_s)
        raise TimeoutError(f"not so within {DEADLINE_S:g} s; output:\n{self.output()}")

    def output(self) -> str:
        """Return what the node wrote."""
        return (self.folder / "out").read_text(errors="replace")

    def stop(self) -> float:
        """Stop everything in order; return how long it took, seconds."""
        began_s = time.monotonic()
        if self._process.poll() is None:
            try:
                self._connected().ask(StopNode(), DEADLINE_S)
            except (NotFound, Timeout, Unavailable):
                self._process.terminate()
            self._process.wait(DEADLINE_S)
        took_s = time.monotonic() - began_s
        if self._client is not None:
            self._client.close()
        self._out.close()
        return took_s

    def _connected(self) -> ControlClient:
        while self._client is None:
            if self._process.poll() is not None:
                raise RuntimeError(f"the node ended:\n{self.output()}")
            try:
                self._client = ControlClient(self.run_dir)
            except NotFound:
                time.sleep(LOOK_S)
        return self._client


def command() -> list[str]:
    """Return how a user calls us: the installed script, or the module in a source tree."""
    script = shutil.which("wippy-supervisor", path=str(Path(sys.executable).parent))
    return [script] if script else [sys.executable, "-m", "supervisor.cli.main"]


def environ() -> dict[str, str]:
    """Return the environment of our commands: this tree first, nothing of a terminal."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1", "CI": "1"}
