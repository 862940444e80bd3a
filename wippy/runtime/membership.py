"""Process groups in one process: its actors' memberships, its monitors, and broadcasts.

The root puts the memberships of all processes together and shows them in the directory; messages
go from process to process, one frame item for all members that live in the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wippy.core import payload, wire
from wippy.core.groups import GroupEvent, OwnMembers, Unread, WatchedGroups
from wippy.core.ids import Pid
from wippy.core.mailbox import Delivery
from wippy.core.messages import (
    AllLeft,
    GroupChanged,
    GroupMembers,
    LeaveAll,
    MembersSaid,
    SetMember,
    UnwatchGroup,
    WatchGroup,
)
from wippy.core.outgoing import cost_of
from wippy.errors import Invalid, Unavailable
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer
from wippy.runtime.waiting import Waiting

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane

LEAVE_TIMEOUT_S = 1.0
"""How long an actor's end waits for the root to take it from its groups, before it is told
anyway."""
ASK_AGAIN_S = 5.0
"""How long an answer about a group may take before it counts as lost: a root that answers at all
does so within milliseconds, but it drops what a process does not take in."""
PRUNE_ACCOUNTS = 10_000
"""Accounts kept for one process, as `wippy.runtime.plane` has it for messages."""
MAX_MEMBERSHIPS = 100_000
"""Of the actors of one process; more is a leak in somebody's code."""


class Watch:
    """One monitor of a group.

    Attributes:
        group: Its name.
        owner: The actor that has it.
        unread: Its events; None until the members are known.
        waiting: Who waits for that, or for an event.
    """

    __slots__ = ("group", "owner", "unread", "waiting")

    def __init__(self, group: str, owner: LocalActor) -> None:
        self.group = group
        self.owner = owner
        self.unread: Unread | None = None
        self.waiting = Waiting()


