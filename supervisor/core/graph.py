"""From entries to the tree: who is whose child, in which order, and what starting one takes.

    wippy:root                      one_for_one, side by side
    ├── wippy:system                one_for_one, in order
    │   ├── wippy:forkserver
    │   └── wippy:keeper
    ├── wippy:spawned               dynamic: what actors spawn into processes of their own
    └── every service, host, supervisor and function with a pool of its own that no supervisor
        lists, in the order of the files; each requires wippy:system

`order.start_order` says in which order it starts, or what keeps it from starting.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from supervisor.core.linking import link
from supervisor.core.spec import (
    FILES_ID,
    FORKSERVER_ID,
    KEEPER_ID,
    ROOT_ID,
    SPAWNED_ID,
    SYSTEM_ID,
    Blueprint,
    ChildSpec,
    Dedicated,
    Entry,
    ExecEntry,
    Foreign,
    FunctionEntry,
    HostEntry,
    IntensitySpec,
    Isolation,
    Launch,
    Lifecycle,
    Limits,
    PoolActor,
    PoolWorker,
    ProcessEntry,
    Restart,
    ServiceEntry,
    StartMode,
    Strategy,
    SupervisorEntry,
    SupervisorSpec,
    System,
    TreeSpec,
)
from wippy.core.backoff import Backoff
from wippy.core.ids import worker_slot

KEEPER_TARGET = "supervisor.keeper.boot:main"
FILES_TARGET = "supervisor.files.boot:main"
FORKSERVER_TARGET = "forkserver"
UNLIMITED = IntensitySpec(max_restarts=1_000_000, within_s=10.0)
"""The runtime's own processes are restarted for ever: without them nothing else can be."""
_OWN = (SYSTEM_ID, SPAWNED_ID)
_SYSTEM_BACKOFF = Backoff(max_delay_s=2.0)


def build(blueprint: Blueprint) -> TreeSpec:
    """Return the tree that a valid configuration means.

    Children are in tree order: a supervisor, then its children in start order.
    """
    specs = {spec.id: spec for spec in _system()}
    specs.update((spec.id, spec) for spec in _described(blueprint.entries))
    top = [spec for spec in specs.values() if spec.parent == ROOT_ID and spec.id not in _OWN]
    for spec in top:
        requires = (SYSTEM_ID, *spec.lifecycle.requires)
        specs[spec.id] = replace(spec, lifecycle=replace(spec.lifecycle, requires=requires))
    specs[ROOT_ID] = ChildSpec(
        id=ROOT_ID,
        parent="",
        kind="supervisor",
        supervisor=SupervisorSpec(
            intensity=blueprint.runtime.intensity,
            children=(*_OWN, *(spec.id for spec in top)),
            start=StartMode.PARALLEL,
        ),
    )
    return TreeSpec({id_: specs[id_] for id_ in _depth_first(specs)})


def ancestors(tree: TreeSpec, id_: str) -> tuple[str, ...]:
    """Return the supervisors of a child, its own first, the top last."""
    found: list[str] = []
    parent = tree.children[id_].parent
    while parent:
        found.append(parent)
        parent = tree.children[parent].parent
    return tuple(found)


def descendants(tree: TreeSpec, id_: str) -> tuple[str, ...]:
    """Return everything below a child, in tree order."""
    return tuple(_depth_first(tree.children, id_))[1:]


def pool_worker(template: ChildSpec, number: int) -> ChildSpec:
    """Return worker `number` (from 1) of a pool, made from the `template` of its spec."""
    assert isinstance(template.launch, PoolWorker), f"{template.parent} is no pool"
    launch = replace(template.launch, number=number)
    return replace(template, id=worker_slot(template.parent, number), launch=launch)


def _depth_first(specs: dict[str, ChildSpec], top: str = ROOT_ID) -> Iterable[str]:
    waiting = [top]
    while waiting:
        id_ = waiting.pop()
        yield id_
        supervisor = specs[id_].supervisor
        waiting.extend(reversed(supervisor.children if supervisor else ()))


