"""One OS process, held by a pidfd, so that a signal can only ever reach that very process.

A pid number is reused by the kernel; a pidfd is not. Identity (boot id, pid, start time) is what
outlives a root and is written down; it is compared *after* the pidfd was opened, and the pidfd is
then seen to be still valid, so that the two belong together (pidfd_open(2)).
"""

from __future__ import annotations

import errno
import functools
import os
import select
import signal
from collections.abc import Container
from typing import NamedTuple

import msgspec

from wippy.errors import PermissionDenied, Unavailable

PIDFD_SIGNAL_PROCESS_GROUP = 4
"""pidfd_send_signal(2), Linux 6.9: the group whose id is the pidfd's pid."""

_GONE = {errno.ESRCH, errno.EINVAL, errno.ENOENT}
"""pidfd_open(2): no such process, or a thread that leads none."""

_ENDED_STATES = {"Z", "X"}


class Identity(msgspec.Struct, frozen=True):
    """What no two processes ever share.

    Attributes:
        boot_id: Of the kernel that runs (/proc/sys/kernel/random/boot_id).
        pid: OS pid.
        start_ticks: Start time, clock ticks since boot (proc(5), field 22 of stat).
    """

    boot_id: str
    pid: int
    start_ticks: int


def identity_of(pid: int) -> Identity | None:
    """Return the identity of the process that has `pid` now (a zombie too), or None."""
    stat = read_stat(pid)
    return None if stat is None else Identity(boot_id(), pid, stat.start_ticks)


class Stat(NamedTuple):
    """What we use of /proc/<pid>/stat (proc(5)); a tuple, as 500 are made for each sample.

    Attributes:
        state: One letter.
        parent: Pid of the parent.
        session: Session id.
        cpu_ticks: User and system time of all threads, clock ticks.
        start_ticks: Start time, clock ticks since boot.
        memory_pages: Resident pages.
    """

    state: str
    parent: int
    session: int
    cpu_ticks: int
    start_ticks: int
    memory_pages: int


def read_stat(pid: int) -> Stat | None:
    """Return the figures of `pid` from /proc, or None if there is no such process."""
    try:
        # os.open, not open(): a quarter of the time, and this is read 500 times a sample.
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            line = os.read(fd, 1024)
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may itself contain spaces and parentheses: the last one counts.
    field = line[line.rindex(b")") + 2 :].split(None, 22)
    return Stat(
        state=field[0].decode(),
        parent=int(field[1]),
        session=int(field[3]),
        cpu_ticks=int(field[11]) + int(field[12]),
        start_ticks=int(field[19]),
        memory_pages=int(field[21]),
    )


@functools.cache
def boot_id() -> str:
    """Return the id of this boot; it tells pids of an earlier boot from today's."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


class OsProcess:
    """One OS process; made by `open` or `open_verified`, freed by `close`.

    Attributes:
        pid: OS pid.
        identity: What it is compared by.
    """

    def __init__(self, pidfd: int, identity: Identity) -> None:
        self._pidfd = pidfd
        self.identity = identity
        self.pid = identity.pid

    @classmethod
    def open(cls, pid: int) -> OsProcess | None:
        """Return the process that has `pid` now (a zombie too), or None if there is none.

        Raises:
            Unavailable: Out of file descriptors.
        """
        pidfd = _open_pidfd(pid)
        if pidfd is None:
            return None
        identity = identity_of(pid)
        # Not reaped yet after the identity was read: so it was its own that was read.
        if identity is None or not _exists(pidfd):
            os.close(pidfd)
            return None
        return cls(pidfd, identity)

    @classmethod
    def open_verified(cls, identity: Identity) -> OsProcess | None:
        """Return the process that `identity` was written down for, or None if it is gone.

        A stranger that has the pid today is never returned, and so never signalled.
        """
        process = cls.open(identity.pid)
        if process is not None and process.identity != identity:
            process.close()
            return None
        return process

    def fileno(self) -> int:
        """Return the pidfd, readable once the process has ended (a zombie has); -1 if closed."""
        return self._pidfd

    def has_ended(self) -> bool:
        """Say whether the process has ended, reaped or not."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def signal(self, number: int) -> bool:
        """Send signal `number`; False if the process has ended (a zombie takes no signal).

        Raises:
            PermissionDenied: The process runs as another user.
        """
        return not self.has_ended() and self._send(number, flags=0)

    def signal_group(self, number: int) -> bool:
        """Send signal `number` to the whole process group that the process leads, or led.

        Exact even after the leader was reaped. A process that leads no group yet (it was forked
        a moment ago) gets the signal alone.

        Returns:
            Whether there was anybody to get it (a leader that is still a zombie counts).

        Raises:
            PermissionDenied: No member may be signalled.
        """
        try:
            sent = self._send(number, flags=PIDFD_SIGNAL_PROCESS_GROUP)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            sent = self._kill_group(number)
        return sent or self.signal(number)

    def os_state(self) -> str:
        """Return the state letter of proc(5): R, S, D, T, Z...; empty if it is gone."""
        stat = read_stat(self.pid)
        if stat is None or stat.start_ticks != self.identity.start_ticks:
            return ""
        return stat.state

    def close(self) -> None:
        """Give the pidfd back; may be repeated."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def _send(self, number: int, *, flags: int) -> bool:
        try:
            signal.pidfd_send_signal(self._pidfd, number, None, flags)
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise PermissionDenied(
                f"signal {number} to pid {self.pid} is not permitted: it runs as another user"
            ) from error
        return True

    def _kill_group(self, number: int) -> bool:
        """Before Linux 6.9: by number, and only while the leader (or its zombie) holds it."""
        if identity_of(self.pid) != self.identity:
            return False
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise PermissionDenied(
                f"signal {number} to process group {self.pid} is not permitted"
            ) from error
        return True


def session_members(session_ids: Container[int]) -> list[int]:
    """Return the pids of the running processes whose session is one of `session_ids`.

    Zombies are left out. It walks /proc: about 1 µs for each process of the machine.
    """
    members = []
    for pid in all_pids():
        try:
            session = os.getsid(pid)
        except ProcessLookupError:
            continue
        if session in session_ids and not _is_zombie(pid):
            members.append(pid)
    return members


def all_pids() -> list[int]:
    """Return the pid of every process that can be seen."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_zombie(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is None or stat.state in _ENDED_STATES


def _open_pidfd(pid: int) -> int | None:
    if pid <= 0:  # pidfd_open would say EINVAL; a pid of 0 comes from a child that has none yet
        return None
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise Unavailable(f"cannot watch pid {pid}: {error.strerror}") from error


def _exists(pidfd: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
