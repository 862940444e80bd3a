"""Frames between a client (command line, live tree) and the root's control socket.

A client is a DEALER. It sends `Request`s, each with an id of its own, and gets one `Reply` with
that id for each, in any order. After `Subscribe` it also gets `Update` frames until it goes; it
renews the subscription by sending `Subscribe` again within `SUBSCRIPTION_S`. The socket lies in a
folder with mode 0700: who can open it is the same user, or the superuser.
"""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor.core.facts import Fact
from supervisor.core.keeping import ForgetVersions, Forgotten
from supervisor.core.view import NodeView
from wippy.core.codec import FrameDecoder
from wippy.core.reasons import ExitReason
from wippy.core.registry import ApplyChanges, ApplyVersion, Committed
from wippy.errors import Failure

SUBSCRIPTION_S = 30.0
"""A subscriber that has not renewed for this long is forgotten: clients die without a word."""


class GetView(msgspec.Struct, frozen=True, tag="get_view"):
    """Answered with a `NodeView`."""


class Why(msgspec.Struct, frozen=True, tag="why"):
    """Answered with a `WhyView` of child `id`."""

    id: str


class History(msgspec.Struct, frozen=True, tag="history"):
    """Answered with the last `limit` facts (of child `id`, if given), from before restarts of the
    runtime too."""

    id: str = ""
    limit: int = 100


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """Stop child `id` and hold it down. Answered when it is down."""

    id: str


class Start(msgspec.Struct, frozen=True, tag="start"):
    """Start child `id`, which was stopped, is done or failed. Answered when it is up."""

    id: str


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """Stop child `id` and start it again. Answered when it is up."""

    id: str


class Kill(msgspec.Struct, frozen=True, tag="kill"):
    """Send `signal` to the process of `target`: a child id or an OS pid of this node, as text.
    Answered when the signal is sent."""

    target: str
    signal: int = 15


class Spawn(msgspec.Struct, frozen=True, tag="spawn"):
    """Make a child of the dynamic supervisor `id`; `args` replace those of its template if
    given. Answered with the new child's id when it is up."""

    id: str
    args: tuple[Any, ...] | None = None


class Backup(msgspec.Struct, frozen=True, tag="backup"):
    """Copy the state environment into the new folder `path` (absolute). Answered when the copy is
    on the disk."""

    path: str


class ChangeRegistry(msgspec.Struct, frozen=True, tag="change_registry"):
    """Have the keeper change the registry, for an operator: whoever reaches this socket is one.
    Answered with `Committed`, or `Forgotten`, when it is on the disk."""

    change: ApplyChanges | ApplyVersion | ForgetVersions


class Run(msgspec.Struct, frozen=True, tag="run", kw_only=True):
    """Run an actor for the client, which it is linked to: in an OS process of its own, as `slot`,
    which the client made. Answered with `Ran` when it has ended.

    Attributes:
        process: Entry id of its code.
        slot: `<process>~<8 random base32 characters>`.
        parent: Pid of the client: it is told of the end and the value, as a parent is.
        args: Of the entry function.
        host: Entry id of the dedicated host whose limits it gets; empty is none.
        terminal: Socket where the client hands it its stdin, stdout and stderr; empty is none.
    """

    process: str
    slot: str
    parent: str
    args: tuple[Any, ...] = ()
    host: str = ""
    terminal: str = ""


class EndRun(msgspec.Struct, frozen=True, tag="end_run"):
    """End what `Run` has started: asked, and killed after `deadline_s`; at once if that is 0.
    Answered at once."""

    slot: str
    deadline_s: float


class Reload(msgspec.Struct, frozen=True, tag="reload"):
    """Read the configuration again. Answered with `ReloadAnswer`, when what it changes is taken
    in and has proven itself, or has failed; at once if it `is_dry`: then nothing is changed."""

    is_dry: bool = False


class StopNode(msgspec.Struct, frozen=True, tag="stop_node"):
    """Stop everything in order. Answered at once; the socket goes away when it is done."""


class Subscribe(msgspec.Struct, frozen=True, tag="subscribe"):
    """Send `Update`s: every fact after `since_seq` (-1 for only new ones; what the root no longer
    holds is skipped), and a fresh `NodeView` whenever something changed, at most every
    `view_interval_s` (0 for no views)."""

    since_seq: int = -1
    view_interval_s: float = 0.0


Verb = (
    GetView
    | Why
    | History
    | Stop
    | Start
    | Restart
    | Kill
    | Spawn
    | Run
    | EndRun
    | Backup
    | ChangeRegistry
    | Reload
    | StopNode
    | Subscribe
)


class Request(msgspec.Struct, frozen=True, tag="request"):
    """A client's question or command; `who` says who asks, for the history."""

    id: int
    verb: Verb
    who: str = ""


class WhyView(msgspec.Struct, frozen=True, kw_only=True):
    """One child, its past and what comes next.

    Attributes:
        view: The node's view reduced to this row and its ancestors.
        facts: What is known of its past, oldest first, facts of its supervisor's decisions about
            it included.
        next: What is going to happen next, in words.
        output: The last lines of its log.
        if_dies: What its death would do, in words.
    """

    view: NodeView
    facts: tuple[Fact, ...] = ()
    next: str = ""
    output: tuple[str, ...] = ()
    if_dies: str = ""


class Facts(msgspec.Struct, frozen=True, tag="facts"):
    """Answer to `History`."""

    facts: tuple[Fact, ...]


class ViewAnswer(msgspec.Struct, frozen=True, tag="view"):
    """Answer to `GetView`."""

    view: NodeView


class WhyAnswer(msgspec.Struct, frozen=True, tag="why"):
    """Answer to `Why`."""

    why: WhyView


class Ran(msgspec.Struct, frozen=True, tag="ran"):
    """Answer to `Run`: why it has ended. What it returned came to the client's own socket."""

    reason: ExitReason


class Done(msgspec.Struct, frozen=True, tag="done"):
    """Answer to a command: what happened, in words (`already up` is no error); `id` of the child
    where one was made."""

    text: str = ""
    id: str = ""


class ReloadAnswer(msgspec.Struct, frozen=True, tag="reloaded", kw_only=True):
    """Answer to `Reload`.

    Attributes:
        version: The registry's version.
        changed: Entries that were changed.
        done: What was done about it, in words.
        failed: Who does not do well with it, and why.
        overridden: Entries that were changed at run time, and are what their files say again.
        kept: Entries that are not what their files say, since they were changed at run time.
        needs_restart: Settings that count from the next start of the node on.
        broken: All that is wrong with the files, which are not used; empty if nothing is.
        plan: Dry: what would be done, in words.
    """

    version: int
    changed: int = 0
    done: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    overridden: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    broken: str = ""
    plan: tuple[str, ...] = ()


Answer = (
    Facts | ViewAnswer | WhyAnswer | Ran | ReloadAnswer | Committed | Forgotten | Done | Failure
)


class Reply(msgspec.Struct, frozen=True, tag="reply"):
    """The answer to the request with the same id; a `Failure` carries the error."""

    id: int
    answer: Answer


class Update(msgspec.Struct, frozen=True, tag="update"):
    """To a subscriber: what happened since the last update."""

    facts: tuple[Fact, ...] = ()
    view: NodeView | None = None


ToClient = Reply | Update

from_client: FrameDecoder[Request] = FrameDecoder(Request)
to_client: FrameDecoder[ToClient] = FrameDecoder(ToClient)
