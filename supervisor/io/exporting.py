"""The registry written back into the files that it was loaded from: planned whole, then written.

Planning reads the files as they are and writes nothing. A file that was changed since it was loaded
is refused, so nobody's work is lost. A file is replaced in one step.
"""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Mapping
from pathlib import Path

import msgspec

from supervisor.core.config.write_back import Contents, new_file, read_contents, write_back
from supervisor.core.config.yaml_edit import Edit
from supervisor.core.registry.changeset import Changeset, diff
from supervisor.core.registry.leaves import content_of
from supervisor.io import files
from supervisor.io.sources import folder_of
from wippy.core.entry import EntryDoc, decode_doc
from wippy.errors import Conflict, Invalid, NotFound

BOM = "\ufeff"


class FileChange(msgspec.Struct, frozen=True):
    """What is to be written into one file.

    Attributes:
        path: The file, absolute.
        old: Its text now; None where there is none.
        new: Its text then.
        ids: The entries that are the reason.
    """

    path: str
    old: str | None
    new: str
    ids: tuple[str, ...]


class _File(msgspec.Struct, frozen=True):
    path: str
    text: str
    contents: Contents


def plan_export(
    head: Mapping[str, bytes], base: Mapping[str, bytes], source: str
) -> list[FileChange]:
    """Return what is to be written so that the files say what the registry says.

    Args:
        head: Encoded documents of the registry.
        base: The same as the files said when they were loaded.
        source: The configuration, a folder or a file, absolute.

    Raises:
        Conflict: A file was changed since it was loaded.
        Invalid: A file cannot be read, or an entry not be written back.
        NotFound: The configuration is not there any more.
    """
    changeset = diff(base, head)
    if not changeset:
        return []
    known = read_files(source)
    changes = [*_changed_files(changeset, known, source), *_changed_sources(changeset)]
    return [change for change in changes if change.new != change.old]


def read_files(source: str) -> list[_File]:
    """Return the files of a configuration, with what they say."""
    if not os.path.exists(source):
        raise NotFound(f"the configuration {source} is not there any more; export with --to DIR")
    found, problems = files.find_files(Path(source))
    if problems and not found:
        raise Invalid("; ".join(problem.message for problem in problems))
    read = ((each.path, _read(each.path)) for each in found)
    return [_File(path, text, read_contents(_plain(text), path)) for path, text in read]


def write(change: FileChange) -> None:
    """Replace a file by its new text, in one step, its mode kept; raises `OSError`."""
    target = Path(change.path).resolve()
    mode = target.stat().st_mode & 0o7777 if target.exists() else 0o644
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(_encoded(change))
            file.flush()
            os.fsync(descriptor)
        draft.rename(target)
    except OSError:
        draft.unlink()
        raise


