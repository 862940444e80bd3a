"""How a function is called, as a caller asks: its pool, its limit, its retry policy. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from supervisor.core.spec import Entry, FunctionEntry
from wippy.core.messages import Function
from wippy.errors import Failure, Invalid, NotFound


def answer(function: str, entries: Mapping[str, Entry]) -> Function:
    """Return how `function` is called, or why it cannot be."""
    entry = entries.get(function)
    if isinstance(entry, FunctionEntry):
        return Function(function, entry.pool_id, entry.timeout_s, entry.retry)
    if entry is None:
        near = difflib.get_close_matches(function, _functions(entries), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        error = Failure.of(NotFound(f"there is no function {function!r}{hint}"))
    else:
        kind = str(entry.__struct_config__.tag)
        error = Failure.of(
            Invalid(f"{function} is a {kind}, not a function.py; services take process.call(...)")
        )
    return Function(function, problem=error)


def _functions(entries: Mapping[str, Entry]) -> list[str]:
    return [id for id, entry in entries.items() if isinstance(entry, FunctionEntry)]
