"""From a document to entries: the shape of a file, and of each entry in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.core.config import nodes
from supervisor.core.config.kinds import KINDS, LATER_KINDS
from supervisor.core.config.nodes import Cursor, Scalar, describe, shorten
from supervisor.core.config.parse import Document
from supervisor.core.config.problems import did_you_mean, one_of
from supervisor.core.config.reading import Bad, Reading
from supervisor.core.spec import Entry
from wippy.core import ids

VERSIONS = ("1.0",)
"""Versions of the file format that are read."""
RESERVED = "wippy"
NAMES = "name"
"""No namespace: `name:x` is how the directory writes the registered name `x`."""
"""Namespace of the runtime itself."""
UNNAMED = "namespace"
"""Stands for a namespace that is missing or wrong, so that the entries can be judged too."""
DOCUMENT_KEYS = ("version", "namespace", "entries", "runtime")


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry as it was read: `entry` is None where something in it is wrong.

    `id` and `kind` are known even then, so that references to it can be judged.
    """

    id: str
    kind: str
    cursor: Cursor
    reading: Reading
    entry: Entry | None


@dataclass(slots=True)
class FileDraft:
    """What one file says."""

    reading: Reading
    drafts: list[Draft] = field(default_factory=list)
    runtime: Cursor | None = None


def decode(
    document: Document, *, file_path: str, environ: Mapping[str, str], may_have_runtime: bool
) -> FileDraft:
    """Return the entries of a document; what is wrong is noted in the `reading`.

    Args:
        document: The parsed file.
        file_path: Its absolute path; relative paths in it start at its folder.
        environ: What `${env:NAME}` reads.
        may_have_runtime: Whether this is the file that may have a `runtime:` section.
    """
    folder = file_path.rpartition("/")[0] or "/"
    reading = Reading(folder=folder, file_path=file_path, lines=document.lines, environ=environ)
    reading.problems.extend(document.problems)
    draft = FileDraft(reading)
    if document.root is None:
        return draft
    top = Cursor(document.root)
    if not isinstance(document.root, nodes.Mapping):
        wanted = "a mapping with version, namespace and entries"
        reading.note(top, f"a configuration is {wanted}, not {describe(document.root)}")
        return draft
    keys = {key: value for key, _, value in top.pairs()}
    _unknown_keys(reading, top)
    _version(reading, top, keys)
    _runtime(draft, top, keys, may_have_runtime=may_have_runtime)
    if "entries" in keys:
        _namespace(reading, top, keys)
        _entries(draft, keys["entries"])
    elif "runtime" not in keys:
        reading.note(top, "missing key 'entries'")
    return draft


def _unknown_keys(reading: Reading, top: Cursor) -> None:
    for key, key_cursor, _ in top.pairs():
        if key not in DOCUMENT_KEYS:
            hint = did_you_mean(key, DOCUMENT_KEYS) or one_of(DOCUMENT_KEYS)
            reading.note(key_cursor, f"unknown key {shorten(key)!r}", hint)


def _version(reading: Reading, top: Cursor, keys: dict[str, Cursor]) -> None:
    if "version" not in keys:
        reading.note(top, "missing key 'version'", f'write version: "{VERSIONS[-1]}"')
        return
    node = keys["version"].node
    if not isinstance(node, Scalar) or node.text not in VERSIONS:
        said = repr(shorten(node.text)) if isinstance(node, Scalar) else describe(node)
        hint = f'this program reads version "{VERSIONS[-1]}"'
        reading.note(keys["version"], f"unsupported version {said}", hint)


def _namespace(reading: Reading, top: Cursor, keys: dict[str, Cursor]) -> None:
    reading.namespace = UNNAMED
    if "namespace" not in keys:
        reading.note(top, "missing key 'namespace'", "write for instance namespace: app")
        return
    here = keys["namespace"]
    try:
        text = reading.text(here, "a name like app or app.workers")
    except Bad as bad:
        reading.problems.extend([bad.problem] if bad.problem else [])
        return
    if not ids.NAMESPACE.fullmatch(text) or len(text) > ids.MAX_ID_LENGTH:
        message = f"{shorten(text)!r} is no namespace"
        reading.note(here, message, "letters, digits, '_' and '-', parts divided by '.'")
    elif text.split(".")[0] == RESERVED:
        reading.note(here, f"the namespace {RESERVED!r} is the runtime's own")
    elif text == NAMES:
        reading.note(here, f"the namespace {NAMES!r} stands for names that actors register")
    else:
        reading.namespace = text


