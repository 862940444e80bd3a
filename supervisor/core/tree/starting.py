"""Whose turn it is to start (supervision.md sections 4 and 5)."""

from __future__ import annotations

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import GOING_DOWN, Input, Intent, Watch
from supervisor.core.spec import Strategy
from supervisor.core.tree.forest import Child, Forest
from supervisor.core.view import State

_SATISFYING = frozenset({State.UP, State.DONE, State.IGNORED})
"""States of a required child with which its dependents may start: a finished migration is as
good as a running server."""
_AT_REST = frozenset({State.HELD, State.FAILED, State.UNKILLABLE})
"""States that nothing but an operator ends."""


def bring_up(forest: Forest, supervisor: Child) -> None:
    """Start the children whose turn has come; READY when all have settled."""
    is_ordered = forest.is_ordered(supervisor)
    for child in list(forest.children_of(supervisor)):
        if child.state is State.IDLE:
            _start_if_possible(forest, child)
        if is_ordered and not _has_settled(forest, child):
            break
    if supervisor.state is State.STARTING:
        _ready_if_settled(forest, supervisor)


def _start_if_possible(forest: Forest, child: Child) -> None:
    missing = missing_requirement(forest, child)
    if missing is not None:
        _wait(forest, child, missing)
    elif child.supervision is None and forest.starting_count >= forest.start_parallel:
        forest.starved.add(child.spec.parent)
    else:
        start(forest, child)


def start(forest: Forest, child: Child) -> None:
    """Begin a life of `child`: the next generation."""
    child.generation += 1
    child.intent = Intent.NONE
    child.watch = Watch.ALIVE
    child.os_pid = 0
    child.waits_for = child.caused_by = ""
    child.launched_at_s = forest.now_s
    child.ready_at_s = 0.0
    child.over_memory = None
    forest.move(child, Input.LAUNCH)
    if child.supervision is None:
        forest.starting_count += 1
        forest.set_deadline(child, "state", child.spec.lifecycle.start_timeout_s)
        forest.act(steps.Launch(child.id, child.generation))
    else:
        _begin_supervisor_life(forest, child)
    forest.note(FactKind.STARTING, child)


def _begin_supervisor_life(forest: Forest, supervisor: Child) -> None:
    """A new life of a supervisor knows nothing of the last, but for what an operator holds."""
    supervision = forest.supervision(supervisor)
    intensity = supervision.spec.intensity
    supervision.window = Intensity(intensity.max_restarts, intensity.within_s)
    supervision.cut.clear()
    supervision.parting = None
    for id in supervision.spec.children:
        child = forest.children.get(id) or forest.add(forest.spec.children[id])
        if child.state in (State.DONE, State.FAILED, State.IGNORED):
            forest.move(child, Input.REVIVE)
        child.attempt = child.short_lives = 0
    supervision.order[:] = supervision.spec.children


def _wait(forest: Forest, child: Child, missing: Child) -> None:
    text = f"waiting for {missing.id}, which is {missing.state}"
    if child.waits_for != text:
        child.waits_for = text
        # That things wait for one another while everything starts is no news.
        if missing.state in _AT_REST or missing.state is State.BACKOFF:
            forest.note(FactKind.WAITING, child, text=text)


def missing_requirement(forest: Forest, child: Child) -> Child | None:
    """Return the first thing that `child` requires and that is not there."""
    for id in forest.requires(child):
        needed = forest.children.get(id)
        if needed is not None and needed.state not in _SATISFYING:
            return needed
    return None


def _has_settled(forest: Forest, child: Child) -> bool:
    """Say whether siblings after `child` need not wait for it any longer."""
    if child.state is State.BACKOFF:
        # The strategies with an order wait for it; in the others nobody waits.
        parent = forest.parent(child)
        return parent is None or forest.supervision(parent).spec.strategy in (
            Strategy.ONE_FOR_ONE,
            Strategy.DYNAMIC,
        )
    if child.state is State.IDLE:
        return _waits_for_an_operator(forest, child, depth=0)
    return child.state is not State.STARTING and child.state not in GOING_DOWN


def _waits_for_an_operator(forest: Forest, child: Child, depth: int) -> bool:
    missing = missing_requirement(forest, child)
    if missing is None or depth > len(forest.children):
        return False
    if missing.state in _AT_REST:
        return True
    return missing.state is State.IDLE and _waits_for_an_operator(forest, missing, depth + 1)


def _ready_if_settled(forest: Forest, supervisor: Child) -> None:
    if all(_has_settled(forest, child) for child in forest.children_of(supervisor)):
        ready(forest, supervisor)


def ready(forest: Forest, child: Child) -> None:
    """A child is READY."""
    forest.move(child, Input.READY)
    child.ready_at_s = child.beaten_at_s = forest.now_s
    lifecycle = child.spec.lifecycle
    if not child.spec.parent:
        forest.recovering = False  # the whole tree is up: from here on, a start is a start
    if child.supervision is None:
        heartbeat_timeout_s = forest.heartbeat_timeout_s(child)
        if heartbeat_timeout_s > 0:
            forest.set_deadline(child, "beat", heartbeat_timeout_s)
        if child.short_lives:
            forest.set_deadline(child, "stable", lifecycle.stable_threshold_s)
    down_s = forest.now_s - child.died_at_s if child.died_at_s else 0.0
    forest.note(
        FactKind.READY,
        child,
        os_pid=child.os_pid,
        took_s=forest.now_s - child.launched_at_s,
        down_s=down_s,
    )
