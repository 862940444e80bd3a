"""The root as parent of last resort (PR_SET_CHILD_SUBREAPER, prctl(2)).

What the forkserver forked comes to the root when the forkserver dies, and so does a grandchild
that left its session. Each is reaped by itself: `waitpid(-1)` would steal the exit statuses that
others wait for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

from supervisor.io.os_process import OsProcess, all_pids, read_stat

_PR_SET_CHILD_SUBREAPER = 36

_claimed: set[int] = set()
"""Direct children that this process started on purpose and reaps itself."""


def become_subreaper() -> None:
    """Make this process adopt its descendants whose parents die, for the rest of its life.

    Raises:
        OSError: The kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(number)}")


def reap(process: OsProcess | int) -> int | None:
    """Reap exactly this child if it has ended; never waits.

    Args:
        process: A held process, or the pid of a direct child that nobody has reaped.

    Returns:
        The exit status (>= 0) or minus the signal's number, as `subprocess` gives it; None while
        it runs, and for what is no child of this process (the forkserver reaps its own).
    """
    by_pidfd = isinstance(process, OsProcess)
    id_type = os.P_PIDFD if by_pidfd else os.P_PID
    number = process.fileno() if isinstance(process, OsProcess) else process
    try:
        result = os.waitid(id_type, number, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def claim(pid: int) -> None:
    """Say that somebody looks after the child `pid`, so that `orphans` leaves it out."""
    _claimed.add(pid)


def release(pid: int) -> None:
    """Take `claim` back: the child was reaped."""
    _claimed.discard(pid)


def orphans(known: set[int]) -> list[int]:
    """Return the direct children of this process, zombies too, that nobody knows.

    They are what was reparented to it: grandchildren that escaped, children of a forkserver that
    died. Left out are `known` (pids) and what was claimed (`claim`).
    """
    return [pid for pid in _children() if pid not in known and pid not in _claimed]


def _children() -> list[int]:
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        return _children_by_scan()
    pids: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            text = Path(f"/proc/self/task/{thread}/children").read_text("ascii")
            pids.extend(map(int, text.split()))
    return pids


def _children_by_scan() -> list[int]:
    """For kernels without CONFIG_PROC_CHILDREN: 6 µs for each process of the machine."""
    me = os.getpid()
    stats = ((pid, read_stat(pid)) for pid in all_pids())
    return [pid for pid, stat in stats if stat is not None and stat.parent == me]
