"""What comes for the actors of a process: each item of a frame, to whom it is for.

Nothing that another process sends can raise: it is delivered, or a dead letter with a reason and a
count, and whoever is owed credit for it gets it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from wippy.core import ids, wire
from wippy.core.directory import name_key
from wippy.core.mailbox import Box, Delivery
from wippy.core.reasons import NoProcess
from wippy.errors import Failure, Invalid
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane


class Receiving:
    """Used by the thread of the loop only.

    Args:
        plane: Whose frames they are.

    Attributes:
        handlers: By type of item.
        wakers: Of those that the frames of this turn have woken.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.wakers: deque[Callable[[], None]] = deque()
        self.handlers: dict[type, Callable[[Peer, wire.Item], None]] = {
            wire.Run: self._run,
            wire.Credit: self._credit,
            wire.Call: self._call,
            wire.SpawnActor: self._spawn,
            wire.Invoke: self._invoke,
            wire.Probe: self._probe,
            wire.Probed: self._probed,
            wire.CancelCall: self._cancel_call,
        }

    def _run(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.Run)
        actor = self._plane.actors.get(item.target)
        count = len(item.payloads)
        if actor is None:
            self.undeliverable(peer, item.target, count, item.cost)
            return
        delivery = Delivery(
            item.topic, f"{peer.prefix}{item.sender}", item.payloads, item.cost, peer
        )
        box = actor.mailbox.put(delivery)
        if box is None:
            self._plane.dead_letters["window ignored"] += count
            return
        if actor.mailbox.changes:
            self.tell_windows(actor)
        self._plane.received += count
        if box.wakers:
            self.wake(box)

    def _call(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.Call)
        actor = self._plane.actors.get(item.target)
        if actor is None:
            self.undeliverable(peer, item.target, 1, item.cost)
            peer.say(wire.Ended(item.sender, item.target, item.reference, NoProcess()))
            return
        delivery = Delivery(
            item.topic,
            f"{peer.prefix}{item.sender}",
            [item.payload],
            item.cost,
            peer,
            item.reference,
        )
        box = actor.mailbox.put(delivery)
        if box is None:
            self._plane.dead_letters["window ignored"] += 1
            return
        if actor.mailbox.changes:
            self.tell_windows(actor)
        self._plane.received += 1
        actor.note_call(peer, item.reference, item.sender)
        self.wake(box)

    def wake(self, box: Box) -> None:
        """Wake all who wait for `box`."""
        # One by one: a thread may add itself to the list at the same moment.
        while box.wakers:
            self.wakers.append(box.wakers.pop(0))

    def undeliverable(self, peer: Peer, target: int, count: int, cost: int) -> None:
        """There is no such actor: count it, give the credit back, and say so."""
        self._plane.dead_letters["no such actor"] += count
        peer.say(wire.Credit(target, cost))
        peer.say(wire.Ended(wire.WORKER, target, 0, NoProcess()))

    def taken(self, local: LocalActor, delivery: Delivery) -> None:
        """`local` has taken a delivery: its sender gets the credit back, some at a time."""
        units = local.mailbox.taken(delivery)
        if units:
            peer = delivery.origin
            assert isinstance(peer, Peer)
            peer.say(wire.Credit(local.number, units))

    def tell_windows(self, actor: LocalActor) -> None:
        """Tell the senders to an actor by how much their windows have changed."""
        changes, actor.mailbox.changes = actor.mailbox.changes, ()
        for peer, units in changes:
            assert isinstance(peer, Peer)
            peer.say(wire.Credit(actor.number, units))

    def _credit(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.Credit)
        account = peer.accounts.get(item.target)
        if account is None:
            return
        account.credit = min(account.credit + item.units, wire.WINDOW_UNITS)
        if account.waiters and account.credit > 0:
            account.wake()

    def _spawn(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.SpawnActor)
        self._plane.watch(peer)
        try:
            ids.split_id(item.process)
            if item.name:
                name_key(item.name)
        except Invalid:
            self._plane.dead_letters["malformed"] += 1  # who spawns has checked both
            return
        if not self._plane.admission.admit(peer, item.cost):
            self._refuse_spawn(peer, item, "window ignored")
        elif self._plane.on_spawn is None or item.actor in self._plane.actors:
            self._plane.admission.begun(peer, item.cost)
            self._refuse_spawn(peer, item, "no host")
        else:
            self._plane.on_spawn(peer, item)

    def _refuse_spawn(self, peer: Peer, item: wire.SpawnActor, reason: str) -> None:
        self._plane.dead_letters[reason] += 1
        peer.say(wire.Ended(item.parent, item.actor, wire.CHILD, NoProcess()))

    def _invoke(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.Invoke)
        if self._plane.serving is None:
            self._plane.dead_letters["no host"] += 1
            why = Failure("unavailable", f"{self._plane.slot} is no worker of a pool")
            peer.say(wire.Returned(item.reference, error=why, is_refused=True))
        else:
            self._plane.serving.invoke(peer, item)

    def _cancel_call(self, peer: Peer, item: wire.Item) -> None:
        assert isinstance(item, wire.CancelCall)
        if self._plane.serving is not None:
            self._plane.serving.cancel(peer, item)

    def _probe(self, peer: Peer, _item: wire.Item) -> None:
        peer.say(wire.Probed())

    def _probed(self, peer: Peer, _item: wire.Item) -> None:
        self._plane.connections.answered(peer)
