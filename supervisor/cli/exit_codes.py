"""Exit codes: documented (docs/exit-codes.md) and stable, for scripts."""

from __future__ import annotations

import enum

from wippy.errors import NotFound, WippyError


class ExitCode(enum.IntEnum):
    """How a command ended. 64 to 78 are those of sysexits.h; 128 + n is signal n, as in shells."""

    OK = 0
    FAILED = 1  # it was tried and failed
    USAGE = 2
    NOT_ALL_UP = 3  # status
    NOT_FOUND = 4  # no such id, or no node to be reached
    GAVE_UP = 69  # the runtime gave up (EX_UNAVAILABLE)
    ROOT_KEEPS_DYING = 70  # the guardian gave up (EX_SOFTWARE)
    STATE_IN_USE = 75  # another runtime holds the state folder (EX_TEMPFAIL)
    CONFIG = 78  # EX_CONFIG
    INTERRUPTED = 130  # ^C
    BROKEN_PIPE = 141  # the reader of our output went away


def code_for(error: WippyError) -> ExitCode:
    """Return the exit code for an error that ends a command."""
    if error.kind == "configuration":
        return ExitCode.CONFIG
    return ExitCode.NOT_FOUND if isinstance(error, NotFound) else ExitCode.FAILED
