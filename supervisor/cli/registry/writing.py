"""The actions that change the registry, through the node's keeper, and their dry runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.cli.output import put, say, wants_colour
from supervisor.cli.registry.access import Where, author, change, forget, reading
from supervisor.cli.registry.reading import unknown
from supervisor.cli.registry.shown import change_data, put_changes, put_data
from supervisor.cli.registry.values import assignments, with_value, without_value
from supervisor.core.keeping import ApplyChanges, ApplyVersion
from supervisor.core.registry.changeset import Changeset
from supervisor.core.registry.effects import effects
from supervisor.io import sources
from supervisor.io import state_layout as layout
from supervisor.io.lmdb_tx import Tx
from supervisor.io.state_reader import StateReader
from wippy.core.entry import DATA_KIND, EntryChange, EntryDoc, decode_doc
from wippy.core.units import counted
from wippy.errors import Conflict, Invalid, NotFound

STDIN = "-"
MAX_TRIES = 20
"""How often a value is set anew because others have changed its entry meanwhile."""


@dataclass(frozen=True, slots=True)
class How:
    """What all changes have in common.

    Attributes:
        comment: Why; kept with the version.
        expected_version: Version that the registry must be at; None takes any.
        is_forced: It may leave nobody who could change the policies back.
        is_dry_run: Only say what would happen.
        is_json: For programs.
    """

    comment: str = ""
    expected_version: int | None = None
    is_forced: bool = False
    is_dry_run: bool = False
    is_json: bool = False


def set_values(
    where: Where,
    how: How,
    entry_id: str,
    texts: Sequence[str],
    *,
    unset: Sequence[str] = (),
    kind: str = "",
    meta: Sequence[str] = (),
) -> None:
    """Set values of one entry, or make it where `kind` says of what kind it is to be.

    Raises:
        NotFound: There is no such entry, and no `kind`; names the nearest.
        Invalid: What is given is no value, or no place for one.
        Conflict: The registry is not at the expected version, or the entry is changed all the time.
    """
    for _ in range(MAX_TRIES):
        try:
            _set_once(where, how, entry_id, texts, unset=unset, kind=kind, meta=meta)
            return
        except Conflict:
            # Another has written the entry since we read it. What is set does not depend on what
            # was there, so it is done again: commands queue up, and none loses what another set.
            if how.expected_version is not None:
                raise
    raise Conflict(f"{entry_id} was changed by others {MAX_TRIES} times meanwhile; try again")


def _set_once(
    where: Where,
    how: How,
    entry_id: str,
    texts: Sequence[str],
    *,
    unset: Sequence[str],
    kind: str,
    meta: Sequence[str],
) -> None:
    with reading(where) as reader:
        version, before = _written(reader, [entry_id])[entry_id]
        if before is None and not kind:
            near = unknown(entry_id, reader.entries())
            raise NotFound(f"{near}; to make it, say what it is: --kind {DATA_KIND}")
        folder = sources.folder_of(reader.source())
    old = before or EntryDoc(id=entry_id, kind=kind, folder=_folder_for(kind, folder))
    doc = _changed(old, texts, unset=unset, kind=kind or old.kind, meta=meta)
    _apply(where, how, [_change_of(doc, version, is_new=before is None)])


def set_entries(where: Where, how: How, file: str) -> None:
    """Make the entries of a YAML file (`-`: of stdin) what it says, as one version; raises
    `ConfigErrors` with all that is wrong in it."""
    from supervisor.core.config.entry_text import read_entries

    text, shown = _text_of(file)
    with reading(where) as reader:
        folder = sources.folder_of(reader.source())
        docs = read_entries(text, shown, folder=folder, environ=os.environ)
        known = _written(reader, [doc.id for doc in docs])
    changes = []
    for doc in docs:
        version, before = known[doc.id]
        changes.append(_change_of(doc, version, is_new=before is None))
    _apply(where, how, changes)


def delete(where: Where, how: How, ids: Sequence[str]) -> None:
    """Delete entries as one version; `Invalid` says who needs one that stays."""
    with reading(where) as reader:
        known = reader.entries()
    missing = [id_ for id_ in ids if id_ not in known]
    if missing:
        raise unknown(missing[0], known)
    _apply(where, how, [EntryChange("delete", id_) for id_ in dict.fromkeys(ids)])


def rollback(where: Where, how: How, version: int) -> None:
    """Make a new version that has the entries of an old one."""
    comment = how.comment or f"version {version} restored"
    request = ApplyVersion(
        version=version,
        author=author(),
        comment=comment,
        expected_version=how.expected_version,
        is_forced=how.is_forced,
    )
    _perform(where, how, request)


def compact(where: Where, keep: int, *, is_json: bool) -> None:
    """Forget all versions but the last `keep`; the entries stay as they are."""
    done = forget(where, keep)
    if is_json:
        put_data({"forgotten": done.count, "oldest": done.oldest})
        return
    oldest = f"the oldest is {done.oldest}" if done.oldest else "all are there"
    put(f"{counted(done.count, 'version')} forgotten; {oldest}")


# --- entries -------------------------------------------------------------------------------------


def _changed(
    old: EntryDoc, texts: Sequence[str], *, unset: Sequence[str], kind: str, meta: Sequence[str]
) -> EntryDoc:
    data: Mapping[str, Any] = old.data
    for path in unset:
        data = without_value(data, path)
    for path, value in assignments(texts, kind).items():
        data = with_value(data, path, value)
    more = assignments(meta)
    return EntryDoc(
        id=old.id, kind=kind, meta={**old.meta, **more}, data=dict(data), folder=old.folder
    )


def _change_of(doc: EntryDoc, version: int, *, is_new: bool) -> EntryChange:
    """Return the change that makes an entry `doc`, which was last written by `version`."""
    if is_new:
        return EntryChange("create", doc.id, doc)
    # Its relative paths start where they did: the keeper knows the folder.
    kept = EntryDoc(id=doc.id, kind=doc.kind, meta=doc.meta, data=doc.data)
    return EntryChange("update", doc.id, kept, expected_version=version)


def _written(reader: StateReader, ids: Sequence[str]) -> dict[str, tuple[int, EntryDoc | None]]:
    """Return by id (version that wrote it, entry); (0, None) where there is none."""
    nothing: dict[str, tuple[int, EntryDoc | None]] = dict.fromkeys(ids, (0, None))

    def look(tx: Tx) -> dict[str, tuple[int, EntryDoc | None]]:
        rows = ((id_, layout.read_entry(tx, id_)) for id_ in ids)
        found = {id_: (row.version, decode_doc(row.doc)) for id_, row in rows if row is not None}
        return {**nothing, **found}

    return reader.read(look, missing=nothing)


def _folder_for(kind: str, folder: str) -> str:
    return "" if kind == DATA_KIND else folder


def _text_of(file: str) -> tuple[bytes, str]:
    if file == STDIN:
        return sys.stdin.buffer.read(), "stdin"
    try:
        return Path(file).read_bytes(), file
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error


# --- requests ------------------------------------------------------------------------------------


def _apply(where: Where, how: How, changes: Sequence[EntryChange]) -> None:
    request = ApplyChanges(
        changes=tuple(changes),
        author=author(),
        comment=how.comment,
        expected_version=how.expected_version,
        is_forced=how.is_forced,
    )
    _perform(where, how, request)


def _perform(where: Where, how: How, request: ApplyChanges | ApplyVersion) -> None:
    if how.is_dry_run:
        _dry_run(where, how, request)
        return
    done = change(where, request)
    if how.is_json:
        put_data({"version": done.version, "changed": done.changed})
    elif done.changed:
        entries = "entry" if done.changed == 1 else "entries"
        put(f"version {done.version}: {done.changed} {entries} changed")
    else:
        put(f"nothing changed; the registry is at version {done.version}")


def _dry_run(where: Where, how: How, request: ApplyChanges | ApplyVersion) -> None:
    """Judge a change as the keeper would, and say what it and the tree would do."""
    with reading(where) as reader:
        changeset, folder = _planned(reader, request)
        _, docs, _ = reader.documents()
    told = effects(docs, changeset, folder) if changeset else []
    if how.is_json:
        changes = [change_data(each) for each in changeset]
        put_data({"dry_run": True, "changes": changes, "effects": told})
        return
    put_changes(changeset, is_coloured=wants_colour("auto", sys.stdout))
    for sentence in told:
        put(sentence)
    if not changeset:
        say("nothing would change")
    elif not told:
        say("no process would be touched")


def _planned(reader: StateReader, request: ApplyChanges | ApplyVersion) -> tuple[Changeset, str]:
    from supervisor.keeper.registry import Registry

    registry = Registry()
    changeset = reader.read(lambda tx: registry.plan(tx, request), missing=Changeset())
    return changeset, sources.folder_of(reader.source())
