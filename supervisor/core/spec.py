"""What a user's configuration means, as typed values: entries, the runtime, and the tree.

Two stages. *Entries* are what documents say, one struct for each kind, defaults filled in, units
resolved, references qualified (`entries`, made of `parts`). The *tree* (`TreeSpec`) is what the
entries mean to a supervisor: who is whose child, in which order, and what starting one takes
(`graph.build` makes it).
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from supervisor.core.entries import (
    Condition,
    DataEntry,
    Effect,
    Entry,
    EntryBase,
    ExecEntry,
    FunctionEntry,
    HostEntry,
    LibraryEntry,
    OnChange,
    Operator,
    Place,
    PolicyEntry,
    Probe,
    ProbeKind,
    ProcessEntry,
    Security,
    ServiceEntry,
    SupervisorEntry,
)
from supervisor.core.parts import (
    GROUP_STRATEGIES,
    LAZY_POOL,
    AutoShutdown,
    Code,
    IntensitySpec,
    Isolation,
    LibraryCode,
    Lifecycle,
    Limits,
    OnLimit,
    PoolSize,
    Restart,
    StartMode,
    Strategy,
)
from wippy.core.entry import EntryDoc, EntryPlace
from wippy.core.policy import Identity

__all__ = [
    "FILES_ID",
    "FORKSERVER_ID",
    "FORKSERVER_TARGET",
    "GROUP_STRATEGIES",
    "KEEPER_ID",
    "LAZY_POOL",
    "ROOT_ID",
    "SPAWNED_ID",
    "SYSTEM_ID",
    "AutoShutdown",
    "Blueprint",
    "ChildSpec",
    "Code",
    "Condition",
    "DataEntry",
    "Dedicated",
    "Effect",
    "Entry",
    "EntryBase",
    "ExecEntry",
    "Foreign",
    "FunctionEntry",
    "HostEntry",
    "IntensitySpec",
    "Isolation",
    "Launch",
    "LibraryCode",
    "LibraryEntry",
    "Lifecycle",
    "Limits",
    "OnChange",
    "OnLimit",
    "Operator",
    "Place",
    "PolicyEntry",
    "PoolActor",
    "PoolSize",
    "PoolWorker",
    "Probe",
    "ProbeKind",
    "ProcessEntry",
    "Restart",
    "Rollback",
    "RuntimeSpec",
    "Security",
    "SecurityMode",
    "ServiceEntry",
    "Spawner",
    "StartMode",
    "Strategy",
    "SupervisorEntry",
    "SupervisorSpec",
    "System",
    "TreeSpec",
]

ROOT_ID = "wippy:root"
SYSTEM_ID = "wippy:system"
SPAWNED_ID = "wippy:spawned"
"""Dynamic supervisor of the dedicated processes that actors spawn."""
FORKSERVER_ID = "wippy:forkserver"
KEEPER_ID = "wippy:keeper"
FILES_ID = "wippy:files"
"""Reads the configuration again when its files change, and when it is asked to."""
FORKSERVER_TARGET = "forkserver"
"""`System.target` of the forkserver: the root starts it itself, all others are forked from it."""


class Rollback(enum.StrEnum):
    """What happens where services of a new version do not become READY in time."""

    AUTO = "auto"
    OFF = "off"


class SecurityMode(enum.StrEnum):
    """What an actor may where no policy says anything."""

    OPEN = "open"
    STRICT = "strict"


class RuntimeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `runtime:` section, defaults filled in. Folders are absolute; times are seconds.

    Attributes:
        node: Name of the node.
        state_dir: Durable state.
        run_dir: Sockets and the run environment; mode 0700, short.
        log_dir: One log file for each child.
        heartbeat_s: Interval of heartbeats.
        start_parallel: Children that may be starting at the same time.
        spares: Warm processes kept ready; 0 is none.
        preload: Modules imported once in the forkserver, before anything is forked.
        log_max_bytes: A child's log file is rotated above this size.
        log_backups: Rotated files kept.
        orphan_timeout_s: A process that sees no root for this long ends itself.
        intensity: Of the top supervisor.
        history_limit: Restart history records kept in the state environment.
        rollback: Whether a version whose services do not become READY is undone.
        rollback_grace_s: Time that they have for it.
        watch: Whether changed files are taken over while the node runs.
        security: What is allowed where no policy says anything.
    """

    node: str
    state_dir: str
    run_dir: str
    log_dir: str
    heartbeat_s: float = 2.0
    start_parallel: int = 4
    spares: int = 2
    preload: tuple[str, ...] = ()
    log_max_bytes: int = 10 * 2**20
    log_backups: int = 3
    orphan_timeout_s: float = 5.0
    intensity: IntensitySpec = IntensitySpec(max_restarts=20, within_s=10.0)
    history_limit: int = 100_000
    rollback: Rollback = Rollback.OFF
    rollback_grace_s: float = 30.0
    watch: bool = True
    security: SecurityMode = SecurityMode.OPEN


