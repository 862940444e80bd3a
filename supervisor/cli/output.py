"""What the command line writes: data to stdout, talk to stderr, JSON for programs."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

import msgspec

from supervisor.core.facts import Fact, Level, level, sentence
from supervisor.core.json_form import json_line
from wippy.errors import Cancelled, Invalid

ANSI = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "bold": "1", "default": ""}
"""Only what the user's own theme colours."""

NO_WIDTH = 0


def say(line: str) -> None:
    """Write talk: one line to stderr."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def put(line: str) -> None:
    """Write data: one line to stdout."""
    sys.stdout.write(line + "\n")


def put_now(line: str) -> None:
    """Write data that somebody follows: one line to stdout, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def put_json(value: Any) -> None:
    """Write a value as JSON, indented, to stdout; an object gets `"schema": 1`."""
    put(msgspec.json.format(json_line(value)).decode())


def put_json_now(value: Any) -> None:
    """Write a value as one line of JSON to stdout, at once."""
    put_now(json_line(value).decode())


def width_of(stream: TextIO) -> int:
    """Return the columns of the terminal behind `stream`; `NO_WIDTH` if it is none."""
    if not is_terminal(stream):
        return NO_WIDTH
    return max(20, shutil.get_terminal_size((80, 24)).columns)


def is_terminal(stream: TextIO) -> bool:
    """Say whether people read `stream` in a terminal."""
    return stream.isatty()


def is_utf8(stream: TextIO) -> bool:
    """Say whether glyphs can be written to `stream`."""
    return (stream.encoding or "ascii").lower().replace("-", "").startswith("utf8")


def wants_colour(when: str, stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Judge `--color` (auto, always, never), NO_COLOR, FORCE_COLOR and the stream.

    Raises:
        Invalid: `when` is none of the three.
    """
    match when:
        case "always" | "never":
            return when == "always"
        case "auto" if environ.get("NO_COLOR"):
            return False
        case "auto" if environ.get("FORCE_COLOR"):
            return True
        case "auto":
            return is_terminal(stream) and environ.get("TERM", "dumb") != "dumb"
        case _:
            raise Invalid(f"--color {when}: must be auto, always or never")


def painted(text: str, colour: str) -> str:
    """Return `text` in one of the ANSI colours."""
    code = ANSI.get(colour, "")
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


def columns(
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    width: int = NO_WIDTH,
    colours: Sequence[str] = (),
) -> list[str]:
    """Return rows as lines with aligned columns, two spaces apart.

    Args:
        rows: Cells; every row has as many.
        right: Columns that are aligned to the right.
        width: Lines are cut to this many columns, with `…` at the cut; `NO_WIDTH` cuts nothing.
        colours: For each row the colour of its first cell; shorter leaves the rest as they are.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines: list[str] = []
    for number, row in enumerate(rows):
        cells = [
            cell.rjust(size) if index in right else cell.ljust(size)
            for index, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        line = cut("  ".join(cells).rstrip(), width)
        colour = colours[number] if number < len(colours) else ""
        first = len(cells[0])
        lines.append(painted(line[:first], colour) + line[first:] if colour else line)
    return lines


def cut(line: str, width: int) -> str:
    """Return `line`, cut to `width` columns if that is not `NO_WIDTH`."""
    if width == NO_WIDTH or len(line) <= width:
        return line
    return line[: width - 1] + "…"


def fact_line(fact: Fact, *, with_date: bool = False, is_coloured: bool = False) -> str:
    """Return a fact as a line for people, in local time: `12:03:04.512  app:worker  up as ...`."""
    moment = datetime.fromtimestamp(fact.at_s)
    stamp = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"
    if with_date:
        stamp = f"{moment:%Y-%m-%d} {stamp}"
    text = sentence(fact)
    colour = {Level.ERROR: "red", Level.WARNING: "yellow"}.get(level(fact), "")
    if is_coloured and colour:
        text = painted(text, colour)
    return f"{stamp}  {fact.id or 'node'}  {text}"


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal before something is lost; `yes`, or no terminal to ask at, goes on.

    Raises:
        Cancelled: The answer was not yes.
    """
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise Cancelled("nothing was done")
