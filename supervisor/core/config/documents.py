"""From an entry in a file to its document, and from a document to the typed entry.

A document says what the file says, variables filled in, in values that YAML can hold; the tables
that read files read documents too, so that an entry made at run time is judged by the same rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from supervisor.core.config import nodes
from supervisor.core.config.code import Source, inline_at
from supervisor.core.config.decode import Draft, read_entry
from supervisor.core.config.imports import code_of
from supervisor.core.config.kinds import KINDS
from supervisor.core.config.nodes import Cursor, Node, Scalar, Style, path_text
from supervisor.core.config.problems import Problem, render
from supervisor.core.config.reading import Bad, Reading
from supervisor.core.config.shapes import Choice, Flag, Real, Shape, Whole
from supervisor.core.config.special import Just
from supervisor.core.config.tables import Data, DataMap
from supervisor.core.spec import Entry, FunctionEntry, Place, ProcessEntry
from wippy.core.entry import DATA_KIND, CodeText, EntryDoc, EntryPlace, fields_of
from wippy.core.ids import split_id
from wippy.errors import Invalid

_VALUES = (Whole, Real, Flag, Just)
"""Shapes of scalars whose value counts; of all others the text does."""
_JUDGED = ("name", "kind", "meta")


# --- from a file ---------------------------------------------------------------------------------


def document_of(draft: Draft) -> tuple[EntryDoc, EntryPlace]:
    """Return the document of a draft from a file that has no problems, and where it stands."""
    reading, cursor = draft.reading, draft.cursor
    known = KINDS[draft.kind].fields
    values = {
        key: _plain(reading, value, known[key].shape if key in known else Data())
        for key, _, value in cursor.pairs()
    }
    meta = values.get("meta", {})
    data = {key: value for key, value in values.items() if key not in _JUDGED}
    is_data = draft.kind == DATA_KIND
    doc = EntryDoc(
        id=draft.id,
        kind=draft.kind,
        meta=meta,
        data=data.get("data", {}) if is_data else data,
        folder="" if is_data else reading.folder,
    )
    place = cursor.node.place
    source = cursor.at("source").node
    is_block = isinstance(source, Scalar) and source.style is Style.BLOCK
    code_at = inline_at(reading, source) if is_block and isinstance(source, Scalar) else ""
    return doc, EntryPlace(place.file, place.line, place.column, code_at)


def value_at(kind: str, path: tuple[str, ...], node: Node) -> Any:
    """Return what a node means at a path within the data of an entry of `kind`, as `document_of`
    would: a mask 0022 stays text, a port a number.

    Raises:
        Invalid: It is nothing that data can hold.
    """
    shape: Shape | None = Data()
    if kind != DATA_KIND and kind in KINDS:
        shape = KINDS[kind]
        for part in path:
            fields: Mapping[str, Any] = getattr(shape, "fields", {})
            shape = fields[part].shape if part in fields else getattr(shape, "item", Data())
    reading = Reading(folder="/", file_path="", lines=(), environ={}, is_document=True)
    try:
        return _plain(reading, Cursor(node, path), shape)
    except Bad as bad:
        message = bad.problem.message if bad.problem else "no value"
        raise Invalid(f"{path_text(path)}: {message}") from bad


def _plain(reading: Reading, cursor: Cursor, shape: Shape | None) -> Any:
    """Return what a node says as plain data that `shape` reads alike."""
    if isinstance(shape, Data | DataMap):
        return Data().read(reading, cursor)
    if isinstance(cursor.node, nodes.Mapping):
        fields: Mapping[str, Any] = getattr(shape, "fields", {})
        each = getattr(shape, "item", None)
        return {
            key: _plain(reading, value, fields[key].shape if key in fields else each)
            for key, _, value in cursor.pairs()
        }
    if isinstance(cursor.node, nodes.Sequence):
        each = getattr(shape, "item", None)
        return [_plain(reading, item, each) for item in cursor.items()]
    return _atom(reading, cursor, shape)


def _atom(reading: Reading, cursor: Cursor, shape: Shape | None) -> Any:
    node = cursor.node
    assert isinstance(node, Scalar)
    if isinstance(shape, Source) and node.style is Style.BLOCK:
        return node.text
    value, scalar = reading.atom(cursor, "a value")
    if isinstance(shape, _VALUES) or _is_number_like(shape, value):
        return value
    # A mask 0022, a user 033, a variable 1.10: what is written is what is meant.
    is_same = not isinstance(value, str) and _text_of(value) == scalar.text
    return value if is_same and scalar.text == node.text else scalar.text


def _is_number_like(shape: Shape | None, value: Any) -> bool:
    """Say whether a shape with a long and a short form (`workers: 2`) was given the short one."""
    has_forms = hasattr(shape, "fields") and not isinstance(value, str)
    return has_forms and not isinstance(shape, Choice)


# --- from the registry ---------------------------------------------------------------------------


def draft_of(doc: EntryDoc, place: EntryPlace | None = None) -> Draft:
    """Return the typed draft of a document; what is wrong is noted in its `reading`.

    Args:
        doc: A document that `wippy.core.entry.check` accepts.
        place: Where the entry stands, if it is what its file says; for tracebacks of inline code.
    """
    here = Place(where_of(doc.id), 0)
    namespace, name = split_id(doc.id)
    fields: dict[str, Any] = {"name": name, "kind": doc.kind}
    if doc.meta:
        fields["meta"] = doc.meta
    cursor = Cursor(_node({**fields, **fields_of(doc)}, here))
    reading = Reading(
        folder=doc.folder,
        file_path=doc.id,
        lines=(),
        environ={},
        is_document=True,
        code_at=place.code_at if place is not None else "",
        namespace=namespace,
    )
    draft = read_entry(reading, cursor, doc.id)
    entry: Any = draft.entry
    if doc.code is None or entry is None or code_of(draft) is None:
        return draft
    if entry.code.path != doc.code.path:
        return draft  # of another file than the one it names now
    code = replace(entry.code, text=doc.code.text)
    return dataclasses.replace(draft, entry=replace(entry, code=code))


def typed_of(doc: EntryDoc, place: EntryPlace | None, folder: str) -> Entry:
    """Return the typed entry of a document that is right, as the tree is made from it.

    Args:
        doc: A document of the registry: it was judged before it was committed.
        place: Where it stands, if it is what its file says.
        folder: The configuration's: code imports modules from there.
    """
    draft = draft_of(doc, place)
    if draft.entry is None or draft.reading.problems:
        raise Invalid(render([in_registry(problem) for problem in draft.reading.problems]))
    return located(draft, folder)


def located(draft: Draft, folder: str) -> Entry:
    """Return the entry of a draft; code gets the configuration's folder to import from."""
    entry = draft.entry
    assert entry is not None, f"{draft.id} has no entry, and no problem says why"
    if not isinstance(entry, ProcessEntry | FunctionEntry):
        return entry
    return replace(entry, code=replace(entry.code, search_path=folder))


