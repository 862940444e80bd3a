"""What an actor has printed, as soon as it has."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from pathlib import Path

from real_node import DEADLINE_S, RealNode


def wait_lines(node: RealNode, child_id: str, last: str) -> list[str]:
    """Wait until the log of a child has a whole line that begins with `last`; return all lines up
    to it. A log sends no event, so it is looked at again and again."""
    end_s = time.monotonic() + DEADLINE_S
    lines: list[str] = []
    while time.monotonic() < end_s:
        text = node.log(child_id)
        lines = text[: text.rfind("\n") + 1].splitlines()
        for index, line in enumerate(lines):
            if line.startswith(last):
                return lines[: index + 1]
        select.select([], [], [], 0.02)
    raise AssertionError(f"no line begins with {last!r} in {lines}")


def wait_file(path: Path, is_enough: Callable[[list[str]], bool]) -> list[str]:
    """Wait until the whole lines of a file are enough, or the deadline; return them. A file sends
    no event either."""
    end_s = time.monotonic() + DEADLINE_S
    lines: list[str] = []
    while time.monotonic() < end_s:
        text = path.read_text() if path.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()
        if is_enough(lines):
            break
        select.select([], [], [], 0.02)
    return lines
