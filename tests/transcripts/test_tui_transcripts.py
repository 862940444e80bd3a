"""Pictures of the live tree: size and keys, `----`, what is on the screen.

`WIPPY_REWRITE=1` writes what is shown now into the transcript; read the diff before keeping it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tui"))

from tui_nodes import facts, shop  # noqa: E402

from supervisor.core.requests import WhyAnswer, WhyView  # noqa: E402
from supervisor.tui import model  # noqa: E402
from supervisor.tui.lines import to_ansi  # noqa: E402
from supervisor.tui.look import Look  # noqa: E402
from supervisor.tui.press import press  # noqa: E402
from supervisor.tui.render import frame_lines  # noqa: E402
from supervisor.tui.state import Model, change  # noqa: E402

NOW_S = 100.0


@pytest.mark.parametrize("name", ["tui_frames.txt"])
def test_the_picture_is_what_the_transcript_says(name: str) -> None:
    path = HERE / name
    preface, *cases = path.read_text("utf-8").split("\n=== ")
    shown = "\n=== ".join([preface, *(_replayed(case) for case in cases)])
    if os.environ.get("WIPPY_REWRITE"):
        path.write_text(shown, "utf-8")
    assert shown == path.read_text("utf-8")


def _replayed(case: str) -> str:
    """Return a case (`WIDTHxHEIGHT [ascii] [start] [at ID] KEY...`) with what it shows."""
    head = case.partition("\n")[0]
    size, *words = head.split()
    width, height = map(int, size.split("x"))
    picture = Model(run_dir="/run/shop", owns_node="start" in words)
    picture = model.view_came(model.resized(picture, width, height), shop(), NOW_S)
    if "at" in words:
        picture = change(picture, selected=words[words.index("at") + 1])
        del words[words.index("at") : words.index("at") + 2]
    for key in words:
        if key not in {"ascii", "start"}:
            picture, _ = press(picture, key, NOW_S)
    picture = model.answered(picture, 1, WhyAnswer(_why()), NOW_S)
    lines = frame_lines(picture, Look(now_s=NOW_S + 1))
    texts = [to_ansi(it, color=False, ascii_only="ascii" in words, plain=True) for it in lines]
    return "\n".join([head, "----", *(text.rstrip() for text in texts), ""])


def _why() -> WhyView:
    rows = {row.id: row for row in shop().rows}
    chain = ("wippy:root", "app:ingest", "app:db_proxy")
    return WhyView(
        view=msgspec.structs.replace(shop(), rows=tuple(rows[id] for id in chain)),
        facts=tuple(fact for fact in facts() if fact.id == "app:db_proxy"),
        next="Nothing is due.",
        output=("listening on 127.0.0.1:5432",),
        if_dies="app:worker and app:reporter are stopped, and all three are started in order.",
    )
