"""What the root knows of the configuration's files: what is wrong with them, and who asks for them.

The files are read by `wippy:files`; what they change comes as a version of the registry
(`adopting`). Here is what is told of them, and the answers to `reload`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from supervisor.core.facts import FactKind
from supervisor.core.reloading import (
    BLIND,
    BROKEN,
    LOADED,
    RELOAD,
    RELOADED,
    Broken,
    Loaded,
    Reload,
    Reloaded,
    payload,
    restart_settings,
    said,
    with_live_settings,
)
from supervisor.core.requests import ReloadAnswer
from supervisor.core.spec import FILES_ID, RuntimeSpec
from supervisor.core.view import State
from supervisor.root.adopting import Outcome
from wippy.core.messages import Told
from wippy.core.units import counted
from wippy.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from supervisor.root.root import Root

MAX_ASKED = 100
"""Requests that may wait: each reads all files."""


class LiveFiles:
    """The files of one root's configuration.

    Attributes:
        broken: What is wrong with them; shown until it is put right.
        needs_restart: Settings that were changed, and wait for a new start of the node.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._numbers = itertools.count(1)
        self._asked: dict[int, tuple[Reload, asyncio.Future[Reloaded]]] = {}
        self.broken = Broken()
        self.needs_restart: tuple[str, ...] = ()

    # --- what wippy:files says ---

    def heard(self, topic: str, told: Mapping[str, Any]) -> None:
        """Take what `wippy:files` has published; `Invalid` for what it cannot have."""
        match topic:
            case _ if topic == BROKEN:
                self._broke(said(told, Broken))
            case _ if topic == LOADED:
                self._loaded(said(told, Loaded))
            case _ if topic == RELOADED:
                answer = said(told, Reloaded)
                _, waiting = self._asked.get(answer.number, (None, None))
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            case _ if topic == BLIND:
                text = f"changed files are noticed late: {told.get('text', '')}"
                self._root.chronicle.tell(FactKind.ALARM, text, id=FILES_ID)
            case _:
                raise Invalid(f"{FILES_ID} says {topic!r:.80}")

    def ready(self) -> None:
        """Another `wippy:files` is there: it has heard of no request."""
        for request, _ in self._asked.values():
            self._send(request)

    def _broke(self, found: Broken) -> None:
        if found.text != self.broken.text:
            self.broken = found
            more = f" (and {counted(found.count - 1, 'other error')})" if found.count > 1 else ""
            text = f"the changed files are not used: {found.first}{more}"
            self._root.chronicle.tell(FactKind.FILES_BROKEN, text, id=FILES_ID)
        self._root.subscribers.wake()

    def _loaded(self, loaded: Loaded) -> None:
        was_broken, self.broken = bool(self.broken.text), Broken()
        root, parts = self._root, []
        if loaded.changed:
            parts.append(f"{_entries(loaded.changed)} changed")
        if loaded.overridden:
            parts.append(f"the files won over changes of {', '.join(loaded.overridden[:5])}")
        if loaded.runtime is not None:
            parts += self._take_settings(loaded.runtime)
        if was_broken and not parts:
            parts.append("nothing is wrong with them any more, and nothing is changed")
        if parts:
            text = f"files read, registry version {loaded.version}: {'; '.join(parts)}"
            root.chronicle.tell(FactKind.FILES, text)
        root.subscribers.wake()

    def _take_settings(self, new: RuntimeSpec) -> list[str]:
        """Take over what can be; return what is to be said of the rest."""
        root = self._root
        waiting = restart_settings(root.runtime, new)
        before, root.runtime = root.runtime, with_live_settings(root.runtime, new)
        if before != root.runtime:
            root.blueprint = replace(root.blueprint, runtime=root.runtime)
            root.run_folder.note_blueprint_soon()
        said_before, self.needs_restart = self.needs_restart, waiting
        if waiting and waiting != said_before:
            return [f"runtime: {', '.join(waiting)} will count from the next start of the node on"]
        return []

    # --- reload ---

    async def reload(self, who: str, *, is_dry: bool) -> ReloadAnswer:
        """Have the files read; return when what they change is taken in, and does well or not.

        Raises:
            Unavailable: It could not be tried.
        """
        if len(self._asked) >= MAX_ASKED:
            raise Unavailable(f"{len(self._asked)} reloads are waiting already")
        number = next(self._numbers)
        request = Reload(number=number, who=who, is_dry=is_dry)
        waiting: asyncio.Future[Reloaded] = self._root.loop.create_future()
        self._asked[number] = (request, waiting)
        self._send(request)
        try:
            return await self._outcome(await waiting)
        finally:
            self._asked.pop(number, None)

    def _send(self, request: Reload) -> None:
        """Tell it to `wippy:files`; one that is not up yet is told when it is."""
        vessel = self._root.fleet.by_slot.get(FILES_ID)
        child = self._root.tree.child(FILES_ID)
        if vessel is not None and child is not None and child.state is State.UP:
            self._root.fleet.send(vessel, Told(RELOAD, payload(request)))

    async def _outcome(self, answer: Reloaded) -> ReloadAnswer:
        if answer.plan is not None:
            return ReloadAnswer(plan=answer.plan, version=self._root.registry_version)
        if answer.broken is not None:
            return ReloadAnswer(broken=answer.broken.text, version=self._root.registry_version)
        loaded = answer.loaded
        if loaded is None:
            raise Unavailable(f"the files could not be taken over: {answer.error}")
        outcome = Outcome()
        if loaded.changed:
            outcome = await self._root.adopting.outcome(loaded.version)
        return ReloadAnswer(
            version=loaded.version,
            changed=loaded.changed,
            done=outcome.done,
            failed=outcome.failed,
            overridden=loaded.overridden,
            kept=loaded.kept,
            needs_restart=self.needs_restart,
        )


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"
