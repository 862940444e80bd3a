"""Backups of the store, taken in a thread of their own while the keeper goes on committing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from supervisor.core.keeping import Answered, Backup
from supervisor.keeper.store import Store
from wippy.errors import Failure, Internal, Invalid, Unavailable, WippyError

MAX_BACKUPS = 16
"""Backups that run or wait; they are taken one after the other."""

_log = logging.getLogger(__name__)


class Backups:
    """Takes backups, one after the other; belongs to the running event loop.

    Args:
        store: What is copied.
        send: Answers a client: (client, request id, answer).
    """

    def __init__(self, store: Store, send: Callable[[bytes, bytes, Answered], None]) -> None:
        self._store = store
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(1, "backup")
        self._running: dict[bytes, asyncio.Task[None]] = {}

    def close(self) -> None:
        """Answer nobody any more; a copy under way is left unfinished."""
        for task in self._running.values():
            task.cancel()
        self._threads.shutdown(wait=False)

    def start(self, client: bytes, request_id: bytes, request: Backup) -> None:
        """Begin a backup, and answer when it is done; one that runs is not begun again."""
        if request_id in self._running:
            return  # sent again while it runs; the answer comes
        if len(self._running) >= MAX_BACKUPS:
            busy = Unavailable(f"{len(self._running)} backups are already waiting; try again")
            self._send(client, request_id, Failure.of(busy))
            return
        task = self._loop.create_task(self._backup(client, request_id, request))
        self._running[request_id] = task
        task.add_done_callback(lambda _: self._running.pop(request_id, None))

    async def _backup(self, client: bytes, request_id: bytes, request: Backup) -> None:
        target = Path(request.path)
        try:
            if not target.is_absolute():
                raise Invalid(f"{request.path!r} is no absolute path")
            answer: Answered = await self._loop.run_in_executor(
                self._threads, self._store.backup, request_id, target
            )
        except WippyError as error:
            answer = Failure.of(error)
        except Exception as error:  # noqa: BLE001 - the boundary of a task; logged
            _log.exception("a backup failed")
            answer = Failure.of(Internal(f"backup: {type(error).__name__}: {error}"))
        self._send(client, request_id, answer)
