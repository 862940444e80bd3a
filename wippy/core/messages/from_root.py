"""What the root says to processes."""

from __future__ import annotations

from typing import Any

import msgspec

from wippy.core.messages.jobs import CodeRef, Job
from wippy.core.policy import Identity
from wippy.core.reasons import ExitReason, Lost
from wippy.core.retry import RetryPolicy
from wippy.errors import Failure


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
