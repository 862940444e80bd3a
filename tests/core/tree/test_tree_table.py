"""The complete table of section 2: restart type × exit reason × strategy × position.

The expectation is written down anew here, from the words of the design, not from the code.
"""

from __future__ import annotations

import itertools
import typing

import pytest
from tree_language import Stage, full, running

from supervisor.core import steps
from supervisor.core.facts import Fact, FactKind
from supervisor.core.spec import Restart, Strategy
from supervisor.core.view import State
from wippy.core.reasons import (
    Error,
    Exit,
    ExitReason,
    GaveUp,
    Hung,
    Killed,
    Lost,
    MemoryLimit,
    NoProcess,
    Normal,
    Shutdown,
    Signal,
    StartFailed,
    StartTimeout,
    Unkillable,
)

REASONS: dict[str, tuple[ExitReason, bool]] = {
    "normal": (Normal(), False),
    "shutdown": (Shutdown(), False),
    "killed": (Killed(), True),
    "signal": (Signal(9), True),
    "exit": (Exit(3), True),
    "error": (Error("ValueError", "boom"), True),
    "start_failed": (StartFailed("no file"), True),
    "start_timeout": (StartTimeout(10.0), True),
    "hung": (Hung(30.0), True),
    "memory_limit": (MemoryLimit(2, 1), True),
    "gave_up": (GaveUp("app:s", "app:x", 1, 5.0), True),
    "unkillable": (Unkillable(), True),
    "lost": (Lost(), True),
    "noproc": (NoProcess(), True),
}
SIBLINGS = ("a", "b", "c")


def expected(
    restart: Restart, abnormal: bool, strategy: Strategy, dead: str
) -> tuple[str, list[str]]:
    """Return what becomes of the dead child, and who goes down with it."""
    if restart is Restart.TEMPORARY:
        return "removed", []
    if restart is Restart.TRANSIENT and not abnormal:
        return "done", []
    after = SIBLINGS[SIBLINGS.index(dead) + 1 :]
    others = [name for name in SIBLINGS if name != dead]
    with_it = {
        Strategy.ONE_FOR_ONE: [],
        Strategy.DYNAMIC: [],
        Strategy.REST_FOR_ONE: list(after),
        Strategy.ONE_FOR_ALL: others,
    }
    return "restart", with_it[strategy]


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("restart", Restart)
def test_an_end_does_what_the_table_says(restart: Restart, strategy: Strategy) -> None:
    for name, dead in itertools.product(REASONS, SIBLINGS):
        reason, abnormal = REASONS[name]
        fate, stopped = expected(restart, abnormal, strategy, dead)
        stage = three(strategy, dead, str(restart))
        actions = stage.tree.step(steps.Died(full(dead), 1, reason), stage.now_s)
        context = f"{restart} {name} {strategy} {dead}"
        check_fate(stage, dead, fate, context)
        told, launched = follow(stage, actions)
        assert told == [full(other) for other in reversed(stopped)], context
        started = [dead, *stopped] if fate == "restart" else []
        assert launched == [full(other) for other in SIBLINGS if other in started], context
        check_count(stage, dead, actions, fate, stopped, context)


def three(strategy: Strategy, special: str, words: str, others: str = "") -> Stage:
    """Return three children that are up, the `special` one with its own words."""
    lines = [f"  {name} {words if name == special else others}" for name in SIBLINGS]
    return running("\n".join([f"tree {strategy} 5/10", *lines]))


def check_fate(stage: Stage, dead: str, fate: str, context: str) -> None:
    """Compare what became of the dead child itself."""
    child = stage.tree.child(full(dead))
    if fate == "removed":
        assert child is None, context
        return
    assert child is not None
    if fate == "done":
        assert child.state is State.DONE, context
    else:
        assert child.state in (State.STARTING, State.IDLE), context


def follow(stage: Stage, actions: list[steps.Action]) -> tuple[list[str], list[str]]:
    """Let everybody obey; return who was told to stop, and who was launched, in order."""
    told, launched = [], []
    for action in actions:  # grows while it is walked
        if isinstance(action, steps.AskStop):
            told.append(action.id)
            died = steps.Died(action.id, action.generation, Shutdown())
            actions += stage.tree.step(died, stage.now_s)
        elif isinstance(action, steps.Launch):
            launched.append(action.id)
            ready = steps.BecameReady(action.id, action.generation)
            actions += stage.tree.step(ready, stage.now_s)
    return told, launched


def check_count(
    stage: Stage,
    dead: str,
    actions: list[steps.Action],
    fate: str,
    stopped: list[str],
    context: str,
) -> None:
    """A restart is decided and counted once, for the one that died; nothing else is counted."""
    decided = facts_of(actions, FactKind.DECIDED)
    count = 1 if fate == "restart" else 0
    assert len(decided) == count, context
    supervisor = stage.tree.child("app:tree")
    assert supervisor is not None
    assert supervisor.supervision is not None
    assert supervisor.supervision.window.used(stage.now_s) == count, context
    if decided:
        assert decided[0].id == full(dead)
        assert decided[0].affected == tuple(full(other) for other in stopped), context
        assert (decided[0].used, decided[0].allowed) == (1, 5)


