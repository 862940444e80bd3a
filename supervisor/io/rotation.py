"""Rotating a log that its writer holds open, without losing or doubling a line.

A child writes its log itself, through a descriptor opened with O_APPEND, so renaming the file
would move the child along, and truncating it would lose what came in between. Instead the front
of the file is copied to `path.1` and then cut off in place, while the child keeps appending:

    collapse   FALLOC_FL_COLLAPSE_RANGE (ext4, xfs): whole blocks vanish, the rest moves to the
               front. A line that crosses the cut goes to the copy whole; what is left of it at
               the front of the file is blanked: spaces, then a line end.
    punch      FALLOC_FL_PUNCH_HOLE (tmpfs, btrfs, ...): offsets stay, and the front becomes a
               hole that takes no room. It ends at a line end; readers skip it.

Every step takes the inode's lock, as each append does, so a write is before or after the cut,
never astride (fallocate(2)). Not a byte is gone at any moment: a root killed between copy and cut
leaves the copy in `path.rotating`, which the next rotation keeps; lines may then be there twice.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from pathlib import Path

from wippy.errors import Unavailable

_KEEP_SIZE, _PUNCH_HOLE, _COLLAPSE_RANGE = 0x01, 0x02, 0x08
_NOT_HERE = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""Not this mode on this filesystem; EINVAL: blocks larger than it says (bigalloc clusters)."""

MAX_LINE_BYTES = 64 * 2**10
"""A line longer than this may be cut in two."""

_COPY_BYTES = 2**20


def rotate(path: str | os.PathLike[str], *, max_bytes: int, backups: int) -> bool:
    """Move the front of the log at `path` to `path.1` if it holds more than `max_bytes`.

    It blocks on the disk: for a thread. Only one rotation of a path may run at a time.

    Args:
        path: The log; a missing one, or one that is no regular file, is left alone.
        max_bytes: Size that is still left alone.
        backups: Files `path.1` (newest) to `path.<backups>` kept; 0 throws the front away.

    Returns:
        Whether it was rotated.

    Raises:
        OSError: The disk is full, or the like; the log is as it was.
        Unavailable: The filesystem can cut neither way; the log is as it was.
    """
    path = os.fspath(path)
    fd = _open_log(path)
    if fd is None:
        return False
    try:
        start = data_start(fd)
        end = os.fstat(fd).st_size
        if end - start <= max_bytes:
            return False
        cut = _cut_at(fd, start, end)
        if cut is None:
            return False
        _rotate_to(path, fd, start, cut, backups)
    finally:
        os.close(fd)
    return True


def data_start(fd: int) -> int:
    """Return the offset of the first byte in `fd` that is not part of a punched front."""
    try:
        start = os.lseek(fd, 0, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole, or empty
            return os.fstat(fd).st_size
        raise
    # The block in which the hole ends is there, with zeros up to that end.
    while block := os.pread(fd, 4096, start):
        rest = block.lstrip(b"\0")
        start += len(block) - len(rest)
        if rest:
            break
    return start


def front_blank_bytes(head: bytes) -> int:
    """Return the length of the blanked rest of a line at the front of a rotated log."""
    blank = len(head) - len(head.lstrip(b" "))
    return blank + 1 if head[blank : blank + 1] == b"\n" else 0


def _open_log(path: str) -> int | None:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return None


def _cut_at(fd: int, start: int, end: int) -> tuple[int, int] | None:
    """Return (block-aligned cut, end of the line that crosses it), or None if nothing fits.

    Collapsing may not reach the end of the file, so at least a byte stays behind the cut.
    """
    block = os.fstatvfs(fd).f_bsize
    cut = (end - 1) // block * block
    lowest = max(start + 1, end - 2 * MAX_LINE_BYTES)
    while cut >= lowest:
        crossing = os.pread(fd, min(MAX_LINE_BYTES, end - cut + 1), cut - 1)
        newline = crossing.find(b"\n")
        if newline >= 0:
            return cut, cut + newline
        cut -= block
    # One line without an end fills all that was searched: cut it in two.
    cut = (end - 1) // block * block
    return (cut, cut) if cut > start else None


def _rotate_to(path: str, fd: int, start: int, cut: tuple[int, int], backups: int) -> None:
    block_end, line_end = cut
    pending = f"{path}.rotating"
    if backups:
        if os.path.exists(pending):  # of a root that was killed here; it may be the only copy
            _shift(path, pending, backups)
        # Before the copy: the disk holds one file less at the worst moment.
        _remove(f"{path}.{backups}")
        _copy(fd, pending, start, line_end)
    try:
        is_cut = _collapse(fd, block_end, line_end) or _punch(fd, line_end)
    except OSError:
        _remove(pending)
        raise
    if not is_cut:
        _remove(pending)
        raise Unavailable(
            f"{path} cannot be rotated: its filesystem supports neither collapsing nor punching; "
            "put log_dir on ext4, xfs, btrfs or tmpfs"
        )
    if backups:
        _shift(path, pending, backups)


def _collapse(fd: int, block_end: int, line_end: int) -> bool:
    if not _fallocate(fd, _COLLAPSE_RANGE, 0, block_end):
        return False
    left = line_end - block_end
    if left:  # the end of a line that the copy has whole; its own line end is the last byte
        # The cut is made, and the copy must be kept: a failure here only leaves half a line.
        with contextlib.suppress(OSError):
            os.pwrite(fd, b" " * (left - 1), 0)
    return True


def _punch(fd: int, line_end: int) -> bool:
    return _fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, 0, line_end)


def _copy(fd: int, target: str, start: int, end: int) -> None:
    """Write bytes [start, end) to `target`, or nothing at all."""
    log = os.fstat(fd)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    out = os.open(target, flags, stat.S_IMODE(log.st_mode))
    try:
        os.fchmod(out, stat.S_IMODE(log.st_mode))
        if log.st_uid != os.geteuid():  # a child that runs as another user, in a root's folder
            with contextlib.suppress(PermissionError):
                os.fchown(out, log.st_uid, log.st_gid)
        head = os.pread(fd, MAX_LINE_BYTES, start)
        at = start + (front_blank_bytes(head) if start == 0 else 0)
        while at < end:
            copied = os.sendfile(out, fd, at, min(_COPY_BYTES, end - at))
            if copied == 0:
                raise OSError(errno.EIO, "the log became shorter while it was copied", target)
            at += copied
    except OSError:
        _remove(target)
        raise
    finally:
        os.close(out)


def _shift(path: str, pending: str, backups: int) -> None:
    for number in range(backups - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    os.replace(pending, f"{path}.1")


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def _fallocate(fd: int, mode: int, offset: int, length: int) -> bool:
    """Call fallocate(2); False if the filesystem does not know `mode`."""
    while _libc.fallocate(fd, mode, offset, length) != 0:
        number = ctypes.get_errno()
        if number in _NOT_HERE:
            return False
        if number != errno.EINTR:
            raise OSError(number, f"fallocate: {os.strerror(number)}")
    return True
