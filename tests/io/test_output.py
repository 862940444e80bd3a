"""Logs that their writers hold open: rotated without a line lost or doubled, and read back."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.io import rotation
from supervisor.io.output import Follower, Janitor, harmless, rotate, tail_lines
from wippy.errors import Unavailable

WRITER = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
for number in range(int(sys.argv[2])):
    os.write(fd, b"line %d %s\\n" % (number, b"x" * (number % 83)))
"""
BACKUPS = 400


@pytest.fixture(params=["collapse", "punch"])
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rotate by this method; collapsing is switched off where punching is tested."""
    if request.param == "punch":
        monkeypatch.setattr(rotation, "_collapse", lambda *args: False)
    return str(request.param)


@pytest.fixture(params=["disk", "tmpfs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on the disk, and one on tmpfs (which can only punch)."""
    if request.param == "disk":
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="w-", dir="/dev/shm") as name:
        yield Path(name)


def all_lines(path: Path) -> list[bytes]:
    """Return every line of a log and its backups, oldest first, padding left out."""
    numbers = sorted(int(p.name.rsplit(".", 1)[1]) for p in path.parent.glob(path.name + ".[0-9]*"))
    files = [Path(f"{path}.{number}") for number in reversed(numbers)] + [path]
    data = b"".join(file.read_bytes().lstrip(b"\0") for file in files)
    return [line for line in data.split(b"\n") if line.strip(b" \0")]


@pytest.mark.parametrize("count", [200_000])
def test_every_line_is_kept_once_while_the_child_writes_as_fast_as_it_can(
    folder: Path, method: str, count: int
) -> None:
    log = folder / "app.log"
    log.touch()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(count)])
    rotations = 0
    while writer.poll() is None:
        rotations += rotate(log, max_bytes=100_000, backups=BACKUPS)
    assert writer.returncode == 0
    assert rotations > 2
    expected = [b"line %d %s" % (n, b"x" * (n % 83)) for n in range(count)]
    assert all_lines(log) == expected


def test_a_log_at_the_limit_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"x" * 9999 + b"\n")
    assert not rotate(log, max_bytes=10_000, backups=1)
    assert log.stat().st_size == 10_000
    assert not rotate(tmp_path / "missing", max_bytes=1, backups=1)


def test_no_line_is_cut_in_two(folder: Path, method: str) -> None:
    log = folder / "app.log"
    log.write_bytes(b"".join(b"%07d\n" % n for n in range(1, 3001)) + b"unfinished")
    assert rotate(log, max_bytes=5000, backups=2)
    copy = Path(f"{log}.1").read_bytes()
    assert copy.endswith(b"\n")
    assert len(copy) % 8 == 0
    assert tail_lines(log, 1) == ["unfinished"]
    assert log.stat().st_blocks * 512 <= 16384


def test_a_line_without_an_end_is_cut_rather_than_kept_for_ever(folder: Path, method: str) -> None:
    log = folder / "app.log"
    log.write_bytes(b"y" * 300_000)
    assert rotate(log, max_bytes=5000, backups=1)
    parts = Path(f"{log}.1").read_bytes(), log.read_bytes().lstrip(b"\0")
    assert parts[0] + parts[1] == b"y" * 300_000
    assert log.stat().st_blocks * 512 <= 8192


def test_backups_beyond_the_limit_are_thrown_away(folder: Path, method: str) -> None:
    log = folder / "app.log"
    for generation in range(5):
        with log.open("ab") as file:
            file.write(b"generation %d\n" % generation * 1000)
        assert rotate(log, max_bytes=9000, backups=2)
    assert sorted(p.name for p in folder.iterdir()) == ["app.log", "app.log.1", "app.log.2"]
    assert b"generation 4" in Path(f"{log}.1").read_bytes()
    assert b"generation 3" in Path(f"{log}.2").read_bytes()


def test_without_backups_the_front_is_thrown_away(folder: Path, method: str) -> None:
    log = folder / "app.log"
    log.write_bytes(b"some line\n" * 5000)
    assert rotate(log, max_bytes=9000, backups=0)
    assert [p.name for p in folder.iterdir()] == ["app.log"]
    assert log.stat().st_blocks * 512 <= 8192


def test_the_copy_has_the_mode_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"some line\n" * 5000)
    log.chmod(0o620)
    assert rotate(log, max_bytes=9000, backups=1)
    assert Path(f"{log}.1").stat().st_mode & 0o777 == 0o620


def test_a_copy_left_by_a_killed_root_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    Path(f"{log}.rotating").write_bytes(b"only copy\n")
    log.write_bytes(b"some line\n" * 5000)
    assert rotate(log, max_bytes=9000, backups=3)
    assert Path(f"{log}.2").read_bytes() == b"only copy\n"
    assert not Path(f"{log}.rotating").exists()


