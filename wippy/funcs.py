"""Functions: call a `function.py` entry, wherever it runs.

from wippy import funcs

async def main():
    print(await funcs.call("app:resize", "cat.png", 640))
    future = funcs.start("app:resize", "dog.png", 640)
    print(await future)

A call goes straight from the caller's process to a worker of the function's pool, the one with the
fewest calls under way. Arguments and result are data, as messages are. A call is made at most as
often as its retry policy says, once unless it says otherwise; an attempt whose worker was killed
may have happened in part.

**Cancellation follows the caller.** When the caller ends, or what awaits a call is cancelled, the
call is cancelled in its worker: an `async def` gets `asyncio.CancelledError`, a plain `def` gets
`Cancelled` out of the twin of `wippy.sync` that it waits in. One that is busy elsewhere cannot be
interrupted; what it returns is dropped. It goes on from call to call.

**Limits travel.** A call within a call never outlives the outer one, whatever its own limit is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from wippy.core.backoff import Backoff
from wippy.core.ids import split_id
from wippy.core.retry import RetryPolicy
from wippy.core.selecting import Case
from wippy.errors import Cancelled, Invalid, Unavailable
from wippy.runtime.calling import Request, encode_args
from wippy.runtime.channels import Channel
from wippy.runtime.doorway import here, in_loop
from wippy.runtime.local import LocalActor
from wippy.runtime.plane import Plane

__all__ = ["Backoff", "Calls", "Future", "RetryPolicy", "call", "start", "with_options"]


async def call(
    function: str,
    *args: Any,
    timeout_s: float | None = None,
    retry: RetryPolicy | int | None = None,
) -> Any:
    """Call a function and return what it returns.

    Args:
        function: Entry id of a `function.py`.
        args: Data.
        timeout_s: Limit of one attempt, seconds; 0 is none. None as the entry says.
        retry: What a failed attempt is followed by; a number is so many attempts in all. None as
            the entry says.

    Raises:
        Failed: It raised; `type`, `traceback` and `retryable` say what, where, and whether the
            policy would have tried it again. A `WippyError` that it raised arrives as it is.
        Timeout: Not returned in time; it is cancelled, and may have happened.
        Exited: Its worker ended first; `reason` says how.
        Unavailable: No worker can take it now.
        NotFound: There is no such function.
        Invalid: It is no function, the arguments do not fit, or the result is no data.
        TypeError: An argument is no data; the message names the place.
    """
    return await Calls(timeout_s=timeout_s, retry=retry).call(function, *args)


def start(
    function: str,
    *args: Any,
    timeout_s: float | None = None,
    retry: RetryPolicy | int | None = None,
) -> Future:
    """Begin a call and return at once; see `call`. From any thread of an actor.

    Raises:
        TypeError, Invalid: What can be judged here and now. All else is the future's.
    """
    return Calls(timeout_s=timeout_s, retry=retry).start(function, *args)


def with_options(
    *,
    context: dict[str, Any] | None = None,
    timeout_s: float | None = None,
    retry: RetryPolicy | int | None = None,
) -> Calls:
    """Return `call` and `start` that say more.

    Args:
        context: Context values (`process.values()`), over those of the caller. They travel on with
            what the function calls and spawns.
        timeout_s: As for `call`.
        retry: As for `call`.
    """
    return Calls(context=context, timeout_s=timeout_s, retry=retry)


class Calls:
    """Calls with options; made by `with_options`."""

    __slots__ = ("_context", "_retry", "_timeout_s")

    def __init__(
        self,
        *,
        context: dict[str, Any] | None = None,
        timeout_s: float | None = None,
        retry: RetryPolicy | int | None = None,
    ) -> None:
        self._context = dict(context or {})
        self._timeout_s = _checked_timeout_s(timeout_s)
        self._retry = _policy(retry)

    async def call(self, function: str, *args: Any) -> Any:
        """See `funcs.call`."""
        request = self._request(function, args)
        plane, local = here()
        return await plane.calling.call(local, request)

    def start(self, function: str, *args: Any) -> Future:
        """See `funcs.start`."""
        request = self._request(function, args)
        plane, local = here()
        return in_loop(plane, lambda: Future(plane, local, request))

    def _request(self, function: str, args: tuple[Any, ...]) -> Request:
        if not isinstance(function, str):
            raise TypeError(f"a function is the id of its entry, a str, not {function!r:.80}")
        split_id(function)
        data = encode_args(args)
        return Request(function, data, self._timeout_s, self._retry, self._context)


class Future:
    """A call that was started; its result can be awaited any number of times.

    One that nobody awaits goes on until it is done, cancelled, or its actor ends. A task that
    awaits it and is cancelled cancels it too; a `select` that waits for it does not.

    Attributes:
        function: What is called.
    """

    __slots__ = ("_local", "_loop", "_over", "_task", "_why", "function")

    def __init__(self, plane: Plane, local: LocalActor, request: Request) -> None:
        """Used by `start`, in the thread of the loop."""
        self.function = request.function
        self._loop = plane.loop
        self._local = local
        self._why = ""
        self._over: Channel[None] = Channel()
        self._task: asyncio.Task[Any] = plane.loop.create_task(
            plane.calling.call(local, request), name=f"call {request.function}"
        )
        local.closers[self._task] = self._task.cancel
        self._task.add_done_callback(self._ended)

    def __await__(self) -> Generator[Any, None, Any]:
        yield from _until_done(self._task).__await__()
        return self.result()

    @property
    def done(self) -> bool:
        """Whether it has returned, failed or been cancelled."""
        return self._task.done()

    def result(self) -> Any:
        """Return what the function returned, or raise as `call` does; never waits.

        Raises:
            Unavailable: It is not done.
            Cancelled: It was cancelled.
        """
        if not self._task.done():
            raise Unavailable(f"{self.function} has not returned yet: await it, or ask `done`")
        if self._task.cancelled():
            raise Cancelled(f"the call of {self.function} was cancelled{self._why}")
        return self._task.result()

    def cancel(self, reason: str = "") -> None:
        """Give the call up; it is cancelled in its worker. Never waits; from any thread. One that
        is done stays as it is."""
        if not self._task.done():
            self._why = f": {reason}" if reason else ""
            self._loop.call_soon_threadsafe(self._task.cancel)

    def case_done(self) -> Case:
        """Return the case of a `channel.select` that happens once the call is done: as the receive
        of a channel that is closed, it has no value; `result()` has."""
        return self._over.case_receive()

    def __repr__(self) -> str:
        return f"<Future {self.function} {'done' if self.done else 'under way'}>"

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._local.closers.pop(task, None)
        if not task.cancelled():
            task.exception()  # looked at: a future that nobody awaits is no mistake
        self._over.close()


async def _until_done(task: asyncio.Task[Any]) -> None:
    """Wait for the end of `task`, and cancel it if the waiting is; its error is for `result`."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        raise


def _checked_timeout_s(timeout_s: float | None) -> float | None:
    if timeout_s is None:
        return None
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s >= 0:
        raise Invalid(f"timeout_s is a number of seconds from 0 (no limit), not {timeout_s!r}")
    return float(timeout_s)


def _policy(retry: RetryPolicy | int | None) -> RetryPolicy | None:
    if retry is None or isinstance(retry, RetryPolicy):
        return retry
    if isinstance(retry, bool) or not isinstance(retry, int) or retry < 1:
        raise Invalid(
            f"retry is a RetryPolicy, or a number of attempts from 1 (the first counts), not "
            f"{retry!r}"
        )
    return RetryPolicy(attempts=retry)
