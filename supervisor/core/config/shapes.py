"""Shapes of values: each reads a node into a typed value, and describes itself as JSON Schema.

One table of shapes is both the decoder and the schema, so the two cannot differ. A leaf that
cannot use its value raises `Bad`; lists and tables (`tables`) note it and go on.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from supervisor.core.config import nodes
from supervisor.core.config.nodes import Cursor, describe, shorten
from supervisor.core.config.problems import did_you_mean, one_of
from supervisor.core.config.reading import Reading, Role
from wippy.core import ids
from wippy.core.units import parse_duration_s, parse_size_bytes
from wippy.errors import Invalid

DURATION_PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*(us|µs|ms|s|m|h|d)\s*$"
SIZE_PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*(B|[KMGT]iB|[kKMGT]B)\s*$"
VARIABLE = {"type": "string", "pattern": r"\$\{env:"}
"""Any value may also be written as a variable."""


class Shape(Protocol):
    """What a value must look like."""

    def read(self, reading: Reading, cursor: Cursor) -> Any:
        """Return the value at `cursor`, or raise `Bad`."""

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string; `pattern` and `what` say which."""

    what: str = "a string"

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the string."""
        text = reading.text(cursor, self.what)
        if "\0" in text:
            raise reading.bad(cursor, f"{reading.name(cursor)} must not hold a NUL character")
        if not text:
            raise reading.bad(cursor, f"{reading.name(cursor)} must not be empty")
        return text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Word:
    """A string or a number, as text: a user `www` or `33`, a value of an environment variable."""

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the text, as it is written."""
        scalar = reading.scalar(cursor, "a string")
        if scalar.value() is None:
            raise reading.bad(cursor, f"{reading.name(cursor)} has no value", 'write "" for none')
        if "\0" in scalar.text:
            raise reading.bad(cursor, f"{reading.name(cursor)} must not hold a NUL character")
        return scalar.text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    minimum: int
    maximum: int

    def read(self, reading: Reading, cursor: Cursor) -> int:
        """Return the number."""
        value, scalar = reading.atom(cursor, "a whole number")
        if isinstance(value, bool) or not isinstance(value, int):
            message = f"{reading.name(cursor)} must be a whole number, not {describe(scalar)}"
            raise reading.bad(cursor, message)
        _in_bounds(reading, cursor, value, (self.minimum, self.maximum))
        return value

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        number = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        return {"anyOf": [number, VARIABLE]}


@dataclass(frozen=True, slots=True)
class Real:
    """A number within bounds."""

    minimum: float
    maximum: float

    def read(self, reading: Reading, cursor: Cursor) -> float:
        """Return the number."""
        value, scalar = reading.atom(cursor, "a number")
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            message = f"{reading.name(cursor)} must be a number, not {describe(scalar)}"
            raise reading.bad(cursor, message)
        _in_bounds(reading, cursor, value, (self.minimum, self.maximum))
        return float(value)

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        number = {"type": "number", "minimum": self.minimum, "maximum": self.maximum}
        return {"anyOf": [number, VARIABLE]}


def _in_bounds(reading: Reading, cursor: Cursor, value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if value < 0 <= low:
        raise reading.bad(cursor, f"{reading.name(cursor)} must not be negative, is {value}")
    if not low <= value <= high:
        name = reading.name(cursor)
        raise reading.bad(cursor, f"{name} must be from {low} to {high}, is {value}")


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, reading: Reading, cursor: Cursor) -> bool:
        """Return the flag."""
        value, scalar = reading.atom(cursor, "true or false")
        if not isinstance(value, bool):
            old = {"yes": "true", "on": "true", "no": "false", "off": "false"}
            meant = old.get(scalar.text.lower())
            message = f"{reading.name(cursor)} must be true or false, not {describe(scalar)}"
            raise reading.bad(cursor, message, f"did you mean {meant}?" if meant else "")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"anyOf": [{"type": "boolean"}, VARIABLE]}


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration with its unit, in seconds; `above_zero` refuses `0s`."""

    above_zero: bool = False

    def read(self, reading: Reading, cursor: Cursor) -> float:
        """Return the duration, seconds."""
        seconds = _with_unit(reading, cursor, "a duration", "s", parse_duration_s)
        if self.above_zero and seconds == 0:
            raise reading.bad(cursor, f"{reading.name(cursor)} must be longer than 0s")
        return float(seconds)

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        pattern = {"type": "string", "pattern": DURATION_PATTERN, "examples": ["100ms", "5s"]}
        return {"anyOf": [pattern, VARIABLE]}


@dataclass(frozen=True, slots=True)
class Size:
    """A size with its unit, in bytes, at least `minimum_bytes`."""

    minimum_bytes: int

    def read(self, reading: Reading, cursor: Cursor) -> int:
        """Return the size, bytes."""
        size = int(_with_unit(reading, cursor, "a size", "MiB", parse_size_bytes))
        if size >= 2**63:
            raise reading.bad(cursor, f"{reading.name(cursor)} is larger than any memory")
        if size < self.minimum_bytes:
            low = f"{self.minimum_bytes // 1024}KiB"
            raise reading.bad(cursor, f"{reading.name(cursor)} must be at least {low}")
        return size

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        pattern = {"type": "string", "pattern": SIZE_PATTERN, "examples": ["512MiB", "2GiB"]}
        return {"anyOf": [pattern, VARIABLE]}


def _with_unit(
    reading: Reading,
    cursor: Cursor,
    wanted: str,
    unit: str,
    parse: Callable[[str], float],
) -> float:
    scalar = reading.scalar(cursor, wanted)
    name, text = reading.name(cursor), scalar.text.strip()
    if text.startswith("-"):
        raise reading.bad(cursor, f"{name} must not be negative, is {shorten(text)}")
    if isinstance(nodes.resolve(text), int | float) and text not in {"true", "false"}:
        message = f"{name} needs a unit: {shorten(text)} of what?"
        raise reading.bad(cursor, message, f"did you mean '{shorten(text)}{unit}'?")
    try:
        return parse(text)
    except (Invalid, OverflowError) as error:
        raise reading.bad(cursor, f"{name}: {error}") from None


@dataclass(frozen=True, slots=True)
class Choice:
    """One word of an enumeration."""

    words: type[enum.StrEnum]

    def read(self, reading: Reading, cursor: Cursor) -> enum.StrEnum:
        """Return the member."""
        right = [str(word) for word in self.words]
        text = reading.scalar(cursor, one_of(right)).text
        if text not in right:
            # The path's last part is the field: `unknown strategy 'x'`.
            message = f"unknown {cursor.path[-1]} {shorten(text)!r} in {reading.where(())}"
            raise reading.bad(cursor, message, did_you_mean(text, right) or one_of(right))
        return self.words(text)

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"enum": [str(word) for word in self.words]}


@dataclass(frozen=True, slots=True)
class Link:
    """The id of another entry; a bare name belongs to the file's namespace."""

    role: Role

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the full id; that it exists is judged when all files are read."""
        target = ids.qualify(reading.text(cursor, "the id of an entry"), reading.namespace)
        try:
            ids.split_id(target)
        except Invalid as error:
            raise reading.bad(cursor, str(error)) from None
        reading.refer(cursor, self.role, target)
        return target

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "description": "id of an entry, namespace:name or name"}
