"""An end is judged: restarted, kept, removed, quarantined, or too much (supervision.md 2, 3)."""

from __future__ import annotations

from msgspec.structs import replace

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.intensity import Intensity
from supervisor.core.lifecycle import Input, Intent
from supervisor.core.spec import ROOT_ID, AutoShutdown, Foreign, OnLimit, Restart
from supervisor.core.strategy import Verdict, affected, verdict
from supervisor.core.tree import stopping
from supervisor.core.tree.forest import (
    CRASH_LOOP_LIVES,
    CUTTABLE,
    EXITS_IN_CHAIN,
    Child,
    Forest,
)
from supervisor.core.view import State
from wippy.core.backoff import delay_s, roll_for
from wippy.core.reasons import (
    Error,
    Exit,
    ExitReason,
    GaveUp,
    Hung,
    Killed,
    MemoryLimit,
    Normal,
    Shutdown,
    Signal,
    StartFailed,
    StartTimeout,
    causal_chain,
    is_abnormal,
    sentence,
)

_ASKED = frozenset({Intent.HOLD, Intent.RESTART, Intent.GROUP, Intent.SHUTDOWN})
_RUNNING = frozenset({State.STARTING, State.UP})
GAVE_UP_CODE = 69
START_FAILED_CODE = 1
SIGTERM = 15


def died(forest: Forest, event: steps.Died) -> None:
    """The process of a child has ended."""
    child = forest.children[event.id]
    if not child.is_living:
        return
    reason = _true_reason(forest, child, event)
    _end(forest, child, reason, event.output)


def supervisor_down(forest: Forest, supervisor: Child) -> None:
    """The last child of a closing supervisor is down: it ends with its parting reason."""
    reason = forest.supervision(supervisor).parting or Shutdown()
    _end(forest, supervisor, reason, ())


def _true_reason(forest: Forest, child: Child, event: steps.Died) -> ExitReason:
    """What the kernel says, in the light of what was asked for."""
    reason = event.reason
    match child.intent:
        case Intent.HUNG:
            return Hung(forest.now_s - child.beaten_at_s, "\n".join(event.output))
        case Intent.START_TIMEOUT:
            return StartTimeout(child.spec.lifecycle.start_timeout_s)
        case Intent.MEMORY if child.over_memory is not None:
            return MemoryLimit(child.over_memory.used_bytes, child.over_memory.limit_bytes)
        case Intent.RESTART | Intent.GROUP | Intent.HOLD | Intent.SHUTDOWN:
            return _obeyed_or_not(child, reason)
        case Intent.NOT_NEEDED:
            return reason
    if child.state is not State.STARTING:
        return reason
    if isinstance(reason, StartFailed):
        return reason if reason.output else replace(reason, output=event.output)
    return StartFailed(cause=reason, output=event.output)


def _obeyed_or_not(child: Child, reason: ExitReason) -> ExitReason:
    if child.state in (State.KILLING, State.UNKILLABLE) and reason == Signal(9):
        return Killed()
    launch = child.spec.launch
    asked_with = launch.stop_signal if isinstance(launch, Foreign) else SIGTERM
    return Shutdown() if reason in (Normal(), Signal(asked_with)) else reason


def _end(forest: Forest, child: Child, reason: ExitReason, output: tuple[str, ...]) -> None:
    lived_s = forest.now_s - (child.ready_at_s or child.launched_at_s)
    was_starting = child.state is State.STARTING or isinstance(reason, StartFailed | StartTimeout)
    child.exits.append(reason)
    child.died_at_s = forest.now_s
    for purpose in ("beat", "stable"):
        forest.deadlines.clear((child.id, purpose))
    forest.note(
        FactKind.EXITED,
        child,
        os_pid=child.os_pid,
        reason=reason,
        lived_s=lived_s,
        output=output,
    )
    child.os_pid = 0
    parent = forest.parent(child)
    if child.id == ROOT_ID:
        _finish(forest, child, reason)
    elif parent is None or _is_orphan(forest, parent, child):
        if _asked_for(child) is Intent.HOLD:
            forest.held.add(child.id)  # should its supervisor come back, it stays down
        _remove(forest, child)
    elif (asked := _asked_for(child)) in _ASKED:
        _asked_end(forest, child, asked)
    elif child.intent is Intent.NOT_NEEDED:
        _rest(forest, child, Input.NOT_NEEDED, FactKind.IGNORED, "not needed here")
    elif child.id in forest.supervision(parent).cut or parent.state not in _RUNNING:
        _end_within_group(forest, child, reason)
    elif was_starting and _is_first_start(forest, parent, child):
        _fail_first_start(forest, parent, child, reason, output)
    else:
        _own_end(forest, parent, child, reason)


