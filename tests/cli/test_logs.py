"""logs and doctor."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from command_runs import Cli
from control_root import VIEW, ControlRoot

from supervisor.cli.commands.doctor import examine
from supervisor.cli.commands.logs import log_paths
from supervisor.core.requests import ViewAnswer
from supervisor.core.view import RowKind
from supervisor.io.node_file import NodeFile, write_node_file


@pytest.fixture
def logged(short_dir: Path, root: ControlRoot, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node whose db and worker have logs, and an actor in the worker's."""
    logs = short_dir / "logs"
    logs.mkdir()
    (logs / "app.db.log").write_text("one\ntwo\nthree\n")
    (logs / "app.worker.log").write_text("\x1b[31mred\n")
    paths = {"app:db": logs / "app.db.log", "app:worker": logs / "app.worker.log"}
    rows = [msgspec.structs.replace(it, log_path=str(paths.get(it.id, ""))) for it in VIEW.rows]
    actor = msgspec.structs.replace(rows[3], id="app:actor", kind=RowKind.POOL_ACTOR)
    view = msgspec.structs.replace(VIEW, rows=(*rows[:3], actor, *rows[3:]))
    monkeypatch.setattr(root, "_answer", lambda verb: ViewAnswer(view))
    return logs


def test_one_child_has_no_prefix(logged: Path, cli: Cli) -> None:
    assert cli("logs", "app:db", "-n", "2").out == "two\nthree\n"


def test_several_have_their_id_before_each_line(logged: Path, cli: Cli) -> None:
    out = cli("logs", "app:worker", "app:db", "-n", "1").out
    assert out == "app:worker | red\napp:db | three\n"


def test_without_ids_each_file_is_shown_once_and_under_its_owner(logged: Path, cli: Cli) -> None:
    assert list(log_paths([], None, None)) == ["app:db", "app:worker"]


def test_lines_as_json(logged: Path, cli: Cli) -> None:
    lines = [json.loads(it) for it in cli("logs", "app:db", "-n", "1", "--json").out.splitlines()]
    assert lines == [{"schema": 1, "id": "app:db", "line": "three"}]


def test_an_unknown_child_is_code_4(logged: Path, cli: Cli) -> None:
    code, _, err = cli("logs", "app:bd")
    assert code == 4
    assert "app:db" in err


def test_logs_of_a_stopped_node(short_dir: Path, cli: Cli) -> None:
    run_dir, logs = short_dir / "r", short_dir / "logs"
    run_dir.mkdir()
    logs.mkdir()
    (logs / "app.db.log").write_text("last words\n")
    write_node_file(run_dir, NodeFile(node="shop", log_dir=str(logs)))
    assert cli("logs", "--run-dir", str(run_dir), "app:db").out == "last words\n"
    assert cli("logs", "--run-dir", str(run_dir)).out == "last words\n"
    code, _, err = cli("logs", "--run-dir", str(run_dir), "app:bd")
    assert code == 4
    assert "did you mean app.db.log?" in err


def test_no_node_and_no_logs_is_code_4(cli: Cli) -> None:
    assert cli("logs").code == 4


def test_doctor_finds_this_machine_fit(cli: Cli, root: ControlRoot) -> None:
    findings = {it.what: it for it in examine()}
    for what in ("python", "/proc", "pidfd", "msgspec", "run folder"):
        assert findings[what].status == "ok", findings[what]
    answer = json.loads(cli("doctor", "--json").out)
    assert answer["schema"] == 1
    assert {it["what"] for it in answer["findings"]} == set(findings)


def test_doctor_says_when_the_package_that_is_imported_is_not_ours(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.__file__", "/usr/lib/python3/dist-packages/supervisor/x.py")
    code, out, _ = cli("doctor")
    assert code == 1
    assert "failed   package: import supervisor finds /usr/lib" in out
    assert "supervisord" in out


def test_doctor_names_a_missing_dependency(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.cli.commands.doctor.DEPENDENCIES", ("no-such-package",))
    code, out, _ = cli("doctor")
    assert code == 1
    assert "failed   no-such-package: not installed" in out
