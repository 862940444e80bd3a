"""A dry run: what would start in which order, and what each death would do (supervision.md 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from supervisor.core import adoption, graph, order, strategy
from supervisor.core.spec import (
    FILES_ID,
    FORKSERVER_ID,
    KEEPER_ID,
    ROOT_ID,
    SPAWNED_ID,
    AutoShutdown,
    ChildSpec,
    IntensitySpec,
    Lifecycle,
    OnChange,
    OnLimit,
    PoolActor,
    Restart,
    SupervisorSpec,
    TreeSpec,
)
from wippy.core.units import format_duration
from wippy.errors import NotFound


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when a child dies by a crash.

    Attributes:
        id: The child.
        restart: Its restart type.
        stopped: Siblings stopped because of it, in the order of the stop.
        removed: Those of them that are temporary, so they do not come back.
        started: What is started then, in order; the child itself is among it if it comes back.
        lost: Actors that may have lived in it: they die too, and their supervisors decide.
        then: What exceeding the limit does.
        text: All of it in words.
    """

    id: str
    restart: Restart
    stopped: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    then: str = ""
    text: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration means when it runs.

    Attributes:
        schema: Version of this format; 1.
        waves: Ids in start order: what is in one wave may start side by side.
        held: Ids that wait for an operator (`auto_start: false`); they are in the waves too.
        deaths: For each child below the top, in tree order.
    """

    schema: int = 1
    waves: tuple[tuple[str, ...], ...]
    held: tuple[str, ...] = ()
    deaths: tuple[Death, ...] = ()


def plan(tree: TreeSpec) -> Plan:
    """Return the plan of a tree.

    Raises:
        Invalid: It can never be up: something waits for itself.
    """
    # Nobody has spawned anything yet.
    below = [spec for spec in tree.children.values() if spec.id not in (ROOT_ID, SPAWNED_ID)]
    waves = (tuple(id for id in wave if id != SPAWNED_ID) for wave in order.waves(tree))
    return Plan(
        waves=tuple(wave for wave in waves if wave),
        held=tuple(spec.id for spec in below if not spec.lifecycle.auto_start),
        deaths=tuple(death(tree, spec.id) for spec in below),
    )


def if_dies(tree: TreeSpec, id: str) -> str:
    """Return in words what the death of child `id` does.

    Raises:
        NotFound: There is no such child.
    """
    return death(tree, id).text


def death(tree: TreeSpec, id: str) -> Death:
    """Return what the death of child `id` does.

    Raises:
        NotFound: There is no such child.
    """
    spec = _find(tree, id)
    if not spec.parent:
        text = f"{id} dies: the guardian starts a new root, which puts everything in order"
        return Death(id=id, restart=spec.lifecycle.restart, started=(id,), text=text)
    if spec.lifecycle.restart is Restart.TEMPORARY:
        return _told(tree, spec, Death(id=id, restart=Restart.TEMPORARY, lost=_lost(tree, spec)))
    siblings = strategy.affected(_over(tree, spec).strategy, _order(tree, spec), id)
    running = [s for s in siblings if _find(tree, s).lifecycle.auto_start]
    removed = [s for s in running if _find(tree, s).lifecycle.restart is Restart.TEMPORARY]
    back = {id, *running} - set(removed)
    result = Death(
        id=id,
        restart=spec.lifecycle.restart,
        stopped=tuple(reversed(running)),
        removed=tuple(removed),
        started=tuple(s for s in _order(tree, spec) if s in back),
        lost=_lost(tree, spec),
        then=_then(tree, spec),
    )
    return _told(tree, spec, result)


def _find(tree: TreeSpec, id: str) -> ChildSpec:
    """Return a child; one made at run time is known by its supervisor's template."""
    found = tree.children.get(id)
    if found is not None:
        return found
    owner = tree.children.get(id.rpartition("#")[0])
    template = owner.supervisor.template if owner and owner.supervisor else None
    if template is None:
        raise NotFound(f"there is no child {id}")
    return msgspec.structs.replace(template, id=id)


def _over(tree: TreeSpec, spec: ChildSpec) -> SupervisorSpec:
    over = tree.children[spec.parent].supervisor
    assert over is not None, f"{spec.parent} has children and is no supervisor"
    return over


def _order(tree: TreeSpec, spec: ChildSpec) -> tuple[str, ...]:
    children = _over(tree, spec).children
    return children if spec.id in children else (*children, spec.id)


def _lost(tree: TreeSpec, spec: ChildSpec) -> tuple[str, ...]:
    """Actors live in a worker of their host; in which one is decided when they start."""
    if spec.kind != "worker":
        return ()
    return tuple(
        other.id
        for other in tree.children.values()
        if isinstance(other.launch, PoolActor) and other.launch.host == spec.parent
    )


# --- in words ------------------------------------------------------------------------------------


def _told(tree: TreeSpec, spec: ChildSpec, found: Death) -> Death:
    parts = [_head(spec, found), *_consequences(tree, spec, found)]
    return msgspec.structs.replace(found, text="; ".join(part for part in parts if part))


