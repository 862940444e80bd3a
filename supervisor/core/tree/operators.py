"""What operators ask for: stop, start, restart, spawn. Their commands never count as restarts,
repeating one is no error, and a stop holds until a start (OTP's group restart undoes it)."""

from __future__ import annotations

from supervisor.core import steps
from supervisor.core.facts import FactKind
from supervisor.core.lifecycle import GOING_DOWN, Input, Intent
from supervisor.core.spec import ROOT_ID, SYSTEM_ID, Strategy, SupervisorSpec
from supervisor.core.tree import stopping
from supervisor.core.tree.child import Child
from supervisor.core.tree.forest import Forest
from supervisor.core.view import State
from wippy.errors import AlreadyExists, Invalid, NotFound, Unavailable


def hold(forest: Forest, id: str) -> str:
    """Stop a child and keep it down; return what that means, in words."""
    child = _operable(forest, id)
    forest.held.add(id)  # also over a removal and a return, and when `auto_start` changes
    if child.state is State.HELD:
        return f"{id} is already stopped"
    if child.state in GOING_DOWN or child.state is State.UNKILLABLE:
        child.then = Intent.HOLD
        return f"{id} is being stopped"
    if child.is_living:
        stopping.stop(forest, child, Intent.HOLD)
        return f"stopping {id}"
    forest.move(child, Input.HOLD)
    forest.note(FactKind.HELD, child, text="stopped by an operator")
    return f"{id} is stopped"


def start(forest: Forest, id: str) -> str:
    """Start what rests, or retry at once what waits; return what that means, in words."""
    child = _operable(forest, id)
    _check_supervisor(forest, child)
    if child.state is State.UNKILLABLE:
        raise Unavailable(
            f"{id} cannot start: pid {child.os_pid} survived SIGKILL and is still there"
        )
    if child.state in (State.UP, State.STARTING):
        return f"{id} is already {child.state}"
    forest.held.discard(id)
    if child.state in GOING_DOWN:
        if child.then is Intent.HOLD or child.intent in (Intent.HOLD, Intent.NONE):
            child.then = Intent.RESTART
        return f"{id} starts when it is down"
    child.forgive()
    if child.state is State.BACKOFF:
        forest.move(child, Input.RETRY)
    elif child.state is not State.IDLE:
        forest.move(child, Input.REVIVE)
    else:
        forest.unsettle(child)
    return f"starting {id}"


def restart(forest: Forest, id: str) -> str:
    """Stop a child and start it again; return what that means, in words."""
    child = _operable(forest, id)
    if child.state not in (State.UP, State.STARTING):
        return start(forest, id)
    _check_supervisor(forest, child)
    child.forgive()
    stopping.stop(forest, child, Intent.RESTART)
    return f"restarting {id}"


def spawn(forest: Forest, event: steps.Spawn) -> str:
    """Add a child to a dynamic supervisor, or a worker to a pool; return its id."""
    supervisor = _find(forest, event.supervisor)
    if supervisor.supervision is None or not _takes_children(supervisor.supervision.spec):
        raise Invalid(f"{event.supervisor} is no dynamic supervisor")
    if supervisor.state not in (State.UP, State.STARTING):
        raise Unavailable(f"{event.supervisor} is {supervisor.state}")
    if event.spec.id in forest.children:
        raise AlreadyExists(f"{event.spec.id} is already in the tree")
    forest.add(event.spec)
    forest.note_needs(event.spec)
    supervisor.supervision.order.append(event.spec.id)
    forest.unsettle(supervisor)
    return event.spec.id


def _takes_children(spec: SupervisorSpec) -> bool:
    return spec.strategy is Strategy.DYNAMIC or spec.pool is not None


def next_dynamic_id(forest: Forest, supervisor_id: str) -> str:
    """Return the id of the next child of a dynamic supervisor."""
    supervisor = _find(forest, supervisor_id)
    if supervisor.supervision is None:
        raise Invalid(f"{supervisor_id} is no supervisor")
    supervisor.supervision.last_number += 1
    return f"{supervisor_id}#{supervisor.supervision.last_number}"


def _find(forest: Forest, id: str) -> Child:
    try:
        return forest.children[id]
    except KeyError:
        raise NotFound(f"no {id!r} in the tree") from None


def _operable(forest: Forest, id: str) -> Child:
    child = _find(forest, id)
    if id == ROOT_ID:
        raise Invalid("wippy:root is the whole node; stop it with: wippy-supervisor stop")
    if id == SYSTEM_ID or child.spec.parent == SYSTEM_ID:
        raise Invalid(f"{id} is part of the runtime; kill it if you like, it comes back")
    return child


def _check_supervisor(forest: Forest, child: Child) -> None:
    parent = forest.parent(child)
    if parent is not None and parent.state not in (State.UP, State.STARTING):
        raise Unavailable(
            f"{child.id} cannot start: its supervisor {parent.id} is {parent.state}; "
            f"start that first: wippy-supervisor start {parent.id}"
        )
