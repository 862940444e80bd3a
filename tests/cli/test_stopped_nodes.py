"""What can be asked of a node that does not run: its history, a copy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_runs import Cli
from control_root import ControlRoot

from supervisor.core.facts import Fact, FactKind
from supervisor.core.keeping import AppendHistory
from supervisor.core.requests import Backup
from supervisor.io.node_file import NodeFile, write_node_file
from supervisor.io.state_reader import StateReader
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped


@pytest.fixture
def stopped(short_dir: Path) -> Path:
    """The run folder of a node that has run: its history has facts of two children."""
    facts = [
        Fact(seq=n, at_s=float(n), kind=FactKind.ALARM, id=id, text=f"fact {n}")
        for n, id in enumerate(("app:a", "app:b", "app:a"), 1)
    ]
    store = LmdbStore(short_dir / "s", history_limit=100)
    store.apply([Stamped(b"0" * 16, AppendHistory("run", tuple(facts)), 1.0)])
    store.close()
    run_dir = short_dir / "r"
    run_dir.mkdir()
    write_node_file(run_dir, NodeFile(node="shop", state_dir=str(short_dir / "s")))
    return run_dir


def test_history_is_read_from_the_state_folder(stopped: Path, cli: Cli) -> None:
    code, out, _ = cli("history", "--run-dir", str(stopped))
    assert code == 0
    assert [line.split()[-1] for line in out.splitlines()] == ["1", "2", "3"]
    out = cli("history", "app:a", "-n", "1", "--json", "--run-dir", str(stopped)).out
    assert [fact["text"] for fact in json.loads(out)["facts"]] == ["fact 3"]


def test_history_is_found_by_its_configuration_when_the_run_folder_is_gone(
    stopped: Path, cli: Cli, short_dir: Path
) -> None:
    config = short_dir / "c"
    config.mkdir()
    (config / "wippy.yaml").write_text(f"runtime: {{state_dir: {short_dir / 's'}}}\n")
    code, out, err = cli("history", "--config", str(config))
    assert (code, len(out.splitlines())) == (0, 3), err


def test_history_of_nothing_that_is_known_is_code_4(cli: Cli) -> None:
    assert cli("history").code == 4


def test_a_stopped_node_is_copied_by_the_command_itself(
    stopped: Path, cli: Cli, short_dir: Path
) -> None:
    code, out, err = cli("backup", "b", "--run-dir", str(stopped))
    assert (code, err) == (0, "")
    assert out.endswith(f"in {short_dir / 'b'} (of a stopped node)\n")
    reader = StateReader(short_dir / "b")
    assert len(reader.history()) == 3
    reader.close()
    assert cli("backup", "b", "--run-dir", str(stopped)).code == 1


def test_a_node_that_runs_is_asked_for_a_copy_with_an_absolute_path(
    root: ControlRoot, cli: Cli, short_dir: Path
) -> None:
    assert cli("backup", "b").code == 0
    assert [request.verb for request in root.requests] == [Backup(str(short_dir / "b"))]
