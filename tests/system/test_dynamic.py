"""Dynamic supervisors: children made at run time from one template, stopped all at once."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import entry, files, journal, service

from supervisor.core.view import State

pytestmark = pytest.mark.system

ARGUMENTS = """
import asyncio
from wippy import process

async def main(*args):
    print("arguments", *args, flush=True)
    await asyncio.Event().wait()
"""


def dynamic(template: str, count: int, lifecycle: str = "{}", **fields: object) -> dict[str, str]:
    top = entry("d", kind="supervisor", strategy="dynamic", template="a", count=count, **fields)
    return files([top, service("a", template, lifecycle=lifecycle)])


def test_children_are_spawned_numbered_restarted_and_removed(
    node: Callable[..., RealNode],
) -> None:
    shop = node(dynamic("worker", 2))
    done = shop.cli("spawn", "t:d", "--json")
    assert (done.returncode, json.loads(done.stdout)["id"]) == (0, "t:d#3")
    ids = [row.id for row in shop.view().rows if row.parent == "t:d"]
    assert ids == ["t:d#1", "t:d#2", "t:d#3"]
    os.kill(shop.pid("t:d#3"), signal.SIGKILL)
    shop.wait_row("t:d#3", lambda row: row.generation == 2 and row.state is State.UP)
    assert (shop.row("t:d#1").generation, shop.row("t:d#2").generation) == (1, 1)
    assert shop.cli("stop", "t:d#3", "--yes").returncode == 0
    assert shop.cli("spawn", "t:d").stdout.strip() == "t:d#4"  # a number is used once
    assert shop.cli("spawn", "t:a").returncode in (1, 4)
    assert shop.cli("spawn", "t:x").returncode == 4


def test_a_temporary_dynamic_child_is_gone_when_it_ends(node: Callable[..., RealNode]) -> None:
    shop = node(dynamic("worker", 1, "{restart: temporary}"))
    pid = shop.pid("t:d#1")
    os.kill(pid, signal.SIGKILL)
    shop.wait_view(lambda view: all(row.id != "t:d#1" for row in view.rows))
    assert shop.cli("spawn", "t:d").stdout.strip() == "t:d#2"
    assert shop.row("t:d").state is State.UP


def test_spawned_children_get_their_own_arguments(node: Callable[..., RealNode]) -> None:
    code = entry("c", kind="process.py", source='"file://args.py"', method="main")
    template = entry("a", kind="process.service", process="c", input="[usual]")
    top = entry("d", kind="supervisor", strategy="dynamic", template="a")
    shop = node(files([code, template, top]) | {"args.py": ARGUMENTS})
    first = shop.cli("spawn", "t:d").stdout.strip()
    second = shop.cli("spawn", "t:d", '["other", 2]').stdout.strip()
    shop.wait_view(lambda _view: "arguments" in shop.log(first) and "arguments" in shop.log(second))
    assert "arguments usual" in shop.log(first)
    assert "arguments other 2" in shop.log(second)
    wrong = shop.cli("spawn", "t:d", "{not json")
    assert wrong.returncode == 1
    assert "no JSON list" in wrong.stderr
    os.kill(shop.pid(second), signal.SIGKILL)
    shop.wait_row(second, lambda row: row.generation == 2 and row.state is State.UP)
    shop.wait_view(lambda _view: shop.log(second).count("arguments other 2") == 2)


def test_all_are_stopped_at_once_and_share_one_deadline(node: Callable[..., RealNode]) -> None:
    """Five that never obey: one after the other they would each be told after the death of the
    one before; here all have been told before the first is dead."""
    shop = node(dynamic("stubborn", 5, "{stop_timeout: 1s}"))
    assert shop.cli("stop", "t:d", "--yes").returncode == 0
    assert shop.row("t:d").state is State.HELD
    what = [line.what for line in journal(shop.folder)]
    assert what == ["start"] * 5 + ["ignored"] * 5
    history = json.loads(shop.cli("history", "--json").stdout)["facts"]
    story = [fact["kind"] for fact in history if str(fact.get("id", "")).startswith("t:d#")]
    assert story.index("exited") > len(story) - 1 - story[::-1].index("stopping")
