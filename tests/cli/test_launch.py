"""Folders of a node, and what is refused before anything is started."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from control_root import ControlRoot

from supervisor.cli.launch import leave_link, log_tail, make_private, prepare, size_of
from supervisor.cli.node import run_dir_of
from supervisor.core.spec import Blueprint, RuntimeSpec
from supervisor.io.node_file import read_node_file
from supervisor.io.state_lock import StateLock
from wippy.errors import AlreadyExists, Invalid, PermissionDenied


def blueprint(folder: Path) -> Blueprint:
    runtime = RuntimeSpec(
        node="shop",
        state_dir=str(folder / "s"),
        run_dir=str(folder / "r"),
        log_dir=str(folder / "s" / "logs"),
    )
    return Blueprint(str(folder / "c"), runtime, {})


def test_prepare_writes_what_the_guardian_reads(short_dir: Path) -> None:
    run_dir = prepare(blueprint(short_dir))
    node = read_node_file(run_dir)
    assert node is not None
    assert (node.node, node.guardian_pid, node.root_pid) == ("shop", 0, 0)
    assert node.state_dir == str(short_dir / "s")
    written = run_dir / "blueprint.msgpack"
    assert msgspec.msgpack.decode(written.read_bytes(), type=Blueprint) == blueprint(short_dir)
    assert written.stat().st_mode & 0o777 == 0o600
    assert run_dir.stat().st_mode & 0o777 == 0o700
    assert sorted(it.name for it in run_dir.iterdir()) == ["blueprint.msgpack", "node.json"]


def test_the_format_of_log_lines_is_left_for_the_root(short_dir: Path) -> None:
    node = read_node_file(prepare(blueprint(short_dir), "json"))
    assert node is not None
    assert node.log_format == "json"
    with pytest.raises(Invalid, match="--log-format xml: must be text or json"):
        prepare(blueprint(short_dir), "xml")


def test_a_state_folder_in_use_is_refused_with_the_pid(short_dir: Path) -> None:
    lock = StateLock.acquire(short_dir / "s")
    try:
        with pytest.raises(AlreadyExists, match=f"pid {os.getpid()}"):
            prepare(blueprint(short_dir))
    finally:
        lock.release()
    assert not (short_dir / "r" / "blueprint.msgpack").exists()


def test_a_run_folder_where_a_node_lives_is_refused(short_dir: Path) -> None:
    run_dir = short_dir / "r"
    run_dir.mkdir(mode=0o700)
    with ControlRoot(run_dir):
        with pytest.raises(AlreadyExists, match=r"runs in .* already"):
            prepare(blueprint(short_dir))


def test_a_run_folder_open_to_others_is_refused_with_the_remedy(short_dir: Path) -> None:
    run_dir = short_dir / "r"
    run_dir.mkdir()
    run_dir.chmod(0o755)
    with pytest.raises(PermissionDenied, match=f"chmod 700 {run_dir}"):
        make_private(run_dir)


def test_a_run_folder_that_others_can_replace_is_refused(short_dir: Path) -> None:
    (short_dir / "open").mkdir()
    (short_dir / "open").chmod(0o777)
    with pytest.raises(PermissionDenied, match="others can replace it"):
        make_private(short_dir / "open" / "r")


def test_a_run_folder_that_is_a_link_is_refused(short_dir: Path) -> None:
    (short_dir / "real").mkdir(mode=0o700)
    (short_dir / "r").symlink_to(short_dir / "real")
    with pytest.raises(Invalid, match="is no folder"):
        make_private(short_dir / "r")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another's")
def test_a_run_folder_of_somebody_else_is_refused(short_dir: Path) -> None:
    run_dir = short_dir / "r"
    run_dir.mkdir(mode=0o700)
    os.chown(run_dir, 12345, 12345)
    with pytest.raises(PermissionDenied, match="belongs to uid 12345"):
        make_private(run_dir)


def test_a_run_folder_too_long_for_a_socket_is_refused_and_not_made(short_dir: Path) -> None:
    run_dir = short_dir / ("x" * 100)
    with pytest.raises(Invalid, match="longer than 107 bytes"):
        make_private(run_dir)
    assert not run_dir.exists()


def test_folders_above_are_made_private_too(short_dir: Path) -> None:
    make_private(short_dir / "a" / "b")
    assert (short_dir / "a").stat().st_mode & 0o777 == 0o700


def test_a_link_leads_to_a_run_folder_elsewhere(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.io.runtime_dirs._bases", lambda environ: (short_dir / "x",))
    config, run_dir = short_dir / "c", short_dir / "r"
    config.mkdir()
    run_dir.mkdir()
    leave_link(config, run_dir)
    assert run_dir_of(config) == run_dir
    leave_link(config, run_dir)  # again
    usual = next((short_dir / "x").iterdir())
    leave_link(config, usual)  # the next node is where it usually is
    assert not usual.is_symlink()


def test_log_tail_begins_where_the_node_began(short_dir: Path) -> None:
    log = short_dir / "node.log"
    assert size_of(log) == 0
    log.write_text("old\n")
    offset = size_of(log)
    with log.open("a") as file:
        file.write("new\nnewer\n")
    assert log_tail(log, offset) == ["new", "newer"]
