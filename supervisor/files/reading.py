"""Reading the configuration of a node that runs, as its root was started with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from supervisor.core.config.problems import ConfigErrors, Problem, render, render_one
from supervisor.core.reloading import MAX_TOLD_LENGTH, Broken
from supervisor.core.spec import Blueprint, Place
from supervisor.io.files import load
from supervisor.io.state_reader import StateReader
from supervisor.io.survey import Survey, survey
from wippy.core.entry import decode_doc
from wippy.errors import WippyError


@dataclass(frozen=True, slots=True)
class Files:
    """Where a configuration is read from.

    Attributes:
        path: Folder or file, absolute, links not followed.
        overrides: Settings that the node has whatever its files say: its name and its folders.
        named: The source files that entries named when they were read last.
    """

    path: str
    overrides: Mapping[str, str]
    named: set[str]

    def survey(self) -> Survey:
        """Return the state of the files."""
        return survey(self.path, tuple(self.named))


def files_of(blueprint: Blueprint, reader: StateReader) -> Files:
    """Return where the configuration of a blueprint comes from; `reader` knows which sources were
    named when it was merged last."""
    runtime = blueprint.runtime
    overrides = {
        "node": runtime.node,
        "state_dir": runtime.state_dir,
        "run_dir": runtime.run_dir,
        "log_dir": runtime.log_dir,
    }
    docs = map(decode_doc, reader.files().values())
    named = {doc.code.path for doc in docs if doc.code is not None}
    return Files(blueprint.path or blueprint.source, overrides, named)


def read(files: Files) -> Blueprint | Broken:
    """Read the configuration; reads the disk, and takes long for a large one."""
    named: set[str] = set()
    try:
        return load(Path(files.path), overrides=files.overrides, environ=os.environ, named=named)
    except ConfigErrors as errors:
        return broken(errors.problems)
    except WippyError as error:
        return broken([Problem(place=Place(files.path, 0), message=str(error))])
    finally:
        # One that is named no more is left out, one that is wrong is watched until it is right.
        files.named.clear()
        files.named.update(named)


def broken(problems: tuple[Problem, ...] | list[Problem]) -> Broken:
    """Return what to tell of problems, wherever it is read: places are absolute."""
    problems = [msgspec.structs.replace(it, place=_absolute(it.place)) for it in problems]
    first = msgspec.structs.replace(problems[0], line="")
    return Broken(
        text=render(problems)[:MAX_TOLD_LENGTH], first=render_one(first), count=len(problems)
    )


def _absolute(place: Place) -> Place:
    is_relative = bool(place.file) and os.path.lexists(place.file)
    return (
        msgspec.structs.replace(place, file=os.path.abspath(place.file)) if is_relative else place
    )
