"""May the calling actor do this? Decided here, in its own process, by the policies of the registry.

The policies are read and compiled once for each version of the registry. Where nothing binds an
actor (it has no identity, there are no policies of everyone, the node is not strict) a check is a
look at two variables, and `process.send` has none: its fast path is closed (`Outlet.thread`) for
those that are bound only. A new version is seen at each check that somebody bound makes; a process
in which nobody is bound looks when the root tells of one, and with each heartbeat.

What is checked here keeps honest code in its bounds. A process that wants to lie can: what must not
be lied about is checked by the keeper (docs/security.md).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from wippy.core.conditions import Fields
from wippy.core.payload import decode
from wippy.core.policy import (
    POLICY_KIND,
    Identity,
    Request,
    Ruleset,
    denied,
    no_fields,
    policy_of,
    resource_of,
)
from wippy.errors import Invalid, WippyError
from wippy.runtime import registry
from wippy.runtime.context import ActorContext, find_current
from wippy.runtime.local import LocalActor
from wippy.runtime.output import complain

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane

SHUT = 0
"""In place of an outlet's thread: no thread has it, so each message takes the way of the checks."""

narrowed_to: ContextVar[Identity | None] = ContextVar("wippy_narrowed_to", default=None)
"""Set by `security.with_actor`, for a task and the tasks that it makes."""


class _Policies:
    """Those of this process's node.

    Attributes:
        is_strict: The node is.
        is_open: Who has no identity may everything; False before the policies were looked at.
        plane: The messages of this process; None where it takes no part.
        version: Of the registry, that the ruleset was made of; -1 before the first.
    """

    is_strict: bool = False
    is_open: bool = False
    plane: Plane | None = None
    version: int = -1
    ruleset: Ruleset = Ruleset()


def set_strict(is_strict: bool) -> None:
    """Say whether the node is strict; once, when the process has its job."""
    _Policies.is_strict = is_strict
    _Policies.is_open = False
    _Policies.version = -1
    _Policies.ruleset = Ruleset()


def watch_over(plane: Plane) -> None:
    """Close the fast ways of the actors of `plane` when there are policies that bind them."""
    _Policies.plane = plane


def refresh() -> None:
    """Take over the policies of the registry as it is now.

    Raises:
        Unavailable, Invalid: The registry cannot be read, or a policy is none.
    """
    version = _version()
    if version == _Policies.version:
        return
    found = registry.reader().find(POLICY_KIND, None, None) if version > 0 else []
    _Policies.ruleset = Ruleset(policy_of(doc.id, doc.data) for _, doc in found)
    _Policies.version = version
    _Policies.is_open = not (_Policies.is_strict or _Policies.ruleset.has_everyone)
    plane = _Policies.plane
    if plane is not None and not _Policies.is_open:
        for local in list(plane.actors.values()):
            shut(local)


def refresh_or_complain() -> None:
    """As `refresh`, from the loop: what was known goes on to hold where the registry cannot be
    read."""
    try:
        refresh()
    except WippyError as error:
        complain(f"the policies cannot be read: {error}")


def _version() -> int:
    # A process of no node (a test, a rehearsal) has no registry, and so no policies.
    return registry.reader().version() if registry.has_reader() else 0


def identity_of(context: ActorContext) -> Identity:
    """Return as whom an actor acts now."""
    return acting(context) or Identity(id=context.service)


def acting(context: ActorContext | None = None) -> Identity | None:
    """Return as whom the calling actor acts now; None is the default identity, which what it makes
    has too."""
    narrowed = narrowed_to.get()
    if narrowed is not None:
        return narrowed
    context = context or find_current()
    return None if context is None else context.identity


def is_bound(context: ActorContext) -> bool:
    """Say whether there is anything that an actor might not be allowed."""
    if _Policies.version < 0:
        refresh()
    return not _Policies.is_open or acting(context) is not None


def is_allowed(
    context: ActorContext, action: str, resource: str, fields: Callable[[], Fields] = no_fields
) -> bool:
    """Say whether an actor may do `action` to `resource`."""
    if not is_bound(context):
        return True
    refresh()
    request = Request(action, resource, fields)
    who = identity_of(context)
    return _Policies.ruleset.decide(who, request, is_strict=_Policies.is_strict).is_allowed


def require(action: str, resource: str, fields: Callable[[], Fields] = no_fields) -> None:
    """Raise `PermissionDenied` if the calling actor may not do `action` to `resource`."""
    if _Policies.is_open and acting() is None:
        return
    context = find_current()
    if context is None or not is_bound(context):
        return
    refresh()
    request = Request(action, resource, fields)
    who = identity_of(context)
    decision = _Policies.ruleset.decide(who, request, is_strict=_Policies.is_strict)
    if not decision.is_allowed:
        raise denied(decision, request)


def require_send(local: LocalActor, action: str, target: str, topic: str, data: bytes) -> None:
    """As `require`, for a message to a pid, a service or a name; `payload` and `topic` are fields.

    Raises:
        PermissionDenied: It may not.
        Invalid: The target is no pid.
    """
    context = find_current()
    if context is None or not is_bound(context):
        return
    shut(local)
    require(
        action,
        resource_of(target),
        lambda: {"topic": topic, "target": target, "payload": _decoded(data)},
    )


def require_target(action: str, target: str) -> None:
    """As `require`, for what is done to an actor: a pid, a service or a name."""
    context = find_current()
    if context is not None and is_bound(context):
        require(action, resource_of(target), lambda: {"target": target})


def shut(local: LocalActor) -> None:
    """Let every message of an actor be checked from now on."""
    local.is_bound = True
    for outlet in local.outlets.values():
        outlet.thread = SHUT


def _decoded(data: bytes) -> Any:
    try:
        return decode(data)
    except Invalid:
        return None  # only what was encoded here comes here; the way of it says what is wrong
