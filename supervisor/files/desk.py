"""What `wippy:files` has to do, one thing after the other: files that changed, and requests.

Reading happens in a thread, so that the process answers; merging is the keeper's. Each reading is
of all files: what they say counts together, and what has not changed makes no change.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from pathlib import Path

import msgspec

from supervisor.core.config.problems import Problem
from supervisor.core.reloading import (
    BLIND,
    BROKEN,
    LOADED,
    RELOADED,
    Broken,
    Loaded,
    Reload,
    Reloaded,
    payload,
)
from supervisor.core.spec import Blueprint, Place
from supervisor.files.planning import plan
from supervisor.files.reading import Files, broken, files_of, read
from supervisor.io.file_watch import FileWatch
from supervisor.io.keeper_client import KeeperClient
from supervisor.io.node_file import BLUEPRINT
from supervisor.io.state_reader import StateReader
from supervisor.io.survey import Survey
from wippy.core.ports import SystemPort
from wippy.errors import WippyError

AUTHOR = "files"
"""Who makes the versions of files that changed by themselves."""
AGAIN_S = 5.0
"""After what no change of files mends: a full disk, a keeper that does not answer."""
MERGE_TIMEOUT_S = 600.0
"""For the keeper: a hundred thousand entries on a busy disk."""
MAX_NAMED = 3
"""Changed files that the comment of a version names; the others are counted."""


class Desk:
    """The work of one `wippy:files`; made by `open`.

    Args:
        port: The way to the root.
        files: Where the configuration is read from.
        is_watching: Whether changed files are taken over by themselves.
        reader: The registry, to read.
        keeper: The registry, to write.
    """

    def __init__(
        self,
        port: SystemPort,
        files: Files,
        *,
        is_watching: bool,
        reader: StateReader,
        keeper: KeeperClient,
    ) -> None:
        self._port = port
        self._files = files
        self._reader = reader
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._requests: deque[Reload] = deque()
        self._surveyed: Survey | None = None
        self._changed = ""
        self._work = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None
        self._watch: FileWatch | None = None
        self._is_watching = is_watching

    @classmethod
    async def open(
        cls, port: SystemPort, keeper: KeeperClient, run_dir: str, state_dir: str
    ) -> Desk:
        """Return the desk of a node; it watches already, if it is to.

        Raises:
            WippyError: The registry cannot be read.
        """
        reader = StateReader(Path(state_dir))
        blueprint = await asyncio.to_thread(_blueprint, run_dir)
        files = await asyncio.to_thread(files_of, blueprint, reader)
        surveyed = await asyncio.to_thread(files.survey)
        watch = blueprint.runtime.watch
        desk = cls(port, files, is_watching=watch, reader=reader, keeper=keeper)
        desk._surveyed = surveyed
        desk._follow_files()
        return desk

    async def close(self) -> None:
        """Give up what it holds."""
        if self._again is not None:
            self._again.cancel()
        if self._watch is not None:
            await asyncio.to_thread(self._watch.close)
        self._keeper.close()
        self._reader.close()

    def ask(self, request: Reload) -> None:
        """Take a request; it is answered with `Reloaded` in its turn."""
        self._requests.append(request)
        self._work.set()

    async def work(self) -> None:
        """Do what there is to do, for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._requests or self._changed:
                if self._requests:
                    await self._answer(self._requests.popleft())
                else:
                    comment, self._changed = self._changed, ""
                    await self._take_over(AUTHOR, comment)

    # --- files that change ---

    def _follow_files(self) -> None:
        """Watch, or watch no more, as the configuration says."""
        if self._is_watching and self._watch is None:
            self._watch = FileWatch(
                self._files.survey,
                self._reader.files_seen(),
                on_change=lambda seen: self._loop.call_soon_threadsafe(self._noticed, seen),
                on_blind=lambda why: self._loop.call_soon_threadsafe(self._blind, why),
            )
            self._watch.start()
        elif not self._is_watching and self._watch is not None:
            watch, self._watch = self._watch, None
            self._loop.run_in_executor(None, watch.close)

    def _noticed(self, seen: Survey) -> None:
        before, self._surveyed = self._surveyed, seen
        self._changed = _comment(before, seen)
        self._work.set()

    def _blind(self, why: str) -> None:
        self._port.publish(BLIND, {"text": why})

    async def _take_over(self, author: str, comment: str) -> Loaded | Broken | WippyError:
        """Read the files, have them merged, and tell the root."""
        found = await self._read()
        if isinstance(found, Blueprint):
            outcome = await self._merge(found, author, comment)
        else:
            outcome = found
        if isinstance(outcome, Loaded):
            self._port.publish(LOADED, payload(outcome))
        elif isinstance(outcome, Broken):
            self._port.publish(BROKEN, payload(outcome))
        else:
            # The files may be right: what failed is tried again, until it does not.
            self._port.publish(BROKEN, payload(_of_error(outcome, self._files.path)))
            self._later(comment)
        return outcome

    async def _read(self) -> Blueprint | Broken:
        try:
            return await asyncio.to_thread(read, self._files)
        except Exception as error:  # noqa: BLE001
            # The boundary: a bug that some file meets must not end in a crash loop.
            traceback.print_exc()
            return _of_error(error, self._files.path)

    async def _merge(
        self, found: Blueprint, author: str, comment: str
    ) -> Loaded | Broken | WippyError:
        try:
            done = await self._keeper.load_registry(
                found.docs.values(),
                found.places,
                author=author,
                comment=comment,
                origin=found.source,
                seen=found.seen,
                timeout_s=MERGE_TIMEOUT_S,
            )
        except WippyError as error:
            return error if error.retryable else _of_error(error, self._files.path)
        self._is_watching = found.runtime.watch
        self._follow_files()
        return Loaded(
            version=done.version,
            changed=done.changed,
            overridden=done.overridden,
            kept=done.kept,
            runtime=found.runtime,
        )

    def _later(self, comment: str) -> None:
        if self._again is not None:
            self._again.cancel()
        self._again = self._loop.call_later(AGAIN_S, self._retry, comment)

    def _retry(self, comment: str) -> None:
        self._changed = self._changed or comment
        self._work.set()

    # --- requests ---

    async def _answer(self, request: Reload) -> None:
        if request.is_dry:
            answer = await self._plan(request)
        else:
            author = request.who or AUTHOR
            outcome = await self._take_over(author, f"reload of {self._files.path}")
            answer = _reloaded(request.number, outcome)
        self._port.publish(RELOADED, payload(answer))

    async def _plan(self, request: Reload) -> Reloaded:
        found = await self._read()
        if isinstance(found, Broken):
            return Reloaded(number=request.number, broken=found)
        try:
            sentences = await asyncio.to_thread(lambda: tuple(plan(self._reader, found)))
        except WippyError as error:
            return _reloaded(request.number, error)
        return Reloaded(number=request.number, plan=sentences)


def _blueprint(run_dir: str) -> Blueprint:
    return msgspec.msgpack.decode(Path(run_dir, BLUEPRINT).read_bytes(), type=Blueprint)


def _reloaded(number: int, outcome: Loaded | Broken | WippyError) -> Reloaded:
    if isinstance(outcome, Loaded):
        return Reloaded(number=number, loaded=outcome)
    if isinstance(outcome, Broken):
        return Reloaded(number=number, broken=outcome)
    return Reloaded(number=number, error=str(outcome))


def _of_error(error: Exception, path: str) -> Broken:
    known = isinstance(error, WippyError)
    text = str(error) if known else f"internal error: {error!r}; see the log of wippy:files"
    return broken([Problem(place=Place(path, 0), message=text)])


def _comment(before: Survey | None, now: Survey) -> str:
    """Return which files are others than before, as the comment of a version."""
    if before is None:
        return "the files changed"
    changed = sorted({file[0] for file in set(before.files) ^ set(now.files)})
    shown = ", ".join(changed[:MAX_NAMED])
    more = f" and {len(changed) - MAX_NAMED} more" if len(changed) > MAX_NAMED else ""
    return f"{shown}{more} changed" if changed else "the files changed"
