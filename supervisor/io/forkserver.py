"""The forkserver: a warm, single-threaded Python that forks every child, driven without waiting.

The server half is `multiprocess.forkserver.main`. The client half is our own, because that of
`multiprocess.forkserver.ForkServer` does what the root must not do: it connects blocking (a
SIGSTOPped server would stop the root), waits for a dead server with waitpid, hands the write end
of its alive pipe to every child (a server would then outlive the root for as long as any child
lives), starts a resource tracker (one more Python, 8 MB, that nobody supervises), and leaves its
socket in /tmp. The protocol is the same (`multiprocess.reduction.sendfds` of four descriptors):

    connect ──► [read end of the data pipe, write end of the status pipe, /dev/null, /dev/null]
    data pipe   ──► pickle of {} (preparation: nothing, so `__main__` is not run again),
                    pickle of `Newborn(birth)`
    status pipe ◄── pid, then the wait status, each a signed 64-bit number

The two /dev/null stand for the alive pipe and the resource tracker, of which children get none.

What happens when the server
    ends with the root     its alive pipe is closed by the kernel, and it leaves; children stay
    is SIGSTOPped          requests queue in its backlog (`BACKLOG`), then `fork` raises
    is killed              children survive; their status pipes end without a status; who adopted
                           them (the subreaper) reaps them
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import select
import socket
import struct
import sys
import threading
from pathlib import Path

from multiprocess.reduction import sendfds

from supervisor.io.os_process import OsProcess
from wippy.core.newborn import Newborn
from wippy.errors import Internal, Invalid, Unavailable

PRELOAD = "wippy.runtime.preload"
"""Imported once in the server; imports in its turn what `WIPPY_PRELOAD` names."""

BACKLOG = 128
"""Fork requests that may wait for a busy or stopped server; more would be a storm anyway."""

MAX_SOCKET_PATH_BYTES = 107
"""sun_path of unix(7), less its terminating zero."""

SOURCES_BYTES = 64 * 1024
"""Half of what one variable of the environment may have (MAX_ARG_STRLEN, execve(2))."""

SOCKET_NAME = "forkserver"

_LISTENER_FD, _ALIVE_FD = 3, 4
_SERVE = """\
import importlib, os, traceback
from multiprocess.forkserver import main
os.environ.pop("PYTHONPATH")
os.environ.update({own_path!r})
try:
    importlib.import_module({preload!r})
except Exception:
    traceback.print_exc()
main({listener_fd}, {alive_fd}, [])
"""
"""The server's program. An import that fails is told on its stderr, which multiprocess itself
swallows; the server serves all the same, and `Hello.preloaded` is then false. PYTHONPATH was for
its own start: what it forks, foreign programs above all, gets the root's own back."""

_NUMBER = struct.Struct("q")


