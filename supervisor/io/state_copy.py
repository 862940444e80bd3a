"""A copy of the state of a stopped node. While one runs its keeper makes the copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import lmdb

from supervisor.io.lmdb_env import sync_path
from supervisor.io.lmdb_errors import DATA, explain
from supervisor.io.state_layout import state_folder
from supervisor.io.state_lock import StateLock
from wippy.core.registry import STATE_FOLDER
from wippy.errors import AlreadyExists, NotFound


def copy_stopped_state(state_dir: Path, target: Path) -> int:
    """Copy the state environment as it is into the new folder `target`; return the size in bytes.

    Nothing is migrated, so that the copy is one that the older program still reads. The state
    folder is locked meanwhile: no runtime can start from it. The copy is on the disk on return,
    and `target` is whole or not there.

    Raises:
        AlreadyExists: `target` is already there; or a runtime holds the state folder.
        NotFound: There is no state to copy.
        Unavailable: No room on the disk.
        PermissionDenied: Not this user's.
    """
    source = state_folder(state_dir)
    if target.exists():
        raise AlreadyExists(f"{target} is already there; name a new folder for the backup")
    if not (source / DATA).exists():
        raise NotFound(f"there is no state in {state_dir}: no node has run with it")
    lock = StateLock.acquire(state_dir)
    partial = target.with_name(f"{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a copy that was killed
        (partial / STATE_FOLDER).mkdir(parents=True, mode=0o700)
        partial.chmod(0o700)
        _copy(source, partial / STATE_FOLDER)
        partial.rename(target)
        sync_path(target.parent)
        return (target / STATE_FOLDER / DATA).stat().st_size
    except (lmdb.Error, OSError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise explain(error, target) from error
    finally:
        lock.release()


def _copy(source: Path, target: Path) -> None:
    with lmdb.open(str(source), readonly=True, create=False) as environment:
        environment.copy(str(target))
    for path in (target / DATA, target, target.parent):
        sync_path(path)
