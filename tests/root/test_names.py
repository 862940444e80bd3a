"""Registered names: one holder each, and nothing late ever harms a later holder."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from supervisor.root.names import Names
from wippy.core.ids import Pid

PIDS = st.builds(
    Pid,
    st.just("n"),
    st.sampled_from(["app:a", "app:b"]),
    st.integers(1, 2),
    st.integers(0, 1),
)
NAMES = st.sampled_from(["x", "y", "z"])


class NamesMachine(RuleBasedStateMachine):
    """Against a plain dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.names = Names()
        self.model: dict[str, Pid] = {}

    @rule(name=NAMES, pid=PIDS)
    def claim(self, name: str, pid: Pid) -> None:
        assert self.names.claim(name, pid) == self.model.setdefault(name, pid)

    @rule(name=NAMES, pid=PIDS)
    def free(self, name: str, pid: Pid) -> None:
        is_own = self.model.get(name) == pid
        assert self.names.free(name, pid) is is_own
        if is_own:
            del self.model[name]

    @rule(pid=PIDS)
    def actor_ends(self, pid: Pid) -> None:
        own = {name for name, holder in self.model.items() if holder == pid}
        assert set(self.names.free_actor(pid)) == own
        for name in own:
            del self.model[name]

    @rule(pid=PIDS)
    def process_ends(self, pid: Pid) -> None:
        own = {
            name
            for name, holder in self.model.items()
            if (holder.slot, holder.generation) == (pid.slot, pid.generation)
        }
        assert set(self.names.free_process(pid.slot, pid.generation)) == own
        for name in own:
            del self.model[name]

    @invariant()
    def all_holders_are_known(self) -> None:
        for name in ("x", "y", "z"):
            assert self.names.holder(name) == self.model.get(name)


TestNames = NamesMachine.TestCase


def test_a_late_unregister_of_an_old_generation_does_not_remove_the_new_holder() -> None:
    names = Names()
    old, new = Pid("n", "app:a", 1), Pid("n", "app:a", 2)
    names.claim("x", old)
    names.free_process("app:a", 1)
    names.claim("x", new)
    assert not names.free("x", old)
    assert names.holder("x") == new


def test_nothing_is_kept_of_processes_that_hold_no_name_any_more() -> None:
    names = Names()
    for generation in range(1, 50):
        names.claim("x", Pid("n", "app:a", generation))
        names.free_process("app:a", generation)
    assert names._by_process == {}
