"""Process groups: the memberships of all processes put together, shown, and told.

The order is the promise: the directory shows a change before any monitor is told of it, and both
are done before anybody hears of the end that it came from. Messages to a group never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from supervisor.core.groups import MAX_MEMBERS, Members, Membership
from supervisor.root.directory import Rows
from wippy.core.directory import encode_row, member_key
from wippy.core.groups import check_group
from wippy.core.ids import Pid
from wippy.core.messages import AllLeft, GroupChanged, GroupMembers, SayMembers, ToProcess
from wippy.errors import Invalid


class Groups:
    """The groups of one root.

    Args:
        rows: Where the directory is stored; it has no member yet but those of processes that are
            to be `adopted`.
        send: Sends a frame to the process with a routing id.
        alarm: Tells what someone must act on.
    """

    def __init__(
        self,
        rows: Rows,
        send: Callable[[bytes, ToProcess], None],
        alarm: Callable[[str], None],
    ) -> None:
        self._rows = rows
        self._send = send
        self._alarm = alarm
        self._members = Members()
        self._versions: dict[str, int] = {}
        self._watchers: dict[str, dict[bytes, None]] = {}
        self._watched: dict[bytes, set[str]] = {}
        self._unheard: set[bytes] = set()
        self._has_complained = False

    # --- what processes say -----------------------------------------------------------------------

    def set_member(self, group: str, pid: Pid, times: int) -> None:
        """Take a process's word on one of its actors; `Invalid` if it cannot be."""
        check_group(group)
        if times < 0:
            raise Invalid(f"{pid} cannot be a member {times} times")
        if times and self._members.is_full and not self._members.times(group, pid):
            self._complain(group, pid)
            return
        change = self._members.set(group, pid, times)
        if change is not None:
            self._apply([change])

    def leave_all(self, peer: bytes, pid: Pid) -> None:
        """An actor has ended; its process waits to be told that all know it."""
        self.actor_gone(pid)
        self._send(peer, AllLeft(str(pid)))

    def watch(self, peer: bytes, group: str) -> None:
        """Tell a process the members of a group, and from then on each change."""
        check_group(group)
        self._watchers.setdefault(group, {})[peer] = None
        self._watched.setdefault(peer, set()).add(group)
        self._versions.setdefault(group, 0)
        self._tell_all(peer, group)

    def unwatch(self, peer: bytes, group: str) -> None:
        """A process does not want to know any more."""
        self._watched.get(peer, set()).discard(group)
        watchers = self._watchers.get(group, {})
        watchers.pop(peer, None)
        if not watchers:
            self._watchers.pop(group, None)
            self._versions.pop(group, None)

    # --- ends -------------------------------------------------------------------------------------

    def actor_gone(self, pid: Pid) -> None:
        """An actor has ended: it leaves its groups."""
        self._apply(self._members.free_actor(pid))

    def process_gone(self, peer: bytes, slot: str, generation: int) -> None:
        """An OS process has ended: its actors leave, and it watches nothing."""
        for group in tuple(self._watched.pop(peer, ())):
            self.unwatch(peer, group)
        self._apply(self._members.free_process(slot, generation))
        self.heard(peer)

    # --- a new root -------------------------------------------------------------------------------

    def adopted(self, peer: bytes) -> None:
        """A process of an earlier root lives on: ask it for what it knows. Until it has answered,
        nobody is taken for having left."""
        self._unheard.add(peer)
        self._send(peer, SayMembers())

    def heard(self, peer: bytes) -> None:
        """A process has said all; once all have, monitors are told who is there."""
        if peer not in self._unheard:
            return
        self._unheard.discard(peer)
        if self._unheard:
            return
        for group, watchers in self._watchers.items():
            for watcher in watchers:
                self._tell_all(watcher, group)

    # --- telling ----------------------------------------------------------------------------------

    def _apply(self, changes: Iterable[Membership]) -> None:
        changes = list(changes)
        if not changes:
            return
        self._rows.write_directory(
            {
                member_key(it.group, it.pid): encode_row(it.times) if it.times else None
                for it in changes
            }
        )
        for it in changes:
            self._tell(it)

    def _tell(self, change: Membership) -> None:
        watchers = self._watchers.get(change.group)
        if watchers is None:
            return
        version = self._versions[change.group] = self._versions[change.group] + 1
        frame = GroupChanged(change.group, version, str(change.pid), change.times)
        for peer in watchers:
            self._send(peer, frame)

    def _tell_all(self, peer: bytes, group: str) -> None:
        members = {str(pid): times for pid, times in self._members.of(group).items()}
        is_whole = not self._unheard
        self._send(peer, GroupMembers(group, self._versions[group], members, is_whole=is_whole))

    def _complain(self, group: str, pid: Pid) -> None:
        if not self._has_complained:
            self._has_complained = True
            self._alarm(
                f"{pid} could not join the group {group!r}, nor can anybody: the groups of this "
                f"node have {MAX_MEMBERS} members"
            )
