"""An actor played through without effect, so that the real one finds everything warm.

The first run of any code costs page faults (a fork shares pages until it writes to them) and empty
caches: from `Assign` to the first line of user code that is three quarters of the time. The
forkserver rehearses once for all forks, a spare once more for its own pages, while it waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import zmq

from wippy.core import messages
from wippy.core.codec import encode
from wippy.core.ids import Pid
from wippy.core.messages import ActorJob, Assign, CodeRef, FromProcess, OsLimits
from wippy.runtime import freshness, loader, os_limits
from wippy.runtime.actor import Actor
from wippy.runtime.context import ActorContext
from wippy.runtime.directory import Directory
from wippy.runtime.local import LocalActor
from wippy.runtime.plane import Plane
from wippy.runtime.sockets import PullSocket

_NAME = "wippy.rehearsal:actor"
_TEXT = "import asyncio\n\nasync def main(word):\n    await asyncio.sleep(0)\n"


async def rehearse() -> None:
    """Decode a job, load its code and live it to its end; nothing of it is left or seen."""
    order = messages.to_process.decode(encode(Assign(_job())))
    if not isinstance(order, Assign) or not isinstance(order.job, ActorJob):
        return
    job = order.job
    freshness.find_stale()
    os_limits.apply(OsLimits())
    pid = Pid(job.node, job.slot, job.generation)
    context = ActorContext(pid, job.slot, job.process)
    plane, local = _plane(pid), LocalActor(0, str(pid), context.events)
    context.join(plane, local)
    plane.add(local)
    actor = Actor(context, loader.load(job.code, job.process), job.args)
    await actor.run(_do_nothing)
    loader.unload(job.process)


def _plane(pid: Pid) -> Plane:
    """Return a plane that is connected to nobody."""
    return Plane(
        asyncio.get_running_loop(),
        _Nobody(),
        _NO_CONTEXT,
        _Unbound(),
        pid=pid,
        message_dir="",
        directory=Directory(""),
    )


class _Nobody:
    def send(self, message: FromProcess) -> None:
        """Nobody is told."""


class _Unbound(PullSocket):
    def __init__(self) -> None:
        """Nothing comes."""

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[bytes], None],
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing ever comes."""


_NO_CONTEXT = cast("zmq.Context[zmq.Socket[bytes]]", None)
"""A forkserver must have none: its threads would not survive the fork. Nothing connects."""


def _job() -> ActorJob:
    return ActorJob(
        node="rehearsal",
        slot=_NAME,
        generation=1,
        title="",
        process=_NAME,
        code=CodeRef(method="main", text=_TEXT),
        args=("word",),
    )


def _do_nothing() -> None:
    """Nobody is told of a rehearsal."""
