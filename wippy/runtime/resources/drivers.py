"""What opens connections of a type: the drivers, ours and those that users register.

A driver is a few functions. Those of ours are imported when the first entry of their type is used,
so that nobody pays for a database that nobody asks.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import msgspec

from wippy.core.resources import Pooling
from wippy.errors import Invalid

_OURS = {
    "db.sql.postgres": "wippy.runtime.resources.postgres",
    "db.sql.sqlite": "wippy.runtime.resources.sqlite",
    "cache.redis": "wippy.runtime.resources.redis",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """How connections of one type are treated: all `async def`, or all plain functions.

    Attributes:
        open: Opens one, of the settings and of the bounds: `await open(settings, pooling)`. It
            takes no longer than `pooling.connect_timeout_s`, and raises where it cannot; an error
            may hold secrets of the entry, which are hidden before anybody sees it.
        close: Closes one.
        check: Whether it still answers; what it raises means no. None: it always does.
        finish: Called when a user is done, with whether nothing was raised meanwhile (then for
            instance it commits, else it rolls back); returns whether it may be used again. Where it
            raises, the connection is closed, and the user gets that error unless there is one
            already. None: nothing is to be done.
    """

    open: Callable[[Any, Pooling], Any]
    close: Callable[[Any], Any]
    check: Callable[[Any], Any] | None = None
    finish: Callable[[Any, bool], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What is to be known of a type of connections.

    Attributes:
        settings: A frozen `msgspec.Struct`: what an entry of the type may say in `data`, besides
            `pool`. Where it leads is `str(settings)` in messages, which names no password.
        awaited: For `async def` actors: its functions are `async def`. None where there is none.
        blocking: For plain `def` actors: its functions are plain too, and run in threads.
        is_shared: One connection serves any number of users at the same time.
        secrets: The secrets of the settings that do not stand in the entry itself.
    """

    settings: type[msgspec.Struct]
    awaited: Calls | None = None
    blocking: Calls | None = None
    is_shared: bool = False
    secrets: Callable[[Any], list[str]] = lambda _settings: []


_registered: dict[str, Driver] = {}


def register(kind: str, driver: Driver) -> None:
    """Open entries whose `meta.type` is `kind` by `driver`, in this process; the last counts."""
    if driver.awaited is None and driver.blocking is None:
        raise Invalid(f"the driver of {kind} has neither awaited nor blocking functions")
    _registered[kind] = driver


def find_driver(entry_id: str, kind: str) -> Driver:
    """Return the driver of a type.

    Raises:
        Invalid: There is none; names the nearest.
    """
    if kind not in _registered and kind in _OURS:
        _registered[kind] = importlib.import_module(_OURS[kind]).DRIVER
    driver = _registered.get(kind)
    if driver is None:
        known = sorted({*_OURS, *_registered})
        near = difflib.get_close_matches(kind, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
        raise Invalid(
            f"{entry_id}: nobody knows how to open a {kind!r}; {hint} (types of your own: "
            "resource.register)"
        )
    return driver


def need(module: str, extra: str) -> ModuleType:
    """Return the module of a driver's package.

    Raises:
        Invalid: It is not installed; says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Invalid(
            f"{module.partition('.')[0]} cannot be imported ({error}): pip install "
            f"'wippy-supervisor[{extra}]'"
        ) from None
