"""Restart intensity: at most `max_restarts` restarts within any `window_s` seconds.

Same rule as OTP (supervisor.erl, add_restart), on a real-valued clock: OTP counts whole seconds,
so its window is really P to P + 1 s. The restart that makes the count exceed the limit is refused
and the supervisor gives up. Time is passed in (monotonic seconds); nothing here reads a clock.
"""

from __future__ import annotations

import msgspec


class Intensity(msgspec.Struct, frozen=True):
    """Restarts still inside the window.

    Attributes:
        max_restarts: Restarts allowed per window; 0 allows none.
        window_s: Window length, seconds, > 0.
        restarted_at_s: Monotonic times of the counted restarts, ascending.
    """

    max_restarts: int
    window_s: float
    restarted_at_s: tuple[float, ...] = ()

    def note_restart(self, now_s: float) -> tuple[Intensity, bool]:
        """Count one restart at `now_s`; return the new value and whether it is allowed."""
        # One more than allowed proves the excess; keeping no more bounds the memory.
        counted = (*self._recent(now_s), now_s)[-(self.max_restarts + 1) :]
        allowed = len(counted) <= self.max_restarts
        return msgspec.structs.replace(self, restarted_at_s=counted), allowed

    def used(self, now_s: float) -> int:
        """Return how many restarts lie within the window that ends at `now_s`."""
        return len(self._recent(now_s))

    def resets_in_s(self, now_s: float) -> float:
        """Return the seconds until the oldest counted restart leaves the window; 0 if none."""
        recent = self._recent(now_s)
        return max(0.0, recent[0] + self.window_s - now_s) if recent else 0.0

    def _recent(self, now_s: float) -> tuple[float, ...]:
        oldest_s = now_s - self.window_s
        return tuple(at_s for at_s in self.restarted_at_s if at_s >= oldest_s)
