"""What LMDB's errors and a file on the disk mean to a user."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import lmdb

from wippy.core.units import format_bytes
from wippy.errors import Internal, Invalid, NotFound, PermissionDenied, Unavailable, WippyError

DATA = "data.mdb"
LOCK = "lock.mdb"

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
NEARLY_FULL_BYTES = 16 * 2**20
"""LMDB reports a write that was cut short as EIO; with less than this free, that is a full disk."""

_CHECK_TIMEOUT_S = 60.0
_READ_ALL = """
import sys, lmdb
env = lmdb.open(sys.argv[1], readonly=True, lock=False, max_dbs=64)
with env.begin() as txn:
    for name, _ in txn.cursor():
        for _ in txn.cursor(env.open_db(name, txn=txn, create=False)):
            pass
"""


def explain(error: lmdb.Error | OSError, folder: Path) -> WippyError:
    """Return what went wrong with the database in `folder`, in words with a remedy."""
    code = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
    if code in FULL or (code == errno.EIO and free_bytes(folder) < NEARLY_FULL_BYTES):
        return Unavailable(
            f"no room on the disk for {folder} ({error}; {format_bytes(free_bytes(folder))} free); "
            "make room, nothing that was stored is lost"
        )
    if code == errno.EIO:
        return Unavailable(f"the disk of {folder} fails ({error}); see the kernel's log (dmesg)")
    if code in DENIED:
        return PermissionDenied(
            f"{folder} cannot be written by uid {os.geteuid()} ({error}); check its owner and mode"
        )
    if code in {errno.ENOTDIR, errno.EEXIST}:
        return Invalid(f"{folder} is no folder ({error}); move it away or choose another folder")
    if code == errno.ENOENT:
        return NotFound(f"{folder}: no such folder ({error})")
    return _explain_lmdb(error, folder)


def _explain_lmdb(error: lmdb.Error | OSError, folder: Path) -> WippyError:
    match error:
        case lmdb.VersionMismatchError():
            return Invalid(f"{folder / DATA} was written by another version of LMDB ({error})")
        case lmdb.InvalidError() | lmdb.CorruptedError() | lmdb.PageNotFoundError():
            return damaged(folder, str(error))
        case lmdb.ReadersFullError() | lmdb.MemoryError():
            return Unavailable(f"{folder} cannot be read now ({error})")
        case _:
            return Internal(f"{folder}: {type(error).__name__}: {error}")


def damaged(folder: Path, detail: str) -> Invalid:
    """Return the error for a database that cannot be trusted."""
    return Invalid(
        f"{folder / DATA} is damaged ({detail}); put a backup in its place, "
        "or move the folder away to begin with an empty one"
    )


def free_bytes(folder: Path) -> int:
    """Return the bytes a user may still write on the disk of `folder`; 0 where that is unknown."""
    for place in (folder, *folder.parents):
        try:
            disk = os.statvfs(place)
        except OSError:
            continue  # not there (yet): its parent lies on the same disk
        return disk.f_bavail * disk.f_frsize
    return 0


def check_length(env: lmdb.Environment, folder: Path) -> None:
    """Raise `Invalid` if the file has lost its end.

    Reading past the end of a mapped file is SIGBUS, which no process survives, so it is looked at
    before any page is. A shorter file may still be whole (LMDB need not write free pages at its
    end): then another process reads it all first.
    """
    expected = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    actual = (folder / DATA).stat().st_size
    if actual < expected and not _is_readable_throughout(folder):
        raise damaged(folder, f"{actual} bytes where its own table says {expected}")


def _is_readable_throughout(folder: Path) -> bool:
    command = [sys.executable, "-c", _READ_ALL, str(folder)]
    try:
        # Fixed argv, our own interpreter; the only input is the folder's name.
        done = subprocess.run(command, capture_output=True, timeout=_CHECK_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
