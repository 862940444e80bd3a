"""Shapes of code: where it is, what it imports, the function that is called, the mailbox."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from supervisor.core.config import nodes
from supervisor.core.config.nodes import Cursor, Scalar, Style, describe, shorten
from supervisor.core.config.reading import Bad, Reading, Role
from supervisor.core.config.shapes import Link, Text, Whole
from supervisor.core.config.special import resolve_path
from supervisor.core.config.tables import Field, Table
from supervisor.core.spec import Code, LibraryCode
from wippy.core.messages import MAILBOX_MESSAGES

FILE_SCHEME = "file://"
MAX_MAILBOX = 1_000_000
"""Messages in one mailbox: a hundred times the default, and already a hundred MB of small ones."""


@dataclass(frozen=True, slots=True)
class Source:
    """`file://NAME`, or the code itself in a literal block (`source: |`).

    The typed value has fields of `spec.Code`: `path`, or `text` and `origin`.
    """

    def read(self, reading: Reading, cursor: Cursor) -> dict[str, str]:
        """Return where the code is; what is in it is judged by the shell."""
        node = cursor.node
        if reading.is_document and isinstance(node, Scalar) and _is_code(node.text):
            return {"text": node.text, "origin": reading.code_at or f"<{reading.owner}>"}
        if isinstance(node, Scalar) and node.style is Style.BLOCK:
            return {"text": node.text, "origin": inline_at(reading, node)}
        text = Text("file://NAME, or code in a block: |").read(reading, cursor)
        if text.startswith(FILE_SCHEME) and len(text) > len(FILE_SCHEME):
            return {"path": resolve_path(reading, cursor, text.removeprefix(FILE_SCHEME))}
        if "\n" in text or "(" in text:
            raise reading.bad(cursor, "code must be in a literal block", "write source: |")
        hint = f"did you mean '{FILE_SCHEME}{shorten(text)}'?"
        raise reading.bad(cursor, f"source: {shorten(text)!r} is neither a file nor code", hint)

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "examples": ["file://workers.py"]}


def inline_at(reading: Reading, node: Scalar) -> str:
    """Return `file:line` of the first line of a literal block."""
    return f"{reading.file_path}:{node.place.line + 1}"


def _is_code(text: str) -> bool:
    """Say whether a document means code, and no file: it no longer knows what was a block."""
    return not text.startswith(FILE_SCHEME) and any(mark in text for mark in "\n(= ")


@dataclass(frozen=True, slots=True)
class Dotted:
    """A Python name; `dotted` allows `package.module`."""

    what: str
    dotted: bool = False

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the name."""
        text = reading.text(cursor, self.what)
        parts = text.split(".") if self.dotted else [text]
        if not all(part.isidentifier() for part in parts):
            raise reading.bad(
                cursor, f"{reading.name(cursor)}: {shorten(text)!r} is no {self.what}"
            )
        return text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Imports:
    """`{alias: id}`: the libraries that code finds under these names."""

    def read(self, reading: Reading, cursor: Cursor) -> dict[str, str]:
        """Return the ids by alias; that they exist is judged when all files are read."""
        if not isinstance(cursor.node, nodes.Mapping):
            message = f"{reading.name(cursor)} must be a mapping, not {describe(cursor.node)}"
            raise reading.bad(cursor, message, "write for instance {texts: app:texts}")
        found: dict[str, str] = {}
        before = len(reading.problems)
        for alias, alias_cursor, value in cursor.pairs():
            if not is_alias(alias):
                hint = "it becomes a global variable of the code"
                reading.note(alias_cursor, f"{shorten(alias)!r} is no name of a variable", hint)
            try:
                found[alias] = Link(Role.IMPORT).read(reading, value)
            except Bad as bad:
                reading.problems.extend([bad.problem] if bad.problem else [])
        if len(reading.problems) > before:
            raise Bad
        return found

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {
            "type": "object",
            "propertyNames": {"pattern": "^[^\\W\\d]\\w*$"},
            "additionalProperties": Link(Role.IMPORT).schema(),
        }


def is_alias(name: str) -> bool:
    """Say whether a library can be bound to `name`; Python's own `__names__` are taken."""
    is_own = name.startswith("__") and name.endswith("__")
    return name.isidentifier() and not keyword.iskeyword(name) and not is_own


# --- fields of the kinds that have code ----------------------------------------------------------

CODE = {
    "source": Field(Source(), "file://NAME, or the code itself in a block"),
    "module": Field(Dotted("name of a module", dotted=True), "a module to import"),
    "imports": Field(Imports(), "libraries, by the names under which the code finds them"),
}
METHOD = Field(Dotted("name of a function"), "the entry function", required=True)
MAILBOX = Field(
    Table(
        {"size": Field(Whole(1, MAX_MAILBOX), "messages that may wait")},
        build=lambda size=MAILBOX_MESSAGES: size,
    ),
    "its mailbox",
    "mailbox_messages",
)


def check_code(reading: Reading, cursor: Cursor, _values: dict[str, Any]) -> None:
    """Note what is wrong between the fields of code."""
    present = {key: key_cursor for key, key_cursor, _ in cursor.pairs()}
    has_source, has_module = "source" in present, "module" in present
    if has_source == has_module:
        has = "both" if has_source else "neither"
        message = f"{reading.where(cursor.path)} needs either 'source' or 'module', has {has}"
        reading.note(cursor, message)
    elif has_module and "imports" in present:
        message = f"'imports' of {reading.where(cursor.path)} has no effect with 'module'"
        hint = "a module imports by itself; write source: file://..."
        reading.note(present["imports"], message, hint)


def with_code(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with the fields of `Code` together under `code`."""
    return _gathered(values, Code, (*CODE, "method", "mailbox_messages"))


def with_library(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` with the fields of `LibraryCode` together under `code`."""
    return _gathered(values, LibraryCode, tuple(CODE))


def _gathered(
    values: dict[str, Any], build: Callable[..., Any], fields: tuple[str, ...]
) -> dict[str, Any]:
    own = {key: values[key] for key in fields if key in values}
    rest = {key: value for key, value in values.items() if key not in fields}
    return {**rest, "code": build(**{**own.pop("source", {}), **own})}
