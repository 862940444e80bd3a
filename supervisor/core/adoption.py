"""What a changed configuration changes: the difference of two trees, pure, and in words.

| difference | what the tree does |
|---|---|
| added | starts it when its turn has come |
| removed | stops it, what needs it first, and forgets it |
| moved to another supervisor | stops it there, starts it here |
| order of children | follows it from now on |
| lifecycle, strategy, intensity | takes it over; nothing is restarted |
| memory limit, stop signal, readiness probe | takes it over; nothing is restarted |
| arguments, other limits, host, command | restarts it, one at a time within a supervisor |
| code | what `on_change` says |
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from supervisor.core.spec import (
    Blueprint,
    ChildSpec,
    Code,
    Launch,
    OnChange,
    PoolWorker,
    ProcessEntry,
    ServiceEntry,
    SupervisorEntry,
    SupervisorSpec,
    TreeSpec,
)
from wippy.core.units import counted

LIVE_LIMITS = frozenset({"memory_bytes"})
"""Limits that the root watches itself; all others a process gives itself when it starts."""
LIVE_LAUNCH = frozenset({"stop_signal", "readiness"})
"""What is used when a program stops, and when it starts."""
UNSEEN = frozenset({"spawner", "number"})


class Takes(enum.IntEnum):
    """What it takes for a running process to follow a changed launch; the larger wins."""

    NOTHING = 0
    NOTICE = 1  # it is taken over as it runs
    CODE = 2  # new code, and nothing else
    RESTART = 3


class LaunchChange(msgspec.Struct, frozen=True):
    """How one launch differs from another.

    Attributes:
        takes: What it takes to follow it.
        what: Names of what differs, as a user knows them.
    """

    takes: Takes = Takes.NOTHING
    what: tuple[str, ...] = ()


class ChildChange(msgspec.Struct, frozen=True, kw_only=True):
    """How one child differs that both trees have in the same place.

    Attributes:
        id: The child.
        lifecycle: Names of the fields of its lifecycle that differ.
        launch: How its launch differs; of a supervisor with a template, the template's.
        is_template: Whether `launch` is a template's.
        supervisor: Names of what differs of a supervisor, without its children.
        workers: Of a pool: how many it had at least and at most, and will have.
    """

    id: str
    lifecycle: tuple[str, ...] = ()
    launch: LaunchChange = LaunchChange()
    is_template: bool = False
    supervisor: tuple[str, ...] = ()
    workers: tuple[int, int, int, int] | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How a tree differs from another. Workers are told with their pools.

    Attributes:
        added: In start order.
        removed: In the order in which they go: last one first.
        moved: (child, old supervisor, new supervisor).
        remade: Those that were a process and are to be a supervisor, or the other way round.
        reordered: Supervisors whose remaining children have another order.
        changed: What stays and is changed.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str, str], ...] = ()
    remade: tuple[str, ...] = ()
    reordered: tuple[str, ...] = ()
    changed: tuple[ChildChange, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


def compare(old: TreeSpec, new: TreeSpec) -> Difference:
    """Return how `new` differs from `old`."""
    before, after = _without_workers(old), _without_workers(new)
    both = [id for id in after if id in before]
    moved = [id for id in both if before[id].parent != after[id].parent]
    stay = [id for id in both if before[id].parent == after[id].parent]
    changes = (child_change(before[id], after[id], new) for id in stay)
    return Difference(
        added=tuple(id for id in after if id not in before),
        removed=tuple(id for id in reversed(before) if id not in after),
        moved=tuple((id, before[id].parent, after[id].parent) for id in moved),
        remade=tuple(id for id in stay if is_remade(before[id], after[id])),
        reordered=tuple(id for id in stay if _is_reordered(before[id], after[id])),
        changed=tuple(change for change in changes if change is not None),
    )


def _without_workers(tree: TreeSpec) -> dict[str, ChildSpec]:
    children = tree.children.items()
    return {id: spec for id, spec in children if not isinstance(spec.launch, PoolWorker)}


def on_changes(blueprint: Blueprint) -> dict[str, OnChange]:
    """Return what a change of its code means for each service, and for what is made of one."""
    found: dict[str, OnChange] = {}
    entries = blueprint.entries
    for entry in entries.values():
        process = entries.get(entry.process) if isinstance(entry, ServiceEntry) else None
        if isinstance(process, ProcessEntry):
            found[entry.id] = process.on_change
    for entry in entries.values():
        if isinstance(entry, SupervisorEntry) and entry.template in found:
            found[entry.id] = found[entry.template]
    return found


def is_remade(old: ChildSpec, new: ChildSpec) -> bool:
    """Say whether a process becomes a supervisor, or the other way round."""
    return (old.supervisor is None) != (new.supervisor is None)


def _is_reordered(old: ChildSpec, new: ChildSpec) -> bool:
    if old.supervisor is None or new.supervisor is None:
        return False
    mine, theirs = old.supervisor.children, new.supervisor.children
    kept = set(mine) & set(theirs)
    return [id for id in mine if id in kept] != [id for id in theirs if id in kept]


def child_change(old: ChildSpec, new: ChildSpec, tree: TreeSpec) -> ChildChange | None:
    """Return how a child of `tree` that stays where it is differs; None if it does not."""
    launch = launch_change(old.launch, new.launch)
    supervisor: tuple[str, ...] = ()
    workers = None
    if old.supervisor is not None and new.supervisor is not None:
        launch = _template_change(old.supervisor, new.supervisor)
        supervisor = _fields(old.supervisor, new.supervisor, {"children", "template", "pool"})
        workers = _workers(old.supervisor, new.supervisor)
    change = ChildChange(
        id=new.id,
        lifecycle=_fields(old.lifecycle, new.lifecycle),
        launch=launch,
        is_template=launch.takes is not Takes.NOTHING and new.supervisor is not None,
        supervisor=supervisor,
        workers=workers,
    )
    return None if change == ChildChange(id=new.id) else change


def _template_change(old: SupervisorSpec, new: SupervisorSpec) -> LaunchChange:
    if old.template is None or new.template is None:
        return LaunchChange()
    return launch_change(old.template.launch, new.template.launch)


def _workers(old: SupervisorSpec, new: SupervisorSpec) -> tuple[int, int, int, int] | None:
    if old.pool is None or new.pool is None:
        return None
    sizes = (old.pool.min, old.pool.max, new.pool.min, new.pool.max)
    return None if sizes[:2] == sizes[2:] else sizes


def _fields(old: msgspec.Struct, new: msgspec.Struct, but: Any = ()) -> tuple[str, ...]:
    names = (name for name in new.__struct_fields__ if name not in but)
    found = [name for name in names if getattr(old, name) != getattr(new, name)]
    return tuple(name.removesuffix("_s").removesuffix("_bytes") for name in found)


def launch_change(old: Launch | None, new: Launch | None) -> LaunchChange:
    """Return what it takes for a process to follow from `old` to `new`."""
    if type(old) is not type(new):
        return LaunchChange(Takes.RESTART, ("host",))
    if old is None or new is None or old == new:
        return LaunchChange()
    takes, what = Takes.NOTHING, []
    for name in new.__struct_fields__:
        mine, theirs = getattr(old, name), getattr(new, name)
        if name in UNSEEN or mine == theirs:
            continue
        field_takes = _takes(name, mine, theirs)
        if field_takes is not Takes.NOTHING:
            takes = max(takes, field_takes)
            what.append(name)
    return LaunchChange(takes, tuple(what))


def _takes(name: str, mine: Any, theirs: Any) -> Takes:
    if name == "code":
        return _code_takes(mine, theirs)
    if name == "limits":
        differing = (
            it for it in mine.__struct_fields__ if getattr(mine, it) != getattr(theirs, it)
        )
        return Takes.NOTICE if LIVE_LIMITS.issuperset(differing) else Takes.RESTART
    return Takes.NOTICE if name in LIVE_LAUNCH else Takes.RESTART


def _code_takes(mine: Code, theirs: Code) -> Takes:
    """Where code stands is no content; the size of a mailbox is no code."""
    mine, theirs = _without_places(mine), _without_places(theirs)
    if mine == theirs:
        return Takes.NOTHING
    sized = replace(mine, mailbox_messages=theirs.mailbox_messages)
    return Takes.RESTART if sized == theirs else Takes.CODE


def _without_places(code: Code) -> Code:
    libraries = {id: replace(each, origin="") for id, each in code.libraries.items()}
    return replace(code, origin="", libraries=libraries)


# --- in words ------------------------------------------------------------------------------------


def summary(difference: Difference) -> str:
    """Return a difference in short: `+1 -1 ~2`; `nothing` if no process is concerned."""
    counts = {
        "+": len(difference.added),
        "-": len(difference.removed),
        "~": len(difference.changed)
        + len(difference.moved)
        + len(difference.remade)
        + len(difference.reordered),
    }
    return " ".join(f"{sign}{count}" for sign, count in counts.items() if count) or "nothing"


def sentences(difference: Difference, on_change: Mapping[str, OnChange]) -> Iterator[str]:
    """Yield a sentence for each difference: what is done about it, in the order in which it is."""
    yield from (f"{id} is stopped and removed" for id in difference.removed)
    for id, old, new in difference.moved:
        yield f"{id} moves from {old} to {new}: it is stopped there and started here"
    yield from (f"{id} is stopped, and made anew" for id in difference.remade)
    yield from (f"{id} is added and started when its turn comes" for id in difference.added)
    yield from (f"{id} has its children in another order" for id in difference.reordered)
    for change in difference.changed:
        yield from _of_child(change, on_change.get(change.id, OnChange.RESTART))


def _of_child(change: ChildChange, on_change: OnChange) -> Iterator[str]:
    taken = [name.replace("_", " ") for name in (*change.lifecycle, *change.supervisor)]
    if change.launch.takes is Takes.NOTICE:
        taken += change.launch.what
    if taken:
        yield f"{change.id} takes over {', '.join(taken)}; nothing is restarted"
    if change.launch.takes in (Takes.CODE, Takes.RESTART):
        yield f"{change.id}: {', '.join(change.launch.what)} changed: {_follows(change, on_change)}"
    if change.workers is not None:
        old_min, old_max, new_min, new_max = change.workers
        yield f"{change.id} had {_range(old_min, old_max)}, and gets {_range(new_min, new_max)}"


def _follows(change: ChildChange, on_change: OnChange) -> str:
    who = "what is made from it is" if change.is_template else "it is"
    if change.launch.takes is Takes.RESTART or on_change is OnChange.RESTART:
        return f"{who} restarted, one at a time"
    if on_change is OnChange.UPGRADE:
        return "it is told, and takes the new code when it is ready for it"
    return "it goes on as it is, and has the new code from its next start on"


def _range(least: int, most: int) -> str:
    return counted(most, "worker") if least == most else f"{least} to {counted(most, 'worker')}"
