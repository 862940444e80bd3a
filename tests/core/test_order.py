"""Start order, against a dumb model that simply starts whatever may start."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor.core import order
from supervisor.core.order import Moment
from supervisor.core.spec import (
    ROOT_ID,
    ChildSpec,
    Lifecycle,
    StartMode,
    Strategy,
    SupervisorSpec,
    System,
    TreeSpec,
)
from wippy.errors import Invalid


def tree(
    shape: dict[str, list[str]],
    requires: dict[str, list[str]] | None = None,
    parallel: tuple[str, ...] = (ROOT_ID,),
    held: tuple[str, ...] = (),
    strategy: Strategy = Strategy.ONE_FOR_ONE,
) -> TreeSpec:
    """Return a tree: `shape` has the children of each supervisor, the top's included."""
    parents = {child: parent for parent, children in shape.items() for child in children}
    specs: dict[str, ChildSpec] = {}
    for id in (ROOT_ID, *parents):
        wanted = tuple((requires or {}).get(id, ()))
        lifecycle = Lifecycle(requires=wanted, auto_start=id not in held)
        mode = StartMode.PARALLEL if id in parallel else StartMode.ORDERED
        over = SupervisorSpec(strategy=strategy, children=tuple(shape.get(id, ())), start=mode)
        specs[id] = ChildSpec(
            id=id,
            parent=parents.get(id, ""),
            kind="",
            lifecycle=lifecycle,
            launch=None if id in shape else System("x"),
            supervisor=over if id in shape else None,
        )
    return TreeSpec(specs)


def test_ordered_siblings_start_one_after_the_other() -> None:
    found = order.waves(tree({ROOT_ID: ["s"], "s": ["a", "b", "c"]}))
    assert found == ((ROOT_ID, "s", "a"), ("b",), ("c",))


def test_independent_siblings_start_side_by_side() -> None:
    found = order.waves(tree({ROOT_ID: ["a", "b", "c"]}, {"c": ["a"]}))
    assert found == ((ROOT_ID, "a", "b"), ("c",))


def test_strategies_with_an_order_keep_it_even_if_told_to_start_in_parallel() -> None:
    shape = {ROOT_ID: ["s"], "s": ["a", "b"]}
    assert len(order.waves(tree(shape, parallel=(ROOT_ID, "s")))) == 1
    rest = tree(shape, parallel=(ROOT_ID, "s"), strategy=Strategy.REST_FOR_ONE)
    assert len(order.waves(rest)) == 2


def test_what_a_whole_subtree_requires_is_up_before_any_of_it() -> None:
    shape = {ROOT_ID: ["s", "t"], "s": ["a"], "t": ["b", "c"]}
    found = order.start_order(tree(shape, {"s": ["t"]}))
    assert found.index("c") < found.index("s") < found.index("a")


def test_what_only_an_operator_starts_holds_nobody_up() -> None:
    shape = {ROOT_ID: ["s", "x"], "s": ["a", "b"]}
    found = order.waves(tree(shape, {"x": ["s"]}, held=("a",)))
    assert found == ((ROOT_ID, "s", "a", "b"), ("x",))


@pytest.mark.parametrize(
    ("shape", "requires", "said"),
    [
        ({ROOT_ID: ["a"]}, {"a": ["a"]}, "a requires a: it waits for itself"),
        (
            {ROOT_ID: ["a", "b"]},
            {"a": ["b"], "b": ["a"]},
            "a requires b, b requires a",
        ),
        (
            {ROOT_ID: ["s"], "s": ["a", "b", "c"]},
            {"a": ["c"]},
            "a requires c, c is listed after a",
        ),
        (
            {ROOT_ID: ["s"], "s": ["a"]},
            {"a": ["s"]},
            "a requires s, s is up only when a is",
        ),
        (
            {ROOT_ID: ["s"], "s": ["a"]},
            {"s": ["a"]},
            "s requires a, a is started by s",
        ),
        (
            {ROOT_ID: ["s", "t"], "s": ["a", "b"], "t": ["c", "d"]},
            {"a": ["d"], "c": ["b"]},
            "a requires d, d is listed after c, c requires b, b is listed after a",
        ),
        (
            {ROOT_ID: ["s", "t"], "s": ["a"], "t": ["b"]},
            {"a": ["t"], "b": ["s"]},
            "a requires t, t is up only when b is, b requires s, s is up only when a is",
        ),
    ],
)
def test_a_circle_names_every_edge(
    shape: dict[str, list[str]], requires: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        order.start_order(tree(shape, requires))


@st.composite
def trees(draw: st.DrawFn) -> TreeSpec:
    count = draw(st.integers(1, 9))
    names = [f"n{number}" for number in range(count)]
    shape: dict[str, list[str]] = {ROOT_ID: []}
    for number, name in enumerate(names):
        over = draw(st.sampled_from([ROOT_ID, *names[:number]]))
        shape.setdefault(over, []).append(name)
    shape = {over: draw(st.permutations(children)) for over, children in shape.items()}
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(names))
    requires: dict[str, list[str]] = {}
    for who, whom in draw(st.lists(pairs, max_size=4)):
        requires.setdefault(who, []).append(whom)
    parallel = draw(st.lists(st.sampled_from([ROOT_ID, *names]), max_size=4))
    held = draw(st.lists(st.sampled_from(names), max_size=1))
    return tree(shape, requires, tuple(parallel), tuple(held))


def can_all_be_up(spec: TreeSpec) -> bool:
    """Start whatever may start, until nothing changes. An operator starts what is held."""
    started: set[str] = set()
    up: set[str] = set()
    while True:
        before = (len(started), len(up))
        for child in spec.children.values():
            if child.id not in started and may_start(spec, child, started, up):
                started.add(child.id)
            own = child.supervisor.children if child.supervisor else ()
            ours = [c for c in own if spec.children[c].lifecycle.auto_start]
            if child.id in started and all(c in up for c in ours):
                up.add(child.id)
        if (len(started), len(up)) == before:
            return len(up) == len(spec.children)


def may_start(spec: TreeSpec, child: ChildSpec, started: set[str], up: set[str]) -> bool:
    if not all(needed in up for needed in child.lifecycle.requires):
        return False
    if not child.parent:
        return True
    over = spec.children[child.parent].supervisor
    assert over is not None
    if child.parent not in started:
        return False
    earlier = over.children[: over.children.index(child.id)]
    ordered = over.start is StartMode.ORDERED and child.lifecycle.auto_start
    return not ordered or all(e in up for e in earlier if spec.children[e].lifecycle.auto_start)


@settings(max_examples=400)
@given(trees())
def test_a_circle_is_found_exactly_where_the_model_gets_stuck(spec: TreeSpec) -> None:
    circle = order.find_circle(spec)
    assert bool(circle) == (not can_all_be_up(spec))
    for edge, following in zip(circle, (*circle[1:], *circle[:1]), strict=True):
        assert edge.after == following.before


@settings(max_examples=200)
@given(trees())
def test_in_the_start_order_everything_follows_what_it_waits_for(spec: TreeSpec) -> None:
    if order.find_circle(spec):
        return
    found = order.waves(spec)
    assert sorted(id for wave in found for id in wave) == sorted(spec.children)
    wave_of = {id: number for number, wave in enumerate(found) for id in wave}
    for edge in order.edges(spec):
        if edge.before[1] is Moment.UP and edge.after[1] is Moment.START:
            assert wave_of[edge.before[0]] < wave_of[edge.after[0]]
        elif edge.after[1] is Moment.START:
            assert wave_of[edge.before[0]] <= wave_of[edge.after[0]]