def with_code(doc: EntryDoc, draft: Draft) -> EntryDoc:
    """Return a document with the text of the source file that its draft has read."""
    code = code_of(draft)
    if code is None or code.path is None or code.text is None:
        return doc
    return replace(doc, code=CodeText(code.path, code.text))


def where_of(entry_id: str) -> str:
    """Return how problems of an entry of the registry name it."""
    return f"registry: {entry_id}"


def in_registry(problem: Problem) -> Problem:
    """Return a problem of a document with its place in words: `registry: app:x, data.workers`."""
    place, path = problem.place, problem.path
    if place.line or not path or not place.file.startswith("registry: "):
        return problem
    is_own = path.partition(".")[0] not in _JUDGED and path.partition(".")[0] != "data"
    shown = f"{place.file}, {'data.' if is_own else ''}{path}"
    return Problem(place=Place(shown, 0), message=problem.message, hint=problem.hint)


def _node(value: Any, place: Place) -> Node:
    if isinstance(value, dict):
        pairs = ((Scalar(place, key, Style.QUOTED), _node(v, place)) for key, v in value.items())
        return nodes.Mapping(place, tuple(pairs))
    if isinstance(value, list):
        return nodes.Sequence(place, tuple(_node(item, place) for item in value))
    if isinstance(value, str):
        return Scalar(place, value, Style.BLOCK if "\n" in value else Style.QUOTED)
    return Scalar(place, _text_of(value))


def _text_of(value: Any) -> str:
    """Return the plain scalar that means `value`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value))
    return str(value)
