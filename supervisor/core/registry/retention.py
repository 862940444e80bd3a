"""How much of the registry's history is kept."""

from __future__ import annotations

import msgspec


class Retention(msgspec.Struct, frozen=True):
    """The oldest versions are forgotten above a number, and above an age.

    Attributes:
        versions: Versions kept at most.
        age_s: Older ones are forgotten, but for the last `least`.
        least: Kept whatever their age.
    """

    versions: int = 10_000
    age_s: float = 90 * 86_400.0
    least: int = 100


FORGET_AT_ONCE = 100
"""Versions that one commit forgets at most: nobody waits long for the tidying of others."""


def is_due(retention: Retention, count: int, oldest_at_s: float, now_s: float) -> bool:
    """Say whether the oldest of `count` versions, made at `oldest_at_s`, is to be forgotten."""
    if count > retention.versions:
        return True
    return count > retention.least and now_s - oldest_at_s > retention.age_s
