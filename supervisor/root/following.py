"""What a version of the registry means: its documents, as typed entries and as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from supervisor.core import adoption
from supervisor.core.config.documents import typed_of
from supervisor.core.functions import answer
from supervisor.core.graph import build
from supervisor.core.linking import link
from supervisor.core.order import explain, find_circle
from supervisor.core.spec import (
    Blueprint,
    Code,
    Entry,
    ExecEntry,
    FunctionEntry,
    ProcessEntry,
    ServiceEntry,
    TreeSpec,
)
from supervisor.io.state_reader import StateReader, Structure
from wippy.core.entry import EntryDoc, EntryPlace
from wippy.errors import Invalid


@dataclass(frozen=True, slots=True)
class Followed:
    """What a version of the registry means.

    Attributes:
        version: Its number.
        blueprint: Its entries.
        spec: The tree that they mean.
        difference: What that changes.
    """

    version: int
    blueprint: Blueprint
    spec: TreeSpec
    difference: adoption.Difference


def renewed_code(old: Blueprint, new: Blueprint) -> dict[str, Code | None]:
    """Return the code of the actors and functions whose code, or what it imports, differs, by
    entry; None where there is none any more."""
    found: dict[str, Code | None] = {}
    if old.entries is new.entries:
        return found
    for id, before in old.entries.items():
        entry = new.entries.get(id)
        if not isinstance(before, ProcessEntry | FunctionEntry):
            continue
        if not isinstance(entry, ProcessEntry | FunctionEntry):
            found[id] = None
        elif (code := link(entry.code, new.entries)) != link(before.code, old.entries):
            found[id] = code
    return found


def changed_calls(old: Blueprint, new: Blueprint) -> list[str]:
    """Return the functions that are called in another way: of another pool, with another limit or
    retry policy, or not any more."""
    if old.entries is new.entries:
        return []
    return [
        id
        for id, before in old.entries.items()
        if isinstance(before, FunctionEntry) and answer(id, new.entries) != answer(id, old.entries)
    ]


def forced_essential(blueprint: Blueprint) -> frozenset[str]:
    """Return who is essential for this run only (`start --exit-code-from`)."""
    return frozenset(
        id
        for id, entry in blueprint.entries.items()
        if isinstance(entry, ServiceEntry | ExecEntry)
        and entry.lifecycle.essential
        and not _says_essential(blueprint.docs.get(id))
    )


def _says_essential(doc: EntryDoc | None) -> bool:
    lifecycle = doc.data.get("lifecycle") if doc is not None and doc.data else None
    return bool(isinstance(lifecycle, dict) and lifecycle.get("essential"))


def follow(
    reader: StateReader,
    blueprint: Blueprint,
    since: int,
    tree: TreeSpec,
    essential: frozenset[str],
) -> Followed:
    """Read what the registry has become and return what it means; reads the disk.

    Plain data is no part of it, and costs nothing.

    Args:
        reader: The root's own: LMDB may be opened once in a process.
        blueprint: What was followed last, or the files.
        since: The version that `blueprint` is of; 0 for the files'.
        tree: Of `blueprint`.
        essential: Who is essential for this run only.

    Raises:
        Invalid: It cannot be run.
        Unavailable: It cannot be read.
    """
    found = reader.structure(since)
    made = made_of(blueprint, found, essential)
    if made.docs == blueprint.docs:
        return Followed(found.version, made, tree, adoption.Difference())
    spec = build(made)
    if circle := find_circle(spec):
        raise Invalid(explain(circle))
    return Followed(found.version, made, spec, adoption.compare(tree, spec))


def made_of(blueprint: Blueprint, found: Structure, essential: frozenset[str]) -> Blueprint:
    """Return the blueprint with what was found. Entries that were there keep their order, which is
    that of the files; new ones follow in that of their places."""
    if not found.docs and not found.is_whole:
        return blueprint
    source = Path(blueprint.source)
    folder = str(source if source.is_dir() else source.parent)
    docs, places = _laid_over(blueprint, found)
    known = [id for id in blueprint.entries if id in docs]
    new = sorted(docs.keys() - blueprint.entries.keys(), key=lambda id: _place_key(id, places))
    entries = {
        id: blueprint.entries[id]
        if blueprint.docs.get(id) == docs[id] and id in blueprint.entries
        else _with_essential(typed_of(docs[id], places.get(id), folder), essential)
        for id in (*known, *new)
    }
    return replace(blueprint, entries=entries, docs=docs, places=places)


def _laid_over(
    blueprint: Blueprint, found: Structure
) -> tuple[dict[str, EntryDoc], dict[str, EntryPlace]]:
    """Return the documents, and their places, with what was found laid over them."""
    docs = {} if found.is_whole else dict(blueprint.docs)
    places = {} if found.is_whole else dict(blueprint.places)
    for id, doc in found.docs.items():
        docs.pop(id, None)
        places.pop(id, None)
        if doc is not None:
            docs[id] = doc
    return docs, {**places, **found.places}


def _place_key(id: str, places: dict[str, EntryPlace]) -> tuple[str, int, str]:
    place = places.get(id)
    return ("\uffff", 0, id) if place is None else (place.file, place.line, id)


def _with_essential(entry: Entry, essential: frozenset[str]) -> Entry:
    if isinstance(entry, ServiceEntry | ExecEntry) and entry.id in essential:
        return replace(entry, lifecycle=replace(entry.lifecycle, essential=True))
    return entry
