"""The ZeroMQ side of the message plane: a PULL of this process's own, a PUSH to each other one.

A PULL's descriptor is edge-triggered, so it is read until nothing is left (ZMQ_EVENTS is asked
each time: a `zmq.Again` raised and caught costs 1.5 µs). What is queued on a PUSH is bounded by
credit, not by a high-water mark, which would drop or block.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextvars import Context
from typing import cast

import zmq
import zmq.backend

from wippy.core.ids import socket_name
from wippy.core.wire import MAX_FRAME_BYTES
from wippy.errors import Unavailable

LINGER_MS = 500
"""How long the last messages of a process may take: a receiver that does not read must not keep
its sender from ending (an unbounded close never returned, measured)."""
RECONNECT_MS, RECONNECT_MAX_MS = 2, 50
"""A message may be sent before its receiver has bound: a spawned process is there within
milliseconds, one that never comes is told of by the root."""
FRAMES_A_TURN = 32
"""Frames (of 64 KiB at most, mostly) read in one turn of the loop; then timers and heartbeats get
theirs."""
SOCKET_MODE = 0o666
"""The folder says who gets to it (`supervisor.io.message_folder`)."""
BACKLOG = 1024
"""Connections that may wait to be accepted: all processes of a node at once."""

_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_events = cast("Callable[[object, int], int]", zmq.backend.Socket.get)
_recv = cast("Callable[[object, int], bytes]", zmq.backend.Socket.recv)
_send = cast("Callable[[object, bytes], None]", zmq.backend.Socket.send)
"""The plain calls: what `zmq.Socket` puts around them, an enum, costs 2 µs a frame."""


def endpoint(message_dir: str, slot: str, generation: int) -> str:
    """Return where a process is reached."""
    return f"ipc://{message_dir}/{socket_name(slot, generation)}"


class PullSocket:
    """The one socket that all messages to this process come through.

    Args:
        context: ZeroMQ's.
        message_dir: Folder of the sockets.
        name: File name of the socket; a spare takes its own, and a new one when it is assigned.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], message_dir: str, name: str
    ) -> None:
        self._path = os.path.join(message_dir, name)
        self._folder = message_dir
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._socket = context.socket(zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self._socket.setsockopt(zmq.BACKLOG, BACKLOG)
        try:
            self._socket.bind(f"ipc://{self._path}")
        except zmq.ZMQError as error:
            self._socket.close(0)
            raise Unavailable(f"cannot bind {self._path}: {error.strerror}") from error
        # Whoever gets to the folder may send, also a process that has another user by then.
        os.chmod(self._path, SOCKET_MODE)
        self._fd = self._socket.fileno()

    def rename(self, name: str) -> None:
        """Be reached under `name` from now on. ZeroMQ holds the descriptor, not the path, so
        renaming is all; two microseconds on the way to the first line of user code."""
        path = os.path.join(self._folder, name)
        os.rename(self._path, path)
        self._path = path

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[bytes], None],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Give each frame to `take`, in the loop, and call `after` behind those of a turn."""
        self._after = after
        self._loop = loop
        self._take = take
        loop.add_reader(self._fd, self._readable)
        # What came while nobody looked has used up the descriptor's edge.
        loop.call_soon(self._drain)

    def close(self) -> None:
        """Close it and remove its file."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        self._socket.close(0)
        try:
            # ZeroMQ unlinks the path it was bound to, which is not ours any more after `rename`.
            os.unlink(self._path)
        except (FileNotFoundError, PermissionError):
            return  # who has given up its rights leaves it to the root, which removes it anyway

    def _readable(self) -> None:
        # A frame is there, nearly always: asking first would cost a microsecond of a round trip.
        try:
            frame = _recv(self._socket, zmq.NOBLOCK)
        except zmq.Again:
            return
        self._take(frame)
        self._drain()

    def _drain(self) -> None:
        if self._loop is None:
            return
        for _ in range(FRAMES_A_TURN):
            if self._is_closed or not _events(self._socket, _EVENTS) & _POLLIN:
                break
            self._take(_recv(self._socket, zmq.NOBLOCK))
        else:
            self._loop.call_soon(self._drain)
        self._after()


class PushSocket:
    """The connection to one other process; a `Transport`. `Unavailable`: no descriptor is left for
    it, or no socket of the context's 1,023."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> None:
        try:
            self._socket = context.socket(zmq.PUSH)
        except zmq.ZMQError as error:
            raise Unavailable(f"no socket for {endpoint}: {error.strerror}") from error
        for option, value in (
            (zmq.SNDHWM, 0),
            (zmq.LINGER, LINGER_MS),
            (zmq.RECONNECT_IVL, RECONNECT_MS),
            (zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS),
        ):
            self._socket.setsockopt(option, value)
        self._socket.connect(endpoint)

    def send(self, frame: bytes) -> None:
        """Queue a frame: without a high-water mark there is always room."""
        _send(self._socket, frame)

    def close(self, *, linger_ms: int) -> None:
        """Close, giving what is queued `linger_ms` milliseconds."""
        self._socket.close(linger_ms)


class Loopback:
    """The way of a process to itself; a `Transport`.

    Args:
        loop: Of the process.
        take: Takes the frames.
        variables: Context that they are taken in: what they start must not inherit that of the
            actor that happened to speak first.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, take: Callable[[bytes], None], variables: Context
    ) -> None:
        self._loop = loop
        self._take = take
        self._variables = variables

    def send(self, frame: bytes) -> None:
        """Take the frame in a coming turn of the loop, as one from elsewhere would be."""
        self._loop.call_soon(self._take, frame, context=self._variables)

    def close(self, *, linger_ms: int) -> None:
        """Nothing is open."""
