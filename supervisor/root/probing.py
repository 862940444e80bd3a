"""Readiness of foreign programs: one task for each that is starting."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.spec import Foreign, Probe, ProbeKind
from supervisor.io.accounts import account_of
from supervisor.io.notify import NotifySocket
from supervisor.io.probes import wait_ready
from supervisor.root.vessel import Vessel
from wippy.core.messages import ExecJob
from wippy.errors import WippyError

if TYPE_CHECKING:
    from supervisor.root.root import Root

OWN_TITLE = b"wippy: "
"""How the command line of our Pythons begins (setproctitle); that of a program does not."""
COMMAND_LINE_PAUSE_S = 0.001
FOLDER = "n"
"""Folder of the notify sockets within the run folder: short, for the path's limit."""


class Probing:
    """The probes of one root."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sockets: dict[str, NotifySocket] = {}
        self._last_number = 0

    def prepare(self, id: str, generation: int, launch: Foreign) -> str:
        """Make what the program must find when it starts; return its NOTIFY_SOCKET, if any."""
        self.end(id)
        if launch.readiness.kind is not ProbeKind.NOTIFY:
            return ""
        folder = Path(self._root.runtime.run_dir) / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        self._last_number += 1
        path = folder / str(self._last_number)
        self._sockets[id] = NotifySocket(path)
        return str(path)

    def begin(self, vessel: Vessel, job: ExecJob, log_offset: int) -> None:
        """Wait for the program of `vessel` to be ready; the tree is told when it is."""
        child = self._root.tree.child(job.slot)
        if child is None or not isinstance(child.spec.launch, Foreign):
            return
        task = self._root.loop.create_task(
            self._probe(vessel, job, child.spec.launch.readiness, log_offset)
        )
        self._tasks[job.slot] = task

    def end(self, id: str) -> None:
        """The program has ended, or is to start anew."""
        task = self._tasks.pop(id, None)
        if task is not None:
            task.cancel()
        notify = self._sockets.pop(id, None)
        if notify is not None:
            notify.close()

    async def _probe(self, vessel: Vessel, job: ExecJob, probe: Probe, log_offset: int) -> None:
        root = self._root
        await self._pipe_closed(vessel)
        if not await _became_program(vessel):
            return  # it was no exec that closed the pipe, but its end, which is told elsewhere
        notify = self._sockets.get(job.slot)
        if notify is not None:
            notify.listen(vessel.pid)
        if probe.kind is not ProbeKind.NONE:
            limits = job.limits
            account = account_of(limits.user, limits.group)
            try:
                await wait_ready(
                    probe,
                    log_path=Path(job.log_path),
                    log_offset=log_offset,
                    env={**os.environ, **(account.env if account else {}), **limits.env},
                    cwd=limits.cwd,
                    notify=notify,
                    account=account,
                )
            except WippyError as error:
                root.chronicle.tell(FactKind.ALARM, f"readiness probe: {error}", id=job.slot)
                return
        root.feed(steps.BecameReady(job.slot, job.generation))

    async def _pipe_closed(self, vessel: Vessel) -> None:
        """Wait until exec or exit has closed the pipe that the process was born from."""
        closed = asyncio.Event()
        fd = vessel.fork.data_fd
        if fd < 0:
            return
        self._root.loop.add_reader(fd, closed.set)
        try:
            await closed.wait()
        finally:
            if vessel.fork.data_fd == fd:  # else the fleet has closed it, and it may be another's
                self._root.loop.remove_reader(fd)
                vessel.fork.close_data()


async def _became_program(vessel: Vessel) -> bool:
    """Say whether the process is now another program than our Python.

    The kernel closes the pipe before it has set up the program's command line, and takes that of a
    dying process away before it is dead: while there is none, it is one or the other.
    """
    while vessel.process is not None and not vessel.has_ended and not vessel.process.has_ended():
        command = _command_line(vessel.pid)
        if command:
            return not command.startswith(OWN_TITLE)
        await asyncio.sleep(COMMAND_LINE_PAUSE_S)
    return False


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # gone
