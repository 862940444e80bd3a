"""Shapes made of shapes: lists, mappings, free data, and tables with known keys.

They note what is wrong in a part and go on to the next, so that one reading finds all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.core.config import nodes
from supervisor.core.config.nodes import Cursor, describe, shorten
from supervisor.core.config.problems import did_you_mean
from supervisor.core.config.reading import Bad, Reading
from supervisor.core.config.shapes import Shape


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
            if word in getattr(known.shape, "fields", ()):
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
