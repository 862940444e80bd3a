"""Shapes of single fields: commands, signals, masks, folders and readiness probes."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from supervisor.core.config import nodes
from supervisor.core.config.nodes import Cursor, Scalar, describe, shorten
from supervisor.core.config.problems import did_you_mean
from supervisor.core.config.reading import Reading
from supervisor.core.config.shapes import Duration, Text, Word
from supervisor.core.config.tables import Field, ListOf, Table
from supervisor.core.spec import Probe, ProbeKind
from wippy.core.reasons import SIGNAL_NAMES

SIGNALS = {
    **{name: number for number, name in SIGNAL_NAMES.items()},
    "SIGTTIN": 21, "SIGTTOU": 22, "SIGURG": 23, "SIGVTALRM": 26, "SIGPROF": 27,
    "SIGWINCH": 28, "SIGIO": 29, "SIGPWR": 30,
}  # fmt: skip
"""signal(7), Linux."""
CANNOT_STOP = {18: "SIGCONT", 19: "SIGSTOP"}
LAST_SIGNAL = 64
SHELL_WORDS = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<", "2>&1", "2>"})


@dataclass(frozen=True, slots=True)
class StopSignal:
    """A signal by name (`SIGTERM`, `TERM`) or number."""

    def read(self, reading: Reading, cursor: Cursor) -> int:
        """Return the signal's number."""
        text = reading.scalar(cursor, "a signal's name or number").text.strip()
        number = int(text) if re.fullmatch(r"[0-9]{1,3}", text) else self._named(text)
        if number is None or not 1 <= number <= LAST_SIGNAL:
            near = did_you_mean(_full(text), SIGNALS) if number is None else ""
            message = f"{reading.name(cursor)}: {shorten(text)!r} is no signal"
            raise reading.bad(cursor, message, near or "write for instance SIGTERM, or 15")
        if number in CANNOT_STOP:
            message = f"{reading.name(cursor)}: {CANNOT_STOP[number]} does not end a program"
            raise reading.bad(cursor, message)
        return number

    def _named(self, text: str) -> int | None:
        return SIGNALS.get(_full(text))

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        numbers = {"type": "integer", "minimum": 1, "maximum": LAST_SIGNAL}
        return {"anyOf": [{"type": "string", "examples": ["SIGTERM", "INT"]}, numbers]}


def _full(text: str) -> str:
    upper = text.upper()
    return upper if upper.startswith("SIG") else f"SIG{upper}"


