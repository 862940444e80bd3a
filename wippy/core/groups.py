"""Process groups as one process sees them: its own members, and the groups that it watches. Pure.

The semantics are those of OTP's `pg`: an actor may join a group several times and leaves it as
often; a dead one leaves by itself. Each process knows best what its own actors have joined, and
says it to the root in absolute numbers ("so many times a member now"), so that saying it again,
to a new root for instance, changes nothing. The root puts the reports of all processes together.

A watched group is kept as (version, members). Each change has the version after the one before;
where one is missing, the group is asked for anew, and what differs becomes the events.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping

import msgspec

from wippy.errors import Invalid

MAX_UNREAD = 10_000
"""Events that a monitor may have unread. Past it, those that cancel each other out are left out:
what is left leads from what its reader has seen to what is."""
MAX_ENDED = 4096
"""Pids of actors whose end was told, so that nothing late makes them members again."""
MAX_GROUP_BYTES = 255


class Change(enum.StrEnum):
    """What happened to a group."""

    JOIN = "join"
    LEAVE = "leave"


class GroupEvent(msgspec.Struct, frozen=True):
    """An actor has joined a group, or left it; once for each time.

    Attributes:
        kind: `JOIN` or `LEAVE`.
        group: Its name.
        pid: The actor.
    """

    kind: Change
    group: str
    pid: str


def check_group(group: str) -> None:
    """Raise `Invalid` for what can be no name of a group; `TypeError` for what is no text."""
    if not isinstance(group, str):
        raise TypeError(f"a group is named by a str, not {group!r:.80}")
    length = len(group.encode(errors="surrogatepass"))
    if not 1 <= length <= MAX_GROUP_BYTES or not group.isprintable():
        raise Invalid(
            f"{group[:80]!r} is no name of a group: 1 to {MAX_GROUP_BYTES} bytes of printable text"
        )


def differences(group: str, old: Mapping[str, int], new: Mapping[str, int]) -> list[GroupEvent]:
    """Return the events that lead from some members (pid to times) to others; leaves first."""
    leaves = [
        GroupEvent(Change.LEAVE, group, pid)
        for pid, times in old.items()
        for _ in range(times - new.get(pid, 0))
    ]
    joins = [
        GroupEvent(Change.JOIN, group, pid)
        for pid, times in new.items()
        for _ in range(times - old.get(pid, 0))
    ]
    return leaves + joins


def _larger(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, int]:
    return {pid: max(old.get(pid, 0), new.get(pid, 0)) for pid in {**old, **new}}


class OwnMembers:
    """What the actors of this process have joined."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[int, int]] = {}
        self._of_actor: dict[int, set[str]] = {}

    def join(self, group: str, actor: int) -> int:
        """An actor joins; return how many times it is a member now."""
        members = self._groups.setdefault(group, {})
        members[actor] = members.get(actor, 0) + 1
        self._of_actor.setdefault(actor, set()).add(group)
        return members[actor]

    def leave(self, group: str, actor: int) -> int | None:
        """An actor leaves once; return how many times it is still a member, None if it was none."""
        times = self._groups.get(group, {}).get(actor, 0)
        if not times:
            return None
        if times > 1:
            self._groups[group][actor] = times - 1
        else:
            self._remove(group, actor)
            self._of_actor[actor].discard(group)
            if not self._of_actor[actor]:
                del self._of_actor[actor]
        return times - 1

    def forget(self, actor: int) -> int:
        """An actor has ended; return how many times it was a member, of all groups together."""
        times = 0
        for group in self._of_actor.pop(actor, ()):
            times += self._groups[group][actor]
            self._remove(group, actor)
        return times

    def members(self, group: str) -> dict[int, int]:
        """Return the members of a group that live here: actor to times."""
        return dict(self._groups.get(group, {}))

    def all(self) -> Iterator[tuple[str, int, int]]:
        """Iterate over all (group, actor, times)."""
        for group, members in self._groups.items():
            for actor, times in members.items():
                yield group, actor, times

    def _remove(self, group: str, actor: int) -> None:
        del self._groups[group][actor]
        if not self._groups[group]:
            del self._groups[group]


