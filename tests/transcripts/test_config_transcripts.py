"""Transcripts of the verbs that read a configuration: input, command, `----`, all that is shown.

`WIPPY_REWRITE=1` writes what happens now into the transcripts; read the diff before keeping it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from supervisor.cli.commands.check import check
from supervisor.cli.commands.init import init
from supervisor.cli.commands.plan import plan
from supervisor.cli.commands.schema import schema

HERE = Path(__file__).parent
TITLE, FILE, COMMAND, ANSWER = "=== ", "--- ", "$ wippy-supervisor ", "----"

app = typer.Typer()
for verb in (check, plan, schema, init):
    app.command()(verb)


@pytest.mark.parametrize("name", ["config_errors.txt", "config_verbs.txt"])
def test_what_is_shown_is_what_the_transcript_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_rewrite = bool(os.environ.get("WIPPY_REWRITE"))
    for variable in [name for name in os.environ if name.startswith(("WIPPY_", "XDG_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("GREETING", "hello")
    monkeypatch.delenv("MISSING", raising=False)
    wanted = (HERE / name).read_text("utf-8")
    preface, *cases = ("\n" + wanted).split("\n" + TITLE)
    happened = [
        _replayed(case, tmp_path / str(n), monkeypatch) for n, case in enumerate(cases, start=1)
    ]
    shown = ("\n" + TITLE).join([preface, *happened]).removeprefix("\n")
    if is_rewrite:
        (HERE / name).write_text(shown, "utf-8")
        wanted = shown
    assert shown == wanted


def _replayed(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the files of a case, run its commands, return it with what they show."""
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    told: list[str] = []
    for kind, head, body in _parts(case):
        told.append(head)
        if kind == FILE:
            path = folder / head.removeprefix(FILE)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in body), "utf-8")
            told += body
        elif kind == COMMAND:
            told += [ANSWER, *_run(head.removeprefix(COMMAND), folder), ""]
    return "\n".join(told).rstrip("\n") + "\n"


def _parts(case: str) -> Iterator[tuple[str, str, list[str]]]:
    """Split a case into its title, its files and its commands, each with the lines below it."""
    title, *lines = case.split("\n")
    kind, head, body = TITLE, title, list[str]()
    for line in lines:
        found = next((start for start in (FILE, COMMAND) if line.startswith(start)), None)
        if found is None:
            body.append(line)
            continue
        yield kind, head, body
        kind, head, body = found, line, []
    yield kind, head, body


def _run(command: str, folder: Path) -> list[str]:
    result = CliRunner().invoke(app, shlex.split(command))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    output = result.output.replace(str(folder), "$DIR").rstrip("\n")
    return [*(output.split("\n") if output else []), f"exit {result.exit_code}"]
