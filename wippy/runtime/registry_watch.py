"""Following the registry from version to version: LMDB reads, and a hint when to read.

What was changed lies in the table of versions, so nothing is kept for a watcher, and nothing can be
missed: it reads on from where it is, whoever has died meanwhile. The root's word that there is a
newer version (`RegistryAt`) only says when to look; it is also looked now and then without it.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from itertools import islice

import msgspec

from wippy.core.pattern import Pattern
from wippy.core.registry import REGISTRY_CHANGES, decode_change_row, number_key, number_of
from wippy.errors import NotFound
from wippy.runtime.registry import RegistryReader
from wippy.runtime.registry_tables import Tables
from wippy.runtime.waiting import Waiting

PAGE_ROWS = 512
"""Rows looked at in one read: below a millisecond, so that a version of a hundred thousand changes
does not hold up the loop. So much, and no more, is in memory."""
LOOK_S = 5.0
"""Between two looks that nobody asked for: a frame may be dropped, a root may be dead."""


class ChangeDoc(msgspec.Struct, frozen=True):
    """What a version did to an entry, as encoded documents; None is "not there"."""

    version: int
    id: str
    old: bytes | None
    new: bytes | None


class Cursor(msgspec.Struct, frozen=True):
    """How far a watcher is: it has seen all up to `version`, and of the next one, in the order of
    the ids, all up to `after` (empty: nothing)."""

    version: int
    after: str = ""


class Again(enum.Enum):
    """There may be more: ask again, after others had a turn."""

    AGAIN = 1


AGAIN = Again.AGAIN


class Following:
    """Reads on from a cursor, a page at a time. Used by one task at a time.

    Args:
        reader: The registry of the process's node.
        wanted: Which entries.
        since: The version after which to begin.
        may_see: Says whether who asks may see a change; others are passed over.
    """

    __slots__ = ("_cursor", "_may_see", "_page", "_reader", "_wanted")

    def __init__(
        self,
        reader: RegistryReader,
        wanted: Pattern,
        since: int,
        may_see: Callable[[ChangeDoc], bool] = lambda _change: True,
    ) -> None:
        self._may_see = may_see
        self._reader = reader
        self._wanted = wanted
        self._cursor = Cursor(since)
        self._page: deque[ChangeDoc] = deque()

    @property
    def version(self) -> int:
        """The last version of which everything was taken."""
        return self._page[0].version - 1 if self._page else self._cursor.version

    def take(self) -> ChangeDoc | Again | None:
        """Return the next change; `Again`, when a page was read: others have their turn before it
        is asked again; None if there is none yet.

        Raises:
            NotFound: The versions that would be next were forgotten.
        """
        if self._page:
            return self._page.popleft()
        before = self._cursor
        nothing: tuple[list[ChangeDoc], Cursor] = ([], before)
        found, self._cursor = self._reader.read(
            lambda tables: read_page(tables, before, self._wanted), nothing
        )
        self._page.extend(filter(self._may_see, found))
        return None if self._cursor == before else AGAIN


def read_page(tables: Tables, cursor: Cursor, wanted: Pattern) -> tuple[list[ChangeDoc], Cursor]:
    """Return the changes that follow in the next rows, and the cursor behind them.

    Raises:
        NotFound: The versions that would be next were forgotten, or are not there yet.
    """
    current = tables.version()
    if cursor.version == current:
        return [], cursor
    check_since(tables, cursor.version)
    start = number_key(cursor.version + 1)
    if cursor.after:
        # The smallest key behind the last one that was seen.
        start += cursor.after.encode() + b"\0"
    rows = list(islice(tables.rows_from(REGISTRY_CHANGES, start), PAGE_ROWS))
    found = [change for key, row in rows if (change := _change(key, row, wanted)) is not None]
    if len(rows) < PAGE_ROWS:
        return found, Cursor(current)
    last = rows[-1][0]
    return found, Cursor(number_of(last[:8]) - 1, last[8:].decode())


def check_since(tables: Tables, version: int) -> None:
    """Raise `NotFound` where nothing can be read on behind a version."""
    current = tables.version()
    if not 0 <= version <= current:
        raise NotFound(f"the registry has no version {version}; it is at version {current}")
    first = tables.first_kept()
    if version + 1 < first:
        raise NotFound(
            f"what version {version + 1} of the registry changed was forgotten; the oldest that is "
            f"known is {first}: take registry.snapshot(), and watch from its version on"
        )


def _change(key: bytes, row: bytes, wanted: Pattern) -> ChangeDoc | None:
    entry_id = key[8:].decode()
    if not wanted.matches(entry_id):
        return None
    both = decode_change_row(row)
    return ChangeDoc(number_of(key[:8]), entry_id, both.old, both.new)


# --- of this process -----------------------------------------------------------------------------


class News:
    """Wakes those who wait for the next version. Used by the thread of the loop only.

    Attributes:
        version: The newest version that the root has told of.
        waiting: Those who wait.
    """

    def __init__(self) -> None:
        self.version = 0
        self.waiting = Waiting()
        self._timer: asyncio.TimerHandle | None = None

    def note(self, version: int) -> None:
        """There is a version, and perhaps newer ones."""
        self.version = max(self.version, version)
        self.wake()

    def wake(self) -> None:
        """Let all who wait look."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.waiting.wake()

    def about_to_wait(self) -> None:
        """Somebody waits: see that it looks by itself after a while."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self.wake)


news = News()
"""Of this process: there is one registry, and one root."""
