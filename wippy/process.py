"""Actors: who I am, whom I make, what I send and what I get.

from wippy import process

async def handler():
    async for message in process.inbox():
        match message.topic:
            case "task":
                process.send(message.sender, "done", {"id": message.payload["id"]})

What never waits is a plain function: what can be judged here and now raises here and now, what
cannot arrives as an event. What waits is awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from threading import get_ident
from typing import Any, NoReturn, TypeVar

from ormsgpack import packb

from wippy.core import framing, wire
from wippy.core.directory import name_key
from wippy.core.ids import Pid
from wippy.core.mailbox import Message
from wippy.core.messages import RegisterName, UnregisterName
from wippy.core.outgoing import cost_of
from wippy.core.payload import OPTIONS, encode, extend
from wippy.core.selecting import Case
from wippy.errors import (
    AlreadyExists,
    Failure,
    Invalid,
    NotFound,
    Timeout,
    WippyError,
)
from wippy.runtime import guard
from wippy.runtime.asking import begin_call
from wippy.runtime.context import (
    ActorContext,
    Event,
    EventKind,
    ExitSignal,
    NotNeededSignal,
    UpgradeSignal,
    current,
    current_actor,
)
from wippy.runtime.doorway import here as _here
from wippy.runtime.doorway import in_loop as _in_loop
from wippy.runtime.entering import check_entry
from wippy.runtime.inbox import Inbox
from wippy.runtime.interruption import cancelled, interruption
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer
from wippy.runtime.plane import Plane
from wippy.runtime.post import check_size, check_topic
from wippy.runtime.selecting import select_blocking
from wippy.runtime.sources import EventSource
from wippy.runtime.spawning import Options

__all__ = [
    "Event",
    "Events",
    "Inbox",
    "Message",
    "Spawning",
    "call",
    "cancel",
    "event",
    "events",
    "exec",
    "exit",
    "id",
    "inbox",
    "link",
    "listen",
    "lookup",
    "monitor",
    "not_needed",
    "pid",
    "ready",
    "register",
    "reply",
    "send",
    "set_options",
    "spawn",
    "spawn_linked",
    "spawn_monitored",
    "terminate",
    "unlink",
    "unmonitor",
    "unregister",
    "upgrade",
    "values",
    "with_options",
]

CALL_TIMEOUT_S = 5.0
"""How long `call` waits unless told otherwise (OTP's default too)."""
CANCEL_DEADLINE_S = 5.0
_SMALL = wire.CREDIT_UNIT_BYTES

event = EventKind
"""The kinds of events: `process.event.CANCEL`, `EXIT`, `LINK_DOWN`, `NAME_TAKEN`, `OUTDATED`."""

T = TypeVar("T")


# --- who I am ------------------------------------------------------------------------------------


def pid() -> str:
    """Return the calling actor's pid, `node/slot.generation/actor`.

    Raises:
        Invalid: Called by code that is no actor's.
    """
    return str(current().pid)


def id() -> str:
    """Return the entry id of the calling actor's service, for instance `app:worker`; of a spawned
    one, that of its code.

    Raises:
        Invalid: Called by code that is no actor's.
    """
    return current().service


def values() -> dict[str, Any]:
    """Return the context values that the calling actor was spawned with (`with_options`)."""
    return dict(_here()[1].values)


def not_needed() -> NoReturn:
    """End the calling actor as "not needed here": it is kept without a process, as no failure.

    It leaves the entry function as an exception that `except Exception` does not catch; `finally`
    blocks run (OTP's `ignore`).
    """
    raise NotNeededSignal


def exit(value: Any = None) -> NoReturn:
    """End the calling actor `normal` with `value`, as if its entry function had returned it."""
    raise ExitSignal(value)


def set_options(*, trap_links: bool | None = None, upgradable: bool | None = None) -> None:
    """Change how the calling actor is treated; None leaves an option as it is.

    Args:
        trap_links: True: the end of a linked actor comes as a LINK_DOWN event, whatever the
            reason; False, as at the start: an end that is not normal ends the calling actor too.
        upgradable: True: newer code of the actor's entry comes as an OUTDATED event, and the actor
            calls `upgrade` when it is ready; False, as at the start: the actor is restarted.
    """
    context = current()
    if trap_links is not None:
        _here()[1].traps_links = trap_links
    if upgradable is not None:
        context.is_upgradable = upgradable


def upgrade(*args: Any) -> NoReturn:
    """Enter the newer code that an OUTDATED event has announced, with `args`; never returns.

    Pid, mailbox, topics that are listened to, monitors, links, names, groups and options stay; only
    the code changes. `finally` blocks of the old code run; tasks and threads that it has started go
    on, with the old code: end them before. `args` are handed over as they are, so hand over data:
    objects of the old code's classes keep their old class.

    An actor that was asked to stop and upgrades instead is asked again.

    Raises:
        Invalid: The new entry function does not take `args`, there is no newer code, or this is not
            the entry function's own task. The old code goes on, and may try again.
    """
    context = current()
    if context.newer is None:
        raise Invalid("there is no newer code: upgrade() answers an OUTDATED event")
    if _is_on_loop() and asyncio.current_task() is not context.task:
        raise Invalid("upgrade() leaves the entry function: call it there, not in another task")
    check_entry(context.newer.entry, args)
    raise UpgradeSignal(context.newer, args)


# --- messages -------------------------------------------------------------------------------------


def send(target: str, topic: str, payload: Any = None) -> None:
    """Send a message; never waits.

    Messages from one actor to another keep their order. It arrives at most once: what must not be
    lost goes through a call, a monitor or the journal. To one that is not there it goes nowhere,
    and is counted as a dead letter. A service that is being restarted gets it when it is back.

    Args:
        target: A pid, the entry id of a service, or a registered name.
        topic: What it is about: 1 to 255 printable characters, not beginning with '@'.
        payload: Data: None, bool, int of 64 bits, float, str, bytes, list, dict, datetime, UUID,
            Decimal; 4 MiB at most. It is copied now.

    Raises:
        TypeError: The payload is no data; the message names the place: `payload["rows"][3]: a
            socket object`.
        MailboxFull: The target has not taken what was sent before; `await process.ready(target)`.
        NotFound: Nobody has registered that name.
        PermissionDenied: A policy denies it, or none allows it.
        Invalid: Target or topic is none, the payload is too large, or nobody is calling.
    """
    context = current_actor.get(None) or current()
    try:
        data = packb(payload, extend, OPTIONS)
    except TypeError:
        data = encode(payload)
    # The fast path: one more message for an open run costs an append.
    outlet = context.outlets.get(target)
    if (
        outlet is not None
        and len(data) <= _SMALL
        and get_ident() == outlet.thread
        and (outlet.topic == topic or outlet.reopen(topic))
    ):
        outlet.payloads.append(data)
        outlet.room -= 1
        if not outlet.room:
            outlet.close()
        return
    _send_slowly(target, topic, data)


def _send_slowly(target: str, topic: str, data: bytes) -> None:
    # No closure in `send`: it would make cells of its variables, 100 ns of each message.
    plane, local = _here()
    guard.require_send(local, "process.send", target, topic, data)
    _in_loop(plane, lambda: plane.post.send(local, target, topic, data))


async def ready(target: str) -> None:
    """Wait until a `send` to `target`, or a `spawn` into it where it is a pool, would not raise
    `MailboxFull`, or goes nowhere anyway."""
    plane, local = _here()
    await plane.post.ready(local, target)


def inbox() -> Inbox:
    """Return the calling actor's messages, but for the topics that it listens to."""
    plane, local = _here()
    return Inbox(plane, local, local.mailbox.inbox)


def listen(topic: str) -> Inbox:
    """Return the calling actor's messages under `topic`, which leave its inbox from now on; those
    that wait there already too."""
    check_topic(topic)
    plane, local = _here()
    return Inbox(plane, local, _in_loop(plane, lambda: local.mailbox.listen(topic)))


async def call(
    target: str, topic: str, payload: Any = None, *, timeout_s: float = CALL_TIMEOUT_S
) -> Any:
    """Send a message and wait for the reply to it.

    The receiver sees a message like others and answers with `process.reply`. A reply that comes
    after the time-out is dropped; what was asked for may have happened.

    Raises:
        Timeout: No reply within `timeout_s` seconds, waiting for a service that is being restarted
            included.
        NotFound: The target is not there.
        Exited: It ended before it replied.
        WippyError: The error that it replied with.
        TypeError, MailboxFull, Invalid: As `send`; a call of oneself is `Invalid`.
    """
    plane, local = _here()
    check_topic(topic)
    data = encode(payload)
    check_size(data)
    guard.require_send(local, "process.call", target, topic, data)
    give_up_at_s = plane.loop.time() + timeout_s
    where = await plane.post.reach(target, cost_of(data), timeout_s)
    answer: asyncio.Future[Any] = plane.loop.create_future()
    reference = begin_call(plane, local, target, where, (topic, data), answer)
    timer = plane.loop.call_at(give_up_at_s, _time_out, answer, target, topic, timeout_s)
    plane.about_to_wait()
    try:
        return await answer
    finally:
        timer.cancel()
        plane.bonds.give_up(local, reference)


def reply(message: Message, payload: Any = None, *, error: WippyError | None = None) -> None:
    """Answer a call; never waits. The caller gets `payload`, or `error` raised.

    Raises:
        TypeError: The payload is no data.
        Invalid: The message is no call, or the payload is too large.
    """
    if not message.reference:
        raise Invalid(f"the message {message.topic!r} is no call: nobody waits for a reply")
    plane, local = _here()
    data = encode(payload)
    check_size(data)
    failure = None if error is None else _failure(error)
    _in_loop(plane, lambda: _answer(plane, local, message, data, failure))


# --- others ---------------------------------------------------------------------------------------


def spawn(process: str, host: str = "", *args: Any) -> str:
    """Start an actor; return its pid at once. Never waits.

    Args:
        process: Entry id of its code.
        host: Entry id of a pool; empty, or a host of dedicated processes: an OS process of its own.
        args: Data for its entry function.

    What fails later (no such entry, an error at its start) is the reason of its end: monitor it.

    Raises:
        TypeError: An argument is no data.
        Invalid: An id is none.
        MailboxFull: The workers of the pool have not begun what this process has spawned there
            before, 4,096 spawns or KiB of arguments for each; `await process.ready(host)`.
    """
    return with_options().spawn(process, host, *args)


def spawn_monitored(process: str, host: str = "", *args: Any) -> str:
    """As `spawn`; its end comes as an EXIT event, however soon it is."""
    return with_options().spawn_monitored(process, host, *args)


def spawn_linked(process: str, host: str = "", *args: Any) -> str:
    """As `spawn`; it and the calling actor are linked from its start."""
    return with_options().spawn_linked(process, host, *args)


async def exec(process: str, host: str = "", *args: Any, timeout_s: float | None = None) -> Any:
    """Start an actor, wait for its end and return what it returned. It is terminated if the
    waiting is cancelled or takes longer than `timeout_s`.

    Raises:
        Exited: It ended otherwise than `normal`; `reason` says how.
        Timeout: Not ended within `timeout_s` seconds.
        Invalid: What it returned is no data.
    """
    return await with_options().exec(process, host, *args, timeout_s=timeout_s)


def with_options(
    *,
    name: str = "",
    context: dict[str, Any] | None = None,
    first: tuple[tuple[str, Any], ...] | list[tuple[str, Any]] = (),
) -> Spawning:
    """Return `spawn`, `spawn_monitored`, `spawn_linked` and `exec` that say more.

    Args:
        name: Registered for the new actor before it starts.
        context: Context values, over those that it inherits from the calling actor.
        first: Messages (topic, payload) that it gets before any other.
    """
    return Spawning(Options(name, dict(context or {}), tuple(first)))


class Spawning:
    """Spawns with options; made by `with_options`."""

    __slots__ = ("_options",)

    def __init__(self, options: Options) -> None:
        self._options = options

    def spawn(self, process: str, host: str = "", *args: Any) -> str:
        """See `process.spawn`."""
        plane, local = _here()
        return _in_loop(plane, lambda: _pid_of(self._spawn(plane, local, process, host, args)))

    def spawn_monitored(self, process: str, host: str = "", *args: Any) -> str:
        """See `process.spawn_monitored`."""
        plane, local = _here()

        def work() -> str:
            local.check_room()
            where = self._spawn(plane, local, process, host, args, is_monitored=True)
            plane.bonds.monitor(local, *where, is_spawn=True)
            return _pid_of(where)

        return _in_loop(plane, work)

    def spawn_linked(self, process: str, host: str = "", *args: Any) -> str:
        """See `process.spawn_linked`."""
        plane, local = _here()

        def work() -> str:
            local.check_room()
            where = self._spawn(plane, local, process, host, args, is_linked=True)
            plane.bonds.link(local, *where, is_spawn=True)
            return _pid_of(where)

        return _in_loop(plane, work)

    async def exec(
        self, process: str, host: str = "", *args: Any, timeout_s: float | None = None
    ) -> Any:
        """See `process.exec`."""
        plane, local = _here()
        where = self._spawn(plane, local, process, host, args, is_monitored=True)
        value: asyncio.Future[Any] = plane.loop.create_future()
        wait = plane.bonds.wait_for_value(local, *where, value)
        plane.about_to_wait()
        try:
            async with asyncio.timeout(timeout_s):
                return await value
        except TimeoutError:
            raise Timeout(f"{process} has not ended within {timeout_s:g} s") from None
        finally:
            if plane.bonds.waits.get(wait.reference) is not None:
                plane.bonds.give_up(local, wait.reference)
                plane.spawner.terminate(local, _pid_of(where))

    def _spawn(
        self,
        plane: Plane,
        local: LocalActor,
        process: str,
        host: str,
        args: tuple[Any, ...],
        **bonds: bool,
    ) -> tuple[Peer, int]:
        guard.require("process.spawn", process, lambda: {"host": host, "args": list(args)})
        return plane.spawner.spawn(local, process, host, args, options=self._options, **bonds)


def cancel(target: str, reason: str = "", *, deadline_s: float = CANCEL_DEADLINE_S) -> None:
    """Ask an actor to end within `deadline_s` seconds; past it, it is killed. Never waits.

    It gets a CANCEL event if it reads its events, else `asyncio.CancelledError`. One that is not
    there is no error. A supervised one is restarted as its supervisor decides.
    """
    plane, local = _here()
    guard.require_target("process.end", target)
    _in_loop(plane, lambda: plane.spawner.cancel(local, target, reason, deadline_s))


def terminate(target: str) -> None:
    """End an actor now, without asking it. Never waits. One that is not there is no error."""
    plane, local = _here()
    guard.require_target("process.end", target)
    _in_loop(plane, lambda: plane.spawner.terminate(local, target))


def monitor(target: str) -> None:
    """Have an EXIT event at the end of `target`; at once, with `NoProcess`, if it is not there.

    Two monitors, two events. A monitor of a name or a service is one of who has it now.

    Raises:
        NotFound: Nobody has that name, or the service cannot be reached now.
        MailboxFull: The calling actor has 100,000 events unread.
    """
    plane, local = _here()
    local.check_room()
    _in_loop(plane, lambda: plane.bonds.monitor(local, *_found(plane, target)))


def unmonitor(target: str) -> None:
    """Take back all monitors of `target`; no EXIT event of it comes from now on."""
    plane, local = _here()
    _in_loop(plane, lambda: plane.bonds.unmonitor(local, *_found(plane, target)))


def link(target: str) -> None:
    """Link the calling actor and `target`: an end of one that is not normal is the other's too, or
    a LINK_DOWN event where that traps links. Linking oneself, or again, changes nothing.

    Raises:
        NotFound, MailboxFull: As `monitor`.
    """
    plane, local = _here()
    guard.require_target("process.link", target)
    local.check_room()

    def work() -> None:
        peer, actor = _found(plane, target)
        if not (peer is plane.own and actor == local.number):
            plane.bonds.link(local, peer, actor)

    _in_loop(plane, work)


def unlink(target: str) -> None:
    """Take back a link."""
    plane, local = _here()
    _in_loop(plane, lambda: plane.bonds.unlink(local, *_found(plane, target)))


# --- names ----------------------------------------------------------------------------------------


def register(name: str) -> None:
    """Register the calling actor as `name`, until its end; never waits.

    Where two register the same name at the same moment, the later gets a NAME_TAKEN event.

    Raises:
        AlreadyExists: Somebody has it; the message says who.
        Invalid: It can be no name.
    """
    if ":" in name or "/" in name:
        raise Invalid(f"{name!r} would be taken for an entry id or a pid: without ':' and '/'")
    name_key(name)
    plane, local = _here()
    guard.require("process.register", name)

    def work() -> None:
        holder = plane.names.get(name) or plane.post.directory.name(name)
        if holder is not None and str(holder) != local.pid:
            raise AlreadyExists(f"the name {name!r} is that of {holder}")
        if holder is None:
            local.names.add(name)
            plane.names[name] = local.pid
            plane.root.send(RegisterName(name, local.pid))

    _in_loop(plane, work)


def unregister(name: str) -> None:
    """Give up a name of the calling actor's; one that is not its own is no error."""
    plane, local = _here()

    def work() -> None:
        if name in local.names:
            local.names.discard(name)
            plane.names.pop(name, None)
            plane.root.send(UnregisterName(name, local.pid))

    _in_loop(plane, work)


def lookup(name: str) -> str | None:
    """Return the pid that has registered `name`, or of the service `name`; None if nobody has."""
    plane, _ = _here()
    if ":" in name:
        pid = plane.post.directory.service(name)
        return None if pid is None else str(pid)
    known = plane.names.get(name) or plane.post.directory.name(name)
    return None if known is None else str(known)


# --- events ---------------------------------------------------------------------------------------


class Events:
    """The events of the calling actor, in the order in which they came.

    `async for event in process.events()` in an `async def`, `for event in process.events()` in a
    plain `def`. Both wait for the next event and never end by themselves: break out of them. The
    latter gets `Cancelled` when its actor is terminated, or ended by a link.
    """

    def __init__(self, context: ActorContext) -> None:
        self._context = context

    async def receive(self) -> Event:
        """Wait for the next event."""
        if self._context.plane is not None:
            self._context.plane.flush()
        return await self._context.events.receive()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self.receive()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if _is_on_loop():
            raise Invalid("this would block the event loop: write 'async for' in an 'async def'")
        stop = interruption(self._context)
        chosen = select_blocking(self.case_receive(), stop.case_receive())
        if chosen.index == 1:
            raise cancelled(self._context)
        event: Event = chosen.value
        return event

    def case_receive(self) -> Case:
        """Return "the next event comes" as a case of `channel.select`; its value is the event."""
        events = self._context.events
        if events.source is None:
            events.source = EventSource(events)
        return Case(events.source, is_send=False, channel=self)


def events() -> Events:
    """Return the calling actor's events; from now on a stop comes as an event.

    An actor that never calls this gets `asyncio.CancelledError` at its next await instead.

    Raises:
        Invalid: Called by code that is no actor's.
    """
    context = current()
    context.reads_events = True
    return Events(context)


# --- helpers of the above -----------------------------------------------------------------------


def _found(plane: Plane, target: str) -> tuple[Peer, int]:
    found = plane.post.find(target)
    if found is None:
        raise NotFound(f"{target} cannot be reached now: it is not running")
    return found


def _pid_of(where: tuple[Peer, int]) -> str:
    return f"{where[0].prefix}{where[1]}"


def _time_out(answer: asyncio.Future[Any], target: str, topic: str, timeout_s: float) -> None:
    if not answer.done():
        answer.set_exception(
            Timeout(f"{target} has not replied to {topic!r} within {timeout_s:g} s")
        )


def _answer(
    plane: Plane,
    local: LocalActor,
    message: Message,
    data: bytes,
    failure: dict[str, Any] | None,
) -> None:
    caller = Pid.parse(message.sender)
    peer = plane.peer(caller.slot, caller.generation)
    if local.unanswered.pop((peer, message.reference), None) is None:
        return  # answered before, or its caller waits no more
    answer = wire.Answer(caller.actor, message.reference, framing.raw(data), failure)
    peer.say(answer, after=local.outlets.get(message.sender))


def _failure(error: WippyError) -> dict[str, Any]:
    form = Failure.of(error)
    return {"kind": form.kind, "message": form.message}


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
