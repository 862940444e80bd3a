"""The kinds of entries: for each one table of its fields, which decodes it and is its schema."""

from __future__ import annotations

import re
from typing import Any

from supervisor.core.config.code import CODE, MAILBOX, METHOD, check_code, with_code, with_library
from supervisor.core.config.nodes import Cursor
from supervisor.core.config.pools import DELAYS, POOL, RETRY, Workers, check_delays
from supervisor.core.config.reading import Reading, Role
from supervisor.core.config.security import POLICY_FIELDS, SECURITY
from supervisor.core.config.shapes import Choice, Duration, Flag, Link, Size, Whole, Word
from supervisor.core.config.special import (
    Command,
    Folder,
    Readiness,
    StopSignal,
    Umask,
)
from supervisor.core.config.tables import Data, DataMap, Field, Judged, ListOf, MapOf, Table
from supervisor.core.spec import (
    AutoShutdown,
    DataEntry,
    ExecEntry,
    FunctionEntry,
    HostEntry,
    IntensitySpec,
    Isolation,
    LibraryEntry,
    Lifecycle,
    Limits,
    OnChange,
    OnLimit,
    PolicyEntry,
    ProcessEntry,
    Restart,
    ServiceEntry,
    StartMode,
    Strategy,
    SupervisorEntry,
)
from wippy.core import ids
from wippy.core.backoff import Backoff

MAX_DYNAMIC = 10_000
"""Children that a dynamic supervisor starts with."""
MAX_RESTARTS = 1_000_000
"""Restarts within a window: as good as unlimited."""
DEFAULTS = Lifecycle()


# --- parts that several kinds share --------------------------------------------------------------


BACKOFF = Table(
    {
        "initial_delay": Field(Duration(), "wait before the second restart", "initial_delay_s"),
        **DELAYS,
    },
    build=Backoff,
    check=check_delays,
)

INTENSITY = Table(
    {
        "max_restarts": Field(Whole(0, MAX_RESTARTS), "restarts allowed within the window"),
        "within": Field(Duration(above_zero=True), "length of the window", "within_s"),
    },
    build=IntensitySpec,
)


