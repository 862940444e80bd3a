"""The live tree in a real terminal, against a root that speaks the real frames."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from pty_screen import DEADLINE_S, LAUNCHER, REPOSITORY, PtyScreen
from tui_nodes import shop, with_row
from tui_root import FakeRoot

from supervisor.core.requests import Kill, Restart, StopNode, Subscribe
from supervisor.tui.capabilities import is_utf8, wants_color
from supervisor.tui.log_tail import LogTail
from wippy.errors import Invalid

Show = Callable[..., PtyScreen]


@pytest.fixture
def root(short_dir: Path) -> Iterator[FakeRoot]:
    """A root that shows the shop."""
    made = FakeRoot(short_dir, shop())
    made.start()
    yield made
    made.close()


@pytest.fixture
def show(short_dir: Path) -> Iterator[Show]:
    """Start the live tree in a terminal; whatever it does, nothing of it is left."""
    screens: list[PtyScreen] = []

    def make(*options: str, **fields: object) -> PtyScreen:
        screens.append(PtyScreen(short_dir, *options, **fields))  # type: ignore[arg-type]
        return screens[-1]

    yield make
    for screen in screens:
        screen.close()


def test_the_tree_is_on_the_screen_and_q_gives_the_terminal_back(
    root: FakeRoot, show: Show
) -> None:
    screen = show()
    screen.wait_for("shop running", "├─ ● app:ingest", "back in 9ms", "? help")
    screen.type("q")
    assert screen.ended() == 0
    assert screen.is_given_back()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT], ids=str
)
def test_a_signal_gives_the_terminal_back(root: FakeRoot, show: Show, number: int) -> None:
    screen = show()
    screen.wait_for("app:redis")
    screen.process.send_signal(number)
    assert screen.ended() == (0 if number == signal.SIGINT else 128 + number)
    assert screen.is_given_back()


def test_a_bug_gives_the_terminal_back_and_shows_its_traceback(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_COLORS", "0")  # 3.13 colours tracebacks
    screen = show("broken=yes")
    assert screen.ended() == 1
    assert screen.is_given_back()
    assert "RuntimeError: a bug" in screen.raw.rpartition("\x1b[?1049l")[2]


def test_a_new_size_is_drawn_with_the_selection_kept(root: FakeRoot, show: Show) -> None:
    screen = show(width=120, height=36)
    screen.wait_for("LAST EXIT", "app:once")
    screen.type("G")
    screen.resize(60, 12)
    text = screen.wait(lambda text: "LAST EXIT" not in text and "app:once" in text, "a small tree")
    assert max(map(len, text.splitlines())) <= 60
    assert len(text.splitlines()) <= 12
    screen.resize(30, 6)
    screen.wait(lambda text: "app:broken failed" in text and "NAME" not in text, "what failed")
    screen.resize(120, 36)
    screen.wait_for("LAST EXIT", "app:once")


def test_what_is_killed_elsewhere_is_seen(root: FakeRoot, show: Show) -> None:
    screen = show()
    screen.wait_for("app:redis")
    root.show(with_row(shop(), "app:redis", os_pid=77777, generation=2))
    screen.wait_for("77777")


def test_a_signal_from_the_menu_reaches_the_root_and_its_answer_the_screen(
    root: FakeRoot, show: Show
) -> None:
    screen = show()
    screen.wait_for("app:redis")
    screen.type("/redis\rjK")
    screen.wait_for("signal to app:redis (pid")
    screen.type("4\r")
    assert root.wait_for(Kill) == Kill("app:redis", 9)
    screen.wait_for("signal 9 sent", "killed by SIGKILL")


def test_why_is_shown_in_the_pane(root: FakeRoot, show: Show) -> None:
    screen = show(height=40)
    screen.wait_for("app:db_proxy")
    screen.type("/db_proxy\rjj")
    screen.type("w")
    screen.wait_for("why of app:db_proxy", "Nothing is due", "What happened")


def test_a_log_is_followed(root: FakeRoot, show: Show, short_dir: Path) -> None:
    log = short_dir / "redis.log"
    log.write_text("first line\n")
    root.show(with_row(shop(), "app:redis", log_path=str(log)))
    screen = show()
    screen.wait_for("app:redis")
    screen.type("/redis\rjl")
    screen.wait_for("first line", "following")
    with log.open("a") as file:
        file.write("second \x1b[2Jline\n")
    screen.wait_for("first line", "second line")


def test_a_root_that_is_silent_is_shown_as_stale_until_it_speaks_again(
    root: FakeRoot, show: Show
) -> None:
    screen = show()
    screen.wait_for("app:redis")
    root.is_silent.set()
    screen.wait_for(" stale ", "does not answer")
    root.is_silent.clear()
    screen.wait(lambda text: "stale" not in text and "shop running" in text, "a fresh picture")


def test_a_new_root_on_the_same_path_is_found_without_a_word(
    root: FakeRoot, show: Show, short_dir: Path
) -> None:
    screen = show()
    screen.wait_for("root 1234")
    root.close()
    view = msgspec.structs.replace(shop(), root_pid=5678, root_starts=2)
    second = FakeRoot(short_dir, view)
    second.start()
    try:
        screen.wait_for("root 5678, root no. 2")
    finally:
        second.close()


def test_a_node_that_went_away_for_good_ends_the_viewer_with_a_word(
    root: FakeRoot, show: Show
) -> None:
    screen = show()
    screen.wait_for("app:redis")
    root.close()
    assert screen.ended() == 4
    assert screen.is_given_back()
    assert "node shop is gone" in screen.raw


def test_a_node_that_was_stopped_elsewhere_ends_the_viewer_with_success(
    root: FakeRoot, show: Show
) -> None:
    screen = show()
    screen.wait_for("app:redis")
    root.show(msgspec.structs.replace(shop(), state="stopping"))
    screen.wait_for("shop stopping")
    root.close()
    assert screen.ended() == 0
    assert "node shop has stopped" in screen.raw


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(root: FakeRoot, show: Show) -> None:
    screen = show()
    screen.wait_for("app:redis")
    screen.type("\x1a")
    pid, status = os.waitpid(screen.process.pid, os.WUNTRACED)
    assert (pid, os.WIFSTOPPED(status)) == (screen.process.pid, True)
    screen.wait(lambda text: screen.is_given_back(), "given back")
    screen.process.send_signal(signal.SIGCONT)
    screen.wait(lambda text: not screen.is_given_back() and "app:redis" in text, "taken again")
    screen.type("q")
    assert screen.ended() == 0
    assert screen.is_given_back()


def test_read_only_sends_nothing(root: FakeRoot, show: Show) -> None:
    screen = show("read_only=yes")
    screen.wait_for("app:redis", "read only")
    screen.type("/redis\rjr")
    screen.wait_for("commands are switched off")
    screen.type("q")
    assert screen.ended() == 0
    assert not any(isinstance(verb, Restart) for verb in root.heard)


def test_a_foreground_start_asks_and_stops_everything_and_ends_with_the_nodes_code(
    root: FakeRoot, show: Show, short_dir: Path
) -> None:
    screen = show("owns=yes")
    screen.wait_for("app:redis")
    screen.type("\x03")
    screen.wait_for("stop everything")
    screen.type("s")
    root.wait_for(StopNode)
    screen.wait_for("shop stopping", "app:redis")
    (short_dir / "exit").write_text("69")
    assert screen.ended() == 69
    assert screen.is_given_back()
    after = screen.raw.rpartition("\x1b[?1049l")[2]
    assert "app:broken: more than 4 restarts" in after
    assert "exit code 69" in after


def test_a_guardian_that_was_killed_is_said_to_have_been(
    root: FakeRoot, show: Show, short_dir: Path
) -> None:
    screen = show("owns=yes")
    screen.wait_for("app:redis")
    (short_dir / "exit").write_text("-9")
    screen.ended()
    assert "node shop was killed by SIGKILL" in screen.raw


def test_detaching_leaves_the_node_alone_and_says_how_to_look_again(
    root: FakeRoot, show: Show, short_dir: Path
) -> None:
    screen = show("owns=yes")
    screen.wait_for("app:redis")
    screen.type("qd")
    assert screen.ended() == 0
    assert (
        f"detached; the node runs on. Look again: wippy-supervisor top --run-dir {short_dir}"
        in (screen.raw.rpartition("\x1b[?1049l")[2])
    )
    assert not any(isinstance(verb, StopNode) for verb in root.heard)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_to_a_foreground_start_stops_everything_in_order(
    root: FakeRoot, show: Show, short_dir: Path, number: int
) -> None:
    screen = show("owns=yes")
    screen.wait_for("app:redis")
    screen.process.send_signal(number)
    root.wait_for(StopNode)
    (short_dir / "exit").write_text("0")
    assert screen.ended() == 0
    assert screen.is_given_back()


def test_a_closed_terminal_stops_a_foreground_node_in_order(
    root: FakeRoot, show: Show, short_dir: Path
) -> None:
    screen = show("owns=yes")
    screen.wait_for("app:redis")
    screen.hang_up()
    root.wait_for(StopNode)
    (short_dir / "exit").write_text("0")
    assert screen.process.wait(DEADLINE_S) == 0


def test_a_closed_terminal_ends_a_viewer_and_leaves_the_node_alone(
    root: FakeRoot, show: Show
) -> None:
    screen = show()
    screen.wait_for("app:redis")
    screen.hang_up()
    assert screen.process.wait(DEADLINE_S) == 128 + signal.SIGHUP
    assert not any(isinstance(verb, StopNode) for verb in root.heard)


def test_a_foreground_start_waits_for_its_node_and_a_stop_before_it_is_there_is_kept(
    show: Show, short_dir: Path
) -> None:
    screen = show("owns=yes")
    screen.wait_for("waiting for the node")
    screen.process.send_signal(signal.SIGTERM)
    late = FakeRoot(short_dir, shop())
    late.start()
    try:
        late.wait_for(StopNode)
    finally:
        late.close()


def test_a_foreground_start_whose_node_fails_ends_with_its_code(
    show: Show, short_dir: Path
) -> None:
    screen = show("owns=yes")
    screen.wait_for("waiting for the node")
    (short_dir / "exit").write_text("78")
    assert screen.ended() == 78
    assert screen.is_given_back()


def test_subscriptions_are_renewed_while_nothing_happens(root: FakeRoot, show: Show) -> None:
    screen = show()
    screen.wait_for("app:redis")
    seen = sum(isinstance(verb, Subscribe) for verb in root.heard)
    assert root.wait_until(
        lambda: sum(isinstance(verb, Subscribe) for verb in root.heard) >= seen + 2
    )


@pytest.mark.parametrize(
    ("environ", "is_coloured", "is_ascii"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"LC_ALL": "C"}, True, True),
    ],
)
def test_the_environment_decides_colours_and_glyphs(
    root: FakeRoot, show: Show, environ: dict[str, str], is_coloured: bool, is_ascii: bool
) -> None:
    screen = show(**environ)
    screen.wait_for("app:redis", "? help")
    assert ("\x1b[32m" in screen.raw) is is_coloured
    assert screen.raw.isascii() is is_ascii


def test_once_prints_one_picture_into_a_pipe(root: FakeRoot, short_dir: Path) -> None:
    code = LAUNCHER.replace("owns_node=owns", "owns_node=False, once=True")
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(short_dir)],
        capture_output=True, text=True, timeout=DEADLINE_S, cwd=REPOSITORY, env=environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert "shop running" in lines[0]
    assert any("app:once" in line for line in lines)
    assert "\x1b" not in done.stdout


def test_without_a_terminal_the_live_tree_says_what_to_use(root: FakeRoot, short_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, str(short_dir)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S,
        cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode != 0
    assert "needs a terminal; see wippy-supervisor top --once" in done.stderr


@pytest.mark.parametrize(
    ("color", "environ", "is_terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colour_is_decided_by_flag_then_environment_then_terminal(
    color: str, environ: dict[str, str], is_terminal: bool, wanted: bool
) -> None:
    assert wants_color(color, environ, is_terminal=is_terminal) is wanted


def test_a_wrong_word_for_colour_is_refused() -> None:
    with pytest.raises(Invalid, match="auto, always or never"):
        wants_color("sometimes", {}, is_terminal=True)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, False),
        ({"LC_CTYPE": "en_US.utf8", "LANG": "C"}, True),
        ({}, False),
    ],
)
def test_the_locale_decides_whether_there_are_glyphs(environ: dict[str, str], wanted: bool) -> None:
    assert is_utf8(environ, "utf-8") is wanted
    assert not is_utf8(environ, "ascii")


def test_the_tail_of_a_log_is_read_when_it_changed_and_only_then(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    tail = LogTail()
    assert tail.read(str(log)) == ((), f"cannot read {log}: No such file or directory")
    assert tail.read(str(log)) is None
    log.write_text("one\ntwo")
    assert tail.read(str(log)) == (("one", "two"), "")
    assert tail.read(str(log)) is None
    log.rename(tmp_path / "a.log.1")
    log.write_text("three\n")
    assert tail.read(str(log)) == (("three",), "")


def test_of_a_huge_log_only_the_end_is_read_and_no_broken_line(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(100_000)))
    found = LogTail().read(str(log))
    assert found is not None
    lines, _ = found
    assert lines[-1] == "line 99999 \ufffd"
    assert all(line.startswith("line ") for line in lines)
    assert len(lines) < 20_000
