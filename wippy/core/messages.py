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

Actors of different processes speak without the root (`wippy.core.wire`); what they need it for
goes here: `WatchProcess` and `Gone` (an OS process's end), `SpawnProcess` and `EndProcess`
(dedicated processes), `RegisterName` and `NameTaken`, `WantCode` and `Code`, `WantFunction` and
`Function`, `WantWorker` and `HostReady`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from wippy.core.codec import FrameDecoder
from wippy.core.policy import Identity
from wippy.core.reasons import ExitReason, Lost
from wippy.core.retry import RetryPolicy
from wippy.errors import Failure

PROTOCOL = 1

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


# --- process to root -----------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """The first frame: the process exists. `token` is its `Birth`'s; `preloaded` says whether
    the forkserver's imports were there, `not_preloaded` names user modules that failed."""

    token: bytes
    pid: int
    preloaded: bool
    protocol: int = PROTOCOL
    not_preloaded: tuple[str, ...] = ()


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
        calls: Calls of functions: the most that were under way at once since the last beat.
        inbox: Messages waiting.
        sent: Messages sent since the start.
        received: Messages received since the start.
        output_dropped: Bytes of output that found no room on the disk.
        dead_letters: Messages that could not be delivered, by reason.
    """

    generation: int
    lag_s: float = 0.0
    actors: int = 0
    inbox: int = 0
    sent: int = 0
    received: int = 0
    output_dropped: int = 0
    dead_letters: dict[str, int] = {}
    calls: int = 0


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


class Upgraded(msgspec.Struct, frozen=True, tag="upgraded"):
    """Answer to `Outdated`: the actor runs the code of that version from now on."""

    actor: int
    version: int


class NotUpgradable(msgspec.Struct, frozen=True, tag="not_upgradable"):
    """Answer to `Outdated`, at once: the actor takes no newer code while it runs; restart it."""

    actor: int
    version: int


class UpgradeFailed(msgspec.Struct, frozen=True, tag="upgrade_failed"):
    """Answer to `Outdated`: that code cannot be loaded, `detail` says why. The actor was not
    disturbed and goes on with the code that it has; restarting it would only lose it."""

    actor: int
    version: int
    detail: str


class Published(msgspec.Struct, frozen=True, tag="published"):
    """A system process tells the root something of its own kind (the keeper: versions, alarms)."""

    topic: str
    payload: dict[str, Any] = {}


class WatchProcess(msgspec.Struct, frozen=True, tag="watch_process"):
    """Tell me when the OS process of `slot`, `generation` ends: one `Gone`, at once if it is not
    there. Asking again changes nothing."""

    slot: str
    generation: int


class Unwatch(msgspec.Struct, frozen=True, tag="unwatch"):
    """Forget the `WatchProcess` of the same slot and generation. A `Gone` may be on its way."""

    slot: str
    generation: int


class SpawnProcess(msgspec.Struct, frozen=True, tag="spawn_process", kw_only=True):
    """Start an actor in an OS process of its own, as `slot`, which the caller made:
    `<process id>~<8 random base32 characters>`. A start that fails is told as `Gone` with
    `StartFailed`.

    Attributes:
        slot: Of the new process.
        generation: Always 1.
        process: Entry id of the code.
        host: Entry id of the dedicated host whose limits it gets; empty is none.
        args: Arguments of the entry function.
        parent: Pid of the actor that spawns it.
        monitor: `parent` monitors it; the sender watches it from the start.
        link: It is linked to `parent`; the sender watches it from the start.
        name: Registered for it before it starts; taken already, the start fails. Empty is none.
        context: Context values that it inherits.
        terminal: See `ActorJob`; empty leaves its output to its log.
        identity: As whom it is to act, within what the process that asks may; None: as that one.
    """

    slot: str
    process: str
    generation: int = 1
    host: str = ""
    args: tuple[Any, ...] = ()
    parent: str = ""
    monitor: bool = False
    link: bool = False
    name: str = ""
    context: dict[str, Any] = {}
    terminal: str = ""
    identity: Identity | None = None


class RegisterName(msgspec.Struct, frozen=True, tag="register_name"):
    """Register `name` for `pid`, an actor of this node. `NameTaken` says that it has one already;
    otherwise the directory shows it. The first to ask wins."""

    name: str
    pid: str


class UnregisterName(msgspec.Struct, frozen=True, tag="unregister_name"):
    """Remove `name` if it is `pid`'s: a late one, of an old generation, never removes the new row.
    Answered with `NameFreed` once the directory does not show it."""

    name: str
    pid: str


class EndProcess(msgspec.Struct, frozen=True, tag="end_process"):
    """End the dedicated process of `slot`, `generation`: `cancel` asks, and kills at the deadline;
    `kill` kills at once. What follows its end is its supervisor's decision."""

    slot: str
    generation: int
    how: Literal["cancel", "kill"]
    reason: str = ""
    deadline_s: float = 5.0


class WantCode(msgspec.Struct, frozen=True, tag="want_code"):
    """Where is the code of the entry `process`? Answered with `Code`."""

    process: str


class WantWorker(msgspec.Struct, frozen=True, tag="want_worker"):
    """The directory shows no worker of the pool `host`: start one if it may have one. Answered
    with `HostReady`."""

    host: str


class WantFunction(msgspec.Struct, frozen=True, tag="want_function"):
    """How is `function` called? Answered with `Function`."""

    function: str


class SetMember(msgspec.Struct, frozen=True, tag="set_member"):
    """The actor `pid` of this process is a member of `group` so many `times` now; 0: no more. The
    last word counts, so it may be said again."""

    group: str
    pid: str
    times: int


class LeaveAll(msgspec.Struct, frozen=True, tag="leave_all"):
    """The actor `pid` has ended: it is a member of nothing. Answered with `AllLeft`, once the
    directory and those who watch know it."""

    pid: str


class WatchGroup(msgspec.Struct, frozen=True, tag="watch_group"):
    """Tell me the members of `group` (`GroupMembers`), and from then on each change
    (`GroupChanged`). Asking again brings all members again."""

    group: str


class UnwatchGroup(msgspec.Struct, frozen=True, tag="unwatch_group"):
    """Forget the `WatchGroup` of the same group. A change may be on its way."""

    group: str


class MembersSaid(msgspec.Struct, frozen=True, tag="members_said"):
    """The answer to `SayMembers` is complete."""


class Observe(msgspec.Struct, frozen=True, tag="observe"):
    """The subscriptions of this process to the observation bus are these `patterns` now. Answered
    with `Observing` of the same `number`, once the directory shows them."""

    patterns: tuple[str, ...]
    number: int


FromProcess = (
    Hello
    | Ready
    | NotNeeded
    | Stale
    | Beat
    | Ended
    | ActorReady
    | ActorEnded
    | Upgraded
    | NotUpgradable
    | UpgradeFailed
    | Published
    | WatchProcess
    | Unwatch
    | SpawnProcess
    | RegisterName
    | UnregisterName
    | EndProcess
    | WantCode
    | WantWorker
    | WantFunction
    | SetMember
    | LeaveAll
    | WatchGroup
    | UnwatchGroup
    | MembersSaid
    | Observe
)

# --- root to process -----------------------------------------------------------------------------


class Assign(msgspec.Struct, frozen=True, tag="assign"):
    """To a spare: be this."""

    job: Job


class StartActor(msgspec.Struct, frozen=True, tag="start_actor", kw_only=True):
    """To a worker: start an actor as number `actor` for `child`, `generation`.

    `log_path` gets what the actor's own code prints where it can be told apart; empty keeps it
    in the worker's. `identity` and `credential` are the actor's, as in a job.
    """

    child: str
    generation: int
    actor: int
    process: str
    code: CodeRef
    args: tuple[Any, ...] = ()
    log_path: str = ""
    identity: Identity | None = None
    credential: bytes = b""


class CancelActor(msgspec.Struct, frozen=True, tag="cancel_actor"):
    """To a worker: ask an actor to stop within `deadline_s` seconds."""

    actor: int
    reason: str
    deadline_s: float


class KillActor(msgspec.Struct, frozen=True, tag="kill_actor"):
    """To a worker: end an actor now; what does not obey costs the worker its life."""

    actor: int


EVERY_ACTOR = -1
"""In place of an actor's number, to a worker: all actors that it hosts for other actors."""


class Outdated(msgspec.Struct, frozen=True, tag="outdated"):
    """There is newer code for an actor that runs.

    Answered with `NotUpgradable` or `UpgradeFailed` at once, or with `Upgraded` when the actor,
    which decides when, has entered the new code; never, if it ends before. A newer one that comes
    before that takes the place of the older, which then gets no answer. A worker starts the
    actors that others spawn there with this code from now on.

    Attributes:
        actor: Its number; 0 in a process of its own. `EVERY_ACTOR`: all actors of the entry
            `process` that others have spawned in this worker; they are offered the code where they
            are upgradable, and no answers come.
        code: The new code.
        version: Of the registry: > 0 and growing.
        process: Entry id of the code; needed with `EVERY_ACTOR` only.
    """

    actor: int
    code: CodeRef
    version: int
    process: str = ""


class RegistryAt(msgspec.Struct, frozen=True, tag="registry_at"):
    """The registry has this version; those in between may have been passed over. The runtime begins
    to follow it. Whoever reads the registry in a process may know a newer one already."""

    version: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Stop within `deadline_s` seconds; after that comes SIGKILL."""

    reason: str
    deadline_s: float


class Told(msgspec.Struct, frozen=True, tag="told"):
    """To a system process: something of its own kind."""

    topic: str
    payload: dict[str, Any] = {}


class Gone(msgspec.Struct, frozen=True, tag="gone"):
    """To who watches: the process has ended. The directory shows neither it nor its names any
    more, and its replacement does not exist yet. `noproc`: it was not there when it was asked for;
    `reason` then means nothing."""

    slot: str
    generation: int
    reason: ExitReason = Lost()
    noproc: bool = False


class NameTaken(msgspec.Struct, frozen=True, tag="name_taken"):
    """`name` was not registered: it is `pid`'s, or, with an empty `pid`, the process that it was
    meant for is not there."""

    name: str
    pid: str


class NameFreed(msgspec.Struct, frozen=True, tag="name_freed"):
    """The directory shows `name` for `pid` no longer: whoever waits for that may be told of its
    end."""

    name: str
    pid: str


class Code(msgspec.Struct, frozen=True, tag="code"):
    """The code of `process`; None, and why in `error`, where there is none."""

    process: str
    code: CodeRef | None = None
    error: str = ""


class GroupMembers(msgspec.Struct, frozen=True, tag="group_members"):
    """All members of `group`: pid to times. The next change has one `version` more.

    `is_whole` is False while a new root has not heard of all processes: nobody has left because of
    not being in it.
    """

    group: str
    version: int
    members: dict[str, int]
    is_whole: bool = True


class GroupChanged(msgspec.Struct, frozen=True, tag="group_changed"):
    """`pid` is a member of `group` so many `times` now."""

    group: str
    version: int
    pid: str
    times: int


class AllLeft(msgspec.Struct, frozen=True, tag="all_left"):
    """The directory shows the actor `pid` as a member of nothing."""

    pid: str


class SayMembers(msgspec.Struct, frozen=True, tag="say_members"):
    """A new root to a process that it has adopted: say which actors are members of what
    (`SetMember`), what you watch and observe, and then `MembersSaid`."""


class Observing(msgspec.Struct, frozen=True, tag="observing"):
    """The directory shows the patterns of `Observe` `number`: from now on all publishers see
    them."""

    number: int


class Observed(msgspec.Struct, frozen=True, tag="observed"):
    """What the runtime itself has published: (topic, UTC seconds since the epoch, msgpack). So many
    events were sent to this process `before` these; what is missing was dropped on the way."""

    events: tuple[tuple[str, float, bytes], ...]
    before: int


class HostReady(msgspec.Struct, frozen=True, tag="host_ready"):
    """The directory shows a worker of `host` now; or why it will not, in `error`."""

    host: str
    error: str = ""


class Function(msgspec.Struct, frozen=True, tag="function"):
    """How `function` is called, or in `problem` why it cannot be.

    Attributes:
        function: Its entry id.
        host: The pool that runs it.
        timeout_s: Limit of one attempt, seconds; 0 is none.
        retry: What a failed attempt is followed by.
        problem: There is no such function; None if there is.
    """

    function: str
    host: str = ""
    timeout_s: float = 0.0
    retry: RetryPolicy = RetryPolicy()
    problem: Failure | None = None


ToProcess = (
    Assign
    | StartActor
    | CancelActor
    | KillActor
    | Outdated
    | RegistryAt
    | Cancel
    | Told
    | Gone
    | NameTaken
    | NameFreed
    | Code
    | HostReady
    | Function
    | GroupMembers
    | GroupChanged
    | AllLeft
    | SayMembers
    | Observing
    | Observed
)

from_process: FrameDecoder[FromProcess] = FrameDecoder(FromProcess)
to_process: FrameDecoder[ToProcess] = FrameDecoder(ToProcess)
birth: FrameDecoder[Birth] = FrameDecoder(Birth)
