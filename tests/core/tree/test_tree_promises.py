"""Promises of the tree that no transcript tells on its own."""

from __future__ import annotations

import pytest
from tree_language import Stage, parse_tree, running, spawn, tree_of

from supervisor.core import steps
from supervisor.core.tree import Tree
from supervisor.core.tree.forest import Child
from supervisor.core.tree.operators import next_dynamic_id
from supervisor.core.tree.rows import row
from supervisor.core.view import State
from wippy.core.reasons import Exit, GaveUp, Signal, StartFailed
from wippy.errors import AlreadyExists, Invalid, Unavailable


def child_of(stage: Stage, id: str) -> Child:
    """Return a child that must be there."""
    child = stage.tree.child(id)
    assert child is not None
    return child


def finish_of(actions: list[steps.Action]) -> steps.Finish:
    """Return the end that must be among the actions."""
    (finish,) = [action for action in actions if isinstance(action, steps.Finish)]
    return finish


def test_a_new_life_of_a_supervisor_forgets_the_own_limits_of_its_children() -> None:
    stage = running("outer one_for_one\n  tree one_for_one 9/10\n    a own=1/100 backoff=0.0")
    for _ in range(2):
        stage.play("died a SIGKILL")
        stage.play("up")
    assert child_of(stage, "app:tree").generation == 2
    stage.play("died a SIGKILL")
    assert child_of(stage, "app:tree").generation == 2
    assert child_of(stage, "app:a").state is State.STARTING


def test_a_crash_loop_of_a_supervisor_is_over_once_it_is_stable() -> None:
    stage = running("outer one_for_one 9/10\n  tree one_for_one 0/10 backoff=0.0 stable=5\n    a")
    for _ in range(5):
        stage.play("died a SIGKILL")
        stage.play("up")
    tree = child_of(stage, "app:tree")
    assert row(stage.tree.forest, tree, 1, stage.now_s).is_crash_loop
    stage.play("tick +5")
    assert not row(stage.tree.forest, tree, 1, stage.now_s).is_crash_loop


def test_a_child_made_at_run_time_starts_when_what_it_requires_is_up() -> None:
    stage = running("db\npool dynamic\n  pool#1")
    stage.play("stop db")
    stage.play("obey")
    stage.play("spawn pool app:pool#2 requires=db")
    assert child_of(stage, "app:pool#2").state is State.IDLE
    stage.play("start db")
    stage.play("up")
    assert child_of(stage, "app:pool#2").state is State.UP


@pytest.mark.parametrize("end", ["normal", "SIGKILL"])
def test_what_was_removed_is_not_waited_for_however_it_ended(end: str) -> None:
    stage = running("job temporary\nweb requires=job")
    stage.play("stop web")
    stage.play("obey")
    stage.play(f"died job {end}")
    assert stage.tree.child("app:job") is None
    stage.play("start web")
    assert child_of(stage, "app:web").state is State.STARTING


def test_an_id_is_spawned_once() -> None:
    stage = running("pool dynamic\n  pool#1")
    with pytest.raises(AlreadyExists):
        stage.tree.step(spawn(stage.tree, "app:pool", ["app:pool#1"]), stage.now_s)
    assert child_of(stage, "app:pool#1").state is State.UP


def test_only_a_dynamic_supervisor_that_runs_takes_children() -> None:
    stage = running("pool dynamic\n  pool#1\nother one_for_one\n  a")
    for id in ("app:other", "app:a"):
        with pytest.raises(Invalid):
            stage.tree.step(spawn(stage.tree, id, ["app:new"]), stage.now_s)
    stage.play("stop pool")
    with pytest.raises(Unavailable):
        stage.tree.step(spawn(stage.tree, "app:pool", ["app:new"]), stage.now_s)


def test_the_number_of_a_dynamic_child_is_never_used_again_under_a_new_root() -> None:
    spec, _ = parse_tree(["pool dynamic", "  pool#1", "  pool#2"])
    tree = Tree(spec, generations={"app:pool#7": 3, "app:pool#x": 1, "app:pools#99": 1})
    assert next_dynamic_id(tree.forest, "app:pool") == "app:pool#8"


