"""Which process wants to know of which process's end.

Each `WatchProcess` is answered with one `Gone`: at once for what is not there, otherwise when it
ends, after the directory has forgotten it and before its replacement is made. The tree's `EXITED`
fact is that moment: it comes before whatever the tree decides, and it carries the true reason
(`killed`, not signal 9).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from wippy.core.messages import Gone
from wippy.core.reasons import ExitReason

ENDED_KEPT = 10_000
"""Ended spawned slots that are remembered, so that a late watch is answered at once."""

Key = tuple[str, int]


class Watches:
    """All watches of the node.

    Args:
        send: Sends a `Gone` to the process with a routing id.
    """

    def __init__(self, send: Callable[[bytes, Gone], None]) -> None:
        self._send = send
        self._watchers: dict[Key, dict[bytes, None]] = {}
        self._watched: dict[bytes, set[Key]] = {}
        self._ended: OrderedDict[Key, None] = OrderedDict()

    def add(self, peer: bytes, slot: str, generation: int) -> None:
        """`peer` wants to know of the end of a process that lives, or is about to."""
        key = (slot, generation)
        self._watchers.setdefault(key, {})[peer] = None
        self._watched.setdefault(peer, set()).add(key)

    def is_watching(self, peer: bytes, slot: str, generation: int) -> bool:
        """Say whether `peer` waits for this end."""
        return (slot, generation) in self._watched.get(peer, ())

    def remove(self, peer: bytes, slot: str, generation: int) -> None:
        """`peer` does not want to know any more."""
        key = (slot, generation)
        self._watched.get(peer, set()).discard(key)
        watchers = self._watchers.get(key, {})
        watchers.pop(peer, None)
        if not watchers:
            self._watchers.pop(key, None)

    def absent(self, peer: bytes, slot: str, generation: int) -> None:
        """Tell `peer` that there is no such process."""
        self.remove(peer, slot, generation)
        self._send(peer, Gone(slot, generation, noproc=True))

    def ended(self, slot: str, generation: int, reason: ExitReason) -> None:
        """Tell all who watch that a process has ended."""
        key = (slot, generation)
        for peer in self._watchers.pop(key, {}):
            self._watched[peer].discard(key)
            self._send(peer, Gone(slot, generation, reason))

    def watcher_ended(self, peer: bytes) -> None:
        """A process that may have watched others has ended."""
        for slot, generation in tuple(self._watched.pop(peer, ())):
            self.remove(peer, slot, generation)

    # --- spawned slots ---

    def note_ended(self, slot: str, generation: int) -> None:
        """Remember that a spawned process is over: its slot is never used again."""
        self._ended[(slot, generation)] = None
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)

    def has_ended(self, slot: str, generation: int) -> bool:
        """Say whether a spawned process is known to be over."""
        return (slot, generation) in self._ended
