"""The message plane of one process: what its actors say to others, and what comes for them.

Frames go out once a turn of the loop, one for each process that something was said to. What comes
in is given to the actors it is for; nothing that another process sends can raise out of the loop.
It is validated, delivered, or a dead letter with a reason and a count.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

import zmq

from wippy.core import framing, wire
from wippy.core.ids import Pid
from wippy.core.messages import (
    AllLeft,
    FromProcess,
    Function,
    Gone,
    GroupChanged,
    GroupMembers,
    HostReady,
    NameFreed,
    NameTaken,
    Observed,
    Observing,
    SayMembers,
    ToProcess,
    WatchProcess,
)
from wippy.core.reasons import ExitReason, NoProcess
from wippy.core.wire import Frame
from wippy.errors import Invalid
from wippy.runtime import guard
from wippy.runtime.admission import Admission
from wippy.runtime.barrier import BARRIER, Barrier
from wippy.runtime.bonds import Bonds
from wippy.runtime.bus import Bus
from wippy.runtime.calling import Calling
from wippy.runtime.connections import Connections
from wippy.runtime.context import Event, EventKind
from wippy.runtime.directory import Directory
from wippy.runtime.local import LocalActor
from wippy.runtime.membership import Membership
from wippy.runtime.peer import Outlet, Peer, Transport
from wippy.runtime.post import Post
from wippy.runtime.promised import Promised
from wippy.runtime.receiving import Receiving
from wippy.runtime.resting import selector_of
from wippy.runtime.sockets import LINGER_MS, Loopback, PullSocket, PushSocket, endpoint
from wippy.runtime.spawning import Spawner

T = TypeVar("T")

REMEMBERED_GONE = 4096
"""Processes known to be gone, so that late frames of theirs are dropped."""
PRUNE_ACCOUNTS = 10_000
"""Accounts and outlets kept; past it those that nobody uses are forgotten."""


class RootPort(Protocol):
    """The way to the root."""

    def send(self, message: FromProcess) -> None:
        """Send a frame to the root."""


class Serves(Protocol):
    """Runs functions for callers: a worker's (`wippy.runtime.serving`)."""

    def invoke(self, peer: Peer, order: wire.Invoke) -> None:
        """Begin a call, or refuse it."""

    def cancel(self, peer: Peer, order: wire.CancelCall) -> None:
        """Give a call up."""

    def caller_gone(self, peer: Peer) -> None:
        """Give up all calls of a process that has ended."""


