"""Which worker of a pool gets the next call: the one with the fewest under way. Pure.

What the caller has under way is counted here and is exact. What others have there is told: by the
directory (some seconds old), and by the worker itself with each answer. The latest word counts.
"""

from __future__ import annotations

from collections.abc import Sequence

Worker = tuple[str, int]
"""Slot and generation."""


class Placing:
    """The workers of one pool, as the callers of one process see them."""

    def __init__(self) -> None:
        self._told: dict[Worker, int] = {}
        self._own: dict[Worker, int] = {}
        self._others: dict[Worker, int] = {}
        self._turns: dict[Worker, int] = {}
        self._turn = 0

    def choose(self, workers: Sequence[tuple[str, int, int]]) -> Worker:
        """Return the worker for the next call and count the call as under way there.

        Equals take turns.

        Args:
            workers: The row of the directory, at least one: slot, generation, load.
        """
        if len(self._turns) > len(workers):
            self._forget_all_but({(slot, generation) for slot, generation, _ in workers})
        for slot, generation, load in workers:
            self._note_row((slot, generation), load)
        chosen = min(((slot, generation) for slot, generation, _ in workers), key=self._rank)
        self._turn += 1
        self._turns[chosen] = self._turn
        self._own[chosen] = self._own.get(chosen, 0) + 1
        return chosen

    def ended(self, worker: Worker, load: int | None = None) -> None:
        """A call is over; `load` is what the worker has said of itself, if it has."""
        own = self._own.get(worker, 0) - 1
        if own > 0:
            self._own[worker] = own
        else:
            self._own.pop(worker, None)
        if load is not None:
            self._others[worker] = max(0, load - max(0, own))

    def own(self, worker: Worker) -> int:
        """Return how many calls of this process are under way in a worker."""
        return self._own.get(worker, 0)

    def _rank(self, worker: Worker) -> tuple[int, int]:
        load = self._own.get(worker, 0) + self._others.get(worker, 0)
        return load, self._turns.get(worker, 0)

    def _note_row(self, worker: Worker, load: int) -> None:
        # A row that says what it said before tells nothing new.
        if self._told.get(worker) != load:
            self._told[worker] = load
            self._others[worker] = max(0, load - self._own.get(worker, 0))

    def _forget_all_but(self, workers: set[Worker]) -> None:
        for table in (self._told, self._others, self._turns):
            for worker in [it for it in table if it not in workers]:
                del table[worker]
