"""Who needs whom, as a graph by child id: what has to look again, and what has to go first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class Needs:
    """Edges from what is needed to who needs it. No sets: their order is never the same."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, None]] = {}

    def of(self, id: str) -> Iterable[str]:
        """Return who needs `id`, or something below it."""
        return self._of.get(id, {})

    def clear(self) -> None:
        """Forget every edge."""
        self._of.clear()

    def note(self, own: Sequence[str], above: Sequence[str]) -> None:
        """Note that one child needs another: that one, and its supervisors up to the one that both
        share, matter to it.

        Args:
            own: Who needs it and its supervisors, the top last.
            above: What it needs and its supervisors, the top last; empty if that is not there.
        """
        common = set(own)
        for id in above:
            if id not in common:
                self._of.setdefault(id, {})[own[0]] = None

    def note_order(self, own: Sequence[str], above: Sequence[str]) -> None:
        """Note between which two siblings, ancestors of both, the same need orders a stop."""
        common = set(own) & set(above)
        apart = [id for id in above if id not in common]
        if apart and common:
            sibling = next(id for id in reversed(own) if id not in common)
            self._of.setdefault(apart[-1], {})[sibling] = None
