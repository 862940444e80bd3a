"""What a change of the registry would do to the tree, in words: the dry run's second half."""

from __future__ import annotations

from collections.abc import Mapping

from supervisor.core import adoption, graph
from supervisor.core.config.documents import typed_of
from supervisor.core.registry.changeset import Changeset
from supervisor.core.spec import Blueprint, OnChange, ProcessEntry, RuntimeSpec, ServiceEntry
from wippy.core.entry import EntryDoc, decode_doc

_RUNTIME = RuntimeSpec(node="", state_dir="", run_dir="", log_dir="")


def effects(docs: Mapping[str, EntryDoc], changeset: Changeset, folder: str) -> list[str]:
    """Return a sentence for each thing that the tree would do about a changeset that is right.

    Args:
        docs: Every entry as it is.
        changeset: What would be changed.
        folder: The configuration's.
    """
    after = dict(docs)
    for change in changeset:
        if change.new is None:
            after.pop(change.id, None)
        else:
            after[change.id] = decode_doc(change.new)
    old, new = _blueprint(docs, folder), _blueprint(after, folder)
    difference = adoption.compare(graph.build(old), graph.build(new))
    return list(adoption.sentences(difference, _on_change(new)))


def _blueprint(docs: Mapping[str, EntryDoc], folder: str) -> Blueprint:
    entries = {id_: typed_of(doc, None, folder) for id_, doc in docs.items()}
    return Blueprint("registry", _RUNTIME, entries)


def _on_change(blueprint: Blueprint) -> dict[str, OnChange]:
    found: dict[str, OnChange] = {}
    for id_, entry in blueprint.entries.items():
        process = blueprint.entries.get(entry.process) if isinstance(entry, ServiceEntry) else None
        if isinstance(process, ProcessEntry):
            found[id_] = process.on_change
    return found
