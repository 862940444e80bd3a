"""Whose turn it is to start (supervision.md sections 4 and 5)."""

from __future__ import annotations

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import GOING_DOWN, Input, Intent, Watch
from supervisor.core.spec import Strategy
from supervisor.core.tree.child import ON_TRIAL, Change, Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State

_SATISFYING = frozenset({State.UP, State.DONE, State.IGNORED})
"""States of a required child with which its dependents may start: a finished migration is as
good as a running server."""
_AT_REST = frozenset({State.HELD, State.FAILED, State.DONE, State.UNKILLABLE})
"""States that nothing but an operator ends (and that, done, a required child is welcome in, but a
supervisor of one is not)."""


def bring_up(forest: Forest, supervisor: Child) -> None:
    """Start the children whose turn has come; READY when all have settled."""
    if supervisor.state is State.UP and not forest.idle.get(supervisor.id):
        return  # nobody waits: an end among thousands costs no look at them all
    supervision = forest.supervision(supervisor)
    is_ordered = forest.is_ordered(supervisor)
    has_gap = False
    for id in supervision.order[supervision.settled :]:
        child = forest.children[id]
        if child.state is State.IDLE:
            _start_if_possible(forest, child)
        if child.state is not State.UP and not has_settled(forest, child):
            has_gap = True
            if is_ordered:
                break
            if _is_full(forest):
                forest.starved[supervisor.id] = None
                break
        elif not has_gap:
            supervision.settled += 1
    if supervisor.state is State.STARTING and not has_gap:
        ready(forest, supervisor)


def _is_full(forest: Forest) -> bool:
    return forest.starting_count >= forest.start_parallel


def _start_if_possible(forest: Forest, child: Child) -> None:
    missing = missing_requirement(forest, child) or _leaving_before(forest, child)
    if missing is not None:
        _wait(forest, child, missing)
    elif child.supervision is None and _is_full(forest):
        forest.starved[child.spec.parent] = None
    else:
        start(forest, child)


def _leaving_before(forest: Forest, child: Child) -> Child | None:
    """Return a sibling that a new child waits for: what is new often takes the place, and the
    port, of what is being stopped."""
    parent = forest.parent(child)
    if parent is None or child.change is not Change.ADDED:
        return None
    going = (forest.children[id] for id in forest.supervision(parent).going)
    return next((it for it in going if it.state in GOING_DOWN), None)


def start(forest: Forest, child: Child) -> None:
    """Begin a life of `child`: the next generation."""
    child.generation += 1
    child.intent = child.then = Intent.NONE
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
    supervision.parting = None
    listed = supervision.spec.children
    made = [child for child in forest.children_of(supervisor) if child.id not in set(listed)]
    for child in made:
        # Made at run time, for the last life: what still stands by itself stays.
        if child.state not in (State.HELD, State.UNKILLABLE):
            forest.remove(child)
    for id in listed:
        child = forest.children.get(id) or forest.restore(id)
        if child.spec.parent != supervisor.id or child.change is Change.LEAVING:
            continue  # it is still leaving its place first
        if child.state in (State.DONE, State.FAILED, State.IGNORED):
            forest.move(child, Input.REVIVE)
        child.waits_for = ""
        child.forgive()
    forest.arrange(supervisor)


def _wait(forest: Forest, child: Child, missing: Child) -> None:
    is_leaving = missing.change is Change.LEAVING
    text = f"waiting for {missing.id}, which is {'leaving' if is_leaving else missing.state}"
    cause = last_cause(forest, child)
    if cause is not None and cause is not missing:
        text += f", because {cause.id} is {cause.state}"
    if child.waits_for != text:
        child.waits_for = text
        # That things wait for one another while everything starts is no news.
        if cause is not None and (cause.state in _AT_REST or cause.state is State.BACKOFF):
            forest.note(FactKind.WAITING, child, text=text)


def missing_requirement(forest: Forest, child: Child) -> Child | None:
    """Return the first thing that `child` requires and that is not there."""
    for id in forest.requires(child.spec):
        needed = forest.children.get(id)
        if needed is None:
            continue
        if needed.state not in _SATISFYING or needed.change is Change.LEAVING:
            return needed
    return None


def has_settled(forest: Forest, child: Child) -> bool:
    """Say whether siblings after `child` need not wait for it any longer."""
    if child.state is State.BACKOFF:
        # The strategies with an order wait for it; in the others nobody waits.
        parent = forest.parent(child)
        return parent is None or forest.supervision(parent).spec.strategy in (
            Strategy.ONE_FOR_ONE,
            Strategy.DYNAMIC,
        )
    if child.state is State.IDLE:
        cause = last_cause(forest, child)
        return cause is not None and cause.state in _AT_REST
    return child.state is not State.STARTING and child.state not in GOING_DOWN


def last_cause(forest: Forest, child: Child) -> Child | None:
    """Return what an idle child is waiting for in the end: along what is required, and the
    supervisors of that, the first that is not idle; None where all only wait for their turn."""
    for _ in range(len(forest.children)):  # a circle, which the configuration refuses, must end
        cause = missing_requirement(forest, child) or _supervisor_that_does_not_run(forest, child)
        if cause is None or cause.state is not State.IDLE:
            return cause
        child = cause
    return None


def _supervisor_that_does_not_run(forest: Forest, child: Child) -> Child | None:
    parent = forest.parent(child)
    return None if parent is None or parent.state in (State.UP, State.STARTING) else parent


def ready(forest: Forest, child: Child) -> None:
    """A child is READY."""
    forest.move(child, Input.READY)
    child.intent = Intent.NONE  # it said "not needed", and then READY: the last word counts
    child.ready_at_s = child.beaten_at_s = forest.now_s
    if not child.spec.parent:
        forest.recovering = False  # the whole tree is up: from here on, a start is a start
    heartbeat_timeout_s = forest.heartbeat_timeout_s(child)
    if heartbeat_timeout_s > 0:
        forest.set_deadline(child, "beat", heartbeat_timeout_s)
    if child.change in ON_TRIAL:
        child.change = Change.NONE
    if child.short_lives or forest.is_awaited(child):
        forest.set_deadline(child, "stable", child.spec.lifecycle.stable_threshold_s)
    down_s = forest.now_s - child.died_at_s if child.died_at_s else 0.0
    forest.note(
        FactKind.READY,
        child,
        os_pid=child.os_pid,
        took_s=forest.now_s - child.launched_at_s,
        down_s=down_s,
    )
