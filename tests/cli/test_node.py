"""How a command finds its node."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_runs import Cli
from control_root import VIEW, ControlRoot

from supervisor.cli.node import find_run_dir, nearest, run_dir_of, subtree
from wippy.errors import NotFound


def node_of(config: Path) -> ControlRoot:
    """A node where the one of `config` would be."""
    config.mkdir(parents=True, exist_ok=True)
    run_dir = run_dir_of(config)
    run_dir.mkdir(parents=True)
    return ControlRoot(run_dir)


def test_the_flag_wins_over_the_variable(
    short_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIPPY_RUN_DIR", "/from/variable")
    assert find_run_dir(Path("/from/flag")) == Path("/from/flag")
    assert find_run_dir(None) == Path("/from/variable")


def test_the_configuration_of_the_current_folder_wins_over_other_nodes(
    short_dir: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with node_of(short_dir / "a"), node_of(short_dir / "b" / "configs"):
        monkeypatch.chdir(short_dir / "a")
        assert find_run_dir(None) == run_dir_of(short_dir / "a")
        monkeypatch.chdir(short_dir / "b")
        assert find_run_dir(None) == run_dir_of(short_dir / "b" / "configs")
        assert find_run_dir(None, short_dir / "a") == run_dir_of(short_dir / "a")


def test_the_only_node_is_the_one_that_is_meant(short_dir: Path, cli: Cli) -> None:
    with node_of(short_dir / "a"):
        assert cli("status", "app:db").code == 0


def test_several_nodes_are_listed_and_end_with_4(short_dir: Path, cli: Cli) -> None:
    with node_of(short_dir / "a"), node_of(short_dir / "b"):
        code, _, err = cli("status")
        assert code == 4
        assert "several nodes are running; say which one" in err
        for config in ("a", "b"):
            assert f"--run-dir {run_dir_of(short_dir / config)}" in err
        assert cli("status", "app:db", "--config", "a").code == 0


def test_a_configuration_says_where_its_node_is(short_dir: Path, cli: Cli) -> None:
    config = short_dir / "c"
    config.mkdir()
    (config / "wippy.yaml").write_text(f"runtime:\n  run_dir: {short_dir / 'r'}\n")
    assert find_run_dir(None, config) == short_dir / "r"


def test_dead_run_folders_are_no_nodes(short_dir: Path, cli: Cli) -> None:
    (short_dir / "x" / "dead").mkdir(parents=True)
    (short_dir / "x" / "dead" / "root").touch()
    with pytest.raises(NotFound, match="no node of yours is running"):
        find_run_dir(None)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("app:wroker", "app:worker"), ("worker", "app:worker"), ("apq:worker", "app:worker"),
     ("zzz", ""), ("", "")],
)  # fmt: skip
def test_the_nearest_id(word: str, expected: str) -> None:
    assert nearest(word, [row.id for row in VIEW.rows]) == expected


def test_subtree_is_a_row_and_all_below_it() -> None:
    assert [row.id for row in subtree(VIEW, "app:ingest")] == ["app:ingest", "app:db", "app:worker"]
    assert len(subtree(VIEW, "wippy:root")) == len(VIEW.rows)
