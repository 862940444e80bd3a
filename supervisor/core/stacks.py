"""Stacks as faulthandler writes them: where the event loop of a process stands."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

_THREAD = re.compile(r"^(?:Current thread|Thread) 0x[0-9a-f]+.*\(most recent call first\):")
_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>[0-9]+) in (?P<function>.+)$')
_LOOP = "run_forever"
_NOT_USERS = ("/lib/python", "/wippy/", "<frozen ")
"""Files of the interpreter, of packages and of the runtime: whoever called them is meant."""


class StackFrame(msgspec.Struct, frozen=True):
    """One frame: `file`, `line` (from 1) and the function's name."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file.rsplit('/', 1)[-1]}:{self.line} in {self.function}"


def loop_stack(lines: Iterable[str]) -> tuple[StackFrame, ...]:
    """Return the stack of the thread that runs the event loop, innermost first; of several dumps
    the last; empty if there is none."""
    found: tuple[StackFrame, ...] = ()
    current: list[StackFrame] = []
    for line in (*lines, "Thread 0x0 (most recent call first):"):
        if _THREAD.match(line):
            if any(frame.function == _LOOP for frame in current):
                found = tuple(current)
            current = []
        elif frame := _FRAME.match(line):
            current.append(StackFrame(frame["file"], int(frame["line"]), frame["function"]))
    return found


def users_frames(stack: Iterable[StackFrame]) -> tuple[StackFrame, ...]:
    """Return the frames of user code, innermost first."""
    return tuple(frame for frame in stack if not any(mark in frame.file for mark in _NOT_USERS))
