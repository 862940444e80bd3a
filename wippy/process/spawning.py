"""Other actors: made, and ended."""

from __future__ import annotations

import asyncio
from typing import Any

from wippy.errors import Timeout
from wippy.runtime import guard
from wippy.runtime.doorway import here as _here
from wippy.runtime.doorway import in_loop as _in_loop
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer
from wippy.runtime.plane import Plane
from wippy.runtime.spawning import Options

CANCEL_DEADLINE_S = 5.0


def spawn(process: str, host: str = "", *args: Any) -> str:
    """Start an actor; return its pid at once. Never waits.

    Args:
        process: Entry id of its code.
        host: Entry id of a pool; empty, or a host of dedicated processes: an OS process of its own.
        args: Data for its entry function.

    What fails later (no such entry, an error at its start) is the reason of its end: monitor it.

    Raises:
        TypeError: An argument is no data.
        Invalid: An id is none.
        MailboxFull: The workers of the pool have not begun what this process has spawned there
            before, 4,096 spawns or KiB of arguments for each; `await process.ready(host)`.
    """
    return with_options().spawn(process, host, *args)


def spawn_monitored(process: str, host: str = "", *args: Any) -> str:
    """As `spawn`; its end comes as an EXIT event, however soon it is."""
    return with_options().spawn_monitored(process, host, *args)


def spawn_linked(process: str, host: str = "", *args: Any) -> str:
    """As `spawn`; it and the calling actor are linked from its start."""
    return with_options().spawn_linked(process, host, *args)


async def exec(process: str, host: str = "", *args: Any, timeout_s: float | None = None) -> Any:
    """Start an actor, wait for its end and return what it returned. It is terminated if the
    waiting is cancelled or takes longer than `timeout_s`.

    Raises:
        Exited: It ended otherwise than `normal`; `reason` says how.
        Timeout: Not ended within `timeout_s` seconds.
        Invalid: What it returned is no data.
    """
    return await with_options().exec(process, host, *args, timeout_s=timeout_s)


def with_options(
    *,
    name: str = "",
    context: dict[str, Any] | None = None,
    first: tuple[tuple[str, Any], ...] | list[tuple[str, Any]] = (),
) -> Spawning:
    """Return `spawn`, `spawn_monitored`, `spawn_linked` and `exec` that say more.

    Args:
        name: Registered for the new actor before it starts.
        context: Context values, over those that it inherits from the calling actor.
        first: Messages (topic, payload) that it gets before any other.
    """
    return Spawning(Options(name, dict(context or {}), tuple(first)))


class Spawning:
    """Spawns with options; made by `with_options`."""

    __slots__ = ("_options",)

    def __init__(self, options: Options) -> None:
        self._options = options

    def spawn(self, process: str, host: str = "", *args: Any) -> str:
        """See `process.spawn`."""
        plane, local = _here()
        return _in_loop(plane, lambda: _pid_of(self._spawn(plane, local, process, host, args)))

    def spawn_monitored(self, process: str, host: str = "", *args: Any) -> str:
        """See `process.spawn_monitored`."""
        plane, local = _here()

        def work() -> str:
            local.check_room()
            where = self._spawn(plane, local, process, host, args, is_monitored=True)
            plane.bonds.monitor(local, *where, is_spawn=True)
            return _pid_of(where)

        return _in_loop(plane, work)

    def spawn_linked(self, process: str, host: str = "", *args: Any) -> str:
        """See `process.spawn_linked`."""
        plane, local = _here()

        def work() -> str:
            local.check_room()
            where = self._spawn(plane, local, process, host, args, is_linked=True)
            plane.bonds.link(local, *where, is_spawn=True)
            return _pid_of(where)

        return _in_loop(plane, work)

    async def exec(
        self, process: str, host: str = "", *args: Any, timeout_s: float | None = None
    ) -> Any:
        """See `process.exec`."""
        plane, local = _here()
        where = self._spawn(plane, local, process, host, args, is_monitored=True)
        value: asyncio.Future[Any] = plane.loop.create_future()
        wait = plane.bonds.wait_for_value(local, *where, value)
        plane.about_to_wait()
        try:
            async with asyncio.timeout(timeout_s):
                return await value
        except TimeoutError:
            raise Timeout(f"{process} has not ended within {timeout_s:g} s") from None
        finally:
            if plane.bonds.waits.get(wait.reference) is not None:
                plane.bonds.give_up(local, wait.reference)
                plane.spawner.terminate(local, _pid_of(where))

    def _spawn(
        self,
        plane: Plane,
        local: LocalActor,
        process: str,
        host: str,
        args: tuple[Any, ...],
        **bonds: bool,
    ) -> tuple[Peer, int]:
        guard.require("process.spawn", process, lambda: {"host": host, "args": list(args)})
        return plane.spawner.spawn(local, process, host, args, options=self._options, **bonds)


def cancel(target: str, reason: str = "", *, deadline_s: float = CANCEL_DEADLINE_S) -> None:
    """Ask an actor to end within `deadline_s` seconds; past it, it is killed. Never waits.

    It gets a CANCEL event if it reads its events, else `asyncio.CancelledError`. One that is not
    there is no error. A supervised one is restarted as its supervisor decides.
    """
    plane, local = _here()
    guard.require_target("process.end", target)
    _in_loop(plane, lambda: plane.spawner.cancel(local, target, reason, deadline_s))


def terminate(target: str) -> None:
    """End an actor now, without asking it. Never waits. One that is not there is no error."""
    plane, local = _here()
    guard.require_target("process.end", target)
    _in_loop(plane, lambda: plane.spawner.terminate(local, target))


def _pid_of(where: tuple[Peer, int]) -> str:
    return f"{where[0].prefix}{where[1]}"