class Forkserver:
    """The server process and the requests to it. Nothing here waits.

    Args:
        python_path: PYTHONPATH of the server: where `wippy` and `supervisor` are.
        node: Name of the node (WIPPY_NODE).
        preload: User modules to import before anything is forked (WIPPY_PRELOAD, comma-separated).
        sources: Source files to compile ahead, none of them run (WIPPY_SOURCES, one a line); those
            past `SOURCES_BYTES` are compiled by the forks.
        search_path: Folder that is first on the path while they are (WIPPY_PRELOAD_PATH).
        temp_dir: Folder of its socket, private and short.
        stderr_path: File that gets its stdout and stderr, appended; None keeps the own.
    """

    def __init__(
        self,
        *,
        python_path: str,
        node: str,
        preload: tuple[str, ...],
        search_path: str = "",
        temp_dir: Path,
        stderr_path: Path | None,
        sources: tuple[str, ...] = (),
    ) -> None:
        self._environment = {
            "PYTHONPATH": python_path,
            "WIPPY_FORKSERVER": "1",
            "WIPPY_NODE": node,
            "WIPPY_PRELOAD": ",".join(preload),
            "WIPPY_SOURCES": _lines_within(sources, SOURCES_BYTES),
            "WIPPY_PRELOAD_PATH": search_path,
        }
        self._address = str(temp_dir / SOCKET_NAME)
        self._stderr_path = stderr_path
        self._process: OsProcess | None = None
        self._alive_fd = -1

    def start(self) -> int:
        """Start the server, or another in its place; return its OS pid.

        It returns as soon as the server was executed: requests queue up during its imports. The
        caller watches and reaps the pid; a server that runs already is told to leave.

        Raises:
            Invalid: The path of its socket is too long.
            Unavailable: It cannot be started now.
        """
        if len(os.fsencode(self._address)) > MAX_SOCKET_PATH_BYTES:
            raise Invalid(
                f"the path of the forkserver's socket is too long ({self._address}): at most "
                f"{MAX_SOCKET_PATH_BYTES} bytes; choose a shorter run folder"
            )
        self.stop()
        try:
            pid = self._spawn()
        except OSError as error:
            raise Unavailable(f"cannot start the forkserver: {error}") from error
        self._process = OsProcess.open(pid)  # not reaped yet, so it is the very same
        return pid

    @property
    def pid(self) -> int:
        """OS pid of the server that takes requests; 0 if there is none."""
        return self._process.pid if self._process is not None else 0

    def is_running(self) -> bool:
        """Say whether the server process is alive (stopped by SIGSTOP counts)."""
        return self._process is not None and not self._process.has_ended()

    def fork(self, birth: bytes) -> Fork:
        """Ask for a fork that lives `birth` (an encoded `wippy.core.messages.Birth`).

        Raises:
            Unavailable: The server is not running, has a full backlog, or there is no descriptor
                left; nothing was asked for.
        """
        if not self.is_running():
            raise Unavailable("the forkserver is not running")
        payload = pickle.dumps({}) + pickle.dumps(Newborn(birth))
        try:
            fork = self._request()
        except OSError as error:
            raise Unavailable(f"the forkserver takes no request: {error.strerror}") from error
        fork.write(payload)
        return fork

    def stop(self) -> None:
        """Let the server leave (a stopped one leaves once it is continued); children stay.

        The caller reaps it. May be repeated.
        """
        if self._alive_fd >= 0:
            os.close(self._alive_fd)
            self._alive_fd = -1
        if self._process is not None:
            self._process.close()
            self._process = None
        _remove(self._address)

    def _spawn(self) -> int:
        alive_r, alive_w = os.pipe()
        try:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(self._address)
                os.chmod(self._address, 0o600)
                listener.listen(BACKLOG)
                pid = self._execute(listener.fileno(), alive_r)
        except OSError:
            os.close(alive_w)
            raise
        finally:
            os.close(alive_r)
        self._alive_fd = alive_w
        return pid

    def _execute(self, listener_fd: int, alive_fd: int) -> int:
        # Above the numbers they are to get, so that no dup2 overwrites a source.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (listener_fd, alive_fd)]
        try:
            actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, high[0], _LISTENER_FD),
                (os.POSIX_SPAWN_DUP2, high[1], _ALIVE_FD),
            ]
            if self._stderr_path is not None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                actions.append((os.POSIX_SPAWN_OPEN, 2, str(self._stderr_path), flags, 0o600))
                actions.append((os.POSIX_SPAWN_DUP2, 2, 1))
            return os.posix_spawn(
                sys.executable,
                # -P: what lies in the current folder must not stand in for a module of ours.
                [sys.executable, "-P", "-c", _program()],
                {**os.environ, **self._environment},
                file_actions=actions,
                setsid=True,  # no ^C, no hangup, no job control of the root's terminal
                setsigmask=[],
            )
        finally:
            for fd in high:
                os.close(fd)

    def _request(self) -> Fork:
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            status_r, status_w = _pipe(ours, theirs)
            data_r, data_w = _pipe(theirs, ours)
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            theirs.callback(os.close, null)
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as client:
                client.connect(self._address)  # EAGAIN at once when the backlog is full
                sendfds(client, [data_r, status_w, null, null])
            ours.pop_all()
            return Fork(status_fd=status_r, data_fd=data_w)


