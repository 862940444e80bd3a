"""Entries of the registry written back into the text of their file: comments, order and layout of
all that has not changed stay.

ruamel.yaml rewrites the file (round trip), which keeps comments and order but not every detail of
the layout; so only the lines that differ because of the change are carried over. The result is read
again, and must say exactly what was wanted: what cannot be written back is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from supervisor.core.config import decode
from supervisor.core.config.documents import document_of
from supervisor.core.config.parse import parse
from supervisor.core.config.yaml_edit import Edit, are_alike, is_same, rewrite, write_new
from supervisor.core.merge_lines import carry_over
from supervisor.core.registry.leaves import content_of
from wippy.errors import Conflict, Internal, Invalid

_VARIABLE = "\ue000"
"""Stands for a variable in what is read back: its value is not known here, and not needed."""


class Contents(msgspec.Struct, frozen=True):
    """What a file says: its namespace, and the content of its entries by name."""

    namespace: str
    entries: dict[str, dict[str, Any]]


class _Variables(Mapping[str, str]):
    """An environment in which every variable is set to a mark."""

    def __getitem__(self, name: str) -> str:
        return f"{_VARIABLE}{name}"

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def write_back(text: str, file: str, edits: Sequence[Edit]) -> str:
    """Return the text of a configuration file with `edits` in it.

    Args:
        text: What is in the file now.
        file: Its name, for errors.
        edits: Of different entries; what the file says already is no change.

    Raises:
        Conflict: The file does not say any more what it said when it was loaded.
        Invalid: It cannot be read, or an edit cannot be written into it (an alias is in the way).
    """
    before = read_contents(text, file).entries
    wanted = dict(before)
    edits = [edit for edit in edits if not _is_done(before.get(edit.name), edit)]
    if not edits:
        return text
    for edit in edits:
        _check_unchanged(before.get(edit.name), edit, file)
        if edit.new is None:
            del wanted[edit.name]
        else:
            wanted[edit.name] = _patched(before.get(edit.name), edit.old, edit.new)
    unchanged, rewritten = rewrite(text, file, edits)
    for candidate in (carry_over(text, unchanged, rewritten), rewritten):
        if _says(candidate, file, wanted):
            return candidate
    names = ", ".join(edit.name for edit in edits)
    raise Invalid(f"{file}: {names} cannot be written back (an alias is shared?); edit it by hand")


def new_file(namespace: str, entries: Mapping[str, dict[str, Any]]) -> str:
    """Return the text of a new file with entries, by name."""
    text = write_new(decode.VERSIONS[-1], namespace, entries)
    if not _says(text, namespace, dict(entries)):
        raise Internal(f"the entries of {namespace} cannot be written as YAML")
    return text


def read_contents(text: str, file: str) -> Contents:
    """Return what a file says, with marks for variables.

    Raises:
        Invalid: It is no YAML.
    """
    document = parse(text.encode(), file)
    if document.problems or document.root is None:
        said = "; ".join(f"{p.place}: {p.message}" for p in document.problems)
        raise Invalid(f"{said or file}: put the file right, and export again")
    draft = decode.decode(
        document, file_path=f"/{file}", environ=_Variables(), may_have_runtime=True
    )
    docs = (document_of(each)[0] for each in draft.drafts)
    entries = {doc.id.partition(":")[2]: content_of(doc) for doc in docs}
    return Contents(draft.reading.namespace, entries)


# --- what is wanted ------------------------------------------------------------------------------


def _is_done(said: dict[str, Any] | None, edit: Edit) -> bool:
    """Say whether a file says already what it is to say: it was written back before."""
    if said is None or edit.new is None:
        return said is None and edit.new is None
    return is_same(said, _patched(said, edit.old, edit.new))


def _check_unchanged(said: dict[str, Any] | None, edit: Edit, file: str) -> None:
    is_as_loaded = (said is None) == (edit.old is None) and _agrees(said, edit.old)
    if not is_as_loaded:
        raise Conflict(
            f"{file}: {edit.name} was changed in the file since it was loaded; "
            "load it (wippy-supervisor reload), then export again"
        )


def _agrees(said: Any, loaded: Any) -> bool:
    """Say whether what stands in a file is what was loaded; a variable may have been anything."""
    if isinstance(said, str) and _VARIABLE in said:
        return not isinstance(loaded, dict | list)
    if isinstance(said, dict) and isinstance(loaded, dict):
        return said.keys() == loaded.keys() and all(_agrees(said[k], loaded[k]) for k in said)
    if isinstance(said, list) and isinstance(loaded, list):
        return len(said) == len(loaded) and all(map(_agrees, said, loaded))
    return is_same(said, loaded)


def _patched(said: Any, old: Any, new: Any) -> Any:
    """Return what a file is to say: what it says, but for what differs from `old` to `new`."""
    if is_same(old, new):
        return said
    if isinstance(said, dict) and isinstance(old, dict) and isinstance(new, dict):
        return {key: _patched(said.get(key), old.get(key, ...), new[key]) for key in new}
    if are_alike(said, old, new):
        return [_patched(*each) for each in zip(said, old, new, strict=True)]
    return new


def _says(text: str, file: str, wanted: Mapping[str, dict[str, Any]]) -> bool:
    try:
        return is_same(read_contents(text, file).entries, dict(wanted))
    except Invalid:
        return False
