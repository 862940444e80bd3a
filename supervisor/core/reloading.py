"""What the root and the process that reads the configuration (`wippy:files`) tell each other.

The root tells `Reload`; `wippy:files` publishes `Broken` and `Loaded` when it has read files that
changed by themselves, and `Reloaded` when it was asked to. What a version changes is not among it:
the keeper tells the root of each version that it has committed, whoever asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from supervisor.core.spec import RuntimeSpec
from wippy.errors import Invalid

RELOAD = "files.reload"
BROKEN = "files.broken"
LOADED = "files.loaded"
RELOADED = "files.reloaded"
BLIND = "files.blind"
"""Topics; the last one says in `text` why files are only looked at once a second."""

MAX_TOLD_LENGTH = 60_000
"""Characters of all that is wrong with a configuration, as it is told: far more than is read."""

LIVE_SETTINGS = frozenset({"rollback", "rollback_grace_s", "watch", "intensity"})
"""Settings of `runtime:` that are taken over at once; others take a new start of the node."""


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """Read the configuration now. Answer: `Reloaded` with the same number.

    Attributes:
        number: Of the request, from 1.
        who: Who asks, for the registry's history.
        is_dry: Change nothing, say what would be changed.
    """

    number: int
    who: str = ""
    is_dry: bool = False


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """The files are not to be used; what runs goes on.

    Attributes:
        text: All that is wrong, each with its place; empty: nothing is wrong any more.
        first: The first of it in a line.
        count: How many things are wrong.
    """

    text: str = ""
    first: str = ""
    count: int = 0


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The files were merged into the registry.

    Attributes:
        version: The registry's version then.
        changed: Entries that this version changed; 0: nothing that was new.
        overridden: Entries that were changed at run time, and are what their files say again.
        kept: Entries that are not what their files say, since they were changed at run time.
        runtime: The `runtime:` section as it is now.
    """

    version: int = 0
    changed: int = 0
    overridden: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    runtime: RuntimeSpec | None = None


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a `Reload`; one of the three is not None.

    Attributes:
        number: Of the request.
        loaded: It was merged.
        broken: It is wrong, in itself or beside what was changed at run time.
        plan: Dry: what would be done, in the order in which it would; empty: nothing.
        error: It could not be tried, and may be tried again: why.
    """

    number: int
    loaded: Loaded | None = None
    broken: Broken | None = None
    plan: tuple[str, ...] | None = None
    error: str = ""


T = TypeVar("T", bound=msgspec.Struct)


def payload(said: msgspec.Struct) -> dict[str, Any]:
    """Return what is said as the payload of a frame."""
    return msgspec.to_builtins(said)  # type: ignore[no-any-return]  # a Struct becomes a dict


def said(payload: Mapping[str, Any], type_: type[T]) -> T:
    """Return what a payload says; `Invalid` where it does not say that."""
    try:
        return msgspec.convert(payload, type_)
    except msgspec.ValidationError as error:
        raise Invalid(f"{type_.__name__.lower()}: {error}") from error


def restart_settings(old: RuntimeSpec, new: RuntimeSpec) -> tuple[str, ...]:
    """Return the settings that differ and take a new start of the node, as users name them."""
    names = (name for name in RuntimeSpec.__struct_fields__ if name not in LIVE_SETTINGS)
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    return tuple(name.removesuffix("_s").removesuffix("_bytes") for name in changed)


def with_live_settings(old: RuntimeSpec, new: RuntimeSpec) -> RuntimeSpec:
    """Return `old` with the settings of `new` that are taken over at once."""
    live = {name: getattr(new, name) for name in LIVE_SETTINGS}
    return msgspec.structs.replace(old, **live)
