"""The connections of one entry, for code of one face: does what `wippy.core.lending` decides.

Everything here runs in the event loop of the process. What a driver does for plain `def` code runs
in threads, and is waited for from here. Openings, checks and closings are tasks of the pool, not of
who asked: a caller that gives up takes nothing with it.
"""

from __future__ import annotations

import asyncio
import contextvars
import enum
import traceback
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from wippy.core.lending import Action, Bounds, Check, Close, Lend, Lending, Open, Refuse
from wippy.core.resources import Description, hide_secrets, secrets_in, settings_of
from wippy.core.units import counted, format_duration
from wippy.errors import Invalid, Timeout, Unavailable, WippyError
from wippy.runtime.output import complain
from wippy.runtime.resources.drivers import Calls, Driver, find_driver

MAX_SHARE = 2**31
"""Users of a connection that any number may share."""


class Face(enum.StrEnum):
    """Who uses a connection: `async def` code, or plain `def` code."""

    AWAITED = "awaited"
    BLOCKING = "blocking"


class Usage(msgspec.Struct, frozen=True):
    """What a process has of a resource.

    Attributes:
        open: Connections, with those that are being opened, and old ones that are still in use.
        users: Who has one.
        waiting: Who waits for one.
        generation: Grows with each change of the entry after which new work uses other connections.
    """

    open: int = 0
    users: int = 0
    waiting: int = 0
    generation: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """How the connections of one generation are opened."""

    description: Description
    driver: Driver
    calls: Calls
    settings: Any


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """A connection in the hands of one user, who gives it back once.

    Attributes:
        connection: The driver's.
        number: Of the connection.
        calls: Of its driver.
    """

    connection: Any
    number: int
    calls: Calls


