"""Configuration files: found, read, and turned into a `Blueprint`, or into all that is wrong.

Reading changes nothing: no folder is made, no user code is run, nothing is started.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from supervisor.core.config import deadlock, decode, documents, parse, references, runtime
from supervisor.core.config.decode import Draft, FileDraft
from supervisor.core.config.imports import code_of
from supervisor.core.config.nodes import Cursor
from supervisor.core.config.problems import ConfigErrors, Problem
from supervisor.core.config.reading import Reading
from supervisor.core.spec import (
    Blueprint,
    Place,
    RuntimeSpec,
)
from supervisor.io import machine, runtime_dirs, sources
from supervisor.io.survey import SUFFIXES, Survey, survey
from wippy.errors import NotFound

RUNTIME_FILES = ("wippy.yaml", "wippy.yml")
"""The one file of a folder that may have a `runtime:` section."""
MAX_FILES = 10_000
MAX_ENTRIES = 100_000
"""Entries of all files together."""
CLOCK_TICK_NS = 20_000_000
NO_OVERRIDES: Mapping[str, str] = {}


class Found(msgspec.Struct, frozen=True):
    """A configuration file: its name to show, its absolute path, whether it may have `runtime:`."""

    shown: str
    path: str
    may_have_runtime: bool


def load(
    path: Path,
    *,
    overrides: Mapping[str, str] = NO_OVERRIDES,
    environ: Mapping[str, str],
    named: set[str] | None = None,
) -> Blueprint:
    """Read a configuration.

    Args:
        path: A file, or a folder whose `*.yaml` and `*.yml` are all read (hidden ones are not).
        overrides: Settings of the `runtime:` section by name, `state_dir` or `state-dir`; they
            win over `WIPPY_<NAME>` in `environ`, which win over the file.
        environ: What `${env:NAME}` reads.
        named: Gets the source files that entries name, also where something is wrong with them.

    Returns:
        The whole configuration, every entry valid and every reference there.

    Raises:
        NotFound: There is nothing at `path`.
        ConfigErrors: With every problem of every file.
    """
    begun_ns, before = time.time_ns(), survey(os.path.abspath(path))
    files, problems = _read_all(path, environ)
    drafts = [draft for file in files for draft in file.drafts]
    spec, more = _runtime(path, files, overrides=overrides, environ=environ)
    problems += more
    if len(drafts) > MAX_ENTRIES:
        message = f"{len(drafts)} entries; at most {MAX_ENTRIES} are accepted"
        raise ConfigErrors([Problem(place=Place(str(path), 0), message=message)])
    links = [reference for file in files for reference in file.reading.references]
    drafts, more = sources.fill(drafts)
    found = {code.path for draft in drafts if (code := code_of(draft)) is not None and code.path}
    if named is not None:
        named |= found
    problems += more
    problems += references.judge(drafts, links)
    problems += sources.judge(drafts, str(_base(path)))
    problems += machine.judge(drafts)
    if problems or spec is None:
        raise ConfigErrors(problems)
    blueprint = _blueprint(path, spec, drafts)
    stuck = deadlock.judge(blueprint, links)
    if stuck:
        raise ConfigErrors(stuck)
    seen = _seen(os.path.abspath(path), before, found, begun_ns)
    return msgspec.structs.replace(blueprint, path=os.path.abspath(path), seen=seen)


def load_runtime(
    path: Path, *, overrides: Mapping[str, str] = NO_OVERRIDES, environ: Mapping[str, str]
) -> RuntimeSpec:
    """Read only the `runtime:` section: what a command needs to find a node that runs.

    Entries are not judged: a file being edited must not hide the node that runs from it.

    Raises:
        NotFound: There is nothing at `path`.
        ConfigErrors: The section itself, or what overrides it, is wrong.
    """
    _must_exist(path)
    found = [file for file in find_files(path)[0] if file.may_have_runtime]
    files = [_decode(file, environ)[0] for file in found[:1]]
    for file in files:
        file.reading.problems.clear()
    spec, problems = _runtime(path, files, overrides=overrides, environ=environ)
    if spec is None:
        raise ConfigErrors(problems + [p for file in files for p in file.reading.problems])
    return spec


# --- files ---------------------------------------------------------------------------------------


def _seen(path: str, before: Survey, named: set[str], begun_ns: int) -> str:
    """Return the state of the files that were read; empty if they may have changed meanwhile."""
    after = survey(path, named)
    # The kernel stamps files with the time of its last tick, at most 10 ms ago.
    is_same = after.newest_ns() < begun_ns - CLOCK_TICK_NS and set(before.files) <= set(after.files)
    return after.digest if is_same else ""


def _must_exist(path: Path) -> None:
    if not os.path.lexists(path):
        raise NotFound(f"there is no configuration at {path}")


def _base(path: Path) -> Path:
    """Return the configuration's folder, absolute; links are not followed, since where they lead
    may change."""
    absolute = Path(os.path.abspath(path))
    return absolute if absolute.is_dir() else absolute.parent


def find_files(path: Path) -> tuple[list[Found], list[Problem]]:
    """Return the files of a configuration in the order in which they are read, and what is wrong
    with their folder."""
    if not path.is_dir():
        return [Found(str(path), os.path.abspath(path), may_have_runtime=True)], []
    problems: list[Problem] = []
    relative: list[tuple[str, ...]] = []

    def unreadable(error: OSError) -> None:
        shown = str(error.filename)
        problems.append(_whole(shown, f"cannot read the folder: {error.strerror}"))

    for folder, names, files in os.walk(path, onerror=unreadable):
        names[:] = [name for name in names if not name.startswith(".")]
        above = Path(folder).relative_to(path).parts
        relative += [
            (*above, name) for name in files if name.endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not relative and not problems:
        hint = "wippy-supervisor init DIR writes one to begin with"
        problems.append(_whole(str(path), "no *.yaml in this folder", hint))
    if len(relative) > MAX_FILES:
        return [], [_whole(str(path), f"more than {MAX_FILES} files")]
    return [_found(path, parts) for parts in sorted(relative)], problems


def _found(folder: Path, parts: tuple[str, ...]) -> Found:
    shown = folder.joinpath(*parts)
    is_top = len(parts) == 1 and parts[0] in RUNTIME_FILES
    return Found(str(shown), os.path.abspath(shown), may_have_runtime=is_top)


def _whole(shown: str, message: str, hint: str = "") -> Problem:
    return Problem(place=Place(shown, 0), message=message, hint=hint)


def _read_all(path: Path, environ: Mapping[str, str]) -> tuple[list[FileDraft], list[Problem]]:
    _must_exist(path)
    found, problems = find_files(path)
    files: list[FileDraft] = []
    for each in found:
        draft, more = _decode(each, environ)
        files.append(draft)
        problems += more
    # Looked at once more when all has been read: the reading of `runtime:` comes later.
    problems += [problem for file in files for problem in file.reading.problems]
    for file in files:
        file.reading.problems.clear()
    return files, problems


def _decode(file: Found, environ: Mapping[str, str]) -> tuple[FileDraft, list[Problem]]:
    try:
        data = sources.read_regular(file.path, limit_bytes=parse.MAX_FILE_BYTES + 1)
    except OSError as error:
        empty = Reading(folder="/", file_path=file.path, lines=(), environ=environ)
        return FileDraft(empty), [_whole(file.shown, f"cannot be read: {error.strerror}")]
    document = parse.parse(data, file.shown)
    draft = decode.decode(
        document,
        file_path=file.path,
        environ=environ,
        may_have_runtime=file.may_have_runtime,
    )
    return draft, []


# --- the runtime section -------------------------------------------------------------------------


def _runtime(
    path: Path,
    files: list[FileDraft],
    *,
    overrides: Mapping[str, str],
    environ: Mapping[str, str],
) -> tuple[RuntimeSpec | None, list[Problem]]:
    home = next((file for file in files if file.runtime is not None), None)
    reading = home.reading if home else Reading(folder="/", file_path="", lines=(), environ={})
    values, places, problems = runtime.decode(
        reading,
        home.runtime if home else None,
        environ=environ,
        overrides=overrides,
        cwd=os.getcwd(),
    )
    problems += reading.problems
    reading.problems.clear()
    if problems:
        return None, problems
    defaults = runtime_dirs.defaults(path.resolve(), values, environ=environ)
    spec = RuntimeSpec(**{**defaults, **values})
    problems = _run_dir_length(spec, places.get("run_dir"), reading, path)
    problems += _preload(spec, places.get("preload"), reading, path)
    return (None, problems) if problems else (spec, [])


def _run_dir_length(
    spec: RuntimeSpec, cursor: Cursor | None, reading: Reading, path: Path
) -> list[Problem]:
    if runtime_dirs.fits_socket(spec.run_dir):
        return []
    message = (
        f"the run folder {spec.run_dir} is too long for a socket: "
        f"{len(os.fsencode(spec.run_dir))} bytes, at most {runtime_dirs.MAX_RUN_DIR_BYTES}"
    )
    hint = "set runtime.run_dir, WIPPY_RUN_DIR or --run-dir to a short path"
    return [_setting(cursor, reading, path, message=message, hint=hint)]


def _preload(
    spec: RuntimeSpec, cursor: Cursor | None, reading: Reading, path: Path
) -> list[Problem]:
    missing = [name for name in spec.preload if not sources.find_module(name, str(_base(path)))]
    message = "preload: there is no module {}"
    return [
        _setting(cursor, reading, path, message=message.format(name), hint="") for name in missing
    ]


def _setting(
    cursor: Cursor | None, reading: Reading, path: Path, *, message: str, hint: str
) -> Problem:
    if cursor is None:
        return _whole(str(path), message, hint)
    return reading.problem(cursor, message, hint)


# --- what the entries mean together --------------------------------------------------------------


def _blueprint(path: Path, spec: RuntimeSpec, drafts: list[Draft]) -> Blueprint:
    folder = str(_base(path))
    written = {draft.id: documents.document_of(draft) for draft in drafts}
    return Blueprint(
        source=os.path.abspath(path),
        runtime=spec,
        entries={draft.id: documents.located(draft, folder) for draft in drafts},
        docs={draft.id: documents.with_code(written[draft.id][0], draft) for draft in drafts},
        places={id_: place for id_, (_, place) in written.items()},
    )
