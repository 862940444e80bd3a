"""Spawns that others have sent here and that have not begun: how many each may still send.

A spawn takes credit as a message does, of an account of its own (`wire.WORKER`): one unit, and one
more for each further KiB of arguments. It comes back when the actor's code is loaded and its entry
function is about to be entered, or when it has failed before that. So what waits here is bounded
for each process that spawns, and living actors are not counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from wippy.core import wire

if TYPE_CHECKING:
    from wippy.runtime.peer import Peer


class Admission:
    """Used by the thread of the loop only."""

    def __init__(self) -> None:
        self._waiting: Counter[Peer] = Counter()
        self._untold: Counter[Peer] = Counter()

    def admit(self, peer: Peer, cost: int) -> bool:
        """Take a spawn in; False from one that ignores its window by far: drop it."""
        if not 1 <= cost <= wire.FLOOD_UNITS or self._waiting[peer] >= wire.FLOOD_UNITS:
            return False
        self._waiting[peer] += cost
        return True

    def begun(self, peer: Peer, cost: int) -> None:
        """A spawn has begun, or will not: give its credit back, some at a time."""
        if peer.is_gone:
            return
        self._waiting[peer] -= cost
        self._untold[peer] += cost
        if self._untold[peer] >= wire.RETURN_UNITS:
            peer.say(wire.Credit(wire.WORKER, self._untold.pop(peer)))

    def process_ended(self, peer: Peer) -> None:
        """A process is gone."""
        self._waiting.pop(peer, None)
        self._untold.pop(peer, None)
