"""A configuration that stands in another folder than when it was loaded last.

Paths are part of documents (where relative ones start, under which name a source is compiled), so
every entry that has one differs. That alone must not look like a change of its file: what was
changed at run time would be lost by moving a folder.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from supervisor.core.registry.changeset import Entries
from wippy.core.entry import EntryDoc, decode_doc, encode_doc


def relocate(entries: Entries, old: str, new: str) -> Mapping[str, bytes]:
    """Return encoded documents as they would be if the folder `old` had been `new` (both
    absolute); what lies elsewhere stays."""
    if old == new:
        return entries
    return {id_: _relocated(encoded, old, new) for id_, encoded in entries.items()}


def _relocated(encoded: bytes, old: str, new: str) -> bytes:
    doc = decode_doc(encoded)
    moved = _moved(doc, old, new)
    return encoded if moved == doc else encode_doc(moved)


def _moved(doc: EntryDoc, old: str, new: str) -> EntryDoc:
    code = doc.code
    if code is not None:
        code = replace(code, path=_path(code.path, old, new))
    return replace(doc, folder=_path(doc.folder, old, new), code=code)


def _path(path: str, old: str, new: str) -> str:
    if path == old:
        return new
    below = f"{old.rstrip('/')}/"
    return f"{new.rstrip('/')}/{path.removeprefix(below)}" if path.startswith(below) else path
