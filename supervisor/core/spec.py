"""What a user's configuration means, as typed values: entries, the runtime, and the tree.

Two stages. *Entries* are what the files say, one struct for each kind, defaults filled in, units
resolved, references qualified. The *tree* (`TreeSpec`) is what the entries mean to a supervisor:
who is whose child, in which order, and what starting one takes (`graph.build` makes it).
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from wippy.core.backoff import Backoff
from wippy.core.messages import MAILBOX_MESSAGES
from wippy.core.retry import RetryPolicy

ROOT_ID = "wippy:root"
SYSTEM_ID = "wippy:system"
SPAWNED_ID = "wippy:spawned"
"""Dynamic supervisor of the dedicated processes that actors spawn."""
FORKSERVER_ID = "wippy:forkserver"
KEEPER_ID = "wippy:keeper"
FORKSERVER_TARGET = "forkserver"
"""`System.target` of the forkserver: the root starts it itself, all others are forked from it."""


class Restart(enum.StrEnum):
    """When a child is restarted (OTP's restart types)."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Strategy(enum.StrEnum):
    """Who is restarted with a dead child."""

    ONE_FOR_ONE = "one_for_one"
    REST_FOR_ONE = "rest_for_one"
    ONE_FOR_ALL = "one_for_all"
    DYNAMIC = "dynamic"


GROUP_STRATEGIES = frozenset({Strategy.REST_FOR_ONE, Strategy.ONE_FOR_ALL})
"""Strategies under which siblings go down together, and so always start in list order."""


class OnLimit(enum.StrEnum):
    """What a child's own restart limit does when it is exceeded."""

    ESCALATE = "escalate"
    QUARANTINE = "quarantine"


class AutoShutdown(enum.StrEnum):
    """When the end of significant children ends their supervisor (OTP 24)."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class StartMode(enum.StrEnum):
    """Whether siblings start one after the other or side by side."""

    ORDERED = "ordered"
    PARALLEL = "parallel"


class Isolation(enum.StrEnum):
    """Whether the actors of a host share OS processes."""

    POOL = "pool"
    DEDICATED = "dedicated"


class IntensitySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `max_restarts` within `within_s` seconds."""

    max_restarts: int = 5
    within_s: float = 10.0


class Lifecycle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a child is started, judged and stopped. Times are seconds.

    Attributes:
        auto_start: Started with its supervisor; otherwise only by an operator.
        restart: When it is restarted.
        requires: Ids that must be up (or done) before it is started.
        start_timeout_s: Time to become READY.
        stop_timeout_s: Time to obey a stop; 0 kills at once (brutal_kill).
        stable_threshold_s: A life as long as this resets the back-off.
        heartbeat_timeout_s: Silence that means hung; 0 is off.
        backoff: Waits between restarts.
        max_restarts: The child's own limit; None is none.
        within_s: Window of the child's own limit.
        on_limit: What that limit does.
        significant: Its end may end its supervisor (`auto_shutdown`).
        essential: Its final failure ends the runtime with its exit code.
    """

    auto_start: bool = True
    restart: Restart = Restart.PERMANENT
    requires: tuple[str, ...] = ()
    start_timeout_s: float = 10.0
    stop_timeout_s: float = 10.0
    stable_threshold_s: float = 5.0
    heartbeat_timeout_s: float = 30.0
    backoff: Backoff = Backoff()
    max_restarts: int | None = None
    within_s: float = 10.0
    on_limit: OnLimit = OnLimit.ESCALATE
    significant: bool = False
    essential: bool = False


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an OS process may use, and as whom it runs. None leaves what the runtime has.

    Attributes:
        memory_bytes: Resident memory; above it the process is stopped (`memory_limit`).
        open_files: RLIMIT_NOFILE.
        nice: Added niceness, -20 to 19.
        umask: File mode creation mask.
        user: Name or number; sets HOME, USER, LOGNAME and PATH too.
        group: Name or number; the user's own group by default.
        cwd: Working folder, absolute.
        env: Variables added to the runtime's environment.
    """

    memory_bytes: int | None = None
    open_files: int | None = None
    nice: int | None = None
    umask: int | None = None
    user: str | None = None
    group: str | None = None
    cwd: str | None = None
    env: dict[str, str] = {}


class PoolSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many OS processes a pool has, and what makes it grow and shrink.

    Attributes:
        min: Workers to begin with, and the least there are; 0 starts none before one is needed.
        max: The most there are; as many as `min` in a pool that never changes.
        grow_at: Load of each worker (actors, or calls under way) at which one more is started.
        idle_timeout_s: A worker above `min` that has had nothing to do for this long is stopped.
    """

    min: int = 1
    max: int = 1
    grow_at: int = 100
    idle_timeout_s: float = 60.0


LAZY_POOL = PoolSize(min=0, max=1, grow_at=4)
"""The pool of a function that names none: no OS process before the first call."""


class LibraryCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where code is that others import: exactly one of `path`, `text` and `module` is set.

    Attributes:
        path: Absolute path of a source file (`source: file://...`); read at each start.
        text: The code itself (inline `source: |`).
        module: A module to import (`module: package.module`).
        origin: `file:line` of the inline text's first line, for tracebacks.
        imports: What it imports itself: entry id by alias.
    """

    path: str | None = None
    text: str | None = None
    module: str | None = None
    origin: str = ""
    imports: dict[str, str] = {}


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the code of an actor is: exactly one of `path`, `text` and `module` is set.

    Attributes:
        method: Name of the entry function.
        path: Absolute path of a source file (`source: file://...`); read at each start.
        text: The code itself (inline `source: |`).
        module: A module to import (`module: package.module`).
        origin: `file:line` of the inline text's first line, for tracebacks.
        search_path: Folder put first on `sys.path`: the configuration's.
        imports: What it imports: entry id by alias.
        libraries: All that it reaches through `imports`, by entry id, each after what it imports
            itself; empty in an entry (`linking.link` fills it in for the tree).
        mailbox_messages: Messages that may wait in the mailbox of an actor that runs it.
    """

    method: str
    path: str | None = None
    text: str | None = None
    module: str | None = None
    origin: str = ""
    search_path: str | None = None
    imports: dict[str, str] = {}
    libraries: dict[str, LibraryCode] = {}
    mailbox_messages: int = MAILBOX_MESSAGES


# --- entries -------------------------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True):
    """A place in a file, both from 1; `str()` is `file:line:column`."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class EntryBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every entry has: a full id, free `meta`, and the place it came from."""

    id: str
    meta: dict[str, Any] = {}
    place: Place = Place("")


class SupervisorEntry(EntryBase, frozen=True, kw_only=True, tag="supervisor"):
    """A supervisor: `children` in order, or `template` and `count` for `dynamic`."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: IntensitySpec = IntensitySpec()
    children: tuple[str, ...] = ()
    template: str | None = None
    count: int = 0
    start: StartMode = StartMode.ORDERED
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    lifecycle: Lifecycle = Lifecycle()


class ProcessEntry(EntryBase, frozen=True, kw_only=True, tag="process.py"):
    """The code of an actor."""

    code: Code


class FunctionEntry(EntryBase, frozen=True, kw_only=True, tag="function.py"):
    """A stateless call target: `host` names the pool that runs it, or it has a `pool` of its own.

    Attributes:
        code: What is called.
        host: A pool; None where it has its own.
        pool: Size of its own pool.
        timeout_s: Limit of one attempt; 0 is none.
        retry: What a failed attempt is followed by.
    """

    code: Code
    host: str | None = None
    pool: PoolSize = LAZY_POOL
    timeout_s: float = 60.0
    retry: RetryPolicy = RetryPolicy()

    @property
    def pool_id(self) -> str:
        """The pool that runs it: its host, or itself."""
        return self.host or self.id


class LibraryEntry(EntryBase, frozen=True, kw_only=True, tag="library.py"):
    """Code that others import."""

    code: LibraryCode


class HostEntry(EntryBase, frozen=True, kw_only=True, tag="process.host"):
    """Where actors run; `lifecycle` and `intensity` are those of a pool's workers. A number of
    `workers` never changes; a `PoolSize` says from where to where."""

    isolation: Isolation = Isolation.POOL
    workers: int | PoolSize = 1
    limits: Limits = Limits()
    intensity: IntensitySpec = IntensitySpec()
    lifecycle: Lifecycle = Lifecycle()

    @property
    def size(self) -> PoolSize:
        """How many workers there are."""
        if isinstance(self.workers, PoolSize):
            return self.workers
        return PoolSize(min=self.workers, max=self.workers)


class ServiceEntry(EntryBase, frozen=True, kw_only=True, tag="process.service"):
    """A supervised actor: the code, where it runs, and its arguments. A `mailbox_messages` of its
    own wins over that of the code."""

    process: str
    host: str | None = None
    input: tuple[Any, ...] = ()
    limits: Limits = Limits()
    lifecycle: Lifecycle = Lifecycle()
    mailbox_messages: int | None = None


class ProbeKind(enum.StrEnum):
    """How a foreign program shows that it is ready."""

    NONE = "none"
    NOTIFY = "notify"
    TCP = "tcp"
    HTTP = "http"
    LOG = "log"
    EXEC = "exec"


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A readiness probe; READY is when it passes for the first time.

    Attributes:
        kind: `none` is ready as soon as the program has been executed.
        target: tcp `host:port`, http a URL (2xx or 3xx passes), log a regular expression searched
            in its output, exec unused, notify unused (sd_notify's `READY=1`).
        command: exec: the command whose exit status 0 passes.
        interval_s: Pause between two attempts.
        timeout_s: Limit of one attempt.
    """

    kind: ProbeKind = ProbeKind.NONE
    target: str = ""
    command: tuple[str, ...] = ()
    interval_s: float = 0.1
    timeout_s: float = 2.0


class ExecEntry(EntryBase, frozen=True, kw_only=True, tag="exec.service"):
    """A supervised foreign program."""

    command: tuple[str, ...]
    limits: Limits = Limits()
    stop_signal: int = 15
    readiness: Probe = Probe()
    lifecycle: Lifecycle = Lifecycle()


class DataEntry(EntryBase, frozen=True, kw_only=True, tag="registry.entry"):
    """Plain data."""

    data: dict[str, Any] = {}


Entry = (
    SupervisorEntry
    | ProcessEntry
    | FunctionEntry
    | LibraryEntry
    | HostEntry
    | ServiceEntry
    | ExecEntry
    | DataEntry
)


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


class Blueprint(msgspec.Struct, frozen=True):
    """A whole valid configuration: what `start` hands to the root.

    Attributes:
        source: The folder or file it was read from, absolute.
        runtime: The `runtime:` section.
        entries: Every entry by id, in the order of the files.
    """

    source: str
    runtime: RuntimeSpec
    entries: dict[str, Entry]


# --- the tree ------------------------------------------------------------------------------------


class Spawner(msgspec.Struct, frozen=True):
    """Who spawned an actor, and what it hands on.

    Attributes:
        pid: Of the actor.
        is_linked: Whether the two are linked from the start.
        context: Context values.
    """

    pid: str
    is_linked: bool = False
    context: dict[str, Any] = {}


class Dedicated(msgspec.Struct, frozen=True, tag="dedicated"):
    """An actor with an OS process of its own; one that an actor has spawned has its `spawner`."""

    process: str
    code: Code
    args: tuple[Any, ...] = ()
    limits: Limits = Limits()
    spawner: Spawner | None = None


class PoolActor(msgspec.Struct, frozen=True, tag="pool_actor"):
    """An actor in the OS process of one of `host`'s workers."""

    process: str
    host: str
    code: Code
    args: tuple[Any, ...] = ()


class PoolWorker(msgspec.Struct, frozen=True, tag="pool_worker"):
    """An OS process of a pool; `number` from 1."""

    host: str
    number: int
    limits: Limits = Limits()
    search_path: str | None = None


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
