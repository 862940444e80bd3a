"""The connection to the keeper: requests are sent until they are answered.

What is unanswered is sent again, under the same request id, when the keeper comes back (it greets
each new connection) or after a time-out that doubles; the keeper applies an id once.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from supervisor.core import keeping
from supervisor.core.keeping import Answered, Asked, Welcome
from wippy.core.codec import MAX_FRAME_BYTES, encode
from wippy.core.registry import MAX_KEEPER_FRAME_BYTES
from wippy.core.units import format_duration
from wippy.errors import Cancelled, Failure, Invalid, Timeout, WippyError

RESEND_S = 1.0
MAX_RESEND_S = 30.0


@dataclass(slots=True)
class Sent:
    """A request under way."""

    body: bytes
    asked_at_s: float
    answered: asyncio.Future[Answered]
    resend_s: float = RESEND_S
    timer: asyncio.TimerHandle | None = field(default=None)


class KeeperLine:
    """A DEALER to the keeper of one node; belongs to the running event loop.

    Args:
        run_dir: The node's run folder; the keeper need not be there yet.
        context: ZeroMQ's; an own one by default.
        resend_s: First wait for an answer before a request is sent again.

    Attributes:
        bad_frames: Frames from the keeper that could not be read.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        resend_s: float = RESEND_S,
    ) -> None:
        self.bad_frames = 0
        self._resend_s = resend_s
        self._loop = asyncio.get_running_loop()
        self._sent: dict[bytes, Sent] = {}
        self._is_welcome = False
        self._context = zmq.Context() if context is None else context
        self._owns_context = context is None
        self._socket = self._context.socket(zmq.DEALER)
        self._connect(run_dir)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._socket.closed

    @property
    def silent_s(self) -> float:
        """How long the oldest request has waited for its answer, seconds; 0 if none waits."""
        return max((self._loop.time() - it.asked_at_s for it in self._sent.values()), default=0.0)

    async def ask(self, request: Asked, timeout_s: float) -> Answered:
        """Send a request and return its answer.

        Raises:
            Invalid: It is larger than a frame.
            Timeout: No answer; it may still happen.
            WippyError: What the keeper answers.
        """
        body = encode(request)
        if len(body) > MAX_KEEPER_FRAME_BYTES:
            limit = MAX_KEEPER_FRAME_BYTES
            raise Invalid(f"{type(request).__name__} has {len(body)} bytes, more than {limit}")
        request_id, sent = self.post(body)
        try:
            answer = await asyncio.wait_for(sent.answered, timeout_s)
        except TimeoutError:
            raise Timeout(
                f"the keeper has not answered within {format_duration(timeout_s)}; "
                "it may still happen; see wippy-supervisor why wippy:keeper"
            ) from None
        finally:
            self.forget(request_id)
        if isinstance(answer, Failure):
            raise answer.to_error()
        return answer

    def post(self, body: bytes) -> tuple[bytes, Sent]:
        """Send a request without waiting; return its id and what becomes of it."""
        request_id = os.urandom(keeping.REQUEST_ID_BYTES)
        sent = Sent(body, self._loop.time(), self._loop.create_future(), self._resend_s)
        self._sent[request_id] = sent
        self._transmit(request_id)
        return request_id, sent

    def _transmit(self, request_id: bytes) -> None:
        """Send a request (again), unless no keeper has greeted: then its greeting sends it."""
        sent = self._sent.get(request_id)
        if sent is None or self._socket.closed:
            return
        if sent.timer is not None:
            sent.timer.cancel()
        sent.timer = self._loop.call_later(sent.resend_s, self._transmit_later, request_id)
        if not self._is_welcome:
            return
        try:
            self._socket.send_multipart([request_id, sent.body], zmq.NOBLOCK)
        except zmq.Again:
            return  # the keeper does not read; the timer tries again
        # Sending may have consumed the descriptor's news of what has come in.
        self._loop.call_soon(self._drain)

    def _transmit_later(self, request_id: bytes) -> None:
        sent = self._sent.get(request_id)
        if sent is not None:
            # A stopped keeper finds few copies when it goes on.
            sent.resend_s = min(2 * sent.resend_s, MAX_RESEND_S)
            self._transmit(request_id)

    def forget(self, request_id: bytes) -> None:
        """Send a request no more; a late answer is dropped."""
        sent = self._sent.pop(request_id, None)
        if sent is not None and sent.timer is not None:
            sent.timer.cancel()

    def close(self) -> None:
        """Close it; whoever waits gets `Cancelled`."""
        if self._socket.closed:
            return
        self._loop.remove_reader(self._fd)
        for sent in self._sent.values():
            _cancel(sent)
        self._sent.clear()
        self._socket.close(linger=0)
        if self._owns_context:
            self._context.term()

    def _connect(self, run_dir: Path) -> None:
        self._socket.setsockopt(zmq.PROBE_ROUTER, 1)
        # A connection keeps nothing for the next one, which we fill ourselves; and libzmq probes
        # anew only where it makes the pipe anew.
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._fd = self._socket.FD
        try:
            self._socket.connect(f"ipc://{run_dir / keeping.KEEPER_SOCKET}")
        except zmq.ZMQError as error:
            raise Invalid(f"{run_dir / keeping.KEEPER_SOCKET}: {error}") from error
        self._loop.add_reader(self._fd, self._drain)
        self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        while not self._socket.closed:
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(parts)

    def _take(self, parts: list[bytes]) -> None:
        try:
            request_id, body = parts
            answer = keeping.from_keeper.decode(body)
        except (ValueError, WippyError):
            self.bad_frames += 1
            return
        if isinstance(answer, Welcome):
            self._is_welcome = True
            for unanswered in tuple(self._sent):
                self._transmit(unanswered)
            return
        sent = self._sent.get(request_id)
        if sent is not None and not sent.answered.done():
            sent.answered.set_result(answer)


def _cancel(sent: Sent) -> None:
    if sent.timer is not None:
        sent.timer.cancel()
    if not sent.answered.done():
        sent.answered.set_exception(Cancelled("the connection to the keeper was closed"))
        sent.answered.exception()  # whoever awaits it still gets it; nobody need
