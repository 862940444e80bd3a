"""The process's side of the control socket: a DEALER to the root, read by the event loop.

zmq's descriptor is edge-triggered: it says "something happened", once. So it is drained until
EAGAIN, and looked at again after each send, which may have swallowed the edge (zmq_getsockopt(3),
ZMQ_FD).
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
from collections import deque
from collections.abc import Callable

import zmq
import zmq.utils.monitor

from wippy.core import messages
from wippy.core.codec import encode
from wippy.core.messages import FromProcess, ToProcess
from wippy.errors import Invalid, Unavailable
from wippy.runtime import guard
from wippy.runtime.output import complain
from wippy.runtime.registry_watch import news

HWM_FRAMES = 10_000
"""Frames that wait in either direction: ten for each of the thousand actors of a full worker. Past
it a frame is dropped and counted; a root that reads none of ten thousand is as good as dead."""

LINGER_MS = 500
"""How long last words may take: a root that does not read must not keep a process from ending
(an unbounded close never returned, measured)."""

CONNECT_TIMEOUT_MS = 5_000

Handler = Callable[[ToProcess], None]


class Control:
    """The socket, and what has come but was not handled yet.

    Used by the thread of the loop only, except `inject`, and `connect`, which a watching thread may
    do in its place: until then, what is sent waits, the greeting first.

    Attributes:
        malformed: Frames that were not understood and were dropped.
        dropped: Frames that could not be sent.
        registry_version: The version of the registry that the runtime follows, as far as the root
            has told; 0 before it has.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.malformed = 0
        self.dropped = 0
        self.registry_version = 0
        self._loop = loop
        self._backlog: deque[ToProcess] = deque()
        self._handler: Handler | None = None
        self._pipe_fd = -1
        self._waiter: asyncio.Future[None] | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._unsent: list[FromProcess] = []
        self._is_closed = False
        self._connecting = threading.Lock()

    def greet_with(self, message: FromProcess) -> None:
        """Have `message` be the first frame of the connection that is not made yet."""
        self._unsent.insert(0, message)

    def connect(self, endpoint: str, routing_id: bytes, *, confirm: bool = False) -> None:
        """Connect to the root, if that has not been done; any thread may.

        Args:
            endpoint: The root's ROUTER.
            routing_id: Who we are to it.
            confirm: Wait until the connection stands, as one must before giving up the rights to
                make it. `Unavailable` after `CONNECT_TIMEOUT_MS`.
        """
        with self._connecting:
            if self._context is None and not self._is_closed:
                self._make_connection(endpoint, routing_id, confirm=confirm)

    def reconnect(self, endpoint: str, routing_id: bytes) -> None:
        """Connect again after `close`."""
        self._is_closed = False
        self.connect(endpoint, routing_id)

    def _make_connection(self, endpoint: str, routing_id: bytes, *, confirm: bool) -> None:
        context = zmq.Context()
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.ROUTING_ID, routing_id)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.SNDHWM, HWM_FRAMES)
        self._socket.setsockopt(zmq.RCVHWM, HWM_FRAMES)
        if confirm:
            self._connect_and_wait(endpoint)
        else:
            self._socket.connect(endpoint)
        self._fd = self._option(zmq.FD)
        for message in self._unsent:
            self._socket.send(encode(message), zmq.DONTWAIT)
        self._unsent.clear()
        # From here on the thread of the loop uses the socket; the lock is the fence between them.
        self._context = context
        self._loop.call_soon_threadsafe(self._listen)

    def _listen(self) -> None:
        if self._context is not None:
            self._loop.add_reader(self._fd, self._drain)
            self._drain()  # what came while nobody looked has used up the descriptor's edge

    @property
    def context(self) -> zmq.Context[zmq.Socket[bytes]]:
        """ZeroMQ's context, for the process's other sockets; they must be closed before this one.

        Raises:
            Invalid: Not connected.
        """
        if self._context is None:
            raise Invalid("the control socket is not connected")
        return self._context

    def read_pipe(self, fd: int) -> None:
        """Take one message from the pipe `fd` too: who waits for it is woken by the root itself,
        not by ZeroMQ's threads. The descriptor stays open."""
        os.set_blocking(fd, False)
        self._pipe_fd = fd
        self._loop.add_reader(fd, self._drain_pipe)

    def send(self, message: FromProcess) -> None:
        """Send `message`; where there is no room it is dropped and counted."""
        if self._context is None and self._keep_unsent(message):
            return
        try:
            self._socket.send(encode(message), zmq.DONTWAIT)
        except zmq.Again:
            self.dropped += 1
        if self._option(zmq.EVENTS) & zmq.POLLIN:
            self._loop.call_soon(self._drain)

    def _keep_unsent(self, message: FromProcess) -> bool:
        """Keep a frame for the connection that is not made yet; False if it just has been."""
        with self._connecting:
            if self._context is None and not self._is_closed:
                self._unsent.append(message)
            return self._context is None

    def inject(self, message: ToProcess) -> None:
        """Handle `message` as if the root had sent it; callable from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, message)

    def set_handler(self, handler: Handler) -> None:
        """From now on call `handler` with each message, beginning with those that waited."""
        self._handler = handler
        while self._backlog:
            handler(self._backlog.popleft())

    async def next_message(self) -> ToProcess:
        """Wait for a message, while there is no handler yet; later ones go on waiting."""
        while not self._backlog:
            self._waiter = self._loop.create_future()
            await self._waiter
        return self._backlog.popleft()

    def close(self) -> None:
        """Send what is left, within `LINGER_MS`, and end zmq's threads; again does nothing."""
        with self._connecting:
            self._is_closed = True
        if self._context is None:
            return
        context, self._context = self._context, None
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        self._socket.close(LINGER_MS)
        context.term()

    def _connect_and_wait(self, endpoint: str) -> None:
        monitor = self._socket.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED)
        self._socket.connect(endpoint)
        is_connected = monitor.poll(CONNECT_TIMEOUT_MS)
        self._socket.disable_monitor()
        if not is_connected:
            raise Unavailable(f"the root does not answer at {endpoint}")

    def _option(self, option: int) -> int:
        return int(self._socket.getsockopt(option))

    def _drain_pipe(self) -> None:
        try:
            frame = os.read(self._pipe_fd, select.PIPE_BUF)
        except BlockingIOError:
            return
        self._loop.remove_reader(self._pipe_fd)
        self._pipe_fd = -1
        if frame:
            self._read(frame)

    def _drain(self) -> None:
        if self._pipe_fd >= 0:
            self._drain_pipe()  # what was written there was sent before
        while self._context is not None:
            try:
                frame = self._socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            self._read(frame)

    def _read(self, frame: bytes) -> None:
        try:
            message = messages.to_process.decode(frame)
        except Invalid as error:
            self.malformed += 1
            complain(f"dropped a frame from the root: {error}")
            return
        self._take(message)

    def _take(self, message: ToProcess) -> None:
        if isinstance(message, messages.RegistryAt):
            self.registry_version = max(self.registry_version, message.version)
            guard.refresh_or_complain()
            news.note(message.version)
            return
        if self._handler is not None:
            self._handler(message)
            return
        self._backlog.append(message)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
