"""A node as a user starts it: a process of its own, asked through its control socket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from leftovers import end_leftovers

from supervisor.cli.node import find_row, get_view
from supervisor.core.requests import Answer, StopNode, Subscribe, Verb
from supervisor.core.view import NodeView, Row
from supervisor.io.control_client import ControlClient
from supervisor.io.node_file import is_node_there
from wippy.errors import NotFound, Timeout, Unavailable

REPOSITORY = Path(__file__).resolve().parents[1]
DEADLINE_S = 60.0
LOOK_S = 0.05


class RealNode:
    """A node in a private folder, from `files` (path in the configuration folder -> text).

    Attributes:
        name: Unique; every process of the node carries it in its title.
        folder: Everything of it, short enough for sockets.
        config: Its configuration folder.
        run_dir: Its run folder.
        process: The guardian: `start --no-tui` becomes it.
    """

    def __init__(self, files: dict[str, str]) -> None:
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self.folder = Path(tempfile.mkdtemp(prefix="w-", dir="/tmp"))
        self.config = self.folder / "c"
        self.run_dir = self.folder / "r"
        self.process: subprocess.Popen[bytes] | None = None
        self._client: ControlClient | None = None
        self.write(files)

    # --- life ------------------------------------------------------------------------------------

    def write(self, files: dict[str, str]) -> None:
        """Put files into the configuration folder."""
        for path, text in files.items():
            target = self.config / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text))

    def start(
        self,
        *,
        arguments: tuple[str, ...] = (),
        environ: dict[str, str] | None = None,
        is_awaited: bool = True,
    ) -> None:
        """Start it (again, after `stop`), and wait until everything is up."""
        command = ["start", str(self.config), "--no-tui", "--run-dir", str(self.run_dir)]
        with open(self.folder / "out", "ab") as out:
            self.process = subprocess.Popen(
                self.command(*command, "--name", self.name, *arguments),
                cwd=self.folder,
                env=self.environ(environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        if is_awaited:
            self.wait_view(lambda view: view.state == "running")

    def stop(self) -> int:
        """Stop it in order; return its exit code."""
        self.ask(StopNode())
        return self.wait_end()

    def forget_client(self) -> None:
        """Close the client: the next question connects anew (to a node started again)."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def wait_end(self) -> int:
        """Wait until it has ended; return its exit code."""
        assert self.process is not None
        return self.process.wait(DEADLINE_S)

    def output(self) -> str:
        """Return what it wrote to its stdout and stderr."""
        path = self.folder / "out"
        return path.read_text(errors="replace") if path.exists() else ""

    # --- questions -------------------------------------------------------------------------------

    @property
    def client(self) -> ControlClient:
        """Its client, connected as soon as it can be; fails when the node has ended."""
        deadline_s = time.monotonic() + DEADLINE_S
        while self._client is None:
            try:
                self._client = ControlClient(self.run_dir)
            except NotFound:
                self._rest(deadline_s)
        return self._client

    def ask(self, verb: Verb, timeout_s: float = DEADLINE_S) -> Answer:
        """Ask the root; raises the error that it answers."""
        return self.client.ask(verb, timeout_s)

    def view(self) -> NodeView:
        """Return its view."""
        return get_view(self.client, DEADLINE_S)

    def row(self, child_id: str) -> Row:
        """Return the row of a child."""
        return find_row(self.view(), child_id)

    def pid(self, child_id: str) -> int:
        """Return the OS pid of a child that has one."""
        pid = self.row(child_id).os_pid
        assert pid, f"{child_id} has no process"
        return pid

    def wait_row(
        self, child_id: str, predicate: Callable[[Row], bool], deadline_s: float = DEADLINE_S
    ) -> Row:
        """Wait until a child's row is as `predicate` wants it; return the row."""

        def is_so(view: NodeView) -> bool:
            return any(row.id == child_id and predicate(row) for row in view.rows)

        return find_row(self.wait_view(is_so, deadline_s), child_id)

    def wait_view(
        self, predicate: Callable[[NodeView], bool], deadline_s: float = DEADLINE_S
    ) -> NodeView:
        """Wait until the node's view is as `predicate` wants it; return the view."""
        end_s, begun_s = time.monotonic() + deadline_s, time.time()
        updates = self.client.subscribe(Subscribe(view_interval_s=0.05))
        view: NodeView | None = None
        update = updates.next(0.0)  # subscribe first, then look: nothing falls in between
        while True:
            if update is None:
                view = self._view_now() or view
            elif update.view is not None and update.view.at_s >= begun_s:
                view = update.view  # (an older one was still under way from an earlier question)
            if view is not None and predicate(view):
                return view
            if time.monotonic() >= end_s:
                raise AssertionError(f"not so within {deadline_s:g} s; last seen:\n{_table(view)}")
            self._check_alive()
            update = updates.next(1.0)

    def log(self, child_id: str) -> str:
        """Return the whole log of a child."""
        path = Path(self.row(child_id).log_path)
        return path.read_text(errors="replace").replace("\0", "") if path.is_file() else ""

    def cli(self, *arguments: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command about this node to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environ({"WIPPY_RUN_DIR": str(self.run_dir)}),
            input=input,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a verb."""
        return [sys.executable, "-m", "supervisor.cli.main", *arguments]

    def environ(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """Return the environment of its commands: the tree under test, a private XDG folder."""
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "XDG_RUNTIME_DIR": str(self.folder),
            "CI": "1",
            "NO_COLOR": "1",
            **(more or {}),
        }

    # --- end -------------------------------------------------------------------------------------

    def tear_down(self) -> list[str]:
        """End it, in order if it can; return what had to be killed, and remove its folder."""
        problems: list[str] = []
        if self.process is not None and self.process.poll() is None:
            problems += self._end_process(self.process)
        elif self.process is None and is_node_there(self.run_dir):
            self.cli("stop", "--yes")  # it was started detached
        if self._client is not None:
            self._client.close()
        signs = [f"[{self.name}]".encode(), str(self.folder).encode()]
        problems += [f"left running: {it}" for it in end_leftovers(signs)]
        if not problems:
            shutil.rmtree(self.folder, ignore_errors=True)
        return problems

    def _end_process(self, process: subprocess.Popen[bytes]) -> list[str]:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return [f"node {self.name} did not stop within {DEADLINE_S:g} s of SIGTERM"]
        return []

    def _view_now(self) -> NodeView | None:
        try:
            return get_view(self.client, 5.0)
        except (Timeout, Unavailable):
            return None

    def _check_alive(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the node ended ({self.process.returncode}):\n{self.output()}")

    def _rest(self, deadline_s: float) -> None:
        assert self.process is not None, "the node was not started"
        try:
            self.process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            assert time.monotonic() < deadline_s, f"no root answers:\n{self.output()}"
            return
        raise AssertionError(f"the node ended ({self.process.returncode}):\n{self.output()}")


def _table(view: NodeView | None) -> str:
    if view is None:
        return "nothing"
    return "\n".join([view.state, *(f"{it.id} {it.state} {it.detail}" for it in view.rows)])
