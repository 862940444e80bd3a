"""Whether a failed attempt is followed by another."""

from __future__ import annotations

import pytest

from wippy.core.backoff import Backoff
from wippy.core.retry import RetryPolicy, retry_delay_s

PLAIN = Backoff(initial_delay_s=1.0, max_delay_s=5.0, factor=2.0, jitter=0.0)


def test_nothing_is_repeated_by_default() -> None:
    assert retry_delay_s(RetryPolicy(), 1, "ValueError", 0.5) is None


def test_waits_grow_up_to_the_cap_until_the_attempts_are_used() -> None:
    policy = RetryPolicy(attempts=5, backoff=PLAIN)
    waits = [retry_delay_s(policy, attempt, "ValueError", 0.5) for attempt in range(1, 7)]
    assert waits == [1.0, 2.0, 4.0, 5.0, None, None]


@pytest.mark.parametrize(
    ("error_type", "is_final"),
    [
        ("ValueError", True),
        ("shop.errors.Rejected", True),
        ("app:handler.Rejected", False),
        ("app:handler.Refused", True),
        ("MyValueError", False),
        ("KeyError", False),
    ],
)
def test_a_class_is_named_by_its_last_part_or_with_its_module(
    error_type: str, is_final: bool
) -> None:
    policy = RetryPolicy(
        attempts=2, backoff=PLAIN, non_retryable=("ValueError", "errors.Rejected", "Refused")
    )
    assert (retry_delay_s(policy, 1, error_type, 0.5) is None) is is_final
