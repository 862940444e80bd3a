"""Deadlines that the core asks for: a heap with lazy deletion, and no clock."""

from __future__ import annotations

import heapq

Key = tuple[str, str]
"""(child id, purpose); each has at most one deadline."""


class Deadlines:
    """Deadlines by key, monotonic seconds."""

    def __init__(self) -> None:
        self._at_s: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []

    def set(self, key: Key, at_s: float) -> None:
        """Set or move the deadline of `key`."""
        self._at_s[key] = at_s
        heapq.heappush(self._heap, (at_s, key))

    def clear(self, key: Key) -> None:
        """Forget the deadline of `key`; nothing happens if it has none."""
        self._at_s.pop(key, None)

    def get(self, key: Key) -> float | None:
        """Return the deadline of `key`, if it has one."""
        return self._at_s.get(key)

    def next_s(self) -> float | None:
        """Return the earliest deadline."""
        while self._heap:
            at_s, key = self._heap[0]
            if self._at_s.get(key) == at_s:
                return at_s
            heapq.heappop(self._heap)  # moved or cleared since
        return None

    def pop_due(self, now_s: float) -> Key | None:
        """Remove and return the key of the earliest deadline that is not after `now_s`."""
        at_s = self.next_s()
        if at_s is None or at_s > now_s:
            return None
        _, key = heapq.heappop(self._heap)
        del self._at_s[key]
        return key
