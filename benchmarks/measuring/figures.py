"""Figures with their sample counts, goals that are met or not, and how both are shown."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """What a row of samples says; the unit is that of the samples."""

    samples: int
    least: float
    median: float
    p90: float
    most: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What must be reached: `value` is to be at most `limit` (below it, if `is_strict`)."""

    text: str
    value: float
    limit: float
    unit: str
    is_strict: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it is reached."""
        return self.value < self.limit if self.is_strict else self.value <= self.limit


def spread_of(samples: Sequence[float]) -> Spread:
    """Return the spread of at least one sample."""
    ordered = sorted(samples)
    at_p90 = min(len(ordered) - 1, round(0.9 * (len(ordered) - 1)))
    return Spread(
        len(ordered), ordered[0], statistics.median(ordered), ordered[at_p90], ordered[-1]
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under their header: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    return "\n".join(_line(row, widths) for row in (header, ["-" * w for w in widths], *rows))


def goal_lines(goals: Sequence[Goal]) -> str:
    """Return a line for each goal, with `met` or `NOT MET`."""
    return "\n".join(
        f"{'met    ' if goal.is_met else 'NOT MET'}  {goal.text}: "
        f"{goal.value:.3g} {goal.unit}, {'below' if goal.is_strict else 'at most'} "
        f"{goal.limit:.3g} {goal.unit}"
        for goal in goals
    )


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def machine_line(seen: dict[str, Any]) -> str:
    """Return what `machine` saw, as a line."""
    return (
        f"Linux {seen['kernel']}, Python {seen['python']}, {seen['cores']} cores, "
        f"load {seen['load_1m']} at the start"
    )


def as_json(**data: Any) -> str:
    """Return a benchmark's result as JSON; spreads and goals may be anywhere in `data`."""
    return json.dumps({"schema": 1, **data}, indent=2, default=_plain)


def _plain(value: Any) -> dict[str, Any]:
    met = {"is_met": value.is_met} if isinstance(value, Goal) else {}
    return {**asdict(value), **met}


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join(cells).rstrip()
