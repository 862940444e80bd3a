"""The walk of the README, walked: its commands on a real node, its output compared."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from fences import REPOSITORY, fences
from real_node import DEADLINE_S, RealNode

from supervisor.core.view import NodeView, is_settled_well

pytestmark = pytest.mark.system
CONFIGS = REPOSITORY / "configs"
SKIP = "…"
"""A line that is only this stands for any lines; at the end of a line for the rest of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of the walk, and what the README says that it prints."""

    arguments: tuple[str, ...]
    shown: tuple[str, ...]
    program: str = "wippy-supervisor"


def test_the_walk_of_the_readme_goes_as_it_says(node: Callable[..., RealNode]) -> None:
    shop = node(_demonstration())
    steps = _steps()
    assert len(steps) >= 8
    for step in steps:
        _take(shop, step)
    assert shop.stop() == 0


def _demonstration() -> dict[str, str]:
    files = [it for it in CONFIGS.iterdir() if it.suffix in {".yaml", ".py"}]
    return {it.name: it.read_text() for it in files}


def _steps() -> list[Step]:
    steps = []
    for fence in fences("console"):
        if fence.document != "README.md":
            continue
        for part in re.split(r"^\$ ", fence.text, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            program, *arguments = shlex.split(command)
            steps.append(Step(tuple(arguments), tuple(shown), program))
    return steps


def _take(shop: RealNode, step: Step) -> None:
    """Do what the step says until it prints what it should; what commands is done only once."""
    arguments = [str(shop.config) if it == "configs/" else it for it in step.arguments]
    if step.program == "sed":
        edited = [it.replace("configs/", f"{shop.config}/") for it in step.arguments]
        before = [path.read_text() for path in sorted(shop.config.glob("*.[yp]*"))]
        subprocess.run(["sed", *edited], check=True)
        assert before != [path.read_text() for path in sorted(shop.config.glob("*.[yp]*"))]
    elif step.arguments[0] == "kill":
        before = _pid(shop.view(), step.arguments[1])
        done = shop.cli(*arguments)
        _compare(shop, step, done.stdout)
        shop.wait_view(lambda view: _is_back(view, step.arguments[1], before))
    elif step.arguments[0] in {"start", "stop"}:
        _compare(
            shop,
            step,
            shop.cli(*arguments, "--yes" if step.arguments[0] == "stop" else "-d").stdout,
        )
    else:
        _compare_in_time(shop, step, arguments)


def _compare_in_time(shop: RealNode, step: Step, arguments: list[str]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        try:
            return _compare(shop, step, shop.cli(*arguments).stdout)
        except AssertionError:
            if time.monotonic() > deadline_s:
                raise
            shop.wait_view(_is_well)


def _pid(view: NodeView, child_id: str) -> int:
    if child_id == "wippy:root":
        return view.root_pid
    return next(row.os_pid for row in view.rows if row.id == child_id)


def _is_back(view: NodeView, child_id: str, before: int) -> bool:
    return _pid(view, child_id) not in {0, before} and _is_well(view)


def _is_well(view: NodeView) -> bool:
    return view.state == "running" and all(map(is_settled_well, view.rows))


# --- comparing -----------------------------------------------------------------------------------


def _compare(shop: RealNode, step: Step, printed: str) -> None:
    wanted = [_normal(line) for line in step.shown]
    text = printed.replace(shop.name, "shop").replace(str(shop.config), "configs")
    lines = [_normal(line) for line in text.splitlines()]
    at = 0
    for number, want in enumerate(wanted):
        if want in {"", SKIP}:
            continue
        may_skip = number > 0 and wanted[number - 1] == SKIP
        found = [i for i in range(at, len(lines)) if _is_like(want, lines[i])]
        assert found, f"{step.arguments}: {step.shown[number]!r} is not in\n{printed}"
        assert may_skip or found[0] == at, (
            f"{step.arguments}: before {step.shown[number]!r}:\n{printed}"
        )
        at = found[0] + 1


def _is_like(want: str, line: str) -> bool:
    return line.startswith(want.removesuffix(SKIP).rstrip()) if SKIP in want else want == line


def _normal(line: str) -> str:
    """Return a line without what differs from run to run: who, numbers, times, spaces, folds."""
    line = re.sub(r"\S+@pid \d+", "WHO", line)
    line = re.sub(r"\b\d+(\.\d+)?(ms|s|m\d\ds|m)\b", "T", line)
    return " ".join(re.sub(r"\d+(\.\d+)?", "N", line).split())


def test_comparing_forgives_numbers_and_times_and_nothing_else() -> None:
    assert _normal("pid 191 killed by SIGKILL after 24s") == _normal(
        "pid 7 killed by SIGKILL after 1m05s"
    )
    assert _normal("back in 23ms") == _normal("back in 1.2s")
    assert _normal("killed by SIGKILL") != _normal("killed by SIGTERM")
