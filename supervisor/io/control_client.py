"""A client of the root's control socket: one DEALER, no event loop.

Delivery: a request that is sent while no root listens waits for the next one. A root that dies
takes the requests it had with it; reading verbs are then asked again, commands are not, since
they may have been done.
"""

from __future__ import annotations

import os
import pwd
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import zmq

from supervisor.core.closing import Closing
from supervisor.core.requests import (
    SUBSCRIPTION_S,
    Answer,
    GetView,
    History,
    Reply,
    Request,
    Subscribe,
    Update,
    Verb,
    Why,
    to_client,
)
from supervisor.io.node_file import SOCKET, is_node_there, read_node_file
from supervisor.io.subscription import Subscription
from wippy.core.codec import MAX_FRAME_BYTES, encode
from wippy.errors import Failure, Invalid, NotFound, Timeout, Unavailable

TICK_S = 0.25
"""How often a waiting client looks whether the node is still there and its root the same."""
LINGER_MS = 500
"""Bound of `close()` with unsent frames: unbounded, it never returns from a dead node."""
KEPT_MAX = 10_000
"""Frames kept for `drain` while `ask` waits for its answer; past it the oldest are dropped."""

READING = (GetView, Why, History)


class ControlClient(Closing):
    """Asks the root of the node in `run_dir`. Not thread-safe; close it, or use `with`.

    Args:
        run_dir: The node's run folder.

    Raises:
        NotFound: No node lives there.
        Invalid: The path is too long for a socket.

    Attributes:
        bad_frames: Malformed frames received and dropped.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.bad_frames = 0
        self._last_id = 0
        self._posted: set[int] = set()
        self._kept: deque[Reply | Update] = deque(maxlen=KEPT_MAX)
        self._who = _who()
        require_node(run_dir)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        try:
            self._socket.connect(f"ipc://{run_dir / SOCKET}")
        except zmq.ZMQError as error:
            self.close()
            raise Invalid(f"cannot connect to {run_dir / SOCKET}: {error}") from error

    def ask(self, verb: Verb, timeout_s: float = 10.0) -> Answer:
        """Send `verb` and wait for its answer.

        Raises:
            WippyError: What the root answered, as the class it raised there.
            Timeout: The root does not answer within `timeout_s`.
            NotFound: The node went away meanwhile.
            Unavailable: The root died with a command that it may have done.
        """
        root_pid = self.root_pid()
        request_id = self.send(verb)
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            answer = self._answer_to(request_id, min(left_s, TICK_S))
            if isinstance(answer, Failure):
                raise answer.to_error()
            if answer is not None:
                return answer
            require_node(self.run_dir)
            now_pid = self.root_pid()
            if now_pid and now_pid != root_pid:
                self._ask_again(verb, request_id, is_lost=root_pid != 0)
            root_pid = now_pid or root_pid
        raise Timeout(_no_answer(self.run_dir, root_pid, timeout_s))

    def post(self, verb: Verb) -> int:
        """Send `verb` without waiting and return the request's id; `drain` gives the reply."""
        request_id = self.send(verb)
        self._posted.add(request_id)
        return request_id

    def fileno(self) -> int:
        """Return the descriptor to wait on; it is edge-triggered (zmq): `drain` after each
        wake-up, and once after each `post` or `ask`, before waiting again."""
        return int(self._socket.getsockopt(zmq.FD))

    def drain(self) -> list[Reply | Update]:
        """Return what has arrived, in order; never blocks."""
        while (message := self._receive(0.0)) is not None:
            self._keep(message)
        arrived = list(self._kept)
        self._kept.clear()
        return arrived

    def updates(self, subscribe: Subscribe) -> Iterator[Update]:
        """Yield updates for ever, or until the node goes away; see `Subscription`."""
        subscription = self.subscribe(subscribe)
        while True:
            try:
                update = subscription.next(SUBSCRIPTION_S)
            except NotFound:
                return
            if update is not None:
                yield update

    def subscribe(self, subscribe: Subscribe) -> Subscription:
        """Return the updates as something to wait on with a deadline."""
        return Subscription(self, subscribe)

    def root_pid(self) -> int:
        """Return the OS pid of the root that lives now; 0 if there is none, or nobody says."""
        node = read_node_file(self.run_dir)
        return node.root_pid if node is not None and _is_alive(node.root_pid) else 0

    def next_update(self, wait_s: float) -> Update | None:
        """Return the next update: one that came while `ask` waited, or what comes within
        `wait_s`. A reply that comes instead is kept for `drain`."""
        for kept in self._kept:
            if isinstance(kept, Update):
                self._kept.remove(kept)
                return kept
        message = self._receive(wait_s)
        if isinstance(message, Reply):
            self._keep(message)
        return message if isinstance(message, Update) else None

    def require_node(self) -> None:
        """Raise `NotFound`, with what to do, if the node is no longer there."""
        require_node(self.run_dir)

    def close(self) -> None:
        """Let go of the socket; takes at most half a second."""
        self._context.destroy(linger=LINGER_MS)

    def send(self, verb: Verb, request_id: int = 0) -> int:
        """Send `verb` (again, with the id of its first request) and forget its reply."""
        if not request_id:
            self._last_id += 1
            request_id = self._last_id
        self._socket.send(encode(Request(id=request_id, verb=verb, who=self._who)))
        return request_id

    def _ask_again(self, verb: Verb, request_id: int, *, is_lost: bool) -> None:
        """Ask the new root; a command that an old one had (`is_lost`) may not be done twice."""
        if isinstance(verb, READING):
            self.send(verb, request_id)
        elif is_lost:
            raise Unavailable(
                "the root was replaced while it worked on this; it may have been done: "
                "see wippy-supervisor status"
            )

    def _answer_to(self, request_id: int, wait_s: float) -> Answer | None:
        message = self._receive(wait_s)
        if isinstance(message, Reply) and message.id == request_id:
            return message.answer
        if message is not None:
            self._keep(message)
        return None

    def _keep(self, message: Reply | Update) -> None:
        """Keep it for `drain`; a reply nobody waits for (asked twice, subscribed) is dropped."""
        if isinstance(message, Reply):
            if message.id not in self._posted:
                return
            self._posted.discard(message.id)
        self._kept.append(message)

    def _receive(self, wait_s: float) -> Reply | Update | None:
        """Return the next good frame, or None after `wait_s`."""
        if not self._socket.poll(max(0, round(wait_s * 1000))):
            return None
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            try:
                return to_client.decode(frames[-1])
            except Invalid:
                self.bad_frames += 1


def require_node(run_dir: Path) -> None:
    """Raise `NotFound`, with what to do, if no node lives in `run_dir`."""
    if not is_node_there(run_dir):
        raise NotFound(
            f"no node at {run_dir} (not running?). Start one: wippy-supervisor start configs/"
        )


def _no_answer(run_dir: Path, root_pid: int, timeout_s: float) -> str:
    who = f"the root (pid {root_pid})" if root_pid else "the root"
    return (
        f"{who} of the node at {run_dir} did not answer within {timeout_s:g} s; it may be busy, "
        "stopped (SIGSTOP) or just being replaced: try again, or see wippy-supervisor doctor"
    )


def _is_alive(pid: int) -> bool:
    """Say whether `pid` runs; a zombie does not."""
    if pid <= 0:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] not in {b"Z", b"X"}


def _who() -> str:
    """Return who asks, for the history: `user@pts/3`, or `user@pid 4711`."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    try:
        place = os.ttyname(0).removeprefix("/dev/")
    except OSError:
        place = f"pid {os.getpid()}"
    return f"{user}@{place}"
