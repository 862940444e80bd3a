"""Actors in OS processes of their own for benchmarks: the real plane and API, without a root.

Nothing is restarted or told here; what is measured is the way of a message.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq

from wippy.core.ids import Pid, socket_name
from wippy.core.messages import FromProcess
from wippy.runtime.actor import Actor
from wippy.runtime.context import ActorContext, set_only_actor
from wippy.runtime.directory import Directory
from wippy.runtime.local import LocalActor
from wippy.runtime.plane import Plane
from wippy.runtime.resting import new_loop
from wippy.runtime.sockets import PullSocket

NODE = "bench"
Main = Callable[..., Coroutine[Any, Any, Any]]


class NoRoot:
    """Hears everything, answers nothing."""

    def send(self, message: FromProcess) -> None:
        """Do nothing."""


def pid_of(slot: str) -> str:
    """Return the pid of the actor that runs as `slot`."""
    return str(Pid(NODE, slot, 1))


def live(run_dir: Path, slot: str, main: Main, *args: Any) -> Any:
    """Be the actor `main(*args)` in this process; return what it returned."""
    loop = new_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(_live(loop, run_dir, slot, main, args))


async def _live(
    loop: asyncio.AbstractEventLoop, run_dir: Path, slot: str, main: Main, args: tuple[Any, ...]
) -> Any:
    folder = run_dir / "m"
    folder.mkdir(exist_ok=True)
    context = zmq.Context()
    pid = Pid(NODE, slot, 1)
    pull = PullSocket(context, str(folder), socket_name(slot, 1))
    plane = Plane(
        loop,
        NoRoot(),
        context,
        pull,
        pid=pid,
        message_dir=str(folder),
        directory=Directory(str(run_dir)),
    )
    who = ActorContext(pid, slot, slot)
    local = LocalActor(0, str(pid), who.events)
    who.join(plane, local)
    plane.add(local)
    set_only_actor(who)
    outcome = await Actor(who, main, args).run(lambda: None)
    plane.close()
    context.destroy(linger=500)
    return outcome.value


@contextmanager
def forked(work: Callable[[], Any], *, cpu: int | None = None) -> Iterator[int]:
    """Do `work` in a fork, pinned to `cpu` if it is given, and wait for its end."""
    pid = os.fork()
    if not pid:
        status = 1
        try:
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            work()
            status = 0
        except BaseException:  # noqa: BLE001  # the boundary of a fork
            traceback.print_exc()
        finally:
            os._exit(status)
    try:
        yield pid
    finally:
        _, wait_status = os.waitpid(pid, 0)
        if wait_status:
            raise RuntimeError(f"a process of the benchmark ended with {wait_status}")
