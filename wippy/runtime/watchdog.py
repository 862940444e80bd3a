"""Watches the root from a thread that does not need the event loop.

A process without a root must not live on: nobody would restart, stop or even see it. At the
root's death the loop is asked to stop in order; at the end of `orphan_timeout_s` the whole process
group is killed, so that a blocked loop cannot keep an orphan alive (supervision.md section 7).
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import time
from collections.abc import Callable

AT_FIRST_MS = 20
"""A first step of user code that takes longer must not keep the root waiting for `Ready`."""


def watch_root(
    root_pid: int,
    *,
    orphan_timeout_s: float,
    on_death: Callable[[], None],
    at_first: Callable[[], None],
) -> None:
    """Watch the process `root_pid` for the rest of this one's life.

    Args:
        root_pid: Whose death ends this process. If it is gone already, so is this one.
        orphan_timeout_s: Time to end in order, seconds; then comes SIGKILL.
        on_death: Asks the loop to stop; called in the watching thread.
        at_first: Called in the watching thread after `AT_FIRST_MS`.
    """
    try:
        pidfd = os.pidfd_open(root_pid)
    except ProcessLookupError:
        kill_own_group()
        return
    # The low-level start does not wait for the thread's first step: this is on the way to the
    # first line of user code.
    _thread.start_new_thread(_watch, (root_pid, pidfd, orphan_timeout_s, on_death, at_first))


def kill_own_group() -> None:
    """SIGKILL this process and what it started in its process group."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def start_time_ticks(pid: int) -> int:
    """Return when `pid` was started, in clock ticks since the machine's start (proc(5), stat)."""
    with open(f"/proc/{pid}/stat", "rb") as stat:
        # The name is in parentheses and may hold any byte, so count from its end: field 22.
        return int(stat.read().rpartition(b")")[2].split()[19])


def _watch(
    root_pid: int,
    pidfd: int,
    orphan_timeout_s: float,
    on_death: Callable[[], None],
    at_first: Callable[[], None],
) -> None:
    if not _is_stranger(root_pid):
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(AT_FIRST_MS):
            at_first()
            poll.poll()
    on_death()
    time.sleep(orphan_timeout_s)
    kill_own_group()


def _is_stranger(root_pid: int) -> bool:
    """Say whether the number was reused: our root was there before us."""
    try:
        return start_time_ticks(root_pid) > start_time_ticks(os.getpid())
    except OSError:
        # Hidden (hidepid) or just gone: the pidfd tells.
        return False
