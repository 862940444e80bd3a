"""Becoming a foreign program: the fork that says Hello is the process that the program is.

The socket's threads and descriptors vanish at the exec, so what was said is flushed before, and a
failed exec is told over a new socket. The root judges by probes whether the program is ready, and
since the program does not watch the root, the root's successor must end it.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable

from wippy.core.messages import Ended, ExecJob
from wippy.core.reasons import StartFailed
from wippy.errors import Invalid, NotFound, WippyError
from wippy.runtime.control import Control
from wippy.runtime.output import complain

NOT_FOUND_STATUS = 127
NOT_EXECUTABLE_STATUS = 126
"""What shells exit with (POSIX, Shell Command Language, 2.8.2)."""


class ForeignProgram:
    """The life of a process that becomes `job.command`.

    Args:
        job: What to become.
        control: The control socket.
        reconnect: Connects `control` again, for the news of a failed exec.
    """

    def __init__(self, job: ExecJob, control: Control, reconnect: Callable[[], None]) -> None:
        self._job = job
        self._control = control
        self._reconnect = reconnect

    def escaped(self, error: BaseException) -> None:
        """Nothing of a user's runs here before the exec."""
        raise error

    async def run(self) -> int:
        """Become the program; return an exit status only where that fails."""
        try:
            path = find_program(self._job.command[0] if self._job.command else "")
        except WippyError as error:
            return self._fail(str(error), NOT_FOUND_STATUS)
        self._control.close()
        failure = become(path, self._job.command, environment(self._job.notify_path))
        self._reconnect()
        return self._fail(failure, NOT_EXECUTABLE_STATUS)

    def _fail(self, detail: str, status: int) -> int:
        complain(detail)
        self._control.send(Ended(self._job.generation, StartFailed(detail=detail)))
        return status


def find_program(name: str) -> str:
    """Return the path of the program `name`: with a slash as it is, else looked up on PATH.

    Raises:
        NotFound: There is none.
        Invalid: It is a folder, or not executable.
    """
    if not name:
        raise Invalid("the command is empty")
    if "/" not in name:
        return _look_up(name)
    if not os.path.exists(name):
        raise NotFound(f"cannot start {name!r}: no such file (working folder {os.getcwd()})")
    if os.path.isdir(name) or not os.access(name, os.X_OK):
        raise Invalid(f"cannot start {name!r}: it is not an executable file")
    return name


def environment(notify_path: str) -> dict[str, str]:
    """Return the program's environment: this process's, and NOTIFY_SOCKET (sd_notify(3))."""
    variables = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    return {**variables, "NOTIFY_SOCKET": notify_path} if notify_path else variables


def become(path: str, command: tuple[str, ...], variables: dict[str, str]) -> str:
    """Execute `path` with `command` as its arguments; return what went wrong."""
    _reset_signals()
    _keep_only_standard_descriptors()
    try:
        os.execve(path, command, variables)
    except OSError as error:
        return f"cannot start {command[0]!r} ({path}): {_explain(path, error)}"
    except ValueError as error:
        return f"cannot start {command[0]!r}: {error}"


def _look_up(name: str) -> str:
    # `execvp` searches the PATH of the caller, which by now is that of the new environment.
    path = shutil.which(name)
    if path is None:
        # To the log alone: the reason is told by every line about this death.
        complain(f"PATH is {_search_path()}")
        raise NotFound(f"cannot start {name!r}: not found on PATH, which its log shows")
    return path


def _search_path() -> str:
    """Return PATH, each of its folders once."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys(folders))


def _reset_signals() -> None:
    """Defaults, nothing blocked: handlers vanish at the exec, but what is ignored stays so."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _keep_only_standard_descriptors() -> None:
    """Let all others close at the exec; closing them here could pull them from under a thread."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2:
            try:
                os.set_inheritable(fd, False)
            except OSError as error:
                # The descriptor of the listing itself is closed by now.
                if error.errno != errno.EBADF:
                    raise


def _explain(path: str, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return f"its interpreter is missing ({_first_line(path)})"
        case errno.ENOEXEC:
            return "it is neither a program of this machine nor a script that begins with '#!'"
        case _:
            return error.strerror or str(error)


def _first_line(path: str) -> str:
    with open(path, "rb") as file:
        line = file.readline(200)
    return line.decode(errors="replace").strip() if line.startswith(b"#!") else "a dynamic loader"
