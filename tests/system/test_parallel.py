"""Several nodes of one configuration live side by side and never touch one another."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from real_node import RealNode
from shops import entry, files, journal, service

from supervisor.core.view import State

pytestmark = pytest.mark.system


@pytest.fixture
def beside() -> Iterator[Callable[[RealNode], RealNode]]:
    """Start another node from the configuration folder of one that runs."""
    made: list[RealNode] = []

    def make(shop: RealNode) -> RealNode:
        other = RealNode({})
        made.append(other)
        other.config = shop.config
        other.start(arguments=("--state-dir", str(other.folder / "state")))
        return other

    yield make
    left = [problem for it in made for problem in it.tear_down()]
    assert not left, "\n".join(left)


def test_two_nodes_of_one_configuration_do_not_disturb_each_other(
    node: Callable[..., RealNode], beside: Callable[[RealNode], RealNode]
) -> None:
    made = files(
        [
            entry("s", kind="supervisor", strategy="one_for_all", children="[a, b]"),
            service("a"),
            service("b"),
        ]
    )
    one = node(made)
    two = beside(one)
    pids = {shop: {row.id: row.os_pid for row in shop.view().rows} for shop in (one, two)}
    os.kill(one.pid("t:a"), signal.SIGKILL)
    for name in ("a", "b"):
        one.wait_row(f"t:{name}", lambda row: row.generation == 2 and row.state is State.UP)
    root = one.view().root_pid
    os.kill(root, signal.SIGKILL)
    one.wait_view(lambda view: view.root_pid != root and view.state == "running")
    assert {row.id: row.os_pid for row in two.view().rows} == pids[two]
    assert two.view().restarts == 0
    assert one.cli("kill", str(two.pid("t:a")), "--yes").returncode == 4  # not one of its own
    assert one.stop() == 0
    assert {row.id: row.os_pid for row in two.view().rows} == pids[two]
    for shop in (one, two):
        assert not [line for line in journal(shop.folder) if line.what == "twin"]
