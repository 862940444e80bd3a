"""When changes of files are acted upon."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.debounce import LONGEST_S, QUIET_S, Debounce


def test_nothing_is_due_before_something_has_changed() -> None:
    assert Debounce().due_s() is None
    assert not Debounce().is_due(1e9)


def test_a_change_is_due_once_nothing_has_followed_for_a_moment() -> None:
    once = Debounce().noticed(10.0)
    assert not once.is_due(10.0 + QUIET_S / 2)
    assert once.is_due(10.0 + QUIET_S)
    again = once.noticed(10.0 + QUIET_S / 2)
    assert not again.is_due(10.0 + QUIET_S)
    assert again.is_due(10.0 + QUIET_S * 1.5)


@given(st.lists(st.floats(0.0, QUIET_S * 0.9), min_size=1, max_size=200))
def test_changes_without_a_pause_are_due_in_the_end(pauses: list[float]) -> None:
    state, now_s = Debounce(), 0.0
    for pause_s in pauses:
        now_s += pause_s
        state = state.noticed(now_s)
        due_s = state.due_s()
        assert due_s is not None
        assert due_s <= pauses[0] + LONGEST_S