# --- the runtime's own processes -----------------------------------------------------------------


def _system() -> tuple[ChildSpec, ...]:
    silent = Lifecycle(backoff=_SYSTEM_BACKOFF, heartbeat_timeout_s=0.0)
    children = (FORKSERVER_ID, KEEPER_ID, FILES_ID)
    return (
        ChildSpec(
            id=SYSTEM_ID,
            parent=ROOT_ID,
            kind="supervisor",
            lifecycle=Lifecycle(heartbeat_timeout_s=0.0),
            supervisor=SupervisorSpec(intensity=UNLIMITED, children=children),
        ),
        ChildSpec(
            id=FORKSERVER_ID,
            parent=SYSTEM_ID,
            kind="system",
            lifecycle=silent,  # it has no event loop that could beat
            launch=System(FORKSERVER_TARGET),
        ),
        ChildSpec(
            id=KEEPER_ID,
            parent=SYSTEM_ID,
            kind="system",
            lifecycle=replace(silent, heartbeat_timeout_s=10.0),
            launch=System(KEEPER_TARGET),
        ),
        ChildSpec(
            id=FILES_ID,
            parent=SYSTEM_ID,
            kind="system",
            # Reading a hundred thousand entries holds its interpreter for longer than a beat.
            lifecycle=silent,
            launch=System(FILES_TARGET),
        ),
        ChildSpec(
            id=SPAWNED_ID,
            parent=ROOT_ID,
            kind="supervisor",
            lifecycle=Lifecycle(heartbeat_timeout_s=0.0, requires=(SYSTEM_ID,)),
            # Listed before what may spawn: up before it, and stopped after it.
            supervisor=SupervisorSpec(
                strategy=Strategy.DYNAMIC, intensity=UNLIMITED, start=StartMode.PARALLEL
            ),
        ),
    )


# --- what the files say --------------------------------------------------------------------------


def _described(entries: dict[str, Entry]) -> Iterable[ChildSpec]:
    """Return the specs of all entries that run, in the order of the files."""
    parents: dict[str, str] = {}
    templates: set[str] = set()
    for entry in entries.values():
        if isinstance(entry, SupervisorEntry):
            parents.update(dict.fromkeys(entry.children, entry.id))
            templates.update([entry.template] if entry.template else [])
    # Every code has the same one: the configuration's folder.
    codes = (
        each.code for each in entries.values() if isinstance(each, ProcessEntry | FunctionEntry)
    )
    search_path = next((code.search_path for code in codes), None)
    for entry in entries.values():
        parent = parents.get(entry.id, ROOT_ID)
        if entry.id in templates:
            continue
        match entry:
            case SupervisorEntry():
                yield from _supervisor(entry, parent, entries)
            case HostEntry(isolation=Isolation.POOL):
                yield from _pool(entry, parent, search_path, kind="process.host")
            case FunctionEntry(host=None):
                yield from _pool(_own_pool(entry), parent, search_path, kind="function.py")
            case ServiceEntry() | ExecEntry():
                yield _leaf(entry, entry.id, parent, entries)


def _supervisor(
    entry: SupervisorEntry, parent: str, entries: dict[str, Entry]
) -> Iterable[ChildSpec]:
    spec = SupervisorSpec(
        strategy=entry.strategy,
        intensity=entry.intensity,
        children=entry.children,
        start=entry.start,
        auto_shutdown=entry.auto_shutdown,
    )
    made: list[ChildSpec] = []
    if entry.template is not None:
        source = entries[entry.template]
        assert isinstance(source, ServiceEntry | ExecEntry)
        template = _leaf(source, source.id, entry.id, entries)
        ids = [worker_slot(entry.id, number) for number in range(1, entry.count + 1)]
        # Those it begins with are up because `count` says so, whatever the template says.
        alive = replace(template.lifecycle, auto_start=True)
        made = [replace(template, id=id_, lifecycle=alive) for id_ in ids]
        spec = replace(spec, template=template, children=tuple(ids), start=StartMode.PARALLEL)
    lifecycle = replace(entry.lifecycle, heartbeat_timeout_s=0.0)
    yield ChildSpec(
        id=entry.id, parent=parent, kind="supervisor", lifecycle=lifecycle, supervisor=spec
    )
    yield from made


