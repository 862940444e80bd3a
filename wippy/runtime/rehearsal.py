"""An actor played through without effect, so that the real one finds everything warm.

The first run of any code costs page faults (a fork shares pages until it writes to them) and empty
caches: from `Assign` to the first line of user code that is three quarters of the time. The
forkserver rehearses once for all forks, a spare once more for its own pages, while it waits.
"""

from __future__ import annotations

from wippy.core import messages
from wippy.core.codec import encode
from wippy.core.ids import Pid
from wippy.core.messages import ActorJob, Assign, CodeRef, OsLimits
from wippy.runtime import freshness, loader, os_limits
from wippy.runtime.actor import Actor
from wippy.runtime.context import ActorContext

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
    context = ActorContext(Pid(job.node, job.slot, job.generation), job.slot, job.process)
    actor = Actor(context, loader.load(job.code, job.process), job.args)
    await actor.run(_do_nothing)
    loader.unload(job.process)


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
