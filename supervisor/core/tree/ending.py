"""An end is judged: restarted, kept, removed, quarantined, or too much (supervision.md 2, 3)."""

from __future__ import annotations

from msgspec.structs import replace

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.lifecycle import Input, Intent
from supervisor.core.spec import ROOT_ID, Foreign, Restart
from supervisor.core.strategy import Verdict, verdict
from supervisor.core.tree import finishing, restarting, stopping
from supervisor.core.tree.child import Change, Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State
from wippy.core.reasons import (
    ExitReason,
    Hung,
    Killed,
    MemoryLimit,
    Normal,
    Shutdown,
    Signal,
    StartFailed,
    StartTimeout,
    is_abnormal,
    sentence,
)

_STARTS_AGAIN = frozenset({Intent.RESTART, Intent.CHANGED, Intent.LEFT_OUT})
"""What was to leave is judged before: with that intent, it has been asked for again since."""
_ASKED = _STARTS_AGAIN | {Intent.HOLD, Intent.GROUP, Intent.SHUTDOWN}
_RUNNING = frozenset({State.STARTING, State.UP})
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
        case asked if asked in _ASKED:
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
        finishing.finish(forest, child, reason)
    elif parent is None or child.change is Change.LEAVING or _is_orphan(forest, parent, child):
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
    elif asked in _STARTS_AGAIN or child.spec.lifecycle.restart is not Restart.TEMPORARY:
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
    is_first = child.attempt == 0 and child.change is not Change.TRIED
    return parent.state is State.STARTING and is_first and not forest.recovering


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
            restarting.request(forest, parent, child)
            return
        case Verdict.DONE:
            _rest(forest, child, Input.FINISHED, FactKind.DONE, "done")
        case Verdict.REMOVE:
            _remove(forest, child)
    finishing.end_for_good(forest, parent, child, reason)
