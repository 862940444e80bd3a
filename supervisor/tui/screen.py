"""What must be written so that a terminal shows new lines in the place of old ones."""

from __future__ import annotations

from collections.abc import Sequence

# Terminals that know mode 2026 show a frame at once; the others ignore it.
BEGIN_FRAME = "\x1b[?2026h"
END_FRAME = "\x1b[?2026l"
CLEAR = "\x1b[H\x1b[2J"


def difference(before: Sequence[str], after: Sequence[str]) -> str:
    """Return the text that turns a screen that shows `before` into `after`, "" if they are equal.

    `before` is empty for a screen of unknown content. Lines are already as wide as the terminal,
    so nothing of an old line is left behind, and unchanged lines cost nothing, not even over ssh.
    """
    is_fresh = len(before) != len(after)
    old: Sequence[str | None] = [None] * len(after) if is_fresh else before
    parts = [
        f"\x1b[{number};1H{line}"
        for number, (line, was) in enumerate(zip(after, old, strict=True), 1)
        if line != was
    ]
    if not parts:
        return ""
    return "".join((BEGIN_FRAME, CLEAR if is_fresh else "", *parts, END_FRAME))
