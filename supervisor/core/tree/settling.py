"""Whether a changed configuration does well: what it touched must come up, and stay up.

A child has proven itself when it has been UP for its `stable_threshold`, or rests for a good
reason. At the end of the grace time who has not come up, or has died since, has failed. A longer
roll is given more time as long as nothing has failed.
"""

from __future__ import annotations

from collections.abc import Iterable

from supervisor.core import steps
from supervisor.core.spec import ROOT_ID
from supervisor.core.tree import starting
from supervisor.core.tree.child import Adoption, Change, Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State
from wippy.core.reasons import brief

PURPOSE = "adoption"
_RESTS_WELL = frozenset({State.HELD, State.DONE, State.IGNORED})
_TO_COME = frozenset({Change.OUTDATED, Change.LEAVING, Change.UPGRADING})


def begin(forest: Forest, event: steps.Adopt, touched: Iterable[str]) -> None:
    """Await the outcome; who has not proven itself since the adoption before is awaited still."""
    before = forest.adoption.waiting if forest.adoption is not None else {}
    forest.adoption = None
    forest.deadlines.clear((ROOT_ID, PURPOSE))
    if event.grace_s <= 0:
        return
    waiting = {id: None for id in (*before, *touched) if id in forest.children}
    forest.adoption = Adoption(event.version, event.grace_s, waiting, dict(waiting))
    forest.set_deadline(forest.children[ROOT_ID], PURPOSE, event.grace_s)


def look(forest: Forest) -> None:
    """Tell the outcome as soon as it is known."""
    adoption = forest.adoption
    if adoption is None:
        return
    if adoption.refused:
        _conclude(forest, adoption)
        return
    for id in list(adoption.fresh):
        child = forest.children.get(id)
        if child is None or id not in adoption.waiting or _is_proven(forest, child):
            adoption.waiting.pop(id, None)
            del adoption.fresh[id]
        elif child.state is State.FAILED:
            _conclude(forest, adoption)
            return
        elif not _is_looked_at_again(forest, child):
            del adoption.fresh[id]
    if not adoption.waiting:
        _conclude(forest, adoption)


def due(forest: Forest) -> None:
    """The grace time is over."""
    adoption = forest.adoption
    if adoption is None:
        return
    waiting = [forest.children[id] for id in adoption.waiting if id in forest.children]
    is_rolling = any(child.change is Change.OUTDATED for child in waiting)
    if is_rolling and not _failed(forest, adoption):
        forest.set_deadline(forest.children[ROOT_ID], PURPOSE, adoption.grace_s)
        return
    _conclude(forest, adoption)


def _is_proven(forest: Forest, child: Child) -> bool:
    if child.state in _RESTS_WELL:
        return True
    if child.state is not State.UP or child.change is not Change.NONE:
        return False
    return forest.now_s - child.ready_at_s >= child.spec.lifecycle.stable_threshold_s


def _is_looked_at_again(forest: Forest, child: Child) -> bool:
    """Say whether only time is missing, and nobody wakes us when it is over."""
    is_all = child.state is State.UP and child.change is Change.NONE
    return is_all and forest.deadlines.get((child.id, "stable")) is None


def _conclude(forest: Forest, adoption: Adoption) -> None:
    forest.adoption = None
    forest.deadlines.clear((ROOT_ID, PURPOSE))
    forest.act(steps.AdoptionSettled(adoption.version, _failed(forest, adoption)))


def _failed(forest: Forest, adoption: Adoption) -> tuple[tuple[str, str], ...]:
    children = [forest.children[id] for id in adoption.waiting if id in forest.children]
    failed = {child.id: _why(child) for child in children if _has_failed(forest, child)}
    return tuple({**failed, **adoption.refused}.items())


def _has_failed(forest: Forest, child: Child) -> bool:
    if child.state is State.UP:
        return child.short_lives > 0 and child.change not in _TO_COME
    if child.change in _TO_COME or child.state in _RESTS_WELL:
        return False
    cause = starting.last_cause(forest, child) if child.state is State.IDLE else None
    return cause is None or cause.state is not State.HELD


def _why(child: Child) -> str:
    if child.short_lives and child.exits:
        return f"{child.state} after {brief(child.exits[-1])}"
    return child.waits_for or f"not ready: {child.state}"
