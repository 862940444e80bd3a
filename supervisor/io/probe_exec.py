"""The exec probe: a command whose exit status 0 passes.

The command is started from the root: `subprocess` uses vfork, which copies nothing of the root
(0.2 ms of the loop's time, measured with 60 MB of memory), and its end is seen by a pidfd, so
there is no thread and no SIGCHLD. For another user it takes a fork, which copies page tables. It
leads a process group of its own, which is killed as a whole at the attempt's end;
`subreaper.claim` keeps the root from taking it for an orphan.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping

from supervisor.io import subreaper
from supervisor.io.accounts import Account
from supervisor.io.os_process import OsProcess
from wippy.errors import Invalid, Unavailable


class Command:
    """A command that can be run again and again.

    Args:
        command: Program and arguments.
        env: Its whole environment.
        cwd: Its working folder; None is the own.
        account: Who runs it; None is the own user.

    Raises:
        Invalid: The command is empty.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        *,
        env: Mapping[str, str],
        cwd: str | os.PathLike[str] | None,
        account: Account | None = None,
    ) -> None:
        if not command:
            raise Invalid("an exec probe needs a command")
        self._command = command
        self._env = dict(env)
        self._cwd = cwd
        self._account = account

    async def succeeds(self) -> bool:
        """Run it once; say whether it ended with status 0. Cancelled, it leaves nothing running.

        A command that cannot be started fails: its program may be installed later.
        """
        try:
            popen = self._start()
        except (OSError, ValueError, subprocess.SubprocessError):
            return False
        try:
            process = OsProcess.open(popen.pid)
        except Unavailable:  # out of descriptors: then it is not watched, so it must not be
            process = None
        if process is None:
            popen.kill()
            popen.wait()
            return False
        status = _watch(process, popen)
        try:
            return await status == 0
        finally:
            if process.fileno() >= 0:
                process.signal_group(signal.SIGKILL)

    def _start(self) -> subprocess.Popen[bytes]:
        who = self._account
        return subprocess.Popen(
            self._command,
            user=None if who is None else who.uid,
            group=None if who is None else who.gid,
            extra_groups=None if who is None else who.groups,
            env=self._env,
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _watch(process: OsProcess, popen: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """Return the exit status to come. The process is reaped and closed even if nobody waits:
    who would wait for it after a cancellation could be held up by an unkillable one."""
    loop = asyncio.get_running_loop()
    status: asyncio.Future[int] = loop.create_future()
    subreaper.claim(process.pid)

    def take_status() -> None:
        loop.remove_reader(process.fileno())
        process.signal_group(signal.SIGKILL)  # what it has left behind
        returncode = popen.wait()  # it has ended: this does not wait
        subreaper.release(process.pid)
        process.close()
        if not status.done():
            status.set_result(returncode)

    loop.add_reader(process.fileno(), take_status)
    return status
