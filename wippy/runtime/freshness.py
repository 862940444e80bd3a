"""Whether preloaded user code is still what lies on the disk.

The forkserver imports user modules once, for all its forks. A fork that is to run user code first
looks whether one of those files has changed since; if so it runs nothing and says `Stale`.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType

import msgspec

INSTALLED = tuple(
    f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
"""Folders of what is installed and not edited: hundreds of files that need no look at each start,
unless the preloaded module itself lies there."""


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
        stamps: The files of the user modules, by path.
        failed: Modules that could not be imported.
    """

    in_pid: int | None = None
    stamps: dict[str, Stamp] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


preloaded = Preloaded()


def is_preloaded() -> bool:
    """Say whether this process was forked from one that had preloaded the runtime."""
    return preloaded.in_pid is not None and preloaded.in_pid != os.getpid()


def record(module: str, *, known: frozenset[str], began_ns: int) -> None:
    """Remember the files of `module`, of its submodules, and of the user modules it imported.

    Args:
        module: Name of an imported module.
        known: Names of the modules that were there before.
        began_ns: Wall-clock time before the import. A file written since may have changed while
            it was read, so it counts as changed.
    """
    for name, path in _files_of(module, known):
        status = os.stat(path)
        mtime_ns = status.st_mtime_ns if status.st_mtime_ns < began_ns else -1
        preloaded.stamps[path] = Stamp(name, path, mtime_ns, status.st_size)


def find_stale() -> str | None:
    """Return the name of a preloaded module whose file has changed, or None."""
    return next((stamp.module for stamp in preloaded.stamps.values() if _has_changed(stamp)), None)


def _has_changed(stamp: Stamp) -> bool:
    try:
        status = os.stat(stamp.path)
    except OSError:
        # Gone, or no longer ours to see: importing it now would not give what we have.
        return True
    return (status.st_mtime_ns, status.st_size) != (stamp.mtime_ns, stamp.size_bytes)


def forget(known: frozenset[str]) -> None:
    """Take out what a failed import has left behind: it is imported again when it is needed."""
    for name, path in list(_new_user_modules(known)):
        if path not in preloaded.stamps:
            del sys.modules[name]


def _files_of(module: str, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (name, file): what lies in the package's folder, and new user modules anywhere."""
    top = sys.modules[module]
    folders = tuple(f"{folder}{os.sep}" for folder in getattr(top, "__path__", ()))
    for name, loaded in list(sys.modules.items()):
        path = _file_of(loaded)
        if path and (name == module or (folders and path.startswith(folders))):
            yield name, path
    yield from _new_user_modules(known)


def _new_user_modules(known: frozenset[str]) -> Iterator[tuple[str, str]]:
    for name, loaded in list(sys.modules.items()):
        path = _file_of(loaded)
        if path and name not in known and not path.startswith(INSTALLED):
            yield name, path


def _file_of(module: ModuleType) -> str | None:
    path = getattr(module, "__file__", None)
    return path if isinstance(path, str) else None
