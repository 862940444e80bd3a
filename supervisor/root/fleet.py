"""The OS processes of the node: forked, watched by pidfd, reaped, and a few warm ones ahead.

A *vessel* is one forked process: a spare until it is given a child to be, that child's process
from then on. The fleet tells its captain (`on_*` callables) what happens to vessels; it decides
nothing about the tree.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable

from supervisor.core.facts import FactKind
from supervisor.io.forkserver import Forkserver
from supervisor.io.os_process import OsProcess
from supervisor.io.subreaper import reap
from supervisor.root.chronicle import Chronicle
from supervisor.root.vessel import Vessel
from wippy.core.codec import encode
from wippy.core.messages import Assign, Birth, ExecJob, Job, ToProcess
from wippy.core.reasons import ExitReason, Lost, Normal, Signal, from_returncode
from wippy.errors import Unavailable

STATUS_WAIT_S = 0.25
"""Wait for an exit status after the pidfd said that the process has ended: the forkserver needs
about 0.2 ms to pass it on; past this it is stopped or dead."""
LAST_WORDS_WAIT_S = 0.05
"""Wait for the `Ended` frame of a process that exited: it may still be in ZeroMQ's hands."""
REFILL_PAUSE_S = 0.05
"""Spares are made when nothing has been started for this long: never at a start's expense."""
FORK_RETRY_S = 0.05


