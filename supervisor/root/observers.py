"""The observation bus, the root's part: who observes what, and the runtime's own facts.

Subscriptions of each process are a row of the directory, where publishers find them; what actors
publish never comes here. Facts go to the processes that want them, under `wippy.<kind>`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from supervisor.core.facts import Fact
from supervisor.root.chronicle import Chronicle
from supervisor.root.directory import Rows
from wippy.core import pattern
from wippy.core.directory import OBSERVERS_KEY, encode_row
from wippy.core.directory import Observers as Row
from wippy.core.messages import Observed, Observing, ToProcess
from wippy.core.observing import MAX_PATTERNS, OWN, is_wanted
from wippy.core.pattern import Pattern
from wippy.errors import Invalid

FACTS_A_FRAME = 500

_encode = msgspec.msgpack.Encoder().encode
_Event = tuple[str, float, bytes]


@dataclass(slots=True)
class _Observer:
    """One process with subscriptions."""

    slot: str
    generation: int
    patterns: tuple[Pattern, ...]
    seen_seq: int
    sent: int = 0


class Observers:
    """All processes with subscriptions.

    Args:
        rows: Where the directory is stored.
        chronicle: Where facts come from.
        send: Sends a frame to the process with a routing id.
    """

    def __init__(
        self, rows: Rows, chronicle: Chronicle, send: Callable[[bytes, ToProcess], None]
    ) -> None:
        self._rows = rows
        self._chronicle = chronicle
        self._send = send
        self._by_peer: dict[bytes, _Observer] = {}

    def observe(self, peer: bytes, slot: str, generation: int, patterns: tuple[str, ...]) -> None:
        """Take a process's subscriptions: these, and no others. `Invalid` if one is none."""
        if len(patterns) > MAX_PATTERNS:
            raise Invalid(f"{len(patterns)} patterns; a process may have {MAX_PATTERNS}")
        parsed = tuple(map(pattern.parse, patterns))
        known = self._by_peer.get(peer)
        if known is None:
            self._by_peer[peer] = _Observer(slot, generation, parsed, self._chronicle.last_seq)
        else:
            # What has happened until now is for the patterns until now.
            self._tell(peer, known)
            known.patterns = parsed
        self._write()

    def answer(self, peer: bytes, number: int) -> None:
        """Tell a process that the directory shows its subscriptions."""
        self._send(peer, Observing(number))

    def process_gone(self, peer: bytes) -> None:
        """A process has ended, and with it its subscriptions."""
        if self._by_peer.pop(peer, None) is not None:
            self._write()

    def wake(self) -> None:
        """Something has happened: tell who wants to know."""
        for peer, observer in self._by_peer.items():
            self._tell(peer, observer)

    def _write(self) -> None:
        processes = tuple(
            (it.slot, it.generation, tuple(wanted.text for wanted in it.patterns))
            for it in self._by_peer.values()
            if it.patterns
        )
        row = encode_row(Row(processes)) if processes else None
        self._rows.write_directory({OBSERVERS_KEY: row})

    def _tell(self, peer: bytes, observer: _Observer) -> None:
        facts = self._chronicle.since(observer.seen_seq)
        if not facts:
            return
        observer.seen_seq = facts[-1].seq
        wanted = [event for event in map(_event, facts) if is_wanted(event[0], observer.patterns)]
        for begin in range(0, len(wanted), FACTS_A_FRAME):
            events = tuple(wanted[begin : begin + FACTS_A_FRAME])
            self._send(peer, Observed(events, before=observer.sent))
            observer.sent += len(events)


def _event(fact: Fact) -> _Event:
    return f"{OWN}.{fact.kind}", fact.at_s, _encode(fact)