def copy_to(
    source: str, target: Path, changes: list[FileChange], head: Mapping[str, bytes]
) -> list[str]:
    """Write the whole configuration, `changes` in it, into the new folder `target`; return the
    paths there. Sources are as the registry `head` has them; those outside of the configuration's
    folder are not copied.

    Raises:
        Invalid: `target` is there, and not empty, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Invalid(f"{target} is there, and not empty; name a new folder")
    folder = folder_of(source)
    texts = {it.path: it for it in changes}
    for file in read_files(source):
        texts.setdefault(file.path, FileChange(file.path, None, file.text, ()))
    for doc in map(decode_doc, head.values()):
        if doc.code is not None:
            code = doc.code
            texts.setdefault(code.path, FileChange(code.path, None, code.text, (doc.id,)))
    written: list[str] = []
    for path, change in texts.items():
        if not path.startswith(f"{folder}/"):
            continue
        there = target / os.path.relpath(path, folder)
        there.parent.mkdir(parents=True, exist_ok=True)
        write(msgspec.structs.replace(change, path=str(there)))
        written.append(str(there))
    return sorted(written)


# --- entries -------------------------------------------------------------------------------------


def _changed_files(changeset: Changeset, known: list[_File], source: str) -> list[FileChange]:
    owners = {f"{it.contents.namespace}:{name}": it for it in known for name in it.contents.entries}
    homes = {it.contents.namespace: it for it in reversed(known)}
    edits: dict[str, list[tuple[str, Edit]]] = {}
    made: dict[str, dict[str, EntryDoc]] = {}
    for change in changeset:
        old, new = _content(change.old), _content(change.new)
        namespace, _, name = change.id.partition(":")
        owner = owners.get(change.id) or homes.get(namespace)
        if old == new:
            continue  # only its source, or where it stands
        if owner is None and change.new is not None and change.old is None:
            made.setdefault(namespace, {})[name] = decode_doc(change.new)
        elif owner is None:
            raise Conflict(f"{change.id} is in no file of {source} any more; load the files first")
        else:
            edits.setdefault(owner.path, []).append((change.id, Edit(name, old, new)))
    by_path = {it.path: it for it in known}
    changed = [_edited(by_path[path], found) for path, found in edits.items()]
    return [*changed, *(_new(source, namespace, docs) for namespace, docs in made.items())]


def _content(encoded: bytes | None) -> dict[str, object] | None:
    return None if encoded is None else content_of(decode_doc(encoded))


def _edited(file: _File, found: list[tuple[str, Edit]]) -> FileChange:
    text = write_back(_plain(file.text), file.path, [edit for _, edit in found])
    return FileChange(file.path, file.text, _like(file.text, text), tuple(id_ for id_, _ in found))


def _new(source: str, namespace: str, docs: Mapping[str, EntryDoc]) -> FileChange:
    if not os.path.isdir(source):
        raise Invalid(
            f"{source} has another namespace than {namespace}, and is the only file; "
            "make a folder of the configuration, or export with --to DIR"
        )
    path = os.path.join(source, f"{namespace}.yaml")
    if os.path.lexists(path):
        raise Invalid(f"{path} is there, with another namespace; rename it")
    text = new_file(namespace, {name: content_of(doc) for name, doc in docs.items()})
    return FileChange(path, None, text, tuple(doc.id for doc in docs.values()))


# --- sources -------------------------------------------------------------------------------------


def _changed_sources(changeset: Changeset) -> list[FileChange]:
    """Return the source files whose text in the registry is another one than was loaded."""
    found: dict[str, FileChange] = {}
    for change in changeset:
        old = decode_doc(change.old).code if change.old is not None else None
        new = decode_doc(change.new).code if change.new is not None else None
        if new is None or old is None or old.path != new.path or old.text == new.text:
            continue
        made = _source(new.path, old.text, new.text, change.id)
        first = found.get(new.path)
        if first is not None and first.new != made.new:
            raise Conflict(f"{new.path}: {first.ids[0]} and {change.id} have it differently")
        ids = (*(first.ids if first is not None else ()), change.id)
        found[new.path] = msgspec.structs.replace(made, ids=ids)
    return list(found.values())


def _source(path: str, loaded: str, text: str, entry_id: str) -> FileChange:
    now = _read_source(path)
    if now not in (None, loaded, text):
        raise Conflict(f"{path} was changed since it was loaded; load it, then export again")
    return FileChange(path, now, text, (entry_id,))


def _read_source(path: str) -> str | None:
    try:
        with tokenize.open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from error


# --- text ----------------------------------------------------------------------------------------


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from error


def _plain(text: str) -> str:
    return text.removeprefix(BOM).replace("\r\n", "\n")


def _like(old: str, new: str) -> str:
    """Return a text with the line ends, and the mark at its beginning, of the one before."""
    text = new.replace("\n", "\r\n") if "\r\n" in old else new
    return BOM + text if old.startswith(BOM) else text


def _encoded(change: FileChange) -> bytes:
    if not change.path.endswith(".py"):
        return change.new.encode()
    encoding, _ = tokenize.detect_encoding(io.BytesIO(change.new.encode()).readline)
    return change.new.encode(encoding)
