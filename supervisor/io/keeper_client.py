"""What the root asks of the keeper: facts go out without waiting, and none is stored twice.

The root must never wait for a disk, so facts are buffered (bounded) and go in batches, one in
flight at a time: while it is under way the next one gathers (`keeper_line` sends it until it is
answered).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import zmq
from msgspec.structs import replace

from supervisor.core.facts import Fact
from supervisor.core.keeping import (
    Answered,
    Appended,
    AppendHistory,
    ApplyChanges,
    ApplyVersion,
    BackedUp,
    Backup,
    Committed,
    ForgetVersions,
    Forgotten,
    LoadRegistry,
)
from supervisor.io.keeper_line import RESEND_S, KeeperLine
from wippy.core.codec import MAX_FRAME_BYTES, encode
from wippy.core.entry import EntryDoc, EntryPlace
from wippy.core.units import format_duration
from wippy.errors import Failure, Internal

CAPACITY = 20_000
"""Facts kept while the keeper does not answer; beyond it the oldest are dropped and counted."""
MAX_BATCH = 500
QUIET_S = 5.0
"""A keeper that has left a request unanswered for this long is worth an alarm."""
ANSWER_TIMEOUT_S = 60.0
NO_PLACES: Mapping[str, EntryPlace] = {}


class KeeperClient:
    """Asks the keeper of one node; belongs to the running event loop.

    Args:
        run_dir: The node's run folder; the keeper need not be there yet.
        run_id: Identifies this root's facts together with their `seq`; new for each root.
        context: ZeroMQ's; an own one by default.
        capacity: Facts kept at most.
        resend_s: First wait for an answer before a request is sent again.
        credential: The root's, which shows that what it asks is asked for an operator.

    Attributes:
        dropped: Facts lost because the keeper did not answer for too long.
        refused: Facts that the keeper would not store, or that fit into no frame.
    """

    def __init__(
        self,
        run_dir: Path,
        run_id: str,
        *,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        capacity: int = CAPACITY,
        resend_s: float = RESEND_S,
        credential: bytes = b"",
    ) -> None:
        self._credential = credential
        self.dropped = 0
        self.refused = 0
        self._run_id = run_id
        self._capacity = capacity
        self._resend_s = resend_s
        self._loop = asyncio.get_running_loop()
        self._line = KeeperLine(run_dir, context=context, resend_s=resend_s)
        self._facts: deque[Fact] = deque()
        self._batch: tuple[Fact, ...] = ()
        self._is_pausing = False
        self._failure = ""
        self._settled: list[asyncio.Future[bool]] = []

    @property
    def bad_frames(self) -> int:
        """Frames from the keeper that could not be read."""
        return self._line.bad_frames

    # --- facts ------------------------------------------------------------------------------------

    def append_facts(self, facts: Sequence[Fact]) -> None:
        """Have `facts` (with their `seq`) stored; never waits, never raises."""
        self._facts.extend(facts)
        while len(self._facts) > self._capacity:
            self._facts.popleft()
            self.dropped += 1
        self._send_batch()

    @property
    def lag(self) -> int:
        """Facts that are not known to be on the disk."""
        return len(self._facts) + len(self._batch)

    @property
    def alarm(self) -> str:
        """What someone must act on, in words; empty while all is well."""
        silent_s = self._line.silent_s
        parts = []
        if self._failure:
            parts.append(self._failure)
        elif silent_s > QUIET_S:
            parts.append(f"the keeper has not answered for {format_duration(silent_s)}")
        if self.dropped:
            parts.append(f"{self.dropped} facts of the history were dropped")
        if self.refused:
            parts.append(f"{self.refused} facts were refused by the keeper")
        return "; ".join(parts)

    async def flush(self, timeout_s: float) -> bool:
        """Wait until every fact is on the disk, at most `timeout_s`; say whether that is so."""
        if self.lag == 0:
            return True
        settled = self._loop.create_future()
        self._settled.append(settled)
        try:
            return await asyncio.wait_for(settled, timeout_s)
        except TimeoutError:
            return False
        finally:
            if settled in self._settled:
                self._settled.remove(settled)

    # --- registry and backup ----------------------------------------------------------------------

    async def load_registry(
        self,
        docs: Iterable[EntryDoc],
        places: Mapping[str, EntryPlace] = NO_PLACES,
        *,
        author: str,
        comment: str,
        origin: str,
        seen: str = "",
        expected_version: int | None = None,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Committed:
        """Merge the documents of all files into the registry; on the disk when this returns.

        Raises:
            Conflict: It is not at `expected_version`.
            Invalid: An entry that is wrong beside what was changed at run time; more than fits
                into a frame.
            Unavailable: No room on the disk, or a busy keeper.
            Timeout: No answer; it may still happen.
        """
        request = LoadRegistry(
            docs=tuple(docs),
            places=dict(places),
            author=author,
            comment=comment,
            origin=origin,
            seen=seen,
            expected_version=expected_version,
        )
        return await self.change_registry(request, timeout_s=timeout_s)

    async def change_registry(
        self,
        request: LoadRegistry | ApplyChanges | ApplyVersion,
        *,
        timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> Committed:
        """Change the registry; on the disk when this returns. Raises as `load_registry`, and
        `NotFound` or `AlreadyExists` for entries and versions that are not there, or are."""
        request = replace(request, credential=self._credential)
        answer = await self._line.ask(request, timeout_s)
        if not isinstance(answer, Committed):
            raise Internal(f"the keeper answered a change of the registry with {answer!r}")
        return answer

    async def forget_versions(self, keep: int, *, timeout_s: float = ANSWER_TIMEOUT_S) -> Forgotten:
        """Forget all versions of the registry but the last `keep`; raises as `change_registry`."""
        answer = await self._line.ask(ForgetVersions(keep, self._credential), timeout_s)
        if not isinstance(answer, Forgotten):
            raise Internal(f"the keeper answered a request to forget with {answer!r}")
        return answer

    async def backup(self, path: Path, *, timeout_s: float = 600.0) -> int:
        """Copy the state environment into the new folder `path`; return the size in bytes.

        Raises:
            AlreadyExists: `path` is already there.
            Unavailable: No room on the disk.
            Timeout: No answer; it may still happen.
        """
        answer = await self._line.ask(Backup(str(path)), timeout_s)
        if not isinstance(answer, BackedUp):
            raise Internal(f"the keeper answered a backup with {answer!r}")
        return answer.size_bytes

    def close(self) -> None:
        """Close the socket; who still waits gets `Cancelled`, what is not stored is lost."""
        self._line.close()
        for settled in self._settled:
            if not settled.done():
                settled.set_result(False)

    # --- batches of facts -------------------------------------------------------------------------

    def _send_batch(self) -> None:
        if self._batch or not self._facts or self._is_pausing or self._line.is_closed:
            return
        count, body = self._fitting_batch()
        if not count:
            self._facts.popleft()
            self.refused += 1
            self._loop.call_soon(self._send_batch)
            return
        self._batch = tuple(self._facts.popleft() for _ in range(count))
        request_id, sent = self._line.post(body)
        sent.answered.add_done_callback(lambda done: self._batch_answered(request_id, done))

    def _fitting_batch(self) -> tuple[int, bytes]:
        """Return how many of the first facts go into one frame, and the frame; 0 if none can."""
        count = min(len(self._facts), MAX_BATCH)
        while count:
            try:
                body = encode(AppendHistory(self._run_id, tuple(islice(self._facts, count))))
            except (ValueError, OverflowError):
                body = None  # text with lone surrogates is no UTF-8
            if body is not None and len(body) <= MAX_FRAME_BYTES:
                return count, body
            count //= 2
        return 0, b""

    def _batch_answered(self, request_id: bytes, done: asyncio.Future[Answered]) -> None:
        if done.cancelled() or done.exception() is not None:
            return  # closed
        self._line.forget(request_id)
        match done.result():
            case Appended():
                self._failure = ""
            case Failure() as failure if failure.to_error().retryable:
                self._failure = failure.message
                self._retry_batch()
                return
            case answer:
                # Sent again it would be refused again, and hold up all that follow.
                self.refused += len(self._batch)
                self._failure = answer.message if isinstance(answer, Failure) else repr(answer)
        self._batch = ()
        self._send_batch()
        self._settle()

    def _retry_batch(self) -> None:
        """Put the batch back in front; try again after a pause (the disk is full, say)."""
        self._facts.extendleft(reversed(self._batch))
        self._batch = ()
        self._is_pausing = True
        self._loop.call_later(self._resend_s, self._end_pause)

    def _end_pause(self) -> None:
        self._is_pausing = False
        self._send_batch()

    def _settle(self) -> None:
        if self.lag:
            return
        for settled in self._settled:
            if not settled.done():
                settled.set_result(True)
