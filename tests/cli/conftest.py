"""Commands run in this process, against a fake root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_runs import Cli, Ran
from control_root import ControlRoot

from supervisor.cli.main import run


@pytest.fixture
def cli(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Cli:
    """Run a command line; `short_dir` holds all nodes there are, and is the current folder."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir / "x"))
    monkeypatch.delenv("WIPPY_RUN_DIR", raising=False)
    monkeypatch.setattr("supervisor.io.runtime_dirs._bases", lambda environ: (short_dir / "x",))
    monkeypatch.chdir(short_dir)

    def run_one(*args: str) -> Ran:
        code = run(list(args))
        out, err = capsys.readouterr()
        return Ran(int(code), out, err)

    return run_one


@pytest.fixture
def root(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlRoot]:
    """The only node there is."""
    run_dir = short_dir / "x" / "only"
    run_dir.mkdir(parents=True)
    with ControlRoot(run_dir) as fake:
        yield fake
