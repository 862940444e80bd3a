"""Calls of functions, the worker's side: each is an actor for the time of its call.

So what a function does (sends, calls of other functions, spawns) has a sender, ends with it, and
carries its context values on. An `async def` runs on the loop beside the others; a plain `def` in a
thread, of which there are so many (`wippy.runtime.slots`). The code is loaded once in a worker,
since a function keeps nothing between its calls.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import math
from dataclasses import dataclass
from typing import Any

from wippy.core import framing, wire
from wippy.core.ids import Pid
from wippy.core.messages import CodeRef
from wippy.core.reasons import Error, ExitReason, Normal, Shutdown, sentence
from wippy.errors import Cancelled, Failure, Invalid, Timeout, Unavailable, WippyError
from wippy.runtime import loader
from wippy.runtime.actor import check_arguments, is_coroutine_function, run_in_thread
from wippy.runtime.codes import Codes
from wippy.runtime.context import (
    ActorContext,
    CallScope,
    ExitSignal,
    NotNeededSignal,
    current_actor,
)
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer
from wippy.runtime.plane import Plane
from wippy.runtime.returning import NONE, encode_result, failure_of
from wippy.runtime.slots import Slots

MAX_UNITS = 16_384
"""Calls under way in one worker, each counted with its arguments in KiB: 16,384 small ones, or
16 MiB. What comes above it is refused, and may be tried again: it bounds the memory."""
FIRST_NUMBER = 2**59 + 1
"""Actors that others spawn here have random numbers up to 2**59."""
DRAIN_SHARE = 0.8
"""Of the time in which a worker is to end, in which its calls may still return; then they are
cancelled, so that their clean-up has the rest."""


@dataclass(slots=True, eq=False)
class _Call:
    """A call under way.

    Attributes:
        peer: The caller's process.
        order: What it wants.
        context: Who the function is meanwhile.
        over_s: When its caller waits no more, by the loop's clock.
        unwanted: Its end is answered with this, or, if it is None, with nothing.
        is_given_up: Whatever comes of it, its caller is not told.
    """

    peer: Peer
    order: wire.Invoke
    context: ActorContext
    over_s: float
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    unwanted: WippyError | None = None
    is_given_up: bool = False


class Serving:
    """The functions of one worker.

    Args:
        plane: What carries the frames.
        codes: Finds the code of entries.
        pid: Of the worker's actor 0.

    Attributes:
        credential: Of the worker: what functions write, they write with it.
    """

    def __init__(self, plane: Plane, codes: Codes, pid: Pid) -> None:
        self._plane = plane
        self._codes = codes
        self._pid = pid
        self._slots = Slots(plane.loop)
        self._numbers = itertools.count(FIRST_NUMBER)
        self._loads = itertools.count(1)
        self._entries: dict[str, tuple[str, loader.Entry]] = {}
        self._loading: dict[str, asyncio.Task[loader.Entry]] = {}
        self._calls: dict[tuple[Peer, int], _Call] = {}
        self._units = 0
        self._peak = 0
        self._is_stopping = False
        self.credential = b""

    def peak(self) -> int:
        """Return the most calls that were under way at once since this was asked last."""
        peak, self._peak = self._peak, len(self._calls)
        return peak

    def renew(self, function: str) -> None:
        """There is newer code, or none: calls under way return from what they run, the next ones
        load it."""
        old = self._entries.pop(function, None)
        if old is not None:
            loader.unload(old[0])

    # --- what callers say -------------------------------------------------------------------------

    def invoke(self, peer: Peer, order: wire.Invoke) -> None:
        """Begin a call; or refuse it, if there is no room, or the worker is about to end."""
        key = (peer, order.reference)
        if key in self._calls:
            self._plane.dead_letters["malformed"] += 1
            return
        if self._is_stopping:
            self._refuse(peer, order, "is stopping", is_refused=True)
            return
        if self._units >= MAX_UNITS:
            self._refuse(peer, order, f"has {MAX_UNITS} calls or KiB under way: no room for more")
            return
        self._plane.watch(peer)  # its end is the end of its calls
        call = self._calls[key] = self._admit(peer, order)
        self._units += max(1, order.cost)
        self._peak = max(self._peak, len(self._calls))
        call.task = self._plane.loop.create_task(self._serve(call))
        call.task.add_done_callback(lambda _: self._ended(call))

    def cancel(self, peer: Peer, order: wire.CancelCall) -> None:
        """Give a call up; nothing is answered. One that is over is no error."""
        call = self._calls.get((peer, order.reference))
        if call is not None:
            self._give_up(call)

    def caller_gone(self, peer: Peer) -> None:
        """Give up all calls of a process that has ended."""
        for call in [call for call in self._calls.values() if call.peer is peer]:
            self._give_up(call)

    def stop(self, deadline_s: float) -> list[asyncio.Task[None]]:
        """Take no more calls, and cancel those that have not returned shortly before `deadline_s`
        seconds from now; return what is to be waited for."""
        self._is_stopping = True
        self._plane.loop.call_later(deadline_s * DRAIN_SHARE, self._cancel_all)
        return [call.task for call in self._calls.values() if call.task is not None]

    def _refuse(
        self, peer: Peer, order: wire.Invoke, why: str, *, is_refused: bool = False
    ) -> None:
        error = Failure.of(Unavailable(f"{order.function}: the worker {self._pid.slot} {why}"))
        load = len(self._calls)
        peer.say(wire.Returned(order.reference, None, error, load, is_refused))

    def _admit(self, peer: Peer, order: wire.Invoke) -> _Call:
        loop = self._plane.loop
        over_s = math.inf if order.left_s is None else loop.time() + max(0.0, order.left_s)
        pid = Pid(self._pid.node, self._pid.slot, self._pid.generation, next(self._numbers))
        context = ActorContext(pid=pid, service=order.function, process=order.function)
        context.call = CallScope(over_s, max(0, order.depth))
        context.identity, context.credential = order.identity, self.credential
        call = _Call(peer, order, context, over_s)
        local = LocalActor(
            pid.actor,
            str(pid),
            context.events,
            end=lambda reason: self._end(call, reason),
            cancel=lambda reason, _deadline_s: self._end(call, Shutdown(), reason),
            kill=lambda: self._end(call, Shutdown(), "terminated"),
        )
        local.values.update(order.context)
        context.join(self._plane, local)
        self._plane.add(local)
        if order.left_s is not None:
            call.timer = loop.call_at(over_s, self._time_out, call)
        return call

    # --- ends that come from outside --------------------------------------------------------------

    def _give_up(self, call: _Call) -> None:
        call.is_given_up = True
        self._stop_task(call)

    def _time_out(self, call: _Call) -> None:
        """The caller's own clock says so too; this is for one that is held up."""
        left_s = call.order.left_s or 0.0
        call.unwanted = Timeout(f"{call.order.function} has not returned within {left_s:g} s")
        self._stop_task(call)

    def _cancel_all(self) -> None:
        for call in list(self._calls.values()):
            why = f"{call.order.function}: its worker {self._pid.slot} is stopping"
            call.unwanted = Unavailable(why)
            self._stop_task(call)

    def _end(self, call: _Call, reason: ExitReason, detail: str = "") -> None:
        """Somebody ends the actor that the call is: a link's end, `process.cancel`."""
        why = detail or sentence(reason)
        call.unwanted = Cancelled(f"{call.order.function} was ended before it returned: {why}")
        self._stop_task(call)

    def _stop_task(self, call: _Call) -> None:
        if call.task is not None:
            call.task.cancel()

    # --- running ----------------------------------------------------------------------------------

    async def _serve(self, call: _Call) -> None:
        """The boundary of a function: nothing that it raises goes further."""
        current_actor.set(call.context)
        value, error = NONE, None
        try:
            value = encode_result(await self._run(call))
        except BaseException as raised:  # noqa: BLE001  # the boundary; its traceback is sent
            error = failure_of(call.order.function, raised, call.unwanted)
        self._over(call, value, error)

    def _ended(self, call: _Call) -> None:
        """A task that is cancelled before its first step never comes as far as to say so."""
        if (call.peer, call.order.reference) in self._calls:
            self._over(
                call, NONE, failure_of(call.order.function, asyncio.CancelledError(), call.unwanted)
            )

    async def _run(self, call: _Call) -> Any:
        function, args = call.order.function, tuple(call.order.args)
        known = self._entries.get(function)
        entry = known[1] if known is not None else await self._load(function)
        try:
            if is_coroutine_function(entry):
                return await _bound(entry, function, args)
            _check(entry, function, args)
            result = await self._in_thread(call, entry, args)
            return await result if inspect.isawaitable(result) else result
        except ExitSignal as signal:
            return signal.value
        except NotNeededSignal:
            raise Invalid(f"{function} says 'not needed': a function that is called is") from None

    async def _in_thread(self, call: _Call, entry: loader.Entry, args: tuple[Any, ...]) -> Any:
        await self._slots.take()
        scope = call.context.call
        assert scope is not None
        call.context.call = CallScope(scope.deadline_s, scope.depth, self._slots.leave)
        try:
            name = f"{call.order.function} {call.context.pid.actor}"
            return await run_in_thread(lambda: entry(*args), name=name, is_kept=True)
        finally:
            self._slots.free()

    async def _load(self, function: str) -> loader.Entry:
        """Load the code, once for all calls that wait for it; the next one tries what failed."""
        loading = self._loading.get(function)
        if loading is None:
            loading = self._plane.loop.create_task(self._load_now(function))
            self._loading[function] = loading
            loading.add_done_callback(lambda done: self._loaded(function, done))
        return await asyncio.shield(loading)

    def _loaded(self, function: str, loading: asyncio.Task[loader.Entry]) -> None:
        self._loading.pop(function, None)
        if not loading.cancelled():
            loading.exception()  # looked at: all who waited may have given up

    async def _load_now(self, function: str) -> loader.Entry:
        while True:
            code = await self._codes.find(function)
            # A number of its own, as an actor has: two functions share no globals, and each has its
            # libraries.
            name = f"{function}/f{next(self._loads)}"
            entry = await _load(code, name)
            if code == await self._codes.find(function):
                self._entries[function] = name, entry
                return entry
            loader.unload(name)  # it was replaced meanwhile

    def _over(self, call: _Call, value: bytes, error: Failure | None) -> None:
        order, local = call.order, call.context.local
        self._calls.pop((call.peer, order.reference), None)
        self._units -= max(1, order.cost)
        if call.timer is not None:
            call.timer.cancel()
        if not call.is_given_up:
            load = len(self._calls)
            call.peer.say(wire.Returned(order.reference, framing.raw(value), error, load))
        if local is not None:
            reason: ExitReason = Normal()
            if error is not None:
                reason = Error(error.raised or error.kind, error.message, error.traceback)
            self._plane.bonds.actor_ended(local, reason, None)
        self._plane.flush()


async def _load(code: CodeRef, name: str) -> loader.Entry:
    if loader.is_quick(code):
        return loader.load(code, name)
    entry: loader.Entry = await run_in_thread(lambda: loader.load(code, name), name=f"load {name}")
    return entry


def _check(entry: loader.Entry, function: str, args: tuple[Any, ...]) -> None:
    try:
        check_arguments(entry, args)
    except Invalid as error:
        raise Invalid(f"{function}: {error}") from None


def _bound(entry: loader.Entry, function: str, args: tuple[Any, ...]) -> Any:
    try:
        # Runs no user code: only the arguments are looked at.
        return entry(*args)
    except TypeError as error:
        raise Invalid(f"{function}: the arguments do not fit: {error}") from None
