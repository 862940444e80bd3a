"""The lock of a state folder: one runtime at a time.

It is a flock(2) on `<state>/lock`. Such a lock belongs to the open file, not to the process: the
guardian takes it and lets each root inherit the descriptor, so it holds while either of them
lives, and the kernel frees it with the last, however they die. This module imports almost
nothing, since the guardian must stay small.
"""

from __future__ import annotations

import errno
import fcntl
import os

from wippy.errors import AlreadyExists, Invalid, PermissionDenied, Unavailable, WippyError

LOCK_NAME = "lock"
MAX_HOLDER_BYTES = 4096


class StateLock:
    """A held lock; `release`, or the death of every process that holds its descriptor, ends it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, state_dir: str | os.PathLike[str], *, name: str = LOCK_NAME) -> StateLock:
        """Lock `state_dir` (made with mode 0700 if it is not there), without waiting.

        Raises:
            AlreadyExists: Another runtime holds it; the message says its pid and command.
            PermissionDenied: The folder cannot be written by this user.
            Invalid: It is no folder.
            Unavailable: No room on the disk.
        """
        folder = os.fspath(state_dir)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            fd = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _explain(error, folder) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _read_holder(fd)
            os.close(fd)
            if error.errno != errno.EWOULDBLOCK:
                raise _explain(error, folder) from error
            raise AlreadyExists(_in_use(folder, holder)) from None
        _write_holder(fd)
        return cls(fd)

    @classmethod
    def adopt(cls, fd: int) -> StateLock:
        """Return the lock that was inherited as descriptor `fd`.

        Raises:
            Invalid: `fd` is not open, or is not a lock that this process shares.
        """
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # on a shared open file: does nothing
            os.set_inheritable(fd, False)
        except OSError as error:
            raise Invalid(f"descriptor {fd} is no inherited lock ({error.strerror})") from error
        return cls(fd)

    def fileno(self) -> int:
        """Return the descriptor: pass it to a process that is to hold the lock too."""
        return self._fd

    def release(self) -> None:
        """Let go of it here; it stays held while another process has the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _write_holder(fd: int) -> None:
    text = f"{os.getpid()}\n{_command(os.getpid())}\n".encode(errors="replace")
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, text[:MAX_HOLDER_BYTES], 0)
    except OSError as error:
        # The lock holds without its note; on a full disk the runtime must still start.
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise


def _read_holder(fd: int) -> tuple[str, str]:
    """Return (pid, command) as the holder wrote them; empty where it has not (yet)."""
    lines = os.pread(fd, MAX_HOLDER_BYTES, 0).decode(errors="replace").splitlines()
    pid, command = (*lines, "", "")[:2]
    return (pid if pid.isdigit() else "", command)


def _in_use(folder: str, holder: tuple[str, str]) -> str:
    pid, command = holder
    if not pid:
        who = "pid unknown"
    elif os.path.exists(f"/proc/{pid}"):
        who = f"pid {pid}: {command}" if command else f"pid {pid}"
    else:
        who = f"pid {pid} is gone, but what it started still runs"
    return (
        f"state folder {folder} is in use by another runtime ({who}); "
        "stop that one (wippy-supervisor stop), or choose another with --state-dir"
    )


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(MAX_HOLDER_BYTES).rstrip(b"\0").split(b"\0")
    except OSError:
        return ""  # no /proc: the pid alone has to do
    return b" ".join(words).decode(errors="replace").replace("\n", " ")


def _explain(error: OSError, folder: str) -> WippyError:
    detail = f"state folder {folder}: {error.strerror}"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return PermissionDenied(
            f"{detail} (uid {os.geteuid()}); check its owner and mode, or choose --state-dir"
        )
    if error.errno in {errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}:
        return Invalid(f"{detail}; choose another with --state-dir")
    return Unavailable(f"{detail}; make room or choose another with --state-dir")
