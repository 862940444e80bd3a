"""What a changed configuration takes, brought about in its turn; nothing of it is urgent.

Who is leaving is stopped when nobody clings to it any more: what runs as it was, and needs it, goes
first. Who is outdated is restarted, one at a time within a supervisor, and the next is touched only
when the one before has settled as what it is now: a change that does harm does it once.
"""

from __future__ import annotations

from collections.abc import Iterator

from supervisor.core.lifecycle import GOING_DOWN, Intent
from supervisor.core.spec import GROUP_STRATEGIES, StartMode, Strategy, SupervisorSpec
from supervisor.core.tree import starting, stopping
from supervisor.core.tree.child import TOUCHABLE, Change, Child, Supervision
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State


def advance(forest: Forest, supervisor: Child) -> None:
    """Ask to stop whose turn has come: of those that leave, and of those that are outdated."""
    supervision = forest.supervision(supervisor)
    if supervision.leaving:
        _see_off(forest, supervision)
    if supervision.outdated or supervision.rolling:
        _roll(forest, supervision)


def _see_off(forest: Forest, supervision: Supervision) -> None:
    is_ordered = _stops_in_order(supervision.spec)
    if is_ordered and any(forest.children[id].state in GOING_DOWN for id in supervision.going):
        return
    for id in reversed(list(supervision.leaving)):
        child = forest.children[id]
        if child.state in TOUCHABLE and not _is_needed(forest, child):
            stopping.stop(forest, child, Intent.LEFT_OUT)
            if is_ordered:
                return


def _stops_in_order(spec: SupervisorSpec) -> bool:
    if spec.strategy is Strategy.DYNAMIC:
        return False
    return spec.start is StartMode.ORDERED or spec.strategy in GROUP_STRATEGIES


def _is_needed(forest: Forest, child: Child) -> bool:
    """Say whether something that runs as it was still needs `child`, or something below it."""
    for id in forest.clinging.of(child.id):
        other = forest.children.get(id)
        if other is None or other.state is State.UNKILLABLE or not other.is_living:
            continue
        if forest.changing.get(id) == other.generation:
            return True
    return False


def _roll(forest: Forest, supervision: Supervision) -> None:
    rolling = forest.children.get(supervision.rolling)
    if rolling is not None and _is_under_way(forest, rolling):
        return
    supervision.rolling = ""
    # One that is not up yet serves nobody: it goes first.
    for state in (State.STARTING, State.UP):
        for child in _outdated(forest, supervision):
            if child.state is state and not _lacks_what_comes(forest, child):
                supervision.rolling = child.id
                del supervision.outdated[child.id]
                stopping.stop(forest, child, Intent.CHANGED)
                return


def _outdated(forest: Forest, supervision: Supervision) -> Iterator[Child]:
    children = (forest.children.get(id) for id in supervision.outdated)
    return (it for it in children if it is not None and it.change is Change.OUTDATED)


def _is_under_way(forest: Forest, child: Child) -> bool:
    if child.state in GOING_DOWN:
        return True
    if child.change is not Change.TRIED:
        return False
    return child.state is State.BACKOFF or not starting.has_settled(forest, child)


def _lacks_what_comes(forest: Forest, child: Child) -> bool:
    """Say whether something that it is to require is just coming up: it had better go on until
    then. What does not come is not waited for: that may be waiting for the end of this one."""
    for id in forest.requires(child.target):
        needed = forest.children.get(id)
        if needed is None:
            continue
        cause = starting.last_cause(forest, needed) if needed.state is State.IDLE else needed
        if cause is None or cause.state is State.STARTING:
            return True
    return False
