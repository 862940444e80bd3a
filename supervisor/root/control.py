"""The root's ROUTER: frames of processes and of clients, validated before use.

Nothing that arrives here can do harm: an oversized frame costs its sender the connection, a
malformed one is counted and answered with an error where a client may be waiting, a frame of a
process must come from the routing id that the root gave it, after a `Hello` with its token.
Sending never blocks: what a slow client does not take is dropped for that client alone.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Callable

import zmq

from supervisor.core import requests
from supervisor.core.requests import Reply, Request, Update
from wippy.core.codec import MAX_FRAME_BYTES, encode
from wippy.core.messages import FromProcess, ToProcess, from_process
from wippy.errors import Failure, Internal, Invalid

SOCKET_NAME = "root"
QUEUED_FRAMES = 10_000
"""High-water mark for each peer, both ways: a storm of a thousand starts fits, a flood does not."""
FRAMES_A_TURN = 500
"""Frames taken in before other events get their turn."""
BACKLOG = 1024
"""Connections that may be waiting: five hundred children may greet at once."""


class ControlSocket:
    """The socket at `ipc://<run_dir>/root`.

    Args:
        loop: The root's loop.
        run_dir: The run folder.
        is_process: Says whether a routing id is that of a process of ours.
        on_frame: Takes a valid frame of a process.
        on_request: Takes a valid request of a client.

    Attributes:
        bad_frames: Frames dropped or refused.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        run_dir: str,
        *,
        is_process: Callable[[bytes], bool],
        on_frame: Callable[[bytes, FromProcess], None],
        on_request: Callable[[bytes, Request], None],
    ) -> None:
        self._loop = loop
        self._is_process = is_process
        self._on_frame = on_frame
        self._on_request = on_request
        self._is_draining = False
        self.bad_frames = 0
        self.endpoint = f"ipc://{run_dir}/{SOCKET_NAME}"
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.set(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self._socket.set(zmq.SNDHWM, QUEUED_FRAMES)
        self._socket.set(zmq.RCVHWM, QUEUED_FRAMES)
        self._socket.set(zmq.BACKLOG, BACKLOG)
        self._socket.set(zmq.LINGER, 500)
        # A process whose exec failed connects again, to say why. Routing ids are random secrets.
        self._socket.set(zmq.ROUTER_HANDOVER, 1)
        self._socket.bind(self.endpoint)
        os.chmod(os.path.join(run_dir, SOCKET_NAME), 0o600)
        self._fd = self._socket.fileno()
        loop.add_reader(self._fd, self.drain)

    @property
    def context(self) -> zmq.Context[zmq.Socket[bytes]]:
        """The context, for the root's other sockets."""
        return self._context

    def drain(self) -> None:
        """Take in what has arrived. ZeroMQ's descriptor is edge-triggered: drain until EAGAIN."""
        if self._is_draining or self._socket.closed:
            return
        self._is_draining = True
        try:
            for _ in range(FRAMES_A_TURN):
                try:
                    parts = self._socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    return
                self._take(parts)
            self._loop.call_soon(self.drain)
        finally:
            self._is_draining = False

    def _take(self, parts: list[bytes]) -> None:
        try:
            if len(parts) != 2:
                raise Invalid(f"{len(parts)} frames where 2 are expected")
            peer, frame = parts
            if self._is_process(peer):
                self._on_frame(peer, from_process.decode(frame))
            else:
                self._on_request(peer, requests.from_client.decode(frame))
        except Invalid as error:
            self.refuse(parts[0], error)
        except Exception:  # noqa: BLE001
            # The boundary of the loop: whatever one frame does, the root goes on.
            traceback.print_exc()
            self.refuse(parts[0], Internal("the root failed on this frame; see the node's log"))

    def refuse(self, peer: bytes, error: Invalid | Internal) -> None:
        """Count a bad frame; tell a client, never a process."""
        self.bad_frames += 1
        if not self._is_process(peer):
            self.send_client(peer, Reply(0, Failure.of(error)))

    def send_process(self, peer: bytes, frame: ToProcess) -> None:
        """Send a frame to a process; never blocks."""
        self._send(peer, encode(frame))

    def send_client(self, peer: bytes, frame: Reply | Update) -> None:
        """Send a frame to a client; never blocks, dropped if the client is gone or too slow."""
        self._send(peer, encode(frame))

    def _send(self, peer: bytes, frame: bytes) -> None:
        if self._socket.closed:
            return
        try:
            self._socket.send_multipart([peer, frame], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            self.bad_frames += 1
        # A send may have swallowed the edge of an arrival (the FD is edge-triggered).
        if not self._is_draining and self._socket.poll(0, zmq.POLLIN):
            self._loop.call_soon(self.drain)

    def close(self) -> None:
        """Close, giving what is queued half a second to leave."""
        self._loop.remove_reader(self._fd)
        self._socket.close()
        self._context.destroy(linger=500)