def test_generations_go_on_under_a_new_root() -> None:
    spec, _ = parse_tree(["a"])
    tree = Tree(spec, generations={"app:a": 41})
    assert steps.Launch("app:a", 42) in tree.step(steps.Begin(), 1.0)


def test_a_stop_outlives_the_removal_of_the_whole_supervisor() -> None:
    stage = running("outer one_for_all 9/10\n  inner one_for_one temporary\n    a\n    b\n  c")
    stage.play("stop a")
    stage.play("obey")
    stage.play("died c SIGKILL")
    stage.play("obey")
    stage.play("up")
    assert stage.tree.child("app:inner") is None
    assert stage.tree.child("app:a") is None
    for line in ("restart outer", "obey", "up"):
        stage.play(line)
    assert child_of(stage, "app:b").state is State.UP
    assert child_of(stage, "app:a").state is State.HELD


def test_a_stop_of_what_outlived_sigkill_and_its_supervisor_holds_in_a_later_life() -> None:
    text = "outer one_for_one 9/10\n  inner one_for_one 0/10 temporary\n    a stop=1\n    b\n  c"
    stage = running(text)
    for line in ("memory a 2 1", "tick +1", "tick +5", "died b SIGKILL"):
        stage.play(line)
    assert stage.tree.child("app:inner") is None
    stage.play("stop a")
    stage.play("died a SIGKILL")
    for line in ("restart outer", "obey", "up"):
        stage.play(line)
    assert child_of(stage, "app:b").state is State.UP
    assert child_of(stage, "app:a").state is State.HELD


def test_who_is_removed_with_its_supervisor_is_forgotten() -> None:
    stage = running("keep\ntree one_for_one 0/10 temporary\n  a\n  b")
    stage.play("died a SIGKILL")
    told = stage.play("obey")
    assert {"forget app:tree", "forget app:a", "forget app:b"} <= set(told)
    assert stage.play("start b")[0].startswith("error not_found")


def test_ready_after_not_needed_means_needed() -> None:
    stage = tree_of("tree one_for_one\n  a")
    for line in ("begin", "notneeded a", "ready a", "died a SIGKILL"):
        stage.play(line)
    assert child_of(stage, "app:a").generation == 2


@pytest.mark.parametrize(
    "event",
    [
        steps.Died("app:tree", 1, Signal(9)),
        steps.BecameReady("app:tree", 1),
        steps.Beat("app:tree", 1),
        steps.OverMemory("app:tree", 1, 2, 1),
        steps.OsSeen("app:tree", 1, "T"),
        steps.Died("app:nobody", 1, Signal(9)),
        steps.Died("app:a", 2, Signal(9)),
        steps.Died("app:a", 0, Signal(9)),
    ],
)
def test_what_no_living_process_can_have_said_is_dropped(event: steps.Event) -> None:
    stage = running("tree one_for_one\n  a")
    assert stage.tree.step(event, stage.now_s) == []
    assert child_of(stage, "app:tree").state is State.UP
    assert child_of(stage, "app:a").state is State.UP


def test_an_essential_child_that_fails_during_a_shutdown_does_not_change_the_exit_code() -> None:
    stage = running("front one_for_one\n  main temporary essential\nback requires=front")
    stage.play("shutdown")
    stage.play("died main exit 17")
    stage.play("died back normal")
    child = child_of(stage, "wippy:root")
    assert child.state is State.HELD
    assert stage.tree.forest.exit_code == 0


@pytest.mark.parametrize(
    ("text", "code"),
    [("exit 17", 17), ("SIGKILL", 137), ("ValueError boom", 1)],
)
def test_the_exit_code_of_an_essential_child_is_that_of_the_node(text: str, code: int) -> None:
    stage = running("main temporary essential")
    assert f"finish with {code}" in " ".join(stage.play(f"died main {text}"))


