"""A copy of the state of a node that runs, and what is started from it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import files, service

from supervisor.core.view import State

pytestmark = pytest.mark.system


def test_a_node_can_be_started_from_the_copy_of_one_that_runs(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files([service("a")], "intensity: {max_restarts: 100, within: 1s}"))
    os.kill(shop.pid("t:a"), signal.SIGKILL)
    shop.wait_row("t:a", lambda row: row.generation == 2 and row.state is State.UP)
    copy = shop.folder / "copy"
    done = shop.cli("backup", str(copy))
    assert (done.returncode, done.stderr) == (0, "")
    assert shop.row("t:a").generation == 2  # nobody noticed
    assert shop.stop() == 0
    shop.forget_client()
    shop.start(arguments=("--state-dir", str(copy)))
    assert "killed by SIGKILL" in shop.cli("history", "t:a").stdout
