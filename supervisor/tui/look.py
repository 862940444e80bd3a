"""How things are drawn, as a value: what a renderer needs besides the model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from supervisor.core.facts import Level


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal and the moment.

    Attributes:
        now_s: Monotonic, as in the model.
        utc_offset_s: Of the operator's time zone.
        has_color: Colours may be used.
        is_ascii: The terminal shows nothing but ASCII.
    """

    now_s: float = 0.0
    utc_offset_s: float = 0.0
    has_color: bool = True
    is_ascii: bool = False


LEVEL_STYLES = {
    Level.ERROR: "bold red",
    Level.WARNING: "yellow",
    Level.INFO: "",
    Level.DEBUG: "dim",
}
LEVEL_SIGNS = {Level.ERROR: "✘", Level.WARNING: "⚠", Level.INFO: " ", Level.DEBUG: " "}
"""A level is never told by colour alone."""


def clock(at_s: float, utc_offset_s: float) -> str:
    """Return the time of day of `at_s` (UTC seconds since the epoch) for the operator."""
    if at_s <= 0:
        return "--:--:--"
    at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=at_s + utc_offset_s)
    return at.strftime("%H:%M:%S")
