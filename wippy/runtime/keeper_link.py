"""A process's way to the keeper: a request is sent until it is answered, and applied once.

The keeper greets each new connection; then, and after a time-out that doubles, what is unanswered
is sent again under the same request id, which the keeper applies at most once, also after its
death and in the one that follows.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

import zmq

from wippy.core.codec import encode
from wippy.core.registry import (
    KEEPER_SOCKET,
    MAX_CHANGES_BYTES,
    REQUEST_ID_BYTES,
    ApplyChanges,
    ApplyVersion,
    Committed,
    Welcome,
    from_keeper,
)
from wippy.core.units import format_duration
from wippy.errors import Failure, Invalid, Timeout
from wippy.runtime import registry
from wippy.runtime.output import complain

RESEND_S = 1.0
MAX_RESEND_S = 30.0
MAX_REQUESTS = 1000
"""Changes of one process that wait for the keeper: past it, something writes in a loop."""


@dataclass(slots=True)
class _Sent:
    body: bytes
    answered: asyncio.Future[Committed | Failure]
    resend_s: float
    timer: asyncio.TimerHandle | None = None


class KeeperLink:
    """Asks the keeper of one node; belongs to the running event loop.

    Args:
        run_dir: The node's run folder; the keeper need not be there.
        resend_s: First wait for an answer before a request is sent again.
    """

    def __init__(self, run_dir: str, *, resend_s: float = RESEND_S) -> None:
        self.loop = asyncio.get_running_loop()
        self.run_dir = run_dir
        self._resend_s = resend_s
        self._sent: dict[bytes, _Sent] = {}
        self._is_welcome = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.PROBE_ROUTER, 1),
            # A connection keeps nothing for the next one, which is filled from here.
            (zmq.IMMEDIATE, 1),
            (zmq.RECONNECT_IVL, 20),
            (zmq.RECONNECT_IVL_MAX, 500),
            (zmq.LINGER, 0),
        ):
            self._socket.setsockopt(option, value)
        self._socket.connect(f"ipc://{os.path.join(run_dir, KEEPER_SOCKET)}")
        self._fd = int(self._socket.getsockopt(zmq.FD))
        self.loop.add_reader(self._fd, self._drain)
        self.loop.call_soon(self._drain)

    async def ask(self, request: ApplyChanges | ApplyVersion, timeout_s: float) -> Committed:
        """Have the registry changed; on the disk when this returns.

        Raises:
            Timeout: No answer; it may still happen.
            Invalid: It is larger than a frame, or wrong.
            WippyError: What the keeper answers.
        """
        body = encode(request)
        if len(body) > MAX_CHANGES_BYTES:
            raise Invalid(f"the changes have {len(body)} bytes; at most {MAX_CHANGES_BYTES} go")
        if len(self._sent) >= MAX_REQUESTS:
            raise Invalid(f"{MAX_REQUESTS} changes of this process wait for the keeper already")
        request_id = os.urandom(REQUEST_ID_BYTES)
        sent = _Sent(body, self.loop.create_future(), self._resend_s)
        self._sent[request_id] = sent
        self._transmit(request_id)
        try:
            answer = await asyncio.wait_for(sent.answered, timeout_s)
        except TimeoutError:
            raise Timeout(
                f"the keeper has not answered within {format_duration(timeout_s)}; the change may "
                "still happen"
            ) from None
        finally:
            self._forget(request_id)
        if isinstance(answer, Failure):
            raise answer.to_error()
        return answer

    def close(self) -> None:
        """Close the socket; what is unanswered stays so."""
        if self._socket.closed:
            return
        if not self.loop.is_closed():
            self.loop.remove_reader(self._fd)
        for request_id in tuple(self._sent):
            self._forget(request_id)
        self._socket.close(linger=0)
        self._context.term()

    def _transmit(self, request_id: bytes) -> None:
        sent = self._sent.get(request_id)
        if sent is None or self._socket.closed:
            return
        if sent.timer is not None:
            sent.timer.cancel()
        sent.timer = self.loop.call_later(sent.resend_s, self._again, request_id)
        if not self._is_welcome:
            return  # its greeting sends it
        try:
            self._socket.send_multipart([request_id, sent.body], zmq.NOBLOCK)
        except zmq.Again:
            return  # the keeper does not read; the timer tries again
        # Sending may have consumed the descriptor's news of what has come in.
        self.loop.call_soon(self._drain)

    def _again(self, request_id: bytes) -> None:
        sent = self._sent.get(request_id)
        if sent is not None:
            sent.resend_s = min(2 * sent.resend_s, MAX_RESEND_S)
            self._transmit(request_id)

    def _forget(self, request_id: bytes) -> None:
        sent = self._sent.pop(request_id, None)
        if sent is not None and sent.timer is not None:
            sent.timer.cancel()

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
            answer = from_keeper.decode(body)
        except (ValueError, Invalid) as error:
            complain(f"dropped a frame from the keeper: {error}")
            return
        if isinstance(answer, Welcome):
            self._is_welcome = True
            for unanswered in tuple(self._sent):
                self._transmit(unanswered)
            return
        sent = self._sent.get(request_id)
        if sent is not None and not sent.answered.done():
            sent.answered.set_result(answer)


_link: KeeperLink | None = None


def link() -> KeeperLink:
    """Return this process's way to its keeper; made at the first use.

    Raises:
        Invalid: The process belongs to no node.
    """
    global _link
    folder, loop = registry.run_dir(), asyncio.get_running_loop()
    if _link is None or _link.loop is not loop or _link.run_dir != folder:
        if _link is not None:
            _link.close()
        _link = KeeperLink(folder)
    return _link


def close() -> None:
    """Close it, if it was made."""
    global _link
    if _link is not None:
        _link.close()
        _link = None
