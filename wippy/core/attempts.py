"""One call of a function: how long an attempt may take, and whether another follows. Pure.

Two limits hold at the same time: that of one attempt, and the deadline of whoever calls, which a
call within a call inherits, so that nothing goes on for a caller who waits no more.
"""

from __future__ import annotations

import math

import msgspec

from wippy.core.retry import RetryPolicy, retry_delay_s
from wippy.errors import Exited, Failed, WippyError

MAX_DEPTH = 64
"""Calls within calls. A chain that is longer is a function that calls itself without an end, and
each link of it holds a call of a worker."""


class CallPlan(msgspec.Struct, frozen=True):
    """What limits a call.

    Attributes:
        timeout_s: Limit of one attempt, seconds; 0 is none.
        retry: What a failed attempt is followed by.
        deadline_s: When the caller's own time is over, monotonic seconds.
    """

    timeout_s: float = 0.0
    retry: RetryPolicy = RetryPolicy()
    deadline_s: float = math.inf

    def left_s(self, now_s: float) -> float | None:
        """Return how long an attempt that begins at `now_s` may take, seconds >= 0; None: no
        limit."""
        limit_s = self.timeout_s if self.timeout_s > 0 else math.inf
        left_s = min(limit_s, self.deadline_s - now_s)
        return None if left_s == math.inf else max(0.0, left_s)

    def is_over(self, now_s: float) -> bool:
        """Say whether the caller's own time is over."""
        return now_s >= self.deadline_s

    def delay_s(
        self, attempt: int, error: WippyError, *, now_s: float, roll: float
    ) -> float | None:
        """Return the wait before the attempt after a failed one, seconds; None: there is none.

        Args:
            attempt: The attempt that failed, from 1.
            error: How.
            now_s: Monotonic seconds.
            roll: A number in [0, 1] that places the wait within the jitter.
        """
        if not may_repeat(error):
            return None
        delay_s = retry_delay_s(self.retry, attempt, type_of(error), roll)
        if delay_s is None or now_s + delay_s >= self.deadline_s:
            return None
        return delay_s


def may_repeat(error: WippyError) -> bool:
    """Say whether another attempt may succeed, as it may where a worker has ended: others do it."""
    return error.retryable or isinstance(error, Exited)


def type_of(error: WippyError) -> str:
    """Return the name that a policy's `non_retryable` knows an error by: of what was raised."""
    if isinstance(error, Failed) and error.type:
        return error.type
    return f"{type(error).__module__}.{type(error).__qualname__}"


def is_refused_depth(depth: int) -> bool:
    """Say whether a call within `depth` others is one too many."""
    return depth >= MAX_DEPTH
