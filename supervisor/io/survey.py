"""What a configuration is read from, without reading it: which files, and in which state.

Two surveys that are equal mean that reading again would read the same. Nothing is missed that way:
a notification that is lost, or about a file that does not matter, changes no survey.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator

import msgspec

SUFFIXES = (".yaml", ".yml")
MAX_FOLDERS = 4096
"""Folders of one configuration that are watched; others are looked at now and then."""
MAX_LINKS = 40
"""As many symbolic links as the kernel follows in one path (path_resolution(7))."""

File = tuple[str, int, int, int, int]
"""Path, device, inode, size in bytes, time of the last change of content or name (ns)."""
Folder = tuple[str, int, int]
"""Path, device, inode: one that was deleted and made again is another one."""


class Survey(msgspec.Struct, frozen=True):
    """A configuration as it is on the disk.

    Attributes:
        files: Its files, and the sources that they name, in the order of their paths.
        folders: Where a change of it would be noticed: its folders, those of the sources, and
            those that hold a link on the way to it.
    """

    files: tuple[File, ...]
    folders: frozenset[Folder]

    @property
    def digest(self) -> str:
        """The state of the files as a short text."""
        return hashlib.sha256(repr(self.files).encode(errors="surrogateescape")).hexdigest()[:32]

    def newest_ns(self) -> int:
        """Return when the last of the files was changed, UTC in nanoseconds; 0 without any."""
        return max((file[4] for file in self.files), default=0)


def survey(path: str, sources: Iterable[str] = ()) -> Survey:
    """Look at the configuration at `path` (absolute; links in it are followed anew each time).

    What is not there, or cannot be looked at, is not in the survey: it is no error.

    Args:
        path: A folder, or one file.
        sources: The source files that its entries name, absolute.
    """
    folders = list(_folders(path))
    names = {path, *sources}
    for folder in folders:
        names.update(_in_folder(folder))
    files = [file for file in map(_file, sorted(names)) if file is not None]
    beside = [_nearest(os.path.dirname(name)) for name in (path, *sources)]
    linked = [path, *(file[0] for file in files if os.path.islink(file[0]))]
    holding = [folder for name in linked for folder in _holding(name)]
    watched = map(_identity, (*folders[:MAX_FOLDERS], *beside, *holding))
    return Survey(
        files=tuple(files),
        folders=frozenset(folder for folder in watched if folder is not None),
    )


def links_to(path: str) -> Iterator[str]:
    """Yield the symbolic links on the way to `path`, itself included: swapping one of them puts
    another configuration in its place."""
    waiting, here, seen = [part for part in path.split("/") if part][::-1], "/", 0
    while waiting and seen < MAX_LINKS:
        part = waiting.pop()
        step = os.path.normpath(os.path.join(here, part))
        try:
            target = os.readlink(step)
        except OSError:
            here = step  # no link, or nothing
            continue
        seen += 1
        yield step
        here = "/" if target.startswith("/") else here
        waiting += [name for name in target.split("/") if name not in {"", "."}][::-1]


def _holding(name: str) -> list[str]:
    """Return the folders in which something decides what `name` is: its links, and what it is."""
    return [*map(os.path.dirname, links_to(name)), os.path.dirname(os.path.realpath(name))]


def _nearest(folder: str) -> str:
    """Return the folder, or the nearest above it that is there: it may come back."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _folders(path: str) -> Iterator[str]:
    """Yield the folders of a configuration, as they are read: hidden ones are not."""
    for folder, names, _ in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield folder


def _in_folder(folder: str) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return  # gone since it was listed, or not ours to read: reading says so
    for name in names:
        if name.endswith(SUFFIXES) and not name.startswith("."):
            yield os.path.join(folder, name)


def _file(name: str) -> File | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    if stat.S_ISDIR(found.st_mode):
        # Its files are told one by one; that it is there at all is what counts here.
        return (name, found.st_dev, 0, 0, 0)
    return (name, found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns)


def _identity(name: str) -> Folder | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return (name, found.st_dev, found.st_ino)