def _is_orphan(forest: Forest, parent: Child, child: Child) -> bool:
    """Say whether it outlived SIGKILL, and its supervisor was forgotten and made anew since."""
    return child.state is State.UNKILLABLE and child.id not in forest.supervision(parent).order


# --- ends that were asked for --------------------------------------------------------------------


def _asked_for(child: Child) -> Intent:
    """What is to follow: an operator's later word counts, the reason of the end stays its own."""
    return child.intent if child.then is Intent.NONE else child.then


def _asked_end(forest: Forest, child: Child, asked: Intent) -> None:
    if asked is Intent.HOLD:
        _rest(forest, child, Input.HELD_DOWN, FactKind.HELD, "stopped by an operator")
    elif asked is Intent.RESTART or child.spec.lifecycle.restart is not Restart.TEMPORARY:
        forest.move(child, Input.WILL_RESTART)
    else:
        _remove(forest, child)


def _end_within_group(forest: Forest, child: Child, reason: ExitReason) -> None:
    """It died by itself while its group was being stopped: its reason is its own, it is not
    counted again, and it starts with the group, unless it had just finished."""
    match verdict(child.spec.lifecycle.restart, abnormal=is_abnormal(reason)):
        case Verdict.REMOVE:
            _remove(forest, child)
        case Verdict.DONE:
            _rest(forest, child, Input.FINISHED, FactKind.DONE, "done")
        case Verdict.RESTART:
            forest.move(child, Input.WILL_RESTART)


def _rest(forest: Forest, child: Child, input: Input, kind: FactKind, text: str) -> None:
    forest.move(child, input)
    child.intent = Intent.NONE
    forest.note(kind, child, text=text)


def _remove(forest: Forest, child: Child) -> None:
    forest.move(child, Input.WILL_RESTART)
    forest.remove(child)


# --- ends of its own -----------------------------------------------------------------------------


def _is_first_start(forest: Forest, parent: Child, child: Child) -> bool:
    """Say whether the start of `child` is part of the start of `parent`: what has been restarted
    in this life of `parent` was up before, and is retried."""
    return parent.state is State.STARTING and child.attempt == 0 and not forest.recovering


def _fail_first_start(
    forest: Forest, parent: Child, child: Child, reason: ExitReason, output: tuple[str, ...]
) -> None:
    """The first start of a supervisor: one that fails takes down those already started."""
    forest.move(child, Input.WILL_RESTART)
    detail = f"{child.id} {sentence(reason)}"
    last_words = reason.output if isinstance(reason, StartFailed) else output
    parting = StartFailed(detail=detail, cause=reason, output=last_words)
    forest.note(FactKind.STOPPING, parent, text=detail)
    stopping.close(forest, parent, parting)


def _own_end(forest: Forest, parent: Child, child: Child, reason: ExitReason) -> None:
    abnormal = is_abnormal(reason)
    match verdict(child.spec.lifecycle.restart, abnormal=abnormal):
        case Verdict.RESTART:
            _request_restart(forest, parent, child)
            return
        case Verdict.DONE:
            _rest(forest, child, Input.FINISHED, FactKind.DONE, "done")
        case Verdict.REMOVE:
            _remove(forest, child)
    _end_for_good(forest, parent, child, reason)


def _end_for_good(forest: Forest, parent: Child, child: Child, reason: ExitReason) -> None:
    if is_abnormal(reason) and child.spec.lifecycle.essential:
        _end_runtime(forest, child, reason)
    elif child.spec.lifecycle.significant:
        _auto_shutdown(forest, parent, child)


def _auto_shutdown(forest: Forest, parent: Child, child: Child) -> None:
    mode = forest.supervision(parent).spec.auto_shutdown
    others = [
        other
        for other in forest.children_of(parent)
        if other is not child
        and other.spec.lifecycle.significant
        and other.state not in (State.DONE, State.FAILED, State.IGNORED)
    ]
    if mode is AutoShutdown.ANY_SIGNIFICANT or (
        mode is AutoShutdown.ALL_SIGNIFICANT and not others
    ):
        text = f"auto_shutdown {mode}: {child.id} has ended"
        forest.note(FactKind.STOPPING, parent, text=text)
        stopping.close(forest, parent, Shutdown())


