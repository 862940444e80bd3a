"""Who goes down with a dead child, and whether it comes back: the table of the design."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.spec import Restart, Strategy
from supervisor.core.strategy import Verdict, affected, verdict

VERDICTS = [
    (Restart.PERMANENT, False, Verdict.RESTART),
    (Restart.PERMANENT, True, Verdict.RESTART),
    (Restart.TRANSIENT, False, Verdict.DONE),
    (Restart.TRANSIENT, True, Verdict.RESTART),
    (Restart.TEMPORARY, False, Verdict.REMOVE),
    (Restart.TEMPORARY, True, Verdict.REMOVE),
]
ORDER = ("a", "b", "c", "d")
GROUPS = [
    (Strategy.ONE_FOR_ONE, "b", ()),
    (Strategy.DYNAMIC, "b", ()),
    (Strategy.REST_FOR_ONE, "a", ("b", "c", "d")),
    (Strategy.REST_FOR_ONE, "b", ("c", "d")),
    (Strategy.REST_FOR_ONE, "d", ()),
    (Strategy.ONE_FOR_ALL, "a", ("b", "c", "d")),
    (Strategy.ONE_FOR_ALL, "c", ("a", "b", "d")),
]


@pytest.mark.parametrize(("restart", "abnormal", "wanted"), VERDICTS)
def test_the_restart_type_and_the_kind_of_end_decide(
    restart: Restart, abnormal: bool, wanted: Verdict
) -> None:
    assert verdict(restart, abnormal=abnormal) is wanted


@pytest.mark.parametrize(("strategy", "dead", "wanted"), GROUPS)
def test_the_strategy_names_who_goes_down_with_it(
    strategy: Strategy, dead: str, wanted: tuple[str, ...]
) -> None:
    assert affected(strategy, ORDER, dead) == wanted


@given(st.sampled_from(Strategy), st.lists(st.text(), min_size=1, unique=True), st.data())
def test_the_dead_one_is_never_among_them_and_the_order_is_kept(
    strategy: Strategy, order: list[str], data: st.DataObject
) -> None:
    dead = data.draw(st.sampled_from(order))
    group = affected(strategy, order, dead)
    assert dead not in group
    assert list(group) == [child for child in order if child in group]
