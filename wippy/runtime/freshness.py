"""Whether preloaded user code is still what lies on the disk.

The forkserver imports user modules once, for all its forks. A fork that is to run user code first
looks whether one of those files has changed since; if so it runs nothing and says `Stale`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType

import msgspec


class Stamp(msgspec.Struct, frozen=True):
    """A file as it was when it was imported."""

    module: str
    path: str
    mtime_ns: int
    size_bytes: int


@dataclass(slots=True)
class Preloaded:
    """What the forkserver imported ahead, as its forks find it.

    Attributes:
        in_pid: The process that did it; None where nothing was preloaded.
        stamps: The files of the user modules.
        failed: Modules that could not be imported.
    """

    in_pid: int | None = None
    stamps: list[Stamp] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


preloaded = Preloaded()


def is_preloaded() -> bool:
    """Say whether this process was forked from one that had preloaded the runtime."""
    return preloaded.in_pid is not None and preloaded.in_pid != os.getpid()


def record(module: str, *, began_ns: int) -> None:
    """Remember the files of `module` and of its submodules.

    Args:
        module: Name of an imported module.
        began_ns: Wall-clock time before the import. A file written since may have changed while
            it was read, so it counts as changed.
    """
    for name, path in _files_of(module):
        status = os.stat(path)
        mtime_ns = status.st_mtime_ns if status.st_mtime_ns < began_ns else -1
        preloaded.stamps.append(Stamp(name, path, mtime_ns, status.st_size))


def find_stale() -> str | None:
    """Return the name of a preloaded module whose file has changed, or None."""
    return next((stamp.module for stamp in preloaded.stamps if _has_changed(stamp)), None)


def _has_changed(stamp: Stamp) -> bool:
    try:
        status = os.stat(stamp.path)
    except OSError:
        # Gone, or no longer ours to see: importing it now would not give what we have.
        return True
    return (status.st_mtime_ns, status.st_size) != (stamp.mtime_ns, stamp.size_bytes)


def _files_of(module: str) -> Iterator[tuple[str, str]]:
    """Yield (name, file) of `module` and what lies in its package's folder."""
    top = sys.modules[module]
    folders = tuple(f"{folder}{os.sep}" for folder in getattr(top, "__path__", ()))
    for name, loaded in list(sys.modules.items()):
        path = _file_of(loaded)
        if path and (name == module or (folders and path.startswith(folders))):
            yield name, path


def _file_of(module: ModuleType) -> str | None:
    path = getattr(module, "__file__", None)
    return path if isinstance(path, str) else None
