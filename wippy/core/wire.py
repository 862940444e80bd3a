"""Frames between processes: what travels from a PUSH to a PULL, peer to peer.

A frame is everything that one process had to say to another in one turn of its event loop, in
order. Messages to one actor, from one actor, under one topic, stand together as a *run*: one
header for all of them. Everything else that actors say to each other (monitors, links, spawns,
calls, ends, credit) travels in the same frames, so that it keeps its order with the messages.

Each struct is a msgpack array; its first element is its number, new fields come last and have
defaults. `to_generation` is the receiver's: ZeroMQ hands what was queued for a dead process to the
next one that binds the path, so a frame for another generation is dropped into dead letters.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wippy.core.policy import Identity
from wippy.core.reasons import ExitReason
from wippy.errors import Failure

WIRE_VERSION = 1
MAX_FRAME_BYTES = 8 * 2**20
"""A larger frame costs its sender the connection (ZMQ_MAXMSGSIZE). A message may have 4 MiB."""
MAX_MESSAGE_BYTES = 4 * 2**20
SPLIT_FRAME_BYTES = 64 * 2**10
"""A frame is sent early when it has grown to this: the receiver can begin with it."""
MAX_TOPIC_LENGTH = 255
CREDIT_UNIT_BYTES = 1024
"""A message costs one unit of credit for each begun KiB."""
WINDOW_UNITS = 4096
"""What one process may have sent to one actor without its having taken it: 4,096 small messages,
or 4 MiB. It bounds memory; a slower receiver holds its senders back. A message is sent while any
credit is left, so the last one may go over it by its own cost."""
RETURN_UNITS = WINDOW_UNITS // 4
"""Credit is given back in parcels of this. A sender that waits always has some to come: whatever is
not yet given back is less than the window."""
FLOOD_UNITS = 4 * WINDOW_UNITS
"""A sender that ignores its window is no process of ours, or a broken one: past this, what it
sends is dropped into dead letters."""
WORKER = -1
"""In place of an actor's number: the process itself, whose credit spawns take."""


