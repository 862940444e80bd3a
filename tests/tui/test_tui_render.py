"""The whole picture: sizes, widths, colours, a thousand rows."""

from __future__ import annotations

import re

import msgspec
import pytest
from rich.cells import cell_len
from tui_nodes import big, pool, row, shop, with_row

from supervisor.core.facts import Fact, FactKind
from supervisor.core.requests import WhyView
from supervisor.core.view import GLYPHS, NodeView, State
from supervisor.tui import model, render
from supervisor.tui.layout import MIN_HEIGHT, MIN_WIDTH
from supervisor.tui.look import Look
from supervisor.tui.press import press
from supervisor.tui.render import frame, frame_lines, once, tree_lines
from supervisor.tui.state import STALE_S, Model, change

NOW_S = 100.0
LOOK = Look(now_s=NOW_S)
SIZES = [
    (1, 1), (2, 3), (5, 24), (30, 2), (30, 24), (39, 8), (40, 7), (40, 8), (41, 13), (60, 14),
    (79, 24), (80, 24), (81, 9), (120, 36), (160, 50), (250, 12), (250, 60),
]  # fmt: skip
CODES = re.compile(r"\x1b\[[0-9;]*m")


def wide() -> NodeView:
    """A node whose every text holds wide, combining and control characters."""
    nasty = "日本語e\u0301🙂\x1b[2J\n\ttext " * 5
    fact = Fact(seq=1, at_s=1.0, kind=FactKind.ALARM, id="ünï:cödé日", text=nasty)
    return msgspec.structs.replace(
        shop(),
        node="ショップ",
        source=nasty,
        alarms=(nasty,),
        facts=(fact,),
        rows=(*shop().rows, row("ünï:" + "日" * 40, detail=nasty)),
    )


def looking(view: NodeView, size: tuple[int, int] = (120, 40), keys: str = "") -> Model:
    shown = model.view_came(model.resized(Model(), *size), view, NOW_S)
    for key in keys:
        shown, _ = press(shown, {"\r": "enter", "\t": "tab"}.get(key, key), NOW_S)
    return shown


