"""Actors in real OS processes: what actor code imports.

The public names are loaded on first use (PEP 562), so that `import wippy` costs nothing in the
many processes that use one of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wippy import (
        channel,
        errors,
        events,
        funcs,
        groups,
        log,
        process,
        registry,
        resource,
        security,
        sync,
        time,
    )
    from wippy.errors import WippyError

__all__ = [
    "WippyError",
    "channel",
    "errors",
    "events",
    "funcs",
    "groups",
    "log",
    "process",
    "registry",
    "resource",
    "security",
    "sync",
    "time",
]

_MODULES = frozenset(
    {
        "channel",
        "errors",
        "events",
        "funcs",
        "groups",
        "log",
        "process",
        "registry",
        "resource",
        "security",
        "sync",
        "time",
    }
)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"wippy.{name}")
    if name == "WippyError":
        return importlib.import_module("wippy.errors").WippyError
    raise AttributeError(f"module 'wippy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
