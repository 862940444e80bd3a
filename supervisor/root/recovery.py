"""Death of the root: what the root before this one left running is ended before anything starts.

Only processes whose identity (boot, pid, start time) matches the process table are touched, held
by a pidfd that was opened before the identity was checked. Python processes watch the root
themselves and are ending already; foreign programs are asked with their stop signal. What has not
ended in time is killed with its group, and so is what is left of their sessions. Nothing is started
before all of it is confirmed dead: there are never two of an id.
"""

from __future__ import annotations

import os
import select
import signal
import time

import msgspec

from supervisor.io.os_process import Identity, OsProcess, session_members
from supervisor.io.process_table import ProcessRow, ProcessTable
from supervisor.io.subreaper import reap

MAX_GRACE_S = 10.0
"""However long their stop timeouts are: nothing runs while leftovers are waited for."""
KILL_WAIT_S = 5.0


class Recovered(msgspec.Struct, frozen=True):
    """What was found and what became of it.

    Attributes:
        found: Processes of the root before that still ran.
        killed: Those of them that needed SIGKILL.
        survivors: Pids that survived even that; their ids must not be started.
        stuck_ids: Child ids of the survivors.
    """

    found: int = 0
    killed: int = 0
    survivors: tuple[int, ...] = ()
    stuck_ids: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Return it in words."""
        if not self.found:
            return "nothing of the root before was left running"
        text = f"{self.found} processes of the root before were still running and have ended"
        if self.killed:
            text += f", {self.killed} of them by SIGKILL"
        if self.survivors:
            text += f"; pids {', '.join(map(str, self.survivors))} survived"
        return text


def end_leftovers(table: ProcessTable, max_grace_s: float = MAX_GRACE_S) -> Recovered:
    """End what the table names and what is still the same process; clear the table."""
    rows = table.rows()
    living = {row.pid: held for row in rows if (held := _hold(row)) is not None}
    for row in rows:
        if row.is_foreign and row.pid in living:
            living[row.pid].signal(row.stop_signal)
    found = len(living)
    killed = _see_off(rows, living, max_grace_s)
    _end_sessions(rows)
    _wait_for(living, KILL_WAIT_S)
    for row in rows:
        if row.pid not in living:
            table.delete(row.child_id, row.generation)
    stuck = tuple(row.child_id for row in rows if row.pid in living)
    return Recovered(found=found, killed=killed, survivors=tuple(living), stuck_ids=stuck)


def _see_off(rows: list[ProcessRow], living: dict[int, OsProcess], max_grace_s: float) -> int:
    """Wait for each as long as it may take to stop, then kill it; return how many were killed."""
    begun_s = time.monotonic()
    killed = 0
    for row in sorted(rows, key=lambda row: row.stop_timeout_s):
        due_s = begun_s + min(row.stop_timeout_s, max_grace_s)
        _wait_for(living, due_s - time.monotonic())
        if row.pid in living:
            killed += 1
            living[row.pid].signal_group(signal.SIGKILL)
            living[row.pid].signal(signal.SIGKILL)
    return killed


def _hold(row: ProcessRow) -> OsProcess | None:
    identity = Identity(boot_id=row.boot_id, pid=row.pid, start_ticks=row.start_ticks)
    process = OsProcess.open_verified(identity)
    if process is not None and process.has_ended():
        process.close()
        return None
    return process


def _wait_for(living: dict[int, OsProcess], timeout_s: float) -> None:
    """Wait until all have ended; those that have are taken out."""
    deadline_s = time.monotonic() + timeout_s
    while living:
        poller = select.poll()
        for process in living.values():
            poller.register(process.fileno(), select.POLLIN)
        poller.poll(max(0.0, deadline_s - time.monotonic()) * 1000)
        for pid, process in list(living.items()):
            if process.has_ended():
                reap(process)
                process.close()
                del living[pid]
        if time.monotonic() >= deadline_s:
            return


def _end_sessions(rows: list[ProcessRow]) -> None:
    """Kill what is left of the sessions that the rows led.

    A session id is not given to a new process while a member of the session lives, so a member
    that is older than the row's process, or the row's number used by a stranger's session, would
    show: its leader's identity differs from the row's.
    """
    sessions = {row.pid: row for row in rows}
    for pid in session_members(sessions):
        process = OsProcess.open(pid)
        if process is None:
            continue
        try:
            row = sessions.get(os.getsid(pid))
            if row is not None and process.identity.start_ticks >= row.start_ticks:
                leader = OsProcess.open(row.pid)
                is_stranger = leader is not None and (
                    leader.identity.start_ticks != row.start_ticks
                )
                if leader is not None:
                    leader.close()
                if not is_stranger:
                    process.signal(signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            process.close()
