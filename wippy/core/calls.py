"""What the actors of one process wait for from others: answers, ends. Pure.

Each has a reference, unique in the process, that the other side sends back. A reference that is
not here is one that was given up: its answer is late, and dropped.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

MAX_REFERENCE = 2**62
"""References are msgpack integers; at a million a second they last 146,000 years."""


class Kind(enum.Enum):
    """What is waited for."""

    MONITOR = enum.auto()
    CALL = enum.auto()
    EXEC = enum.auto()
    INVOKE = enum.auto()


class Wait(NamedTuple):
    """One wait of one actor.

    Attributes:
        reference: Its own.
        kind: What for.
        watcher: Number of the actor that waits.
        origin: The process that is to answer.
        target: Number of the actor there.
        then: What gets the answer: the shell's own.
    """

    reference: int
    kind: Kind
    watcher: int
    origin: Hashable
    target: int
    then: Any = None


class Waits:
    """The waits of one process, by reference and by the process that is to answer."""

    def __init__(self) -> None:
        self._last = 0
        self._by_reference: dict[int, Wait] = {}
        self._by_origin: dict[Hashable, dict[int, None]] = {}

    def __len__(self) -> int:
        return len(self._by_reference)

    def add(
        self, kind: Kind, watcher: int, origin: Hashable, target: int, then: Any = None
    ) -> Wait:
        """Return a new wait."""
        self._last = self._last % MAX_REFERENCE + 1
        wait = Wait(self._last, kind, watcher, origin, target, then)
        self._by_reference[wait.reference] = wait
        self._by_origin.setdefault(origin, {})[wait.reference] = None
        return wait

    def get(self, reference: int) -> Wait | None:
        """Return a wait, or None."""
        return self._by_reference.get(reference)

    def end(self, reference: int, origin: Hashable) -> Wait | None:
        """Remove and return a wait that `origin` has answered; None if it was given up, or another
        was asked: nobody answers for others."""
        wait = self._by_reference.get(reference)
        if wait is None or wait.origin != origin:
            return None
        self._remove(wait)
        return wait

    def give_up(self, reference: int) -> Wait | None:
        """Remove and return a wait that its actor wants no more."""
        wait = self._by_reference.get(reference)
        if wait is not None:
            self._remove(wait)
        return wait

    def end_all(self, origin: Hashable) -> list[Wait]:
        """Remove and return all waits for the process `origin`, oldest first."""
        return [self._by_reference.pop(reference) for reference in self._by_origin.pop(origin, ())]

    def end_child(self, watcher: int, origin: Hashable, target: int) -> list[Wait]:
        """Remove and return `watcher`'s waits for the end of its child `target` of `origin`."""
        found = [
            wait for wait in self._of(origin) if (wait.watcher, wait.target) == (watcher, target)
        ]
        for wait in found:
            self._remove(wait)
        return found

    def _of(self, origin: Hashable) -> Iterator[Wait]:
        return (self._by_reference[reference] for reference in self._by_origin.get(origin, ()))

    def _remove(self, wait: Wait) -> None:
        del self._by_reference[wait.reference]
        references = self._by_origin[wait.origin]
        del references[wait.reference]
        if not references:
            del self._by_origin[wait.origin]
