"""Readiness as sd_notify(3) tells it: a datagram socket for each program that is to tell.

A datagram is lines of `NAME=value`; READY=1, STATUS=... and STOPPING=1 are heard, BARRIER=1 is
answered (by closing the descriptor that came with it), other names pass unheard. The kernel says
who sent it (SCM_CREDENTIALS, unix(7)): only the program's own session is listened to.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
import struct
from pathlib import Path

from supervisor.io.log_text import harmless
from wippy.errors import Invalid, Unavailable

MAX_MESSAGE_BYTES = 4096
"""systemd's own messages are a few dozen bytes; a longer one is refused."""

MAX_STATUS_LENGTH = 200
"""Characters of STATUS that are kept: it is shown in one column."""

MAX_PER_TURN = 64
"""Datagrams read in one turn of the loop, so that a flood delays nobody else."""

MAX_DESCRIPTORS = 16
"""Descriptors taken from one datagram, to be closed; the kernel drops what is more."""

_MAX_SOCKET_PATH_BYTES = 107
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class NotifySocket:
    """The end of a program's NOTIFY_SOCKET that listens. Used in the event loop.

    Args:
        path: Where to bind; its folder exists and is private. What is there is replaced.

    Attributes:
        path: The value of NOTIFY_SOCKET.
        status: The last STATUS, made harmless; empty before the first.
        is_stopping: STOPPING=1 has come.
        refused: Datagrams that were too long, malformed, or from a stranger.

    Raises:
        Invalid: The path is too long.
        Unavailable: The socket cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.status = ""
        self.is_stopping = False
        self.refused = 0
        self._session = 0
        self._ready = asyncio.Event()
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
            raise Invalid(
                f"the path of a notify socket is too long ({path}): at most "
                f"{_MAX_SOCKET_PATH_BYTES} bytes; choose a shorter run folder"
            )
        self._socket = _bound(path)
        self._loop: asyncio.AbstractEventLoop | None = None

    def listen(self, session: int) -> None:
        """Hear what the members of `session` have sent and will send, from now on.

        A program started by us leads a session, whose id is its pid. What was sent before this
        call has waited.
        """
        self._session = session
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._socket.fileno(), self._read)

    async def wait_ready(self) -> None:
        """Wait until READY=1 has come."""
        await self._ready.wait()

    def is_ready(self) -> bool:
        """Say whether READY=1 has come."""
        return self._ready.is_set()

    def close(self) -> None:
        """Stop listening and remove the socket; may be repeated."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop = None
        self._socket.close()
        Path(self.path).unlink(missing_ok=True)

    def _read(self) -> None:
        for _ in range(MAX_PER_TURN):
            try:
                message, sender, is_whole = _receive(self._socket)
            except BlockingIOError:
                return
            if is_whole and sender and self._is_member(sender):
                self._hear(message)
            else:
                self.refused += 1

    def _is_member(self, pid: int) -> bool:
        # A sender that has gone already cannot be judged; systemd-notify waits for its barrier.
        try:
            return os.getsid(pid) == self._session
        except ProcessLookupError:
            return False

    def _hear(self, message: bytes) -> None:
        try:
            lines = message.decode().splitlines()
        except UnicodeDecodeError:
            self.refused += 1
            return
        for line in lines:
            match line.partition("="):
                case ("READY", _, "1"):
                    self._ready.set()
                case ("STOPPING", _, "1"):
                    self.is_stopping = True
                case ("STATUS", _, text):
                    self.status = harmless(text)[:MAX_STATUS_LENGTH]


def _bound(path: Path) -> socket.socket:
    flags = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    listener = socket.socket(socket.AF_UNIX, flags)
    try:
        path.unlink(missing_ok=True)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        listener.bind(str(path))
        # The program may run as another user; the folder and the sender's session guard it.
        os.chmod(path, 0o666)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot make the notify socket {path}: {error.strerror}") from error
    return listener


def _receive(listener: socket.socket) -> tuple[bytes, int, bool]:
    """Return (message, pid of the sender or 0, whether it is whole); descriptors are closed."""
    room = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * MAX_DESCRIPTORS)
    message, ancillary, flags, _ = listener.recvmsg(
        MAX_MESSAGE_BYTES, room, socket.MSG_CMSG_CLOEXEC
    )
    sender = 0
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            sender = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])[0]
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            _close_all(data)
    return message, sender, not flags & socket.MSG_TRUNC


def _close_all(data: bytes) -> None:
    descriptors = array.array("i")
    descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    for fd in descriptors:
        with contextlib.suppress(OSError):  # somebody else's file may complain at its close
            os.close(fd)
