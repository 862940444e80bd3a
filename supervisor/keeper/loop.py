"""The keeper's loop: group commit over a socket.

Requests are read as they come and wait in a bounded queue. A commit takes all that wait, in one
transaction with one fsync, in a thread of its own, so that the socket, and with it the process's
heartbeats, go on. The next commit begins as soon as that one has returned; no timer is involved.
Nobody is answered before the commit that holds his change has returned (output commit rule).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq

from supervisor.core import keeping
from supervisor.core.keeping import Answered, AppendHistory, Asked, Backup, Committed, Welcome
from supervisor.core.registry.access import Asker
from supervisor.keeper.backups import Backups
from supervisor.keeper.copies import Copies
from supervisor.keeper.gate import Gate, Guarded
from supervisor.keeper.store import Stamped, Store
from wippy.core.codec import encode
from wippy.core.registry import REGISTRY_COMMITTED
from wippy.errors import Failure, Invalid, Unavailable, WippyError

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 64 * 2**20
"""Bounds of the queue; what comes above them is answered with `Unavailable` at once."""
MAX_GROUP = 1_000
MAX_GROUP_BYTES = 16 * 2**20
"""Bounds of a commit, so that no answer waits long for the work of others."""
MAX_READ = 256
"""Frames read in one turn of the event loop, so that heartbeats are not starved."""
MAX_UNKNOWN = 1_000
"""Requests kept while the root is asked who makes them; past it the oldest are forgotten, and sent
again by who waits for them."""
CLEAR_INTERVAL_S = 10.0
"""Between two looks for stale readers, where commits go on and nobody has told of a death."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    stamped: Stamped
    size_bytes: int