class Membership:
    """The groups of one process. Used by the thread of its loop only.

    Args:
        plane: Its messages.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._own = OwnMembers()
        self._count = 0
        self._watched = WatchedGroups()
        self._watches: dict[str, list[Watch]] = {}
        self._leaving: dict[str, Callable[[], None]] = {}
        self.handlers: dict[type, Callable[[Peer, wire.Item], None]] = {
            wire.Broadcast: self._broadcast,
        }

    # --- members ----------------------------------------------------------------------------------

    def join(self, local: LocalActor, group: str) -> None:
        """`local` joins, once more; `Unavailable` past `MAX_MEMBERSHIPS`."""
        if self._plane.actors.get(local.number) is not local:
            return  # it has ended: a dead one joins nothing
        if self._count >= MAX_MEMBERSHIPS:
            raise Unavailable(f"the actors of this process are members {self._count} times already")
        self._count += 1
        self._say(group, local.pid, self._own.join(group, local.number))

    def leave(self, local: LocalActor, group: str) -> bool:
        """`local` leaves once; False if it is no member."""
        times = self._own.leave(group, local.number)
        if times is None:
            return False
        self._count -= 1
        self._say(group, local.pid, times)
        return True

    def members(self, group: str) -> dict[str, int]:
        """Return pid to times, of the whole node: what this process knows itself comes first."""
        own, prefix = self._plane.own.prefix, f"{self._plane.node}/"
        found = {
            prefix + place: times
            for place, times in self._plane.post.directory.members(group).items()
        }
        return {
            **{pid: times for pid, times in found.items() if not pid.startswith(own)},
            **self.local_members(group),
        }

    def local_members(self, group: str) -> dict[str, int]:
        """Return pid to times, of this process."""
        own = self._plane.own.prefix
        return {f"{own}{actor}": times for actor, times in self._own.members(group).items()}

    def _say(self, group: str, pid: str, times: int) -> None:
        self._plane.root.send(SetMember(group, pid, times))

    # --- broadcasts -------------------------------------------------------------------------------

    def broadcast(self, local: LocalActor, group: str, topic: str, data: bytes) -> list[str]:
        """Send a message to all members; return those who have no room for it."""
        cost, full = cost_of(data), list[str]()
        by_process: dict[tuple[str, int], list[int]] = {}
        for pid in map(Pid.parse, self.members(group)):
            by_process.setdefault((pid.slot, pid.generation), []).append(pid.actor)
        for key, actors in by_process.items():
            peer = self._plane.peer(*key)
            if peer.is_gone:
                self._plane.dead_letters["no such process"] += len(actors)
                continue
            targets = self._charge(local, peer, actors, cost)
            full += [f"{peer.prefix}{actor}" for actor in actors if actor not in targets]
            if targets:
                self._plane.sent += len(targets)
                peer.say(wire.Broadcast([*targets], local.number, topic, data, cost))
        return full

    def _charge(
        self, local: LocalActor, peer: Peer, actors: list[int], cost: int
    ) -> dict[int, None]:
        """Return those who have room, and take it."""
        targets: dict[int, None] = {}
        for actor in actors:
            outlet = local.outlets.get(f"{peer.prefix}{actor}")
            if outlet is not None:
                outlet.close()  # what was sent before goes before
            account = peer.account(actor)
            if account.credit > 0:
                account.credit -= cost
                targets[actor] = None
        if len(peer.accounts) > PRUNE_ACCOUNTS:
            peer.prune()
        return targets

    def _broadcast(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.Broadcast)
        sender = f"{peer.prefix}{item.sender}"
        for target in item.targets:
            self._deliver(peer, sender, target, item)

    def _deliver(self, peer: Peer, sender: str, target: int, item: wire.Broadcast) -> None:
        plane = self._plane
        local = plane.actors.get(target)
        if local is None:
            plane.receiving.undeliverable(peer, target, 1, item.cost)
            return
        try:
            value = payload.decode(item.data)
        except Invalid:
            plane.dead_letters["malformed"] += 1
            return
        box = local.mailbox.put(Delivery(item.topic, sender, [value], item.cost, peer))
        if box is None:
            plane.dead_letters["window ignored"] += 1
            return
        if local.mailbox.changes:
            plane.receiving.tell_windows(local)
        plane.received += 1
        plane.receiving.wake(box)

    # --- monitors ---------------------------------------------------------------------------------

    def watch(self, local: LocalActor, group: str) -> Watch:
        """Begin to watch a group for `local`; its members may have to be asked for first."""
        watch = Watch(group, local)
        if self._plane.actors.get(local.number) is not local:
            watch.waiting.close()  # it has ended: nobody reads
            return watch
        self._watches.setdefault(group, []).append(watch)
        if self._watched.add(group):
            self._ask(group)
        members = self._watched.members(group)
        if members is not None:
            watch.unread = Unread(group, members)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """End a monitor; again does nothing."""
        watch.waiting.close()
        watches = self._watches.get(watch.group, [])
        if watch not in watches:
            return
        watches.remove(watch)
        if not watches:
            del self._watches[watch.group]
            self._watched.remove(watch.group)
            self._plane.root.send(UnwatchGroup(watch.group))

    def member_ended(self, pid: str) -> None:
        """An actor's end is about to be told here: it has left before that."""
        self._tell(self._watched.ended(pid))

    def _tell(self, events: list[GroupEvent]) -> None:
        by_group: dict[str, list[GroupEvent]] = {}
        for event in events:
            by_group.setdefault(event.group, []).append(event)
        for group, those in by_group.items():
            members = self._watched.members(group) or {}
            for watch in self._watches.get(group, []):
                if watch.unread is not None:
                    watch.unread.put(those, members)
                    watch.waiting.wake()

    def _ask(self, group: str) -> None:
        """Ask the root for a group, and again where the answer was lost."""
        self._plane.root.send(WatchGroup(group))
        self._plane.loop.call_later(ASK_AGAIN_S, self._ask_again, group)

    def _ask_again(self, group: str) -> None:
        if self._watched.is_waiting(group):
            self._ask(group)

    def _learned(self, message: GroupMembers) -> None:
        events = self._watched.learn(
            message.group, message.version, message.members, is_whole=message.is_whole
        )
        self._tell(events)
        members = self._watched.members(message.group) or {}
        for watch in self._watches.get(message.group, []):
            if watch.unread is None:
                watch.unread = Unread(message.group, members)
                watch.waiting.wake()

    def _changed(self, message: GroupChanged) -> None:
        events = self._watched.change(message.group, message.version, message.pid, message.times)
        if events is None:
            self._ask(message.group)
        else:
            self._tell(events)

    # --- the root, and ends -----------------------------------------------------------------------

    def told(self, message: GroupMembers | GroupChanged | AllLeft) -> None:
        """Take a frame from the root."""
        match message:
            case GroupMembers():
                self._learned(message)
            case GroupChanged():
                self._changed(message)
            case AllLeft(pid):
                self._left(pid)

    def announce(self) -> None:
        """Say all again, to a root that knows nothing of it."""
        for group, actor, times in self._own.all():
            self._say(group, f"{self._plane.own.prefix}{actor}", times)
        self._watched.expect_new_root()
        for group in self._watched:
            self._ask(group)
        for pid in self._leaving:
            self._plane.root.send(LeaveAll(pid))
        self._plane.root.send(MembersSaid())

    def actor_ended(self, local: LocalActor, then: Callable[[], None]) -> None:
        """An actor has ended: it leaves its groups, and `then` its end may be told."""
        for watches in list(self._watches.values()):
            for watch in [it for it in watches if it.owner is local]:
                self.unwatch(watch)
        count = self._own.forget(local.number)
        if not count:
            then()
            return
        self._count -= count
        timer = self._plane.loop.call_later(LEAVE_TIMEOUT_S, self._left, local.pid)

        def left() -> None:
            timer.cancel()
            then()

        self._leaving[local.pid] = left
        self._plane.root.send(LeaveAll(local.pid))

    def _left(self, pid: str) -> None:
        left = self._leaving.pop(pid, None)
        if left is not None:
            left()
