from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core.durations import next_tick_s, seconds
from wippy.core.units import MAX_DURATION_S
from wippy.errors import Invalid


@pytest.mark.parametrize(
    ("duration", "expected_s"),
    [
        ("100ms", 0.1),
        ("5s", 5.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        (0, 0.0),
        (0.25, 0.25),
        (3, 3.0),
        (-1, 0.0),
        (float("-inf"), 0.0),
        (datetime.timedelta(minutes=1, milliseconds=500), 60.5),
        (datetime.timedelta(seconds=-1), 0.0),
        (MAX_DURATION_S, MAX_DURATION_S),
    ],
)
def test_durations_are_text_numbers_or_timedeltas(duration: Any, expected_s: float) -> None:
    result = seconds(duration)
    assert (result, type(result)) == (expected_s, float)


@pytest.mark.parametrize(
    "duration",
    ["", "5", "5 parsecs", "-5s", "s", True, None, b"5s", [5], float("nan"), float("inf"), 1e12],
)
def test_what_is_no_duration_is_refused(duration: Any) -> None:
    with pytest.raises(Invalid, match="duration"):
        seconds(duration)


@given(
    due_s=st.floats(0, 1e6),
    interval_s=st.floats(1e-3, 1e5),
    late_s=st.one_of(st.just(0.0), st.floats(-1e-9, 1e6)),
)
def test_the_next_tick_is_after_now_in_step_and_at_most_one_interval_away(
    due_s: float, interval_s: float, late_s: float
) -> None:
    now_s = due_s + late_s
    next_s = next_tick_s(due_s, interval_s, now_s)
    assert next_s > now_s
    assert next_s - max(now_s, due_s) <= interval_s * 1.001
    ticks = (next_s - due_s) / interval_s
    assert abs(ticks - round(ticks)) < 1e-3


@pytest.mark.parametrize(("late_s", "next_s"), [(0, 11), (0.5, 11), (0.99, 11), (1, 12), (7.2, 18)])
def test_overdue_ticks_are_left_out(late_s: float, next_s: float) -> None:
    assert next_tick_s(10.0, 1.0, 10.0 + late_s) == next_s
