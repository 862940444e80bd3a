"""Who wants to know of whose end: monitors, links, calls, on both sides (supervision.md section 9).

An actor's end is told by its own process, in the frames of its messages, so after them; an OS
process's end is told by the root, and becomes the EXIT events of everything that waited for it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wippy.core import framing, payload, wire
from wippy.core.calls import Kind, Wait, Waits
from wippy.core.messages import UnregisterName
from wippy.core.reasons import ExitReason, NoProcess, Normal, sentence
from wippy.core.wire import MAX_MESSAGE_BYTES, WORKER
from wippy.errors import Exited, Failure, Internal, Invalid, NotFound, Unavailable, WippyError
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer

if TYPE_CHECKING:
    from wippy.runtime.asking import Reply
    from wippy.runtime.plane import Plane

FREE_TIMEOUT_S = 1.0
"""How long an actor's end waits for the root to free its names, before it is told anyway."""


class Bonds:
    """The bonds of one process's actors.

    Args:
        plane: Theirs.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.waits = Waits()
        self._freeing: dict[str, Callable[[], None]] = {}
        self.handlers: dict[type, Callable[[Peer, Any], None]] = {
            wire.Monitor: self._monitor,
            wire.Unmonitor: self._unmonitor,
            wire.Link: self._link,
            wire.Unlink: self._unlink,
            wire.Ended: self._ended,
            wire.Answer: self._answer,
            wire.CancelPeer: self._cancel,
            wire.KillPeer: self._kill,
        }

    # --- what actors here ask for -----------------------------------------------------------------

    def monitor(self, local: LocalActor, peer: Peer, actor: int, *, is_spawn: bool = False) -> Wait:
        """Let `local` have an EXIT event at the end of an actor. A spawn says so itself."""
        return self._watch(local, peer, actor, Kind.MONITOR, None, is_spawn=is_spawn)

    def wait_for_value(
        self, local: LocalActor, peer: Peer, actor: int, then: asyncio.Future[Any]
    ) -> Wait:
        """Let `then` have what an actor that is being spawned returns, or why it did not."""
        return self._watch(local, peer, actor, Kind.EXEC, then, is_spawn=True)

    def unmonitor(self, local: LocalActor, peer: Peer, actor: int) -> None:
        """Take back all monitors of an actor."""
        for reference in list(local.waits):
            wait = self.waits.get(reference)
            if wait and (wait.kind, wait.origin, wait.target) == (Kind.MONITOR, peer, actor):
                self.give_up(local, reference)

    def give_up(self, local: LocalActor, reference: int) -> None:
        """Wait no more; an answer that still comes is dropped."""
        local.waits.discard(reference)
        wait = self.waits.give_up(reference)
        if wait is None or not isinstance(wait.origin, Peer):
            return
        if wait.kind is Kind.INVOKE:
            wait.origin.say(wire.CancelCall(reference))
            wait.then.cancel()  # whoever waits in another task than the actor's own
        else:
            wait.origin.say(wire.Unmonitor(wait.target, local.number, reference))

    def link(self, local: LocalActor, peer: Peer, actor: int, *, is_spawn: bool = False) -> None:
        """Link `local` and an actor: the end of one is the other's, or its LINK_DOWN event."""
        if (peer, actor) in local.links:
            return
        self._bind(local, peer, actor)
        if peer.is_gone:
            self._plane.loop.call_soon(self._link_ended, local, peer, actor, NoProcess())
        elif not is_spawn:
            self._plane.watch(peer)
            peer.say(wire.Link(actor, local.number), after=self._outlet(local, peer, actor))

    def unlink(self, local: LocalActor, peer: Peer, actor: int) -> None:
        """Take a link back."""
        if (peer, actor) in local.links:
            self._unbind(local, peer, actor)
            peer.say(wire.Unlink(actor, local.number))

    def call(
        self,
        local: LocalActor,
        peer: Peer,
        actor: int,
        message: tuple[str, bytes],
        then: asyncio.Future[Any] | Reply,
    ) -> int:
        """Send a call; return its reference."""
        topic, data = message
        outlet = self._plane.outlet(local, peer, actor)
        outlet.close()
        wait = self.waits.add(Kind.CALL, local.number, peer, actor, then)
        local.waits.add(wait.reference)
        if peer.is_gone:
            self._plane.loop.call_soon(self._end_wait, wait.reference, peer, NoProcess())
            return wait.reference
        self._plane.watch(peer)
        cost = -(-len(data) // wire.CREDIT_UNIT_BYTES) or 1
        outlet.account.credit -= cost
        self._plane.sent += 1
        peer.say(wire.Call(actor, local.number, topic, framing.raw(data), wait.reference, cost))
        return wait.reference

    def _watch(
        self,
        local: LocalActor,
        peer: Peer,
        actor: int,
        kind: Kind,
        then: asyncio.Future[Any] | None,
        *,
        is_spawn: bool,
    ) -> Wait:
        wait = self.waits.add(kind, local.number, peer, actor, then)
        local.waits.add(wait.reference)
        if peer.is_gone:
            self._plane.loop.call_soon(self._end_wait, wait.reference, peer, NoProcess())
            return wait
        self._plane.watch(peer)
        if not is_spawn:
            peer.say(
                wire.Monitor(actor, local.number, wait.reference),
                after=self._outlet(local, peer, actor),
            )
        return wait

    def _outlet(self, local: LocalActor, peer: Peer, actor: int) -> Any:
        return local.outlets.get(f"{peer.prefix}{actor}")

    def _bind(self, local: LocalActor, peer: Peer, actor: int) -> None:
        local.links.add((peer, actor))
        peer.linked.add(local.number)

    def _unbind(self, local: LocalActor, peer: Peer, actor: int) -> None:
        local.links.discard((peer, actor))
        if not any(other is peer for other, _ in local.links):
            peer.linked.discard(local.number)

    # --- what others ask for ----------------------------------------------------------------------

    def spawned(self, local: LocalActor, peer: Peer, parent: int, *, is_linked: bool) -> None:
        """`local` was spawned by an actor of `peer`, which is told of its end, and linked if it
        wants to be."""
        local.parent = (peer, parent)
        if is_linked:
            self._plane.watch(peer)  # its process may be killed before a word was said to it
            self._bind(local, peer, parent)

    def _monitor(self, peer: Peer, item: wire.Monitor) -> None:
        local = self._plane.actors.get(item.target)
        if local is None:
            peer.say(wire.Ended(item.watcher, item.target, item.reference, NoProcess()))
            return
        self._plane.watch(peer)
        local.watchers[peer, item.reference] = item.watcher

    def _unmonitor(self, peer: Peer, item: wire.Unmonitor) -> None:
        local = self._plane.actors.get(item.target)
        if local is not None:
            local.watchers.pop((peer, item.reference), None)
            local.unanswered.pop((peer, item.reference), None)

    def _link(self, peer: Peer, item: wire.Link) -> None:
        local = self._plane.actors.get(item.target)
        if local is None:
            peer.say(wire.Ended(item.peer, item.target, 0, NoProcess()))
            return
        self._plane.watch(peer)
        self._bind(local, peer, item.peer)

    def _unlink(self, peer: Peer, item: wire.Unlink) -> None:
        local = self._plane.actors.get(item.target)
        if local is not None:
            self._unbind(local, peer, item.peer)

    def _cancel(self, peer: Peer, item: wire.CancelPeer) -> None:
        local = self._plane.actors.get(item.target)
        if local is not None:
            local.cancel(item.reason, max(0.0, item.deadline_s))

    def _kill(self, peer: Peer, item: wire.KillPeer) -> None:
        local = self._plane.actors.get(item.target)
        if local is not None:
            local.kill()

    # --- answers and ends -------------------------------------------------------------------------

    def _answer(self, peer: Peer, item: wire.Answer) -> None:
        wait = self.waits.end(item.reference, peer)
        if wait is None:
            self._plane.dead_letters["late reply"] += 1
            return
        self._forget_wait(wait)
        if item.error is None:
            _fulfil(wait, item.payload)
        else:
            _fail(wait, _error_of(item.error))

    def _ended(self, peer: Peer, item: wire.Ended) -> None:
        if item.watcher == WORKER:
            account = peer.accounts.get(item.actor)
            if account is not None:
                account.is_absent = True
                account.wake()
        elif item.reference > 0:
            self._end_wait(item.reference, peer, item.reason, item.value, item.problem)
        elif item.reference == 0:
            local = self._plane.actors.get(item.watcher)
            if local is not None:
                self._link_ended(local, peer, item.actor, item.reason)
        else:
            for wait in self.waits.end_child(item.watcher, peer, item.actor):
                self._settle(wait, item.reason, item.value, item.problem)
            local = self._plane.actors.get(item.watcher)
            if local is not None:
                self._link_ended(local, peer, item.actor, item.reason)

    def _end_wait(
        self,
        reference: int,
        peer: Peer,
        reason: ExitReason,
        value: Any = None,
        problem: str = "",
    ) -> None:
        wait = self.waits.end(reference, peer)
        if wait is not None:
            self._settle(wait, reason, value, problem)

    def _link_ended(self, local: LocalActor, peer: Peer, actor: int, reason: ExitReason) -> None:
        if (peer, actor) in local.links:
            self._unbind(local, peer, actor)
            self._plane.groups.member_ended(f"{peer.prefix}{actor}")
            local.tell_link_down(f"{peer.prefix}{actor}", reason)

    def _settle(self, wait: Wait, reason: ExitReason, value: Any, problem: str) -> None:
        local = self._forget_wait(wait)
        assert isinstance(wait.origin, Peer)
        if wait.kind is Kind.INVOKE:
            _fail(wait, _worker_lost(wait.origin, reason))
            return
        pid = f"{wait.origin.prefix}{wait.target}"
        if wait.kind is Kind.MONITOR:
            self._plane.groups.member_ended(pid)
            if local is not None:
                local.tell_exit(pid, reason, value, problem)
        elif wait.kind is Kind.EXEC and isinstance(reason, Normal):
            if problem:
                _fail(wait, Invalid(f"{pid} returned what is no data: {problem}"))
            else:
                _fulfil(wait, value)
        else:
            _fail(wait, _error_for(pid, reason, wait.kind))

    def _forget_wait(self, wait: Wait) -> LocalActor | None:
        local = self._plane.actors.get(wait.watcher)
        if local is not None:
            local.waits.discard(wait.reference)
        return local

    def process_ended(self, peer: Peer, reason: ExitReason) -> None:
        """A whole process is gone, with all its actors."""
        for local in list(self._plane.actors.values()):
            local.forget_callers(peer)
        for wait in self.waits.end_all(peer):
            self._settle(wait, reason, None, "")
        linked = [self._plane.actors.get(number) for number in sorted(peer.linked)]
        for local in filter(None, linked):
            for actor in sorted(actor for other, actor in local.links if other is peer):
                self._link_ended(local, peer, actor, reason)

    # --- the end of an actor here -----------------------------------------------------------------

    def actor_ended(
        self,
        local: LocalActor,
        reason: ExitReason,
        value: Any,
        *,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """An actor of this process has ended: tell all who want to know, once its names are free;
        call `then` when they are told."""
        plane = self._plane
        plane.actors.pop(local.number, None)
        unread, owed = local.mailbox.close()
        if unread:
            plane.dead_letters["mailbox closed"] += unread
        for outlet in local.outlets.values():
            outlet.close()
        for origin, units in owed.items():
            if isinstance(origin, Peer):
                origin.say(wire.Credit(local.number, units))
        for reference in list(local.waits):
            self.give_up(local, reference)
        for close in list(local.closers.values()):
            close()

        plane.bus.actor_ended(local)

        def tell() -> None:
            self._announce(local, reason, value)
            then()

        def leave() -> None:
            plane.groups.actor_ended(local, tell)

        if local.names:
            self._free_names(local, leave)
        else:
            leave()

    def name_freed(self, name: str) -> None:
        """The directory does not show `name` any more."""
        freed = self._freeing.pop(name, None)
        if freed is not None:
            freed()

    def _free_names(self, local: LocalActor, then: Callable[[], None]) -> None:
        left = set(local.names)
        for name in local.names:
            self._plane.names.pop(name, None)

        def freed(name: str) -> None:
            if name in left:
                left.discard(name)
                if not left:
                    timer.cancel()
                    then()

        def late() -> None:
            for name in sorted(left):
                self._freeing.pop(name, None)
                freed(name)

        timer = self._plane.loop.call_later(FREE_TIMEOUT_S, late)
        for name in sorted(local.names):
            self._freeing[name] = functools.partial(freed, name)
            self._plane.root.send(UnregisterName(name, local.pid))

    def _announce(self, local: LocalActor, reason: ExitReason, value: Any) -> None:
        data, problem = _encoded(value)
        raw = framing.raw(data)
        number = local.number

        def tell(peer: Peer, watcher: int, reference: int, raw: Any = None) -> None:
            peer.say(wire.Ended(watcher, number, reference, reason, raw, problem))

        if local.parent is not None:
            tell(*local.parent, wire.CHILD, raw)
        for (peer, reference), watcher in local.unanswered.items():
            tell(peer, watcher, reference)
        for (peer, reference), watcher in local.watchers.items():
            tell(peer, watcher, reference, raw)
        for peer, actor in local.links:
            peer.linked.discard(number)
            if (peer, actor) != local.parent:
                tell(peer, actor, 0)


def _encoded(value: Any) -> tuple[bytes, str]:
    try:
        data = payload.encode(value)
    except TypeError as error:
        return payload.encode(None), str(error).replace("payload", "result", 1)
    if len(data) > MAX_MESSAGE_BYTES:
        return payload.encode(
            None
        ), f"result: {len(data)} bytes; a message may have {MAX_MESSAGE_BYTES}"
    return data, ""


def _fulfil(wait: Wait, value: Any) -> None:
    if not wait.then.done():
        wait.then.set_result(value)


def _fail(wait: Wait, error: WippyError) -> None:
    if not wait.then.done():
        wait.then.set_exception(error)


def _worker_lost(peer: Peer, reason: ExitReason) -> WippyError:
    if isinstance(reason, NoProcess):
        return Unavailable(f"the worker {peer.slot} g{peer.generation} is not there any more")
    error = Exited(
        f"the worker {peer.slot} g{peer.generation} ended before the function returned: "
        f"{sentence(reason)}",
        reason,
    )
    error.retryable = True  # another worker can do it
    return error


def _error_for(pid: str, reason: ExitReason, kind: Kind) -> WippyError:
    if isinstance(reason, NoProcess):
        return NotFound(f"{pid} is not there: it has ended, or never was")
    before = " before it replied" if kind is Kind.CALL else ""
    return Exited(f"{pid} ended{before}: {sentence(reason)}", reason)


def _error_of(data: dict[str, Any]) -> WippyError:
    try:
        return Failure(str(data["kind"]), str(data["message"])).to_error()
    except KeyError:
        return Internal("the reply was an error that says nothing")
