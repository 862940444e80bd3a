"""Making actors: in a pool, peer to peer; in a process of their own, by the root.

The caller makes the pid (the slot of a new process, the actor's number in a worker), so a spawn
returns at once, and a message sent right after it arrives after the start.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wippy.core import framing, ids, payload, wire
from wippy.core.directory import HostAddress, name_key
from wippy.core.messages import EndProcess, SpawnProcess
from wippy.core.outgoing import cost_of
from wippy.errors import MailboxFull
from wippy.runtime import guard
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer
from wippy.runtime.post import Post, check_size, check_topic
from wippy.runtime.promised import Promised

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane

ACTOR_BITS = 59
"""Of the random number of an actor: 18 decimal digits at most, and no two of one worker meet."""
SLOT_BYTES = 5
"""Of randomness in a slot: 8 characters of base32."""
WORKER_MARK = "#"
"""In the slot of a worker of a pool (`ids.worker_slot`)."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a spawn may say besides what and where.

    Attributes:
        name: Registered for the new actor before it starts; empty is none.
        values: Context values, over those that it inherits.
        first: Messages (topic, payload) delivered before any other.
    """

    name: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    first: tuple[tuple[str, Any], ...] = ()


class Spawner:
    """Makes and ends actors for those of one process.

    Args:
        plane: What carries the frames.
        post: Finds pools.
        promised: The workers of pools that have none yet.
    """

    def __init__(self, plane: Plane, post: Post, promised: Promised) -> None:
        self.promised = promised
        self._plane = plane
        self._post = post
        self._placed: dict[str, tuple[HostAddress, dict[tuple[str, int], int]]] = {}

    def spawn(
        self,
        local: LocalActor,
        process: str,
        host: str,
        args: tuple[Any, ...],
        *,
        options: Options,
        is_monitored: bool = False,
        is_linked: bool = False,
    ) -> tuple[Peer, int]:
        """Start an actor of the entry `process`; return where it will live.

        Raises:
            Invalid: An id is none, a name or a topic neither; the arguments are too large.
            TypeError: An argument is no data.
            MailboxFull: The workers of the pool have not begun what was spawned before.
        """
        order = _Order(local, process, host, args, options, is_monitored, is_linked)
        worker = self._place(host) if host else None
        return self._in_pool(order, worker) if worker else self._dedicated(order)

    def cancel(self, local: LocalActor, target: str, reason: str, deadline_s: float) -> None:
        """Ask an actor to end within `deadline_s`; past it, it is killed."""
        self._end(local, target, EndProcess("", 1, "cancel", reason, deadline_s))

    def terminate(self, local: LocalActor, target: str) -> None:
        """End an actor now."""
        self._end(local, target, EndProcess("", 1, "kill"))

    def _end(self, local: LocalActor, target: str, how: EndProcess) -> None:
        found = self._post.find(target)
        if found is None or found[0].is_gone:
            return  # what is not there needs no end
        peer, actor = found
        if WORKER_MARK not in peer.slot:
            order = EndProcess(peer.slot, peer.generation, how.how, how.reason, how.deadline_s)
            # Behind what was sent to it: a request before a cancel is a request it may still see.
            self._plane.flush()
            self._plane.root.send(order)
            return
        item: wire.Item = wire.KillPeer(actor, local.number)
        if how.how == "cancel":
            item = wire.CancelPeer(actor, local.number, how.reason, how.deadline_s)
        peer.say(item, after=local.outlets.get(f"{peer.prefix}{actor}"))

    # --- in a pool --------------------------------------------------------------------------------

    def _place(self, host: str) -> tuple[str, int] | None:
        """Return the worker of a pool with the fewest actors, or one that it is to have; None
        where there is neither.

        The directory's counts are some seconds old: those that were placed since are added.
        """
        address = self._post.directory.host(host)
        if address is None or not address.workers:
            self._placed.pop(host, None)
            coming = self.promised.place(host)
            if coming is not None:
                return coming
            # The first one may have come between the two looks.
            address = self._post.directory.host(host)
            if address is None or not address.workers:
                return None
        self.promised.look(host)
        known = self._placed.get(host)
        if known is None or known[0] != address:
            known = self._placed[host] = (address, {})
        placed = known[1]
        slot, generation, _ = self._least(host, address.workers, placed)
        placed[slot, generation] = placed.get((slot, generation), 0) + 1
        return slot, generation

    def _least(
        self,
        host: str,
        workers: tuple[tuple[str, int, int], ...],
        placed: dict[tuple[str, int], int],
    ) -> tuple[str, int, int]:
        """Return the worker with the fewest actors, of those that have room."""

        def load(it: tuple[str, int, int]) -> tuple[int, str]:
            return it[2] + placed.get(it[:2], 0), it[0]

        least = min(workers, key=load)
        if self._has_room(least):
            return least
        open_ = [it for it in workers if self._has_room(it)]
        if not open_:
            raise MailboxFull(
                f"the workers of {host} have not begun the last {wire.WINDOW_UNITS} spawns of this "
                f"process, or KiB of them, each; wait for them: await process.ready({host!r})"
            )
        return min(open_, key=load)

    def _has_room(self, worker: tuple[str, int, int]) -> bool:
        peer = self._plane.peer(*worker[:2])
        return peer.is_gone or peer.account(wire.WORKER).credit > 0

    async def ready(self, host: str) -> None:
        """Wait until a spawn into a pool would not be refused for want of room."""
        while True:
            address = self._post.directory.host(host)
            workers = () if address is None else address.workers
            if not workers or any(map(self._has_room, workers)):
                return
            waiter: asyncio.Future[None] = self._plane.loop.create_future()
            for worker in workers:
                self._plane.peer(*worker[:2]).account(wire.WORKER).waiters.append(waiter)
            self._plane.flush()
            await waiter

    def _in_pool(self, order: _Order, worker: tuple[str, int]) -> tuple[Peer, int]:
        peer = self._plane.peer(*worker)
        actor = secrets.randbits(ACTOR_BITS) + 1
        local, options = order.parent, order.options
        args, context = order.encoded_args(), payload.encode(order.values())
        first = payload.encode([list(one) for one in options.first])
        # No one argument or first message is larger than a message may be; all together may be.
        cost = min(cost_of(args) + (len(context) + len(first)) // 1024, wire.WINDOW_UNITS)
        item = wire.SpawnActor(
            actor,
            local.number,
            order.process,
            framing.raw(args),
            monitor=order.is_monitored,
            link=order.is_linked,
            name=options.name,
            context=framing.raw(context),
            first=framing.raw(first),
            identity=guard.acting(),
            cost=cost,
        )
        peer.account(wire.WORKER).credit -= cost
        peer.say(item)
        return peer, actor

    # --- in a process of its own ------------------------------------------------------------------

    def _dedicated(self, order: _Order) -> tuple[Peer, int]:
        random = base64.b32encode(secrets.token_bytes(SLOT_BYTES)).decode().lower()
        slot = f"{order.process}{ids.SPAWNED_MARK}{random}"
        # The root must know of it before it can be watched, and watched before it is written to.
        self._plane.root.send(
            SpawnProcess(
                slot=slot,
                process=order.process,
                host=order.host,
                args=framing.raw(order.encoded_args()),
                parent=order.parent.pid,
                monitor=order.is_monitored,
                link=order.is_linked,
                name=order.options.name,
                context=framing.raw(payload.encode(order.values())),
                identity=guard.acting(),
            )
        )
        peer = self._plane.peer(slot, 1)
        for topic, value in order.options.first:
            self._post.send(order.parent, f"{peer.prefix}0", topic, payload.encode(value))
        return peer, 0


@dataclass(frozen=True, slots=True)
class _Order:
    """A spawn, checked."""

    parent: LocalActor
    process: str
    host: str
    args: tuple[Any, ...]
    options: Options
    is_monitored: bool
    is_linked: bool

    def __post_init__(self) -> None:
        ids.split_id(self.process)
        if self.host:
            ids.split_id(self.host)
        if self.options.name:
            name_key(self.options.name)
        for topic, value in self.options.first:
            check_topic(topic)
            check_size(payload.encode(value))

    def encoded_args(self) -> bytes:
        """Return the arguments; an error names the one that is no data."""
        try:
            data = payload.encode(list(self.args))
        except TypeError as error:
            raise TypeError(str(error).replace("payload", "args", 1)) from None
        check_size(data)
        return data

    def values(self) -> dict[str, Any]:
        """Return the context values of the new actor."""
        return {**self.parent.values, **self.options.values}
