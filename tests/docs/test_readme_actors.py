"""The README's actors, copied into a fresh folder, do what is printed beside them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from fences import REPOSITORY
from real_node import RealNode

pytestmark = pytest.mark.system

SECTION = re.search(
    r"^## Actors\n(.*?)^## ", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL
)


def _block(language: str) -> str:
    assert SECTION is not None
    found = re.findall(rf"^```{language}\n(.*?)^```$", SECTION[1], re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_actors_of_the_readme_work_as_printed(node: Callable[..., RealNode]) -> None:
    code = _block("python")
    said = re.findall(r"^ *# -> (.*)$", code, re.MULTILINE)
    assert len(said) == 2
    app = node({"app.yaml": _block("yaml"), "workers.py": code})
    app.wait_view(lambda _view: app.log("app:main").count("\n") >= len(said))
    assert app.log("app:main").splitlines() == said
    assert app.row("app:main").generation == 1