def test_an_essential_child_whose_supervisors_gave_up_gives_its_exit_code() -> None:
    stage = running("node 0/10\n  tree one_for_one 0/10\n    main essential\n  other")
    stage.play("died main exit 5")
    assert "finish with 5" in " ".join(stage.play("obey"))


def test_the_chain_of_a_surrender_holds_the_exits_down_to_the_leaf() -> None:
    stage = running("node 0/10\n  tree one_for_one 1/10\n    a")
    first, last = Exit(3), Signal(11)
    stage.play("died a exit 3")
    stage.play("up")
    finish = finish_of(stage.tree.step(steps.Died("app:a", 2, last), stage.now_s))
    inner = GaveUp("app:tree", "app:a", 1, 10.0, (first, last))
    assert finish.reason == GaveUp("wippy:root", "app:tree", 0, 10.0, (inner,))
    assert finish.code == 69


def test_a_failed_first_start_carries_the_reason_and_the_last_lines() -> None:
    stage = tree_of("tree one_for_one\n  a")
    stage.play("begin")
    died = steps.Died("app:a", 1, Exit(2), ("Traceback", "ImportError: shop"))
    finish = finish_of(stage.tree.step(died, stage.now_s))
    assert finish.code == 1
    assert isinstance(finish.reason, StartFailed)
    assert finish.reason.output == ("Traceback", "ImportError: shop")
    assert isinstance(finish.reason.cause, StartFailed)
    leaf = finish.reason.cause.cause
    assert leaf == StartFailed(cause=Exit(2), output=("Traceback", "ImportError: shop"))


def test_a_launch_that_could_not_be_made_keeps_its_words_and_gets_the_output() -> None:
    stage = running("tree one_for_one\n  a")
    stage.play("died a SIGKILL")
    stage.tree.step(steps.Died("app:a", 2, StartFailed("no such user"), ("last",)), stage.now_s)
    assert child_of(stage, "app:a").exits[-1] == StartFailed("no such user", output=("last",))


def test_a_late_death_never_revives_the_supervisor_that_is_stopped() -> None:
    stage = running("tree one_for_one 0/10\n  a beat=3\n  b")
    for line in ("tick +3", "seen a S", "tick +0.5", "tick +5"):
        stage.play(line)
    assert child_of(stage, "app:a").state is State.UNKILLABLE
    stage.play("stop tree")
    stage.play("obey")
    assert child_of(stage, "app:tree").state is State.HELD
    stage.play("died a SIGKILL")
    assert child_of(stage, "app:tree").state is State.HELD
    assert child_of(stage, "app:a").state is State.IDLE


def test_the_node_finishes_beside_an_unkillable_child() -> None:
    stage = running("tree one_for_one\n  a stop=1\n  b")
    stage.play("stop a")
    stage.play("tick +1")
    stage.play("tick +5")
    stage.play("shutdown")
    stage.play("obey")
    assert stage.tree.is_finished


def test_what_never_beats_is_never_hung() -> None:
    stage = running("tree one_for_one\n  a foreign beat=3\n  b pooled beat=3\n  c beat=0")
    assert stage.tree.next_deadline_s() is None


def test_thousands_of_children_start_without_looking_at_all_of_them_each_time() -> None:
    count = 2000
    text = "\n".join(["tree one_for_one parallel 9/10", *(f"  c{n}" for n in range(count))])
    stage = tree_of(text)
    actions = stage.tree.step(steps.Begin(), stage.now_s)
    looked = 0
    for action in actions:  # grows while it is walked
        if isinstance(action, steps.Launch):
            supervision = stage.tree.forest.supervision(child_of(stage, "app:tree"))
            looked = max(looked, action_index(action) - supervision.settled)
            ready = steps.BecameReady(action.id, action.generation)
            actions += stage.tree.step(ready, stage.now_s)
    assert child_of(stage, "app:tree").state is State.UP
    assert looked <= 2 * stage.tree.forest.start_parallel


def action_index(action: steps.Launch) -> int:
    """Return the place of child `app:cN`."""
    return int(action.id.removeprefix("app:c"))
