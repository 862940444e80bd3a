"""Calls of functions, the caller's side: find the pool, choose a worker, wait, try again.

A call goes straight to a worker of the function's pool. The root is asked once how a function is
called, and again now and then; and for a worker where a pool has none.
"""

from __future__ import annotations

import asyncio
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wippy.core import framing, payload, wire
from wippy.core.attempts import MAX_DEPTH, CallPlan, is_refused_depth, type_of
from wippy.core.calls import Kind, Wait
from wippy.core.conditions import Fields
from wippy.core.messages import Function, HostReady, WantFunction, WantWorker
from wippy.core.outgoing import check_size, cost_of
from wippy.core.placing import Placing
from wippy.core.retry import RetryPolicy
from wippy.errors import Cancelled, Failed, Invalid, Timeout, Unavailable, WippyError
from wippy.runtime import guard
from wippy.runtime.context import find_current
from wippy.runtime.local import LocalActor
from wippy.runtime.peer import Peer

if TYPE_CHECKING:
    from wippy.runtime.plane import Plane

FRESH_S = 1.0
"""How old an answer about a function may be; an older one is used, and asked for again."""
ROOT_WAIT_S = 10.0
"""How long the root may take to say how a function is called; it answers in milliseconds."""
WORKER_WAIT_S = 30.0
"""How long a call waits for the first worker of a pool: longer than most starts take."""
MAX_REFUSALS = 8
"""Workers that may refuse an attempt, because they are about to end, before it has failed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be called, as the caller says it.

    Attributes:
        function: Entry id.
        args: Encoded.
        timeout_s: Limit of one attempt; None as the entry says.
        retry: None as the entry says.
        values: Context values, over those of the caller.
    """

    function: str
    args: bytes
    timeout_s: float | None = None
    retry: RetryPolicy | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Scope:
    """Who calls, from where in a chain of calls."""

    local: LocalActor
    deadline_s: float
    depth: int


class _Refused(Exception):
    """A worker did not begin the call; another one may."""

    def __init__(self, why: WippyError) -> None:
        super().__init__(str(why))
        self.why = why


def encode_args(args: tuple[Any, ...]) -> bytes:
    """Return the arguments of a call; an error names the one that is no data."""
    try:
        data = payload.encode(list(args))
    except TypeError as error:
        raise TypeError(str(error).replace("payload", "args", 1)) from None
    check_size(data)
    return data


