"""What processes say to the root."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from wippy.core.policy import Identity
from wippy.core.reasons import ExitReason

PROTOCOL = 1


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
