"""Where a message goes: pids, services by entry id, registered names; and messages that wait.

A service that is being restarted is in no directory for a moment. What is sent to it meanwhile is
held here, bounded in size and time, and goes to the new generation when it is READY.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wippy.core import ids, wire
from wippy.core.ids import Pid
from wippy.core.outgoing import check_size as check_size
from wippy.core.outgoing import check_topic as check_topic
from wippy.core.wire import CREDIT_UNIT_BYTES, WINDOW_UNITS
from wippy.errors import MailboxFull, NotFound, Timeout
from wippy.runtime.directory import Directory
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Account, Outlet, Peer

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane

HOLD_S = 30.0
"""How long messages for a service that cannot be reached are held: longer than most restarts take;
then they are dead letters."""
POLL_S, POLL_MAX_S = 0.005, 0.2
"""How often the directory is asked meanwhile: at first often, then less and less."""


@dataclass(slots=True)
class _Held:
    """Messages for a service that cannot be reached."""

    messages: deque[tuple[LocalActor, str, bytes]] = field(default_factory=deque)
    units: int = 0
    give_up_at_s: float = 0.0
    poll_s: float = POLL_S
    waiters: list[asyncio.Future[None]] = field(default_factory=list)


class Post:
    """Finds the way to a target, for all actors of one process.

    Args:
        plane: What carries the messages.
        directory: Who can be reached.
    """

    def __init__(self, plane: Plane, directory: Directory) -> None:
        self.directory = directory
        self._plane = plane
        self._held: dict[str, _Held] = {}

    # --- sending ----------------------------------------------------------------------------------

    def send(self, local: LocalActor, target: str, topic: str, data: bytes) -> None:
        """Send an encoded payload to a pid, a service or a name.

        Raises:
            Invalid: Topic or target is none; the message is too large.
            NotFound: Nobody has that name.
            MailboxFull: The target has not taken what was sent before.
        """
        check_topic(topic)
        check_size(data)
        if target in self._held:
            self._hold(local, target, topic, data)
            return
        outlet = self._outlet(local, target)
        if outlet is None:
            self._hold(local, target, topic, data)
        elif outlet.peer.is_gone or outlet.account.is_absent:
            self._plane.dead_letters["no such process"] += 1
        else:
            _write(outlet, topic, data)

    async def ready(self, local: LocalActor, target: str) -> None:
        """Wait until a message to `target`, or a spawn into it, would not be refused for want of
        room."""
        if self._is_pool(target):
            await self._plane.spawner.ready(target)
            return
        while True:
            held = self._held.get(target)
            outlet = None if held is not None else self._outlet(local, target)
            if outlet is not None and is_open(outlet):
                return
            if outlet is None and held is None:
                return
            waiter: asyncio.Future[None] = self._plane.loop.create_future()
            (held if held is not None else _account(outlet)).waiters.append(waiter)
            self._plane.flush()
            await waiter

    def _is_pool(self, target: str) -> bool:
        if ":" not in target or "/" in target or target in self._held:
            return False
        return not self.directory.is_known(target) and self.directory.host(target) is not None

    async def reach(self, target: str, cost: int, timeout_s: float) -> tuple[Peer, int]:
        """Return the process and the actor that `target` means; wait for a service that is being
        restarted, behind what is held for it.

        Raises:
            Timeout: It is not back within `timeout_s` seconds.
            MailboxFull: Too much is held for it already.
            NotFound: It is not there, and nobody knows of it, or it was given up.
        """
        found = self.reachable(target)
        if found is not None:
            return found
        if not self.directory.is_known(target):
            raise NotFound(f"{target} cannot be reached: it is not running")
        held = self._holding(target)
        waiter: asyncio.Future[None] = self._plane.loop.create_future()
        held.waiters.append(waiter)
        held.units += cost
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            raise Timeout(f"{target} is not back within {timeout_s:g} s") from None
        finally:
            held.units -= cost
        found = self.reachable(target)
        if found is None:
            raise NotFound(f"{target} cannot be reached: it has not come back")
        return found

    def reachable(self, target: str) -> tuple[Peer, int] | None:
        """Return what `find` returns, but None also for a service whose actor there has ended: one
        to wait for (`reach`)."""
        found = self.find(target)
        is_pid = "/" in target
        if found is None or is_pid or not _is_absent(*found):
            return found
        return None if ":" in target else found

    # --- resolving --------------------------------------------------------------------------------

    def find(self, target: str) -> tuple[Peer, int] | None:
        """Return the process and the actor that `target` means now; None for a service that cannot
        be reached now.

        Raises:
            Invalid: It is neither a pid, nor an entry id, nor a name.
            NotFound: Nobody has that name, or it is an actor of another node.
        """
        if not isinstance(target, str):
            raise TypeError(f"a target is a str (a pid, an entry id, a name), not {target!r:.80}")
        pid = self._pid(target)
        return None if pid is None else (self._plane.peer(pid.slot, pid.generation), pid.actor)

    def _pid(self, target: str) -> Pid | None:
        if "/" in target:
            pid = Pid.parse(target)
            if pid.node != self._plane.node:
                raise NotFound(f"{target}: there is no connection to node {pid.node!r}")
            return pid
        if ":" in target:
            ids.split_id(target)
            return self.directory.service(target)
        holder = self.directory.name(target)
        if holder is None:
            raise NotFound(f"nobody has registered the name {target!r}")
        return holder

    def _outlet(self, local: LocalActor, target: str) -> Outlet | None:
        outlet = local.outlets.get(target)
        if outlet is not None and not (outlet.peer.is_gone or outlet.account.is_absent):
            return outlet
        if outlet is not None and "/" in target:
            return outlet
        found = self.find(target)
        if found is None:
            return None
        peer, actor = found
        outlet = self._plane.outlet(local, peer, actor)
        if "/" not in target:
            if peer.is_gone or outlet.account.is_absent:
                # The directory is a moment behind.
                return None
            self._watch_actor(peer, actor)
            local.outlets[target] = outlet
        return outlet

    def _watch_actor(self, peer: Peer, actor: int) -> None:
        """Be told when a service ends whose process goes on: this process itself watches."""
        self._plane.watch(peer)
        peer.say(wire.Monitor(actor, wire.WORKER, 0))

    # --- holding ----------------------------------------------------------------------------------

    def _hold(self, local: LocalActor, target: str, topic: str, data: bytes) -> None:
        held = self._holding(target)
        held.messages.append((local, topic, data))
        held.units += -(-len(data) // CREDIT_UNIT_BYTES) or 1

    def _holding(self, target: str) -> _Held:
        """Return what is held for a service, if there is room for more."""
        held = self._held.get(target)
        if held is None:
            held = self._held[target] = _Held(give_up_at_s=self._plane.loop.time() + HOLD_S)
            self._plane.loop.call_later(POLL_S, self._poll, target)
        if held.units >= WINDOW_UNITS:
            raise MailboxFull(
                f"{target} cannot be reached, and {held.units} KiB or messages are held for it "
                "already; wait for it: await process.ready(id)"
            )
        return held

    def _poll(self, target: str) -> None:
        held = self._held[target]
        found = self.find(target)
        if found is not None and not _is_absent(*found):
            self._release(target)
            return
        if self._plane.loop.time() >= held.give_up_at_s:
            self._plane.dead_letters["service not reached"] += len(held.messages)
            del self._held[target]
            _wake(held.waiters)
            return
        held.poll_s = min(held.poll_s * 1.5, POLL_MAX_S)
        self._plane.loop.call_later(held.poll_s, self._poll, target)

    def _release(self, target: str) -> None:
        held = self._held.pop(target)
        for local, topic, data in held.messages:
            try:
                self.send(local, target, topic, data)
            except (MailboxFull, NotFound):
                self._plane.dead_letters["service not reached"] += 1
        _wake(held.waiters)


def _is_absent(peer: Peer, actor: int) -> bool:
    return peer.is_gone or peer.account(actor).is_absent


def is_open(outlet: Outlet) -> bool:
    """Say whether a message would be taken (or dropped, where nobody is there any more)."""
    if outlet.peer.is_gone or outlet.account.is_absent:
        return True
    return outlet.account.credit > (len(outlet.payloads) if outlet.topic is not None else 0)


def _write(outlet: Outlet, topic: str, data: bytes) -> None:
    if len(data) > CREDIT_UNIT_BYTES:
        outlet.close()
        outlet.write_large(topic, data)
        return
    if outlet.topic != topic:
        outlet.close()
        outlet.open(topic)
    outlet.payloads.append(data)
    outlet.room -= 1
    if not outlet.room:
        outlet.close()


def _account(outlet: Outlet | None) -> Account:
    assert outlet is not None
    return outlet.account


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
