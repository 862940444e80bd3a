"""From the bytes of a YAML file to a tree of nodes.

ruamel.yaml's parser gives events with places; the tree is built from them here, without recursion
and without expanding aliases, so that neither depth nor a "billion laughs" document costs more
than its own bytes. What the document would be after expansion is counted, and bounded.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from supervisor.core.config.nodes import Mapping, Node, Scalar, Sequence, Style, shorten
from supervisor.core.config.problems import Problem
from supervisor.core.spec import Place

MAX_FILE_BYTES = 4 * 2**20
"""A configuration file larger than this is none."""
MAX_NODES = 100_000
"""Keys and values of one file after its aliases are expanded."""
MAX_DEPTH = 32
"""Nesting: the format itself needs 5, free data some more."""

# What ruamel counts as the end of a line; `splitlines` knows more and would shift the carets.
_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class Document(msgspec.Struct, frozen=True):
    """A parsed file: its tree (None if there is none), its lines, and what is wrong with it."""

    file: str
    root: Node | None
    lines: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def parse(data: bytes, file: str) -> Document:
    """Return the document in `data`; `file` is the name to show."""
    if len(data) > MAX_FILE_BYTES:
        return _refused(file, f"{len(data)} bytes; at most {MAX_FILE_BYTES // 2**20} MiB are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _not_utf8(data, file, error)
    lines = tuple(_LINE_BREAK.split(text))
    builder = _Builder(file, lines)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except _Stop:
        return Document(file, None, lines, tuple(builder.problems))
    except (YAMLError, ValueError) as error:  # ValueError: an escape that is no character
        return Document(file, None, lines, (*builder.problems, _syntax(error, file, lines)))
    if builder.root is None or builder.root == Scalar(builder.root.place, ""):
        return _refused(file, "the file is empty", hint="a file has version, namespace and entries")
    return Document(file, builder.root, lines, tuple(builder.problems))


class _Stop(Exception):
    """The rest of the document is not worth reading."""


class _Open:
    """A list or a mapping whose end has not come; `size` counts the nodes below."""

    def __init__(self, place: Place, anchor: str | None, *, is_mapping: bool) -> None:
        self.place = place
        self.anchor = anchor
        self.is_mapping = is_mapping
        self.nodes: list[Node] = []
        self.size = 1


class _Builder:
    """Builds the tree from events, one at a time."""

    def __init__(self, file: str, lines: tuple[str, ...]) -> None:
        self.file = file
        self.lines = lines
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}  # node, size, height
        self._heights: list[int] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take the next event of the parser."""
        match event:
            case ScalarEvent():
                self._no_tag(event)
                self._put(self._scalar(event), 1, 0, event.anchor)
            case SequenceStartEvent() | MappingStartEvent():
                self._no_tag(event)
                self._start(event)
            case SequenceEndEvent() | MappingEndEvent():
                self._end()
            case AliasEvent():
                self._alias(event)
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(event, "a second document in one file", "one file, one document")

    def _scalar(self, event: Any) -> Scalar:
        style = {None: Style.PLAIN, "": Style.PLAIN, "|": Style.BLOCK, ">": Style.FOLDED}.get(
            event.style, Style.QUOTED
        )
        return Scalar(self._place(event), event.value, style)

    def _start(self, event: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        is_mapping = isinstance(event, MappingStartEvent)
        self._open.append(_Open(self._place(event), event.anchor, is_mapping=is_mapping))
        self._heights.append(0)

    def _end(self) -> None:
        top = self._open.pop()
        height = self._heights.pop() + 1
        node = self._mapping(top) if top.is_mapping else Sequence(top.place, tuple(top.nodes))
        self._put(node, top.size, height, top.anchor)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            self._stop(event, f"unknown alias '*{event.anchor}'")
        node, size, height = self._anchors[event.anchor]
        if len(self._open) + height > MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels, aliases expanded")
        self._put(node, size, height, None, event)

    def _put(
        self, node: Node, size: int, height: int, anchor: str | None, event: Any = None
    ) -> None:
        if anchor:
            self._anchors[anchor] = (node, size, height)
        if not self._open:
            self.root = node
            return
        top = self._open[-1]
        top.nodes.append(node)
        top.size += size
        self._heights[-1] = max(self._heights[-1], height)
        if sum(level.size for level in self._open) > MAX_NODES:
            place = self._place(event) if event is not None else node.place
            self._problem(place, f"more than {MAX_NODES} keys and values, aliases expanded")
            raise _Stop

    def _mapping(self, top: _Open) -> Mapping:
        """Pair keys and values, refuse second keys, and fold `<<` in."""
        pairs: dict[str, tuple[Scalar, Node]] = {}
        merged: list[Mapping] = []
        for key, value in zip(top.nodes[::2], top.nodes[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._problem(key.place, "a key must be a word, not a list or a mapping")
            elif key.text == "<<" and key.style is Style.PLAIN:
                merged.extend(self._merge(value))
            elif key.text in pairs:
                first = pairs[key.text][0].place
                message = f"duplicate key {shorten(key.text)!r}; the first is in line {first.line}"
                self._problem(key.place, message)
            else:
                pairs[key.text] = (key, _placed(key, value))
        for mapping in merged:
            for key, value in mapping.pairs:
                pairs.setdefault(key.text, (key, value))
        return Mapping(top.place, tuple(pairs.values()))

    def _merge(self, value: Node) -> list[Mapping]:
        nodes = value.items if isinstance(value, Sequence) else (value,)
        mappings = [node for node in nodes if isinstance(node, Mapping)]
        if len(mappings) != len(nodes):
            self._problem(value.place, "'<<' takes a mapping, or a list of mappings")
        return mappings

    def _no_tag(self, event: Any) -> None:
        tag = event.tag
        if tag is not None and str(tag) not in {"!", "tag:yaml.org,2002:str"}:
            self._problem(self._place(event), f"YAML tag {str(tag)!r} is not allowed here")

    def _place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1)

    def _stop(self, event: Any, message: str, hint: str = "") -> None:
        self._problem(self._place(event), message, hint)
        raise _Stop

    def _problem(self, place: Place, message: str, hint: str = "") -> None:
        line = line_at(self.lines, place.line)
        self.problems.append(Problem(place=place, message=message, hint=hint, line=line))


def _placed(key: Scalar, value: Node) -> Node:
    """Return the value; one that is not there is where its key is, not where the next begins."""
    is_nothing = isinstance(value, Scalar) and value.style is Style.PLAIN and not value.text
    return Scalar(key.place, "") if is_nothing else value


def line_at(lines: tuple[str, ...], number: int) -> str:
    """Return line `number` (from 1); empty where there is none."""
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _refused(file: str, message: str, hint: str = "") -> Document:
    return Document(file, None, (), (Problem(place=Place(file, 0), message=message, hint=hint),))


def _not_utf8(data: bytes, file: str, error: UnicodeDecodeError) -> Document:
    before = data[: error.start]
    column = len(before) - (before.rfind(b"\n") + 1) + 1
    place = Place(file, before.count(b"\n") + 1, column)
    message = f"not UTF-8: byte 0x{data[error.start]:02x}"
    hint = "save the file as UTF-8"
    return Document(file, None, (), (Problem(place=place, message=message, hint=hint),))


def _syntax(error: Exception, file: str, lines: tuple[str, ...]) -> Problem:
    if not isinstance(error, MarkedYAMLError):
        return _odd_character(error, file, lines)
    mark = error.problem_mark or error.context_mark
    number = mark.line + 1 if mark else 0
    for near in (number, number - 1):
        line = line_at(lines, near)
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent:
            place = Place(file, near, indent.index("\t") + 1)
            message = "a tab in the indentation; YAML allows only spaces"
            return Problem(place=place, message=message, line=line, hint="replace it by spaces")
    place = Place(file, number, mark.column + 1 if mark else 1)
    said = "; ".join(part for part in (error.context, error.problem) if part)
    return Problem(place=place, message=f"not valid YAML: {said}", line=line_at(lines, number))


def _odd_character(error: Exception, file: str, lines: tuple[str, ...]) -> Problem:
    """A control character that YAML forbids: ruamel's ReaderError has only the character."""
    code = getattr(error, "character", None)
    for number, line in enumerate(lines, start=1):
        if isinstance(code, int) and chr(code) in line:
            place = Place(file, number, line.index(chr(code)) + 1)
            message = f"not valid YAML: control character U+{code:04X}"
            return Problem(place=place, message=message, line=line)
    return Problem(place=Place(file, 0), message=f"not valid YAML: {error}")
