"""Clients that talk to actors: watched by pidfd, so that an actor may answer one in its own time.

A process that is told something by a client asks the root to be told of the client's end, as of
any other's. The root never heard of the client, but its slot says which OS process it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from supervisor.core.client_slot import CLIENT_GENERATION, parse_client_slot
from supervisor.io.message_folder import MessageFolder
from supervisor.io.os_process import Identity, OsProcess, boot_id
from supervisor.root.watches import Watches
from wippy.core.reasons import Lost
from wippy.errors import WippyError

MAX_CLIENTS = 256
"""Descriptors that clients may take. One more is not watched: an answer reaches it only if it
comes at once."""


class Clients:
    """The clients that somebody watches.

    Args:
        loop: The root's.
        watches: Told of a client's end.
        folder: Where a client that was killed leaves its socket.
        alarm: Told, in words, what went wrong.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        watches: Watches,
        folder: MessageFolder,
        alarm: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._watches = watches
        self._folder = folder
        self._alarm = alarm
        self._held: dict[str, OsProcess] = {}

    def hold(self, slot: str, generation: int) -> bool:
        """Say whether this is a client that lives; the watches are then told of its end."""
        if slot in self._held:
            return generation == CLIENT_GENERATION
        found = parse_client_slot(slot)
        if found is None or generation != CLIENT_GENERATION or len(self._held) >= MAX_CLIENTS:
            return False
        process = self._open(*found)
        if process is None:
            return False
        self._held[slot] = process
        self._loop.add_reader(process.fileno(), self._ended, slot)
        return True

    def _open(self, pid: int, start_ticks: int) -> OsProcess | None:
        try:
            return OsProcess.open_verified(Identity(boot_id(), pid, start_ticks))
        except WippyError as error:
            self._alarm(f"a client (pid {pid}) cannot be watched: {error}")
            return None

    def _ended(self, slot: str) -> None:
        process = self._held.pop(slot)
        self._loop.remove_reader(process.fileno())
        process.close()
        try:
            self._folder.remove(slot, CLIENT_GENERATION)
        except WippyError as error:
            self._alarm(str(error))
        self._watches.note_ended(slot, CLIENT_GENERATION)
        self._watches.ended(slot, CLIENT_GENERATION, Lost())
