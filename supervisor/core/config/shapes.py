"""Shapes of values: each reads a node into a typed value, and describes itself as JSON Schema.

One table of shapes is both the decoder and the schema, so the two cannot differ. A leaf that
cannot use its value raises `Bad`; lists and tables note it and go on, so that all that is wrong
is found in one reading.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from supervisor.core.config import nodes
from supervisor.core.config.nodes import Cursor, describe, shorten
from supervisor.core.config.problems import did_you_mean, one_of
from supervisor.core.config.reading import Bad, Reading, Role
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


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one shape; `unique` refuses a second of the same."""

    item: Shape
    minimum: int = 0
    maximum: int = 10_000
    unique: bool = False

    def read(self, reading: Reading, cursor: Cursor) -> tuple[Any, ...]:
        """Return what could be read; `Bad` where an item could not."""
        if not isinstance(cursor.node, nodes.Sequence):
            raise reading.bad(
                cursor, f"{reading.name(cursor)} must be a list, not {describe(cursor.node)}"
            )
        if not self.minimum <= len(cursor.node.items) <= self.maximum:
            limit = (
                "must not be empty"
                if not cursor.node.items
                else (f"must have {self.minimum} to {self.maximum} items")
            )
            raise reading.bad(cursor, f"{reading.name(cursor)} {limit}")
        values, is_bad = self._items(reading, cursor)
        if is_bad:
            raise Bad
        return tuple(values)

    def _items(self, reading: Reading, cursor: Cursor) -> tuple[list[Any], bool]:
        values: list[Any] = []
        is_bad = False
        for item in cursor.items():
            try:
                value = self.item.read(reading, item)
            except Bad as bad:
                reading.problems.extend([bad.problem] if bad.problem else [])
                is_bad = True
                continue
            if self.unique and value in values:
                reading.note(item, f"{value} is listed twice in {reading.name(cursor)}")
                is_bad = True
            values.append(value)
        return values, is_bad

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        schema: dict[str, Any] = {"type": "array", "items": self.item.schema()}
        if self.minimum:
            schema["minItems"] = self.minimum
        if self.unique:
            schema["uniqueItems"] = True
        return schema


@dataclass(frozen=True, slots=True)
class MapOf:
    """Free names and values of one shape."""

    item: Shape
    is_name: Callable[[str], bool]
    what: str

    def read(self, reading: Reading, cursor: Cursor) -> dict[str, Any]:
        """Return the mapping; `Bad` where a part could not be read."""
        if not isinstance(cursor.node, nodes.Mapping):
            message = f"{reading.name(cursor)} must be a mapping, not {describe(cursor.node)}"
            raise reading.bad(cursor, message)
        values: dict[str, Any] = {}
        is_bad = False
        for key, key_cursor, value in cursor.pairs():
            if not self.is_name(key):
                reading.note(key_cursor, f"{shorten(key)!r} is no {self.what}")
                is_bad = True
                continue
            try:
                values[key] = self.item.read(reading, value)
            except Bad as bad:
                reading.problems.extend([bad.problem] if bad.problem else [])
                is_bad = True
        if is_bad:
            raise Bad
        return values

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "object", "additionalProperties": self.item.schema()}


@dataclass(frozen=True, slots=True)
class Data:
    """Free data: what a message may hold."""

    def read(self, reading: Reading, cursor: Cursor) -> Any:
        """Return the data as Python values."""
        match cursor.node:
            case nodes.Sequence():
                return [self.read(reading, item) for item in cursor.items()]
            case nodes.Mapping():
                return {key: self.read(reading, value) for key, _, value in cursor.pairs()}
        value, _ = reading.atom(cursor, "data")
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise reading.bad(cursor, f"{reading.name(cursor)}: {value} needs more than 64 bits")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {}