class Fork:
    """One requested child: its pid, later its exit status.

    `status_fd` becomes readable when there is something for `read`. `data_fd` is closed as soon as
    the pid is there: until then, closing the fork withdraws it. (Children watch the root by its
    pidfd; a pipe kept open as their `parent_sentinel` would cost the root a descriptor for each.)
    With `keeps_data` it stays open until `close_data`: it then reports an error condition (POLLERR)
    when the child exec's or ends, since only the child holds the other end.

    Attributes:
        status_fd: Non-blocking; watch it for reading until `is_closed`.
        data_fd: The end of the pipe that carries the birth; -1 once it is closed.
        keeps_data: Keep `data_fd` open once the child exists.
        pid: OS pid, None until the server has forked.
        returncode: Exit status, or minus the signal's number; None until the child has ended.
        is_closed: Nothing more will come: with `returncode` None, the server died (its own pidfd
            may say so a moment later).
    """

    def __init__(self, *, status_fd: int, data_fd: int) -> None:
        self.status_fd = status_fd
        self.data_fd = data_fd
        self.pid: int | None = None
        self.returncode: int | None = None
        self.is_closed = False
        self.keeps_data = False
        self._unparsed = b""
        os.set_blocking(status_fd, False)
        os.set_blocking(data_fd, False)

    def read(self) -> None:
        """Take in what has come on `status_fd`; returns at once."""
        if self.status_fd < 0:
            return
        try:
            data = os.read(self.status_fd, 2 * _NUMBER.size)
        except BlockingIOError:
            return
        self.is_closed = self.is_closed or not data
        self._unparsed += data
        while len(self._unparsed) >= _NUMBER.size:
            self._take(_NUMBER.unpack(self._unparsed[: _NUMBER.size])[0])
            self._unparsed = self._unparsed[_NUMBER.size :]

    def write(self, payload: bytes) -> None:
        """Send what the child is to be; what the pipe has no room for is sent by a thread."""
        try:
            rest = payload[os.write(self.data_fd, payload) :]
        except BlockingIOError:
            rest = payload
        except BrokenPipeError:
            return  # the server died: `read` will say so
        if rest:
            # A birth above 64 KiB: rare, and the child may take its time to read it.
            fd = os.dup(self.data_fd)
            os.set_blocking(fd, True)
            threading.Thread(target=_write_all, args=(fd, rest), daemon=True).start()

    def write_frame(self, frame: bytes) -> bool:
        """Send `frame` to the living child, whole or not at all; say whether the pipe took it.

        The child reads it from its `parent_sentinel`. At most `select.PIPE_BUF` bytes: what is
        longer might be split (pipe(7)).
        """
        if self.data_fd < 0 or len(frame) > select.PIPE_BUF:
            return False
        try:
            os.write(self.data_fd, frame)
        except (BlockingIOError, BrokenPipeError):
            return False  # it did not read its birth, or is dead
        return True

    def close(self) -> None:
        """Give the descriptors back; what was not forked yet will not live. May be repeated."""
        if self.data_fd >= 0 and self.pid is None:
            # Without a free descriptor it may live: then the root refuses its Hello.
            with contextlib.suppress(OSError):
                _drain(self.data_fd)
        self.close_data()
        if self.status_fd >= 0:
            os.close(self.status_fd)
            self.status_fd = -1
        self.is_closed = True

    def withdraw(self) -> bool:
        """Take the request back; False if the child is there, or has read what it is to be."""
        self.read()
        if self.pid is not None or self.data_fd < 0:
            return False
        try:
            return _drain(self.data_fd)
        except OSError:
            return False  # no free descriptor: it may come to live

    def close_data(self) -> None:
        """Give `data_fd` back. May be repeated."""
        if self.data_fd >= 0:
            os.close(self.data_fd)
            self.data_fd = -1

    def _take(self, number: int) -> None:
        if self.pid is None:
            self.pid = number
            if not self.keeps_data:
                self.close_data()
        elif self.returncode is None:
            self.returncode = number
        else:
            raise Internal(f"the forkserver sent a third number for pid {self.pid}: {number}")


def _lines_within(lines: tuple[str, ...], size_bytes: int) -> str:
    """Return as many of the lines as find room."""
    fitting = [line for line in lines if "\n" not in line]
    while fitting and len(os.fsencode("\n".join(fitting))) > size_bytes:
        del fitting[len(fitting) // 2 :]
    return "\n".join(fitting)


def _program() -> str:
    own_path = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return _SERVE.format(
        own_path=own_path, preload=PRELOAD, listener_fd=_LISTENER_FD, alive_fd=_ALIVE_FD
    )


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """Make a pipe whose ends are closed by `reader` and `writer`."""
    read_fd, write_fd = os.pipe()
    reader.callback(os.close, read_fd)
    writer.callback(os.close, write_fd)
    return read_fd, write_fd


def _drain(write_end: int) -> bool:
    """Empty the pipe of `write_end`: who reads it later finds the end, and is nothing. Say whether
    there was something in it."""
    fd = os.open(f"/proc/self/fd/{write_end}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    has_any = False
    try:
        while os.read(fd, 65536):
            has_any = True
    except BlockingIOError:
        pass  # empty
    finally:
        os.close(fd)
    return has_any


def _write_all(fd: int, data: bytes) -> None:
    # A broken pipe: the child or the server died, and the status pipe tells.
    with contextlib.suppress(BrokenPipeError), open(fd, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
