"""How the registry is shown: entries as YAML, changes leaf by leaf, versions as a table; JSON."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import ndiff
from typing import Any

import msgspec

from supervisor.cli.output import columns, painted, put, say, width_of
from supervisor.core.json_form import SCHEMA, rfc3339
from supervisor.core.registry.changeset import Change, Op
from supervisor.core.registry.leaves import LeafChange, content_of, leaf_changes
from supervisor.core.registry.version import Version
from wippy.core.entry import EntryDoc, decode_doc
from wippy.core.units import counted

MAX_VALUE_LENGTH = 60
NOTHING = "(nothing)"
SIGNS = {Op.CREATED: "+", Op.UPDATED: "~", Op.DELETED: "-"}
COLOURS = {Op.CREATED: "green", Op.UPDATED: "yellow", Op.DELETED: "red"}
VERSION_HEADINGS = ("VERSION", "TIME", "AUTHOR", "CHANGES", "COMMENT")
ENTRY_HEADINGS = ("ID", "KIND", "META")


def put_data(value: dict[str, Any]) -> None:
    """Write JSON for programs. What users have written stays as it is: a key `at_s` in their data
    is no time of ours."""
    put(msgspec.json.format(msgspec.json.encode({"schema": SCHEMA, **value})).decode())


# --- entries -------------------------------------------------------------------------------------


def entry_data(doc: EntryDoc) -> dict[str, Any]:
    """Return an entry as data for programs."""
    return {"id": doc.id, "kind": doc.kind, "meta": doc.meta, "data": doc.data}


def entry_text(doc: EntryDoc) -> str:
    """Return an entry as YAML, as `registry set -` takes it."""
    return to_yaml({"id": doc.id, **content_of(doc)})


def put_entries(docs: Sequence[EntryDoc]) -> None:
    """Write a table of entries; nothing but a word on stderr where there are none."""
    if not docs:
        say("no such entries")
        return
    rows = [(doc.id, doc.kind, inline(doc.meta) if doc.meta else "") for doc in docs]
    for line in columns([ENTRY_HEADINGS, *rows], width=width_of(sys.stdout)):
        put(line)


def to_yaml(value: Any) -> str:
    """Return data as YAML, as people write it: lists indented, texts of several lines in blocks."""
    from io import StringIO

    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import LiteralScalarString, walk_tree

    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 4096
    walk_tree(value, map={"\n": LiteralScalarString})
    out = StringIO()
    yaml.dump(value, out)
    return out.getvalue().rstrip("\n")


def inline(value: Any) -> str:
    """Return a value in a few words, as JSON."""
    if _has_lines(value):
        return f"({counted(len(value.splitlines()), 'line')})"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"


# --- changes -------------------------------------------------------------------------------------


def change_data(change: Change) -> dict[str, Any]:
    """Return a change as data for programs: both sides, and the paths that differ."""
    sides = {"old": change.old, "new": change.new}
    shown = {name: None if it is None else entry_data(decode_doc(it)) for name, it in sides.items()}
    paths = [leaf.path for leaf in leaf_changes(change.old, change.new)]
    return {"id": change.id, "op": str(change.op), **shown, "paths": paths}


def put_changes(changes: Iterable[Change], *, is_coloured: bool) -> None:
    """Write changes: a line for each entry, and below it one for each value that differs."""
    for change in changes:
        line = f"{SIGNS[change.op]} {change.id} {change.op}"
        put(painted(line, COLOURS[change.op] if is_coloured else ""))
        for text in _leaf_lines(change):
            put(f"    {text}")


def _leaf_lines(change: Change) -> Iterator[str]:
    for leaf in leaf_changes(change.old, change.new):
        if change.op is Op.CREATED:
            yield f"{leaf.path}: {inline(leaf.new)}"
        elif change.op is Op.DELETED:
            yield f"{leaf.path}: {inline(leaf.old)}"
        else:
            yield f"{leaf.path}: {_sides(leaf)}"


def _sides(leaf: LeafChange) -> str:
    if leaf.has_old and leaf.has_new and _has_lines(leaf.old) and _has_lines(leaf.new):
        marks = Counter(line[0] for line in ndiff(leaf.old.splitlines(), leaf.new.splitlines()))
        return f"+{marks['+']} -{marks['-']} lines"
    old = inline(leaf.old) if leaf.has_old else NOTHING
    return f"{old} -> {inline(leaf.new) if leaf.has_new else NOTHING}"


def _has_lines(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


# --- versions ------------------------------------------------------------------------------------


def version_data(version: Version) -> dict[str, Any]:
    """Return a version as data for programs; `at` is null where it is not known."""
    data: dict[str, Any] = msgspec.to_builtins(version)
    at_s = data.pop("at_s")
    return {"number": data.pop("number"), "at": rfc3339(at_s) if at_s else None, **data}


def put_versions(versions: Sequence[Version]) -> None:
    """Write a table of versions, times local."""
    rows = [
        (
            str(version.number),
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.at_s)),
            version.author,
            f"+{version.created} ~{version.updated} -{version.deleted}",
            version.comment,
        )
        for version in versions
    ]
    lines = columns([VERSION_HEADINGS, *rows], right=frozenset({0}), width=width_of(sys.stdout))
    for line in lines:
        put(line)
