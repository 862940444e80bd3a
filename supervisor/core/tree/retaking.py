"""What a changed spec means at once, for a child that lives and for one that rests."""

from __future__ import annotations

from supervisor.core.adoption import Takes
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import Input, Watch
from supervisor.core.spec import ChildSpec, Lifecycle, Restart
from supervisor.core.tree.child import Change, Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State
from wippy.core.backoff import delay_s, roll_for


def lifecycle(forest: Forest, child: Child, target: ChildSpec) -> None:
    """Take over a changed lifecycle: what has begun is measured by the new times, what has been
    counted stays counted. What a child requires concerns its next start, like its launch."""
    old, new = child.spec.lifecycle, target.lifecycle
    if old == new:
        return
    _own_limit(child, new)
    match child.state:
        case State.STARTING if old.start_timeout_s != new.start_timeout_s:
            if child.supervision is None:
                _set(forest, child, "state", child.launched_at_s + new.start_timeout_s)
        case State.BACKOFF if old.backoff != new.backoff:
            # One was added when the wait began.
            roll = roll_for(child.id, child.generation)
            wait_s = delay_s(new.backoff, child.attempt - 1, roll)
            _set(forest, child, "state", child.died_at_s + wait_s)
        case State.UP:
            _heartbeat(forest, child, target)
            if child.short_lives:
                _set(forest, child, "stable", child.ready_at_s + new.stable_threshold_s)


def _set(forest: Forest, child: Child, purpose: str, at_s: float) -> None:
    forest.set_deadline(child, purpose, max(0.0, at_s - forest.now_s))


def _own_limit(child: Child, new: Lifecycle) -> None:
    counted = child.window.restarted_at_s if child.window is not None else ()
    child.window = None
    if new.max_restarts is not None:
        child.window = Intensity(new.max_restarts, new.within_s, counted)


def _heartbeat(forest: Forest, child: Child, target: ChildSpec) -> None:
    """Silence up to now is measured anew, so that nobody is hung by a change of the rule."""
    timeout_s = forest.heartbeat_timeout_s(child, target)
    if timeout_s == forest.heartbeat_timeout_s(child):
        return
    if child.watch in (Watch.SUSPECT, Watch.DUMPING):
        child.watch = Watch.ALIVE
    forest.deadlines.clear((child.id, "beat"))
    child.beaten_at_s = forest.now_s
    if timeout_s > 0:
        forest.set_deadline(child, "beat", timeout_s)


def resting(forest: Forest, child: Child, before: ChildSpec, takes: Takes) -> bool:
    """See to a child without a process that has got its new spec; return whether that is tried.

    What failed, or waits for its next try, may do better as what it is now. What is done stays
    done, unless it is to do something else now: new code alone is for its next start.
    """
    now, is_other = child.spec.lifecycle, takes is Takes.RESTART
    match child.state:
        case State.FAILED if child.spec != before:
            return try_again(forest, child)
        case State.BACKOFF if takes >= Takes.CODE:
            return try_again(forest, child)
        case State.DONE if is_other or (
            now.restart is Restart.PERMANENT and before.lifecycle.restart is not now.restart
        ):
            return try_again(forest, child)
        case State.IGNORED if is_other:
            return try_again(forest, child)
        case State.HELD if now.auto_start and not before.lifecycle.auto_start:
            if child.id not in forest.held:
                return try_again(forest, child)
        case State.IDLE if not now.auto_start and before.lifecycle.auto_start:
            if not child.launched_at_s:  # what has run goes on, what has not waits for an operator
                forest.move(child, Input.HOLD)
                child.change = Change.NONE
        case State.IDLE if takes >= Takes.CODE and child.launched_at_s:
            child.change = Change.TRIED
            return True
    return False


def try_again(forest: Forest, child: Child) -> bool:
    """Begin anew with a clean slate; return that it is tried."""
    child.forgive()
    child.change = Change.TRIED
    forest.move(child, Input.RETRY if child.state is State.BACKOFF else Input.REVIVE)
    return True
