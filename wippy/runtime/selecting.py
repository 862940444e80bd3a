"""Select: of several sends and receives, the one that can happen first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec

from wippy.core.channels import NOTHING, TIMEOUT, Closed, Stage, Waiter
from wippy.core.durations import Duration, seconds
from wippy.core.selecting import Case, note_choice, select_now, wait_for_any
from wippy.errors import Invalid
from wippy.runtime.clock import Timer, current_clock
from wippy.runtime.waiters import LOCK, TaskWaiter, ThreadWaiter, expire, refuse_to_block_loop

DEFAULT: Final = -1
"""`Selected.index` where no case was ready and there was a default."""


class Selected(msgspec.Struct, frozen=True, eq=False):
    """What a select did.

    Attributes:
        index: Which case happened, from 0; `DEFAULT` or `TIMEOUT` for none.
        channel: Its channel, inbox or events; None for none.
        value: What was received or sent; the default.
        ok: False where a channel is closed and drained, and at a time-out.
    """

    index: int
    channel: Any
    value: Any
    ok: bool


async def select(
    *cases: Case,
    default: Any = NOTHING,
    timeout: Duration | None = None,  # noqa: ASYNC109  # an outcome among others, no error
) -> Selected:
    """Let exactly one of `cases` happen: the first that can.

    Of several that are ready, the one is taken whose channel was selected longest ago, then the
    first: no case starves another, and the same state gives the same choice. A channel that is
    closed and drained is always ready to receive from, with `ok` False.

    Args:
        cases: `ch.case_receive()` and `ch.case_send(value)`, of any channels; `case_receive()` of
            `process.inbox()`, `process.listen(topic)` and `process.events()`.
        default: What `value` is, at once and without a turn of the loop, where none is ready.
        timeout: How long to wait for one; 0 or less only looks.

    Returns:
        Which case happened, and with what; `DEFAULT` or `TIMEOUT` as `index` for none. Cancelled,
        no value is lost: one that was received goes back; one that was sent, was sent.

    Raises:
        Closed: A case sends on a channel that is closed.
        Invalid: Something is no case, or there is nothing to wait for.
    """
    timeout_s = _check(cases, default, timeout)
    with LOCK:
        if (done := _now(cases, default, timeout_s)) is not None:
            return done
        waiter = TaskWaiter(tuple([case.value for case in cases]))
        wait_for_any(cases, waiter)
    timer: Timer | None = None
    try:
        if timeout_s is not None:
            timer = current_clock.get().call_later(timeout_s, partial(expire, waiter))
        await waiter.wait()
    except BaseException:
        # Cancelled, or closed by the garbage collector.
        _withdraw(cases, waiter)
        raise
    finally:
        if timer is not None:
            timer.cancel()
    return _outcome(cases, waiter)


def select_blocking(
    *cases: Case, default: Any = NOTHING, timeout: Duration | None = None
) -> Selected:
    """Do what `select` does, blocking this thread: for plain `def` code in a thread of its own.

    Raises:
        Invalid: As `select`, or called in an event loop, which it would stop.
        Closed: As `select`.
    """
    refuse_to_block_loop("await channel.select(...)")
    timeout_s = _check(cases, default, timeout)
    with LOCK:
        if (done := _now(cases, default, timeout_s)) is not None:
            return done
        waiter = ThreadWaiter(tuple([case.value for case in cases]))
        wait_for_any(cases, waiter)
    try:
        waiter.wait(timeout_s)
    except BaseException:
        # KeyboardInterrupt, in the main thread of a script.
        _withdraw(cases, waiter)
        raise
    return _outcome(cases, waiter)


def _check(cases: Sequence[Case], default: Any, timeout: Duration | None) -> float | None:
    """Refuse what makes no sense; return the time-out in seconds."""
    for case in cases:
        if not isinstance(case, Case):
            raise Invalid(
                f"{case!r} is no case of a select: write ch.case_receive() or ch.case_send(value)"
            )
    if default is not NOTHING and timeout is not None:
        raise Invalid("a select with a default never waits: it has no use for a timeout")
    if not cases and default is NOTHING and timeout is None:
        raise Invalid("a select of nothing would wait for ever")
    return None if timeout is None else seconds(timeout)


def _now(cases: Sequence[Case], default: Any, timeout_s: float | None) -> Selected | None:
    done = select_now(cases)
    if done is not None:
        index, value, ok = done
        return Selected(index, cases[index].channel, value, ok)
    if default is not NOTHING:
        return Selected(DEFAULT, None, default, True)
    if timeout_s is not None and timeout_s <= 0:
        return Selected(TIMEOUT, None, None, False)
    return None


def _withdraw(cases: Sequence[Case], waiter: Waiter) -> None:
    with LOCK:
        if waiter.stage is Stage.SETTLED and waiter.index >= 0:
            cases[waiter.index].core.withdraw(waiter)
        else:
            waiter.leave()


def _outcome(cases: Sequence[Case], waiter: Waiter) -> Selected:
    index, value, ok = waiter.index, waiter.finish(), waiter.ok
    if index < 0:
        return Selected(index, None, None, ok)
    case = cases[index]
    if case.is_send and not ok:
        raise Closed("the channel was closed before anyone received this value")
    with LOCK:
        note_choice(cases, index)
    return Selected(index, case.channel, value, ok)