@dataclass(frozen=True, slots=True)
class DataMap:
    """A mapping of free data."""

    def read(self, reading: Reading, cursor: Cursor) -> dict[str, Any]:
        """Return the mapping."""
        if not isinstance(cursor.node, nodes.Mapping):
            message = f"{reading.name(cursor)} must be a mapping, not {describe(cursor.node)}"
            raise reading.bad(cursor, message)
        value: dict[str, Any] = Data().read(reading, cursor)
        return value

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "object"}


@dataclass(frozen=True, slots=True)
class Judged:
    """The name or the kind of an entry: read, and judged, before its table is."""

    what: Mapping[str, Any]

    def read(self, _reading: Reading, _cursor: Cursor) -> None:
        """Return nothing: the value is already known."""

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return dict(self.what)


@dataclass(frozen=True, slots=True)
class Field:
    """A key of a table.

    Attributes:
        shape: What its value must look like.
        doc: What it means, one line; shown by editors.
        into: Name in the typed value; the key itself by default.
        required: Whether it must be there.
    """

    shape: Shape
    doc: str
    into: str = ""
    required: bool = False


Check = Callable[[Reading, Cursor, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with known keys.

    Attributes:
        fields: The keys.
        build: Makes the typed value of what was read; by default the dict itself.
        check: Notes what is wrong between the fields; it sees what could be read.
        later: Keys that the format has but this version has not.
    """

    fields: Mapping[str, Field]
    build: Callable[..., Any] = dict
    check: Check | None = None
    later: tuple[str, ...] = ()

    def read(self, reading: Reading, cursor: Cursor) -> Any:
        """Return the typed value; `Bad` where a part could not be read."""
        values, is_bad = self.values(reading, cursor)
        if is_bad:
            raise Bad
        return self.build(**values)

    def values(self, reading: Reading, cursor: Cursor) -> tuple[dict[str, Any], bool]:
        """Return what could be read, by name in the typed value, and whether more is wrong."""
        if not isinstance(cursor.node, nodes.Mapping):
            message = f"{reading.name(cursor)} must be a mapping, not {describe(cursor.node)}"
            raise reading.bad(cursor, message)
        before = len(reading.problems)
        values: dict[str, Any] = {}
        for key, key_cursor, value in cursor.pairs():
            known = self.fields.get(key)
            if known is None:
                self._unknown(reading, cursor, key_cursor)
                continue
            try:
                values[known.into or key] = known.shape.read(reading, value)
            except Bad as bad:
                reading.problems.extend([bad.problem] if bad.problem else [])
        self._missing(reading, cursor)
        if self.check is not None:
            self.check(reading, cursor, values)
        return values, len(reading.problems) > before

    def _unknown(self, reading: Reading, cursor: Cursor, key: Cursor) -> None:
        word = str(key.path[-1])
        where = reading.where(cursor.path)
        if word in self.later:
            reading.note(key, f"{word!r} in {where} is not supported by this version yet")
            return
        hint = did_you_mean(word, self.fields) or self._belongs(word)
        reading.note(key, f"unknown key {shorten(word)!r} in {where}", hint)

    def _belongs(self, word: str) -> str:
        """Return the hint for a key that is right one level deeper."""
        for name, known in self.fields.items():
            if isinstance(known.shape, Table) and word in known.shape.fields:
                return f"it belongs under {name!r}"
        return ""

    def _missing(self, reading: Reading, cursor: Cursor) -> None:
        present = {key for key, _, _ in cursor.pairs()}
        for name, known in self.fields.items():
            is_judged = isinstance(known.shape, Judged)
            if known.required and name not in present and not is_judged:
                reading.note(cursor, f"missing key {name!r} in {reading.where(cursor.path)}",
                             known.doc)  # fmt: skip

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        schema: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {**known.shape.schema(), "description": known.doc}
                for name, known in self.fields.items()
            },
        }
        required = [name for name, known in self.fields.items() if known.required]
        if required:
            schema["required"] = required
        return schema