class Pool:
    """The connections of one entry for one face. Belongs to the running event loop.

    Args:
        entry_id: The entry.
        face: Who uses them.
        threads: Run what blocks; for the blocking face.
    """

    def __init__(self, entry_id: str, face: Face, threads: ThreadPoolExecutor) -> None:
        self.entry_id = entry_id
        self._face = face
        self._threads = threads
        self._loop = asyncio.get_running_loop()
        self._lending = Lending()
        self._generation = 0
        self._plan: _Plan | None = None
        self._plans: dict[int, _Plan] = {}
        self._connections: dict[int, Any] = {}
        self._waiters: dict[int, asyncio.Future[Lease]] = {}
        self._last_ticket = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusal: WippyError = Unavailable(f"{entry_id} was not opened")

    # --- users -----------------------------------------------------------------------------------

    async def take(self, timeout_s: float | None = None) -> Lease:
        """Wait for a connection of the newest generation; after `adopt`.

        Args:
            timeout_s: How long to wait; None as the entry says.

        Raises:
            Timeout: All are in use, or none could be opened so far.
            Unavailable: It cannot be opened: refused, no such host, wrong password.
            Invalid: The driver is not installed, or refuses what the entry says.
            NotFound: The entry was deleted meanwhile.
        """
        self._last_ticket += 1
        ticket = self._last_ticket
        waiter: asyncio.Future[Lease] = self._loop.create_future()
        self._waiters[ticket] = waiter
        self._perform(self._lending.ask(ticket, self._loop.time()))
        wait_s = self._pooling_timeout_s() if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(wait_s):
                return await waiter
        except TimeoutError:
            self._forget(ticket, waiter)
            raise self._timeout(wait_s) from None
        except asyncio.CancelledError:
            self._forget(ticket, waiter)
            raise

    def give_back(self, lease: Lease, *, is_good: bool) -> None:
        """Take a connection back; one that is not good is closed."""
        now_s = self._loop.time()
        self._perform(self._lending.give_back(lease.number, now_s, is_good=is_good))

    # --- the entry -------------------------------------------------------------------------------

    def adopt(self, description: Description) -> None:
        """The entry says this: new work gets what it describes.

        Raises:
            Invalid: Its driver is unknown or refuses it; old connections go as for `retire`.
        """
        plan = self._plan
        if plan is None or description.leads_elsewhere(plan.description):
            try:
                self._plan = self._make_plan(description)
            except Invalid as error:
                self.retire(error)
                raise
            self._generation += 1
        else:
            self._plan = _Plan(description, plan.driver, plan.calls, plan.settings)
        bounds = _bounds(description, self._plan.driver)
        self._perform(self._lending.adopt(self._generation, bounds, self._loop.time()))

    def retire(self, why: WippyError) -> None:
        """There is no entry any more: who waits gets `why`, what is in use may go on."""
        if self._plan is None:
            return
        self._generation += 1
        self._plan = None
        self._refusal = why
        self._perform(self._lending.retire(self._generation))

    def tidy(self) -> None:
        """Close what was not used for too long."""
        self._perform(self._lending.tidy(self._loop.time()))

    async def close(self) -> None:
        """Close all that nobody uses, and wait for it; what is in use closes when it comes back."""
        self.retire(Unavailable(f"{self.entry_id}: the process ends"))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def usage(self) -> Usage:
        """Return what there is."""
        lending = self._lending
        return Usage(lending.open, lending.users, lending.waiting, self._generation)

    # --- what the core decides -------------------------------------------------------------------

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Lend(ticket=ticket, number=number):
                    self._lend(ticket, number)
                case Open(number=number):
                    self._start(self._open(number, self._current_plan()))
                case Check(number=number):
                    self._start(self._check(number))
                case Refuse(ticket=ticket):
                    self._refuse(self._waiters.pop(ticket))
                case Close(number=number):
                    self._start(self._close(number))
                case _:
                    assert_never(action)

    def _lend(self, ticket: int, number: int) -> None:
        lease = Lease(self._connections[number], number, self._plans[number].calls)
        waiter = self._waiters.pop(ticket)
        if waiter.done():
            # Its user was cancelled, and has not had the turn to say so.
            self.give_back(lease, is_good=True)
        else:
            waiter.set_result(lease)

    def _refuse(self, waiter: asyncio.Future[Lease]) -> None:
        if not waiter.done():
            waiter.set_exception(self._refusal_copy())

    async def _open(self, number: int, plan: _Plan) -> None:
        pooling = plan.description.pooling
        try:
            connection = await self._run(plan.calls.open, plan.settings, pooling)
        except Exception as error:  # noqa: BLE001  # the boundary to the driver: who waits is told
            self._refusal = _refusal(plan, error)
            self._perform(self._lending.failed(number, self._loop.time()))
            return
        self._connections[number], self._plans[number] = connection, plan
        self._perform(self._lending.opened(number, self._loop.time()))

    async def _check(self, number: int) -> None:
        plan = self._plans[number]
        try:
            async with asyncio.timeout(plan.description.pooling.connect_timeout_s):
                is_alive = await self._ask(plan.calls, self._connections[number])
        except Exception:  # noqa: BLE001  # the boundary to the driver: another one is opened
            is_alive = False
            text = hide_secrets(traceback.format_exc(), _secrets(plan))
            complain(
                f"{self.entry_id}: a connection gives no sign of life, and is replaced:\n{text}"
            )
        self._perform(self._lending.checked(number, self._loop.time(), is_alive=is_alive))

    async def _ask(self, calls: Calls, connection: Any) -> bool:
        return calls.check is None or bool(await self._run(calls.check, connection))

    async def _close(self, number: int) -> None:
        connection, plan = self._connections.pop(number, None), self._plans.pop(number, None)
        if plan is None:
            return  # its opening failed
        try:
            await self._run(plan.calls.close, connection)
        except Exception:  # noqa: BLE001  # the boundary to the driver: nobody waits for this
            text = hide_secrets(traceback.format_exc(), _secrets(plan))
            complain(f"{self.entry_id}: an old connection could not be closed:\n{text}")

    async def _run(self, call: Any, *arguments: Any) -> Any:
        if self._face is Face.AWAITED:
            return await call(*arguments)
        return await self._loop.run_in_executor(self._threads, call, *arguments)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        # Of no actor: whoever asked may end before it does.
        task = self._loop.create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- small things ----------------------------------------------------------------------------

    def _make_plan(self, description: Description) -> _Plan:
        driver = find_driver(description.entry_id, description.type)
        calls = driver.awaited if self._face is Face.AWAITED else driver.blocking
        if calls is None:
            other = "plain def" if self._face is Face.AWAITED else "async def"
            raise Invalid(f"{self.entry_id}: a {description.type} serves only {other} actors")
        return _Plan(description, driver, calls, settings_of(description, driver.settings))

    def _current_plan(self) -> _Plan:
        assert self._plan is not None, "nothing is opened before `adopt` or after `retire`"
        return self._plan

    def _pooling_timeout_s(self) -> float:
        return self._current_plan().description.pooling.acquire_timeout_s

    def _forget(self, ticket: int, waiter: asyncio.Future[Lease]) -> None:
        if self._waiters.pop(ticket, None) is not None:
            self._lending.withdraw(ticket)
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            # It was lent in the same turn in which its user gave up.
            self.give_back(waiter.result(), is_good=True)

    def _refusal_copy(self) -> WippyError:
        # Each waiter raises an error of its own: they add notes and tracebacks to it.
        error = type(self._refusal)(str(self._refusal))
        error.traceback = self._refusal.traceback
        return error

    def _timeout(self, wait_s: float) -> Timeout:
        usage = self.usage()
        plan = self._plan
        place = "" if plan is None else f" to {plan.settings}"
        return Timeout(
            f"{self.entry_id}: no connection{place} within {format_duration(wait_s)}: "
            f"{counted(usage.open, 'connection')} ({counted(usage.users, 'user')}), "
            f"{usage.waiting} others wait; see pool.max of the entry"
        )


def _bounds(description: Description, driver: Driver) -> Bounds:
    pooling = description.pooling
    return Bounds(
        1 if driver.is_shared else pooling.max_connections,
        pooling.idle_timeout_s,
        pooling.check_after_s,
        MAX_SHARE if driver.is_shared else 1,
    )


def _refusal(plan: _Plan, error: Exception) -> WippyError:
    """Return what who waits is told of an opening that failed: where it led, and no secret."""
    where = f"{plan.description.entry_id} ({plan.description.type}, {plan.settings})"
    if isinstance(error, Invalid | TypeError | ValueError):
        told: WippyError = Invalid(_said(plan, f"{where}: {error}"))
    elif isinstance(error, TimeoutError):
        limit = format_duration(plan.description.pooling.connect_timeout_s)
        told = Unavailable(f"{where} cannot be opened: no answer within {limit}")
    else:
        text = str(error).strip() or type(error).__name__
        told = Unavailable(_said(plan, f"{where} cannot be opened: {text}"))
    told.traceback = _said(plan, "".join(traceback.format_exception(error)))
    return told


def _said(plan: _Plan, text: str) -> str:
    return hide_secrets(text, _secrets(plan))


def _secrets(plan: _Plan) -> list[str]:
    secrets = list(secrets_in(plan.description.data))
    try:
        return [*secrets, *plan.driver.secrets(plan.settings)]
    except Invalid:
        # The variable or the file is gone: nothing of it can stand in any text.
        return secrets
