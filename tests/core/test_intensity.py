"""Restart intensity against a dumb list of times."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from supervisor.core.intensity import Intensity

WINDOW_S = 4.0


class IntensityMachine(RuleBasedStateMachine):
    """Times in quarters of a second, which floats hold exactly, so boundaries are met."""

    @initialize(max_restarts=st.integers(0, 4))
    def begin(self, max_restarts: int) -> None:
        self.value = Intensity(max_restarts, WINDOW_S)
        self.now_s = 64.0
        self.times: list[float] = []

    def recent(self) -> list[float]:
        return [at_s for at_s in self.times if self.now_s - at_s <= WINDOW_S]

    @rule(by_s=st.sampled_from([0.0, 0.25, 3.75, 4.0, 4.25]))
    def time_passes(self, by_s: float) -> None:
        self.now_s += by_s

    @rule()
    def a_restart_is_counted(self) -> None:
        self.times.append(self.now_s)
        self.value, allowed = self.value.note_restart(self.now_s)
        assert allowed == (len(self.recent()) <= self.value.max_restarts)

    @invariant()
    def what_is_used_is_what_lies_in_the_window(self) -> None:
        if not hasattr(self, "value"):
            return
        most = self.value.max_restarts + 1  # one more proves the excess, more are not kept
        kept = self.recent()[-most:]
        assert self.value.used(self.now_s) == len(kept)
        resets_in_s = kept[0] + WINDOW_S - self.now_s if kept else 0.0
        assert self.value.resets_in_s(self.now_s) == resets_in_s
        assert len(self.value.restarted_at_s) <= most


TestIntensityAgainstAList = IntensityMachine.TestCase


@pytest.mark.parametrize(("later_s", "allowed"), [(4.0, False), (4.001, True)])
def test_a_restart_as_old_as_the_window_still_counts(later_s: float, allowed: bool) -> None:
    value, _ = Intensity(1, WINDOW_S).note_restart(100.0)
    assert value.note_restart(100.0 + later_s)[1] is allowed


def test_no_restart_is_allowed_where_none_is() -> None:
    assert Intensity(0, WINDOW_S).note_restart(1.0)[1] is False


def test_a_value_never_changes() -> None:
    value = Intensity(1, WINDOW_S)
    value.note_restart(1.0)
    assert value.used(1.0) == 0


def test_the_time_until_the_reset_is_never_negative() -> None:
    value, _ = Intensity(3, 0.3).note_restart(0.1)
    assert value.resets_in_s(0.1 + 0.3) >= 0.0
