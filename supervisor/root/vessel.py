"""One forked process, from its fork on: what the fleet knows of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from supervisor.io.forkserver import Fork
from supervisor.io.os_process import OsProcess
from wippy.core.messages import Job, ToProcess
from wippy.core.reasons import ExitReason


@dataclass(slots=True, eq=False)
class Vessel:
    """One forked process.

    Attributes:
        routing_id: Of its DEALER.
        token: That its `Hello` must show.
        fork: Its pipes to the forkserver.
        server_pid: OS pid of the forkserver that makes it.
        job: What it is; None while it is a spare.
        process: Its pidfd, once the pid is known.
        has_greeted: Whether its `Hello` came.
        last_words: Why it said it would end.
        outbox: Frames that wait for its `Hello`.
        kill_when_known: SIGKILL was asked for before the pid was known.
    """

    routing_id: bytes
    token: bytes
    fork: Fork
    job: Job | None
    server_pid: int = 0
    process: OsProcess | None = None
    has_greeted: bool = False
    last_words: ExitReason | None = None
    outbox: list[ToProcess] = field(default_factory=list)
    kill_when_known: bool = False
    has_ended: bool = False

    @property
    def pid(self) -> int:
        """OS pid; 0 until it is known."""
        return self.fork.pid or 0