def _request_restart(forest: Forest, parent: Child, child: Child) -> None:
    """Every automatic attempt counts; a group restart counts once, for the child that died."""
    _count_life(forest, child)
    if child.window is not None:
        child.window, allowed = child.window.note_restart(forest.now_s)
        if not allowed:
            _exceed_own_limit(forest, parent, child, child.window)
            return
    supervision = forest.supervision(parent)
    supervision.window, allowed = supervision.window.note_restart(forest.now_s)
    if not allowed:
        _give_up(forest, parent, child, supervision.window)
        return
    _restart(forest, parent, child)


def _restart(forest: Forest, parent: Child, child: Child) -> None:
    policy = child.spec.lifecycle.backoff
    wait_s = delay_s(policy, child.attempt, roll_for(child.id, child.generation))
    child.attempt += 1
    child.restarts += 1
    child.restarted_at_s.append(forest.now_s)
    child.intent = Intent.NONE
    if wait_s > 0:
        forest.move(child, Input.WILL_RETRY)
        forest.set_deadline(child, "state", wait_s)
    else:
        forest.move(child, Input.WILL_RESTART)
    group = _cut_group(forest, parent, child)
    supervision = forest.supervision(parent)
    forest.note(
        FactKind.DECIDED,
        child,
        text=f"{supervision.spec.strategy}: restart",
        delay_s=wait_s,
        affected=group,
        used=supervision.window.used(forest.now_s),
        allowed=supervision.window.max_restarts,
        within_s=supervision.window.window_s,
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


# --- too many ------------------------------------------------------------------------------------


def _exceed_own_limit(forest: Forest, parent: Child, child: Child, window: Intensity) -> None:
    if child.spec.lifecycle.on_limit is OnLimit.ESCALATE:
        _give_up(forest, parent, child, window)
        return
    reason = child.exits[-1]
    forest.move(child, Input.QUARANTINED)
    text = (
        f"quarantined after {window.max_restarts} restarts in {window.window_s:g} s; "
        f"start it again with: wippy-supervisor start {child.id}; its last exit"
    )
    forest.note(FactKind.QUARANTINED, child, reason=reason, text=text)
    _end_for_good(forest, parent, child, reason)


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


def _end_runtime(forest: Forest, child: Child, reason: ExitReason) -> None:
    top = forest.children[ROOT_ID]
    if top.state is State.STOPPING:
        return  # who stopped it first says with which code it ends
    text = f"{child.id} is essential and has failed for good: stopping everything"
    forest.note(FactKind.NODE_STOPPING, child, text=text, reason=reason)
    forest.exit_code = exit_code(reason)
    stopping.close(forest, top, reason)


def exit_code(reason: ExitReason) -> int:
    """Return the exit status for `reason`, as a shell would give it; 1 where there is none."""
    match reason:
        case Exit(code):
            return code
        case Signal(number):
            return 128 + number
        case StartFailed(cause=cause) if cause is not None:
            return exit_code(cause)
        case GaveUp(last_exits=exits) if exits:
            return exit_code(exits[-1])
        case Error() | _:
            return 1


def _finish(forest: Forest, top: Child, reason: ExitReason) -> None:
    forest.move(top, Input.HELD_DOWN)
    forest.is_finished = True
    code = _final_code(forest, reason) if forest.exit_code is None else forest.exit_code
    chain = "; because ".join(causal_chain(reason)) if is_abnormal(reason) else "in order"
    last_words = reason.output if isinstance(reason, StartFailed) else ()
    forest.note(FactKind.NODE_STOPPED, reason=reason, text=f"stopped: {chain}", output=last_words)
    forest.act(steps.Finish(code, reason))


def _final_code(forest: Forest, reason: ExitReason) -> int:
    """Containers want the exit status of an essential child; others the documented codes."""
    match reason:
        case Shutdown() | Normal():
            return 0
        case GaveUp():
            leaf = forest.children.get(_leaf(reason))
            is_essential = leaf is not None and leaf.spec.lifecycle.essential
            return exit_code(reason) if is_essential else GAVE_UP_CODE
        case _:
            return exit_code(reason) if _is_of_essential(forest, reason) else START_FAILED_CODE


def _is_of_essential(forest: Forest, reason: ExitReason) -> bool:
    """Say whether the chain of a failed start begins with the end of an essential child."""
    essential = [
        c.exits[-1] for c in forest.children.values() if c.spec.lifecycle.essential and c.exits
    ]
    while True:
        if any(end is reason for end in essential):
            return True
        if not isinstance(reason, StartFailed) or reason.cause is None:
            return False
        reason = reason.cause


def _leaf(chain: GaveUp) -> str:
    last = chain.last_exits[-1] if chain.last_exits else None
    return _leaf(last) if isinstance(last, GaveUp) else chain.child
