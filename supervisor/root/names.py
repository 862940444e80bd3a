"""Registered names: who holds which. Pure; the directory makes them visible.

A name belongs to one pid. Whoever asks first has it until it is given back, or until the actor or
its OS process ends. A pid names a generation, so what an old generation says late changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from wippy.core.ids import Pid

MAX_NAMES = 100_000
"""Of a node: a row each in the directory. More is a leak in somebody's code."""


class Names:
    """All registered names of the node."""

    def __init__(self) -> None:
        self._holders: dict[str, Pid] = {}
        self._by_process: dict[tuple[str, int], set[str]] = {}

    def holder(self, name: str) -> Pid | None:
        """Return who holds a name."""
        return self._holders.get(name)

    @property
    def is_full(self) -> bool:
        """Whether no name can be added."""
        return len(self._holders) >= MAX_NAMES

    def claim(self, name: str, pid: Pid) -> Pid:
        """Give `name` to `pid` if nobody has it; return who has it now."""
        holder = self._holders.setdefault(name, pid)
        if holder == pid:
            self._by_process.setdefault((pid.slot, pid.generation), set()).add(name)
        return holder

    def free(self, name: str, pid: Pid) -> bool:
        """Take `name` from `pid`; False if it is not that pid's."""
        if self._holders.get(name) != pid:
            return False
        self._forget([name])
        return True

    def free_actor(self, pid: Pid) -> tuple[str, ...]:
        """An actor has ended: return the names that were its own."""
        held = self._by_process.get((pid.slot, pid.generation), set())
        names = tuple(name for name in held if self._holders[name] == pid)
        self._forget(names)
        return names

    def free_process(self, slot: str, generation: int) -> tuple[str, ...]:
        """An OS process has ended: return the names that its actors held."""
        names = tuple(self._by_process.get((slot, generation), ()))
        self._forget(names)
        return names

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            pid = self._holders.pop(name)
            key = (pid.slot, pid.generation)
            self._by_process[key].discard(name)
            if not self._by_process[key]:
                del self._by_process[key]
