"""The pools of this process: one for each entry and face, made when the entry is first used.

They follow the registry. Each hand-out looks at the version of its entry, which is a read in this
process; what nobody asks for any more is looked at once a second while anything is open, so that
idle connections to where nothing leads any more are closed too.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from wippy.core.entry import EntryDoc
from wippy.core.resources import describe
from wippy.errors import Invalid, NotFound, Unavailable, WippyError
from wippy.runtime import registry
from wippy.runtime.output import complain
from wippy.runtime.resources.pool import Face, Lease, Pool, Usage

TIDY_S = 1.0
"""How often idle connections are looked at, while there are any."""
CLOSE_S = 1.0
"""How long closing takes at most at the end of a process, which has 2 s for everything."""
MAX_THREADS = 8
"""Openings, checks and closings for plain `def` code that run at the same time."""

ReadEntry = Callable[[str], tuple[int, EntryDoc]]


class Pools:
    """All pools of one event loop.

    Args:
        read: Returns the version and the document of an entry, or raises `NotFound`.
    """

    def __init__(self, read: ReadEntry) -> None:
        self.loop = asyncio.get_running_loop()
        self._read = read
        self._pools: dict[tuple[str, Face], Pool] = {}
        self._versions: dict[tuple[str, Face], int] = {}
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="wippy resources")
        self._timer: asyncio.TimerHandle | None = None

    async def take(
        self,
        entry_id: str,
        face: Face,
        *,
        version: int,
        meta: Mapping[str, Any],
        data: Mapping[str, Any],
        timeout_s: float | None,
    ) -> Lease:
        """Wait for a connection to what the entry says in `version`. Raises as `Pool.take`."""
        key = entry_id, face
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(entry_id, face, self._threads)
        self._follow(key, version, meta, data)
        self._tidy_later()
        return await pool.take(timeout_s)

    def give_back(self, entry_id: str, face: Face, lease: Lease, *, is_good: bool) -> None:
        """Take a connection back."""
        self._pools[entry_id, face].give_back(lease, is_good=is_good)
        self._tidy_later()

    def usage(self, entry_id: str) -> Usage:
        """Return what there is of an entry, of both faces together."""
        found = [pool.usage() for (known, _), pool in self._pools.items() if known == entry_id]
        return Usage(
            sum(it.open for it in found),
            sum(it.users for it in found),
            sum(it.waiting for it in found),
            max((it.generation for it in found), default=0),
        )

    def look(self) -> None:
        """Bring all pools to what their entries say now; close what is old."""
        for key, pool in self._pools.items():
            try:
                version, doc = self._read(key[0])
                self._follow(key, version, doc.meta, doc.data)
            except (NotFound, Invalid) as error:
                # Whoever asks next is told; nothing of it is used any more.
                self._versions.pop(key, None)
                pool.retire(error)
            except Unavailable as error:
                complain(f"{key[0]}: looked for changes in vain: {error}")
            pool.tidy()

    async def close(self) -> None:
        """Close everything that nobody uses, and wait for it."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        self._threads.shutdown(wait=False)

    def _follow(
        self, key: tuple[str, Face], version: int, meta: Mapping[str, Any], data: Mapping[str, Any]
    ) -> None:
        if self._versions.get(key) == version:
            return
        pool = self._pools[key]
        self._versions.pop(key, None)
        try:
            pool.adopt(describe(key[0], meta, data))
        except WippyError as error:
            pool.retire(error)
            raise
        self._versions[key] = version

    def _tidy_later(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(TIDY_S, self._tidy)

    def _tidy(self) -> None:
        self._timer = None
        self.look()
        if any(pool.usage().open for pool in self._pools.values()):
            self._tidy_later()


_pools: Pools | None = None


def pools() -> Pools:
    """Return the pools of this process, made at the first use."""
    global _pools
    loop = asyncio.get_running_loop()
    if _pools is None:
        atexit.register(_close_at_exit)
    if _pools is None or _pools.loop is not loop:
        _pools = Pools(lambda entry_id: registry.reader().get(entry_id))
    return _pools


def _close_at_exit() -> None:
    # Run by the end of the process (`wippy.runtime.boot`) when its loop has stopped, and is open.
    if _pools is None or _pools.loop.is_closed() or _pools.loop.is_running():
        return
    try:
        _pools.loop.run_until_complete(asyncio.wait_for(_pools.close(), CLOSE_S))
    except TimeoutError:
        complain("some connections could not be closed in time; the end of the process closes them")
