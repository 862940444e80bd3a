"""Durations as user code gives them: `"100ms"`, seconds as a number, a `timedelta`."""

from __future__ import annotations

import datetime
import math

from wippy.core.units import MAX_DURATION_S, parse_duration_s
from wippy.errors import Invalid

Duration = str | float | datetime.timedelta
"""Text as in configuration (`100ms`, `5s`, `2m`, `1h`), seconds, or a timedelta."""


def seconds(duration: Duration) -> float:
    """Return `duration` in seconds, >= 0.

    A number below 0 is 0: what is left until a deadline that has passed is over at once.

    Raises:
        Invalid: It is no duration, not a number, or longer than ten years.
    """
    if isinstance(duration, str):
        return parse_duration_s(duration)
    if isinstance(duration, datetime.timedelta):
        duration = duration.total_seconds()
    if not isinstance(duration, int | float) or isinstance(duration, bool):
        raise Invalid(f"{duration!r} is no duration; write for instance '100ms', '5s' or 0.1")
    if math.isnan(duration) or duration > MAX_DURATION_S:
        raise Invalid(f"{duration!r} s is no duration, or longer than ten years")
    return max(0.0, float(duration))


def next_tick_s(due_s: float, interval_s: float, now_s: float) -> float:
    """Return when a ticker whose tick was due at `due_s` ticks next: after `now_s`, in step.

    Ticks that are overdue by then are left out, so that a blocked loop is not followed by a burst.
    """
    next_s = due_s + interval_s
    if next_s <= now_s:
        next_s += math.ceil((now_s - next_s) / interval_s) * interval_s
    return next_s if next_s > now_s else next_s + interval_s
