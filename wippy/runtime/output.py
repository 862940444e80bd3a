"""stdout and stderr of a process: its own log file, opened by itself, so no pipe can break.

Lines go to the kernel as they end, so the last one survives any crash. A full disk must not kill
an actor: what finds no room is dropped and counted. In a pool, what an actor prints goes to the
actor's own log, told apart by its context.
"""

from __future__ import annotations

import errno
import io
import os
import socket
import sys
from contextvars import ContextVar
from typing import Any, TextIO

from wippy.errors import Invalid

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a disk that is full or broken: the writer can do nothing about them."""

LOG_MODE = 0o640
TERMINAL_TIMEOUT_S = 5.0
"""A client that waits for its command is there at once; one that was stopped is not waited for."""


class _Dropped:
    """Bytes of this process's output that found no room on the disk."""

    size_bytes = 0


def dropped_bytes() -> int:
    """Return how many bytes of output found no room since the process was born."""
    return _Dropped.size_bytes


class LossyFile(io.RawIOBase):
    """A descriptor that swallows, and counts, what the disk has no room for."""

    def __init__(self, fd: int, *, closefd: bool = False) -> None:
        super().__init__()
        self._fd = fd
        self._closefd = closefd

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: Any, /) -> int:
        try:
            return os.write(self._fd, data)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            _Dropped.size_bytes += len(data)
            return len(data)

    def close(self) -> None:
        if not self.closed and self._closefd:
            os.close(self._fd)
        super().close()


def line_stream(fd: int, *, closefd: bool = False) -> TextIO:
    """Return a text stream on `fd` that is flushed at each line and never fails to encode."""
    buffer = io.BufferedWriter(LossyFile(fd, closefd=closefd))
    return io.TextIOWrapper(buffer, "utf-8", errors="backslashreplace", line_buffering=True)


def install() -> None:
    """Put our streams in the place of `sys.stdout` and `sys.stderr`; again does nothing.

    The forkserver does it once, so that what preloaded modules hold on to is safe as well.
    """
    if isinstance(sys.stdout, RoutedStream) and isinstance(sys.stderr, RoutedStream):
        return
    flush()
    sys.stdout, sys.stderr = RoutedStream(line_stream(1)), RoutedStream(line_stream(2))


def flush() -> None:
    """Hand what is buffered to the kernel, as far as it takes it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            # Closed or replaced by user code: there is nothing of ours left in it, and nowhere
            # to say so.
            continue


def redirect(log_path: str) -> None:
    """Make descriptors 1 and 2 append to `log_path`; `Invalid` says why it cannot be opened.

    A disk without room for a new file leaves the inherited output: the process is to run.
    """
    flush()
    try:
        fd = _open_log(log_path)
    except OSError as error:
        if error.errno in NO_ROOM:
            return
        raise Invalid(f"cannot open the log {log_path}: {error.strerror}") from error
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


def take_terminal(path: str) -> None:
    """Make descriptors 0, 1 and 2 those that a client hands over at the socket `path`.

    Raises:
        Invalid: Nobody hands anything over there, or not within `TERMINAL_TIMEOUT_S`.
    """
    flush()
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(TERMINAL_TIMEOUT_S)
            end.connect(path)
            _, fds, _, _ = socket.recv_fds(end, 1, 3)
    except OSError as error:
        raise Invalid(f"the terminal of the client is not there any more: {error}") from error
    if len(fds) != 3:
        raise Invalid(f"the client handed over {len(fds)} descriptors where 3 are expected")
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    # What was forked has an empty one, on another descriptor.
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115  # kept


def complain(text: str) -> None:
    """Write a line of the runtime's own to stderr."""
    print(f"wippy: {text}", file=sys.stderr, flush=True)


# --- pools: whose print was it? ------------------------------------------------------------------


class ActorLog:
    """The log of one actor of a pool, opened when it first prints."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._stream: TextIO | None = None
        self._is_broken = False

    def stream(self) -> TextIO | None:
        """Return the stream, or None where it cannot be opened: the worker's is used then."""
        if self._stream is None and not self._is_broken:
            self._open()
        return self._stream

    def close(self) -> None:
        """Flush and close; what is printed later goes to the worker's log."""
        self._is_broken = True
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _open(self) -> None:
        try:
            self._stream = line_stream(_open_log(self._path), closefd=True)
        except OSError as error:
            self._is_broken = True
            complain(f"cannot open {self._path}: {error.strerror}; its lines are in this log")


_actor_log: ContextVar[ActorLog | None] = ContextVar("wippy_actor_log", default=None)


def print_to(log: ActorLog) -> None:
    """Let what the current context prints go to `log` from now on."""
    _actor_log.set(log)


class RoutedStream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr`: hands each write to the log of the actor that wrote it."""

    def __init__(self, own: TextIO) -> None:
        super().__init__()
        self._own = own

    def _target(self) -> TextIO:
        log = _actor_log.get()
        return self._own if log is None else (log.stream() or self._own)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has a plain attribute
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # typeshed has a plain attribute
        return "backslashreplace"

    @property
    def buffer(self) -> object:
        """The bytes below, for `sys.stdout.buffer.write`."""
        return self._target().buffer

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._own.fileno()

    def isatty(self) -> bool:
        return self._own.isatty()

    def write(self, text: str) -> int:
        return self._target().write(text)

    def flush(self) -> None:
        self._target().flush()


def _open_log(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, LOG_MODE)
