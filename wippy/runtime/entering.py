"""Entry functions: what is one, and whether arguments fit; looked at before any user code runs."""

from __future__ import annotations

import inspect
from collections.abc import Coroutine
from typing import Any

from wippy.errors import Invalid
from wippy.runtime.loader import Entry


def check_entry(entry: Entry, args: tuple[Any, ...]) -> None:
    """Raise `Invalid` for what can be no entry function, or cannot be called with `args`."""
    if inspect.isasyncgenfunction(entry):
        raise Invalid(f"{_name_of(entry)} yields: an entry function must not")
    if is_coroutine_function(entry):
        make_coroutine(entry, args).close()
    else:
        check_arguments(entry, args)


def make_coroutine(entry: Entry, args: tuple[Any, ...]) -> Coroutine[Any, Any, Any]:
    """Return what an `async def` entry returns; no user code has run then."""
    try:
        coroutine: Coroutine[Any, Any, Any] = entry(*args)
    except TypeError as error:
        raise Invalid(f"the arguments do not fit: {error}") from None
    return coroutine


def is_coroutine_function(entry: Entry) -> bool:
    """Say whether an entry is an `async def`, or an object that is called like one."""
    return inspect.iscoroutinefunction(entry) or inspect.iscoroutinefunction(
        getattr(entry, "__call__", None)  # noqa: B004  # the method itself is asked, not callable()
    )


def check_arguments(entry: Entry, args: tuple[Any, ...]) -> None:
    """Raise `Invalid` if `entry` does not take so many arguments; run nothing."""
    try:
        signature = inspect.signature(entry)
    except ValueError:
        # A builtin without a signature: the call will tell.
        return
    try:
        signature.bind(*args)
    except TypeError as error:
        raise Invalid(f"the arguments do not fit: {_name_of(entry)}(): {error}") from None


def _name_of(entry: Entry) -> str:
    return str(getattr(entry, "__qualname__", entry))
