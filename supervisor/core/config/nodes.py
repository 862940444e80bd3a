"""A YAML document as a plain tree in which every key and value knows its place."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from supervisor.core.spec import Place
from wippy.core.entry import path_text as path_text

Atom: TypeAlias = "bool | int | float | str | None"


class Style(enum.StrEnum):
    """How a scalar is written. Only a plain one can be anything but a string."""

    PLAIN = "plain"
    QUOTED = "quoted"
    BLOCK = "block"  # |
    FOLDED = "folded"  # >


class Scalar(msgspec.Struct, frozen=True):
    """A value without parts; `text` is what is written, `value()` what it means."""

    place: Place
    text: str
    style: Style = Style.PLAIN

    def value(self) -> Atom:
        """Return the value by YAML 1.2's core schema."""
        return resolve(self.text) if self.style is Style.PLAIN else self.text


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    place: Place
    items: tuple[Node, ...] = ()


class Mapping(msgspec.Struct, frozen=True):
    """Keys and values, in the order of the file; keys are unique."""

    place: Place
    pairs: tuple[tuple[Scalar, Node], ...] = ()


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class Cursor:
    """A node and the way to it: `Cursor(node, ("entries", 2, "lifecycle"))`."""

    node: Node
    path: tuple[str | int, ...] = ()

    def pairs(self) -> list[tuple[str, Cursor, Cursor]]:
        """Return (key, cursor of the key, cursor of the value) of a mapping."""
        assert isinstance(self.node, Mapping)
        return [
            (key.text, Cursor(key, (*self.path, key.text)), Cursor(value, (*self.path, key.text)))
            for key, value in self.node.pairs
        ]

    def items(self) -> list[Cursor]:
        """Return the cursors of a sequence's items."""
        assert isinstance(self.node, Sequence)
        return [Cursor(item, (*self.path, n)) for n, item in enumerate(self.node.items)]

    def at(self, *keys: str) -> Cursor:
        """Return the cursor of the value below `keys`, or of what is nearest to it."""
        here = self
        for key in keys:
            if not isinstance(here.node, Mapping):
                return here
            found = {name: value for name, _, value in here.pairs()}.get(key)
            if found is None:
                return here
            here = found
        return here


def describe(node: Node) -> str:
    """Return what a node is, in words: `a list`, `the string 'x'`, `nothing`."""
    match node:
        case Sequence():
            return "a list"
        case Mapping():
            return "a mapping"
    value = node.value()
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the string {shorten(value)!r}"
    return node.text if isinstance(value, bool) else f"the number {shorten(node.text)}"


def shorten(text: str, limit: int = 60) -> str:
    """Return `text`, cut where it would drown a message."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


_INT = re.compile(r"[-+]?[0-9]{1,40}")
_BASED = re.compile(r"0(?:o[0-7]{1,40}|x[0-9a-fA-F]{1,40})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,4})?")
_WORDS: dict[str, Atom] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    ".inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan"),
}  # fmt: skip


def resolve(text: str) -> Atom:
    """Return what a plain scalar means (YAML 1.2, chapter 10.3: the core schema)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    # A whole number with more digits than any field takes stays text: int() would take its time.
    is_float = _FLOAT.fullmatch(text) is not None and not text.lstrip("+-").isdigit()
    return float(text) if is_float else text
