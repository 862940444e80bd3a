"""What differs between two documents, leaf by leaf: `data.port: 5432 -> 5433`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from wippy.core.entry import EntryDoc, decode_doc, fields_of, walk

CODE = "code"
"""Path of the text of a source file: no key of the file, but part of the entry."""


class LeafChange(msgspec.Struct, frozen=True):
    """One value before and after; `has_*` tells None from what is not there."""

    path: str
    old: Any
    new: Any
    has_old: bool
    has_new: bool


def leaf_changes(old: bytes | None, new: bytes | None) -> Iterator[LeafChange]:
    """Yield what differs between two encoded documents, in the order of the keys."""
    before, after = _leaves(old), _leaves(new)
    for path in dict.fromkeys((*before, *after)):
        if path in before and path in after and _is_same(before[path], after[path]):
            continue
        yield LeafChange(path, before.get(path), after.get(path), path in before, path in after)


def content_of(doc: EntryDoc) -> dict[str, Any]:
    """Return what a document says in a file, but for its name."""
    return {"kind": doc.kind, **({"meta": doc.meta} if doc.meta else {}), **fields_of(doc)}


def _leaves(encoded: bytes | None) -> dict[str, Any]:
    if encoded is None:
        return {}
    doc = decode_doc(encoded)
    leaves = dict(walk(content_of(doc)))
    return {**leaves, **({CODE: doc.code.text} if doc.code is not None else {})}


def _is_same(mine: Any, theirs: Any) -> bool:
    """Say whether two leaves are the same: 1, 1.0 and True are three things in a file."""
    return type(mine) is type(theirs) and bool(mine == theirs)
