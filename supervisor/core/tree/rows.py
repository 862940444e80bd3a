"""What the tree looks like: rows in tree order, and what happens next, in words."""

from __future__ import annotations

from collections.abc import Iterator

from supervisor.core.lifecycle import Intent, Watch
from supervisor.core.spec import (
    ROOT_ID,
    SPAWNED_ID,
    Dedicated,
    Foreign,
    PoolActor,
    PoolWorker,
    System,
)
from supervisor.core.tree.child import CRASH_LOOP_LIVES, Change, Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import Row, RowKind, State
from wippy.core.reasons import brief
from wippy.core.units import format_duration

MINUTE_S = 60.0
_TO_COME = {
    Change.UPGRADING: "told of its new code",
    Change.OUTDATED: "to be restarted: its configuration has changed",
    Change.LEAVING: "to be stopped: it is no longer configured here",
}


def rows(forest: Forest, now_s: float) -> Iterator[Row]:
    """Yield a row for each child, depth first, in start order, the top first.

    What only the kernel knows (CPU, memory) and what only the shell knows (actors, log files) is
    filled in by the shell.
    """
    yield from _rows_below(forest, forest.children[ROOT_ID], 0, now_s)


def _rows_below(forest: Forest, child: Child, depth: int, now_s: float) -> Iterator[Row]:
    yield row(forest, child, depth, now_s)
    if child.supervision is not None:
        for below in forest.children_of(child):
            if below.id == SPAWNED_ID and _is_empty(below):
                continue  # nobody has spawned anything: no news
            yield from _rows_below(forest, below, depth + 1, now_s)


def _is_empty(supervisor: Child) -> bool:
    supervision = supervisor.supervision
    return supervision is not None and not supervision.order and supervisor.state is not State.HELD


def row(forest: Forest, child: Child, depth: int, now_s: float) -> Row:
    """Return the row of one child."""
    is_up = child.state is State.UP
    has_beats = is_up and child.supervision is None and forest.heartbeat_timeout_s(child) > 0
    retry_at_s = forest.deadlines.get((child.id, "state"))
    is_waiting = child.state is State.BACKOFF and retry_at_s is not None
    supervision = child.supervision
    return Row(
        id=child.id,
        parent=child.spec.parent,
        depth=depth,
        kind=_kind(child),
        state=child.state,
        detail=_detail(forest, child, now_s),
        generation=child.generation,
        os_pid=child.os_pid,
        restarts=child.restarts,
        restarts_last_minute=sum(1 for at_s in child.restarted_at_s if at_s > now_s - MINUTE_S),
        uptime_s=now_s - child.ready_at_s if is_up else 0.0,
        last_exit=child.exits[-1] if child.exits else None,
        next_try_s=max(0.0, retry_at_s - now_s) if is_waiting and retry_at_s else 0.0,
        heartbeat_age_s=now_s - child.beaten_at_s if has_beats else None,
        strategy=str(supervision.spec.strategy) if supervision else "",
        window_used=supervision.window.used(now_s) if supervision else 0,
        window_max=supervision.window.max_restarts if supervision else 0,
        window_s=supervision.window.window_s if supervision else 0.0,
        window_resets_s=supervision.window.resets_in_s(now_s) if supervision else 0.0,
        is_crash_loop=_is_crash_loop(child),
        is_frozen=child.watch is Watch.FROZEN and child.is_living,
        caused_by=child.caused_by,
    )


def _is_crash_loop(child: Child) -> bool:
    is_over = child.state in (State.HELD, State.DONE)
    return child.short_lives >= CRASH_LOOP_LIVES and not is_over


def _kind(child: Child) -> RowKind:
    if child.supervision is not None:
        is_pool = child.supervision.spec.pool is not None
        return RowKind.POOL if is_pool else RowKind.SUPERVISOR
    match child.spec.launch:
        case Dedicated():
            return RowKind.ACTOR
        case PoolActor():
            return RowKind.POOL_ACTOR
        case PoolWorker():
            return RowKind.WORKER
        case Foreign():
            return RowKind.PROGRAM
        case System() | None:
            return RowKind.SYSTEM


def _detail(forest: Forest, child: Child, now_s: float) -> str:
    """Why it is in that state, in a few words."""
    match child.state:
        case State.UP if child.watch is Watch.FROZEN:
            return "stopped by SIGSTOP"
        case State.UP if child.watch is Watch.SUSPECT:
            return "silent"
        case State.UP | State.STARTING if child.change in _TO_COME:
            return _TO_COME[child.change]
        case State.IDLE:
            return child.waits_for or _idle_because(forest, child)
        case State.BACKOFF:
            left_s = (forest.deadlines.get((child.id, "state")) or now_s) - now_s
            return f"next try in {format_duration(max(0.0, left_s))}"
        case State.STOPPING | State.KILLING if child.caused_by:
            return f"because of {child.caused_by}"
        case State.STOPPING | State.KILLING if child.intent is not Intent.NONE:
            return str(child.intent).replace("_", " ")
        case State.HELD if not child.exits and not child.spec.lifecycle.auto_start:
            return "auto_start: false"
        case State.FAILED if child.exits:
            return f"quarantined after {brief(child.exits[-1])}"
    return ""


def _idle_because(forest: Forest, child: Child) -> str:
    parent = forest.parent(child)
    if child.caused_by:
        return f"because of {child.caused_by}"
    if parent is not None and parent.state not in (State.UP, State.STARTING):
        return f"{parent.id} is {parent.state}"
    return "waiting for its turn"


def what_next(forest: Forest, child: Child, now_s: float) -> str:
    """Return what is going to happen to `child` next, as a sentence."""
    lifecycle = child.spec.lifecycle
    match child.state:
        case State.UP if child.watch is Watch.FROZEN:
            return f"Nothing, until somebody sends SIGCONT to pid {child.os_pid}."
        case State.UP if child.change is Change.UPGRADING:
            return "It takes its new code when it is ready for it."
        case State.UP | State.STARTING if child.change in _TO_COME:
            return "Its turn to stop comes when those before it have settled."
        case State.UP if child.short_lives:
            left_s = child.ready_at_s + lifecycle.stable_threshold_s - now_s
            return f"It counts as stable in {format_duration(max(0.0, left_s))}."
        case State.UP:
            return "It runs."
        case State.STARTING:
            return f"It has {format_duration(lifecycle.start_timeout_s)} to become ready."
        case State.BACKOFF:
            return f"The {_detail(forest, child, now_s)}; or now: wippy-supervisor start {child.id}"
        case State.STOPPING:
            return f"It has {format_duration(lifecycle.stop_timeout_s)} to stop, then SIGKILL."
        case State.KILLING:
            return "It has been sent SIGKILL."
        case State.IDLE:
            return f"It starts when its turn comes: {_detail(forest, child, now_s)}."
        case State.HELD | State.FAILED | State.DONE | State.IGNORED:
            return f"Nothing, until: wippy-supervisor start {child.id}"
        case State.UNKILLABLE:
            return "Nothing, until the kernel lets it go; no second one is started beside it."
