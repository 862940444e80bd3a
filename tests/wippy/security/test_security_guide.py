"""The example of the guide, in a node, prints what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_root import turns
from real_node import RealNode

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "policies.md"
TEXT = GUIDE.read_text()
PRINTED = re.compile(r"^ *# -> (.*)$", re.MULTILINE)


def only(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.system
def test_the_guide_of_policies_prints_what_it_says(node: Callable[..., RealNode]) -> None:
    shop = node({"app.yaml": only("yaml"), "agents.py": only("python")})
    wanted = PRINTED.findall(only("python"))
    assert len(wanted) >= 8
    lines: list[str] = []
    for _ in turns():
        lines = shop.log("app:agent").splitlines()
        if len(lines) >= len(wanted):
            break
    assert lines == wanted