class Plane:
    """Used by the thread of the loop only.

    Args:
        loop: Of this process.
        root: The way to the root.
        context: ZeroMQ's.
        pull: Bound for this process.
        pid: Of its actor 0.
        message_dir: Folder of the sockets.
        directory: Who can be reached.

    Attributes:
        actors: The actors that live here, by number.
        dead_letters: Messages that could not be delivered, by reason.
        sent: Messages sent.
        received: Messages delivered.
        on_spawn: Starts an actor for another process: a worker's.
        calling: The calls of functions that actors here make.
        serving: Runs functions for callers: a worker's.
        thread: Of the loop.
        selector: Lets other threads in while the loop waits; None: they have to ask it.
        names: Names of actors here, to their pids: the directory shows them a moment later.
        admission: What others spawn here.
        groups: The process groups.
        bus: The observation bus.
        receiving: Takes what comes in.
        connections: To other processes.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        root: RootPort,
        context: zmq.Context[zmq.Socket[bytes]],
        pull: PullSocket,
        *,
        pid: Pid,
        message_dir: str,
        directory: Directory,
    ) -> None:
        self.loop = loop
        self.root = root
        self.node, self.slot, self.generation = pid.node, pid.slot, pid.generation
        self.thread = threading.get_ident()
        self.selector = selector_of(loop)
        self._visitor = 0
        self.actors: dict[int, LocalActor] = {}
        self.dead_letters: Counter[str] = Counter()
        self.sent = 0
        self.received = 0
        self.on_spawn: Callable[[Peer, wire.SpawnActor], None] | None = None
        self._variables = copy_context()
        self._context = context
        self._pull = pull
        self._message_dir = message_dir
        self._peers: dict[tuple[str, int], Peer] = {}
        self._gone: dict[tuple[str, int], None] = {}
        self.connections = Connections(loop, self._push)
        self._dirty: list[Peer] = []
        self._is_flush_due = False
        self._woken = 0
        self._barrier = Barrier(self, self._connect_to_self)
        self.names: dict[str, str] = {}
        self.receiving = Receiving(self)
        self.bonds = Bonds(self)
        self.post = Post(self, directory)
        self.spawner = Spawner(self, self.post, Promised(self, directory))
        self.calling = Calling(self)
        self.serving: Serves | None = None
        self.admission = Admission()
        self.groups = Membership(self)
        self.bus = Bus(self)
        self._handlers: dict[type, Callable[[Peer, wire.Item], None]] = {
            wire.Returned: self.calling.returned,
            **self.receiving.handlers,
            **self.bonds.handlers,
            **self.groups.handlers,
            **self.bus.handlers,
        }
        self.own = self.peer(pid.slot, pid.generation)
        guard.watch_over(self)
        pull.start(loop, self.take, self._taken_in)

    # --- peers ------------------------------------------------------------------------------------

    def peer(self, slot: str, generation: int) -> Peer:
        """Return a process of this node; one that is known to be gone says so."""
        key = (slot, generation)
        peer = self._peers.get(key)
        if peer is None:
            peer = Peer(
                slot,
                generation,
                prefix=f"{self.node}/{slot}.{generation}/",
                head=framing.frame_head(generation, self.node, self.slot, self.generation),
                schedule=self._schedule,
                plane_sent=self._count_sent,
                connect=self._connect,
            )
            if key in self._gone:
                peer.is_gone = True
                return peer
            self._peers[key] = peer
        return peer

    def watch(self, peer: Peer) -> None:
        """Be told by the root when `peer` is gone; again does nothing."""
        if not peer.is_watched and peer is not self.own and not peer.is_promised:
            peer.is_watched = True
            self.root.send(WatchProcess(peer.slot, peer.generation))

    def outlet(self, local: LocalActor, peer: Peer, actor: int) -> Outlet:
        """Return the way from `local` to an actor of `peer`, new or not."""
        target = f"{peer.prefix}{actor}"
        outlet = local.outlets.get(target)
        if outlet is None or outlet.peer is not peer:
            if len(peer.accounts) > PRUNE_ACCOUNTS:
                peer.prune()
            # One that may be denied something has no fast path (`guard`).
            thread = guard.SHUT if local.is_bound else self.thread
            outlet = Outlet(peer, peer.account(actor), local.number, thread)
            local.outlets[target] = outlet
            if len(local.outlets) > PRUNE_ACCOUNTS:
                _prune_outlets(local)
        return outlet

    def _connect(self, peer: Peer) -> Transport | None:
        if peer.is_promised:
            return None
        if peer is self.own:
            return Loopback(self.loop, self._take_own, self._variables)
        self.watch(peer)
        return self.connections.connect(peer)

    def kept(self, peer: Peer) -> None:
        """A process that was promised is there: say what has waited for it."""
        peer.is_promised = False
        self.watch(peer)
        transport = self._connect(peer)
        if transport is not None:
            peer.connected(transport)

    def broken(self, peer: Peer, reason: ExitReason) -> None:
        """A process that was promised has not come: it ends before it was there. It may be promised
        again, so it is not remembered as gone."""
        peer.is_promised = False
        self.bury(Gone(peer.slot, peer.generation, reason))
        self._gone.pop((peer.slot, peer.generation), None)

    def _connect_to_self(self) -> Transport:
        own = endpoint(self._message_dir, self.slot, self.generation)
        return PushSocket(self._context, own)

    def _push(self, peer: Peer) -> Transport:
        return PushSocket(self._context, endpoint(self._message_dir, peer.slot, peer.generation))

    # --- sending ----------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send all that was said."""
        self._woken = 0
        while self._dirty:
            dirty, self._dirty = self._dirty, []
            now_s = self.loop.time()
            for peer in dirty:
                peer.used_at_s = now_s
                peer.flush()

    def about_to_wait(self) -> None:
        """An actor is about to wait for a message. If it is the last of those that the last
        messages woke, what was said goes out now: nobody else is to add to it in this turn."""
        self._woken -= 1
        if self._woken <= 0 and self._dirty:
            self.flush()

    @property
    def is_visited(self) -> bool:
        """Whether this thread does the loop's work just now."""
        return self._visitor == threading.get_ident()

    def visited(self, work: Callable[[], T]) -> T:
        """Do `work` in a thread that visits the loop while it waits; send what that says."""
        self._visitor = threading.get_ident()
        is_flush_due, self._is_flush_due = self._is_flush_due, True
        try:
            return work()
        finally:
            self._visitor = 0
            self._is_flush_due = is_flush_due
            if self._dirty:
                self.flush()

    def _taken_in(self) -> None:
        """Frames have been read: what the actors that they woke say is sent right behind their
        steps, without another turn of the loop for it."""
        wakers = self.receiving.wakers
        if not wakers:
            return
        is_flush_due, self._is_flush_due = self._is_flush_due, True
        self._woken = len(wakers)
        try:
            while wakers:
                wakers.popleft()()
        finally:
            self._is_flush_due = is_flush_due
            if wakers:
                # A `sys.exit` has left the step of an actor; the others still get theirs.
                self.loop.call_soon(self._taken_in)
            if self._dirty:
                self.flush()

    def _schedule(self, peer: Peer) -> None:
        self._dirty.append(peer)
        if not self._is_flush_due:
            self._is_flush_due = True
            self.loop.call_soon(self._flush_turn)

    def _flush_turn(self) -> None:
        self._is_flush_due = False
        self.flush()

    def _count_sent(self, count: int) -> None:
        self.sent += count

    # --- receiving --------------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Take a frame: from another process, or from this one."""
        if data == BARRIER:
            self._barrier.passed()
            return
        try:
            frame = framing.decode(data)
        except Invalid:
            self.dead_letters["malformed"] += 1
            return
        peer = self._sender_of(frame)
        if peer is None:
            return
        for item in frame.items:
            self._handlers[type(item)](peer, item)

    def _take_own(self, data: bytes) -> None:
        self.take(data)
        self._taken_in()

    def _sender_of(self, frame: Frame) -> Peer | None:
        key = (frame.slot, frame.generation)
        if frame.to_generation != self.generation:
            self._drop(frame, "wrong generation")
        elif frame.node != self.node or frame.generation < 1:
            self._drop(frame, "malformed")
        elif key in self._gone:
            self._drop(frame, "sender is gone")
        else:
            return self._peers.get(key) or self.peer(*key)
        return None

    def _drop(self, frame: Frame, reason: str) -> None:
        for item in frame.items:
            self.dead_letters[reason] += len(item.payloads) if isinstance(item, wire.Run) else 1

    def waiting(self) -> int:
        """Return how many messages wait in the mailboxes here."""
        return sum(local.mailbox.waiting for local in self.actors.values())

    # --- the root ---------------------------------------------------------------------------------

    def told(self, message: ToProcess) -> bool:
        """Take a frame from the root; False if it is not for the plane."""
        match message:
            case Gone():
                self._barrier.gone(message)
            case NameFreed(name):
                self.bonds.name_freed(name)
            case NameTaken(name, pid):
                self._name_taken(name, pid)
            case Function() | HostReady():
                self.calling.told(message)
                if isinstance(message, HostReady):
                    self.spawner.promised.told(message)
            case GroupMembers() | GroupChanged() | AllLeft():
                self.groups.told(message)
            case Observing() | Observed():
                self.bus.told(message)
            case SayMembers():
                self.bus.announce()
                self.groups.announce()
            case _:
                return False
        return True

    def _name_taken(self, name: str, holder: str) -> None:
        own = self.names.get(name)
        for local in self.actors.values():
            if local.pid == own and own != holder:
                del self.names[name]
                local.names.discard(name)
                text = f"the name {name!r} is that of {holder or 'nobody here'}"
                local.events.put(Event(EventKind.NAME_TAKEN, text, 0.0, sender=holder))
                return

    # --- ends -------------------------------------------------------------------------------------

    def add(self, local: LocalActor) -> None:
        """An actor lives here from now on."""
        self.actors[local.number] = local

    def bury(self, message: Gone) -> None:
        """A process has ended, and all that it had sent has come: tell who wants to know."""
        key = (message.slot, message.generation)
        reason: ExitReason = NoProcess() if message.noproc else message.reason
        self._gone[key] = None
        if len(self._gone) > REMEMBERED_GONE:
            del self._gone[next(iter(self._gone))]
        peer = self._peers.pop(key, None)
        if peer is None:
            return
        peer.bury()
        self.connections.gone(peer)
        for local in list(self.actors.values()):
            local.mailbox.forget(peer)
        self.bonds.process_ended(peer, reason)
        if self.serving is not None:
            self.serving.caller_gone(peer)
        self.bus.process_ended(peer)
        self.admission.process_ended(peer)

    async def farewell(self, local: LocalActor, reason: ExitReason, value: Any) -> None:
        """Tell of the end of the only actor; return when it is told (its names come first)."""
        told: asyncio.Future[None] = self.loop.create_future()
        self.bonds.actor_ended(local, reason, value, then=lambda: told.set_result(None))
        await told
        self.flush()

    def close(self) -> None:
        """Send what was said and close all sockets: LINGER bounds how long that may take."""
        self.flush()
        self.connections.close()
        self._barrier.close()
        for peer in self._peers.values():
            peer.disconnect(linger_ms=LINGER_MS)
        self._pull.close()


def _prune_outlets(local: LocalActor) -> None:
    # In place: the actor's context has the same dict.
    for target, outlet in list(local.outlets.items()):
        is_over = outlet.peer.is_gone or outlet.account.is_absent
        if outlet.topic is None and (is_over or outlet.account.credit >= wire.WINDOW_UNITS):
            del local.outlets[target]
