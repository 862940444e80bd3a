"""Groups as processes and roots know them: against dumb models, with losses and new roots."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.core.groups import Members
from supervisor.root.groups import Groups
from wippy.core import messages
from wippy.core.directory import decode_times, group_prefix
from wippy.core.groups import Change, GroupEvent, OwnMembers, Unread, WatchedGroups, check_group
from wippy.core.ids import Pid
from wippy.errors import Invalid

ACTORS = st.tuples(st.sampled_from(["app:a", "app:b"]), st.integers(1, 2), st.integers(0, 1))
NAMES = st.sampled_from(["x", "y"])


class RootMachine(RuleBasedStateMachine):
    """Processes that say what their actors join, to roots that are replaced, before two monitors,
    one of which misses frames now and then."""

    WATCHERS = (b"sees all", b"misses some")

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[bytes, bytes] = {}
        self.own: dict[tuple[str, int], OwnMembers] = {}
        self.model: Counter[tuple[str, Pid]] = Counter()
        self.watching = {peer: WatchedGroups() for peer in self.WATCHERS}
        self.told: dict[bytes, Counter[tuple[str, str]]] = {it: Counter() for it in self.WATCHERS}
        self.is_losing = False
        self.asked: list[tuple[bytes, str]] = []
        self.root = self.new_root()
        for peer in self.WATCHERS:
            for group in ("x", "y"):
                self.watching[peer].add(group)
                self.root.watch(peer, group)

    def new_root(self) -> Groups:
        self.rows.clear()
        return Groups(self, self.send, self.fail)

    def fail(self, text: str) -> None:
        raise AssertionError(text)

    def write_directory(self, rows: dict[bytes, bytes | None]) -> None:
        for key, row in rows.items():
            if row is None:
                del self.rows[key]
            else:
                self.rows[key] = row

    def send(self, peer: bytes, frame: object) -> None:
        if peer not in self.watching:
            return
        if self.is_losing and peer == b"misses some":
            return
        watching = self.watching[peer]
        if isinstance(frame, messages.GroupMembers):
            events = watching.learn(
                frame.group, frame.version, frame.members, is_whole=frame.is_whole
            )
        else:
            assert isinstance(frame, messages.GroupChanged)
            changed = watching.change(frame.group, frame.version, frame.pid, frame.times)
            if changed is None:
                self.asked.append((peer, frame.group))
            events = changed or []
        for event in events:
            step = 1 if event.kind is Change.JOIN else -1
            self.told[peer][event.group, event.pid] += step
            assert self.told[peer][event.group, event.pid] >= 0

    def answer(self) -> None:
        while self.asked:
            self.root.watch(*self.asked.pop())

    @rule(group=NAMES, actor=ACTORS)
    def join(self, group: str, actor: tuple[str, int, int]) -> None:
        slot, generation, number = actor
        own = self.own.setdefault((slot, generation), OwnMembers())
        pid = Pid("n", slot, generation, number)
        self.model[group, pid] += 1
        assert own.join(group, number) == self.model[group, pid]
        self.root.set_member(group, pid, self.model[group, pid])
        self.answer()

    @rule(group=NAMES, actor=ACTORS)
    def leave(self, group: str, actor: tuple[str, int, int]) -> None:
        slot, generation, number = actor
        pid = Pid("n", slot, generation, number)
        left = self.own.get((slot, generation), OwnMembers()).leave(group, number)
        if left is None:
            assert not self.model[group, pid]
            return
        self.model[group, pid] -= 1
        assert left == self.model[group, pid]
        self.root.set_member(group, pid, left)
        self.answer()

    @rule(group=NAMES, actor=ACTORS)
    def say_again(self, group: str, actor: tuple[str, int, int]) -> None:
        pid = Pid("n", *actor)
        self.root.set_member(group, pid, self.model[group, pid])
        self.answer()

    @rule(slot=st.sampled_from(["app:a", "app:b"]), generation=st.integers(1, 2))
    def process_ends(self, slot: str, generation: int) -> None:
        self.own.pop((slot, generation), None)
        for group, pid in list(self.model):
            if (pid.slot, pid.generation) == (slot, generation):
                del self.model[group, pid]
        self.root.process_gone(b"it", slot, generation)
        self.answer()

    @rule()
    def lose_some(self) -> None:
        self.is_losing = True

    @rule()
    def lose_no_more(self) -> None:
        """What was lost is found out with the next change."""
        if not self.is_losing:
            return
        self.is_losing = False
        marker = Pid("n", "app:marker", 1, 0)
        for group in ("x", "y"):
            if self.watching[b"misses some"].is_waiting(group):
                self.root.watch(b"misses some", group)  # asked again, since no answer came
            self.root.set_member(group, marker, 1)
            self.root.set_member(group, marker, 0)
        self.answer()

    @rule()
    def new_root_hears_one_after_another(self) -> None:
        """Nobody leaves because a root is new, whatever is said in which order."""
        before = {peer: Counter(told) for peer, told in self.told.items()}
        self.root = self.new_root()
        for number, _ in enumerate(self.own):
            self.root.adopted(b"%d" % number)
        for peer in self.WATCHERS:
            self.watching[peer].expect_new_root()
            for group in self.watching[peer]:
                self.root.watch(peer, group)
        for number, ((slot, generation), own) in enumerate(self.own.items()):
            if not self.is_losing:
                assert +self.told[b"sees all"] == +before[b"sees all"]
            for group, actor, times in own.all():
                self.root.set_member(group, Pid("n", slot, generation, actor), times)
            self.root.heard(b"%d" % number)
        self.answer()

    @invariant()
    def directory_shows_the_members(self) -> None:
        for group in ("x", "y"):
            prefix = group_prefix(group)
            shown = {
                key[len(prefix) :].decode(): decode_times(row)
                for key, row in self.rows.items()
                if key.startswith(prefix)
            }
            assert shown == {
                f"{pid.slot}.{pid.generation}/{pid.actor}": times
                for (name, pid), times in self.model.items()
                if name == group and times
            }

    @invariant()
    def monitors_know_what_is(self) -> None:
        expected = {(group, str(pid)): times for (group, pid), times in self.model.items() if times}
        for peer in self.WATCHERS:
            if self.is_losing and peer == b"misses some":
                continue
            assert +self.told[peer] == expected


TestRootMachine = RootMachine.TestCase


def test_a_partial_answer_of_a_new_root_adds_but_takes_nobody_away() -> None:
    watching = WatchedGroups()
    watching.add("x")
    watching.learn("x", 7, {"a": 2, "b": 1}, is_whole=True)
    assert watching.learn("x", 0, {"a": 1, "c": 1}, is_whole=False) == [
        GroupEvent(Change.JOIN, "x", "c")
    ]
    assert watching.learn("x", 2, {"a": 1, "c": 1}, is_whole=True) == [
        GroupEvent(Change.LEAVE, "x", "a"),
        GroupEvent(Change.LEAVE, "x", "b"),
    ]


def test_who_has_ended_leaves_at_once_and_nothing_late_brings_it_back() -> None:
    watching = WatchedGroups()
    watching.add("x")
    watching.learn("x", 0, {"a": 2}, is_whole=True)
    assert watching.ended("a") == [GroupEvent(Change.LEAVE, "x", "a")] * 2
    assert watching.change("x", 1, "a", 3) == []
    assert watching.change("x", 2, "a", 0) == []
    assert watching.learn("x", 9, {"a": 1}, is_whole=True) == []


def test_a_missing_change_is_noticed_and_those_after_it_wait_for_the_answer() -> None:
    watching = WatchedGroups()
    watching.add("x")
    watching.learn("x", 0, {}, is_whole=True)
    assert watching.change("x", 2, "b", 1) is None
    assert watching.change("x", 3, "c", 1) == []
    assert watching.learn("x", 3, {"a": 1, "c": 1}, is_whole=True) == [
        GroupEvent(Change.JOIN, "x", "a"),
        GroupEvent(Change.JOIN, "x", "c"),
    ]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.booleans()), max_size=60))
def test_a_monitor_that_does_not_read_still_gets_to_the_members_that_are(
    steps: list[tuple[bool, str, bool]],
) -> None:
    unread, members, seen = Unread("x", {}, limit=4), Counter[str](), Counter[str]()

    def read() -> bool:
        event = unread.take()
        if event is not None:
            seen[event.pid] += 1 if event.kind is Change.JOIN else -1
            assert seen[event.pid] >= 0
        return event is not None

    for joins, pid, reads in steps:
        if joins or members[pid]:
            members[pid] += 1 if joins else -1
            kind = Change.JOIN if joins else Change.LEAVE
            unread.put([GroupEvent(kind, "x", pid)], +members)
        if reads:
            read()
        assert len(unread) <= max(4, 2 * (members.total() + seen.total()) + 1)
    while read():
        pass
    assert +seen == +members


@pytest.mark.parametrize("group", ["", "a\n", "é" * 128, "\x00"])
def test_what_can_be_no_group_is_refused(group: str) -> None:
    with pytest.raises(Invalid, match="is no name of a group"):
        check_group(group)


def test_a_full_node_refuses_newcomers_with_one_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.core.groups.MAX_MEMBERS", 1)
    alarms: list[str] = []
    rows: dict[bytes, bytes | None] = {}

    class Rows:
        def write_directory(self, more: dict[bytes, bytes | None]) -> None:
            rows.update(more)

    root = Groups(Rows(), lambda _peer, _frame: None, alarms.append)  # type: ignore[arg-type]
    for number in range(3):
        root.set_member("x", Pid("n", "app:a", 1, number), 1)
    root.set_member("x", Pid("n", "app:a", 1, 0), 2)
    assert len(rows) == 1
    assert len(alarms) == 1
    assert "n/app:a.1/1 could not join the group 'x'" in alarms[0]
    with pytest.raises(Invalid):
        root.set_member("x", Pid("n", "app:a", 1, 0), -1)


def test_all_that_an_ended_process_left_is_forgotten() -> None:
    members = Members()
    for number in range(3):
        members.set("x", Pid("n", "app:a", 1, number), 1)
    assert len(members.free_process("app:a", 1)) == 3
    assert vars(members) == vars(Members())