def _own_pool(entry: FunctionEntry) -> HostEntry:
    """A function that names no pool is one."""
    return HostEntry(id=entry.id, workers=entry.pool, meta=entry.meta, place=entry.place)


def _pool(
    entry: HostEntry, parent: str, search_path: str | None, *, kind: str
) -> Iterable[ChildSpec]:
    """A pool is a supervisor over its workers: it is required, they are limited and restarted."""
    size, own = entry.size, entry.lifecycle
    ids = tuple(worker_slot(entry.id, number) for number in range(1, size.min + 1))
    worker = ChildSpec(
        id="",
        parent=entry.id,
        kind="worker",
        lifecycle=replace(own, auto_start=True, requires=(), significant=False, essential=False),
        launch=PoolWorker(entry.id, 0, entry.limits, search_path, entry.security),
    )
    yield ChildSpec(
        id=entry.id,
        parent=parent,
        kind=kind,
        lifecycle=Lifecycle(
            auto_start=own.auto_start,
            restart=Restart.PERMANENT,
            requires=own.requires,
            start_timeout_s=own.start_timeout_s,
            stop_timeout_s=own.stop_timeout_s,
            stable_threshold_s=own.stable_threshold_s,
            backoff=own.backoff,
            heartbeat_timeout_s=0.0,
            essential=own.essential,
        ),
        supervisor=SupervisorSpec(
            intensity=entry.intensity,
            children=ids,
            start=StartMode.PARALLEL,
            template=worker,
            pool=size,
        ),
    )
    for number in range(1, size.min + 1):
        yield pool_worker(worker, number)


def _leaf(
    entry: ServiceEntry | ExecEntry, id_: str, parent: str, entries: dict[str, Entry]
) -> ChildSpec:
    lifecycle, launch = entry.lifecycle, _launch(entry, entries)
    if isinstance(launch, PoolActor) and launch.host not in lifecycle.requires:
        lifecycle = replace(lifecycle, requires=(*lifecycle.requires, launch.host))
    if not isinstance(launch, Dedicated):
        # A foreign program has no heartbeat, and a pool's worker beats for its actors.
        lifecycle = replace(lifecycle, heartbeat_timeout_s=0.0)
    kind = "exec.service" if isinstance(entry, ExecEntry) else "process.service"
    return ChildSpec(id=id_, parent=parent, kind=kind, lifecycle=lifecycle, launch=launch)


def _launch(entry: ServiceEntry | ExecEntry, entries: dict[str, Entry]) -> Launch:
    if isinstance(entry, ExecEntry):
        return Foreign(entry.command, entry.limits, entry.stop_signal, entry.readiness)
    process = entries[entry.process]
    host = entries[entry.host] if entry.host is not None else None
    assert isinstance(process, ProcessEntry)
    assert host is None or isinstance(host, HostEntry)
    code = link(process.code, entries)
    if entry.mailbox_messages is not None:
        code = replace(code, mailbox_messages=entry.mailbox_messages)
    if host is None:
        return Dedicated(process.id, code, entry.input, entry.limits, security=entry.security)
    if host.isolation is Isolation.POOL:
        return PoolActor(process.id, host.id, code, entry.input, entry.security)
    limits = _merged(host.limits, entry.limits)
    return Dedicated(process.id, code, entry.input, limits, security=entry.security)


def _merged(host: Limits, own: Limits) -> Limits:
    """A service's own limits win over those of its dedicated host; their `env`s are merged."""
    set_here: dict[str, Any] = {
        name: value
        for name in Limits.__struct_fields__
        if name != "env" and (value := getattr(own, name)) is not None
    }
    return replace(host, **set_here, env={**host.env, **own.env})
