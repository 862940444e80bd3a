"""Under every strategy, real processes are killed; the children's own journal says who went down,
who came back, and in which order."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import Line, entry, files, journal, service

from supervisor.core.facts import FactKind
from supervisor.core.view import NodeView, State

pytestmark = pytest.mark.system

NAMES = ("a", "b", "c", "d")


def configuration(strategy: str) -> dict[str, str]:
    children = [service(name) for name in NAMES]
    top = entry("s", kind="supervisor", strategy=strategy, children=f"[{', '.join(NAMES)}]")
    return files([top, *children])


def are_up(generations: dict[str, int]) -> Callable[[NodeView], bool]:
    def check(view: NodeView) -> bool:
        rows = {row.id: row for row in view.rows}
        return all(
            rows[f"t:{name}"].state is State.UP and rows[f"t:{name}"].generation == generation
            for name, generation in generations.items()
        )

    return check


CASES = {
    ("one_for_one", "b"): ["start b"],
    ("rest_for_one", "b"): ["stop d", "stop c", "start b", "start c", "start d"],
    ("rest_for_one", "d"): ["start d"],
    ("one_for_all", "c"): [
        "stop d", "stop b", "stop a", "start a", "start b", "start c", "start d",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("strategy", "victim"), CASES)
def test_a_killed_child_takes_down_and_brings_back_exactly_whom_its_strategy_says(
    node: Callable[..., RealNode], strategy: str, victim: str
) -> None:
    expected = CASES[strategy, victim]
    shop = node(configuration(strategy), is_awaited=False)
    shop.wait_view(are_up(dict.fromkeys(NAMES, 1)))
    before = {name: shop.pid(f"t:{name}") for name in NAMES}
    seen = len(journal(shop.folder))
    last = shop.view().facts[-1].seq

    os.kill(before[victim], signal.SIGKILL)

    restarted = {line.split()[1] for line in expected if line.startswith("start")}
    shop.wait_view(are_up({name: 2 if name in restarted else 1 for name in NAMES}))
    lines = journal(shop.folder)[seen:]
    stops = [line for line in expected if line.startswith("stop")]
    starts = [line for line in expected if line.startswith("start")]
    assert _said(lines, "stop") == stops
    assert sorted(_said(lines, "start")) == sorted(starts)
    assert _ready_order(shop, after=last) == starts
    for name in NAMES:
        same = shop.pid(f"t:{name}") == before[name]
        assert same is (name not in restarted), f"{name}: pid kept {same}"
    assert shop.view().restarts == 1  # a group restart counts once


def test_the_start_order_is_the_list_order_and_the_stop_order_its_reverse(
    node: Callable[..., RealNode],
) -> None:
    shop = node(configuration("one_for_one"))
    assert _ready_order(shop, after=0) == ["start a", "start b", "start c", "start d"]
    assert shop.stop() == 0
    assert _said(journal(shop.folder), "stop") == ["stop d", "stop c", "stop b", "stop a"]


def _said(lines: list[Line], what: str) -> list[str]:
    return [f"{what} {line.id.removeprefix('t:')}" for line in lines if line.what == what]


def _ready_order(shop: RealNode, *, after: int) -> list[str]:
    """The order in which the root saw READY. (First lines of user code follow it a moment later,
    on two cores in any order.)"""
    return [
        f"start {fact.id.removeprefix('t:')}"
        for fact in shop.view().facts
        if fact.kind is FactKind.READY and fact.seq > after and fact.id.removeprefix("t:") in NAMES
    ]
