"""Whether a failed attempt is followed by another, and how long one may take."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy import errors
from wippy.core.attempts import CallPlan, may_repeat, type_of
from wippy.core.backoff import Backoff
from wippy.core.retry import RetryPolicy
from wippy.errors import BY_KIND, Exited, Failed, WippyError

PLAIN = Backoff(initial_delay_s=1.0, max_delay_s=100.0, factor=2.0, jitter=0.0)
THREE = RetryPolicy(attempts=3, backoff=PLAIN, non_retryable=("ValueError", "Timeout"))
ALWAYS = RetryPolicy(attempts=3, backoff=PLAIN)

REPEATED = {
    "invalid": False,
    "not_found": False,
    "already_exists": False,
    "permission_denied": False,
    "unavailable": True,
    "mailbox_full": True,
    "conflict": True,
    "timeout": True,
    "cancelled": False,
    "exited": True,
    "failed": True,
    "internal": False,
}


@pytest.mark.parametrize("kind", BY_KIND)
def test_every_kind_of_error_is_repeated_or_not_as_the_table_says(kind: str) -> None:
    error = BY_KIND[kind]("why")
    assert may_repeat(error) is REPEATED[kind]
    delay_s = CallPlan(retry=ALWAYS).delay_s(1, error, now_s=0.0, roll=0.5)
    assert delay_s == (1.0 if REPEATED[kind] else None)


@pytest.mark.parametrize(
    ("attempt", "error", "expected"),
    [
        (1, Failed("x", "KeyError"), 1.0),
        (2, Failed("x", "KeyError"), 2.0),
        (3, Failed("x", "KeyError"), None),
        (1, Failed("x", "ValueError"), None),
        (1, Failed("x", "shop.errors.ValueError"), None),
        (1, errors.Timeout("late"), None),
        (1, Exited("gone"), 1.0),
    ],
)
def test_the_policy_counts_attempts_and_knows_errors_by_the_name_of_what_was_raised(
    attempt: int, error: WippyError, expected: float | None
) -> None:
    assert CallPlan(retry=THREE).delay_s(attempt, error, now_s=0.0, roll=0.5) == expected


def test_an_attempt_that_could_only_begin_after_the_callers_deadline_is_not_made() -> None:
    plan = CallPlan(retry=THREE, deadline_s=10.0)
    assert plan.delay_s(1, Exited("gone"), now_s=8.9, roll=0.5) == 1.0
    assert plan.delay_s(1, Exited("gone"), now_s=9.0, roll=0.5) is None


@pytest.mark.parametrize(
    ("timeout_s", "deadline_s", "left_s"),
    [(0.0, math.inf, None), (5.0, math.inf, 5.0), (0.0, 103.0, 3.0), (5.0, 103.0, 3.0),
     (5.0, 110.0, 5.0), (5.0, 99.0, 0.0)],
)  # fmt: skip
def test_an_attempt_has_the_smaller_of_its_own_limit_and_what_is_left_of_the_callers(
    timeout_s: float, deadline_s: float, left_s: float | None
) -> None:
    assert CallPlan(timeout_s, deadline_s=deadline_s).left_s(100.0) == left_s


@given(timeout_s=st.floats(0, 1e6), deadline_s=st.floats(0, 1e6), now_s=st.floats(0, 1e6))
def test_no_attempt_outlives_the_callers_deadline(
    timeout_s: float, deadline_s: float, now_s: float
) -> None:
    left_s = CallPlan(timeout_s, deadline_s=deadline_s).left_s(now_s)
    assert left_s is not None
    assert left_s == 0.0 or now_s + left_s <= deadline_s + 1e-6


def test_an_error_that_was_not_raised_by_the_function_is_known_by_its_own_class() -> None:
    assert type_of(errors.Timeout("x")) == "wippy.errors.Timeout"
    assert type_of(Failed("x", "shop.Rejected")) == "shop.Rejected"
