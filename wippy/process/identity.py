"""Who the calling actor is, how it is treated, and how it ends or goes on itself."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from wippy.errors import Invalid
from wippy.runtime.context import ExitSignal, NotNeededSignal, UpgradeSignal, current
from wippy.runtime.doorway import here as _here
from wippy.runtime.entering import check_entry


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
    if is_on_loop() and asyncio.current_task() is not context.task:
        raise Invalid("upgrade() leaves the entry function: call it there, not in another task")
    check_entry(context.newer.entry, args)
    raise UpgradeSignal(context.newer, args)


def is_on_loop() -> bool:
    """Say whether the calling thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