class _Watched:
    """One watched group; `version` is None until it is told, and while it is asked for anew."""

    __slots__ = ("is_known", "members", "version")

    def __init__(self) -> None:
        self.version: int | None = None
        self.is_known = False
        self.members: dict[str, int] = {}


class WatchedGroups:
    """The groups that this process watches."""

    def __init__(self) -> None:
        self._groups: dict[str, _Watched] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._groups))

    def add(self, group: str) -> bool:
        """Watch a group; return whether it was not watched before."""
        if group in self._groups:
            return False
        self._groups[group] = _Watched()
        return True

    def remove(self, group: str) -> None:
        """Watch it no more."""
        self._groups.pop(group, None)
        if not self._groups:
            self._ended.clear()

    def is_waiting(self, group: str) -> bool:
        """Say whether a watched group has been asked for, and not been told yet."""
        watched = self._groups.get(group)
        return watched is not None and watched.version is None

    def expect_new_root(self) -> None:
        """Another root counts versions anew: until it has told of a group, changes mean nothing."""
        for watched in self._groups.values():
            watched.version = None

    def members(self, group: str) -> dict[str, int] | None:
        """Return pid to times; None while nothing is known."""
        watched = self._groups.get(group)
        return watched.members if watched is not None and watched.is_known else None

    def learn(
        self, group: str, version: int, members: Mapping[str, int], *, is_whole: bool
    ) -> list[GroupEvent]:
        """Take all members at once; return what that changes.

        Args:
            group: Its name.
            version: The next change has one more.
            members: Pid to times.
            is_whole: False: a new root has not heard of all processes yet, so who is missing may
                still be a member: nobody leaves by that.
        """
        watched = self._groups.get(group)
        if watched is None:
            return []
        new = {pid: times for pid, times in members.items() if pid not in self._ended}
        if not is_whole:
            new = _larger(watched.members, new)
        events = differences(group, watched.members, new)
        watched.members, watched.version, watched.is_known = new, version, True
        return events

    def change(self, group: str, version: int, pid: str, times: int) -> list[GroupEvent] | None:
        """Take a change; return the events, or None: something is missing, ask for the group."""
        watched = self._groups.get(group)
        if watched is None or watched.version is None or version <= watched.version:
            return []  # what was asked for will have it, or had it
        if version > watched.version + 1:
            watched.version = None
            return None
        watched.version = version
        return self._set(group, watched, pid, 0 if pid in self._ended else times)

    def ended(self, pid: str) -> list[GroupEvent]:
        """An actor's end is about to be told: it leaves before that, and for good."""
        if not self._groups:
            return []
        self._ended[pid] = None
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)
        return [
            event
            for group, watched in self._groups.items()
            for event in self._set(group, watched, pid, 0)
        ]

    def _set(self, group: str, watched: _Watched, pid: str, times: int) -> list[GroupEvent]:
        before = watched.members.get(pid, 0)
        if times:
            watched.members[pid] = times
        else:
            watched.members.pop(pid, None)
        return differences(group, {pid: before}, {pid: times})


class Unread:
    """The events that one monitor has not taken yet.

    Args:
        group: Its name.
        members: Pid to times, as its reader knows them.
        limit: See `MAX_UNREAD`.
    """

    def __init__(self, group: str, members: Mapping[str, int], limit: int = MAX_UNREAD) -> None:
        self._group = group
        self._seen = dict(members)
        self._events: deque[GroupEvent] = deque()
        self._limit = self._bound = limit

    def __len__(self) -> int:
        return len(self._events)

    def put(self, events: list[GroupEvent], members: Mapping[str, int]) -> None:
        """Add events; `members` are those after the last of them."""
        self._events.extend(events)
        if len(self._events) > self._bound:
            self._events = deque(differences(self._group, self._seen, members))
            self._bound = max(self._limit, 2 * len(self._events))

    def seen(self) -> dict[str, int]:
        """Return pid to times, as they were before the first event that was not taken."""
        return dict(self._seen)

    def take(self) -> GroupEvent | None:
        """Return the next event; None if there is none."""
        if not self._events:
            self._bound = self._limit
            return None
        event = self._events.popleft()
        step = 1 if event.kind is Change.JOIN else -1
        times = self._seen.get(event.pid, 0) + step
        if times:
            self._seen[event.pid] = times
        else:
            self._seen.pop(event.pid, None)
        return event