def _check_lifecycle(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    present = {key: key_cursor for key, key_cursor, _ in cursor.pairs()}
    if "max_restarts" not in present:
        for key in ("within", "on_limit"):
            if key in present:
                reading.note(present[key], f"{key!r} has no effect without 'max_restarts'")
    restart = values.get("restart", Restart.PERMANENT)
    if values.get("significant") and restart is Restart.PERMANENT:
        # OTP refuses this too (supervisor.erl, check_childspec): it never ends by itself.
        message = "a permanent child cannot be significant"
        reading.note(cursor.at("significant"), message, "restart: transient or temporary")


LIFECYCLE = Table(
    {
        "auto_start": Field(Flag(), "started with its supervisor; else only by an operator"),
        "restart": Field(Choice(Restart), "when it is restarted"),
        "requires": Field(
            ListOf(Link(Role.REQUIRES), unique=True), "entries that must be up before it starts"
        ),
        "start_timeout": Field(Duration(above_zero=True), "time to be ready", "start_timeout_s"),
        "stop_timeout": Field(Duration(), "time to obey a stop; 0s kills", "stop_timeout_s"),
        "stable_threshold": Field(
            Duration(), "a life as long as this resets the back-off", "stable_threshold_s"
        ),
        "heartbeat_timeout": Field(
            Duration(), "silence that means hung; 0s is off", "heartbeat_timeout_s"
        ),
        "backoff": Field(BACKOFF, "waits between restarts"),
        "max_restarts": Field(Whole(0, MAX_RESTARTS), "the child's own limit"),
        "within": Field(Duration(above_zero=True), "window of the child's own limit", "within_s"),
        "on_limit": Field(Choice(OnLimit), "what the child's own limit does"),
        "significant": Field(Flag(), "its end may end its supervisor (auto_shutdown)"),
        "essential": Field(Flag(), "its final failure ends the runtime with its exit code"),
    },
    build=Lifecycle,
    check=_check_lifecycle,
)

_LIMITS = {
    "memory": Field(Size(2**20), "resident memory allowed, e.g. 512MiB", "memory_bytes"),
    "open_files": Field(Whole(16, 2**30), "open files allowed (RLIMIT_NOFILE)"),
    "nice": Field(Whole(-20, 19), "added niceness"),
    "umask": Field(Umask(), 'file mode creation mask, e.g. "0022"'),
    "user": Field(Word(), "user to run as; sets HOME, USER, LOGNAME and PATH"),
    "group": Field(Word(), "group to run as; the user's own by default"),
    "cwd": Field(Folder(), "working folder"),
    "env": Field(
        MapOf(Word(), lambda name: bool(re.fullmatch(r"[^=\0]+", name)), "name of a variable"),
        "variables added to the environment",
    ),
}
LIMIT_KEYS = tuple(_LIMITS)
_LIMIT_NAMES = frozenset(known.into or key for key, known in _LIMITS.items())

_NAME = {"type": "string", "pattern": ids.NAME.pattern}
_COMMON = {
    "name": Field(Judged(_NAME), "name within the namespace", required=True),
    "kind": Field(Judged({"type": "string"}), "what the entry is", required=True),
    "meta": Field(DataMap(), "free data"),
}
_LIFECYCLE = Field(LIFECYCLE, "how it is started, judged and stopped")


def _with_limits(values: dict[str, Any]) -> dict[str, Any]:
    limits = {key: values[key] for key in values if key in _LIMIT_NAMES}
    rest = {key: value for key, value in values.items() if key not in _LIMIT_NAMES}
    return {**rest, "limits": Limits(**limits)} if limits else rest


# --- supervisor ----------------------------------------------------------------------------------


def _check_supervisor(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    present = {key: key_cursor for key, key_cursor, _ in cursor.pairs()}
    if "strategy" in present and "strategy" not in values:
        return  # not known, so neither is which fields it takes
    is_dynamic = values.get("strategy") is Strategy.DYNAMIC
    for key in ("children", "start") if is_dynamic else ("template", "count"):
        if key in present:
            kind = "a dynamic supervisor" if is_dynamic else "a supervisor that is not dynamic"
            hint = "give a template" if is_dynamic else "write strategy: dynamic"
            reading.note(present[key], f"{key!r} has no place in {kind}", hint)
    needed = "template" if is_dynamic else "children"
    if needed not in present:
        reading.note(cursor, f"missing key {needed!r} in {reading.where(cursor.path)}")


SUPERVISOR = Table(
    {
        **_COMMON,
        "strategy": Field(Choice(Strategy), "who is restarted with a dead child"),
        "intensity": Field(INTENSITY, "restarts before it gives up"),
        "children": Field(ListOf(Link(Role.CHILD), unique=True), "its children, in start order"),
        "template": Field(Link(Role.TEMPLATE), "dynamic: the service its children are made from"),
        "count": Field(Whole(0, MAX_DYNAMIC), "dynamic: children to begin with"),
        "start": Field(Choice(StartMode), "children one after the other, or side by side"),
        "auto_shutdown": Field(Choice(AutoShutdown), "when significant children end it"),
        "lifecycle": _LIFECYCLE,
    },
    build=SupervisorEntry,
    check=_check_supervisor,
)

# --- code, hosts, services -----------------------------------------------------------------------


PROCESS = Table(
    {
        **_COMMON,
        **CODE,
        "method": METHOD,
        "mailbox": MAILBOX,
        "on_change": Field(Choice(OnChange), "what a change of its code means for its actors"),
    },
    build=lambda **values: ProcessEntry(**with_code(values)),
    check=check_code,
)

LIBRARY = Table(
    {**_COMMON, **CODE},
    build=lambda **values: LibraryEntry(**with_library(values)),
    check=check_code,
)


def _check_function(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    check_code(reading, cursor, values)
    present = {key: key_cursor for key, key_cursor, _ in cursor.pairs()}
    if "host" in present and "pool" in present:
        message = f"{reading.where(cursor.path)} has a host, so it has no pool of its own"
        reading.note(present["pool"], message, "remove 'pool' or 'host'")


FUNCTION = Table(
    {
        **_COMMON,
        **CODE,
        "method": METHOD,
        "host": Field(Link(Role.POOL), "the pool that runs it; one of its own by default"),
        "pool": Field(POOL, "its own pool; lazy, of one OS process, by default"),
        "timeout": Field(Duration(), "limit of one attempt; 0s is none", "timeout_s"),
        "retry": Field(RETRY, "what a failed attempt is followed by"),
    },
    build=lambda **values: FunctionEntry(**with_code(values)),
    check=_check_function,
)


def _check_host(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    if values.get("isolation") is not Isolation.DEDICATED:
        return
    for key, key_cursor, _ in cursor.pairs():
        if key in {"workers", "intensity", "lifecycle", "security"}:
            message = f"{key!r} belongs to a pool; each actor of a dedicated host has its own"
            reading.note(key_cursor, message)


HOST = Table(
    {
        **_COMMON,
        "isolation": Field(Choice(Isolation), "a pool, or an OS process for each actor"),
        "workers": Field(Workers(), "OS processes in the pool: a number, or {min, max}"),
        "intensity": Field(INTENSITY, "restarts of workers before the pool gives up"),
        "lifecycle": Field(LIFECYCLE, "how the pool's workers are started, judged and stopped"),
        "security": Field(SECURITY, "as whom a pool's workers write, and what they may at most"),
        **_LIMITS,
    },
    build=lambda **values: HostEntry(**_with_limits(values)),
    check=_check_host,
    later=("sandbox",),
)

SERVICE = Table(
    {
        **_COMMON,
        "process": Field(Link(Role.CODE), "the process.py that it runs", required=True),
        "host": Field(Link(Role.HOST), "where it runs; an OS process of its own by default"),
        "input": Field(ListOf(Data()), "arguments of the entry function"),
        "mailbox": MAILBOX,
        "security": Field(SECURITY, "as whom it acts, and what it may"),
        "lifecycle": _LIFECYCLE,
        **_LIMITS,
    },
    build=lambda **values: ServiceEntry(**_with_limits(values)),
)


def _check_exec(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    lifecycle = cursor.at("lifecycle", "heartbeat_timeout")
    if lifecycle.path[-1:] != ("heartbeat_timeout",):
        return
    own = values.get("lifecycle", DEFAULTS)
    if own.heartbeat_timeout_s:
        reading.note(lifecycle, "a foreign program has no heartbeat", "leave it out")


EXEC = Table(
    {
        **_COMMON,
        "command": Field(Command(), "program and arguments", required=True),
        "stop_signal": Field(StopSignal(), "how it is asked to stop; SIGTERM by default"),
        "readiness": Field(Readiness(), "how it shows that it is ready"),
        "lifecycle": _LIFECYCLE,
        **_LIMITS,
    },
    build=lambda **values: ExecEntry(**_with_limits(values)),
    check=_check_exec,
)

DATA = Table(
    {**_COMMON, "data": Field(DataMap(), "plain data")},
    build=DataEntry,
)

POLICY = Table({**_COMMON, **POLICY_FIELDS}, build=PolicyEntry)

KINDS: dict[str, Table] = {
    "supervisor": SUPERVISOR,
    "process.py": PROCESS,
    "function.py": FUNCTION,
    "library.py": LIBRARY,
    "process.host": HOST,
    "process.service": SERVICE,
    "exec.service": EXEC,
    "registry.entry": DATA,
    "security.policy": POLICY,
}
LATER_KINDS = ("workflow.py", "workflow.host", "schedule")
"""Kinds of the format that this version does not have."""
UP_ABLE = frozenset(
    {"supervisor", "process.host", "process.service", "exec.service", "function.py"}
)
"""Kinds that can be children, and that can be required."""
