"""Who is asked to stop, when, and what if it does not (supervision.md sections 4 and 6)."""

from __future__ import annotations

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.lifecycle import GOING_DOWN, Input, Intent
from supervisor.core.spec import GROUP_STRATEGIES, Restart, StartMode, Strategy
from supervisor.core.tree.forest import KILL_WAIT_S, Child, Forest
from supervisor.core.view import State
from wippy.core.reasons import ExitReason, Shutdown

REASONS = {
    Intent.RESTART: "restart by an operator",
    Intent.GROUP: "restart with {caused_by}",
    Intent.HOLD: "stop by an operator",
    Intent.SHUTDOWN: "shutdown of {parent}",
    Intent.HUNG: "no heartbeat",
    Intent.START_TIMEOUT: "not ready in time",
    Intent.MEMORY: "too much memory",
    Intent.NOT_NEEDED: "not needed",
}


def bring_down(forest: Forest, supervisor: Child) -> bool:
    """Ask the next of the cut to stop; return whether something of it still lives."""
    supervision = forest.supervision(supervisor)
    if not supervision.cut:
        return False
    living = [
        child
        for child in forest.children_of(supervisor)
        if child.id in supervision.cut and child.state in (State.STARTING, State.UP, *GOING_DOWN)
    ]
    for child in _next_to_stop(forest, supervisor, living):
        if child.state not in GOING_DOWN:
            is_closing = supervisor.state is State.STOPPING
            stop(forest, child, Intent.SHUTDOWN if is_closing else Intent.GROUP)
    if not living:
        _close_cut(forest, supervisor)
    return bool(living)


def _next_to_stop(forest: Forest, supervisor: Child, living: list[Child]) -> list[Child]:
    """Ordered: the last one, which must be dead before the next is told. Dynamic: all at once.
    Parallel: all that nobody living depends on, so that one who ignores SIGTERM delays nobody."""
    spec = forest.supervision(supervisor).spec
    if spec.strategy is Strategy.DYNAMIC:
        return living
    if spec.start is StartMode.ORDERED or spec.strategy in GROUP_STRATEGIES:
        return living[-1:]
    ids = {child.id for child in living}
    return [child for child in reversed(living) if not ids & forest.dependents.get(child.id, set())]


def _close_cut(forest: Forest, supervisor: Child) -> None:
    """All of the cut is down: whoever waited for a retry starts with the group instead."""
    supervision = forest.supervision(supervisor)
    for child in list(forest.children_of(supervisor)):
        if child.id in supervision.cut and child.state is State.BACKOFF:
            if child.spec.lifecycle.restart is Restart.TEMPORARY:
                forest.remove(child)
            else:
                forest.move(child, Input.RETRY)
    supervision.cut.clear()


def close(forest: Forest, supervisor: Child, parting: ExitReason) -> None:
    """Bring a supervisor down: all its children, then itself with the reason `parting`."""
    supervision = forest.supervision(supervisor)
    supervision.parting = parting
    supervision.cut = set(supervision.order)
    if supervisor.state not in GOING_DOWN:
        forest.move(supervisor, Input.STOP)
    for child in forest.children_of(supervisor):
        if child.state is State.BACKOFF:
            forest.move(child, Input.RETRY)


def stop(forest: Forest, child: Child, intent: Intent) -> None:
    """Record the intention, then ask; `stop_timeout: 0s` kills without asking."""
    child.intent = intent
    text = REASONS[intent].format(caused_by=child.caused_by, parent=child.spec.parent)
    if child.supervision is not None:
        forest.note(FactKind.STOPPING, child, text=text)
        close(forest, child, Shutdown())
        return
    timeout_s = child.spec.lifecycle.stop_timeout_s
    if timeout_s <= 0 or intent in (Intent.HUNG, Intent.START_TIMEOUT):
        kill(forest, child, text=text)
        return
    forest.move(child, Input.STOP)
    forest.set_deadline(child, "state", timeout_s)
    forest.note(FactKind.STOPPING, child, os_pid=child.os_pid, text=text)
    forest.act(steps.AskStop(child.id, child.generation, text, timeout_s))


def kill(forest: Forest, child: Child, *, text: str) -> None:
    """SIGKILL, with a finite wait."""
    forest.move(child, Input.KILL)
    forest.set_deadline(child, "state", KILL_WAIT_S)
    forest.note(FactKind.KILLING, child, os_pid=child.os_pid, text=f"SIGKILL: {text}")
    forest.act(steps.Kill(child.id, child.generation))


def overdue(forest: Forest, child: Child) -> None:
    """SIGKILL did not help: raise an alarm, start no twin, go on serving."""
    forest.move(child, Input.OVERDUE)
    text = f"pid {child.os_pid} survived SIGKILL for {KILL_WAIT_S:g} s; no other is started"
    forest.note(FactKind.ALARM, child, os_pid=child.os_pid, text=text)
