"""An entry of the registry as a document: what a user writes, with variables filled in.

`data` is the kind's own fields in the words of the files (`timeout: 5s`); of a `registry.entry` it
is what its `data:` says. It is plain data that YAML can hold: None, bool, int, float, str, list,
and dict with string keys. Where an entry stands is no part of it (`EntryPlace` is kept beside).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from wippy.core.ids import split_id
from wippy.errors import Invalid

DATA_KIND = "registry.entry"
"""The kind of plain data: nothing is started from it, and no other entry names it."""
MAX_DEPTH = 64
"""Nesting of lists and dicts: files have 32 levels at most, and decoders stay far from theirs."""
MAX_ENTRY_BYTES = 4 * 2**20
"""Of an encoded document, its code included: four of them fit into a frame."""
MAX_KIND_LENGTH = 64
MAX_SHOWN_PARTS = 12
"""Parts of a place that an error names; a deeper one is shortened in the middle."""


class CodeText(msgspec.Struct, frozen=True):
    """The text of a source file as it was when the entry was loaded.

    Attributes:
        path: Absolute path of the file: the name it is compiled under.
        text: What was in it.
    """

    path: str
    text: str


class EntryDoc(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry as it is stored, sent and compared.

    Attributes:
        id: `namespace:name`.
        kind: What it is.
        meta: Free data.
        data: The kind's own fields; for `registry.entry` the data itself.
        folder: Where its relative paths start, absolute; empty where it has none.
        code: The text of `source: file://...`; inline code stands in `data`.
    """

    id: str
    kind: str
    meta: dict[str, Any] = {}
    data: dict[str, Any] = {}
    folder: str = ""
    code: CodeText | None = None


class EntryPlace(msgspec.Struct, frozen=True):
    """Where an entry stands: renewed without a new version.

    Attributes:
        file: The file, as it was named.
        line: Line of the entry, from 1.
        column: Column, from 1.
        code_at: `file:line` of the first line of inline code; empty where there is none.
    """

    file: str
    line: int = 1
    column: int = 1
    code_at: str = ""


class EntryChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be done with one entry: `doc` is what it becomes, None for a delete.

    `update` replaces the whole document, but for the fields that it `keeps` (`kind`, `meta`,
    `data`); the text of a source file that it names is kept from the one before where it names the
    same file.

    `expected_version` is the version that must have written the entry that is updated or deleted;
    another is a `Conflict`. None takes any.
    """

    op: Literal["create", "update", "delete"]
    id: str
    doc: EntryDoc | None = None
    keeps: tuple[str, ...] = ()
    expected_version: int | None = None


encode_doc = msgspec.msgpack.Encoder().encode
decode_doc = msgspec.msgpack.Decoder(EntryDoc).decode


def fields_of(doc: EntryDoc) -> dict[str, Any]:
    """Return the keys that the entry has in a file, besides `name`, `kind` and `meta`."""
    return {"data": doc.data} if doc.kind == DATA_KIND else doc.data


def check(doc: EntryDoc) -> None:
    """Raise for what cannot be a document of the registry.

    Raises:
        TypeError: Something in it is no plain data; names the place: `data["rows"][3]: a set`.
        Invalid: The id or the kind is none, or it is too large.
    """
    split_id(doc.id)
    if not 1 <= len(doc.kind) <= MAX_KIND_LENGTH or not doc.kind.isprintable():
        raise Invalid(f"{doc.id}: {doc.kind[:80]!r} is no kind")
    for name, value in (("meta", doc.meta), ("data", doc.data)):
        if type(value) is not dict:
            raise TypeError(f"{doc.id}: {name} must be a dict, not a {type(value).__name__}")
        _check(value, (name,))
    size_bytes = len(encode_doc(doc))
    if size_bytes > MAX_ENTRY_BYTES:
        raise Invalid(f"{doc.id} has {size_bytes} bytes; an entry has at most {MAX_ENTRY_BYTES}")


def walk(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of every leaf of plain data: `lifecycle.restart`, `children[2]`."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    if not items:
        yield path_text(path), value
    for key, inner in items:
        yield from walk(inner, (*path, key))


def path_text(path: tuple[str | int, ...]) -> str:
    """Return a path as people write it: `lifecycle.requires[2]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _check(value: Any, place: tuple[str | int, ...]) -> None:
    kind = type(value)
    if kind is dict or kind is list:
        if len(place) > MAX_DEPTH:
            raise TypeError(f"{_shown(place)}: nested more than {MAX_DEPTH} deep")
        items: Iterable[tuple[Any, Any]] = value.items() if kind is dict else enumerate(value)
        for key, item in items:
            if kind is dict:
                _check_key(key, place)
            _check(item, (*place, key))
    elif kind is str:
        _check_text(value, place)
    elif kind is int:
        if not -(2**63) <= value < 2**64:
            raise TypeError(f"{_shown(place)}: an int of more than 64 bits; write it as str")
    elif kind not in (bool, float, type(None)):
        raise TypeError(f"{_shown(place)}: {_described(kind)}, which is no plain data")


def _check_key(key: Any, place: tuple[str | int, ...]) -> None:
    if type(key) is not str:
        raise TypeError(f"{_shown(place)}: a {type(key).__name__} as a key; use a str")
    _check_text(key, place)


def _check_text(text: str, place: tuple[str | int, ...]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TypeError(f"{_shown(place)}: a str with surrogates, which is no text") from None


def _described(kind: type) -> str:
    if kind is tuple:
        return "a tuple (a list is)"
    article = "an" if kind.__name__[:1].lower() in "aeiou" else "a"
    return f"{article} {kind.__name__}"


def _shown(place: tuple[str | int, ...]) -> str:
    first, *rest = place
    parts = [f"[{part}]" if isinstance(part, int) else f'["{part}"]' for part in rest]
    if len(parts) > MAX_SHOWN_PARTS:
        half = MAX_SHOWN_PARTS // 2
        parts = [*parts[:half], "[...]", *parts[-half:]]
    return f"{first}{''.join(parts)}".encode("ascii", "backslashreplace").decode()