@dataclass(frozen=True, slots=True)
class Umask:
    """A file mode creation mask: three or four octal digits, always read as octal."""

    def read(self, reading: Reading, cursor: Cursor) -> int:
        """Return the mask."""
        text = reading.scalar(cursor, 'octal digits like "0022"').text
        if not re.fullmatch(r"0?[0-7]{3}", text):
            message = f"{reading.name(cursor)}: {shorten(text)!r} is no mask"
            raise reading.bad(cursor, message, 'write octal digits like "0022"')
        return int(text, 8)

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": ["string", "integer"], "pattern": "^0?[0-7]{3}$", "examples": ["0022"]}


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder; a relative one starts at the configuration file's folder."""

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the absolute path; that it exists is judged by the shell."""
        return resolve_path(reading, cursor, Text("a folder").read(reading, cursor))

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "minLength": 1}


def resolve_path(reading: Reading, cursor: Cursor, text: str) -> str:
    """Return `text` as an absolute path; relative ones start at the file's folder."""
    if text.startswith("~"):
        hint = f"write ${{env:HOME}}{text[1:]}" if text in {"~"} or text[1:2] == "/" else ""
        raise reading.bad(cursor, f"{reading.name(cursor)}: '~' is not expanded", hint)
    path = posixpath.join(reading.folder, text)
    if not path.startswith("/"):
        # An entry that was made at run time stands in no folder.
        message = f"{reading.name(cursor)}: {shorten(text)!r} is relative to no folder"
        raise reading.bad(cursor, message, "write an absolute path")
    return posixpath.normpath(path)


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments: a list, or one string that is split as a shell would."""

    def read(self, reading: Reading, cursor: Cursor) -> tuple[str, ...]:
        """Return program and arguments."""
        if isinstance(cursor.node, nodes.Sequence):
            words: tuple[str, ...] = ListOf(Word(), minimum=1).read(reading, cursor)
        else:
            words = self._split(reading, cursor)
        if not words or not words[0]:
            raise reading.bad(cursor, f"{reading.name(cursor)} names no program")
        return words

    def _split(self, reading: Reading, cursor: Cursor) -> tuple[str, ...]:
        text = reading.text(cursor, "a list, or a string")
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise reading.bad(cursor, f"{reading.name(cursor)}: {str(error).lower()}") from None
        for word in words:
            if word in SHELL_WORDS:
                message = f"{reading.name(cursor)} is not run by a shell, so {word!r} has no effect"
                raise reading.bad(cursor, message, "write [sh, -c, '...']")
        return words

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        words = ListOf(Word(), minimum=1).schema()
        return {"anyOf": [{"type": "string", "minLength": 1}, words]}


# --- readiness -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tcp:
    """`HOST:PORT`."""

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the address."""
        text = reading.text(cursor, "HOST:PORT")
        host, _, port = text.rpartition(":")
        if not host or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            hint = "write for instance 127.0.0.1:6379"
            raise reading.bad(cursor, f"{reading.name(cursor)}: {shorten(text)!r} is no HOST:PORT",
                              hint)  # fmt: skip
        return text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "examples": ["127.0.0.1:6379"]}


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL."""

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the URL."""
        text = reading.text(cursor, "a URL")
        if not re.fullmatch(r"https?://[^\s/]+\S*", text):
            hint = "write for instance http://127.0.0.1:8080/health"
            raise reading.bad(cursor, f"{reading.name(cursor)}: {shorten(text)!r} is no URL", hint)
        return text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "pattern": "^https?://"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression (Python's `re`)."""

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the expression."""
        text = Text("a regular expression").read(reading, cursor)
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise reading.bad(
                cursor, f"{reading.name(cursor)} is no regular expression: {error}"
            ) from None
        return text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "format": "regex"}


@dataclass(frozen=True, slots=True)
class Just:
    """Only `true`: the key is there, or it is not."""

    def read(self, reading: Reading, cursor: Cursor) -> bool:
        """Return True."""
        value, _ = reading.atom(cursor, "true")
        if value is not True:
            raise reading.bad(cursor, f"{reading.name(cursor)} can only be true")
        return True

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"const": True}


PROBES = ("tcp", "http", "log", "exec", "notify")


def _one_probe(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    present = [key for key, _, _ in cursor.pairs() if key in PROBES]
    if len(present) != 1 and not (len(present) == 0 and len(values) < len(cursor.pairs())):
        what = "none" if not present else " and ".join(present)
        message = f"{reading.name(cursor)} needs exactly one probe, has {what}"
        reading.note(cursor, message, f"one of {', '.join(PROBES)}")


def _probe(**values: Any) -> Probe:
    kind = next(key for key in PROBES if key in values)
    target = values.pop(kind)
    if kind == "exec":
        return Probe(kind=ProbeKind.EXEC, command=target, **values)
    return Probe(kind=ProbeKind(kind), target="" if kind == "notify" else target, **values)


PROBE = Table(
    {
        "tcp": Field(Tcp(), "ready when this HOST:PORT accepts a connection"),
        "http": Field(Url(), "ready when this URL answers 2xx or 3xx"),
        "log": Field(Pattern(), "ready when this regular expression is found in its output"),
        "exec": Field(Command(), "ready when this command exits 0"),
        "notify": Field(Just(), "ready when it says READY=1 (sd_notify)"),
        "interval": Field(Duration(above_zero=True), "pause between two attempts", "interval_s"),
        "timeout": Field(Duration(above_zero=True), "limit of one attempt", "timeout_s"),
    },
    build=_probe,
    check=_one_probe,
)


@dataclass(frozen=True, slots=True)
class Readiness:
    """`none`, `notify`, or a mapping with one probe."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The keys of the longer form."""
        return PROBE.fields

    def read(self, reading: Reading, cursor: Cursor) -> Probe:
        """Return the probe."""
        if isinstance(cursor.node, nodes.Mapping):
            probe: Probe = PROBE.read(reading, cursor)
            return probe
        if not isinstance(cursor.node, Scalar):
            message = f"readiness must be a probe, not {describe(cursor.node)}"
            raise reading.bad(cursor, message)
        text = reading.scalar(cursor, "a probe").text
        if text not in {"none", "notify"}:
            near = did_you_mean(text, (*PROBES, "none"))
            hint = near or "write none, notify, or a mapping like {tcp: HOST:PORT}"
            if text in PROBES:
                hint = f"{text} needs a target: {{{text}: ...}}"
            raise reading.bad(cursor, f"readiness: {shorten(text)!r} is no probe", hint)
        return Probe(kind=ProbeKind(text))

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"anyOf": [{"enum": ["none", "notify"]}, PROBE.schema()]}
