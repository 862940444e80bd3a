"""Sources as compiled code, remembered by a process: ten thousand actors of one entry compile once.

The text of a source file is part of its entry and is sent with it: it is compiled under the file's
name. A file is read here only where no text was sent, and ahead of time by the forkserver.

Inline code is compiled under the name of its YAML file, as many lines down as it stands there, so
that tracebacks name the right file and line. What they show of it is the text that runs, put into
`linecache`, also when the file has been edited since.
"""

from __future__ import annotations

import linecache
import math
import os
import time
from dataclasses import dataclass
from importlib.util import decode_source
from types import CodeType
from typing import TypeVar

from wippy.core.messages import CodeRef, LibraryRef
from wippy.errors import Invalid, NotFound

SOURCES = 512
"""Compiled sources that a process remembers; with more kinds of code in one pool, the oldest are
compiled again."""
SETTLED_NS = 2_000_000_000
"""A file is taken as unchanged by its times only if those are older than this: two writes within
one tick of a file system's clock (2 s on FAT, 1 s on old NFS) leave the same times. A younger file
is read at each load, and only compiled again if its text is another one."""

Stamp = tuple[int, int, int, int, int]
"""Modification and change time, size, number and device of a file."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


@dataclass(slots=True, eq=False)
class Source:
    """A source that has been compiled.

    Attributes:
        code: Its module's body.
        took_s: How long the body ran when it was last executed; infinite until it was.
    """

    code: CodeType
    took_s: float = math.inf


_by_text: dict[tuple[bytes | str, str, int], Source] = {}
_by_stamp: dict[str, tuple[Stamp, Source]] = {}
_shown: dict[tuple[str, int], str] = {}


def of_file(path: str) -> Source:
    """Return the source file `path`, as it is now.

    Raises:
        NotFound: There is no such file.
        Invalid: It cannot be read or compiled.
    """
    settled_ns = time.time_ns() - SETTLED_NS
    # Looked at before it is read: what is written in between leaves another stamp.
    stamp = _stamp(path)
    known = _by_stamp.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    source = _of_source(_decoded(_read(path)), path, 1)
    if max(stamp[:2]) < settled_ns:
        _remember(_by_stamp, path, (stamp, source))
    return source


def of_text(text: str, origin: str) -> Source:
    """Return inline `text` as a source; `origin` is the `file:line` where it begins.

    Raises:
        Invalid: It cannot be compiled.
    """
    filename, line = place_of(origin)
    source = _of_source(text, filename, line)
    if _shown.get((filename, line)) != text:
        _show_in_tracebacks(text, filename, line)
    return source


def of_sent(text: str, path: str) -> Source:
    """Return the `text` that the source file `path` had when its entry was loaded.

    Raises:
        Invalid: It cannot be compiled.
    """
    source = _of_source(text, path, 1)
    if _shown.get((path, 1)) != text:
        # All of it: what tracebacks show is what runs, whatever the file says by now.
        lines = [f"{each}\n" for each in text.split("\n")]
        linecache.cache[path] = (len(text), None, lines, path)
        _remember(_shown, (path, 1), text)
    return source


def find(code: CodeRef | LibraryRef) -> Source | None:
    """Return the source of `code` if it need neither be read nor compiled now."""
    if code.text is not None and code.path is not None:
        return _by_text.get((code.text, code.path, 1))
    if code.text is not None:
        return _by_text.get((code.text, *place_of(code.origin)))
    if code.path is None:
        return None
    known = _by_stamp.get(code.path)
    try:
        return known[1] if known is not None and known[0] == _stamp(code.path) else None
    except (NotFound, Invalid):
        return None  # `of_file` says why


def place_of(origin: str) -> tuple[str, int]:
    """Return (file, line) of `file:line`; what has no line begins at line 1."""
    filename, colon, line = origin.rpartition(":")
    return (filename, int(line)) if colon and line.isdecimal() else (origin or "<code>", 1)


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    # The change time tells a file that was put in place with its old modification time.
    return (
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_ino,
        status.st_dev,
    )


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from error


def _decoded(data: bytes) -> str | bytes:
    """Return a source as the text that would have been sent of it, so that both are compiled once;
    the compiler says what is wrong with one that is none."""
    try:
        return decode_source(data)
    except (SyntaxError, UnicodeDecodeError):
        return data


def _unreadable(path: str, error: OSError) -> NotFound | Invalid:
    if isinstance(error, FileNotFoundError):
        return NotFound(f"there is no source file {path}")
    return Invalid(f"cannot read {path}: {error.strerror}")


def _of_source(text: bytes | str, filename: str, line: int) -> Source:
    key = (text, filename, line)
    source = _by_text.get(key)
    if source is None:
        source = Source(_compile(text, filename, line))
        _remember(_by_text, key, source)
    return source


def _compile(text: bytes | str, filename: str, line: int) -> CodeType:
    # Empty lines above put the first line of inline code where it stands in its file.
    padded = "\n" * (line - 1) + text if isinstance(text, str) else text
    where = f"{filename}:{line}" if line > 1 else filename
    try:
        return compile(padded, filename, "exec", dont_inherit=True)
    except SyntaxError as error:
        shown = f": {error.text.strip()}" if error.text else ""
        where = f"{filename}, line {error.lineno}" if error.lineno else where
        raise Invalid(f"{type(error).__name__} in {where}: {error.msg}{shown}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        # NUL bytes, or nesting deeper than the compiler goes.
        raise Invalid(f"{where} cannot be compiled: {error}") from error


def _remember(cache: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    cache[key] = value
    # The oldest goes; loading in threads, another may be doing the same.
    while len(cache) > SOURCES:
        cache.pop(next(iter(cache)), None)


def _show_in_tracebacks(text: str, filename: str, line: int) -> None:
    known = linecache.cache.get(filename)
    # Other inline code of the same file is kept. No modification time (the second part): linecache
    # then never compares with the file, which may have changed.
    lines = list(known[2]) if known is not None and len(known) == 4 and known[1] is None else []
    own = [f"{each}\n" for each in text.split("\n")]
    lines += ["\n"] * (line - 1 + len(own) - len(lines))
    lines[line - 1 : line - 1 + len(own)] = own
    linecache.cache[filename] = (sum(map(len, lines)), None, lines, filename)
    _remember(_shown, (filename, line), text)
