"""What entries of several kinds are made of: lifecycles, limits, sizes of pools, code."""

from __future__ import annotations

import enum

import msgspec

from wippy.core.backoff import Backoff
from wippy.core.messages import MAILBOX_MESSAGES


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
    """Where code is that others import: one of `path`, `text` and `module` is set, or a path with
    the text that it had.

    Attributes:
        path: Absolute path of a source file (`source: file://...`).
        text: The code itself: inline, or what was in the file when the entry was loaded.
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
    """Where the code of an actor is: one of `path`, `text` and `module` is set, or a path with the
    text that it had.

    Attributes:
        method: Name of the entry function.
        path: Absolute path of a source file (`source: file://...`).
        text: The code itself: inline, or what was in the file when the entry was loaded.
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