def facts_of(actions: list[steps.Action], kind: FactKind) -> list[Fact]:
    """Return the facts of one kind."""
    notes = (action.fact for action in actions if isinstance(action, steps.Note))
    return [fact for fact in notes if fact.kind is kind]


GROUPS = [
    (strategy, name)
    for strategy in (Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL)
    for name in ("permanent", "transient", "temporary", "held", "done", "ignored", "manual")
]


@pytest.mark.parametrize(("strategy", "kind"), GROUPS)
def test_a_group_restart_leaves_who_rests_and_removes_who_is_temporary(
    strategy: Strategy, kind: str
) -> None:
    words = kind if kind in ("permanent", "temporary", "manual") else "transient"
    stage = three(strategy, "c", words)
    rests = {"held": "stop c", "done": "died c normal"}
    if kind == "ignored":
        stage.play("restart c")
        stage.play("died c SIGTERM")
        stage.play("notneeded c")
        stage.play("died c normal")
    elif kind in rests:
        stage.play(rests[kind])
        stage.play("obey")
    before = stage.tree.child("app:c")
    assert before is not None
    state, generation = before.state, before.generation
    stage.play("died a SIGKILL")
    stage.play("obey")
    stage.play("up")
    after = stage.tree.child("app:c")
    if kind == "temporary":
        assert after is None
    elif kind in ("permanent", "transient"):
        assert after is not None
        assert (after.state, after.generation) == (State.UP, generation + 1)
    else:
        assert after is not None
        assert state is not State.UP
        assert (after.state, after.generation) == (state, generation)


INTENTS = {
    # how it comes to be asked, and with which state that leaves it when it then ends
    "hold": (["stop b"], State.HELD, True),
    "restart": (["restart b"], State.STARTING, True),
    "memory": (["memory b 2 1"], State.STARTING, False),
    "shutdown": (["stop tree"], State.IDLE, True),
}
ENDS = {
    "obeyed": ("normal", Shutdown()),
    "by the signal it was sent": ("SIGTERM", Shutdown()),
    "by another signal": ("SIGSEGV", Signal(11)),
    "with a status": ("exit 3", Exit(3)),
}


@pytest.mark.parametrize("intent", INTENTS)
@pytest.mark.parametrize("end", ENDS)
def test_an_end_is_judged_by_what_was_asked(intent: str, end: str) -> None:
    asking, state, is_asked = INTENTS[intent]
    word, reason = ENDS[end]
    stage = running("tree one_for_one 5/10\n  b stop=5")
    for line in asking:
        stage.play(line)
    child = stage.tree.child("app:b")
    assert child is not None
    assert child.state is State.STOPPING
    stage.play(f"died b {word}")
    assert child.state is state
    assert child.exits[-1] == (reason if is_asked else MemoryLimit(2, 1))


@pytest.mark.parametrize("intent", INTENTS)
def test_what_does_not_obey_is_killed_and_judged_so(intent: str) -> None:
    asking, state, is_asked = INTENTS[intent]
    stage = running("tree one_for_one 5/10\n  b stop=5")
    for line in asking:
        stage.play(line)
    told = stage.play("tick +5")
    assert "kill app:b g1" in told
    stage.play("died b SIGKILL")
    child = stage.tree.child("app:b")
    assert child is not None
    assert child.state is state
    assert child.exits[-1] == (Killed() if is_asked else MemoryLimit(2, 1))


@pytest.mark.parametrize("restart", Restart)
def test_operators_commands_never_count(restart: Restart) -> None:
    stage = running(f"tree one_for_one 0/10\n  a {restart}\n  b")
    for line in ["restart a", "obey", "up", "stop a", "obey", "start a", "up", "restart a", "obey"]:
        stage.play(line)
    child = stage.tree.child("app:a")
    assert child is not None
    assert (child.state, child.generation, child.restarts) == (State.STARTING, 4, 0)
    supervisor = stage.tree.child("app:tree")
    assert supervisor is not None
    assert supervisor.state is State.UP


def test_the_restart_that_exceeds_the_intensity_is_refused() -> None:
    stage = running("tree one_for_one 2/10\n  a backoff=0.0\n  b")
    for _ in range(2):
        assert "launch" in " ".join(stage.play("died a SIGKILL"))
        stage.play("up")
    told = " ".join(stage.play("died a SIGKILL"))
    assert "gave_up app:tree" in told
    assert "launch app:a" not in told


@pytest.mark.parametrize(("pause_s", "is_up"), [(10.0, False), (10.001, True)])
def test_a_restart_leaves_the_window_just_after_its_length(pause_s: float, is_up: bool) -> None:
    stage = running("tree one_for_one 1/10\n  a backoff=0.0\n  b")
    stage.play("died a SIGKILL")
    stage.play("up")
    stage.now_s += pause_s
    stage.play("died a SIGKILL")
    supervisor = stage.tree.child("app:tree")
    assert supervisor is not None
    assert (supervisor.state is State.UP) is is_up


def test_the_table_has_every_reason() -> None:
    assert {type(reason) for reason, _ in REASONS.values()} == set(typing.get_args(ExitReason))
