"""The command line as a whole: verbs, exit codes, errors, what is imported."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_runs import Cli
from control_root import ControlRoot

from supervisor.cli.exit_codes import ExitCode, code_for
from supervisor.cli.main import VERBS, load_verb, readable_help, unknown_word
from supervisor.core.config.problems import ConfigErrors
from wippy.errors import Conflict, NotFound

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_module_a_function_and_help_with_examples(verb: str) -> None:
    module = importlib.import_module(f"supervisor.cli.commands.{verb}")
    assert "wippy-supervisor " + verb in (getattr(module, verb).__doc__ or "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_shows_its_help(verb: str, cli: Cli) -> None:
    code, out, err = cli(verb, "--help")
    assert (code, err) == (ExitCode.OK, "")
    assert f"wippy-supervisor {verb}" in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_loads_alone(verb: str) -> None:
    assert load_verb(verb).name == verb


def test_help_lists_every_verb(cli: Cli) -> None:
    code, out, _ = cli("--help")
    assert code == ExitCode.OK
    assert all(f"  {verb} " in out for verb in VERBS)


def test_no_command_shows_the_help_and_is_a_usage_error(cli: Cli) -> None:
    code, out, err = cli()
    assert code == ExitCode.USAGE
    assert "Usage:" in out + err


def test_an_unknown_command_suggests_the_nearest(cli: Cli) -> None:
    code, _, err = cli("staus")
    assert code == ExitCode.USAGE
    assert "No such command 'staus'. Did you mean 'status'?" in err


def test_a_command_like_no_other_points_to_the_help() -> None:
    assert unknown_word("zzz", VERBS) == "No such command 'zzz'. See wippy-supervisor --help."


def test_an_unknown_option_is_a_usage_error(cli: Cli) -> None:
    code, _, err = cli("status", "--jsn")
    assert code == ExitCode.USAGE
    assert "--json" in err


def test_no_node_is_code_4_and_says_what_to_do(cli: Cli) -> None:
    for verb in (["status"], ["stop"], ["why", "app:db"], ["kill", "app:db"], ["events"]):
        code, out, err = cli(*verb)
        assert (code, out) == (ExitCode.NOT_FOUND, "")
        assert "Start one: wippy-supervisor start configs/" in err


def test_codes_of_errors() -> None:
    assert code_for(NotFound("")) == 4
    assert code_for(Conflict("")) == 1
    assert code_for(ConfigErrors([])) == 78


def test_exit_codes_are_documented() -> None:
    document = (REPOSITORY / "docs" / "exit-codes.md").read_text()
    for code in ExitCode:
        assert f"| {code.value} |" in document


def test_a_reader_that_goes_away_ends_a_command_quietly(root: ControlRoot, cli: Cli) -> None:
    run_dir = Path(os.environ["XDG_RUNTIME_DIR"]) / "only"
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as stdout:
        ended = _run("status", "--run-dir", str(run_dir), stdout=stdout)
    assert (ended.returncode, ended.stderr) == (ExitCode.BROKEN_PIPE, b"")


@pytest.mark.parametrize("verb", ["status", "stop", "kill"])
def test_quick_verbs_import_only_what_they_need(verb: str) -> None:
    heavy = ["asyncio", "psutil", "ruamel.yaml", "lmdb", "rich", "multiprocess", "supervisor.tui"]
    args = [verb, "--run-dir", "/nonexistent", *(["app:db"] if verb == "kill" else [])]
    code = (
        f"import sys; from supervisor.cli.main import run; run({args!r});"
        f"print([it for it in {heavy!r} if it in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_interrupted_is_quiet(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("supervisor.cli.commands.status.get_part", interrupted)
    code, out, err = cli("status")
    assert (code, out) == (ExitCode.INTERRUPTED, "")
    assert "Traceback" not in err


def test_examples_stay_as_they_are_written() -> None:
    assert readable_help("One.\n\nExamples:\n\n    a b\n    c d") == (
        "One.\n\nExamples:\n\n\b\n    a b\n    c d"
    )


def test_bash_completion_gives_verbs_and_ids(root: ControlRoot, cli: Cli) -> None:
    assert "status" in _completed("wippy-supervisor st")
    assert "app:worker" in _completed("wippy-supervisor why app:w")


def _completed(line: str) -> str:
    words = line.split()
    environ = {
        **os.environ,
        "_WIPPY_SUPERVISOR_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "WIPPY_RUN_DIR": str(Path(os.environ["XDG_RUNTIME_DIR"]) / "only"),
    }
    return _run(environ=environ).stdout.decode()


def _run(*args: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    environ = options.pop("environ", dict(os.environ))
    assert isinstance(environ, dict)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "supervisor.cli.main", *args],
        env={**environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        **pipes,
    )