def test_a_symlink_or_a_device_is_never_rotated(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    with pytest.raises(OSError):
        rotate(tmp_path / "null", max_bytes=0, backups=1)
    os.mkfifo(tmp_path / "pipe")
    assert not rotate(tmp_path / "pipe", max_bytes=0, backups=1)


def test_a_full_disk_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = tmp_path / "app.log"
    log.write_bytes(b"some line\n" * 5000)
    monkeypatch.setattr(os, "sendfile", no_room)
    with pytest.raises(OSError, match="No space"):
        rotate(log, max_bytes=9000, backups=1)
    assert log.read_bytes() == b"some line\n" * 5000
    assert [p.name for p in tmp_path.iterdir()] == ["app.log"]


def test_a_filesystem_that_can_do_neither_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"some line\n" * 5000)
    monkeypatch.setattr(rotation, "_fallocate", lambda *args: False)
    with pytest.raises(Unavailable, match="log_dir"):
        rotate(log, max_bytes=9000, backups=1)
    assert log.read_bytes() == b"some line\n" * 5000
    assert [p.name for p in tmp_path.iterdir()] == ["app.log"]


# --- the janitor ---------------------------------------------------------------------------------


def test_the_janitor_tells_of_each_trouble_once_and_never_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"some line\n" * 5000)
    told: list[tuple[str, str]] = []
    janitor = Janitor(max_bytes=9000, backups=1, on_error=lambda *what: told.append(what))
    janitor.watch([log, tmp_path / "missing"])
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_fallocate", lambda *args: False)
        janitor.sweep()
        janitor.sweep()
    assert len(told) == 1
    assert told[0][0] == str(log)
    janitor.sweep()
    assert Path(f"{log}.1").exists()


def test_the_janitor_rotates_in_its_own_thread_until_stopped(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"some line\n" * 5000)
    seen = threading.Event()
    janitor = Janitor(max_bytes=9000, backups=1, on_error=lambda *what: seen.set(), interval_s=0.01)
    (tmp_path / "big").write_bytes(b"some line\n" * 5000)
    link = tmp_path / "link"
    link.symlink_to("big")  # never rotated, but told of: so we know that it is at work
    janitor.watch([log, link])
    janitor.start()
    assert seen.wait(30)
    janitor.stop()
    janitor.join(30)
    assert not janitor.is_alive()
    assert Path(f"{log}.1").exists()  # paths are looked at in order
    assert not Path(f"{link}.1").exists()


# --- reading -------------------------------------------------------------------------------------


def test_the_tail_is_the_last_lines_oldest_first(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"one\ntwo\nthree\n")
    assert tail_lines(log, 2) == ["two", "three"]
    assert tail_lines(log, 0) == []
    assert tail_lines(log, 9) == ["one", "two", "three"]
    assert tail_lines(tmp_path / "missing", 3) == []


def test_the_tail_reads_no_more_than_it_may_and_shows_no_half_line(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"a" * 1000 + b"\nlast\n")
    assert tail_lines(log, 5, max_bytes=100) == ["last"]


def test_the_tail_goes_on_in_what_was_just_rotated_away(folder: Path, method: str) -> None:
    log = folder / "app.log"
    log.write_bytes(b"".join(b"%d\n" % n for n in range(5000)))
    assert rotate(log, max_bytes=9000, backups=1)
    assert tail_lines(log, 1500) == [str(n) for n in range(3500, 5000)]


def test_nothing_in_a_line_can_act_on_a_terminal() -> None:
    assert harmless(b"\x1b[31mred\x1b[0m \xff \x1b]0;title\x07\x07\tend\r") == "red � \\x07\tend"
    assert harmless("10%\r20%\r30%") == "30%"
    assert harmless("\x9b31m \u202eabc \x1b") == "\\x9b31m \\u202eabc \\x1b"
    assert "\x1b" not in harmless("\x1b]52;c;unterminated \x1bP \x1b\x1b[ ")


def test_a_follower_gives_each_new_line_once(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    follower = Follower(log)
    assert follower.read() == []
    with log.open("ab", buffering=0) as file:
        file.write(b"one\ntw")
        assert follower.read() == ["one"]
        file.write(b"o\n")
        assert follower.read() == ["two"]
    assert Follower(log).read() == []
    assert Follower(log, backlog=1).read() == ["two"]


def test_a_follower_keeps_its_place_through_rotations(folder: Path, method: str) -> None:
    log = folder / "app.log"
    log.touch()
    follower = Follower(log)
    seen: list[str] = []
    with log.open("ab", buffering=0) as file:
        for number in range(3000):
            file.write(b"number %d\n" % number)
            if number % 7 == 0:
                seen += follower.read()
            if number % 501 == 500:
                assert rotate(log, max_bytes=4000, backups=2)
    seen += follower.read()
    assert seen == [f"number {n}" for n in range(3000)]


def test_a_follower_goes_on_after_a_truncation_and_a_replacement(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"old\n" * 100)
    follower = Follower(log)
    log.write_bytes(b"new\n")
    assert follower.read() == ["new"]
    log.unlink()
    assert follower.read() == []
    log.write_bytes(b"another, longer than the one before\n")
    assert follower.read() == ["another, longer than the one before"]
