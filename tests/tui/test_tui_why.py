"""`why` as text."""

from __future__ import annotations

import msgspec
import pytest
from tui_nodes import AT_S, facts, row, supervisor

from supervisor.core.facts import Fact, FactKind
from supervisor.core.requests import WhyView
from supervisor.core.view import NodeView, State
from supervisor.tui.why_text import MAX_FACTS, render_why
from wippy.core.reasons import Error, Exit, ExitReason, GaveUp, Hung, Signal, StartFailed

TOP = supervisor("wippy:root", "", 0)
INGEST = supervisor("app:ingest", strategy="rest_for_one", window_used=2, window_max=3)


def why(reason: ExitReason | None = None, **fields: object) -> WhyView:
    child = row("app:db_proxy", "app:ingest", 2, last_exit=reason, restarts=2, **fields)
    view = NodeView(node="shop", rows=(TOP, INGEST, child))
    return WhyView(
        view=view,
        facts=tuple(fact for fact in facts() if fact.id == child.id),
        next="Nothing is due.\nIt dies, it is restarted at once.",
        output=("connecting", "\x1b[31mlost\x1b[0m"),
        if_dies="app:worker and app:reporter are stopped and started too.",
    )


def test_one_screen_tells_present_future_and_past() -> None:
    text = "\n".join(render_why(why(Signal(9)), 80))
    for part in (
        "app:db_proxy", "● up", "below app:ingest (rest_for_one 2/3 in 10s)",
        "next        Nothing is due.", "if it dies  app:worker", "What happened",
        "killed by SIGKILL after 3.2s", "with app:worker, app:reporter (2 of 3 restarts",
        "back in 9ms", "Last output", "  lost",
    ):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("width", [24, 30, 47, 80, 200])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_asked_for(width: int, ascii_only: bool) -> None:
    reason = Error("builtins.ValueError", "x" * 90, "Traceback\n" + "  File " + "y" * 300)
    lines = render_why(why(reason), width, ascii_only=ascii_only)
    assert max(map(len, lines)) <= width
    assert not ascii_only or all(line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("reason", "evidence"),
    [
        (Error("ValueError", "no", "Traceback (most recent call last):\n  boom"), "  boom"),
        (StartFailed(cause=Error("E", "m", "Traceback:\n  inner")), "  inner"),
        (StartFailed(cause=Exit(1), output=("cannot bind",)), "cannot bind"),
        (Hung(30.0, "Thread 1:\n  in select"), "in select"),
        (GaveUp("app:ingest", "app:db", 3, 5.0, (Exit(7),)), "exited with status 7"),
    ],
)
def test_what_the_last_exit_left_behind_is_shown(reason: ExitReason, evidence: str) -> None:
    assert evidence in "\n".join(render_why(why(reason), 100))


def test_a_long_past_is_cut_and_says_so() -> None:
    many = tuple(
        Fact(seq=n, at_s=AT_S + n, kind=FactKind.STARTING, id="app:db_proxy", text=f"life {n}")
        for n in range(1, MAX_FACTS + 11)
    )
    text = "\n".join(render_why(msgspec.structs.replace(why(), facts=many), 80))
    assert "(10 earlier facts)" in text
    assert "life 10\n" not in text
    assert "life 11\n" in text


def test_times_are_the_readers() -> None:
    utc = render_why(why(), 80)
    later = render_why(why(), 80, utc_offset_s=3600.0)
    assert "08:53:15" in "\n".join(utc)
    assert "09:53:15" in "\n".join(later)


def test_colour_is_only_there_when_asked_for() -> None:
    assert "\x1b" not in "".join(render_why(why(Signal(9)), 80))
    assert "\x1b[33m" in "".join(render_why(why(Signal(9)), 80, color=True))


def test_what_is_wrong_with_it_now_is_said() -> None:
    told = why(
        state=State.STOPPING, caused_by="app:x", is_crash_loop=True, is_frozen=True,
        detail="stopped by SIGSTOP",
    )  # fmt: skip
    text = "\n".join(render_why(told, 80))
    for part in ("because of app:x", "crash loop", "SIGCONT thaws it"):
        assert part in text
    assert text.count("stopped by SIGSTOP") == 1


def test_nothing_known_is_no_error() -> None:
    assert render_why(WhyView(view=NodeView(node="shop")), 80) == []


def test_dead_letters_are_told_with_their_reasons_the_most_first() -> None:
    text = "\n".join(render_why(why(dead_letters={"no such actor": 1, "late reply": 3}), 80))
    assert "dead letters: 3 late reply, 1 no such actor" in text
