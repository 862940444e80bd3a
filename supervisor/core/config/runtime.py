"""The `runtime:` section, and what overrides it: `WIPPY_<NAME>` and flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from supervisor.core.config.code import Dotted
from supervisor.core.config.kinds import INTENSITY
from supervisor.core.config.nodes import Cursor, Node, Scalar, Sequence, Style, shorten
from supervisor.core.config.problems import Problem, did_you_mean
from supervisor.core.config.reading import Bad, Reading
from supervisor.core.config.shapes import Choice, Duration, Flag, Shape, Size, Whole
from supervisor.core.config.special import Folder
from supervisor.core.config.tables import Field, ListOf, Table
from supervisor.core.spec import IntensitySpec, Place, Rollback, SecurityMode
from wippy.core import ids

TOP_INTENSITY = IntensitySpec(max_restarts=20, within_s=10.0)
"""What the top supervisor allows by default: more than any one below it."""
MAX_SPARES = 64
MAX_START_PARALLEL = 256
MAX_LOG_BACKUPS = 100
PREFIX = "WIPPY_"


@dataclass(frozen=True, slots=True)
class NodeName:
    """The name of a node; it is part of every pid."""

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the name."""
        text = reading.text(cursor, "the name of a node")
        if not ids.NODE.fullmatch(text):
            message = f"{reading.name(cursor)}: {shorten(text)!r} is no name of a node"
            raise reading.bad(cursor, message, "letters, digits, '_', '-' and '.', at most 63")
        return text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"type": "string", "pattern": ids.NODE.pattern}


LOG = Table(
    {
        "max_size": Field(Size(4096), "a log file is rotated above this size", "log_max_bytes"),
        "backups": Field(Whole(0, MAX_LOG_BACKUPS), "rotated files kept", "log_backups"),
    }
)


def _one_name(reading: Reading, cursor: Cursor, _values: dict[str, Any]) -> None:
    keys = {key: key_cursor for key, key_cursor, _ in cursor.pairs()}
    if "name" in keys and "node" in keys:
        reading.note(keys["name"], "'name' and 'node' are the same; write one of them")


TOP = Table(
    INTENSITY.fields, build=lambda **values: msgspec.structs.replace(TOP_INTENSITY, **values)
)

RUNTIME = Table(
    {
        "node": Field(NodeName(), "name of the node; the host's by default"),
        "name": Field(NodeName(), "the same as node", "node"),
        "state_dir": Field(Folder(), "durable state; .wippy beside the configuration by default"),
        "run_dir": Field(Folder(), "sockets; a short path"),
        "log_dir": Field(Folder(), "log files; logs in the state folder by default"),
        "heartbeat": Field(Duration(above_zero=True), "interval of heartbeats", "heartbeat_s"),
        "start_parallel": Field(
            Whole(1, MAX_START_PARALLEL), "children that may be starting at the same time"
        ),
        "spares": Field(Whole(0, MAX_SPARES), "warm processes kept ready"),
        "preload": Field(
            ListOf(Dotted("name of a module", dotted=True), unique=True, maximum=1000),
            "modules imported once, before anything is forked",
        ),
        "log": Field(LOG, "rotation of log files"),
        "orphan_timeout": Field(
            Duration(above_zero=True),
            "a process that sees no root for this long ends itself",
            "orphan_timeout_s",
        ),
        "intensity": Field(TOP, "restarts before the top supervisor gives up"),
        "history_limit": Field(Whole(100, 10**8), "restart history records kept"),
        "rollback": Field(
            Choice(Rollback), "whether a version whose services do not become ready is undone"
        ),
        "rollback_grace": Field(
            Duration(above_zero=True), "time that they have for it", "rollback_grace_s"
        ),
        "security": Field(
            Choice(SecurityMode), "strict: what no policy allows is denied; to everybody"
        ),
        "watch": Field(Flag(), "whether changed files are taken over while the node runs"),
    },
    check=_one_name,
)


