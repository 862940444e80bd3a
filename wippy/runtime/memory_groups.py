"""Groups and the observation bus of a node in memory: what the root does for them, for tests.

The members of all processes put together, and who wants what is published: kept here as the
directory of a node shows it, and told to the processes in the same order. Messages to a group and
observations themselves never come here; they go from plane to plane, as in a node.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from wippy.core.directory import Observers, encode_row
from wippy.core.ids import Pid
from wippy.core.messages import (
    AllLeft,
    GroupChanged,
    GroupMembers,
    LeaveAll,
    Observe,
    Observed,
    Observing,
    SetMember,
    ToProcess,
    UnwatchGroup,
    WatchGroup,
)
from wippy.core.observing import OWN, is_wanted
from wippy.core.pattern import Pattern, parse

FRAMES = SetMember | LeaveAll | WatchGroup | UnwatchGroup
"""What processes say of groups."""
Tell = Callable[[str, ToProcess], None]
"""Sends a frame to the process at a slot."""

_encode = msgspec.msgpack.Encoder().encode


class MemoryGroups:
    """The groups of a test.

    Args:
        tell: How processes are told.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._members: dict[str, dict[Pid, int]] = {}
        self._versions: dict[str, int] = {}
        self._watchers: dict[str, dict[str, None]] = {}

    def members(self, group: str) -> dict[str, int]:
        """Return `<slot>.<generation>/<actor>` to times, as `Directory.members` does."""
        members = self._members.get(group, {})
        return {f"{it.slot}.{it.generation}/{it.actor}": times for it, times in members.items()}

    def take(self, slot: str, frame: FRAMES) -> None:
        """Take what the process at `slot` says of groups."""
        match frame:
            case SetMember(group, pid, times):
                self._set(group, Pid.parse(pid), times)
            case LeaveAll(pid):
                self.actor_gone(Pid.parse(pid))
                self._tell(slot, AllLeft(pid))
            case WatchGroup(group):
                self._watchers.setdefault(group, {})[slot] = None
                members = {str(pid): n for pid, n in self._members.get(group, {}).items()}
                self._tell(slot, GroupMembers(group, self._versions.get(group, 0), members))
            case UnwatchGroup(group):
                self._watchers.get(group, {}).pop(slot, None)

    def actor_gone(self, pid: Pid) -> None:
        """An actor has ended: it leaves all its groups."""
        for group in [group for group, members in self._members.items() if pid in members]:
            self._set(group, pid, 0)

    def process_gone(self, slot: str) -> None:
        """A process has ended: its actors leave, and it watches nothing."""
        for watchers in self._watchers.values():
            watchers.pop(slot, None)
        gone = {pid for members in self._members.values() for pid in members if pid.slot == slot}
        for pid in sorted(gone, key=str):
            self.actor_gone(pid)

    def _set(self, group: str, pid: Pid, times: int) -> None:
        members = self._members.setdefault(group, {})
        if times == members.get(pid, 0):
            return
        if times:
            members[pid] = times
        else:
            del members[pid]
        if not members:
            del self._members[group]
        version = self._versions[group] = self._versions.get(group, 0) + 1
        for watcher in self._watchers.get(group, {}):
            self._tell(watcher, GroupChanged(group, version, str(pid), times))


class MemoryObservers:
    """Who observes what in a test.

    Args:
        tell: How processes are told.
        generation: Of all processes.
    """

    def __init__(self, tell: Tell, generation: int) -> None:
        self._tell = tell
        self._generation = generation
        self._patterns: dict[str, tuple[Pattern, ...]] = {}
        self._told: dict[str, int] = {}

    def row(self) -> bytes | None:
        """Return the row of the directory; None if nobody observes anything."""
        processes = tuple(
            (slot, self._generation, tuple(it.text for it in patterns))
            for slot, patterns in self._patterns.items()
            if patterns
        )
        return encode_row(Observers(processes)) if processes else None

    def observe(self, slot: str, frame: Observe) -> None:
        """Take the subscriptions of the process at `slot`: these, and no others."""
        self._patterns[slot] = tuple(map(parse, frame.patterns))
        self._tell(slot, Observing(frame.number))

    def happened(self, kind: str, at_s: float, fact: object) -> None:
        """Publish a fact of the runtime, under `wippy.<kind>`."""
        topic = f"{OWN}.{kind}"
        for slot, patterns in self._patterns.items():
            if is_wanted(topic, patterns):
                before = self._told.get(slot, 0)
                self._told[slot] = before + 1
                self._tell(slot, Observed(((topic, at_s, _encode(fact)),), before))

    def process_gone(self, slot: str) -> None:
        """A process has ended, and with it its subscriptions."""
        self._patterns.pop(slot, None)
        self._told.pop(slot, None)