def _head(spec: ChildSpec, found: Death) -> str:
    dies = f"{spec.id} {'gives up' if spec.supervisor is not None else 'dies'}"
    if found.restart is Restart.TEMPORARY:
        return f"{dies}: it is not restarted (temporary), and no sibling is touched"
    when = " by a crash" if found.restart is Restart.TRANSIENT else ""
    limit = f" ({found.then})" if found.then else ""
    whole = " with all below it" if spec.supervisor is not None else ""
    return f"{dies}{when}: {_action(found)}{whole}{limit}"


def _action(found: Death) -> str:
    if not found.stopped:
        return f"{_names(found.started)} {_is(found.started)} started again"
    text = f"{_names(found.stopped)} {_is(found.stopped)} stopped"
    if found.removed:
        gone = f"{_names(found.removed)} {_is(found.removed)} gone for good (temporary)"
        text = f"{text}, of which {gone}" if len(found.stopped) > 1 else f"{text} for good"
    return f"{text}, then {_names(found.started)} {_is(found.started)} started"


def _consequences(tree: TreeSpec, spec: ChildSpec, found: Death) -> list[str]:
    own = spec.lifecycle
    parts: list[str] = []
    if found.lost:
        parts.append(_lost_text(found.lost))
    if spec.id == FORKSERVER_ID:
        parts.append("running processes go on, new ones wait until it is back")
    if spec.id == KEEPER_ID:
        parts.append("what is to be written waits until it is back")
    if spec.id == FILES_ID:
        parts.append("files that change meanwhile are read when it is back")
    if own.restart is Restart.TRANSIENT:
        parts.append("after a normal end it is done, and no sibling is touched")
    if own.significant:
        parts.append(_significant(tree, spec))
    if own.essential:
        parts.append("when it fails for good the runtime ends with its exit code")
    return parts


def _lost_text(lost: Sequence[str]) -> str:
    if len(lost) == 1:
        return f"{lost[0]} dies with it if it lives there, and its supervisor decides"
    return f"those of {_names(lost)} that live there die with it, and their supervisors decide"


def _significant(tree: TreeSpec, spec: ChildSpec) -> str:
    match _over(tree, spec).auto_shutdown:
        case AutoShutdown.ANY_SIGNIFICANT:
            return f"when it ends for good {spec.parent} shuts down"
        case AutoShutdown.ALL_SIGNIFICANT:
            return f"when it and all other significant children have ended {spec.parent} shuts down"
    return ""


def _then(tree: TreeSpec, spec: ChildSpec) -> str:
    """Return the limit and what exceeding it does."""
    over = _over(tree, spec)
    name = str(over.strategy)
    own = spec.lifecycle
    if own.max_restarts is not None and own.on_limit is OnLimit.QUARANTINE:
        limit = _limit(IntensitySpec(own.max_restarts, own.within_s))
        return f"{name}, {limit}; then {spec.id} is quarantined, and its siblings go on"
    if over.intensity == graph.UNLIMITED:
        return f"{name}, as often as it takes"
    limit = _limit(_tighter(over.intensity, own))
    above = tree.children[spec.parent]
    if not above.parent:
        return f"{name}, {limit}; then {above.id} gives up and the runtime ends"
    return f"{name}, {limit}; then {above.id} gives up and {above.parent} decides"


def _tighter(intensity: IntensitySpec, own: Lifecycle) -> IntensitySpec:
    if own.max_restarts is None or own.max_restarts > intensity.max_restarts:
        return intensity
    return IntensitySpec(own.max_restarts, own.within_s)


def _limit(intensity: IntensitySpec) -> str:
    if intensity.max_restarts == 0:
        return "not even once"
    within = format_duration(intensity.within_s).replace(".0s", "s").replace("m00s", "m")
    return f"at most {intensity.max_restarts} in {within}"


def _names(ids: Sequence[str]) -> str:
    return ", ".join(ids)


def _is(ids: Sequence[str]) -> str:
    return "is" if len(ids) == 1 else "are"


def text(found: Plan) -> str:
    """Return a plan for people."""
    count = sum(len(wave) for wave in found.waves)
    lines = [f"{count} children start in {len(found.waves)} waves, each wave side by side:"]
    for number, wave in enumerate(found.waves, start=1):
        names = [f"{id} (held)" if id in found.held else id for id in wave]
        lines.append(f"  {number:>2}  {' '.join(names)}")
    if found.held:
        lines.append("held: started only by an operator (auto_start: false)")
    lines += ["", "what a death does:"]
    lines += [f"  {each.text}" for each in found.deaths]
    return "\n".join(lines)


def changes_text(old: TreeSpec, new: TreeSpec, on_change: Mapping[str, OnChange]) -> str:
    """Return for people what it would do to a running tree `old` to become `new`."""
    difference = adoption.compare(old, new)
    if not difference:
        return "nothing that runs is changed"
    lines = [f"{adoption.summary(difference)}, what is not named keeps its process:"]
    lines += [f"  {sentence}" for sentence in adoption.sentences(difference, on_change)]
    return "\n".join(lines)
