"""A restart: counted, delayed, with whom it concerns; or one too many (supervision.md 2, 3)."""

from __future__ import annotations

from supervisor.core.facts import FactKind
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import Input, Intent
from supervisor.core.spec import OnLimit
from supervisor.core.strategy import affected
from supervisor.core.tree import finishing, stopping
from supervisor.core.tree.child import (
    CRASH_LOOP_LIVES,
    CUTTABLE,
    EXITS_IN_CHAIN,
    ON_TRIAL,
    Change,
    Child,
)
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State
from wippy.core.backoff import delay_s, roll_for
from wippy.core.reasons import GaveUp
from wippy.core.units import counted


def request(forest: Forest, parent: Child, child: Child) -> None:
    """Every automatic attempt counts; a group restart counts once, for the child that died. What
    has to do with a changed configuration does not."""
    if child.change in (Change.OUTDATED, Change.UPGRADING):
        _count_restart(forest, child)
        forest.move(child, Input.WILL_RESTART)  # as what it is to be: nothing says that it fails
        _decided(forest, parent, child, _cut_group(forest, parent, child))
        return
    _count_life(forest, child)
    is_on_trial = child.change in ON_TRIAL
    if child.window is not None and not (is_on_trial and _escalates(child)):
        child.window, allowed = child.window.note_restart(forest.now_s)
        if not allowed:
            _exceed_own_limit(forest, parent, child, child.window)
            return
    if is_on_trial:
        wait_s = _restart(forest, child)
        forest.note(FactKind.DECIDED, child, text="tried again, alone", delay_s=wait_s)
        return
    supervision = forest.supervision(parent)
    supervision.window, allowed = supervision.window.note_restart(forest.now_s)
    if not allowed:
        _give_up(forest, parent, child, supervision.window)
        return
    wait_s = _restart(forest, child)
    _decided(forest, parent, child, _cut_group(forest, parent, child), wait_s, is_counted=True)


def _escalates(child: Child) -> bool:
    return child.spec.lifecycle.on_limit is OnLimit.ESCALATE


def _restart(forest: Forest, child: Child) -> float:
    """Have it started again after its back-off; return that, seconds."""
    policy = child.spec.lifecycle.backoff
    wait_s = delay_s(policy, child.attempt, roll_for(child.id, child.generation))
    child.attempt += 1
    _count_restart(forest, child)
    if wait_s > 0:
        forest.move(child, Input.WILL_RETRY)
        forest.set_deadline(child, "state", wait_s)
    else:
        forest.move(child, Input.WILL_RESTART)
    return wait_s


def _count_restart(forest: Forest, child: Child) -> None:
    child.restarts += 1
    child.restarted_at_s.append(forest.now_s)
    child.intent = Intent.NONE


def _decided(
    forest: Forest,
    parent: Child,
    child: Child,
    group: tuple[str, ...],
    wait_s: float = 0.0,
    *,
    is_counted: bool = False,
) -> None:
    supervision = forest.supervision(parent)
    window = supervision.window
    forest.note(
        FactKind.DECIDED,
        child,
        text=f"{supervision.spec.strategy}: restart",
        delay_s=wait_s,
        affected=group,
        used=window.used(forest.now_s) if is_counted else 0,
        allowed=window.max_restarts if is_counted else 0,
        within_s=window.window_s if is_counted else 0.0,
    )


def _cut_group(forest: Forest, parent: Child, child: Child) -> tuple[str, ...]:
    """Put the siblings that go down with `child` into the cut; who rests stays as it is."""
    supervision = forest.supervision(parent)
    group = tuple(
        id
        for id in affected(supervision.spec.strategy, supervision.order, child.id)
        if forest.children[id].state in CUTTABLE or forest.children[id].state is State.BACKOFF
    )
    for id in group:
        sibling = forest.children[id]
        if sibling.state in (State.UP, State.STARTING):
            sibling.caused_by = child.id
    if group:
        forest.cut(parent, group)
    return group


def _count_life(forest: Forest, child: Child) -> None:
    """A stable life resets the back-off; a run of short ones is a crash loop."""
    lived_s = forest.now_s - child.ready_at_s if child.ready_at_s else 0.0
    if lived_s >= child.spec.lifecycle.stable_threshold_s:
        child.attempt = child.short_lives = 0
        return
    child.short_lives += 1
    if child.short_lives == CRASH_LOOP_LIVES:
        text = (
            f"crash loop: {CRASH_LOOP_LIVES} lives in a row shorter than "
            f"{child.spec.lifecycle.stable_threshold_s:g} s"
        )
        forest.note(FactKind.CRASH_LOOP, child, text=text)


def _exceed_own_limit(forest: Forest, parent: Child, child: Child, window: Intensity) -> None:
    if child.spec.lifecycle.on_limit is OnLimit.ESCALATE:
        _give_up(forest, parent, child, window)
        return
    reason = child.exits[-1]
    forest.move(child, Input.QUARANTINED)
    text = (
        f"quarantined after {counted(window.max_restarts, 'restart')} in {window.window_s:g} s; "
        f"start it again with: wippy-supervisor start {child.id}; its last exit"
    )
    forest.note(FactKind.QUARANTINED, child, reason=reason, text=text)
    finishing.end_for_good(forest, parent, child, reason)


def _give_up(forest: Forest, parent: Child, child: Child, window: Intensity) -> None:
    """The chain names supervisor, child, count, window and the last exits, down to the leaf."""
    chain = GaveUp(
        supervisor=parent.id,
        child=child.id,
        restarts=window.max_restarts,
        within_s=window.window_s,
        last_exits=tuple(child.exits)[-EXITS_IN_CHAIN:],
    )
    forest.move(child, Input.WILL_RESTART)
    forest.note(FactKind.GAVE_UP, parent, reason=chain)
    stopping.close(forest, parent, chain)
