"""Where nodes live, and how a command finds one."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.io import runtime_dirs
from supervisor.io.files import load_runtime
from supervisor.io.runtime_dirs import find_run_dirs, fits_socket, is_run_dir, resolve_run_dir
from wippy.errors import Invalid, NotFound


@pytest.fixture
def session() -> Iterator[Path]:
    """Return an empty XDG_RUNTIME_DIR."""
    path = Path(tempfile.mkdtemp(prefix="w-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def environ(session: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return variables under which this user's nodes are only those of the test."""
    bases = (session / "wippy",)
    monkeypatch.setattr(runtime_dirs, "_bases", lambda _environ: bases)
    return {"XDG_RUNTIME_DIR": str(session)}


def a_node(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "root").touch()
    return folder


def a_config(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "wippy.yaml").write_text("version: '1.0'\nruntime: {spares: 1}\n")
    return folder


def test_every_socket_of_a_node_fits_where_the_limit_says() -> None:
    longest = "/tmp/" + "x" * (runtime_dirs.MAX_RUN_DIR_BYTES - 5)
    assert fits_socket(longest)
    assert not fits_socket(longest + "x")
    assert not fits_socket("/tmp/" + "ä" * 40)
    path = f"{longest}/{'s' * runtime_dirs.LONGEST_SOCKET_NAME}"
    with socket.socket(socket.AF_UNIX) as unix, pytest.raises(FileNotFoundError):
        unix.connect(path)  # too long would be OSError "AF_UNIX path too long"


def test_run_folders_are_those_with_a_root_socket(session: Path, environ: dict[str, str]) -> None:
    first, second = (a_node(session / "wippy" / name) for name in ("a", "b"))
    (session / "wippy" / "empty").mkdir()
    (session / "wippy" / "file").touch()
    assert find_run_dirs(environ) == (first, second)
    assert not is_run_dir(session / "nowhere")


def test_without_a_node_the_message_says_how_to_start_one(
    session: Path, environ: dict[str, str]
) -> None:
    with pytest.raises(NotFound, match="wippy-supervisor start configs/"):
        resolve_run_dir(environ=environ, cwd=session)


def test_the_only_node_is_meant(session: Path, environ: dict[str, str]) -> None:
    node = a_node(session / "wippy" / "a")
    assert resolve_run_dir(environ=environ, cwd=session) == node


def test_several_nodes_are_listed(session: Path, environ: dict[str, str]) -> None:
    nodes = [a_node(session / "wippy" / name) for name in "ab"]
    with pytest.raises(Invalid) as raised:
        resolve_run_dir(environ=environ, cwd=session)
    assert all(f"--run-dir {node}" in str(raised.value) for node in nodes)


def test_the_flag_wins_over_the_configuration_and_that_over_the_variable(
    session: Path, environ: dict[str, str]
) -> None:
    config = a_config(session / "c")
    of_config = Path(load_runtime(config, environ=environ).run_dir)
    environ = {**environ, "WIPPY_RUN_DIR": "/run/variable"}
    flag = resolve_run_dir(run_dir=Path("x"), config=config, environ=environ, cwd=session)
    assert flag == session / "x"
    assert resolve_run_dir(environ=environ, cwd=session) == Path("/run/variable")
    environ.pop("WIPPY_RUN_DIR")
    assert resolve_run_dir(config=config, environ=environ, cwd=session) == of_config


@pytest.mark.parametrize("inside", [".", ".."])
def test_the_node_of_the_current_folder_is_meant_though_others_run(
    session: Path, environ: dict[str, str], inside: str
) -> None:
    config = a_config(session / "here" / "configs")
    node = a_node(Path(load_runtime(config, environ=environ).run_dir))
    a_node(session / "wippy" / "other")
    assert resolve_run_dir(environ=environ, cwd=(config / inside).resolve()) == node


def test_a_broken_configuration_does_not_hide_its_node(
    session: Path, environ: dict[str, str]
) -> None:
    config = a_config(session / "c")
    node = a_node(Path(load_runtime(config, environ=environ).run_dir))
    (config / "app.yaml").write_text("broken: [")
    assert resolve_run_dir(config=config, environ=environ, cwd=session) == node
