"""Entries as typed values: one struct for each kind, units resolved, references qualified.

They are derived from documents (`wippy.core.entry.EntryDoc`) by the tables of `config.kinds`.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from supervisor.core.parts import (
    LAZY_POOL,
    AutoShutdown,
    Code,
    IntensitySpec,
    Isolation,
    LibraryCode,
    Lifecycle,
    Limits,
    PoolSize,
    StartMode,
    Strategy,
)
from wippy.core.conditions import Condition as Condition
from wippy.core.conditions import Operator as Operator
from wippy.core.policy import Effect as Effect
from wippy.core.retry import RetryPolicy


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


class OnChange(enum.StrEnum):
    """What a change of its code means for the actors that run it."""

    UPGRADE = "upgrade"  # they are told (OUTDATED), and may go on with the new code
    RESTART = "restart"  # one after the other, the new one READY before the next
    IGNORE = "ignore"  # they go on; whoever starts next runs the new code


class ProcessEntry(EntryBase, frozen=True, kw_only=True, tag="process.py"):
    """The code of an actor, and what a change of it means for those that run it."""

    code: Code
    on_change: OnChange = OnChange.RESTART


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


class Security(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As whom a service acts: its identity, and the policies that say what it may.

    Attributes:
        actor: Name of its identity; empty is the entry's own id.
        meta: Free data of the identity, for conditions.
        policies: Ids of `security.policy` entries.
        groups: Groups of policies.
        is_strict: What none of them allows is denied, also where the node is not strict.
    """

    actor: str = ""
    meta: dict[str, Any] = {}
    policies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    is_strict: bool = False


class HostEntry(EntryBase, frozen=True, kw_only=True, tag="process.host"):
    """Where actors run; `lifecycle` and `intensity` are those of a pool's workers. A number of
    `workers` never changes; a `PoolSize` says from where to where."""

    isolation: Isolation = Isolation.POOL
    workers: int | PoolSize = 1
    limits: Limits = Limits()
    intensity: IntensitySpec = IntensitySpec()
    lifecycle: Lifecycle = Lifecycle()
    security: Security | None = None

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
    security: Security | None = None


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


class PolicyEntry(EntryBase, frozen=True, kw_only=True, tag="security.policy"):
    """What may be done, or not.

    Attributes:
        actions: Patterns of actions.
        resources: Patterns of what they are done to.
        effect: Allow or deny.
        conditions: All of them must hold.
        groups: Groups that it belongs to.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    effect: Effect
    conditions: tuple[Condition, ...] = ()
    groups: tuple[str, ...] = ()


Entry = (
    SupervisorEntry
    | ProcessEntry
    | FunctionEntry
    | LibraryEntry
    | HostEntry
    | ServiceEntry
    | ExecEntry
    | DataEntry
    | PolicyEntry
)
