"""An end for good: what it means for its supervisor, and for the whole node."""

from __future__ import annotations

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.lifecycle import Input
from supervisor.core.spec import ROOT_ID, AutoShutdown
from supervisor.core.tree import stopping
from supervisor.core.tree.child import Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State
from wippy.core.reasons import (
    Error,
    Exit,
    ExitReason,
    GaveUp,
    Normal,
    Shutdown,
    Signal,
    StartFailed,
    causal_chain,
    is_abnormal,
)

GAVE_UP_CODE = 69
START_FAILED_CODE = 1


def end_for_good(forest: Forest, parent: Child, child: Child, reason: ExitReason) -> None:
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


def finish(forest: Forest, top: Child, reason: ExitReason) -> None:
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
