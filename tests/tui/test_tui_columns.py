"""Which columns survive, and what they say."""

from __future__ import annotations

import msgspec
import pytest
from tui_nodes import row, supervisor

from supervisor.core.view import RowKind, State
from supervisor.tui.columns import COLUMNS, GAP, MIN_NAME_WIDTH, choose, glyph, uptime
from wippy.core.reasons import Exit, MemoryLimit, Normal

CELL = {column.name: column.cell for column in COLUMNS}


@pytest.mark.parametrize("name_width", [5, 20, 40, 128])
def test_columns_fall_away_from_the_right_and_nothing_is_wider_than_the_window(
    name_width: int,
) -> None:
    shown = 0
    for width in range(30, 251):
        grid = choose(width, name_width)
        assert grid.columns == COLUMNS[: len(grid.columns)]
        assert grid.name_width >= MIN_NAME_WIDTH
        assert grid.name_width + sum(each + GAP for each in grid.widths) <= width
        assert len(grid.columns) >= shown or width == 80, "a wider window shows no fewer"
        shown = len(grid.columns)
    assert shown == len(COLUMNS)


def test_eighty_columns_show_state_pid_generation_uptime_and_restarts() -> None:
    names = [column.name for column in choose(80, 26).columns]
    assert names[:5] == ["state", "pid", "gen", "uptime", "restarts"]


def test_a_frozen_process_is_told_by_word_and_glyph() -> None:
    frozen = row("app:x", is_frozen=True)
    assert CELL["state"](frozen, 0.0)[0] == "frozen"
    assert glyph(frozen) == "‖"


def test_a_row_going_down_because_of_another_is_marked_and_says_of_which() -> None:
    going = row("app:x", state=State.STOPPING, caused_by="app:db")
    assert CELL["state"](going, 0.0)[0] == "stopping ↳"
    assert CELL["detail"](going, 0.0)[0] == "because of app:db"


def test_a_crash_loop_is_marked() -> None:
    loop = row("app:x", is_crash_loop=True)
    assert CELL["state"](loop, 0.0)[0] == "up ⚠"
    assert "crash loop" in CELL["detail"](loop, 0.0)[0]


def test_restarts_show_those_of_the_last_minute_beside_the_total() -> None:
    assert CELL["restarts"](row("a", restarts=12, restarts_last_minute=3), 0.0)[0] == "12 (3)"
    assert CELL["restarts"](row("a", restarts=12), 0.0)[0] == "12"
    assert CELL["restarts"](row("a"), 0.0)[0] == ""


@pytest.mark.parametrize(
    ("reason", "word"), [(Exit(3), "exit 3"), (MemoryLimit(2, 1), "oom"), (Normal(), "normal")]
)
def test_the_last_exit_is_a_word_or_two(reason: object, word: str) -> None:
    assert CELL["exit"](row("a", last_exit=reason), 0.0)[0] == word


def test_uptime_goes_on_and_the_next_try_comes_nearer_between_two_views() -> None:
    assert CELL["uptime"](row("a", uptime_s=5.0), 2.0)[0] == "7s"
    waiting = row("a", state=State.BACKOFF, next_try_s=3.0)
    assert CELL["next"](waiting, 2.0)[0] == "1.0s"
    assert CELL["next"](waiting, 9.0)[0] == "0ms"


def test_an_actor_of_a_pool_does_not_show_its_workers_figures_as_its_own() -> None:
    actor = row("a", kind=RowKind.POOL_ACTOR)
    assert [CELL[name](actor, 0.0)[0] for name in ("pid", "cpu", "memory")] == ["", "", ""]


def test_a_supervisor_shows_strategy_and_window() -> None:
    top = supervisor("a", strategy="rest_for_one", window_used=2, window_max=3)
    assert CELL["detail"](top, 0.0)[0] == "rest_for_one 2/3 in 10s"


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_every_column_has_something_to_say_about_a_row_without_figures(column: object) -> None:
    bare = msgspec.structs.replace(
        row("a"), cpu_percent=None, memory_bytes=None, heartbeat_age_s=None, os_pid=0, uptime_s=0.0
    )
    for state in State:
        text, _ = column.cell(msgspec.structs.replace(bare, state=state), 0.0)  # type: ignore[attr-defined]
        assert text == text.strip()


def test_uptimes_tick_in_whole_seconds() -> None:
    assert [uptime(s) for s in (0.2, 4.9, 59.9, 61.0)] == ["0s", "4s", "59s", "1m01s"]
