"""The root follows the registry: a committed version becomes the tree that runs.

Versions are announced by the keeper. They are read and typed in a thread, one at a time, always up
to the newest; what changes plain data only never touches the tree. Every process is told the number
of the version once the tree has taken it in.

What the `runtime:` section says is no entry: it is what it was when the root started.
"""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from supervisor.core import adoption, functions, steps
from supervisor.core.facts import FactKind
from supervisor.core.keeping import MAX_TEXT_LENGTH
from supervisor.core.linking import code_ref
from supervisor.core.spec import ROOT_ID, Blueprint, Dedicated, PoolActor, Rollback
from supervisor.root.following import (
    Followed,
    changed_calls,
    follow,
    forced_essential,
    renewed_code,
)
from supervisor.root.vessel import Vessel
from wippy.core.messages import EVERY_ACTOR, ActorJob, Outdated, RegistryAt, ToProcess, WorkerJob
from wippy.core.registry import ApplyVersion
from wippy.errors import WippyError

if TYPE_CHECKING:
    from supervisor.root.root import Root

AUTHOR = "wippy:root"
"""Who undoes a version: shown in the registry's history."""


MAX_DONE = 1000
"""Sentences that an outcome has: more than anybody reads."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a version.

    Attributes:
        done: What was done for it, in words.
        failed: Who does not do well with it, and why.
    """

    done: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