class Run(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Messages from `sender` to `target` (actor numbers), all under `topic`, in order."""

    target: int
    sender: int
    topic: str
    payloads: list[Any]
    cost: int


class Credit(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """`target` (an actor of the process that says so) has taken `units` of what was sent to it.
    Negative: so much less may be sent to it from now on, since others send to it too."""

    target: int
    units: int


class SpawnActor(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Start an actor as number `actor` in this worker; the number is made by the caller.

    `first` are messages (topic, payload) delivered before any other; `name` is registered before
    it starts; `context` are the context values that it inherits; `monitor` and `link` are those of
    the parent, set before it starts, so that no end is missed; `identity` is as whom the parent
    acts; `cost` is what it took of the sender's credit.
    """

    actor: int
    parent: int
    process: str
    args: list[Any]
    monitor: bool = False
    link: bool = False
    name: str = ""
    context: dict[str, Any] = {}
    first: list[tuple[str, Any]] = []
    identity: Identity | None = None
    cost: int = 1


class Monitor(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """`watcher` (an actor of the sender) wants to know of `target`'s end; `reference` is unique in
    its process."""

    target: int
    watcher: int
    reference: int


class Unmonitor(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Forget the monitor `reference` of `watcher`."""

    target: int
    watcher: int
    reference: int


class Link(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """`peer` (an actor of the sender) and `target` are linked from now on."""

    target: int
    peer: int


class Unlink(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """`peer` and `target` are linked no more."""

    target: int
    peer: int


CHILD = -1
"""In place of a reference: to the parent of a process that it spawned, for all its monitors."""


class Ended(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """To a watcher: the actor `actor` of the sender has ended.

    `reference` is the monitor's or the call's, 0 for a link, or `CHILD`. `value` is what it
    returned; `problem` says why it is not there (it was no data).
    """

    watcher: int
    actor: int
    reference: int
    reason: ExitReason
    value: Any = None
    problem: str = ""


class Call(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """A message that wants a reply under `reference`."""

    target: int
    sender: int
    topic: str
    payload: Any
    reference: int
    cost: int = 1


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """The reply to the call `reference` of `target`; `error` is a `Failure` as data, or None."""

    target: int
    reference: int
    payload: Any = None
    error: dict[str, Any] | None = None


class CancelPeer(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """Ask `target` to stop within `deadline_s` seconds; past it, it is killed."""

    target: int
    sender: int
    reason: str
    deadline_s: float


class KillPeer(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """End `target` now, as `terminate` asks."""

    target: int
    sender: int


class Probe(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """Say `Probed` when you have got this, and with it all that came before: the sender wants to
    close the connection."""


class Probed(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """The answer to a `Probe`."""


class Invoke(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """Call a function in this worker; answered with `Returned` under `reference`.

    Attributes:
        function: Entry id.
        caller: Number of the actor that calls.
        reference: Unique in the caller's process.
        args: Arguments, data.
        cost: Units that they take, at least 1.
        context: Context values, which travel on with the calls that the function makes.
        left_s: Seconds until the caller gives up; None: it does not.
        depth: How many calls this one is within, from 0.
        identity: As whom its caller acts, and so it does; None is the default identity.
    """

    function: str
    caller: int
    reference: int
    args: list[Any]
    cost: int = 1
    context: dict[str, Any] = {}
    left_s: float | None = None
    depth: int = 0
    identity: Identity | None = None


class Returned(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """The end of the call `reference`: its value, or why there is none.

    Attributes:
        reference: Of the call.
        value: What the function returned.
        error: What it raised; None if it returned.
        load: Calls under way in this worker, this one not counted.
        is_refused: It was never begun; another worker may take it.
    """

    reference: int
    value: Any = None
    error: Failure | None = None
    load: int = 0
    is_refused: bool = False


class CancelCall(msgspec.Struct, frozen=True, array_like=True, tag=22):
    """The caller has given the call `reference` up; nothing is answered."""

    reference: int
    reason: str = ""


class Broadcast(msgspec.Struct, frozen=True, array_like=True, tag=30):
    """A message from `sender` to several actors of this process. `data` is the encoded payload,
    decoded for each of them: two actors share nothing. It costs each account `cost` units."""

    targets: list[int]
    sender: int
    topic: str
    data: bytes
    cost: int


class Publish(msgspec.Struct, frozen=True, array_like=True, tag=31):
    """An observation for who subscribes to it here: `data` is the encoded payload, `at_s` UTC
    seconds since the epoch, `cost` its units of the credit of `OBSERVERS`."""

    topic: str
    sender: int
    at_s: float
    data: bytes
    cost: int


class NotPublished(msgspec.Struct, frozen=True, array_like=True, tag=32):
    """So many observations of these topics were dropped where they were published, since this
    process did not take them in."""

    counts: dict[str, int]


OBSERVERS = -2
"""In place of an actor's number: all subscriptions of a process. Their credit comes back when an
observation has arrived, not when it is taken: past their size subscriptions drop."""

Item = (
    Run
    | Credit
    | SpawnActor
    | Monitor
    | Unmonitor
    | Link
    | Unlink
    | Ended
    | Call
    | Answer
    | CancelPeer
    | KillPeer
    | Probe
    | Probed
    | Invoke
    | Returned
    | CancelCall
    | Broadcast
    | Publish
    | NotPublished
)


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """What one process says to another in one turn.

    Attributes:
        version: `WIRE_VERSION`.
        to_generation: Generation of the process it is meant for.
        node: Node of the sender.
        slot: Slot of the sender.
        generation: Generation of the sender.
        items: In order.
    """

    version: int
    to_generation: int
    node: str
    slot: str
    generation: int
    items: list[Item]
