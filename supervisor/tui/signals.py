"""The signals of the menu (`K`)."""

from __future__ import annotations

SIGNALS = (
    ("TERM", 15, "ask it to end; it is judged as a crash and restarted"),
    ("INT", 2, "as ctrl-C would"),
    ("HUP", 1, "hang up; many programs read their configuration again"),
    ("KILL", 9, "end it at once, without a word"),
    ("STOP", 19, "freeze it"),
    ("CONT", 18, "thaw it"),
    ("USR1", 10, "whatever the program makes of it"),
    ("USR2", 12, "whatever the program makes of it"),
    ("QUIT", 3, "end it with a core dump, where it does not catch it"),
)
"""Name, number and use, in the order of the menu."""