class Calling:
    """The calls that the actors of one process make.

    Args:
        plane: What carries the frames.
    """

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._known: dict[str, tuple[Function, float]] = {}
        self._asked: dict[str, asyncio.Future[Function]] = {}
        self._wanted: dict[str, asyncio.Future[HostReady]] = {}
        self._placings: dict[str, Placing] = {}

    async def call(self, local: LocalActor, request: Request) -> Any:
        """Call a function; see `wippy.funcs.call`."""
        guard.require("funcs.call", request.function, lambda: _fields(request))
        context = find_current()
        within = None if context is None else context.call
        scope = _Scope(
            local,
            math.inf if within is None else within.deadline_s,
            0 if within is None else within.depth + 1,
        )
        if is_refused_depth(scope.depth):
            raise Invalid(
                f"{request.function}: calls within calls, {MAX_DEPTH} deep: a function that calls "
                "itself without an end?"
            )
        return await self._until_done(scope, request)

    async def _until_done(self, scope: _Scope, request: Request) -> Any:
        loop, attempt = self._plane.loop, 1
        plan = CallPlan(request.timeout_s or 0.0, deadline_s=scope.deadline_s)
        while True:
            try:
                function, plan = await self._plan(scope, request)
                return await self._attempt(scope, request, function, plan)
            except WippyError as error:
                roll = random.random()
                delay_s = plan.delay_s(attempt, error, now_s=loop.time(), roll=roll)
                if delay_s is None:
                    raise _explained(error, request.function, attempt, plan) from error.__cause__
            await asyncio.sleep(delay_s)
            attempt += 1

    async def _plan(self, scope: _Scope, request: Request) -> tuple[Function, CallPlan]:
        function = await self._find(request.function)
        timeout_s = function.timeout_s if request.timeout_s is None else request.timeout_s
        retry = request.retry or function.retry
        return function, CallPlan(timeout_s, retry, scope.deadline_s)

    async def _attempt(
        self, scope: _Scope, request: Request, function: Function, plan: CallPlan
    ) -> Any:
        began_s = self._plane.loop.time()
        left_s = plan.left_s(began_s)
        try:
            async with asyncio.timeout(left_s):
                return await self._place_and_wait(scope, request, function.host, began_s, left_s)
        except TimeoutError:
            whose = "its caller's time was over" if plan.is_over(self._plane.loop.time()) else ""
            raise Timeout(
                f"{request.function} has not returned within {left_s:g} s"
                + (whose and f": {whose}")
            ) from None

    async def _place_and_wait(
        self, scope: _Scope, request: Request, host: str, began_s: float, left_s: float | None
    ) -> Any:
        for refusals in range(MAX_REFUSALS):
            await self._wait_for_worker(host)
            over_s = None if left_s is None else began_s + left_s
            try:
                return await self._ask(scope, request, host, over_s)
            except _Refused as refused:
                if refusals == MAX_REFUSALS - 1:
                    raise refused.why from None
        raise AssertionError("unreachable")

    # --- one attempt ------------------------------------------------------------------------------

    async def _ask(self, scope: _Scope, request: Request, host: str, over_s: float | None) -> Any:
        plane, local = self._plane, scope.local
        if plane.actors.get(local.number) is not local:
            raise Cancelled(f"{local.pid} has ended, so its call of {request.function} is given up")
        peer = self._choose(host)
        if peer is None:
            raise _Refused(Unavailable(f"the workers of {host} are gone"))
        answer: asyncio.Future[wire.Returned] = plane.loop.create_future()
        wait = plane.bonds.waits.add(Kind.INVOKE, local.number, peer, 0, answer)
        local.waits.add(wait.reference)
        load: int | None = None
        try:
            self._say(scope, request, wait, over_s)
            returned = await answer
            load = returned.load
        finally:
            plane.bonds.give_up(local, wait.reference)
            self._placings[host].ended((peer.slot, peer.generation), load)
        if returned.error is None:
            return returned.value
        error = returned.error.to_error()
        raise _Refused(error) if returned.is_refused else error

    def _say(self, scope: _Scope, request: Request, wait: Wait, over_s: float | None) -> None:
        plane, peer = self._plane, wait.origin
        assert isinstance(peer, Peer)
        plane.watch(peer)
        peer.say(
            wire.Invoke(
                request.function,
                scope.local.number,
                wait.reference,
                framing.raw(request.args),
                cost_of(request.args),
                framing.raw(payload.encode({**scope.local.values, **request.values})),
                None if over_s is None else max(0.0, over_s - plane.loop.time()),
                scope.depth,
                guard.acting(),
            )
        )
        plane.about_to_wait()

    def _choose(self, host: str) -> Peer | None:
        """Return the worker with the fewest calls; the directory may be a moment behind an end."""
        address = self._plane.post.directory.host(host)
        placing = self._placings.setdefault(host, Placing())
        for _ in address.workers if address is not None else ():
            assert address is not None
            slot, generation = placing.choose(address.workers)
            peer = self._plane.peer(slot, generation)
            if not peer.is_gone:
                return peer
            placing.ended((slot, generation), wire.WINDOW_UNITS)  # the last to be chosen again
        return None

    def returned(self, peer: Peer, item: wire.Item) -> None:
        """A worker has answered."""
        assert isinstance(item, wire.Returned)
        wait = self._plane.bonds.waits.end(item.reference, peer)
        if wait is None:
            self._plane.dead_letters["late reply"] += 1
        elif not wait.then.done():
            wait.then.set_result(item)

    # --- what the root knows ----------------------------------------------------------------------

    async def _find(self, function: str) -> Function:
        known = self._known.get(function)
        if known is not None:
            if self._plane.loop.time() - known[1] > FRESH_S:
                self._ask_root(function)
            return known[0]
        try:
            async with asyncio.timeout(ROOT_WAIT_S):
                # Shielded: a caller that is cancelled must not take the answer from others.
                answer = await asyncio.shield(self._ask_root(function))
        except TimeoutError:
            self._asked.pop(function, None)
            why = f"the root has not said within {ROOT_WAIT_S:g} s how {function} is called"
            raise Unavailable(why) from None
        if answer.problem is not None:
            raise answer.problem.to_error()
        return answer

    def _ask_root(self, function: str) -> asyncio.Future[Function]:
        asked = self._asked.get(function)
        if asked is None:
            asked = self._asked[function] = self._plane.loop.create_future()
            self._plane.root.send(WantFunction(function))
        return asked

    async def _wait_for_worker(self, host: str) -> None:
        """Wait until the directory shows a worker of a pool, which the root starts if it may."""
        while True:
            address = self._plane.post.directory.host(host)
            if address is not None and address.workers:
                return
            wanted = self._wanted.get(host)
            if wanted is None:
                wanted = self._wanted[host] = self._plane.loop.create_future()
                self._plane.root.send(WantWorker(host))
            try:
                async with asyncio.timeout(WORKER_WAIT_S):
                    ready = await asyncio.shield(wanted)
            except TimeoutError:
                self._wanted.pop(host, None)
                raise Unavailable(
                    f"no worker of {host} came up within {WORKER_WAIT_S:g} s; see "
                    f"wippy-supervisor why {host}"
                ) from None
            if ready.error:
                raise Unavailable(f"{host} runs no calls now: {ready.error}")

    def told(self, message: Function | HostReady) -> None:
        """Take an answer of the root."""
        if isinstance(message, HostReady):
            _settle(self._wanted.pop(message.host, None), message)
            return
        if message.problem is None:
            self._known[message.function] = message, self._plane.loop.time()
        else:
            self._known.pop(message.function, None)
        _settle(self._asked.pop(message.function, None), message)


def _fields(request: Request) -> Fields:
    return {"args": payload.decode(request.args)}


def _settle(asked: asyncio.Future[Any] | None, answer: object) -> None:
    if asked is not None and not asked.done():
        asked.set_result(answer)


def _explained(error: WippyError, function: str, attempt: int, plan: CallPlan) -> WippyError:
    """Return an error with what its reader cannot know: where it was raised, how often."""
    if error.traceback:
        error.add_note(f"in {function}:\n{error.traceback.rstrip()}")
    if attempt > 1:
        error.add_note(f"attempt {attempt} of {plan.retry.attempts} of {function}")
    if isinstance(error, Failed):
        raised = type_of(error)
        named = plan.retry.non_retryable
        error.retryable = not any(raised == it or raised.endswith(f".{it}") for it in named)
    return error
