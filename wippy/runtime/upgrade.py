"""Newer code for running actors: loaded beside the old, and entered when the actor is ready for it.

The root says `Outdated`. What cannot take newer code is `NotUpgradable`, and the root restarts it.
Otherwise the code is loaded first, and only if that succeeds does the actor get an OUTDATED event:
code that cannot be loaded disturbs nobody, the actor goes on with the old one, and the root is told
why (`UpgradeFailed`). `process.upgrade` then is a step from one function of the process to another;
nothing of the actor but its code changes.

The modules of version 7 are named `app:handler/3.v7` (`app:handler/v7` in a process of its own), so
old and new stand side by side until the old code is left.
"""

from __future__ import annotations

import asyncio
import functools

from wippy.core.messages import (
    EVERY_ACTOR,
    CodeRef,
    NotUpgradable,
    Outdated,
    Upgraded,
    UpgradeFailed,
)
from wippy.runtime import judge, loader
from wippy.runtime.context import (
    ActorContext,
    Event,
    EventKind,
    Newer,
    NotNeededSignal,
    current_actor,
)
from wippy.runtime.control import Control
from wippy.runtime.output import complain
from wippy.runtime.threads import run_in_thread


class Upgrades:
    """Offers newer code to the actors of one process.

    Args:
        control: The way to the root.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._loading: set[asyncio.Task[None]] = set()

    def offer(self, order: Outdated, context: ActorContext) -> None:
        """Offer newer code to an actor, or say that it takes none."""
        if not context.is_upgradable or context.is_over:
            self._say(NotUpgradable(order.actor, order.version))
        elif order.version == context.version:
            self._say(Upgraded(order.actor, order.version))
        elif context.newer is None or context.newer.version != order.version:
            task = asyncio.create_task(self._prepare(order, context))
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)

    def forget(self, context: ActorContext) -> None:
        """An actor has ended: unload its code, old and new."""
        context.is_over = True
        loader.unload(context.module)
        if context.newer is not None:
            loader.unload(context.newer.module)

    async def _prepare(self, order: Outdated, context: ActorContext) -> None:
        current_actor.set(context)
        name = _module_name(context, order.version)
        try:
            entry = await self._load(order.code, name)
        except NotNeededSignal:
            self._failed(order, context, "it says that it is not needed when it is loaded")
            return
        except Exception as error:  # noqa: BLE001  # the actor boundary: loading is user code too
            judge.report(error.__cause__ or error)
            self._failed(order, context, str(error))
            return
        self._loaded(order, context, name, entry)

    async def _load(self, code: CodeRef, name: str) -> loader.Entry:
        if code.module is None and loader.is_quick(code):
            return loader.load(code, name)
        load = functools.partial(loader.load_anew, code, name)
        entry: loader.Entry = await run_in_thread(load, name=f"load {name}")
        return entry

    def _loaded(
        self, order: Outdated, context: ActorContext, name: str, entry: loader.Entry
    ) -> None:
        before = context.newer
        if context.is_over or (before is not None and before.version > order.version):
            loader.unload(name)
            return
        if before is not None:
            loader.unload(before.module)

        def entered(left: str) -> None:
            loader.unload(left)
            self._say(Upgraded(order.actor, order.version))

        context.newer = Newer(order.version, name, entry, entered)
        text = f"version {order.version} of {context.process} is there"
        context.events.put(Event(EventKind.OUTDATED, text, 0.0, version=order.version))

    def _failed(self, order: Outdated, context: ActorContext, detail: str) -> None:
        complain(f"{context.pid} goes on with its old code: {detail}")
        self._say(UpgradeFailed(order.actor, order.version, detail[: judge.MAX_MESSAGE_CHARS]))

    def _say(self, answer: Upgraded | NotUpgradable | UpgradeFailed) -> None:
        if answer.actor != EVERY_ACTOR:
            self._control.send(answer)


def _module_name(context: ActorContext, version: int) -> str:
    number = f"{context.pid.actor}." if context.pid.actor else ""
    return f"{context.process}/{number}v{version}"
