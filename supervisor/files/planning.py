"""What taking the files over would change: the plan of `reload --dry-run`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from supervisor.core import adoption
from supervisor.core.config.documents import typed_of
from supervisor.core.graph import build
from supervisor.core.registry import merge as merging
from supervisor.core.registry.changeset import Changeset
from supervisor.core.spec import Blueprint
from supervisor.io.sources import folder_of
from supervisor.io.state_reader import StateReader
from wippy.core.entry import DATA_KIND, EntryDoc, decode_doc, encode_doc


def plan(reader: StateReader, files: Blueprint) -> Iterator[str]:
    """Yield a sentence for each thing that would be done if `files` were taken over now, in the
    order in which it would; nothing, if nothing would."""
    head = reader.entries()
    merged = merging.merge(head, reader.files(), _encoded(files))
    for id in merged.overridden:
        yield f"{id} was changed at run time, and becomes what its file says"
    yield from _of_entries(merged.changeset)
    before = {id: decode_doc(encoded) for id, encoded in head.items()}
    changed = {change.id: change.new for change in merged.changeset}
    after = {id: doc for id, doc in before.items() if id not in changed}
    after |= {id: decode_doc(new) for id, new in changed.items() if new is not None}
    old, new = _made_of(files, before), _made_of(files, after)
    difference = adoption.compare(build(old), build(new))
    yield from adoption.sentences(difference, adoption.on_changes(new))
    for id in merged.kept:
        yield f"{id} stays as it was changed at run time"


def _encoded(files: Blueprint) -> dict[str, bytes]:
    return {id: encode_doc(doc) for id, doc in files.docs.items()}


def _of_entries(changeset: Changeset) -> Iterator[str]:
    for change in changeset:
        doc = change.new or change.old
        if doc is not None and decode_doc(doc).kind == DATA_KIND:
            yield f"{change.id} is {change.op}"


def _made_of(files: Blueprint, docs: Mapping[str, EntryDoc]) -> Blueprint:
    """Return the blueprint of documents; plain data has no part in a tree."""
    folder = folder_of(files.source)
    entries = {id: typed_of(doc, None, folder) for id, doc in docs.items() if doc.kind != DATA_KIND}
    ordered = {id: entries[id] for id in files.entries if id in entries}
    return replace(files, entries={**ordered, **entries})
