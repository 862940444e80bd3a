"""A change of thousands costs each of them the same: counted in calls, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from tree_language import Stage, parse_tree, running

from supervisor.core import steps
from supervisor.core.spec import TreeSpec
from supervisor.core.view import State

FEW, MANY = 40, 160
MOST = 1.3
"""Calls for each of MANY, in those for each of FEW: 1.5 and 2 where all looked at all."""


def spec_of(lines: list[str]) -> TreeSpec:
    return parse_tree(lines)[0]


def names(count: int, options: str = "") -> list[str]:
    """Return lines of that many children; the last one is another's."""
    return [f"c{number}{options}" for number in range(count)] + ["z"]


def removed(count: int) -> Stage:
    """Return a tree of which `count` were removed, and are gone."""
    stage = running("\n".join(names(2 * count)))
    stage.take(steps.Adopt(spec_of(names(count))))
    stage.play("obey")
    assert len(stage.tree.forest.children) < 2 * count
    return stage


def added(count: int) -> Stage:
    """Return a tree to which `count` were added, and are up; their outcome is awaited."""
    stage = running("\n".join(names(1)))
    stage.take(steps.Adopt(spec_of(names(count)), grace_s=10.0))
    stage.play("up")
    assert {child.state for child in stage.tree.forest.children.values()} == {State.UP}
    return stage


def calls_of(work: Callable[[int], Stage], count: int) -> float:
    """Return the calls of functions that `work` takes for each of `count`."""
    calls = 0

    def note(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(note)
    try:
        work(count)
    finally:
        sys.setprofile(None)
    return calls / count


@pytest.mark.parametrize("work", [removed, added])
def test_a_change_of_many_costs_each_what_a_change_of_few_does(
    work: Callable[[int], Stage],
) -> None:
    assert calls_of(work, MANY) <= MOST * calls_of(work, FEW)
