"""Frames between the root and the processes of its node (ROUTER at the root, DEALER here).

A process is born with a `Birth` in the pipe it inherits: where the root is, who it is to be.
It says `Hello`; a spare then waits for its `Assign`. `generation` is that of the child; the root
drops frames of any other. Unknown fields are accepted, so that neighbours may be newer.

                root                                     process
                 │  ◄─────────────── Hello ────────────────  │  loop and socket are there
                 │  ─────────────── Assign ───────────────►  │  only to a spare
                 │  ◄─────────────── Ready ────────────────  │  entry function entered
                 │  ◄─────────────── Beat ─────────────────  │  every `heartbeat_s`
                 │  ─────────────── Cancel ───────────────►  │
                 │  ◄─────────────── Ended ────────────────  │  last words; then it exits
A pool worker also gets `StartActor`, `CancelActor`, `KillActor`; it answers with
`ActorReady` and `ActorEnded`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wippy.core.codec import FrameDecoder
from wippy.core.reasons import ExitReason

PROTOCOL = 1

DUMP_SIGNAL = 35
"""SIGRTMIN + 1: a Python process of ours that gets it writes the stacks of all its threads to its
output, also while its loop is blocked. Python code hardly ever uses a real-time signal. A foreign
program has no handler for it and would die: never send it to an `ExecJob`."""


class CodeRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where the code of an actor is; see `supervisor.core.spec.Code` (same fields)."""

    method: str
    path: str | None = None
    text: str | None = None
    module: str | None = None
    origin: str = ""
    search_path: str | None = None


class OsLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the process applies to itself before any user code; None leaves what is inherited."""

    memory_bytes: int | None = None
    open_files: int | None = None
    nice: int | None = None
    umask: int | None = None
    user: str | None = None
    group: str | None = None
    cwd: str | None = None
    env: dict[str, str] = {}


# --- jobs: what a process is to be ---------------------------------------------------------------


class JobBase(msgspec.Struct, frozen=True, kw_only=True, tag_field="job"):
    """What every job has.

    Attributes:
        node: Name of the node.
        slot: Place in the tree: the child's id.
        generation: The child's start, from 1.
        title: What `ps` shows.
        log_path: File that gets stdout and stderr, opened for appending; empty keeps the own.
        limits: Applied before user code is loaded.
        heartbeat_s: Interval of `Beat`; 0 sends none.
    """

    node: str
    slot: str
    generation: int
    title: str
    log_path: str = ""
    limits: OsLimits = OsLimits()
    heartbeat_s: float = 2.0


class ActorJob(JobBase, frozen=True, kw_only=True, tag="actor"):
    """Be one actor: `process` is the entry id of its code, `args` its arguments."""

    process: str
    code: CodeRef
    args: tuple[Any, ...] = ()


class WorkerJob(JobBase, frozen=True, kw_only=True, tag="worker"):
    """Be worker `number` of the pool `host`: host actors as they are sent."""

    host: str
    number: int
    search_path: str | None = None


class ExecJob(JobBase, frozen=True, kw_only=True, tag="exec"):
    """Become a foreign program: apply the limits, reset signals, exec `command`.

    Attributes:
        command: Program and arguments; looked up on the PATH of the new environment.
        notify_path: Value of NOTIFY_SOCKET; empty sets none.
    """

    command: tuple[str, ...]
    notify_path: str = ""


class SystemJob(JobBase, frozen=True, kw_only=True, tag="system"):
    """Run `target` (`module:function`), a process of the runtime; it gets `settings`."""

    target: str
    settings: dict[str, Any] = {}


Job = ActorJob | WorkerJob | ExecJob | SystemJob


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """What a forked process finds in the pipe it inherits.

    Attributes:
        endpoint: The root's ROUTER, `ipc://...`.
        token: Proves to the root that a frame is from the process it made; 16 random bytes.
        routing_id: Routing id to take on the DEALER.
        root_pid: Whose death ends the process.
        node: For the title of a spare.
        orphan_timeout_s: How long it may go on without a root.
        job: What to be; None for a spare, which waits for `Assign`.
    """

    endpoint: str
    token: bytes
    routing_id: bytes
    root_pid: int
    node: str
    orphan_timeout_s: float = 5.0
    job: Job | None = None


# --- process to root -----------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first frame: the process exists. `token` is its `Birth`'s; `preloaded` says whether
    the forkserver's imports were there."""

    token: bytes
    pid: int
    preloaded: bool
    protocol: int = PROTOCOL


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The entry function has been entered (supervision.md section 5)."""

    generation: int


class NotNeeded(msgspec.Struct, frozen=True, tag="not_needed"):
    """The child says that it is not needed here (OTP's `ignore`); it exits next."""

    generation: int


class Stale(msgspec.Struct, frozen=True, tag="stale"):
    """Preloaded user code changed on disk since the fork: nothing was run; fork a fresh one."""

    module: str


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """Sign of life from the event loop, with counters.

    Attributes:
        generation: Of the child.
        lag_s: How late the loop ran this beat.
        actors: Actors living in the process.
        inbox: Messages waiting.
        sent: Messages sent since the start.
        received: Messages received since the start.
        output_dropped: Bytes of output that found no room on the disk.
    """

    generation: int
    lag_s: float = 0.0
    actors: int = 0
    inbox: int = 0
    sent: int = 0
    received: int = 0
    output_dropped: int = 0


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """Last words: why the process is about to exit. Without them, its exit status speaks."""

    generation: int
    reason: ExitReason


class ActorReady(msgspec.Struct, frozen=True, tag="actor_ready"):
    """An actor's entry function has been entered; `generation` is the actor's child's."""

    child: str
    generation: int
    actor: int


class ActorEnded(msgspec.Struct, frozen=True, tag="actor_ended"):
    """An actor of a pool worker has ended; one that said "not needed" has `not_needed`."""

    child: str
    generation: int
    actor: int
    reason: ExitReason
    not_needed: bool = False


class Published(msgspec.Struct, frozen=True, tag="published"):
    """A system process tells the root something of its own kind (the keeper: versions, alarms)."""

    topic: str
    payload: dict[str, Any] = {}


FromProcess = Hello | Ready | NotNeeded | Stale | Beat | Ended | ActorReady | ActorEnded | Published

# --- root to process -----------------------------------------------------------------------------


class Assign(msgspec.Struct, frozen=True, tag="assign"):
    """To a spare: be this."""

    job: Job


class StartActor(msgspec.Struct, frozen=True, tag="start_actor", kw_only=True):
    """To a worker: start an actor as number `actor` for `child`, `generation`.

    `log_path` gets what the actor's own code prints where it can be told apart; empty keeps it
    in the worker's.
    """

    child: str
    generation: int
    actor: int
    process: str
    code: CodeRef
    args: tuple[Any, ...] = ()
    log_path: str = ""


class CancelActor(msgspec.Struct, frozen=True, tag="cancel_actor"):
    """To a worker: ask an actor to stop within `deadline_s` seconds."""

    actor: int
    reason: str
    deadline_s: float


class KillActor(msgspec.Struct, frozen=True, tag="kill_actor"):
    """To a worker: end an actor now; what does not obey costs the worker its life."""

    actor: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop within `deadline_s` seconds; after that comes SIGKILL."""

    reason: str
    deadline_s: float


class Told(msgspec.Struct, frozen=True, tag="told"):
    """To a system process: something of its own kind."""

    topic: str
    payload: dict[str, Any] = {}


ToProcess = Assign | StartActor | CancelActor | KillActor | Cancel | Told

from_process: FrameDecoder[FromProcess] = FrameDecoder(FromProcess)
to_process: FrameDecoder[ToProcess] = FrameDecoder(ToProcess)
birth: FrameDecoder[Birth] = FrameDecoder(Birth)