class Adopting:
    """Brings the tree of one root to the newest version of the registry.

    Attributes:
        version: The version that the tree follows.
        last_good: The last version with which everything did well.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._wanted = 0
        self._following: asyncio.Task[None] | None = None
        self._own: set[int] = set()
        self._undoing: asyncio.Task[None] | None = None
        self._essential = forced_essential(root.blueprint)
        self._read = 0  # the version that the root's blueprint is of; 0 while it is the files'
        self._looking: asyncio.Task[None] | None = None
        self._is_settling = False
        self._done: tuple[str, ...] = ()
        self._last = Outcome()
        self._waiting: list[tuple[int, asyncio.Future[Outcome]]] = []
        self.version = 0
        self.last_good = 0

    # --- following ---

    def committed(self, version: int) -> None:
        """The keeper has committed a version: tell all processes, and follow it, or a newer one."""
        if version > self._wanted:
            self._wanted = version
            self._tell_version(version)
        is_idle = self._following is None or self._following.done()
        if is_idle and self.version and version > self.version and not self._root.is_closing:
            self._following = self._root.loop.create_task(self._follow())

    def look(self) -> None:
        """Follow what was committed without a word: see `committed`."""

        async def look_now() -> None:
            try:
                self.committed(await self.stored_version())
            except WippyError as error:
                self._root.alarm(f"the registry cannot be read: {error}")

        self._looking = self._root.loop.create_task(look_now())

    async def stored_version(self) -> int:
        """Return the registry's version on the disk; raises as `StateReader`."""
        return await asyncio.to_thread(self._root.admin.stored.registry_version)

    async def begin(self, version: int) -> None:
        """Follow the version that the files were merged into, before anything of it runs."""
        self.last_good = version
        await self._catch_up(version, is_start=True)
        self.version = max(self.version, version)
        self.committed(self._wanted)

    async def _follow(self) -> None:
        while self.version < self._wanted and not self._root.is_closing:
            version = self._wanted
            await self._catch_up(version, is_start=False)
            self.version = max(self.version, version)  # what cannot be read is not tried for ever

    async def _catch_up(self, version: int, *, is_start: bool) -> None:
        root = self._root
        try:
            found = await asyncio.to_thread(
                follow,
                root.admin.stored,
                root.blueprint,
                self._read,
                root.tree.forest.spec,
                self._essential,
            )
        except Exception as error:  # noqa: BLE001
            # The boundary: whatever a version says, what runs goes on as it is.
            traceback.print_exception(error)
            text = f"version {version} of the registry cannot be followed: {error}"
            root.alarm(text)
            self._conclude(((ROOT_ID, text),))
            return
        if found.version:
            self.adopt(found, is_start=is_start)

    def adopt(self, found: Followed, *, is_start: bool = False) -> None:
        """Make the tree that of a version. At the start nobody awaits an outcome: the first start
        of everything has its own rules."""
        root, before = self._root, self._root.blueprint
        # Settings are no entries: they may have changed since this was read.
        root.blueprint = replace(found.blueprint, runtime=root.runtime)
        root.registry_version = self.version = self._read = found.version
        on_change = adoption.on_changes(found.blueprint)
        if found.difference and not is_start:
            self._is_settling = True
        if found.difference:
            text = f"version {found.version}: {adoption.summary(found.difference)}"
            root.chronicle.tell(FactKind.ADOPTED, text)
            sentences = tuple(adoption.sentences(found.difference, on_change))
            for sentence in sentences:
                root.chronicle.tell(FactKind.ADOPTED, sentence)
            grace_s = 0.0 if is_start else root.runtime.rollback_grace_s
            self._done += sentences[: MAX_DONE - len(self._done)]
            root.feed(steps.Adopt(found.spec, found.version, on_change, grace_s))
        elif not self._is_settling:
            self._conclude(())
        self._renew_code(before, found)

    def _renew_code(self, before: Blueprint, found: Followed) -> None:
        """Workers keep the code of functions, and of actors that others start in them; who calls
        a function keeps how: both are replaced."""
        after, processes = found.blueprint, self._processes()
        workers = [it for it in processes if isinstance(it.job, WorkerJob)]
        renewed = renewed_code(before, after) if workers else {}
        for id, code in renewed.items():
            frame: ToProcess = self._root.spawns.answer_code(id)
            if code is not None:
                frame = Outdated(EVERY_ACTOR, code_ref(code), found.version, id)
            for worker in workers:
                self._root.fleet.send(worker, frame)
        for id in changed_calls(before, after):
            for process in processes:
                self._root.fleet.send(process, functions.answer(id, after.entries))

    def _tell_version(self, version: int) -> None:
        for vessel in self._processes():
            self._root.fleet.send(vessel, RegistryAt(version))

    def _processes(self) -> list[Vessel]:
        vessels = self._root.fleet.by_slot.values()
        return [it for it in vessels if isinstance(it.job, ActorJob | WorkerJob)]

    # --- actors that run ---

    def ask_upgrade(self, id: str, version: int) -> None:
        """Tell an actor of its new code; one that is just ending has its answer in its end."""
        root = self._root
        child = root.tree.child(id)
        launch = child.target.launch if child is not None else None
        if isinstance(launch, Dedicated):
            vessel = root.fleet.by_slot.get(id)
            if vessel is not None:
                root.fleet.send(vessel, Outdated(0, code_ref(launch.code), version))
        elif isinstance(launch, PoolActor):
            seat = root.pools.seat(id)
            if seat is not None:
                order = Outdated(seat.actor, code_ref(launch.code), version, launch.process)
                root.fleet.send(seat.worker, order)

    # --- outcomes ---

    async def outcome(self, version: int) -> Outcome:
        """Wait until the tree has taken in a version, or a newer one, and what that touched has
        proven itself or failed; at once if that is so already."""
        if self.version >= version and not self._is_settling:
            return self._last
        waiting: asyncio.Future[Outcome] = self._root.loop.create_future()
        self._waiting.append((version, waiting))
        return await waiting

    def _conclude(self, failed: tuple[tuple[str, str], ...]) -> None:
        """Everything up to the present version is settled."""
        self._is_settling = False
        self._last, self._done = Outcome(self._done, failed), ()
        still = []
        for version, waiting in self._waiting:
            if waiting.done():
                continue
            if version <= self.version or failed:
                waiting.set_result(self._last)
            else:
                still.append((version, waiting))
        self._waiting = still

    def settled(self, version: int, failed: tuple[tuple[str, str], ...]) -> None:
        """What a version touched has proven itself, or has failed."""
        root = self._root
        self._conclude(failed)
        if not failed:
            self.last_good = max(self.last_good, version)
            root.chronicle.tell(FactKind.SETTLED, f"version {version}: all that it touched is well")
            return
        text = "; ".join(f"{id} {why}" for id, why in failed)
        root.alarm(f"version {version} does not do well: {text}")
        if root.runtime.rollback is not Rollback.AUTO or version != self.version:
            return
        if version in self._own:
            root.alarm(f"version {version} undid another and fails too: nothing more is undone")
        elif 0 < self.last_good < version:
            self._undoing = root.loop.create_task(self._undo(version, text))

    async def _undo(self, version: int, why: str) -> None:
        """Ask for the entries of the last good version; a change that came in between stays."""
        request = ApplyVersion(
            version=self.last_good,
            author=AUTHOR,
            comment=f"version {version} was undone: {why}"[:MAX_TEXT_LENGTH],
            expected_version=version,
        )
        try:
            done = await self._root.keeper.change_registry(request)
        except WippyError as error:
            self._root.alarm(f"version {version} could not be undone: {error}")
            return
        self._own.add(done.version)
        text = f"version {version} was undone by version {done.version}: {why}"
        self._root.chronicle.tell(FactKind.REGISTRY, text)