def _runtime(
    draft: FileDraft, top: Cursor, keys: dict[str, Cursor], *, may_have_runtime: bool
) -> None:
    if "runtime" not in keys:
        return
    if may_have_runtime:
        draft.runtime = keys["runtime"]
        return
    key_cursor = next(cursor for key, cursor, _ in top.pairs() if key == "runtime")
    message = "only wippy.yaml at the top of the folder may have a 'runtime' section"
    draft.reading.note(key_cursor, message)


def _entries(draft: FileDraft, entries: Cursor) -> None:
    if not isinstance(entries.node, nodes.Sequence):
        draft.reading.note(entries, f"entries must be a list, not {describe(entries.node)}")
        return
    for item in entries.items():
        _entry(draft, item)


def _entry(draft: FileDraft, item: Cursor) -> None:
    reading = draft.reading
    reading.owner, reading.owner_depth = "", 0
    if not isinstance(item.node, nodes.Mapping):
        reading.note(item, f"an entry is a mapping, not {describe(item.node)}")
        return
    keys = {key: value for key, _, value in item.pairs()}
    entry_id = _id(reading, item, keys)
    read = read_entry(reading, item, entry_id)
    if entry_id:
        draft.drafts.append(read)


def read_entry(reading: Reading, item: Cursor, entry_id: str) -> Draft:
    """Return the entry in the mapping `item`; what is wrong is noted in `reading`.

    An empty `entry_id` is one that could not be read: the rest is judged all the same.
    """
    keys = {key: value for key, _, value in item.pairs()}
    reading.owner, reading.owner_depth = entry_id, len(item.path) if entry_id else 0
    try:
        kind = _kind(reading, item, keys)
    except Bad as bad:
        reading.problems.extend([bad.problem] if bad.problem else [])
        kind = ""
    entry = _typed(reading, item, kind, entry_id) if kind else None
    reading.owner, reading.owner_depth = "", 0
    return Draft(entry_id, kind, item, reading, entry)


def _id(reading: Reading, item: Cursor, keys: dict[str, Cursor]) -> str:
    """Return the full id; empty where there is none to speak of."""
    if "name" not in keys:
        reading.note(item, "missing key 'name' in an entry")
        return ""
    here = keys["name"]
    try:
        name = reading.text(here, "a name")
        if not ids.NAME.fullmatch(name):
            hint = "letters, digits, '_' and '-', parts divided by '.'"
            raise reading.bad(here, f"{shorten(name)!r} is no name", hint)
        entry_id = ids.qualify(name, reading.namespace)
        if len(entry_id) > ids.MAX_ID_LENGTH:
            message = f"the id {shorten(entry_id)!r} is longer than {ids.MAX_ID_LENGTH} characters"
            raise reading.bad(here, message)
    except Bad as bad:
        reading.problems.extend([bad.problem] if bad.problem else [])
        return ""
    return entry_id


def _kind(reading: Reading, item: Cursor, keys: dict[str, Cursor]) -> str:
    where = reading.owner or "an entry"
    if "kind" not in keys:
        raise reading.bad(item, f"missing key 'kind' in {where}", one_of(KINDS))
    kind = reading.text(keys["kind"], "a kind")
    if kind in LATER_KINDS:
        message = f"kind {kind!r} of {where} is not supported by this version yet"
        raise reading.bad(keys["kind"], message)
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or one_of(KINDS)
        raise reading.bad(keys["kind"], f"unknown kind {shorten(kind)!r} in {where}", hint)
    return kind


def _typed(reading: Reading, item: Cursor, kind: str, entry_id: str) -> Entry | None:
    table = KINDS[kind]
    values, is_bad = table.values(reading, item)
    if is_bad or not entry_id:
        return None
    values.pop("name")
    values.pop("kind")
    entry: Entry = table.build(id=entry_id, place=item.node.place, **values)
    return entry
