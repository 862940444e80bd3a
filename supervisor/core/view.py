"""What operators see: the node and its rows, as data. The live tree, `tree`, `status` and their
`--json` are renderings of one `NodeView`."""

from __future__ import annotations

import enum

import msgspec

from supervisor.core.facts import UNLIMITED_RESTARTS, Fact
from wippy.core.reasons import ExitReason
from wippy.core.units import format_duration


class State(enum.StrEnum):
    """State of a child, as decided by the tree (see `lifecycle` for the machine)."""

    IDLE = "idle"  # its turn to start has not come; detail says what it waits for
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    KILLING = "killing"
    BACKOFF = "backoff"
    DONE = "done"
    HELD = "stopped"  # by an operator, or auto_start: false
    FAILED = "failed"  # quarantined
    IGNORED = "ignored"
    UNKILLABLE = "unkillable"


class RowKind(enum.StrEnum):
    """What a row is."""

    SUPERVISOR = "supervisor"
    POOL = "pool"
    WORKER = "worker"
    ACTOR = "actor"  # a dedicated actor: an OS process
    POOL_ACTOR = "pool_actor"  # an actor within a worker
    PROGRAM = "program"  # exec.service
    SYSTEM = "system"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One child. Rows come in tree order (depth first, start order), the top first.

    Attributes:
        id: Child id.
        parent: Its supervisor's id; empty for the top.
        depth: 0 for the top.
        kind: What it is.
        state: Its state.
        detail: Why it is in that state, in words: `waiting for app:db`, `next try in 3s`.
        generation: Starts so far.
        os_pid: Its OS process (the worker's for a pool actor); 0 if it has none.
        restarts: Automatic restarts since the node was started.
        restarts_last_minute: Of those, in the last minute.
        uptime_s: Since READY; 0 if it is not up.
        last_exit: Its last exit reason, if it ever ended.
        next_try_s: BACKOFF: time left.
        cpu_percent: Of one core, over the last sampling interval; None until sampled.
        memory_bytes: Resident; None until sampled.
        heartbeat_age_s: Since the last heartbeat; None if it has none.
        actors: Actors in a worker, a pool.
        inbox: Messages waiting.
        dead_letters: Messages that this process could not deliver, or had for nobody, since it was
            started, by reason (docs/messages.md); a pool's are with its workers.
        strategy: Supervisors: the strategy's name.
        window_used: Supervisors: restarts in the window.
        window_max: Supervisors: restarts allowed in the window.
        window_s: Supervisors: length of the window.
        window_resets_s: Supervisors: until the oldest restart leaves the window; 0 if none is in.
        is_crash_loop: Consecutive short lives.
        is_frozen: Stopped by SIGSTOP.
        caused_by: The child whose death is why this one is going down; empty if none.
        log_path: Its log file, absolute.
    """

    id: str
    parent: str
    depth: int
    kind: RowKind
    state: State
    detail: str = ""
    generation: int = 0
    os_pid: int = 0
    restarts: int = 0
    restarts_last_minute: int = 0
    uptime_s: float = 0.0
    last_exit: ExitReason | None = None
    next_try_s: float = 0.0
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    heartbeat_age_s: float | None = None
    actors: int = 0
    inbox: int = 0
    dead_letters: dict[str, int] = {}
    strategy: str = ""
    window_used: int = 0
    window_max: int = 0
    window_s: float = 0.0
    window_resets_s: float = 0.0
    is_crash_loop: bool = False
    is_frozen: bool = False
    caused_by: str = ""
    log_path: str = ""


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """The node and all its rows.

    Attributes:
        schema: Version of this format; 1.
        node: Name.
        state: `starting`, `running`, `stopping`.
        version: Of wippy-supervisor.
        source: Configuration folder or file.
        run_dir: Run folder.
        state_dir: State folder.
        root_pid: OS pid of the root.
        guardian_pid: OS pid of the guardian.
        root_starts: Roots so far: 1 until the guardian had to start another.
        uptime_s: Since the node was started (survives the root).
        root_uptime_s: Since this root was started.
        at_s: UTC seconds since the epoch.
        registry_version: Version of the registry that runs; 0 until it is loaded.
        durability: Level of durability: `os`.
        restarts: Automatic restarts since the node was started.
        restarts_last_minute: Of those, in the last minute.
        bad_frames: Frames dropped or refused since the root was started.
        spares: Warm processes ready.
        root_cpu_percent: The root's own share of a core.
        root_memory_bytes: The root's own resident memory.
        alarms: What someone must act on, a line each.
        broken: What is wrong with the configuration's files, in a line with its place; empty if
            nothing is. What runs is the last version that was right.
        broken_text: All of it.
        rows: Every child, tree order.
        facts: The last facts, oldest first.
    """

    schema: int = 1
    node: str
    state: str = "running"
    version: str = ""
    source: str = ""
    run_dir: str = ""
    state_dir: str = ""
    root_pid: int = 0
    guardian_pid: int = 0
    root_starts: int = 1
    uptime_s: float = 0.0
    root_uptime_s: float = 0.0
    at_s: float = 0.0
    registry_version: int = 0
    durability: str = "os"
    restarts: int = 0
    restarts_last_minute: int = 0
    bad_frames: int = 0
    spares: int = 0
    root_cpu_percent: float = 0.0
    root_memory_bytes: int = 0
    alarms: tuple[str, ...] = ()
    broken: str = ""
    broken_text: str = ""
    rows: tuple[Row, ...] = ()
    facts: tuple[Fact, ...] = ()


GLYPHS = {
    State.IDLE: "·",
    State.STARTING: "◐",
    State.UP: "●",
    State.STOPPING: "◑",
    State.KILLING: "◑",
    State.BACKOFF: "↻",
    State.DONE: "◌",
    State.HELD: "○",
    State.FAILED: "✘",
    State.IGNORED: "◌",
    State.UNKILLABLE: "✘",
}
ASCII_GLYPHS = {
    State.IDLE: ".",
    State.STARTING: ">",
    State.UP: "*",
    State.STOPPING: "<",
    State.KILLING: "<",
    State.BACKOFF: "~",
    State.DONE: "-",
    State.HELD: "o",
    State.FAILED: "x",
    State.IGNORED: "-",
    State.UNKILLABLE: "x",
}
COLOURS = {
    State.IDLE: "default",
    State.STARTING: "yellow",
    State.UP: "green",
    State.STOPPING: "yellow",
    State.KILLING: "yellow",
    State.BACKOFF: "yellow",
    State.DONE: "cyan",
    State.HELD: "default",
    State.FAILED: "red",
    State.IGNORED: "cyan",
    State.UNKILLABLE: "red",
}
"""Only the 16 ANSI names, so that the user's theme holds; never the only sign of a state."""


def strategy_words(row: Row) -> str:
    """Return a supervisor's strategy and how much of its window is used:
    `rest_for_one 2/3 in 5s, resets in 4.0s`."""
    if not row.window_s or row.window_max >= UNLIMITED_RESTARTS:
        return row.strategy
    words = f"{row.strategy} {row.window_used}/{row.window_max} in {row.window_s:g}s"
    if row.window_resets_s:
        words += f", resets in {format_duration(row.window_resets_s)}"
    return words


def is_settled_well(row: Row) -> bool:
    """Say whether a row is as it should be: what `status` calls up."""
    return row.state in {State.UP, State.DONE, State.IGNORED, State.HELD}


def dead_letter_words(row: Row) -> str:
    """Return the dead letters of a row: `3 late reply, 1 no such actor`; empty if it has none."""
    most_first = sorted(row.dead_letters.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count} {reason}" for reason, count in most_first)