def text(shown: Model, look: Look = LOOK) -> list[str]:
    return ["".join(part.text for part in line) for line in frame_lines(shown, look)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("keys", ["", "l", "w", "\r", "?", "jjK", "/x", "\t", "t", "p", "x"])
@pytest.mark.parametrize("make", [shop, wide, big])
def test_every_picture_has_exactly_the_terminals_size(
    size: tuple[int, int], keys: str, make: object
) -> None:
    shown = looking(make(), size, keys)  # type: ignore[operator]
    shown = msgspec.structs.replace(
        shown, why=WhyView(view=shop(), facts=shop().facts), log_lines=("日本" * 200, "x\x1b[31m")
    )
    for look in (LOOK, msgspec.structs.replace(LOOK, is_ascii=True, has_color=False)):
        lines = [CODES.sub("", line) for line in frame(shown, look)]
        assert len(lines) == size[1]
        assert {cell_len(line) for line in lines} == {size[0]}


def test_ascii_pictures_are_ascii_and_tell_every_state() -> None:
    lines = frame(looking(wide()), msgspec.structs.replace(LOOK, is_ascii=True))
    assert all(line.isascii() for line in lines)


def test_without_colour_there_is_no_colour_code_and_the_cursor_is_still_seen() -> None:
    codes = set(CODES.findall("".join(frame(looking(shop()), Look(has_color=False)))))
    assert not [code for code in codes if re.search(r"[3490]\d|10\d", code)]
    assert "\x1b[7m" in codes or any("7m" in code for code in codes)


def test_only_the_sixteen_colours_of_the_terminal_are_used() -> None:
    for keys in ("", "l", "w", "\r", "?", "K"):
        for line in frame(looking(shop(), keys=keys), LOOK):
            assert "38;" not in line
            assert "48;" not in line


@pytest.mark.parametrize("state", State)
def test_every_state_is_told_by_glyph_and_word(state: State) -> None:
    view = with_row(shop(), "app:redis", state=state)
    line = next(line for line in text(looking(view))[3:] if "app:redis" in line)
    assert f"{GLYPHS[state]} app:redis" in line
    assert str(state) in line


def test_a_thousand_rows_cost_no_more_than_the_rows_on_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[str] = []
    real = render.row_line

    def counted(item, *args, **kwargs):  # type: ignore[no-untyped-def]
        drawn.append(item.row.id)
        return real(item, *args, **kwargs)

    monkeypatch.setattr(render, "row_line", counted)
    shown = looking(big(1000), (160, 50))
    frame(shown, LOOK)
    assert len(drawn) == shown.layout.tree <= 50


def test_below_forty_by_eight_there_is_only_what_has_failed() -> None:
    for size in ((MIN_WIDTH - 1, 24), (80, MIN_HEIGHT - 1)):
        lines = "\n".join(text(looking(shop(), size)))
        assert "shop" in lines
        assert "app:broken failed" in lines
        assert "app:redis" not in lines


def test_a_silent_root_is_said_to_be_stale_never_shown_as_if_all_were_well() -> None:
    shown = looking(shop(), (80, 24))
    assert not any("stale" in line for line in text(shown))
    lines = text(shown, Look(now_s=NOW_S + STALE_S + 2))
    assert "stale 4 s" in lines[0]
    assert "does not answer" in lines[2]
    small = text(looking(shop(), (30, 6)), Look(now_s=NOW_S + 4.0))
    assert "stale 4 s" in small[0]


def test_alarms_and_failures_are_on_the_red_line() -> None:
    view = msgspec.structs.replace(shop(), alarms=("disk full",))
    line = text(looking(view))[2]
    assert "disk full" in line
    assert "failed: app:broken (exit 3)" in line
    assert "crash loop: app:moody" in line


def test_without_trouble_the_third_line_tells_where_all_comes_from() -> None:
    view = msgspec.structs.replace(shop(), rows=shop().rows[:4])
    assert text(looking(view))[2].startswith(" configs/  registry v1")


def test_the_counts_are_of_processes_and_the_figures_of_the_whole_tree() -> None:
    line = text(looking(shop(), (200, 40)))[1]
    for part in ("✘ 1 failed", "↻ 3 backoff", "● 7 up", "restarts 19 (6 last minute)", "spares 2"):
        assert part in line


def test_a_folded_pool_is_one_line() -> None:
    view = NodeView(node="n", rows=(shop().rows[0], *pool("app:web", 200)))
    lines = text(looking(view))
    assert any("▸ app:web ×200: 198 up, 2 backoff" in line for line in lines)


def test_something_that_changed_within_a_folded_pool_flashes_on_its_line() -> None:
    view = NodeView(node="n", rows=(shop().rows[0], *pool("app:web", 200)))
    shown = model.view_came(looking(view), with_row(view, "app:web#77", os_pid=5), NOW_S)
    line = next(line for line in frame_lines(shown, LOOK) if "app:web" in line[4].text)
    assert any(part.style and part.style.reverse for part in line)


def test_a_changed_cell_stands_out_and_no_longer_after_two_seconds() -> None:
    shown = model.view_came(looking(shop()), with_row(shop(), "app:redis", os_pid=99999), NOW_S)

    def loud(now_s: float) -> list[str]:
        lines = frame_lines(shown, Look(now_s=now_s))
        line = next(line for line in lines if any("app:redis" in part.text for part in line))
        return [part.text.strip() for part in line if part.style and part.style.reverse]

    assert loud(NOW_S + 1.9) == ["99999"]
    assert loud(NOW_S + 2.1) == []


def test_the_message_line_gives_way_to_the_keys_after_a_while() -> None:
    shown = model.say(looking(shop()), "done that", NOW_S)
    assert "done that" in text(shown)[-1]
    assert "help" in text(shown, Look(now_s=NOW_S + 60))[-1]


def test_the_question_before_quitting_names_the_three_answers() -> None:
    shown, _ = press(change(looking(shop()), owns_node=True), "q", NOW_S)
    assert all(word in text(shown)[-1] for word in ("stop everything", "detach", "cancel"))


def test_before_the_first_view_the_screen_says_what_it_waits_for() -> None:
    shown = model.resized(Model(run_dir="/run/x"), 80, 24)
    assert "waiting for the node at /run/x" in text(shown)[0]


def test_nothing_new_means_the_same_lines() -> None:
    shown = looking(shop())
    assert frame(shown, LOOK) == frame(shown, LOOK)


@pytest.mark.parametrize("width", range(30, 251, 10))
def test_the_static_tree_fits_any_width(width: int) -> None:
    for view in (shop(), wide()):
        lines = tree_lines(view, width=width)
        assert len(lines) == len(view.rows) + 1
        assert max(map(cell_len, lines)) <= width
    assert all(line.isascii() for line in tree_lines(wide(), width=width, ascii_only=True))


def test_once_shows_all_rows_however_many() -> None:
    lines = once(looking(big(300)), LOOK)
    assert sum("app:child_" in line or "app:group_" in line for line in lines) >= 299