class KeeperLoop:
    """Serves one ROUTER socket from one store.

    Args:
        socket: A bound ROUTER.
        store: What requests are applied to.
        publish: Tells the root: `registry.committed` (version) and `alarm` (text; empty when it
            is over).
        gate: Tells who asks; by default it is an operator, whoever it is.

    Attributes:
        bad_frames: Frames that were dropped, or answered with an error, for what they are.
        commits: Transactions so far.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        store: Store,
        publish: Callable[[str, dict[str, Any]], None],
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate or Gate(b"", is_strict=False, publish=publish)
        self._copies_of = Copies()
        self._unknown: dict[bytes, dict[bytes, tuple[bytes, Guarded, int]]] = {}
        self._socket = socket
        self._store = store
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._work = asyncio.Event()
        self._is_stopping = False
        self._commits = ThreadPoolExecutor(1, "commit")
        self._backups = Backups(store, self._send)
        self._cleared_s = time.monotonic()
        self._alarm = ""
        self.bad_frames = 0
        self.commits = 0

    async def serve(self) -> None:
        """Serve until `stop`; then commit and answer what waits, and return.

        Raises:
            WippyError: The store is of no use any more.
        """
        self._loop.add_reader(self._socket.FD, self._drain)
        self._drain()
        try:
            while await self._next_work():
                await self._commit(self._take_group())
        finally:
            self._loop.remove_reader(self._socket.FD)
            self._backups.close()
            self._commits.shutdown(wait=False)

    def stop(self) -> None:
        """Take what has arrived, nothing more, and let `serve` end."""
        for _ in range(MAX_WAITING // MAX_READ):
            if not self._read_some():
                break
        self._is_stopping = True
        self._work.set()

    async def clear_stale_readers(self) -> None:
        """Free what readers that have died hold back."""
        self._cleared_s = time.monotonic()
        await self._loop.run_in_executor(self._commits, self._store.clear_stale_readers)

    # --- in ---------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Read until EAGAIN: the descriptor of a ZeroMQ socket only tells of changes."""
        if not self._is_stopping and self._read_some():
            self._loop.call_soon(self._drain)

    def _read_some(self) -> bool:
        """Read at most `MAX_READ` frames; say whether more may be there."""
        for _ in range(MAX_READ):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return False
            self._take(parts)
        return True

    def _take(self, parts: list[bytes]) -> None:
        match parts:
            case [client, b""]:  # ZMQ_PROBE_ROUTER
                self._send(client, keeping.WELCOME_ID, Welcome(os.getpid()))
            case [client, request_id, body] if len(request_id) == keeping.REQUEST_ID_BYTES:
                try:
                    request = keeping.to_keeper.decode(body)
                except Invalid as error:
                    self.bad_frames += 1
                    self._send(client, request_id, Failure.of(error))
                else:
                    self._take_request(client, request_id, request, len(body))
            case _:
                self.bad_frames += 1

    def _take_request(
        self, client: bytes, request_id: bytes, request: Asked, size_bytes: int
    ) -> None:
        refusal = self._copies_of.refusal(request_id)
        if refusal is not None:
            self._send(client, request_id, refusal)
        elif not self._copies_of.is_copy(request_id, client):
            self._enqueue(client, request_id, request, size_bytes)

    def _enqueue(self, client: bytes, request_id: bytes, request: Asked, size_bytes: int) -> None:
        if isinstance(request, Backup):
            self._backups.start(client, request_id, request)
        elif self._is_full(size_bytes):
            waiting = len(self._waiting)
            full = Unavailable(f"the keeper is busy: {waiting} requests wait; try again")
            self._refuse(client, request_id, full)
        elif isinstance(request, AppendHistory):
            self._queue(client, Stamped(request_id, request, time.time()), size_bytes)
        else:
            self._guard(client, request_id, request, size_bytes)

    def _queue(self, client: bytes, stamped: Stamped, size_bytes: int) -> None:
        self._copies_of.begin(stamped.request_id, client)
        self._waiting.append(_Waiting(stamped, size_bytes))
        self._waiting_bytes += size_bytes
        self._work.set()

    # --- who asks ---------------------------------------------------------------------------------

    def told(self, topic: str, payload: dict[str, Any]) -> None:
        """Take what the root tells of who is who."""
        try:
            credential = self._gate.told(topic, payload)
        except msgspec.ValidationError as error:
            _log.warning("the root told something malformed (%s): %s", topic, error)
            return
        for request_id, one in self._unknown.pop(credential or b"", {}).items():
            client, request, size_bytes = one
            self._guard(client, request_id, request, size_bytes, find=self._gate.answered)

    def _guard(
        self,
        client: bytes,
        request_id: bytes,
        request: Guarded,
        size_bytes: int,
        *,
        find: Callable[[Guarded], Asker | None] | None = None,
    ) -> None:
        """Queue a request with who asks; if only the root knows that, keep it until it says so."""
        try:
            asker = (find or self._gate.find)(request)
        except WippyError as error:
            self._refuse(client, request_id, error)
            return
        if asker is not None:
            self._queue(client, Stamped(request_id, request, time.time(), asker), size_bytes)
            return
        if sum(map(len, self._unknown.values())) >= MAX_UNKNOWN:
            # Not for ever: of a root that does not answer, nothing is left but its end.
            self._unknown.pop(next(iter(self._unknown)))
        self._unknown.setdefault(request.credential, {})[request_id] = client, request, size_bytes

    def _is_full(self, size_bytes: int) -> bool:
        too_many = len(self._waiting) >= MAX_WAITING
        too_large = self._waiting_bytes + size_bytes > MAX_WAITING_BYTES
        return too_many or (too_large and bool(self._waiting))

    # --- commit -----------------------------------------------------------------------------------

    async def _next_work(self) -> bool:
        """Wait until something waits; False when there is nothing and no more will come."""
        while not self._waiting:
            if self._is_stopping:
                return False
            self._work.clear()
            await self._work.wait()
        return True

    def _take_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size_bytes = 0
        while self._waiting and len(group) < MAX_GROUP:
            size_bytes += self._waiting[0].size_bytes
            if group and size_bytes > MAX_GROUP_BYTES:
                break
            one = self._waiting.popleft()
            self._waiting_bytes -= one.size_bytes
            group.append(one)
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        try:
            answers = await self._loop.run_in_executor(
                self._commits, self._apply, [one.stamped for one in group]
            )
        except Unavailable as error:
            self._raise_alarm(str(error))
            self._answer_all(group, [Failure.of(error)] * len(group))
        except WippyError as error:
            self._answer_all(group, [Failure.of(Unavailable(str(error)))] * len(group))
            raise
        else:
            self.commits += 1
            self._raise_alarm("")
            self._answer_all(group, answers)
            self._tell_version(answers)

    def _apply(self, group: list[Stamped]) -> list[Answered]:
        """Runs in the commit thread."""
        now_s = time.monotonic()
        if now_s - self._cleared_s > CLEAR_INTERVAL_S:
            self._cleared_s = now_s
            self._store.clear_stale_readers()
        return self._store.apply(group)

    def _tell_version(self, answers: list[Answered]) -> None:
        versions = [
            each.version for each in answers if isinstance(each, Committed) and each.changed
        ]
        if versions:
            # Whoever follows reads every version up to this one from the tables.
            self._publish(REGISTRY_COMMITTED, {"version": max(versions)})

    def _raise_alarm(self, text: str) -> None:
        if text != self._alarm:
            self._alarm = text
            self._publish("alarm", {"text": text})

    # --- out --------------------------------------------------------------------------------------

    def _answer_all(self, group: list[_Waiting], answers: list[Answered]) -> None:
        for one, answer in zip(group, answers, strict=True):
            client = self._copies_of.end(one.stamped.request_id, answer)
            if client is not None:
                self._send(client, one.stamped.request_id, answer)
        # Sending may have consumed the descriptor's news of what has come in.
        self._drain()

    def _refuse(self, client: bytes, request_id: bytes, error: WippyError) -> None:
        failure = Failure.of(error)
        self._copies_of.refuse(request_id, failure)
        self._send(client, request_id, failure)

    def _send(self, client: bytes, request_id: bytes, answer: Answered | Welcome) -> None:
        try:
            self._socket.send_multipart([client, request_id, encode(answer)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            # Its asker is gone or does not read; if it lives, it will ask again.
            _log.debug("an answer could not be sent: %s", error)