class Blueprint(msgspec.Struct, frozen=True):
    """A whole valid configuration: what `start` hands to the root.

    Attributes:
        source: The folder or file it was read from, absolute.
        runtime: The `runtime:` section.
        entries: Every entry by id, in the order of the files.
        docs: The same as documents: what the registry stores.
        places: Where they stand.
        path: The folder or file as it was named, absolute, links in it not followed: what is read
            again when it changes.
        seen: Digest of the files that were read; empty where they changed meanwhile.
        is_stored: The registry has them (and may have newer ones): it is not to be filled again.
    """

    source: str
    runtime: RuntimeSpec
    entries: dict[str, Entry]
    docs: dict[str, EntryDoc] = {}
    places: dict[str, EntryPlace] = {}
    path: str = ""
    seen: str = ""
    is_stored: bool = False


# --- the tree ------------------------------------------------------------------------------------


class Spawner(msgspec.Struct, frozen=True):
    """Who spawned an actor, and what it hands on.

    Attributes:
        pid: Of the actor.
        is_linked: Whether the two are linked from the start.
        context: Context values.
        terminal: Socket where a client hands the actor its descriptors; empty is none.
        identity: As whom it acts: that of who spawned it; None is the default.
    """

    pid: str
    is_linked: bool = False
    context: dict[str, Any] = {}
    terminal: str = ""
    identity: Identity | None = None


class Dedicated(msgspec.Struct, frozen=True, tag="dedicated"):
    """An actor with an OS process of its own; one that an actor has spawned has its `spawner`."""

    process: str
    code: Code
    args: tuple[Any, ...] = ()
    limits: Limits = Limits()
    spawner: Spawner | None = None
    security: Security | None = None


class PoolActor(msgspec.Struct, frozen=True, tag="pool_actor"):
    """An actor in the OS process of one of `host`'s workers."""

    process: str
    host: str
    code: Code
    args: tuple[Any, ...] = ()
    security: Security | None = None


class PoolWorker(msgspec.Struct, frozen=True, tag="pool_worker"):
    """An OS process of a pool; `number` from 1."""

    host: str
    number: int
    limits: Limits = Limits()
    search_path: str | None = None
    security: Security | None = None


class Foreign(msgspec.Struct, frozen=True, tag="foreign"):
    """A foreign program."""

    command: tuple[str, ...]
    limits: Limits = Limits()
    stop_signal: int = 15
    readiness: Probe = Probe()


class System(msgspec.Struct, frozen=True, tag="system"):
    """A process of the runtime itself: `forkserver`, or `module:function` run in a fork."""

    target: str


Launch = Dedicated | PoolActor | PoolWorker | Foreign | System


class SupervisorSpec(msgspec.Struct, frozen=True):
    """What makes a child a supervisor.

    Attributes:
        strategy: Who is restarted with a dead child.
        intensity: Restarts before it gives up.
        children: In start order.
        start: One after the other, or side by side.
        auto_shutdown: When significant children end it.
        template: What its children are made from at run time: those of a dynamic supervisor, and
            the workers of a pool that grows (the id and `PoolWorker.number` are made then).
        pool: For a pool: how many workers; `children` are the `min` it begins with.
    """

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: IntensitySpec = IntensitySpec()
    children: tuple[str, ...] = ()
    start: StartMode = StartMode.ORDERED
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    template: ChildSpec | None = None
    pool: PoolSize | None = None


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the tree: exactly one of `launch` and `supervisor` is set.

    Attributes:
        id: Entry id, or `id#n` for workers and dynamic children.
        parent: Id of its supervisor; empty for the top.
        kind: What to show: the entry's kind, `worker` or `system`.
        lifecycle: How it is started, judged and stopped; `requires` includes its host.
        launch: What starting it takes, for a process.
        supervisor: Strategy and children, for a supervisor (a pool is one over its workers).
    """

    id: str
    parent: str
    kind: str
    lifecycle: Lifecycle = Lifecycle()
    launch: Launch | None = None
    supervisor: SupervisorSpec | None = None


class TreeSpec(msgspec.Struct, frozen=True):
    """The whole tree by id; `children[ROOT_ID]` is its top."""

    children: dict[str, ChildSpec]
