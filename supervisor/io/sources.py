"""The sources that entries name: there, readable, Python, and with the entry function in them.

Nothing is imported and nothing is run: a source is parsed, and a module is searched for by path.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from importlib.util import decode_source, find_spec
from typing import Any

import msgspec

from supervisor.core.config import pycode
from supervisor.core.config.decode import Draft
from supervisor.core.config.imports import code_of
from supervisor.core.config.problems import Problem, did_you_mean
from supervisor.core.config.pycode import Broken, Names, Signature
from supervisor.core.spec import Code, LibraryCode, Place, ProcessEntry, ServiceEntry

MAX_SOURCE_BYTES = 2**20
"""Of a source file: its text is part of the entry, and travels in each start of an actor."""
MAX_MODULE_BYTES = 16 * 2**20
"""Larger than any source written by hand, and by most programs."""


def fill(drafts: Iterable[Draft]) -> tuple[list[Draft], list[Problem]]:
    """Return the drafts with the text of the source files that they name, and what is wrong with
    those files. A draft that has its text already keeps it; each file is read once."""
    texts: dict[str, str | Problem] = {}
    filled: list[Draft] = []
    problems: list[Problem] = []
    for draft in drafts:
        code = code_of(draft)
        if code is None or code.path is None or code.text is not None:
            filled.append(draft)
            continue
        found = texts.get(code.path)
        if not isinstance(found, str):
            found = texts[code.path] = _read(draft, code.path)
        if isinstance(found, str):
            filled.append(with_text(draft, found))
        else:
            filled.append(draft)
            problems.append(found)
    return filled, problems


def with_text(draft: Draft, text: str) -> Draft:
    """Return a draft whose code has the text of its file."""
    entry: Any = draft.entry
    code = msgspec.structs.replace(entry.code, text=text)
    return dataclasses.replace(draft, entry=msgspec.structs.replace(entry, code=code))


def _read(draft: Draft, path: str) -> str | Problem:
    """Return the text of a source file as Python reads it (PEP 263)."""
    try:
        data = read_regular(path, limit_bytes=MAX_SOURCE_BYTES + 1)
    except OSError as error:
        return _unreadable(draft, "source", path, error)
    if len(data) > MAX_SOURCE_BYTES:
        message = f"source file {path} has more than {MAX_SOURCE_BYTES} bytes"
        hint = "make a package of it, and write module: instead of source:"
        return draft.reading.problem(draft.cursor.at("source"), message, hint)
    try:
        return decode_source(data)
    except (SyntaxError, UnicodeDecodeError) as error:
        found = pycode.inspect(data, path)
        broken = found if isinstance(found, Broken) else Broken(str(error))
        return _broken(draft, broken, Place(_shown(path), broken.line, broken.column), broken.text)


def _unreadable(draft: Draft, key: str, path: str, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        message, hint = f"there is no source file {path}", _similar(path)
    else:
        message, hint = f"source file {path} cannot be read: {error.strerror}", ""
    return draft.reading.problem(draft.cursor.at(key), message, hint)


def judge(drafts: Iterable[Draft], folder: str) -> list[Problem]:
    """Return what is wrong with the code of entries; `folder` is the configuration's, `drafts` are
    filled."""
    importlib.invalidate_caches()  # a file made a moment ago must be found
    drafts = list(drafts)
    problems: list[Problem] = []
    signatures: dict[str, Signature | None] = {}
    for draft in drafts:
        code = code_of(draft)
        if code is None:
            continue
        names, found = _names(draft, code, folder)
        problems += found
        if names is None:
            continue
        problems += _hidden_imports(draft, code, names)
        if isinstance(code, Code):
            problems += _method(draft, code, names)
        if isinstance(draft.entry, ProcessEntry):
            signatures[draft.id] = names.functions.get(draft.entry.code.method)
    for draft in drafts:
        problems += _input(draft, signatures)
    return problems


def _names(
    draft: Draft, code: Code | LibraryCode, folder: str
) -> tuple[Names | None, list[Problem]]:
    """Return what the code defines (None where only running it could tell)."""
    if code.path is not None:
        # Without a text it could not be read, which has been said.
        return (None, []) if code.text is None else _inspected(draft, code.text, code.path)
    if code.text is not None:
        return _inline(draft, code.text, code.origin)
    module = code.module or ""
    spec = find_module(module, folder)
    if spec is None:
        cursor = draft.cursor.at("module")
        message = f"there is no module {module!r}"
        hint = f"looked in {folder} and on Python's path"
        return None, [draft.reading.problem(cursor, message, hint)]
    if spec.origin is None or spec.origin.endswith(tuple(EXTENSION_SUFFIXES)):
        return None, []
    return _module(draft, spec.origin) if spec.origin.endswith(".py") else (None, [])


def _module(draft: Draft, path: str) -> tuple[Names | None, list[Problem]]:
    try:
        source = read_regular(path, limit_bytes=MAX_MODULE_BYTES)
    except OSError as error:
        return None, [_unreadable(draft, "module", path, error)]
    return _inspected(draft, source, path)


def _inspected(draft: Draft, source: str | bytes, path: str) -> tuple[Names | None, list[Problem]]:
    found = pycode.inspect(source, path)
    if isinstance(found, Names):
        return found, []
    place = Place(_shown(path), found.line, found.column)
    return None, [_broken(draft, found, place, found.text)]


def _inline(draft: Draft, text: str, origin: str) -> tuple[Names | None, list[Problem]]:
    found = pycode.inspect(text, origin)
    if isinstance(found, Names):
        return found, []
    if draft.reading.is_document:
        return None, [_broken_document(draft, found)]
    # Lines of the block follow the line with the `|`; its indentation is not part of the text.
    start = draft.cursor.at("source").node.place
    number = start.line + found.line if found.line else start.line
    lines = draft.reading.lines
    line = lines[number - 1] if number <= len(lines) else ""
    shift = max(0, line.find(found.text.rstrip())) if found.text.strip() else 0
    place = Place(start.file, number, shift + max(1, found.column))
    return None, [_broken(draft, found, place, line)]


def _broken(draft: Draft, found: Broken, place: Place, line: str) -> Problem:
    message = f"the code of {draft.id} is no Python: {found.message}"
    return Problem(place=place, message=message, line=line)


def _broken_document(draft: Draft, found: Broken) -> Problem:
    line = f", line {found.line}: {found.text.strip()}" if found.line else ""
    message = f"the code of {draft.id} is no Python: {found.message}{line}"
    return draft.reading.problem(draft.cursor.at("source"), message)


def _hidden_imports(draft: Draft, code: Code | LibraryCode, names: Names) -> Iterator[Problem]:
    """A library whose name the code itself gives to something else could never be used."""
    for alias, library in code.imports.items():
        if alias in names.certain:
            message = f"{draft.id} imports {library} as {alias!r}, which its code defines too"
            hint = "rename one; for type checkers, import it under `if TYPE_CHECKING:`"
            yield draft.reading.problem(draft.cursor.at("imports", alias), message, hint)


def _method(draft: Draft, code: Code, names: Names) -> list[Problem]:
    method = code.method
    if method in names.functions or names.is_open:
        return []
    where = code.module or (_shown(code.path) if code.path else "the code")
    hint = did_you_mean(method, names.functions)
    if not hint and names.functions:
        hint = f"it has {', '.join(list(names.functions)[:5])}"
    cursor = draft.cursor.at("method")
    return [draft.reading.problem(cursor, f"there is no {method!r} in {where}", hint)]


def _input(draft: Draft, signatures: dict[str, Signature | None]) -> Iterator[Problem]:
    """The arguments must be as many as the entry function takes."""
    entry = draft.entry
    signature = signatures.get(entry.process) if isinstance(entry, ServiceEntry) else None
    if signature is None or not isinstance(entry, ServiceEntry):
        return
    given, least, most = len(entry.input), signature.least, signature.most
    if given < least or (most is not None and given > most):
        takes = f"{least}" if least == most else f"{least} to {most}"
        takes = f"at least {least}" if most is None else takes
        message = f"{entry.process} takes {takes} arguments, input of {draft.id} gives {given}"
        yield draft.reading.problem(draft.cursor.at("input"), message)


def read_regular(path: str, *, limit_bytes: int) -> bytes:
    """Return the first `limit_bytes` of a regular file.

    Raises:
        OSError: It cannot be read, or is no regular file (opening a FIFO would wait for ever).
    """
    # O_NONBLOCK: between a look and an open, a file could become a FIFO.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is no regular file", path)
        return file.read(limit_bytes)


def folder_of(source: str) -> str:
    """Return the folder of a configuration (absolute), which may be a folder or one file, and may
    be gone; empty for none."""
    is_file = source.endswith((".yaml", ".yml")) and not os.path.isdir(source)
    return os.path.dirname(source) if is_file else source


def find_module(name: str, folder: str) -> ModuleSpec | None:
    """Return where a module is, without importing it or its packages.

    The configuration's `folder` is searched first, then Python's path.
    """
    top, *inner = name.split(".")
    spec = PathFinder.find_spec(top, [folder, *sys.path]) or _elsewhere(top)
    for part in inner:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its last name only: with the full one, Python looks its packages up among what is
        # imported, and nothing is.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec


def _elsewhere(top: str) -> ModuleSpec | None:
    """Built-in modules, and what import hooks know (editable installations)."""
    try:
        return find_spec(top)
    except ValueError:  # __main__ and its like have no spec
        return None


def _similar(path: str) -> str:
    folder, name = os.path.split(path)
    try:
        near = did_you_mean(name, (entry for entry in os.listdir(folder) if entry.endswith(".py")))
    except OSError:
        return ""  # the folder is not there either
    return near


def _shown(path: str) -> str:
    """Return a path relative to the current folder where it lies below it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
