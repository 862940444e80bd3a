"""Deadlines against a dictionary."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.core.deadlines import Deadlines

keys = st.tuples(st.sampled_from("abc"), st.sampled_from(["state", "beat"]))
times = st.sampled_from([0.0, 1.0, 1.5, 2.0])


class DeadlinesMachine(RuleBasedStateMachine):
    """Set, move, clear and pop, with equal times on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.real = Deadlines()
        self.model: dict[tuple[str, str], float] = {}

    @rule(key=keys, at_s=times)
    def is_set(self, key: tuple[str, str], at_s: float) -> None:
        self.real.set(key, at_s)
        self.model[key] = at_s

    @rule(key=keys)
    def is_cleared(self, key: tuple[str, str]) -> None:
        self.real.clear(key)
        self.model.pop(key, None)

    @rule(now_s=times)
    def what_is_due_comes_out_in_order(self, now_s: float) -> None:
        due = sorted(((at_s, key) for key, at_s in self.model.items() if at_s <= now_s))
        popped = []
        while (key := self.real.pop_due(now_s)) is not None:
            popped.append((self.model.pop(key), key))
        assert popped == due

    @invariant()
    def both_say_the_same(self) -> None:
        assert self.real.next_s() == min(self.model.values(), default=None)
        for name in "abc":
            assert self.real.get((name, "state")) == self.model.get((name, "state"))


TestDeadlinesAgainstADict = DeadlinesMachine.TestCase


def test_a_deadline_set_twice_for_the_same_time_comes_out_once() -> None:
    deadlines = Deadlines()
    deadlines.set(("a", "state"), 1.0)
    deadlines.set(("a", "state"), 1.0)
    assert deadlines.pop_due(1.0) == ("a", "state")
    assert deadlines.pop_due(9.0) is None
    assert deadlines.next_s() is None


def test_what_is_moved_later_does_not_come_out_at_its_old_time() -> None:
    deadlines = Deadlines()
    deadlines.set(("a", "state"), 1.0)
    deadlines.set(("a", "state"), 5.0)
    assert deadlines.pop_due(1.0) is None
    assert deadlines.next_s() == 5.0
