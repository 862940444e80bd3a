"""Promises about a tree whose configuration changes while it runs."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tree_language import Stage, parse_tree, running
from tree_shapes import changes, trees
from tree_world import World

from supervisor.core import steps
from supervisor.core.spec import ROOT_ID, ChildSpec, Dedicated, OnChange, TreeSpec
from supervisor.core.tree import Tree
from supervisor.core.tree.child import Change, Child
from supervisor.core.view import State
from wippy.core.reasons import Shutdown, Signal


def spec_of(text: str) -> TreeSpec:
    """Return the tree that `text` describes."""
    return parse_tree([line for line in text.splitlines() if line.strip()])[0]


def adopt(stage: Stage, text: str, **more: object) -> list[str]:
    """Change the configuration; return what happens."""
    return stage.take(steps.Adopt(spec_of(text), **more))  # type: ignore[arg-type]


def child_of(stage: Stage, name: str) -> Child:
    """Return a child that must be there."""
    child = stage.tree.child(f"app:{name}")
    assert child is not None
    return child


def alone(told: list[str]) -> list[str]:
    """Return what is asked for, without what is told."""
    return [line for line in told if not line.startswith(" ")]


def test_a_new_child_starts_after_what_it_requires_and_nothing_else_moves() -> None:
    stage = running("a\nb")
    assert alone(adopt(stage, "a\nb\nc requires=d\nd")) == ["launch app:d g1"]
    stage.play("up")
    assert child_of(stage, "c").state is State.UP
    assert [child_of(stage, name).generation for name in "ab"] == [1, 1]


def test_removed_children_stop_in_reverse_order_of_their_needs() -> None:
    stage = running("db\nweb requires=db\nother")
    assert alone(adopt(stage, "other")) == [
        "ask app:web g1 to stop in 10 s: it is no longer configured here"
    ]
    assert "ask app:db g1" in " ".join(stage.play("obey"))
    assert stage.tree.child("app:web") is None
    assert stage.tree.child("app:db") is None


def test_a_child_that_comes_back_goes_on_counting_its_generations() -> None:
    stage = running("a\nb")
    adopt(stage, "a")
    stage.play("obey")
    adopt(stage, "a\nb")
    assert child_of(stage, "b").generation == 2


def test_a_removed_child_that_is_wanted_again_before_it_is_down_starts_again() -> None:
    stage = running("a\nb")
    adopt(stage, "a")
    adopt(stage, "a\nb")
    stage.play("obey")
    stage.play("up")
    assert child_of(stage, "b").state is State.UP
    assert child_of(stage, "b").restarts == 0


def test_changed_children_are_restarted_one_at_a_time_and_none_is_counted() -> None:
    text = "sup one_for_one 0/10 parallel\n  a{0}\n  b{0}\n  c{0}"
    stage = running(text.format(""))
    told = adopt(stage, text.format(" foreign"))
    assert len([line for line in told if line.startswith("ask")]) == 1
    seen = []
    for _ in range(3):
        (down,) = [n for n in "abc" if child_of(stage, n).state is State.STOPPING]
        stage.take(steps.Died(f"app:{down}", 1, Shutdown()))
        assert child_of(stage, down).state is State.STARTING
        assert all(child_of(stage, n).state is State.UP for n in "abc" if n != down)
        stage.play("up")
        seen.append(down)
        if len(seen) == 3:
            break
        stage.play("show")
    assert seen == ["a", "b", "c"]
    assert child_of(stage, "sup").generation == 1


def test_a_change_that_does_harm_does_it_once_and_takes_no_sibling_down() -> None:
    text = "sup one_for_all 1/10 parallel\n  a{0}\n  b{0}"
    stage = running(text.format(""))
    adopt(stage, text.format(" foreign"))
    stage.play("obey")
    for generation in range(2, 9):
        stage.take(steps.Died("app:a", generation, Signal(11)))
        stage.play("tick +40")
    assert child_of(stage, "b").generation == 1
    assert child_of(stage, "sup").generation == 1


def test_a_changed_limit_keeps_what_has_been_counted() -> None:
    stage = running("sup one_for_one 3/100\n  a")
    for _ in range(2):
        stage.play("died a SIGKILL")
        stage.play("tick +1")
        stage.play("up")
    adopt(stage, "sup one_for_one 2/100\n  a")
    assert child_of(stage, "sup").generation == 1
    stage.play("died a SIGKILL")
    assert child_of(stage, "sup").generation == 2


def test_a_changed_start_timeout_is_measured_from_the_start_that_is_under_way() -> None:
    stage = running("b")
    adopt(stage, "b\na start=10")
    stage.play("tick +4")
    adopt(stage, "b\na start=5")
    assert any("kill app:a" in line for line in stage.play("tick +1"))


def test_a_shorter_back_off_is_measured_from_the_death() -> None:
    stage = running("a backoff=30.0")
    stage.play("died a SIGKILL")
    stage.play("up")
    stage.play("died a SIGKILL")
    assert child_of(stage, "a").state is State.BACKOFF
    stage.play("tick +2")
    assert alone(adopt(stage, "a backoff=1.0")) == []
    assert alone(stage.play("tick +0")) == ["launch app:a g3"]


def test_a_quarantined_child_is_forgiven_when_its_spec_changes() -> None:
    stage = running("a own=0/10 quarantine\nb")
    stage.play("died a SIGKILL")
    assert child_of(stage, "a").state is State.FAILED
    adopt(stage, "a own=0/10 quarantine\nb stop=3")
    assert child_of(stage, "a").state is State.FAILED
    adopt(stage, "a own=0/10 quarantine foreign\nb stop=3")
    assert child_of(stage, "a").state is State.STARTING


def test_what_an_operator_stopped_stays_stopped_whatever_is_changed() -> None:
    stage = running("a\nsup one_for_one\n  b")
    stage.play("stop a")
    stage.play("obey")
    adopt(stage, "sup one_for_one\n  b\n  a foreign")
    assert child_of(stage, "a").state is State.HELD
    assert child_of(stage, "a").spec.parent == "app:sup"


def test_nothing_changes_any_more_while_everything_is_stopped() -> None:
    stage = running("a\nb")
    stage.play("shutdown")
    assert adopt(stage, "a\nb\nc") == []


@pytest.mark.parametrize(("answer", "generation"), [(steps.Upgraded, 1), (steps.NotUpgradable, 2)])
def test_an_upgrade_keeps_the_process_and_who_cannot_is_restarted(
    answer: type[steps.Upgraded], generation: int
) -> None:
    stage = running("a")
    spec = stage.tree.forest.spec
    child = spec.children["app:a"]
    new = TreeSpec({**spec.children, "app:a": changed_code(child)})
    event = steps.Adopt(new, 7, {"app:a": OnChange.UPGRADE})
    assert steps.AskUpgrade("app:a", 1, 7) in stage.tree.step(event, stage.now_s)
    assert child_of(stage, "a").change is Change.UPGRADING
    stage.take(answer("app:a", 1, 6) if answer is steps.Upgraded else steps.Tick())
    assert child_of(stage, "a").change is Change.UPGRADING
    stage.take(answer("app:a", 1, 7))
    stage.play("obey")
    stage.play("up")
    assert child_of(stage, "a").generation == generation
    assert child_of(stage, "a").spec == new.children["app:a"]


def test_ignored_code_is_what_the_next_start_runs() -> None:
    stage = running("a")
    spec = stage.tree.forest.spec
    new = TreeSpec({**spec.children, "app:a": changed_code(spec.children["app:a"])})
    assert alone(stage.take(steps.Adopt(new, 7, {"app:a": OnChange.IGNORE}))) == []
    stage.play("died a SIGKILL")
    assert child_of(stage, "a").spec == new.children["app:a"]


def test_code_that_cannot_be_loaded_is_a_failure_of_the_version() -> None:
    stage = running("a")
    spec = stage.tree.forest.spec
    new = TreeSpec({**spec.children, "app:a": changed_code(spec.children["app:a"])})
    stage.tree.step(steps.Adopt(new, 7, {"app:a": OnChange.UPGRADE}, 30.0), stage.now_s)
    told = stage.tree.step(steps.UpgradeFailed("app:a", 1, 7, "SyntaxError"), stage.now_s)
    assert steps.AdoptionSettled(7, (("app:a", "cannot load its new code: SyntaxError"),)) in told
    assert child_of(stage, "a").state is State.UP


def outcomes(stage: Stage, events: list[steps.Event]) -> list[steps.AdoptionSettled]:
    """Return the outcomes told at these events."""
    actions = [a for event in events for a in stage.tree.step(event, stage.now_s)]
    return [action for action in actions if isinstance(action, steps.AdoptionSettled)]


def test_a_version_has_settled_when_what_it_touched_has_been_stable() -> None:
    stage = running("a")
    stage.tree.step(steps.Adopt(spec_of("a\nb stable=5"), 3, {}, 30.0), stage.now_s)
    assert outcomes(stage, [steps.BecameReady("app:b", 1)]) == []
    stage.now_s += 5
    assert outcomes(stage, [steps.Tick()]) == [steps.AdoptionSettled(3)]


def test_a_version_has_failed_when_what_it_touched_is_not_up_in_time() -> None:
    stage = running("a")
    stage.tree.step(steps.Adopt(spec_of("a\nb"), 3, {}, 30.0), stage.now_s)
    assert outcomes(stage, [steps.Died("app:b", 1, Signal(11))]) == []
    stage.now_s += 30
    (settled,) = outcomes(stage, [steps.Tick()])
    assert [id for id, _ in settled.failed] == ["app:b"]


def test_a_version_that_touches_nobody_has_settled_at_once() -> None:
    stage = running("a")
    assert outcomes(stage, [steps.Adopt(spec_of("a stop=3"), 3, {}, 30.0)]) == [
        steps.AdoptionSettled(3)
    ]


def changed_code(child: ChildSpec) -> ChildSpec:
    """Return a child with other code."""
    assert isinstance(child.launch, Dedicated)
    code = replace(child.launch.code, text="new")
    return replace(child, launch=replace(child.launch, code=code))


# --- the naive model: a tree that is started from the new configuration --------------------------


def all_started(spec: TreeSpec) -> TreeSpec:
    """Return a tree in which no child waits for an operator: one that runs goes on when it is to
    be started by an operator only from now on, and a tree begun anew is another then."""
    children = spec.children.values()
    return TreeSpec(
        {it.id: replace(it, lifecycle=replace(it.lifecycle, auto_start=True)) for it in children}
    )


def settled_world(spec: TreeSpec) -> World:
    """Return a world in which all of a tree has come up."""
    world = World(spec, Tree(spec), 100.0)
    world.held |= {c.id for c in spec.children.values() if not c.lifecycle.auto_start}
    world.take(steps.Begin())
    world.settle()
    return world


@settings(
    max_examples=int(os.environ.get("WIPPY_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data(), first=trees())
def test_after_changes_the_tree_is_one_that_was_started_so_and_what_was_not_changed_still_runs(
    data: st.DataObject, first: TreeSpec
) -> None:
    first = all_started(first)
    world, specs = settled_world(first), [first]
    for version in range(1, data.draw(st.integers(2, 4))):
        new = all_started(data.draw(st.one_of(changes(specs[-1]), trees())))
        world.adopt(steps.Adopt(new, version, {}, grace_s=5.0))
        specs.append(new)
        for _ in range(data.draw(st.integers(0, 3))):  # the next one may come at any time
            living = [it for it in world.living.values() if it.asked or not it.is_ready]
            if living:
                world.obey(data.draw(st.sampled_from(living)))
    world.settle()
    world.check_settled()
    fresh = settled_world(specs[-1])
    _compare(world, fresh)
    for id, child in world.tree.forest.children.items():
        if child.supervision is None and _is_unchanged(id, specs):
            assert child.generation <= 1, f"{id} was restarted, and nothing of it had changed"


def _compare(world: World, fresh: World) -> None:
    mine, theirs = world.tree.forest.children, fresh.tree.forest.children
    assert set(mine) == set(theirs)
    for id, child in theirs.items():
        assert mine[id].spec == child.spec
        if child.supervision is not None:
            assert world.tree.forest.supervision(mine[id]).order == child.supervision.order
        assert mine[id].state is child.state, f"{id} is {mine[id].state}"


def _is_unchanged(id: str, specs: list[TreeSpec]) -> bool:
    """Whether a child and the place of all its supervisors are the same in every configuration."""
    first = specs[0].children.get(id)
    if first is None or any(spec.children.get(id) != first for spec in specs):
        return False
    while id != ROOT_ID:
        parents = {spec.children[id].parent if id in spec.children else "" for spec in specs}
        is_sup = {bool(spec.children[id].supervisor) for spec in specs if id in spec.children}
        if len(parents) != 1 or (len(is_sup) != 1):
            return False
        id = parents.pop()
    return True
