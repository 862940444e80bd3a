"""What a process is to be: jobs, the code and the limits in them, and its birth."""

from __future__ import annotations

from typing import Any

import msgspec

from wippy.core.policy import Identity

DUMP_SIGNAL = 35
"""SIGRTMIN + 1: a Python process of ours that gets it writes the stacks of all its threads to its
output, also while its loop is blocked. Python code hardly ever uses a real-time signal. A foreign
program has no handler for it and would die: never send it to an `ExecJob`."""


MAILBOX_MESSAGES = 10_000
"""Messages that wait in an actor's mailbox unless its entry says otherwise: a burst of a busy
second fits, and a receiver that has stopped is noticed before it has eaten the memory."""


class LibraryRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where code is that others import; see `supervisor.core.spec.LibraryCode` (same fields)."""

    path: str | None = None
    text: str | None = None
    module: str | None = None
    origin: str = ""
    imports: dict[str, str] = {}


class CodeRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where the code of an actor is, and all that it imports; see `supervisor.core.spec.Code`
    (same fields): a process loads it without asking anybody."""

    method: str
    path: str | None = None
    text: str | None = None
    module: str | None = None
    origin: str = ""
    search_path: str | None = None
    imports: dict[str, str] = {}
    libraries: dict[str, LibraryRef] = {}
    mailbox_messages: int = MAILBOX_MESSAGES


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
        identity: As whom it acts; None is the default identity.
        credential: Shows the keeper that it does; empty shows nothing.
        is_strict: What no policy allows is denied.
    """

    node: str
    slot: str
    generation: int
    title: str
    log_path: str = ""
    limits: OsLimits = OsLimits()
    heartbeat_s: float = 2.0
    identity: Identity | None = None
    credential: bytes = b""
    is_strict: bool = False


class ActorJob(JobBase, frozen=True, kw_only=True, tag="actor"):
    """Be one actor: `process` is the entry id of its code, `args` its arguments. One that an
    actor has spawned has the `parent`'s pid, may be linked to it from its start, and inherits its
    `context` values. `terminal` is the socket where a client hands it its own stdin, stdout and
    stderr."""

    process: str
    code: CodeRef
    args: tuple[Any, ...] = ()
    parent: str = ""
    is_linked: bool = False
    context: dict[str, Any] = {}
    terminal: str = ""


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
        message_dir: Folder of the sockets of processes (`ids.socket_name`), within the run folder;
            empty for a process that talks to no other.
        state_dir: The node's state folder, where the registry is read; empty reads none.
        job: What to be; None for a spare, which waits for `Assign`.
    """

    endpoint: str
    token: bytes
    routing_id: bytes
    root_pid: int
    node: str
    orphan_timeout_s: float = 5.0
    message_dir: str = ""
    state_dir: str = ""
    job: Job | None = None
