"""Back-off between attempts: a pure function of the policy and the attempt's number."""

from __future__ import annotations

import zlib

import msgspec


class Backoff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to wait before an attempt.

    Attributes:
        initial_delay_s: The first wait, seconds, >= 0.
        max_delay_s: The cap, seconds, >= `initial_delay_s`.
        factor: Growth from one wait to the next, >= 1.
        jitter: Share of the delay that is spread, 0 to 1: the wait lies in
            delay × [1 - jitter, 1 + jitter], never above the cap.
    """

    initial_delay_s: float = 0.1
    max_delay_s: float = 30.0
    factor: float = 2.0
    jitter: float = 0.1


def delay_s(policy: Backoff, attempt: int, roll: float) -> float:
    """Return the wait before restart `attempt`, seconds.

    Args:
        policy: The policy.
        attempt: 0 for the first restart after a stable life, which is immediate; then 1, 2, ...
        roll: A number in [0, 1] that places the wait within the jitter.
    """
    if attempt <= 0:
        return 0.0
    # The exponent is bounded: 2.0 ** 1024 overflows, and long before that the cap holds.
    grown = policy.initial_delay_s * policy.factor ** min(attempt - 1, 64)
    capped = min(grown, policy.max_delay_s)
    return min(capped * (1.0 + policy.jitter * (2.0 * roll - 1.0)), policy.max_delay_s)


def roll_for(key: str, attempt: int) -> float:
    """Return a number in [0, 1) that differs between keys and attempts, without randomness.

    Children that died together must not all come back in the same instant; a hash spreads them
    as well as a random number does, and a replay gives the same times.
    """
    return zlib.crc32(f"{key}:{attempt}".encode()) / 2**32