class Fleet:
    """All vessels of the node.

    Args:
        loop: The root's loop.
        forkserver: Who forks.
        chronicle: For what cannot be told by a child's end.
        endpoint: The root's ROUTER.
        node: Name of the node.
        spares: Warm processes to keep.
        orphan_timeout_s: For the births.
        message_dir: For the births.
        state_dir: For the births.
        send: Sends a frame to a routing id.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        forkserver: Forkserver,
        chronicle: Chronicle,
        *,
        endpoint: str,
        node: str,
        spares: int,
        orphan_timeout_s: float,
        message_dir: str,
        state_dir: str = "",
        send: Callable[[bytes, ToProcess], None],
    ) -> None:
        self._loop = loop
        self._forkserver = forkserver
        self._chronicle = chronicle
        self._endpoint = endpoint
        self._node = node
        self._wanted_spares = spares
        self._orphan_timeout_s = orphan_timeout_s
        self._message_dir = message_dir
        self._state_dir = state_dir
        self._send = send
        self._spares: deque[Vessel] = deque()
        self._queue: deque[Job] = deque()
        self._refill: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self.by_routing_id: dict[bytes, Vessel] = {}
        self.by_slot: dict[str, Vessel] = {}
        self.on_pid: Callable[[Vessel], None] = lambda _vessel: None
        self.on_end: Callable[[Vessel, ExitReason], None] = lambda _vessel, _reason: None
        self.before_judging: Callable[[], None] = lambda: None
        self.is_closing = False
        self._all_gone: asyncio.Future[None] | None = None

    # --- starting ---

    def launch(self, job: Job) -> None:
        """Make a process that is `job`: a warm spare if there is one, else a fork."""
        spare = self._take_spare()
        if spare is not None:
            spare.job = job
            self.by_slot[job.slot] = spare
            self._assign(spare, job)
            self.on_pid(spare)
        else:
            self._queue.append(job)
            self._fork_queued()
        self.refill_soon()

    def _assign(self, spare: Vessel, job: Job) -> None:
        """Tell a spare what to be: through the pipe that it was born from, if that takes it.

        A pipe wakes the process itself; a frame on its socket goes through two more threads, of
        ZeroMQ, one here and one there.
        """
        assign = Assign(job)
        if not spare.fork.write_frame(encode(assign)):
            self.send(spare, assign)
        if not isinstance(job, ExecJob):
            spare.fork.close_data()

    def _take_spare(self) -> Vessel | None:
        while self._spares:
            spare = self._spares.popleft()
            if not spare.has_ended and spare.process is not None and not spare.process.has_ended():
                return spare
        return None

    def _fork_queued(self) -> None:
        self._retry = None
        while self._queue:
            try:
                self._fork(self._queue[0])
            except Unavailable:
                # The forkserver is being restarted, or busy: the start timeout bounds the wait.
                self._retry = self._loop.call_later(FORK_RETRY_S, self._fork_queued)
                return
            self._queue.popleft()

    def _fork(self, job: Job | None) -> Vessel:
        token = os.urandom(16)
        routing_id = b"p" + os.urandom(8)
        birth = Birth(
            endpoint=self._endpoint,
            token=token,
            routing_id=routing_id,
            root_pid=os.getpid(),
            node=self._node,
            orphan_timeout_s=self._orphan_timeout_s,
            message_dir=self._message_dir,
            state_dir=self._state_dir,
            job=job,
        )
        fork = self._forkserver.fork(encode(birth))
        vessel = Vessel(routing_id, token, fork, job, self._forkserver.pid)
        # Whoever may exec is watched for it (`Probing`).
        vessel.fork.keeps_data = job is None or isinstance(job, ExecJob)
        self.by_routing_id[routing_id] = vessel
        if job is not None:
            self.by_slot[job.slot] = vessel
        self._loop.add_reader(vessel.fork.status_fd, self._status_readable, vessel)
        return vessel

    def cancel_queued(self, slot: str) -> bool:
        """Forget a launch that has not been forked yet; say whether there was one."""
        before = len(self._queue)
        self._queue = deque(job for job in self._queue if job.slot != slot)
        return len(self._queue) < before

    # --- spares ---

    @property
    def spare_count(self) -> int:
        """Warm processes that are ready to be assigned."""
        return len(self._spares)

    def refill_soon(self) -> None:
        """Make spares once nothing has been started for a moment."""
        if self._refill is not None:
            self._refill.cancel()
        self._refill = self._loop.call_later(REFILL_PAUSE_S, self._refill_now)

    def _refill_now(self) -> None:
        self._refill = None
        growing = sum(v.job is None and not v.has_greeted for v in self.by_routing_id.values())
        if self.is_closing or self._queue or len(self._spares) + growing >= self._wanted_spares:
            return
        if self.make_spare() and len(self._spares) + growing + 1 < self._wanted_spares:
            self.refill_soon()

    def make_spare(self) -> bool:
        """Fork one spare; say whether the forkserver took the request."""
        try:
            self._fork(None)
        except Unavailable:
            return False
        return True

    def discard_spares(self) -> None:
        """End all spares: the forkserver they came from is old."""
        for vessel in list(self.by_routing_id.values()):
            if vessel.job is None:
                self.kill(vessel)
        self._spares.clear()

    # --- talking ---

    def greeted(self, vessel: Vessel) -> None:
        """A vessel said `Hello`: send what waited for it, or count it among the spares."""
        vessel.has_greeted = True
        for frame in vessel.outbox:
            self._send(vessel.routing_id, frame)
        vessel.outbox.clear()
        if vessel.job is None:
            self._spares.append(vessel)
            self.refill_soon()

    def send(self, vessel: Vessel, frame: ToProcess) -> None:
        """Send a frame, after the `Hello` if that has not come (ROUTER drops what is early)."""
        if vessel.has_greeted:
            self._send(vessel.routing_id, frame)
        else:
            vessel.outbox.append(frame)

    def signal(self, vessel: Vessel, number: int) -> None:
        """Send a signal to the process itself."""
        if vessel.process is not None:
            vessel.process.signal(number)

    def kill(self, vessel: Vessel) -> None:
        """SIGKILL the process and its whole group."""
        if vessel.has_ended:
            return
        if vessel.process is None:
            if vessel.fork.withdraw():  # a forkserver that is stopped has not made it yet
                self._ended(vessel, Signal(signal.SIGKILL))
            else:
                vessel.kill_when_known = True
                # To find out, the pipe was read: the loop will not say again what came.
                self._status_readable(vessel)
            return
        vessel.process.signal_group(signal.SIGKILL)
        vessel.process.signal(signal.SIGKILL)  # a newborn may not lead its group yet

    # --- ending ---

    def _status_readable(self, vessel: Vessel) -> None:
        vessel.fork.read()
        if vessel.process is None and vessel.fork.pid is not None:
            self._pid_known(vessel)
        if vessel.fork.is_closed:
            self._loop.remove_reader(vessel.fork.status_fd)
            if vessel.fork.pid is None:
                self._never_born(vessel)
        if vessel.fork.returncode is not None:
            self._judge(vessel)

    def _never_born(self, vessel: Vessel) -> None:
        """The forkserver died with the request in its hands: the next one gets it, unless somebody
        has wanted something of the child meanwhile."""
        job = vessel.job
        if job is None or vessel.outbox or vessel.kill_when_known or self.is_closing:
            self._ended(vessel, Lost())
            return
        vessel.job = None
        if self.by_slot.get(job.slot) is vessel:
            del self.by_slot[job.slot]
        self._ended(vessel, Lost())
        self.launch(job)

    def _pid_known(self, vessel: Vessel) -> None:
        vessel.process = OsProcess.open(vessel.pid)
        if vessel.process is not None:
            self._loop.add_reader(vessel.process.fileno(), self._pidfd_readable, vessel)
            if vessel.kill_when_known:
                self.kill(vessel)
        # Otherwise it has already ended and been reaped: its status follows on the same pipe.
        if vessel.job is not None:
            self.on_pid(vessel)

    def _pidfd_readable(self, vessel: Vessel) -> None:
        if vessel.process is not None:
            self._loop.remove_reader(vessel.process.fileno())
        vessel.fork.read()
        if vessel.fork.returncode is None:
            self._loop.call_later(STATUS_WAIT_S, self._judge, vessel)
        else:
            self._judge(vessel)

    def _judge(self, vessel: Vessel) -> None:
        """It has ended: find out how. Last words may still be on their way."""
        if vessel.has_ended:
            return
        if vessel.process is not None and not vessel.process.has_ended():
            return
        code = self._returncode(vessel)
        speaks = vessel.job is not None and not isinstance(vessel.job, ExecJob)
        self.before_judging()  # take in what has arrived on the control socket
        if vessel.last_words is None and speaks and code is not None and code >= 0:
            self._loop.call_later(LAST_WORDS_WAIT_S, self._close_with, vessel, code)
        else:
            self._close_with(vessel, code)

    def _returncode(self, vessel: Vessel) -> int | None:
        vessel.fork.read()
        if vessel.fork.returncode is not None:
            return vessel.fork.returncode
        return reap(vessel.process) if vessel.process is not None else None

    def _close_with(self, vessel: Vessel, code: int | None) -> None:
        if vessel.last_words is not None and (code is None or code >= 0):
            self._ended(vessel, vessel.last_words)
        elif code is not None:
            self._ended(vessel, from_returncode(code))
        else:
            self._ended(vessel, Lost())

    def _ended(self, vessel: Vessel, reason: ExitReason) -> None:
        if vessel.has_ended:
            return
        vessel.has_ended = True
        if vessel.process is not None:
            self._loop.remove_reader(vessel.process.fileno())
            vessel.process.signal_group(signal.SIGKILL)  # the group dies with its leader
            vessel.process.close()
        if vessel.fork.status_fd >= 0:
            self._loop.remove_reader(vessel.fork.status_fd)
        if vessel.fork.data_fd >= 0:
            self._loop.remove_reader(vessel.fork.data_fd)
        vessel.fork.close()
        self.by_routing_id.pop(vessel.routing_id, None)
        if not self.by_routing_id and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)
        if vessel.job is None:
            self._spare_ended(vessel, reason)
            return
        if self.by_slot.get(vessel.job.slot) is vessel:
            del self.by_slot[vessel.job.slot]
        self.on_end(vessel, reason)

    def _spare_ended(self, vessel: Vessel, reason: ExitReason) -> None:
        if vessel in self._spares:
            self._spares.remove(vessel)
        if not self.is_closing and not isinstance(reason, Normal | Signal | Lost):
            self._chronicle.tell(FactKind.ALARM, f"a spare process ended by itself: {reason}")
        self.refill_soon()

    async def wait_empty(self, timeout_s: float) -> None:
        """Wait until no process is left, at most `timeout_s` seconds."""
        deadline_s = self._loop.time() + timeout_s
        while self.by_routing_id and self._loop.time() < deadline_s:
            self._all_gone = self._loop.create_future()
            try:
                await asyncio.wait_for(self._all_gone, deadline_s - self._loop.time())
            except TimeoutError:
                return

    def vessel_of_pid(self, pid: int) -> Vessel | None:
        """Return the vessel with this OS pid."""
        return next((v for v in self.by_routing_id.values() if v.pid == pid), None)

    def pids(self) -> set[int]:
        """Return the OS pids of all vessels."""
        return {v.pid for v in self.by_routing_id.values() if v.pid}
