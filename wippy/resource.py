"""Connections that follow the registry: opened as an entry says, swapped when it changes.

from wippy import resource

db = resource.of("app.db:postgres")

async def main():
    async with db.acquire() as connection:
        await connection.execute("INSERT INTO orders VALUES (%s)", [17])

Each process keeps a few connections open for each entry (`pool` in its data). When the entry
changes, what is in use finishes on the old connection, which is closed then; new work gets the new
one. Nobody is restarted. A block that ends well commits, one that is left by an error rolls back.

An entry is a `registry.entry` whose `meta.type` names a driver: `db.sql.postgres`, `db.sql.sqlite`,
`cache.redis`, or one that was given to `register`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any

from wippy import registry
from wippy.core.durations import Duration, seconds
from wippy.core.ids import split_id
from wippy.core.resources import Pooling
from wippy.runtime.resources.drivers import Calls, Driver, register
from wippy.runtime.resources.pool import Face, Lease, Usage
from wippy.runtime.resources.pools import Pools, pools

__all__ = ["Acquisition", "Calls", "Driver", "Pooling", "Resource", "Usage", "of", "register"]


def of(entry_id: str) -> Resource:
    """Return the resource that an entry describes. Opens nothing, and never waits: the entry may
    come later.

    Raises:
        Invalid: `entry_id` is no id.
    """
    split_id(entry_id)
    return Resource(entry_id)


class Resource:
    """What an entry describes, whatever it says by then.

    Attributes:
        id: Of the entry.
    """

    __slots__ = ("id",)

    def __init__(self, entry_id: str) -> None:
        self.id = entry_id

    def acquire(self, *, timeout: Duration | None = None) -> Acquisition:
        """Return a connection as a context: `async with db.acquire() as connection`.

        It belongs to the block: nobody else uses it meanwhile (a Redis client is shared by all, and
        has connections of its own). It leads to what the entry says when the block is entered. At
        the end of the block the driver commits, or rolls back where an exception leaves it (also
        `CancelledError`, `process.exit`, `process.upgrade`).

        The twin for plain `def` actors is `sync.acquire`.

        Args:
            timeout: How long to wait for one; None as the entry says (`pool.acquire_timeout`).

        Raises (on entering the block):
            NotFound: There is no such entry (any more).
            PermissionDenied: The calling actor may not read it.
            Timeout: All connections are in use.
            Unavailable: None can be opened: refused, no such host, wrong password. Names host and
                port, and never a secret.
            Invalid: The entry describes no connection, its driver is not installed (says what to
                install), or the process belongs to no node.
        """
        return Acquisition(self.id, None if timeout is None else seconds(timeout))

    def usage(self) -> Usage:
        """Return what this process has of it. Called in the event loop."""
        return pools().usage(self.id)

    def __repr__(self) -> str:
        return f"<resource {self.id}>"


class Acquisition:
    """A connection for the length of an `async with`."""

    __slots__ = ("_entry_id", "_lease", "_pools", "_timeout_s")

    def __init__(self, entry_id: str, timeout_s: float | None) -> None:
        self._entry_id = entry_id
        self._timeout_s = timeout_s
        self._lease: Lease | None = None
        self._pools: Pools | None = None

    async def __aenter__(self) -> Any:
        self._pools = pools()
        self._lease = await _take(self._pools, self._entry_id, Face.AWAITED, self._timeout_s)
        return self._lease.connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease, here, self._lease = self._lease, self._pools, None
        assert lease is not None
        assert here is not None
        is_reusable = False
        try:
            finish = lease.calls.finish
            is_reusable = finish is None or bool(await finish(lease.connection, kind is None))
        except Exception as failed:
            if error is None:
                raise
            # The block's error says more (the connection was lost, mostly), so it is the one that
            # is raised. By its type alone: a driver's text may hold a password.
            error.add_note(f"{self._entry_id} could not be rolled back: {type(failed).__name__}")
        finally:
            here.give_back(self._entry_id, Face.AWAITED, lease, is_good=is_reusable)


class Borrowing:
    """A connection for a thread: taken in the event loop, finished and given back by the thread.

    What `sync.acquire` is made of.
    """

    def __init__(self, entry_id: str, timeout_s: float | None) -> None:
        self._entry_id = entry_id
        self._timeout_s = timeout_s
        self._lease: Lease | None = None
        self._pools: Pools | None = None

    async def take(self) -> Any:
        """Wait for it, in the loop; return the connection. Raises as `Resource.acquire`."""
        self._pools = pools()
        # Kept here, so that it can be given back by a thread that was told to stop just now.
        self._lease = await _take(self._pools, self._entry_id, Face.BLOCKING, self._timeout_s)
        return self._lease.connection

    def give_back_unused(self) -> None:
        """Give it back, if it was taken; the thread has not seen it."""
        if self._lease is not None:
            self._give_back(is_good=True)

    def finish(self) -> None:
        """Finish it in this thread, and give it back. Raises what the driver raises."""
        self._finish(is_good=True)

    def finish_failed(self) -> None:
        """Finish it after an error, which says more than what the driver raises now."""
        with contextlib.suppress(Exception):
            self._finish(is_good=False)

    def _finish(self, *, is_good: bool) -> None:
        assert self._lease is not None
        call: Callable[[Any, bool], Any] | None = self._lease.calls.finish
        is_reusable = False
        try:
            is_reusable = call is None or bool(call(self._lease.connection, is_good))
        finally:
            self._give_back(is_good=is_reusable)

    def _give_back(self, *, is_good: bool) -> None:
        lease, here, self._lease = self._lease, self._pools, None
        assert lease is not None
        assert here is not None
        if not here.loop.is_closed():
            here.loop.call_soon_threadsafe(
                lambda: here.give_back(self._entry_id, Face.BLOCKING, lease, is_good=is_good)
            )


async def _take(here: Pools, entry_id: str, face: Face, timeout_s: float | None) -> Lease:
    entry = registry.get(entry_id)
    return await here.take(
        entry_id,
        face,
        version=entry.version,
        meta=entry.meta,
        data=entry.data,
        timeout_s=timeout_s,
    )
