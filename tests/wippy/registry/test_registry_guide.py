"""The example of the guide, in a node, prints what it says; its commands do what they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_root import turns
from real_node import RealNode

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "registry.md"
TEXT = GUIDE.read_text()
PRINTED = re.compile(r"^ *# -> (.*)$", re.MULTILINE)


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def printed(node: Callable[..., RealNode], number: int) -> RealNode:
    """Return a node that has printed what an example says that it prints."""
    code = examples("python")[number]
    shop = node({"app.yaml": examples("yaml")[number], "workers.py": code})
    wanted = PRINTED.findall(code)
    lines: list[str] = []
    for _ in turns():
        lines = shop.log("app:boss").splitlines()
        if len(lines) >= len(wanted):
            break
    assert lines == wanted
    return shop


@pytest.mark.system
def test_watching_prints_what_the_guide_says(node: Callable[..., RealNode]) -> None:
    assert len(examples("python")) == len(examples("yaml")) == 2
    printed(node, 1)


@pytest.mark.system
def test_the_guide_prints_what_it_says_and_its_commands_work(
    node: Callable[..., RealNode],
) -> None:
    shop = printed(node, 0)
    for command, shown in commands():
        done = shop.cli(*command[1:])
        said = (done.stdout + done.stderr).splitlines()
        assert "Traceback" not in done.stderr
        assert len(said) == len(shown), (command, said)
        for line, wanted in zip(said, shown, strict=True):
            assert is_shown(line, wanted), (command, line, wanted)
    assert "port: 6432" in (shop.config / "app.yaml").read_text()


def commands() -> list[tuple[list[str], list[str]]]:
    """Return (words, lines that are shown) of each command of the guide, in order."""
    found = []
    for fence in examples("console"):
        for part in re.split(r"^\$ ", fence, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            found.append((shlex.split(command), shown))
    assert len(found) > 8
    return found


def is_shown(line: str, wanted: str) -> bool:
    """Say whether a line is what the guide shows; `…` ends what is shown of it."""
    start, skip, _ = wanted.partition("…")
    return line.split() == wanted.split() if not skip else line.startswith(start.rstrip())
