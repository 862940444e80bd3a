"""The example of the guide, in a node, prints what it says; its commands do what they say."""

from __future__ import annotations

import json
import re
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

    def cli(*words: str) -> str:
        done = shop.cli("registry", *words)
        assert (done.returncode, done.stderr) == (0, "") or words[0] in {"set", "rollback"}
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert cli("list").split()[:5] == ["ID", "KIND", "META", "app:boss", "process.service"]
    assert cli("find", "app:*", "--meta", "type=db.sql").splitlines()[1].startswith("app:postgres")
    assert "version 4: 1 entry changed" in cli("set", "app:postgres", "port=5433", "a.b=[1]")
    entry = json.loads(cli("get", "app:postgres", "--json"))["entry"]
    assert entry["data"] == {"host": "db1", "port": 5433, "a": {"b": [1]}}
    assert cli("get", "app:postgres").splitlines()[0] == "id: app:postgres"
    assert cli("diff").splitlines() == [
        "~ app:postgres updated",
        "    data.port: 5432 -> 5433",
        "    data.a.b[0]: (nothing) -> 1",
    ]
    assert cli("diff", "4") == ""
    assert "version 5: 1 entry changed" in cli("rollback", "1")
    assert cli("diff") == ""
    history = cli("history", "-n", "2").splitlines()
    assert history[1].startswith("      5  ")
    assert history[1].endswith("version 1 restored")
    refused = shop.cli("registry", "get", "app:nobody")
    assert refused.returncode == 4
    assert "there is no entry app:nobody" in refused.stderr
    assert shop.cli("registry", "set", "app:boss", "process=nobody").returncode == 1
