"""Whether a failed attempt is followed by another, and when: pure functions of the policy."""

from __future__ import annotations

import msgspec

from wippy.core.backoff import Backoff, delay_s


class RetryPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a call is tried.

    Attributes:
        attempts: Tries in all, the first included, >= 1; 1 never repeats.
        backoff: Waits between them.
        non_retryable: Names of exception classes that end it at once: `ValueError`, or with the
            module, `shop.errors.Rejected`.
    """

    attempts: int = 1
    backoff: Backoff = Backoff()
    non_retryable: tuple[str, ...] = ()


def retry_delay_s(policy: RetryPolicy, attempt: int, error_type: str, roll: float) -> float | None:
    """Return the wait before the next attempt, seconds; None if there is none.

    Args:
        policy: The policy.
        attempt: The attempt that failed, from 1.
        error_type: Qualified name of what it raised, as in `wippy.core.reasons.Error.type`.
        roll: A number in [0, 1] that places the wait within the jitter.
    """
    if attempt >= policy.attempts or _is_named(error_type, policy.non_retryable):
        return None
    return delay_s(policy.backoff, attempt, roll)


def _is_named(error_type: str, names: tuple[str, ...]) -> bool:
    return any(error_type == name or error_type.endswith(f".{name}") for name in names)
