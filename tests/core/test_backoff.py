"""Back-off: immediate, then growing, capped, spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core.backoff import Backoff, delay_s, roll_for

policies = st.builds(
    Backoff,
    initial_delay_s=st.floats(0.0, 10.0),
    max_delay_s=st.floats(10.0, 100.0),
    factor=st.floats(1.0, 10.0),
    jitter=st.floats(0.0, 1.0),
)
rolls = st.floats(0.0, 1.0)


@given(policies, st.integers(max_value=0), rolls)
def test_the_first_restart_is_immediate(policy: Backoff, attempt: int, roll: float) -> None:
    assert delay_s(policy, attempt, roll) == 0.0


@given(policies, st.integers(1, 10**9), rolls)
def test_a_wait_lies_within_the_jitter_and_never_above_the_cap(
    policy: Backoff, attempt: int, roll: float
) -> None:
    wait_s = delay_s(policy, attempt, roll)
    middle_s = delay_s(Backoff(policy.initial_delay_s, policy.max_delay_s, policy.factor, 0.0),
                       attempt, 0.5)  # fmt: skip
    slack_s = 1e-9 * (1 + middle_s)
    assert 0.0 <= wait_s <= policy.max_delay_s
    assert middle_s * (1 - policy.jitter) - slack_s <= wait_s
    assert wait_s <= middle_s * (1 + policy.jitter) + slack_s


@given(policies, st.integers(1, 200))
def test_without_jitter_waits_never_shrink(policy: Backoff, attempt: int) -> None:
    assert delay_s(policy, attempt, 0.5) <= delay_s(policy, attempt + 1, 0.5)


@pytest.mark.parametrize(
    ("attempt", "wait_s"), [(1, 0.1), (2, 0.2), (3, 0.4), (9, 25.6), (10, 30.0), (5000, 30.0)]
)
def test_waits_double_up_to_the_cap(attempt: int, wait_s: float) -> None:
    assert delay_s(Backoff(jitter=0.0), attempt, 0.0) == pytest.approx(wait_s)


@given(st.text(), st.integers(0, 10**6))
def test_a_roll_is_a_share_and_the_same_each_time(key: str, attempt: int) -> None:
    assert 0.0 <= roll_for(key, attempt) < 1.0
    assert roll_for(key, attempt) == roll_for(key, attempt)


def test_children_that_died_together_do_not_all_come_back_together() -> None:
    rolls = {round(roll_for(f"app:worker#{number}", 1), 2) for number in range(100)}
    assert len(rolls) > 40
