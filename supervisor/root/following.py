"""What a version of the registry means: its documents, as typed entries and as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from supervisor.core import adoption
from supervisor.core.config.documents import typed_of
from supervisor.core.graph import build
from supervisor.core.linking import link
from supervisor.core.order import explain, find_circle
from supervisor.core.spec import (
    Blueprint,
    Code,
    Entry,
    ExecEntry,
    OnChange,
    ProcessEntry,
    ServiceEntry,
    SupervisorEntry,
    TreeSpec,
)
from supervisor.io.state_reader import StateReader
from wippy.core.entry import DATA_KIND, EntryDoc, EntryPlace
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


def on_changes(blueprint: Blueprint) -> dict[str, OnChange]:
    """Return what a change of its code means for each service, and for what is made of one."""
    found: dict[str, OnChange] = {}
    entries = blueprint.entries
    for entry in entries.values():
        process = entries.get(entry.process) if isinstance(entry, ServiceEntry) else None
        if isinstance(process, ProcessEntry):
            found[entry.id] = process.on_change
    for entry in entries.values():
        if isinstance(entry, SupervisorEntry) and entry.template in found:
            found[entry.id] = found[entry.template]
    return found


def renewed_code(old: Blueprint, new: Blueprint) -> dict[str, Code]:
    """Return the code of the actors whose code, or what it imports, differs: by entry."""
    found: dict[str, Code] = {}
    for id, entry in new.entries.items():
        before = old.entries.get(id)
        if isinstance(entry, ProcessEntry) and isinstance(before, ProcessEntry):
            code = link(entry.code, new.entries)
            if code != link(before.code, old.entries):
                found[id] = code
    return found


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


def follow(blueprint: Blueprint, tree: TreeSpec, essential: frozenset[str]) -> Followed:
    """Read the newest version of the registry and return what it means; reads the disk.

    Raises:
        Invalid: It cannot be run.
        Unavailable: It cannot be read.
    """
    reader = StateReader(Path(blueprint.runtime.state_dir))
    try:
        version, docs, places = reader.documents()
    finally:
        reader.close()
    made = made_of(blueprint, docs, places, essential)
    if not _is_structural(blueprint.docs, docs):
        return Followed(version, made, tree, adoption.Difference())
    spec = build(made)
    if circle := find_circle(spec):
        raise Invalid(explain(circle))
    return Followed(version, made, spec, adoption.compare(tree, spec))


def _is_structural(old: dict[str, EntryDoc], new: dict[str, EntryDoc]) -> bool:
    """Say whether anything differs that a tree is made from."""

    def is_made_of(id: str) -> bool:
        return any(it is not None and it.kind != DATA_KIND for it in (old.get(id), new.get(id)))

    return any(old.get(id) != new.get(id) and is_made_of(id) for id in {*old, *new})


def made_of(
    blueprint: Blueprint,
    docs: dict[str, EntryDoc],
    places: dict[str, EntryPlace],
    essential: frozenset[str],
) -> Blueprint:
    """Return the blueprint of other documents. Entries that were there keep their order, which is
    that of the files; new ones follow in that of their places."""
    source = Path(blueprint.source)
    folder = str(source if source.is_dir() else source.parent)
    known = [id for id in blueprint.entries if id in docs]
    new = sorted(docs.keys() - blueprint.entries.keys(), key=lambda id: _place_key(id, places))
    entries = {
        id: blueprint.entries[id]
        if blueprint.docs.get(id) == docs[id] and id in blueprint.entries
        else _with_essential(typed_of(docs[id], places.get(id), folder), essential)
        for id in (*known, *new)
    }
    return replace(blueprint, entries=entries, docs=docs, places=places)


def _place_key(id: str, places: dict[str, EntryPlace]) -> tuple[str, int, str]:
    place = places.get(id)
    return ("\uffff", 0, id) if place is None else (place.file, place.line, id)


def _with_essential(entry: Entry, essential: frozenset[str]) -> Entry:
    if isinstance(entry, ServiceEntry | ExecEntry) and entry.id in essential:
        return replace(entry, lifecycle=replace(entry.lifecycle, essential=True))
    return entry
