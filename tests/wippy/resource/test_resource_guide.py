"""The example of the guide, in a node, prints what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_root import turns
from real_node import RealNode

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "resources.md"
TEXT = GUIDE.read_text()


def first(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def said(mark: str) -> list[str]:
    return re.findall(rf"^ *# {mark} (.*)$", first("python"), re.MULTILINE)


def wait_lines(node: RealNode, child: str, wanted: list[str]) -> None:
    lines: list[str] = []
    for _ in turns():
        lines = node.log(child).splitlines()
        if len(lines) >= len(wanted):
            break
    assert lines == wanted


@pytest.mark.system
def test_the_guide_prints_what_it_says(node: Callable[..., RealNode]) -> None:
    shop = node({"app.yaml": first("yaml"), "workers.py": first("python")})
    wait_lines(shop, "app:boss", said("->"))
    assert shop.cli("start", "app:clerk").returncode == 0
    wait_lines(shop, "app:clerk", said("=>"))
