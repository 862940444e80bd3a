"""Shapes of pools: how many OS processes, and how calls in them are limited and repeated."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.core.config import nodes
from supervisor.core.config.nodes import Cursor, shorten
from supervisor.core.config.reading import Reading
from supervisor.core.config.shapes import Choice, Duration, Real, Text, Whole
from supervisor.core.config.tables import Field, ListOf, Table
from supervisor.core.spec import LAZY_POOL, PoolSize
from wippy.core.backoff import Backoff
from wippy.core.retry import RetryPolicy

MAX_WORKERS = 1024
"""OS processes of one pool."""
MAX_LOAD = 1_000_000
"""Actors or calls in one worker."""
MAX_ATTEMPTS = 1000
"""Tries of one call: more is a loop that somebody should write down."""
_CLASS_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")

_GROWTH = {
    "grow_at": Field(
        Whole(1, MAX_LOAD), "load of each worker at which one more is started: actors, or calls"
    ),
    "idle_timeout": Field(
        Duration(above_zero=True),
        "a worker above `min` is stopped after this long without work",
        "idle_timeout_s",
    ),
}


def _check_growth(reading: Reading, cursor: Cursor, least: int, most: int) -> None:
    """Note bounds that contradict each other, and growth of what cannot grow."""
    if most < least:
        message = f"{reading.name(cursor)}: max ({most}) is less than min ({least})"
        reading.note(cursor.at("max"), message)
        return
    present = {key: key_cursor for key, key_cursor, _ in cursor.pairs()}
    useless = [key for key in _GROWTH if key in present and most == least]
    size = f"always has {most}"
    if "grow_at" in present and (least, most) == (0, 1):
        # The first worker is started for the first who needs one.
        useless, size = ["grow_at"], "never has more than 1"
    what = "OS process" if most == 1 else "OS processes"
    for key in useless:
        message = f"{key!r} has no effect: {reading.owner} {size} {what}"
        reading.note(present[key], message)


# --- hosts ---------------------------------------------------------------------------------------


def _check_workers(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    if "min" in values and "max" in values:
        _check_growth(reading, cursor, values["min"], values["max"])


_WORKERS = Table(
    {
        "min": Field(Whole(0, MAX_WORKERS), "OS processes to begin with", required=True),
        "max": Field(Whole(1, MAX_WORKERS), "the most there are", required=True),
        **_GROWTH,
    },
    build=PoolSize,
    check=_check_workers,
)


@dataclass(frozen=True, slots=True)
class Workers:
    """A number of OS processes, or from how many to how many."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The keys of the longer form."""
        return _WORKERS.fields

    def read(self, reading: Reading, cursor: Cursor) -> int | PoolSize:
        """Return the number, or the size of a pool that grows and shrinks."""
        if isinstance(cursor.node, nodes.Mapping):
            size: PoolSize = _WORKERS.read(reading, cursor)
            return size
        return Whole(1, MAX_WORKERS).read(reading, cursor)

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"anyOf": [Whole(1, MAX_WORKERS).schema(), _WORKERS.schema()]}


# --- functions -----------------------------------------------------------------------------------


class PoolKind(enum.StrEnum):
    """How a function's own pool gets its workers."""

    STATIC = "static"  # always as many
    LAZY = "lazy"  # none before the first call
    ADAPTIVE = "adaptive"  # as many as the load takes, between bounds


_LEAST = {PoolKind.STATIC: 1, PoolKind.LAZY: 0, PoolKind.ADAPTIVE: 1}


def _check_pool(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    kind = values.get("kind")
    if kind is None:
        return
    if kind is PoolKind.LAZY and values.get("min", 0) != 0:
        hint = "write kind: adaptive"
        reading.note(cursor.at("min"), "a lazy pool begins with no process: min is 0", hint)
        return
    if kind is PoolKind.ADAPTIVE and "max" not in values:
        message = f"missing key 'max' in {reading.where(cursor.path)}"
        reading.note(cursor, message, "the most OS processes that there may be")
        return
    if kind is PoolKind.ADAPTIVE and values.get("min") == 0:
        hint = "write kind: lazy"
        reading.note(cursor.at("min"), "an adaptive pool always has a process: min is 1", hint)
        return
    least, most = _bounds(kind, values)
    if kind is PoolKind.STATIC and least != most and "min" in values:
        message = f"a static pool never changes: min ({least}) and max ({most}) must be the same"
        reading.note(cursor.at("max"), message, "write only one of them")
        return
    _check_growth(reading, cursor, least, most)


def _bounds(kind: PoolKind, values: dict[str, Any]) -> tuple[int, int]:
    if kind is PoolKind.STATIC:
        most = values.get("max", values.get("min", 1))
        return values.get("min", most), most
    return values.get("min", _LEAST[kind]), values.get("max", 1)


def _build_pool(*, kind: PoolKind, **values: Any) -> PoolSize:
    least, most = _bounds(kind, values)
    values.setdefault("grow_at", LAZY_POOL.grow_at)
    return PoolSize(**{**values, "min": least, "max": most})


POOL = Table(
    {
        "kind": Field(Choice(PoolKind), "how it gets its workers", required=True),
        "min": Field(Whole(0, MAX_WORKERS), "OS processes to begin with"),
        "max": Field(Whole(1, MAX_WORKERS), "the most there are"),
        **_GROWTH,
    },
    build=_build_pool,
    check=_check_pool,
)


@dataclass(frozen=True, slots=True)
class ErrorName:
    """The name of an exception class: `ValueError`, `shop.errors.Rejected`."""

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the name."""
        text = Text("the name of an exception class").read(reading, cursor)
        if not _CLASS_NAME.fullmatch(text):
            message = f"{reading.name(cursor)}: {shorten(text)!r} is no name of an exception class"
            raise reading.bad(cursor, message, "write for instance ValueError")
        return text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "examples": ["ValueError", "shop.errors.Rejected"]}


_USUAL = Backoff()


def _check_retry(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    check_delays(reading, cursor, values)
    if values.get("attempts") == 1:
        for key, key_cursor, _ in cursor.pairs():
            if key != "attempts":
                reading.note(key_cursor, f"{key!r} has no effect with one attempt")


def check_delays(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    """Note a longest wait that is shorter than the first."""
    first = values.get("initial_delay_s", _USUAL.initial_delay_s)
    last = values.get("max_delay_s", _USUAL.max_delay_s)
    if last < first:
        where = cursor.at("max_delay") if "max_delay_s" in values else cursor.at("initial_delay")
        message = f"max_delay ({last:g}s) is shorter than initial_delay ({first:g}s)"
        reading.note(where, message)


def _build_retry(
    *, attempts: int, non_retryable: tuple[str, ...] = (), **waits: float
) -> RetryPolicy:
    return RetryPolicy(attempts, Backoff(**waits), non_retryable)


DELAYS = {
    "max_delay": Field(Duration(), "the longest wait", "max_delay_s"),
    "factor": Field(Real(1, 1000), "growth from one wait to the next"),
    "jitter": Field(Real(0, 1), "share of the wait that is spread"),
}
RETRY = Table(
    {
        "attempts": Field(Whole(1, MAX_ATTEMPTS), "tries in all, the first too", required=True),
        "initial_delay": Field(Duration(), "wait before the second attempt", "initial_delay_s"),
        **DELAYS,
        "non_retryable": Field(
            ListOf(ErrorName(), unique=True), "exception classes that end it at once"
        ),
    },
    build=_build_retry,
    check=_check_retry,
)
