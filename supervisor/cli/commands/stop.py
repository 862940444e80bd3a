"""`stop`: one child, or the whole node."""

from __future__ import annotations

import contextlib
import os
import select
import time
from pathlib import Path

import typer

from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.node import COMMAND_TIMEOUT_S, connected, find_run_dir
from supervisor.cli.options import Config, OptionalId, RunDir, Yes
from supervisor.cli.output import confirm, put, say
from supervisor.cli.targets import command, confirm_many
from supervisor.core.requests import Stop, StopNode
from supervisor.io.control_client import ControlClient
from supervisor.io.node_file import NodeFile, is_node_there, read_node_file
from wippy.errors import NotFound, Timeout


def stop(
    id: OptionalId = None,
    yes: Yes = False,
    timeout: float = typer.Option(COMMAND_TIMEOUT_S, "--timeout", help="Seconds to wait."),
    run_dir: RunDir = None,
    config: Config = None,
) -> None:
    """Stop a child and hold it down, or, without an id, stop the node.

    Examples:

        wippy-supervisor stop app:worker      stays down until: wippy-supervisor start app:worker
        wippy-supervisor stop                 everything, in reverse order of the start

    A child that does not obey within its stop_timeout is killed with its process group. Stopping
    what is stopped succeeds; without a node the exit code is 4.
    """
    if id is None:
        stop_node(find_run_dir(run_dir, config), yes=yes, timeout_s=timeout)
        return
    with connected(run_dir, config) as client:
        confirm_many(client, id, "stop", yes=yes)
        command(client, id, Stop(id), timeout)


def stop_node(run_dir: Path, *, yes: bool, timeout_s: float) -> None:
    """Stop the node in `run_dir` and wait until its processes are gone.

    Raises:
        NotFound: No node lives there.
        Timeout: It is still there after `timeout_s`.
    """
    with ControlClient(run_dir) as client:
        node = read_node_file(run_dir) or NodeFile(node=run_dir.name)
        confirm(f"stop node {node.node} and everything in it?", yes=yes)
        deadline_s = time.monotonic() + timeout_s
        with _Watched(node.guardian_pid) as guardian, _Watched(node.root_pid) as root:
            with contextlib.suppress(NotFound):  # gone before it could answer: as was asked
                client.ask(StopNode(), min(timeout_s, 10.0))
            for process in (root, guardian):
                process.wait_gone(deadline_s)
        if is_node_there(run_dir) and time.monotonic() >= deadline_s:
            say(f"node {node.node} is still stopping; see wippy-supervisor status")
            raise typer.Exit(ExitCode.FAILED)
    put(f"node {node.node} is stopped")


class _Watched:
    """A process to wait for, held by a pidfd, so that its number cannot come to mean another."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = _open(pid)

    def __enter__(self) -> _Watched:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def wait_gone(self, deadline_s: float) -> None:
        """Wait until the process has ended; raises `Timeout` at `deadline_s` (monotonic)."""
        if self._descriptor < 0:
            return
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        left_s = max(0.0, deadline_s - time.monotonic())
        if not poll.poll(left_s * 1000):
            raise Timeout(
                f"the node is still stopping (pid {self._pid} lives); "
                "see wippy-supervisor status, or wait: wippy-supervisor stop"
            )


def _open(pid: int) -> int:
    if pid <= 0:
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1  # it is gone already
