"""Process groups as the root knows them: who is a member of what, how often. Pure.

Each process says of its own actors in absolute numbers, so its last word counts, and said again it
changes nothing. An actor that has ended is a member of nothing; its pid is never used again.
"""

from __future__ import annotations

import msgspec

from wippy.core.ids import Pid

MAX_MEMBERS = 200_000
"""Of a node, in all groups together: a row each in the directory. More is a leak in somebody's
code; then nobody joins, and an alarm says so."""


class Membership(msgspec.Struct, frozen=True):
    """A change: `pid` is a member of `group` so many `times` now; 0: no more."""

    group: str
    pid: Pid
    times: int


class Members:
    """All members of all groups of the node."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[Pid, int]] = {}
        self._by_process: dict[tuple[str, int], dict[Pid, set[str]]] = {}
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether nobody can be added."""
        return self._count >= MAX_MEMBERS

    def of(self, group: str) -> dict[Pid, int]:
        """Return pid to times."""
        return dict(self._groups.get(group, {}))

    def times(self, group: str, pid: Pid) -> int:
        """Return how many times `pid` is a member of `group`."""
        return self._groups.get(group, {}).get(pid, 0)

    def set(self, group: str, pid: Pid, times: int) -> Membership | None:
        """Take a process's word on its actor; None if it changes nothing."""
        if times == self.times(group, pid):
            return None
        if times == 0:
            self._remove(group, pid)
            return Membership(group, pid, 0)
        members = self._groups.setdefault(group, {})
        self._count += pid not in members
        members[pid] = times
        actors = self._by_process.setdefault((pid.slot, pid.generation), {})
        actors.setdefault(pid, set()).add(group)
        return Membership(group, pid, times)

    def free_actor(self, pid: Pid) -> list[Membership]:
        """An actor has ended: it leaves all its groups."""
        groups = self._by_process.get((pid.slot, pid.generation), {}).get(pid, set())
        changes = [Membership(group, pid, 0) for group in sorted(groups)]
        for change in changes:
            self._remove(change.group, pid)
        return changes

    def free_process(self, slot: str, generation: int) -> list[Membership]:
        """An OS process has ended: all its actors leave."""
        actors = tuple(self._by_process.get((slot, generation), ()))
        return [change for pid in actors for change in self.free_actor(pid)]

    def _remove(self, group: str, pid: Pid) -> None:
        members = self._groups[group]
        del members[pid]
        self._count -= 1
        if not members:
            del self._groups[group]
        actors = self._by_process[pid.slot, pid.generation]
        actors[pid].discard(group)
        if not actors[pid]:
            del actors[pid]
        if not actors:
            del self._by_process[pid.slot, pid.generation]
