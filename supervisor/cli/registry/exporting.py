"""`registry export`: what was changed at run time, written back into the files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from supervisor.cli.output import put, say
from supervisor.cli.registry.access import Where, reading
from supervisor.cli.registry.shown import put_data
from supervisor.io.exporting import FileChange, copy_to, plan_export, read_files, write
from wippy.core.units import counted
from wippy.errors import NotFound, PermissionDenied, Unavailable

STDOUT = "-"
NOTHING = (
    "nothing to write: the registry is as the files were when they were loaded, or written back"
)


def export(where: Where, to: str, *, is_dry_run: bool, is_json: bool) -> None:
    """Write what differs from the files into them; or the whole configuration into the folder
    `to`, or to stdout (`-`).

    Raises:
        Conflict: A file was changed since it was loaded.
        Invalid: A file cannot be read, or an entry not be written back.
        NotFound: The configuration is not there.
    """
    with reading(where) as reader:
        head, base, source = reader.entries(), reader.files(), reader.source()
    if not source:
        raise NotFound("no configuration was ever loaded into this registry")
    changes = plan_export(head, base, source)
    if to == STDOUT:
        _print_all(source, changes)
    elif is_dry_run:
        _show(changes, is_json=is_json)
    elif to:
        written = copy_to(source, Path(to), changes, head)
        _told(written, changes, is_json=is_json)
    else:
        _write_all(changes)
        _told([change.path for change in changes], changes, is_json=is_json)


def _write_all(changes: Sequence[FileChange]) -> None:
    for number, change in enumerate(changes):
        try:
            write(change)
        except OSError as error:
            kind = PermissionDenied if isinstance(error, PermissionError) else Unavailable
            done = ", ".join(each.path for each in changes[:number]) or "nothing"
            raise kind(
                f"{change.path} cannot be written: {error.strerror}; written was {done}"
            ) from error


def _show(changes: Sequence[FileChange], *, is_json: bool) -> None:
    if is_json:
        _told([change.path for change in changes], changes, is_json=True)
        return
    for change in changes:
        old = (change.old or "").splitlines(keepends=True)
        new = change.new.splitlines(keepends=True)
        before = change.path if change.old is not None else os.devnull
        for line in difflib.unified_diff(old, new, before, change.path):
            put(line.rstrip("\r\n"))
    if not changes:
        say(NOTHING)


def _told(paths: Sequence[str], changes: Sequence[FileChange], *, is_json: bool) -> None:
    if is_json:
        ids = {change.path: list(change.ids) for change in changes}
        put_data({"files": [{"path": path, "entries": ids.get(path, [])} for path in paths]})
        return
    for path in paths:
        put(path)
    if not paths:
        say(NOTHING)
    else:
        say(f"{counted(len(paths), 'file')} written")


def _print_all(source: str, changes: Sequence[FileChange]) -> None:
    """Write every file as it would be, one YAML document each."""
    texts = {file.path: file.text for file in read_files(source)}
    texts.update({it.path: it.new for it in changes if it.path.endswith((".yaml", ".yml"))})
    for path in sorted(texts):
        put(f"--- # {path}")
        put(texts[path].rstrip("\n"))
