"""Facts: what happened, as values. Logs, the live tree, `events`, `why` and the history are all
renderings of facts; nothing else writes a line about the tree.

A fact is one struct with a `kind`, the child it is about, and what its kind needs; `sentence`
renders it for people, msgspec for programs (`"schema": 1`).
"""

from __future__ import annotations

import enum

import msgspec

from wippy.core import reasons
from wippy.core.reasons import ExitReason
from wippy.core.units import counted, format_duration

UNLIMITED_RESTARTS = 1_000_000
"""A supervisor that may restart this often never gives up: what it has used says nothing."""


class Level(enum.StrEnum):
    """How much a reader should care."""

    ERROR = "error"  # someone must act
    WARNING = "warning"  # degraded
    INFO = "info"  # lifecycle
    DEBUG = "debug"


class FactKind(enum.StrEnum):
    """What happened."""

    NODE_STARTED = "node_started"
    NODE_READY = "node_ready"
    NODE_STOPPING = "node_stopping"
    NODE_STOPPED = "node_stopped"
    ROOT_RECOVERED = "root_recovered"  # a new root took over; text says what it found
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"  # asked to stop; text says by whom and why
    KILLING = "killing"
    EXITED = "exited"
    DECIDED = "decided"  # what the supervisor does about an exit
    HELD = "held"  # an operator's stop holds
    DONE = "done"
    REMOVED = "removed"
    ADDED = "added"  # by a changed configuration
    CHANGED = "changed"  # what a changed configuration means for a child
    ADOPTED = "adopted"  # the node: the tree follows a version; text says what that changes
    SETTLED = "settled"  # the node: what a version touched has proven itself, or failed
    IGNORED = "ignored"  # not needed here
    QUARANTINED = "quarantined"
    WAITING = "waiting"  # for what it requires
    GAVE_UP = "gave_up"
    CRASH_LOOP = "crash_loop"
    STABLE = "stable"  # a crash loop is over
    HUNG = "hung"
    FROZEN = "frozen"  # SIGSTOP
    THAWED = "thawed"
    OPERATOR = "operator"  # a command of an operator
    ALARM = "alarm"
    REGISTRY = "registry"
    FILES = "files"  # the configuration was read again
    FILES_BROKEN = "files_broken"  # and is wrong: the last version that was right goes on


LEVELS = {
    FactKind.ALARM: Level.ERROR,
    FactKind.FILES_BROKEN: Level.ERROR,
    FactKind.GAVE_UP: Level.ERROR,
    FactKind.QUARANTINED: Level.ERROR,
    FactKind.CRASH_LOOP: Level.WARNING,
    FactKind.HUNG: Level.WARNING,
    FactKind.KILLING: Level.WARNING,
    FactKind.ROOT_RECOVERED: Level.WARNING,
}
"""Level by kind where it is not INFO; an abnormal EXITED is a WARNING."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened.

    Attributes:
        seq: Increasing within one root, from 1; 0 until the shell has stamped it.
        at_s: UTC, seconds since the epoch; 0 until stamped.
        kind: What happened.
        id: The child it is about; empty for the node.
        generation: Its generation; 0 where it does not matter.
        os_pid: Its OS process; 0 where there is none.
        reason: For EXITED, QUARANTINED, GAVE_UP.
        text: In words, what the other fields do not say.
        lived_s: EXITED: since READY (or since the start, if it never was).
        took_s: READY: from the start of the launch, and `down_s`: from the death before it.
        down_s: READY: from the death before it; 0 at a first start.
        delay_s: DECIDED: the wait before the restart.
        affected: DECIDED: siblings that are stopped and started too, in start order.
        used: DECIDED: restarts in the window, this one included.
        allowed: DECIDED: restarts allowed in the window.
        within_s: DECIDED: length of the window.
        output: EXITED: its last lines of output. NODE_STOPPED: those of what failed to start.
    """

    seq: int = 0
    at_s: float = 0.0
    kind: FactKind
    id: str = ""
    generation: int = 0
    os_pid: int = 0
    reason: ExitReason | None = None
    text: str = ""
    lived_s: float = 0.0
    took_s: float = 0.0
    down_s: float = 0.0
    delay_s: float = 0.0
    affected: tuple[str, ...] = ()
    used: int = 0
    allowed: int = 0
    within_s: float = 0.0
    output: tuple[str, ...] = ()


def level(fact: Fact) -> Level:
    """Return how much a reader should care."""
    if fact.kind is FactKind.EXITED and fact.reason is not None:
        return Level.WARNING if reasons.is_abnormal(fact.reason) else Level.INFO
    return LEVELS.get(fact.kind, Level.INFO)


def sentence(fact: Fact) -> str:
    """Return the fact as one line without time and id: `pid 4711 killed by SIGKILL after 3.2s`."""
    match fact.kind:
        case FactKind.READY:
            back = f", back in {format_duration(fact.down_s)}" if fact.down_s else ""
            who = f" as pid {fact.os_pid}" if fact.os_pid else ""
            return f"up{who}, generation {fact.generation}{back}"
        case FactKind.ROOT_RECOVERED:
            return f"the root died, and another took over: {fact.text}"
        case FactKind.STOPPING:
            return f"asked to stop: {fact.text}"
        case FactKind.EXITED if fact.reason is not None:
            who = f"pid {fact.os_pid} " if fact.os_pid else ""
            return f"{who}{reasons.sentence(fact.reason)} after {format_duration(fact.lived_s)}"
        case FactKind.DECIDED:
            return _decision(fact)
        case FactKind.GAVE_UP | FactKind.QUARANTINED if fact.reason is not None:
            return (
                f"{fact.text}: {reasons.sentence(fact.reason)}"
                if fact.text
                else (reasons.sentence(fact.reason))
            )
        case _:
            return fact.text or str(fact.kind).replace("_", " ")


def _decision(fact: Fact) -> str:
    parts = [fact.text or "restart"]
    if fact.affected:
        parts.append(f"with {', '.join(fact.affected)}")
    if fact.delay_s:
        parts.append(f"in {format_duration(fact.delay_s)}")
    if 0 < fact.allowed < UNLIMITED_RESTARTS:
        window = f"in {format_duration(fact.within_s)}"
        parts.append(f"({fact.used} of {counted(fact.allowed, 'restart')} {window} used)")
    return " ".join(parts)