def _paths(table: Table, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    for key, known in table.fields.items():
        if isinstance(known.shape, Table):
            yield from _paths(known.shape, (*above, key))
        else:
            yield (*above, key), known.shape


OVERRIDES = {"_".join(path): (path, shape) for path, shape in _paths(RUNTIME)}
"""What flags and `WIPPY_<NAME>` can set: `log_max_size`, `intensity_within`, `state_dir`, ..."""


def decode(
    reading: Reading,
    section: Cursor | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, str],
    cwd: str,
) -> tuple[dict[str, Any], dict[str, Cursor], list[Problem]]:
    """Read the section and what overrides it: a flag wins over a variable over the file.

    Args:
        reading: Of the file that has the section.
        section: The section; None if no file has one.
        environ: Variables; those named `WIPPY_<NAME>` are used.
        overrides: Flags by name, `state_dir` or `state-dir`.
        cwd: Where relative folders in variables and flags start.

    Returns:
        Values by their names in `RuntimeSpec` (only those that are set), where each came from,
        and what is wrong with variables and flags. Problems of the file are noted in `reading`.
    """
    values, places = _from_file(reading, section)
    problems: list[Problem] = []
    given = [
        (f"environment variable {PREFIX}{name.upper()}", name, environ[PREFIX + name.upper()])
        for name in OVERRIDES
        if environ.get(PREFIX + name.upper())
    ]
    given += [
        (f"--{name.replace('_', '-')}", name.replace("-", "_"), text)
        for name, text in overrides.items()
    ]
    for source, name, text in given:
        one = Reading(folder=cwd, file_path="", lines=(), environ={})
        _override(one, source, (name, text), values, places)
        problems.extend(replace_place(problem, source) for problem in one.problems)
    return _flat(values), places, problems


def replace_place(problem: Problem, source: str) -> Problem:
    """Return the problem at a source that has no lines: a variable, a flag."""
    return Problem(
        place=Place(source, 0), path=problem.path, message=problem.message, hint=problem.hint
    )


def _from_file(
    reading: Reading, section: Cursor | None
) -> tuple[dict[str, Any], dict[str, Cursor]]:
    if section is None:
        return {}, {}
    try:
        values, _ = RUNTIME.values(reading, section)
    except Bad as bad:
        reading.problems.extend([bad.problem] if bad.problem else [])
        return {}, {}
    known = {key: field.into or key for key, field in RUNTIME.fields.items()}
    places = {known[key]: value for key, _, value in section.pairs() if key in known}
    return values, places


def _override(
    reading: Reading,
    source: str,
    given: tuple[str, str],
    values: dict[str, Any],
    places: dict[str, Cursor],
) -> None:
    name, text = given
    known = OVERRIDES.get(name)
    here = Cursor(Scalar(Place(source, 0), text, Style.QUOTED), (name,))
    if known is None:
        reading.note(here, f"no setting is named {name!r}", did_you_mean(name, OVERRIDES))
        return
    path, shape = known
    try:
        value = shape.read(reading, replace(here, node=_as_node(shape, here.node)))
    except Bad as bad:
        reading.problems.extend([bad.problem] if bad.problem else [])
        return
    field = _field(path)
    places[field] = here
    if path[0] == "intensity":
        values["_intensity"] = {**values.get("_intensity", {}), field: value}
    else:
        values[field] = value
        values.get("log", {}).pop(field, None)


def _as_node(shape: Shape, node: Node) -> Node:
    """A variable has no YAML types: a number is a number, a list is separated by commas."""
    assert isinstance(node, Scalar)
    if isinstance(shape, ListOf):
        words = [word.strip() for word in node.text.split(",") if word.strip()]
        return Sequence(node.place, tuple(Scalar(node.place, w, Style.QUOTED) for w in words))
    return Scalar(node.place, node.text) if isinstance(shape, Whole | Flag) else node


def _field(path: tuple[str, ...]) -> str:
    table = RUNTIME
    for key in path[:-1]:
        inner = table.fields[key].shape
        assert isinstance(inner, Table)
        table = inner
    return table.fields[path[-1]].into or path[-1]


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """Fold `log` and the parts of `intensity` into the fields of `RuntimeSpec`."""
    flat = {key: value for key, value in values.items() if key not in {"log", "_intensity"}}
    flat.update({key: v for key, v in values.get("log", {}).items() if key not in flat})
    if "_intensity" in values:
        usual = values.get("intensity", TOP_INTENSITY)
        flat["intensity"] = msgspec.structs.replace(usual, **values["_intensity"])
    return flat
