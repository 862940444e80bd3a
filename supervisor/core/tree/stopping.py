"""Who is asked to stop, when, and what if it does not (supervision.md sections 4 and 6)."""

from __future__ import annotations

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.lifecycle import Input, Intent
from supervisor.core.spec import GROUP_STRATEGIES, StartMode, Strategy
from supervisor.core.tree.child import KILL_WAIT_S, Child, Supervision
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State
from wippy.core.reasons import ExitReason, Shutdown

REASONS = {
    Intent.RESTART: "restart by an operator",
    Intent.GROUP: "restart with {caused_by}",
    Intent.HOLD: "stop by an operator",
    Intent.SHUTDOWN: "shutdown of {parent}",
    Intent.CHANGED: "its configuration has changed",
    Intent.LEFT_OUT: "it is no longer configured here",
    Intent.HUNG: "no heartbeat",
    Intent.START_TIMEOUT: "not ready in time",
    Intent.MEMORY: "too much memory",
    Intent.NOT_NEEDED: "not needed",
}


def bring_down(forest: Forest, supervisor: Child) -> bool:
    """Ask the next of the cut to stop; return whether something of it still lives."""
    supervision = forest.supervision(supervisor)
    is_closing = supervisor.state is State.STOPPING
    for id in _next_to_stop(forest, supervision):
        stop(forest, forest.children[id], Intent.SHUTDOWN if is_closing else Intent.GROUP)
    return bool(supervision.cut)


def _next_to_stop(forest: Forest, supervision: Supervision) -> list[str]:
    """Ordered: the last one, which must be dead before the next is told. Dynamic: all at once.
    Parallel: all that nobody living depends on, so that one who ignores SIGTERM delays nobody."""
    spec, cut, untold = supervision.spec, supervision.cut, supervision.untold
    if spec.strategy is Strategy.DYNAMIC:
        return list(untold)
    if spec.start is StartMode.ORDERED or spec.strategy in GROUP_STRATEGIES:
        last = next(reversed(cut), None)
        return [last] if last is not None and last in untold else []
    needed = forest.dependents
    return [id for id in reversed(untold) if cut.keys().isdisjoint(needed.of(id))]


def close(forest: Forest, supervisor: Child, parting: ExitReason) -> None:
    """Bring a supervisor down: all its children, then itself with the reason `parting`."""
    supervision = forest.supervision(supervisor)
    supervision.parting = parting
    forest.move(supervisor, Input.STOP)
    forest.cut(supervisor, supervision.order)


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
