"""When changes of files are acted upon: after a pause in them, or when they do not pause.

Editors write by rename, in several steps, and tools write many files: what changes within one
`QUIET_S` is one change. What is written without a pause is taken up after `LONGEST_S` all the same.
Time is passed in (monotonic seconds); nothing here reads a clock.
"""

from __future__ import annotations

import msgspec

QUIET_S = 0.1
"""Without a change for this long, what was changed is complete: a save takes a few milliseconds."""
LONGEST_S = 2.0
"""A log that somebody writes into the folder must not keep a change from being taken up."""


class Debounce(msgspec.Struct, frozen=True):
    """Changes that were noticed and not acted upon.

    Attributes:
        first_s: When the first of them was noticed; None: there is none.
        last_s: When the last was.
    """

    first_s: float | None = None
    last_s: float = 0.0

    def noticed(self, now_s: float) -> Debounce:
        """Note a change at `now_s`."""
        return Debounce(now_s if self.first_s is None else self.first_s, now_s)

    def due_s(self) -> float | None:
        """Return when the changes are to be acted upon; None: nothing has changed."""
        if self.first_s is None:
            return None
        return min(self.last_s + QUIET_S, self.first_s + LONGEST_S)

    def is_due(self, now_s: float) -> bool:
        """Say whether the changes are to be acted upon at `now_s`."""
        due_s = self.due_s()
        return due_s is not None and now_s >= due_s
