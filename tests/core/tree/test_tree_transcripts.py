"""Transcripts of the tree: a configuration, events, `----`, all actions and facts.

`WIPPY_REWRITE=1` writes what happens now into the transcripts; read the diff before keeping it.
Each file begins with comments that say what it shows, then the tree, then blocks of events.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tree_language import Stage, tree_of

FOLDER = Path(__file__).parents[2] / "transcripts" / "tree"
ANSWER = "----"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_the_tree_does_what_the_transcript_says(name: str) -> None:
    path = FOLDER / f"{name}.txt"
    wanted = path.read_text("utf-8")
    head, *blocks = wanted.rstrip("\n").split("\n\n")
    config = [line for line in head.split("\n") if not line.startswith("#")]
    stage = tree_of("\n".join(config))
    shown = "\n\n".join([head, *(_played(stage, block) for block in blocks)]) + "\n"
    if os.environ.get("WIPPY_REWRITE"):
        path.write_text(shown, "utf-8")
    assert shown == wanted


def _played(stage: Stage, block: str) -> str:
    """Return a block with what its events lead to."""
    events = block.split(f"\n{ANSWER}")[0].split("\n")
    told = []
    for event in events:
        happened = [] if event.startswith("#") else stage.play(event)
        is_told_apart = sum(not line.startswith("#") for line in events) > 1
        told += [f"> {event}", *happened] if is_told_apart and happened else happened
    return "\n".join([*events, ANSWER, *told])
